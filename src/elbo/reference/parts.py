"""Reference tables that are too long for one sitting: measured in parts, each one process, and gathered.

A :class:`Sweep` names the parts of a table, ``(settings, settings, ...)``, and the function that measures one of them.
A part is measured under a lock, resumes from whatever checkpoints its function keeps, and is written whole or not at
all: ``_build/parts/<chapter>/<table>/<key>.csv`` with a record ``<key>.json`` beside it. The table is the parts that
are there, put together in the order of the sweep: adding seeds or length later measures only what is new::

    python -m elbo.reference hoffman-johnson-2016 surgery-table --parts          # what there is to do, and what is done
    python -m elbo.reference hoffman-johnson-2016 surgery-table --part latent_dim=10,seed=0,epochs=200
    python -m elbo.reference hoffman-johnson-2016 surgery-table --gather
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
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

__all__ = ["Held", "Part", "PartError", "Sweep", "gather", "measure_part"]

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
        measure: ``measure(**settings) -> tidy table`` of one part. It may keep checkpoints, and must give the same rows
            whether it was interrupted or not.
        grid: settings of every part, most urgent first; values are words and numbers.
        finish: what is done with all rows together (reduced, chosen among, sorted): settings are columns, and ``part``
            is the key of the part that a row comes from, dropped afterwards.
    """

    measure: Callable[..., pd.DataFrame]
    grid: Sequence[Mapping[str, Setting]]
    finish: Callable[[pd.DataFrame], pd.DataFrame] = _as_it_is

    def parts(self) -> list[Part]:
        """The parts in the order of the grid."""
        return [Part(dict(settings)) for settings in self.grid]


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

    def is_done(self, folder: Path) -> bool:
        """Whether table and record are there."""
        return self.csv(folder).exists() and self.csv(folder).with_suffix(".json").exists()


def measure_part(sweep: Sweep, part: Part, folder: Path, about: Mapping[str, Any]) -> Path:
    """Measure one part, unless it is there, and put its table and record into ``folder``; returns the table's path.

    Args:
        about: what the record says beside settings, rows, digest and time: command, chapter, table, environment.

    Raises:
        Held: another process is at it.
    """
    from filelock import FileLock, Timeout

    from elbo.companion.record import environment

    folder.mkdir(parents=True, exist_ok=True)
    path = part.csv(folder)
    try:
        with FileLock(folder / f".{part.key}.lock", timeout=0):
            if part.is_done(folder):
                return path
            start = time.perf_counter()
            table = sweep.measure(**part.settings)
            seconds = time.perf_counter() - start
            text = table.to_csv(index=False, lineterminator="\n")
            record = {
                **about,
                "part": part.settings,
                "rows": len(table),
                "sha256": hashlib.sha256(text.encode()).hexdigest(),
                "seconds": round(seconds, 1),
                "finished": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
                **environment(),
                **{name: about[name] for name in ("commit", "dirty") if name in about},
            }
            write(path, text)
            write(path.with_suffix(".json"), json.dumps(record, indent=1, sort_keys=True) + "\n")
    except Timeout:
        raise Held(f"another process is measuring {part.key}; wait for it, or stop it first") from None
    return path


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
        record = json.loads(path.with_suffix(".json").read_text())
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
