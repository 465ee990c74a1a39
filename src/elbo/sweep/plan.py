"""What there is to do: one job for each part, or stack of parts, that has not been measured."""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from elbo import reference

__all__ = ["Job", "SweepError", "Table", "find_tables", "table_jobs", "write_plan"]

MEMORY, MINUTES = 3000, 720  # of a job, where nothing else is said: megabytes, minutes


class SweepError(ValueError):
    """A sweep that cannot be planned or run; the sentence says what to do."""


@dataclass(frozen=True)
class Job:
    """One process.

    Attributes:
        name: short, unique, a word.
        outputs: files that are there when it is done, relative to the folder of the sweep.
        command: a line for the shell.
        log: file for what it prints, its own.
        priority: jobs with a higher one start first.
        memory, minutes: what a cluster is asked for; megabytes.
    """

    name: str
    outputs: tuple[str, ...]
    command: str
    log: str
    priority: int = 0
    memory: int = MEMORY
    minutes: int = MINUTES


@dataclass(frozen=True)
class Table:
    """A reference table that is measured in parts, by chapter and name."""

    chapter: str
    name: str

    def done(self) -> tuple[int, int]:
        """How many parts are measured, and how many there are."""
        parts = reference.sweeps(self.chapter)[self.name].parts()
        folder = reference.parts_folder(self.chapter, self.name)
        return sum(part.is_done(folder) for part in parts), len(parts)


def find_tables(named: Sequence[str]) -> list[Table]:
    """Tables by name, ``chapter/name`` or ``name`` where one chapter alone has it; all of them for none.

    Raises:
        SweepError: a name that no chapter has, or several.
    """
    known = [Table(chapter, name) for chapter in reference.chapters() for name in reference.sweeps(chapter)]
    if not named:
        return known
    found = []
    for word in named:
        chapter, _, name = word.rpartition("/")
        matching = [table for table in known if table.name == name and chapter in ("", table.chapter)]
        if len(matching) != 1:
            names = ", ".join(f"{table.chapter}/{table.name}" for table in known)
            raise SweepError(f"no table {word!r} that is measured in parts; there are {names}")
        found += matching
    return found


def table_jobs(tables: Sequence[Table], device: str = "cpu", stack: int = 1) -> list[Job]:
    """The jobs that measure what is missing of these tables, most urgent first.

    Args:
        device: ``"cpu"`` or ``"cuda"``.
        stack: how many parts may be one job: as many models as fit on a GPU, one on a processor.
    """
    jobs: list[Job] = []
    for table in sorted(tables, key=lambda table: -reference.sweeps(table.chapter)[table.name].priority):
        sweep, folder = reference.sweeps(table.chapter)[table.name], reference.parts_folder(table.chapter, table.name)
        missing = [part for part in sweep.parts() if not part.is_done(folder)]
        for parts in sweep.stacks(missing, stack):
            words = [sys.executable, "-m", "elbo.reference", table.chapter, table.name, "--device", device]
            for part in parts:
                words += ["--part", part.key]
            base = f"{table.chapter}/{table.name}"
            jobs.append(
                Job(
                    name=f"{table.chapter}_{table.name}_{len(jobs)}".replace("-", "_"),
                    outputs=tuple(f"{base}/{part.key}.json" for part in parts),
                    command=f"OMP_NUM_THREADS=1 {shlex.join(words)}",
                    log=f"{base}/log/{parts[0].key}{f'+{len(parts) - 1}' if len(parts) > 1 else ''}.log",
                )
            )
    count = len(jobs)
    return [Job(**{**vars(job), "priority": count - place}) for place, job in enumerate(jobs)]


def write_plan(jobs: Sequence[Job], folder: Path) -> Path:
    """The plan as the workflow reads it, in the folder of the sweep."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f".plan-{os.getpid()}.json"
    path.write_text(json.dumps([asdict(job) for job in jobs]), encoding="utf-8")
    return path
