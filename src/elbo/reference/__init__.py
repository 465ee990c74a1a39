"""Reference runs: tables that were measured once, at the paper's scale, and are kept beside the code.

A table is ``data/reference/<chapter>/<name>.csv`` with a record ``<name>.json`` of how it was made. A chapter draws it
as a thin line behind the reader's own run. Any table is made again by one command::

    python -m elbo.reference hoffman-johnson-2016 surgery-table
"""

from __future__ import annotations

import argparse
import datetime
import difflib
import hashlib
import importlib
import json
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from pathlib import Path

import pandas as pd

from elbo import ledger
from elbo.companion.project import settings
from elbo.companion.project.settings import PACKAGE, data_folder
from elbo.reference import parts

__all__ = [
    "ReferenceError",
    "chapters",
    "directory",
    "gather",
    "load",
    "loaded",
    "make",
    "make_parts",
    "parts_folder",
    "record",
    "require_checkout",
    "scratch",
    "sweeps",
    "tables",
]


class ReferenceError(ValueError):
    """A reference table does not exist, or its file is not the one that its record describes."""


def directory() -> Path:
    """The folder of the reference tables in this checkout."""
    return data_folder() / "reference"


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
    ledger.note("reference", f"{chapter}/{name}", digest)
    return pd.read_csv(path)


def scratch(chapter: str, name: str) -> Path:
    """Where a long run of a chapter's reference tables keeps a checkpoint, ``_build/reference/<chapter>/<name>.ckpt``.

    So that a command that was stopped goes on where it was. Nothing removes these files but ``make clean``; a
    checkpoint of another run (other settings) is refused by whoever reads it.
    """
    folder = _build() / "reference" / chapter
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{name}.ckpt"


def loaded() -> dict[str, str]:
    """The reference tables that this process has read so far: ``{"chapter/name": sha256}``; a figure records them."""
    return ledger.noted("reference")


def record(chapter: str, name: str) -> dict:
    """How the table was made: command, commit, versions, device, threads, date, seconds, sha256 of the CSV."""
    return json.loads((directory() / chapter / f"{name}.json").read_text())


def tables(chapter: str) -> dict[str, Callable[[], pd.DataFrame]]:
    """The reference tables that a chapter's experiments make in one go: ``{name: function without arguments}``."""
    return getattr(_experiments(chapter), "REFERENCE", {})


def chapters() -> list[str]:
    """The chapters that have experiments, by key."""
    folder = PACKAGE / "experiments"
    return sorted(path.stem.replace("_", "-") for path in folder.iterdir() if path.stem[0] != "_")


def _experiments(chapter: str):
    if chapter not in chapters():
        raise ReferenceError(f"no experiments for {chapter[:200]!r}; the chapters are {', '.join(chapters())}")
    return importlib.import_module("elbo.experiments." + chapter.replace("-", "_"))


def sweeps(chapter: str) -> dict[str, parts.Sweep]:
    """The reference tables of a chapter that are measured in parts: ``{name: sweep}``."""
    return getattr(_experiments(chapter), "SWEEPS", {})


def make(chapter: str, name: str) -> Path:
    """Measure one reference table and put it, with its record, into the checkout; returns the CSV's path.

    A table that is measured in parts gets the parts that are missing measured first, one after the other.

    Raises:
        ReferenceError: the chapter has no table of that name.
    """
    if name in sweeps(chapter):
        for part in sweeps(chapter)[name].parts():
            make_parts(chapter, name, [part.key])
        return gather(chapter, name)
    known = tables(chapter)
    if name not in known:
        raise ReferenceError(f"{chapter} has no reference table {name!r}; {_near(name, known)}")
    require_checkout()
    checkout = _checkout()
    start = time.perf_counter()
    table = known[name]()
    seconds = time.perf_counter() - start
    return _put(chapter, name, table, f"python -m elbo.reference {chapter} {name}", seconds, checkout)


def parts_folder(chapter: str, name: str) -> Path:
    """Where the parts of a table are kept until it is gathered, ``_build/parts/<chapter>/<name>``.

    Parts of a table that is not complete yet are committed under ``data/reference/<chapter>/parts/<name>``; they are
    put beside those of this checkout, so that nobody measures them again.
    """
    folder = _build() / "parts" / chapter / name
    for record in sorted((directory() / chapter / "parts" / name).glob("*.json")):
        if not (folder / record.name).exists():
            for path in (record.with_suffix(".csv"), record):  # the record last: with it the part is there
                parts.write(folder / path.name, path.read_bytes().decode())
    return folder


def _build() -> Path:
    """Where what is not finished is kept."""
    return settings.build_folder(directory().parents[1])


def require_checkout() -> None:
    """Tables are measured into a checkout.

    Raises:
        ReferenceError: the book is the one that an installed package carries.
    """
    if settings.is_packaged(directory().parents[1]):
        raise ReferenceError(
            "reference tables are measured into a checkout, and this book came with the installed package; "
            "clone the repository, or give its path in ELBO_ROOT"
        )


