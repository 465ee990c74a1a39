"""A state of a live figure as something to list and to cite: its page, its record, its address."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from elbo import live
from elbo.companion.record.environment import commit

__all__ = ["address", "places", "record", "row", "rows"]

_PLACED = re.compile(r"^`{3,}\{live\}[ \t]+(\S+)[ \t]*$", re.MULTILINE)


def places(book: Path) -> dict[str, str]:
    """Where the live figures stand: the page's name by id, from the texts of a book, in the
    order of :data:`elbo.live.IDS`.
    """
    found = {id: page.stem for page in sorted(book.glob("*.md")) for id in _PLACED.findall(page.read_text("utf-8"))}
    return {id: found[id] for id in live.IDS if id in found}


def address(id: str, state: dict[str, float]) -> str:
    """``?id=name:value,...``, the part of an address that sets the figure to a state."""
    return f"?{id}=" + ",".join(f"{name}:{value:g}" for name, value in state.items())


def record(id: str, page: str, **state: float) -> dict[str, Any]:
    """What a citation needs to know of a state of a figure, in the words of the records of published figures.

    Args:
        page: name of the page on which it stands.
        state: what differs from the default.
    """
    about = live.figure(id)
    clean = about.clean({**about.default, **state})
    return {
        "id": id,
        "chapter": page,
        "caption": about.filled(about.caption),
        "parameters": clean,
        "query": address(id, clean),
        "environment": commit(),
    }


def row(id: str, page: str) -> dict[str, Any]:
    """A live figure at its default state, as ``published_figures`` lists those of the chapters; it needs no run."""
    about, said = live.figure(id), record(id, page)
    alt = about.filled(about.alt)
    return {
        "id": id,
        "chapter": page,
        "caption": said["caption"],
        "alt": alt,
        "notebook": "",
        "record": said,
        "run": {},
    }


def rows(root: Path) -> list[dict[str, Any]]:
    """The live figures of a book, see :func:`row`."""
    return [row(id, page) for id, page in places(root / "book").items()]
