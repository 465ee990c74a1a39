"""Options that several verbs share, and what they mean."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from elbo.companion.project import settings
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
    "chapter_names",
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
    Path | None,
    typer.Option(
        help="The checkout; default: ELBO_ROOT, else the one around the working directory, "
        "else the book that came with the package."
    ),
]
ProfileName = Annotated[
    str,
    typer.Option(
        "--profile",
        help="smoke (seconds), quick (minutes), paper (as in the paper, wants a GPU), or a YAML file.",
        autocompletion=lambda incomplete: _completed(_profiles, incomplete),
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
    """The book of the command, told which files of the data sets are fetched.

    A sentence on standard error says so where it is the one that came with the package, or where a checkout's pages
    meet the code of another place.

    Raises:
        CompanionError: there is none.
    """
    from elbo.data.registry import DATASETS

    files = {name: tuple(file.path for file in source.files) for name, source in DATASETS.items()}
    project = find_project(root, files)
    if sentence := _which(project):
        print(f"elbo: {sentence}", file=sys.stderr)
    return project


def _which(project: Project) -> str:
    """Which book is taken, where that is not the checkout whose code runs; else nothing."""
    import elbo
    from elbo.companion.record import words
    from elbo.companion.record.environment import commit

    if settings.is_packaged(project.root):
        about = f"version {elbo.__version__}, commit {words.commit(commit(project.root))}"
        return (
            f"using the book that came with the package ({about}); what is made goes to {project.show(project.build)}"
        )
    own = project.root / "src" / "elbo"
    if own.is_dir() and own.resolve() != settings.PACKAGE:
        return f"the pages are those of {project.root}, the code is the package in {settings.PACKAGE}"
    return ""


def chapter_names(incomplete: str) -> list[str]:
    """Keys of chapters that begin like this, for the shell to complete."""
    return _completed(_chapters, incomplete)


def _completed(names: Callable[[Project], list[str]], incomplete: str) -> list[str]:
    """What the shell offers; where there is no book, nothing."""
    try:
        return [name for name in names(find_project()) if name.startswith(incomplete)]
    except (CompanionError, OSError):
        return []


def _chapters(project: Project) -> list[str]:
    from elbo.companion.project.chapters import chapter_keys

    return chapter_keys(project)


def _profiles(project: Project) -> list[str]:
    from elbo.companion.project.profiles import profile_names

    return profile_names(project)


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
