"""Options that several verbs share, and what they mean."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from elbo.companion.project.errors import CompanionError
from elbo.companion.project.paths import Project, find_project

__all__ = [
    "EXIT_CODES",
    "Device",
    "Force",
    "Jobs",
    "Json",
    "ProfileName",
    "Root",
    "Timeout",
    "checkout",
    "checked_device",
    "processes",
]

EXIT_CODES = (
    "Exit codes: 0 done; 1 something unforeseen; 2 a parameter, profile or option is wrong; "
    "3 a chapter failed; 4 busy; "
    "5 the pages did not build; 6 no data; 130 Ctrl-C; 143 terminated."
)

Root = Annotated[
    Path | None, typer.Option(help="The checkout; default: the one around the working directory, or ELBO_ROOT.")
]
ProfileName = Annotated[
    str,
    typer.Option(
        "--profile", help="smoke (seconds), quick (minutes), paper (as in the paper, wants a GPU), or a YAML file."
    ),
]
Device = Annotated[str | None, typer.Option(help="auto, cpu or cuda; default: what the profile says.")]
Jobs = Annotated[
    int | None,
    typer.Option(
        min=1, help="Chapters at a time; default: as many as there are, up to the cores. Each gets cores/jobs threads."
    ),
]
Timeout = Annotated[int | None, typer.Option(min=1, help="Seconds that one cell may take; default: no limit.")]
Force = Annotated[bool, typer.Option("--force", help="Also what has not changed.")]
Json = Annotated[bool, typer.Option("--json", help="Print the outcome as JSON on standard output.")]


def checkout(root: Path | None) -> Project:
    """The checkout of the command, told which files of the data sets are fetched.

    Raises:
        CompanionError: there is none.
    """
    from elbo.data.registry import DATASETS

    return find_project(root, {name: tuple(file.path for file in source.files) for name, source in DATASETS.items()})


def checked_device(device: str | None) -> str | None:
    """The word of ``--device``.

    Raises:
        CompanionError: it is none that the chapters know.
    """
    if device not in (None, "auto", "cpu", "cuda"):
        raise CompanionError(f"--device {device}: use auto, cpu or cuda")
    return device


def processes(jobs: int | None, chapters: int) -> int:
    """How many chapters run at a time: ``--jobs``, else the cores, and no more than there are chapters."""
    from elbo.companion.run.runner import cores

    return max(1, min(jobs or cores(), chapters))
