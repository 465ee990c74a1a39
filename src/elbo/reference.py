"""Reference runs: tables that were measured once, at the paper's scale, and are kept beside the code.

A table is ``data/reference/<chapter>/<name>.csv`` with a record ``<name>.json`` of how it was made. A chapter draws it as a
thin line behind the reader's own run. Any table is made again by one command::

    python -m elbo.reference hoffman-johnson-2016 surgery-table
"""

from __future__ import annotations

import datetime
import difflib
import hashlib
import importlib
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pandas as pd

__all__ = ["ReferenceError", "directory", "load", "loaded", "make", "record", "scratch", "tables"]

_loaded: dict[str, str] = {}


class ReferenceError(ValueError):
    """A reference table does not exist, or its file is not the one that its record describes."""


def directory() -> Path:
    """The folder of the reference tables in this checkout."""
    return Path(__file__).resolve().parents[2] / "data" / "reference"


def load(chapter: str, name: str) -> pd.DataFrame | None:
    """The table ``name`` of a chapter, or ``None`` where the checkout has none.

    Raises:
        ReferenceError: the file's sha256 is not the one in its record.
    """
    path = directory() / chapter / f"{name}.csv"
    if not path.exists():
        return None
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    if digest != record(chapter, name)["sha256"]:
        raise ReferenceError(
            f"data/reference/{chapter}/{name}.csv was changed after it was measured; restore it with "
            f"`git checkout data/reference` or measure it again with `python -m elbo.reference {chapter} {name}`"
        )
    _loaded[f"{chapter}/{name}"] = digest
    return pd.read_csv(path)


def scratch(chapter: str, name: str) -> Path:
    """Where a long run of a chapter's reference tables keeps a checkpoint, ``_build/reference/<chapter>/<name>.ckpt``.

    So that a command that was stopped goes on where it was. Nothing removes these files but ``make clean``; a checkpoint of
    another run (other settings) is refused by whoever reads it.
    """
    folder = directory().parents[1] / "_build" / "reference" / chapter
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{name}.ckpt"


def loaded() -> dict[str, str]:
    """The reference tables that this process has read so far: ``{"chapter/name": sha256}``; a figure records them."""
    return dict(sorted(_loaded.items()))


def record(chapter: str, name: str) -> dict:
    """How the table was made: command, commit, versions, device, threads, date, seconds, sha256 of the CSV."""
    return json.loads((directory() / chapter / f"{name}.json").read_text())


def tables(chapter: str) -> dict[str, Callable[[], pd.DataFrame]]:
    """The reference tables that a chapter's experiments can make: ``{name: function without arguments}``."""
    try:
        module = importlib.import_module("elbo.experiments." + chapter.replace("-", "_"))
    except ModuleNotFoundError:
        known = sorted(
            p.stem.replace("_", "-") for p in (Path(__file__).parent / "experiments").iterdir() if p.stem[0] != "_"
        )
        raise ReferenceError(f"no experiments for {chapter!r}; the chapters are {', '.join(known)}") from None
    return getattr(module, "REFERENCE", {})


def make(chapter: str, name: str) -> Path:
    """Measure one reference table and put it, with its record, into the checkout; returns the CSV's path.

    Raises:
        ReferenceError: the chapter has no table of that name.
    """
    from elbo.companion.record import environment

    known = tables(chapter)
    if name not in known:
        near = difflib.get_close_matches(name, known, 1) or sorted(known)
        raise ReferenceError(
            f"{chapter} has no reference table {name!r}; did you mean {', '.join(near) or 'none: it has none'}?"
        )
    checkout = _checkout()
    start = time.perf_counter()
    table = known[name]()
    seconds = time.perf_counter() - start
    text = table.to_csv(index=False, lineterminator="\n")
    about = {
        "chapter": chapter,
        "table": name,
        "command": f"python -m elbo.reference {chapter} {name}",
        "rows": len(table),
        "sha256": hashlib.sha256(text.encode()).hexdigest(),
        "seconds": round(seconds, 1),
        "finished": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        **environment(),
        **checkout,
    }
    path = directory() / chapter / f"{name}.csv"
    _write(path, text)
    _write(path.with_suffix(".json"), json.dumps(about, indent=1, sort_keys=True) + "\n")
    return path


@cache
def _checkout() -> dict:
    """Commit and dirty flag when the first table was asked for: the tables themselves, once written, are a change too."""
    from elbo.companion.record import commit

    return commit()


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=path.suffix)
    with os.fdopen(handle, "w", newline="") as file:
        file.write(text)
    os.chmod(temporary, 0o644)
    os.replace(temporary, path)


def main(arguments: list[str] | None = None) -> int:
    """``python -m elbo.reference CHAPTER [TABLE ...]``: make these tables, or list what there is."""
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        if not arguments:
            raise ReferenceError("name a chapter: python -m elbo.reference CHAPTER [TABLE ...]")
        chapter, *names = arguments
        if not names:
            print("\n".join(tables(chapter)) or f"{chapter} has no reference tables")
        for name in names:
            print(f"{name}: {make(chapter, name).relative_to(directory().parents[1])}")
    except ReferenceError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
