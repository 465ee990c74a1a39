"""What a build needs is looked at before anything runs: variables that Sphinx reads, and space on the disk."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from elbo.companion.project.errors import BUILD, CompanionError, quote
from elbo.companion.project.paths import Project

__all__ = ["SPARE", "require"]

SPARE = 8 * 2**20
"""Bytes that a build wants free beyond another copy of the pages and of their source."""


def require(project: Project) -> None:
    """Raise where a build of the pages could not end well.

    Raises:
        CompanionError: SOURCE_DATE_EPOCH is no number of seconds, or the disk has no room for new pages beside the old.
    """
    epoch = os.environ.get("SOURCE_DATE_EPOCH", "0")
    if not (epoch.isascii() and epoch.isdigit() and len(epoch) < 12):
        raise CompanionError(
            f"the variable SOURCE_DATE_EPOCH is {quote(epoch)}, which is no number of seconds: unset it, or set it to 0"
        )
    where = project.build
    while not where.exists():
        where = where.parent
    wanted = _size(project.html) + 2 * _size(project.build / "book-src") + SPARE
    free = shutil.disk_usage(where).free
    if free < wanted:
        raise CompanionError(
            f"the disk has {_mib(free)} free where {where} lies, and new pages beside those that are there want "
            f"{_mib(wanted)}: free some space; nothing was run, the book that was there is untouched",
            BUILD,
        )


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _mib(count: int) -> str:
    return f"{count / 2**20:,.1f} MiB"
