"""What this process has loaded, and the kind of error that says that it could not: all that the wings share.

The mathematics notes what it reads, the publishing wing reads the notes into the record of a figure; neither imports
the other. Standard library only.
"""

from __future__ import annotations

__all__ = ["NoData", "note", "noted"]

_noted: dict[str, dict[str, str]] = {}


class NoData(RuntimeError):
    """Data that a chapter needs cannot be had. The message is one sentence that names the fix."""


def note(kind: str, name: str, sha256: str) -> None:
    """Note that this process has loaded something.

    Args:
        kind: ``"data"`` for a data set, ``"reference"`` for a reference table.
        name: ``"digits/train"``, ``"higgins-2017/scores"``.
        sha256: digest of exactly what was loaded.
    """
    _noted.setdefault(kind, {})[name] = sha256


def noted(kind: str) -> dict[str, str]:
    """Everything of a kind that this process has loaded so far, ``{name: sha256}``, in the order of the names."""
    return dict(sorted(_noted.get(kind, {}).items()))
