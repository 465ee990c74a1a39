"""Where our side of a claim is read: reference tables of the checkout, and the tables behind the figures of a build."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from elbo import reference
from elbo.data.curves import CURVES, paper_curves

__all__ = ["Missing", "Origin", "Tables"]


class Missing(LookupError):
    """A table, a row or a column that a claim asks for is not there; the message says which."""


@dataclass(frozen=True)
class Origin:
    """What a table came from.

    Attributes:
        kind: ``"reference"`` (measured once, committed), ``"figure"`` (of the build at hand) or ``"paper"`` (read off a
            printed figure).
        name: ``<chapter>/<table>`` of a reference table (``<chapter>/<one>+<other>`` of two), id of a figure.
        profile: of the run behind a figure; empty for a reference table.
        commit, dirty, device: from the record.
        settings: the parameters of the run behind a figure, what the chapter settled on included.
    """

    kind: str
    name: str
    profile: str
    commit: str
    dirty: bool
    device: str
    settings: Mapping

    @property
    def parts(self) -> list[str]:
        """The reference tables, ``<chapter>/<table>`` each, or the id of the figure."""
        chapter, _, tables = self.name.rpartition("/")
        return [f"{chapter}/{table}" for table in tables.split("+")] if chapter else [self.name]


class Tables:
    """All tables that a page can read.

    Args:
        figures: the folder with ``<id>.csv`` and ``<id>.json`` of a build, ``None`` without one.
        published: whether the book at hand publishes a figure of that id; a file that an older build has left behind is
            none of its figures.
    """

    def __init__(self, figures: Path | None = None, published: Callable[[str], bool] = lambda id: True):
        self._figures, self._published = figures, published

    def read(self, name: str) -> tuple[pd.DataFrame, Origin]:
        """The table ``reference/<chapter>/<table>``, ``figure/<id>`` or ``paper/<figure>``.

        ``reference/<chapter>/<one>+<other>`` is both, one below the other.

        Raises:
            Missing: there is none.
            elbo.reference.ReferenceError: a reference table is not the one that its record describes.
        """
        kind, _, rest = name.partition("/")
        if kind == "paper":
            return _paper(rest)
        return self._reference(rest) if kind == "reference" else self._figure(rest)

    def _reference(self, name: str) -> tuple[pd.DataFrame, Origin]:
        chapter, names = name.split("/")
        tables = {one: reference.load(chapter, one) for one in names.split("+")}
        if absent := [one for one, table in tables.items() if table is None]:
            raise Missing(f"there is no reference table {chapter}/{' nor '.join(absent)}")
        records = [reference.record(chapter, one) for one in tables]
        about = {
            **records[0],
            "commit": _together(records, "commit"),
            "dirty": any(one.get("dirty") for one in records),
        }
        return pd.concat(tables.values(), ignore_index=True), _origin("reference", name, "", about, {})

    def _figure(self, id: str) -> tuple[pd.DataFrame, Origin]:
        path = None if self._figures is None else self._figures / f"{id}.csv"
        if path is None or not path.exists() or not self._published(id):
            raise Missing(f"this build has no figure {id}")
        record = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        settings = {**record["parameters"], **record.get("settings", {})}
        return pd.read_csv(path), _origin("figure", id, record["profile"] or "none", record["environment"], settings)


def _paper(name: str) -> tuple[pd.DataFrame, Origin]:
    table = paper_curves(name) if name in CURVES else None
    if table is None:
        raise Missing(f"no curves of a paper called {name}")
    return table, Origin("paper", name, "", "", False, "", {})


def _origin(kind: str, name: str, profile: str, about: dict, settings: dict) -> Origin:
    device = about.get("gpu") or about.get("cpu") or "unknown device"
    return Origin(kind, name, profile, about.get("commit") or "unknown", bool(about.get("dirty")), device, settings)


def _together(records: list[dict], name: str) -> str:
    return ", ".join(dict.fromkeys((one.get(name) or "unknown")[:12] for one in records))
