"""The jobs of a toy sweep, as commands and as tables, for the tests of sweeps here and on a cluster."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

from elbo.sweep.plan import Job

TOY = Path(__file__).parents[1] / "sweep" / "toy_part.py"
KEY = "seed={},batch=20"


def toy(folder, *arguments, pause=0.0):
    """The command of a toy part."""
    return [sys.executable, str(TOY), str(folder), str(pause), "toy-2013", "errors", *arguments]


def jobs(folder, pause=0.0, parts=3):
    """A job a part, with the toy in place of the real command."""
    return [
        Job(
            name=f"part_{seed}",
            outputs=(f"toy-2013/errors/{KEY.format(seed)}.json",),
            command=shlex.join(toy(folder, "--part", KEY.format(seed), pause=pause)),
            log=f"toy-2013/errors/log/{seed}.log",
            priority=parts - seed,
        )
        for seed in range(parts)
    ]


def tables(folder):
    """The measured parts, as bytes."""
    return {
        path.name: path.read_bytes() for path in (folder / "_build" / "parts" / "toy-2013" / "errors").glob("*.csv")
    }