def make_parts(chapter: str, name: str, keys: Sequence[str], device: str = "cpu") -> list[Path]:
    """Measure parts of a table as one stack, those that are there excepted; returns their paths.

    Parts with other keys may be measured by other processes at the same time.

    Raises:
        ReferenceError: no such table or part, or parts that cannot be one stack.
        elbo.reference.parts.Held: another process is at it.
    """
    sweep = _sweep(chapter, name)
    found = {part.key: part for part in sweep.parts()}
    for key in keys:
        if key not in found:
            raise ReferenceError(f"{chapter} {name} has no part {key!r}; {_near(key, found)}")
    require_checkout()
    stack = [found[key] for key in keys]
    if len(sweep.stacks(stack, len(stack))) != 1:
        raise ReferenceError(f"parts of one stack must have {', '.join(sweep.alike)} in common; got {'; '.join(keys)}")
    about = {
        "chapter": chapter,
        "table": name,
        "command": " ".join([f"python -m elbo.reference {chapter} {name}", *(f"--part '{key}'" for key in keys)]),
        **_checkout(),
    }
    return parts.measure_parts(sweep, stack, parts_folder(chapter, name), about, device)


def gather(chapter: str, name: str) -> Path:
    """Put the parts that are there together into the committed table, whose record names each of them.

    Raises:
        ReferenceError: no such table, or the committed one holds what the parts here do not.
        elbo.reference.parts.PartError: no part is there, or one is damaged.
    """
    require_checkout()
    sweep = _sweep(chapter, name)
    table, records = parts.gather(sweep, parts_folder(chapter, name))
    if lost := _would_lose(directory() / chapter / f"{name}.json", records, len(table)):
        raise ReferenceError(
            f"{chapter} {name} is not replaced: the table that is there holds {lost}; measure the missing parts here "
            f"(--parts lists them), or remove the table first"
        )
    kept = ("part", "rows", "sha256", "seconds", "finished", "commit", "dirty", "device", "cpu", "gpu", "threads")
    listed = [{field: record[field] for field in kept if field in record} for record in records]
    seconds = sum(record["seconds"] for record in records)
    command = f"python -m elbo.reference {chapter} {name} --gather"
    more = {"parts": listed, "parts_asked": len(sweep.grid), "data": records[0].get("data", {})}
    return _put(chapter, name, table, command, seconds, _checkout(), more)


def _would_lose(committed: Path, records: Sequence[dict], rows: int) -> str | None:
    """What a committed table has that these parts have not, in words; ``None`` where it loses nothing.

    Of a table that was measured in one piece only the number of rows can be compared.
    """
    if not committed.is_file():
        return None
    before = json.loads(committed.read_text(encoding="utf-8"))
    if "parts" not in before:
        return f"{before['rows']} rows, the parts here {rows}" if before["rows"] > rows else None
    here = [record["part"] for record in records]
    lost = [one["part"] for one in before["parts"] if one["part"] not in here]
    shown = ", ".join(f"{key}={value}" for key, value in lost[0].items()) if lost else ""
    return f"{len(lost)} parts that are not here, the first {shown}" if lost else None


def _sweep(chapter: str, name: str) -> parts.Sweep:
    known = sweeps(chapter)
    if name not in known:
        raise ReferenceError(f"{chapter} has no table {name!r} that is measured in parts; {_near(name, known)}")
    return known[name]


def _near(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, known, 1) or sorted(known)
    return f"did you mean {', '.join(near) or 'none: it has none'}?"


def _put(
    chapter: str, name: str, table: pd.DataFrame, command: str, seconds: float, checkout: dict, more: dict | None = None
) -> Path:
    """The table and its record, into the checkout."""
    from elbo.companion.record.environment import environment

    text = table.to_csv(index=False, lineterminator="\n")
    about = {
        "chapter": chapter,
        "table": name,
        "command": command,
        "rows": len(table),
        "sha256": hashlib.sha256(text.encode()).hexdigest(),
        "seconds": round(seconds, 1),
        "finished": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        **environment(),
        **checkout,
        **(more or {}),
    }
    path = directory() / chapter / f"{name}.csv"
    parts.write(path, text)
    parts.write(path.with_suffix(".json"), json.dumps(about, indent=1, sort_keys=True) + "\n")
    return path


@cache
def _checkout() -> dict:
    """Commit and dirty flag when the first table was asked for: the tables, once written, are a change too."""
    from elbo.companion.record.environment import commit

    return commit()


def main(arguments: list[str] | None = None) -> int:
    """``python -m elbo.reference CHAPTER [TABLE ...] [--parts | --part KEY | --gather]``: make tables, or list them."""
    asked = _arguments().parse_args(sys.argv[1:] if arguments is None else arguments)
    try:
        if not asked.tables:
            known = [*tables(asked.chapter), *sweeps(asked.chapter)]
            print("\n".join(known) or f"{asked.chapter} has no reference tables")
        for name in asked.tables:
            if asked.parts:
                folder = parts_folder(asked.chapter, name)
                for part in _sweep(asked.chapter, name).parts():
                    print(f"{'done' if part.is_done(folder) else 'to do':5}  {part.key}")
                continue
            if asked.part:
                made = make_parts(asked.chapter, name, asked.part, asked.device)
            else:
                made = [(gather if asked.gather else make)(asked.chapter, name)]
            print(*(f"{name}: {path.relative_to(directory().parents[1])}" for path in made), sep="\n")
    except (ReferenceError, parts.PartError) as error:
        print(error, file=sys.stderr)
        return 2
    except parts.Held as error:
        print(error, file=sys.stderr)
        return 4
    return 0


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m elbo.reference", description="Measure reference tables.")
    parser.add_argument("chapter", metavar="CHAPTER")
    parser.add_argument("tables", metavar="TABLE", nargs="*", help="without one, list what there is")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--parts", action="store_true", help="list the parts of a table, and which are measured")
    what.add_argument("--part", metavar="KEY", action="append", help="measure this part alone; several are one stack")
    what.add_argument("--gather", action="store_true", help="put the measured parts together into the table")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="of --part")
    return parser
