"""``python -m faults [family ...] [--count N] [--seed N]``: counts of what was tried and what was wrong."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from faults.inputs import FAMILIES, bad_inputs
from faults.kills import OPERATIONS, kill_many
from faults.tally import Tally


def main(arguments: list[str] | None = None) -> int:
    """Exit code 0 where nothing was wrong, 1 where something was."""
    parser = argparse.ArgumentParser("python -m faults", description=__doc__)
    parser.add_argument("families", nargs="*", default=["inputs", "kills"], help="inputs, kills; both unless named")
    parser.add_argument("--count", type=int, help="cases of each; 3,000 inputs and 520 kills unless given")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", choices=[*OPERATIONS, *FAMILIES], help="one kind of them")
    parser.add_argument("--log", type=Path, help="a file for a line of JSON a case")
    asked = parser.parse_args(arguments)
    tally = Tally(log=asked.log)
    try:
        with tempfile.TemporaryDirectory(prefix="faults-") as folder:
            if "inputs" in asked.families:
                bad_inputs(tally, asked.count or 3000, asked.seed, Path(folder) / "inputs", asked.only)
            if "kills" in asked.families:
                kill_many(tally, asked.count or 520, asked.seed, Path(folder) / "kills", asked.only)
    except KeyboardInterrupt:
        pass
    print("\n".join(tally.lines()))
    return 1 if tally.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
