"""``python -m faults [family ...] [--count N] [--seed N]``: counts of what was tried and what was wrong."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from faults.kills import OPERATIONS, kill_many
from faults.tally import Tally


def main(arguments: list[str] | None = None) -> int:
    """Exit code 0 where nothing was wrong, 1 where something was."""
    parser = argparse.ArgumentParser("python -m faults", description=__doc__)
    parser.add_argument("families", nargs="*")
    parser.add_argument("--count", type=int, default=520)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", choices=OPERATIONS)
    parser.add_argument("--log", type=Path)
    asked = parser.parse_args(arguments)
    tally = Tally(log=asked.log)
    try:
        with tempfile.TemporaryDirectory(prefix="faults-") as folder:
            kill_many(tally, asked.count, asked.seed, Path(folder) / "kills", asked.only)
    except KeyboardInterrupt:
        pass
    print("\n".join(tally.lines()))
    return 1 if tally.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
