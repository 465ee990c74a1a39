"""Reference tables that are too long for one sitting: measured in parts, each one process, and gathered.

A :class:`Sweep` names the parts of a table, ``(settings, settings, ...)``, and the function that measures them. A part,
or a stack of parts, is measured under a lock, resumes from whatever checkpoints its function keeps, and is written
whole or not at all: ``_build/parts/<chapter>/<table>/<key>.csv`` with a record ``<key>.json`` beside it. The table is
the parts that are there, put together in the order of the sweep: adding seeds or length later measures only what is
new::

    python -m elbo.reference hoffman-johnson-2016 surgery-paper --parts          # what there is to do, and what is done
    python -m elbo.reference hoffman-johnson-2016 surgery-paper --part latent_dim=10,seed=0,epochs=200,binarise=fixed
    python -m elbo.reference hoffman-johnson-2016 surgery-paper --gather
"""

from __future__ import annotations

import datetime
import hashlib
import io
import json
import os
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from filelock import FileLock, Timeout

__all__ = ["Held", "Part", "PartError", "Setting", "Sweep", "gather", "measure_parts", "write"]

Setting = str | int | float


class PartError(ValueError):
    """A part that does not exist, or whose file is not the one that its record describes."""


class Held(RuntimeError):
    """Another process is measuring this part now."""


def _as_it_is(table: pd.DataFrame) -> pd.DataFrame:
    return table


@dataclass(frozen=True)
class Sweep:
    """A reference table and the parts that it is gathered from.

    Attributes:
        measure: ``measure(stack, device) -> tidy tables``, one for each part of a stack, a list of settings. It may
            keep checkpoints, and must give the same rows whether it was interrupted or not.
        grid: settings of every part, most urgent first; values are words and numbers.
        finish: what is done with all rows together (reduced, chosen among, sorted): settings are columns, and ``part``
            is the key of the part that a row comes from, dropped afterwards.
        alike: settings that the parts of one stack have in common; the others may differ. On a processor a part is a
            stack of its own.
        priority: of the whole table beside others; the parts of a table with a higher one come first.
    """

    measure: Callable[[Sequence[dict[str, Setting]], str], Sequence[pd.DataFrame]]
    grid: Sequence[Mapping[str, Setting]]
    finish: Callable[[pd.DataFrame], pd.DataFrame] = _as_it_is
    alike: tuple[str, ...] = ()
    priority: int = 0

    def parts(self) -> list[Part]:
        """The parts in the order of the grid."""
        return [Part(dict(settings)) for settings in self.grid]

    def stacks(self, parts: Sequence[Part], most: int) -> list[list[Part]]:
        """The parts in stacks of at most ``most`` that have :attr:`alike` in common, in the order of their first."""
        found: list[list[Part]] = []
        open_stacks: dict[tuple, list[Part]] = {}
        for part in parts:
            common = tuple(part.settings[name] for name in self.alike)
            if common not in open_stacks or len(open_stacks[common]) >= most:
                open_stacks[common] = []
                found.append(open_stacks[common])
            open_stacks[common].append(part)
        return found


@dataclass(frozen=True)
class Part:
    """One part: its settings."""

    settings: dict[str, Setting]

    @property
    def key(self) -> str:
        """``name=value,name=value`` in the order of the sweep: the name of its file."""
        return ",".join(f"{name}={value}" for name, value in self.settings.items())

    def csv(self, folder: Path) -> Path:
        """Its table in the folder of the sweep's parts."""
        return folder / f"{self.key}.csv"

    def record(self, folder: Path) -> Path:
        """Its record, written last: where it is, the part is done."""
        return folder / f"{self.key}.json"

    def is_done(self, folder: Path) -> bool:
        """Whether table and record are there."""
        return self.csv(folder).exists() and self.record(folder).exists()


def measure_parts(
    sweep: Sweep, stack: Sequence[Part], folder: Path, about: Mapping[str, Any], device: str = "cpu"
) -> list[Path]:
    """Measure the parts of one stack that are not there, and put their tables and records into ``folder``.

    Args:
        about: what a record says beside settings, rows, digest and time: command, chapter, table, commit.

    Returns:
        The paths of all tables.

    Raises:
        Held: another process is at one of them.
    """
    from elbo.companion.record.environment import environment

    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as held:
        for part in sorted(stack, key=lambda part: part.key):
            lock = FileLock(folder / f".{part.key}.lock")
            try:
                lock.acquire(timeout=0)
            except Timeout:
                raise Held(f"another process is measuring {part.key}; wait for it, or stop it first") from None
            held.callback(lock.release)
        missing = [part for part in stack if not part.is_done(folder)]
        if missing:
            start = time.perf_counter()
            tables = sweep.measure([part.settings for part in missing], device)
            shared = {
                **environment(),
                **about,
                "device": device,
                "finished": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
                "seconds": round((time.perf_counter() - start) / len(missing), 1),
                "stacked_with": len(missing) - 1,
            }
            for part, table in zip(missing, tables, strict=True):
                text = table.to_csv(index=False, lineterminator="\n")
                digest = hashlib.sha256(text.encode()).hexdigest()
                own = {**shared, "part": part.settings, "rows": len(table), "sha256": digest}
                write(part.csv(folder), text)
                write(part.record(folder), json.dumps(own, indent=1, sort_keys=True) + "\n")
    return [part.csv(folder) for part in stack]


def gather(sweep: Sweep, folder: Path) -> tuple[pd.DataFrame, list[dict[str, Any]]]:
    """The parts that are there, one under the other, and their records; the settings are columns of every row.

    Raises:
        PartError: none is there, or one is not what its record says.
    """
    tables, records = [], []
    for part in sweep.parts():
        if not part.is_done(folder):
            continue
        path = part.csv(folder)
        text = path.read_bytes()
        record = json.loads(part.record(folder).read_text())
        if hashlib.sha256(text).hexdigest() != record["sha256"]:
            raise PartError(f"{path} is not what its record says: remove both and measure the part again")
        table = pd.read_csv(io.BytesIO(text))
        missing = {name: value for name, value in part.settings.items() if name not in table}
        tables.append(table.assign(**missing, part=part.key))
        records.append(record)
    if not tables:
        raise PartError(f"no part has been measured yet: there is none in {folder}")
    together = sweep.finish(pd.concat(tables, ignore_index=True))
    return together.drop(columns="part", errors="ignore"), records


def write(path: Path, text: str) -> None:
    """Write a text file, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=path.suffix)
    try:
        with os.fdopen(handle, "w", newline="") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
