"""The table of a figure as columns of words and numbers, and what a file says of a table that it has no room for."""

from __future__ import annotations

import io
import math
from dataclasses import dataclass

import numpy as np

__all__ = ["Column", "columns"]


@dataclass(frozen=True)
class Column:
    """A column of a CSV file: its words, and its numbers (``nan`` for an empty cell) if it holds nothing else."""

    words: np.ndarray
    numbers: np.ndarray | None

    @property
    def whole(self) -> bool:
        """Whether it is written in whole numbers."""
        return all(not set(word) - set("+-0123456789") for word in self.words)

    def summary(self) -> dict[str, float]:
        present = self.words != ""
        described: dict[str, float] = {"count": int(present.sum())}
        if self.numbers is not None and np.isfinite(self.numbers[present]).any():
            finite = self.numbers[np.isfinite(self.numbers)]
            described |= {"min": float(finite.min()), "max": float(finite.max()), "mean": float(finite.mean())}
        return described


def columns(table: str) -> tuple[int, dict[str, Column]]:
    """``(number of rows, columns by name)`` of a CSV text.

    Raises:
        ValueError: the text is not a table.
    """
    import pandas as pd

    frame = pd.read_csv(io.StringIO(table), dtype=str, keep_default_na=False, skip_blank_lines=False)
    found = {}
    for name in frame.columns:
        words = frame[name].to_numpy(dtype=object)
        found[str(name)] = Column(words, _numbers(words))
    return len(frame), found


def _numbers(words: np.ndarray) -> np.ndarray | None:
    """The words as numbers, ``nan`` for an empty one; ``None`` if one of them is no number."""
    try:
        return np.array([float(word) if word else math.nan for word in words], dtype=float)
    except ValueError:
        return None
