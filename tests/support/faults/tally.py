"""What was tried and what was wrong, a line for each family of faults."""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["Tally", "Wrong"]


class Wrong(AssertionError):
    """What a fault did that it must not; the message says it in a sentence."""


@dataclass
class Tally:
    """Counts by family; a case that went wrong is kept with the seed that repeats it."""

    tried: Counter[str] = field(default_factory=Counter)
    wrong: list[tuple[str, int, str]] = field(default_factory=list)
    notes: Counter[str] = field(default_factory=Counter)
    log: Path | None = None

    def add(self, family: str, seed: int, problem: str | None, note: str = "") -> None:
        self.tried[family] += 1
        if note:
            self.notes[f"{family}: {note}"] += 1
        if problem:
            self.wrong.append((family, seed, problem))
            print(f"WRONG {family} --seed {seed}: {problem}"[:1500], file=sys.stderr, flush=True)
        if self.log:
            line = {"at": round(time.time()), "family": family, "seed": seed, "wrong": problem, "note": note}
            with self.log.open("a") as stream:
                stream.write(json.dumps(line) + "\n")

    def lines(self) -> list[str]:
        wrong = Counter(family for family, _, _ in self.wrong)
        width = max((len(family) for family in self.tried), default=5)
        rows = [f"{family:{width}}  {count:6,} tried  {wrong[family]:4,} wrong" for family, count in self.tried.items()]
        rows.append(f"{'all':{width}}  {self.tried.total():6,} tried  {len(self.wrong):4,} wrong")
        repeats = [
            f"repeat: python -m faults {family.split(':')[0]} --count 1 --seed {seed}" for family, seed, _ in self.wrong
        ]
        return [*rows, *repeats]
