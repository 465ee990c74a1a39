"""Compare two tables of a figure cell by cell: the same, the same within tolerance, or
different, where and by how much.

What a cell may differ by is told from its column:

* A column with a standard error may differ by ``k`` standard errors of the difference of two independent runs,
  ``sqrt(se_recorded^2 + se_now^2)``. The standard error of ``name`` is the column ``name_se`` or
  ``se_name``; a column named ``se`` or ``se_...`` after which no column is named belongs to the nearest
  column on its left, and two of them add up.
* A standard error is itself uncertain, the more so from few seeds: it may differ by a factor of ten.
* Any other column of numbers may differ by rounding: by a fraction of the largest value in the column. Whole
  numbers and words must be the same.
* Measured times (``seconds`` or ``..._seconds``) are never the same twice and are not compared.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from elbo.companion.record.columns import Column, columns

__all__ = ["ROUNDING", "STANDARD_ERRORS", "Cell", "Comparison", "compare", "compare_summary"]

STANDARD_ERRORS = 4.0
"""How many standard errors two runs may be apart, where a reader does not say."""
ROUNDING = 1e-5
"""Fraction of the largest value of its column that a number may be off; single precision keeps seven digits."""
_SE_FACTOR = 10.0


@dataclass(frozen=True)
class Cell:
    """One place where two tables differ; ``row`` counts from 1 below the header.

    Attributes:
        errors: the difference in standard errors, ``None`` where the column has none.
        relative: the difference as a fraction of the largest value of the column, ``None`` for words.
        allowed: whether that is within tolerance.
    """

    row: int | None
    column: str
    recorded: str
    now: str
    errors: float | None = None
    relative: float | None = None
    allowed: bool = False

    def sentence(self) -> str:
        where = f"row {self.row}, column {self.column}" if self.row else f"column {self.column}"
        by = ""
        if self.errors is not None:
            by = f", {self.errors:.3g} standard errors apart"
        elif self.relative is not None:
            by = f", apart by {self.relative:.2g} of the column's largest value"
        return f"{where}: recorded {self.recorded}, now {self.now}{by}"


@dataclass(frozen=True)
class Comparison:
    """The outcome: ``verdict`` is ``identical``, ``within tolerance`` or ``different``.

    Attributes:
        sentence: the verdict in words, with the largest difference.
        cells: the places that are too far apart, the worst first; none unless ``different``.
        times: columns that were not compared.
    """

    verdict: str
    sentence: str
    cells: tuple[Cell, ...] = ()
    times: tuple[str, ...] = ()


def compare(
    recorded: str, now: str, standard_errors: float = STANDARD_ERRORS, rounding: float = ROUNDING
) -> Comparison:
    """Compare the CSV of another day with the one that a run has just made.

    Args:
        recorded: the older table.
        now: the newer.
        standard_errors: tolerance ``k`` of columns that have a standard error.
        rounding: tolerance of the other columns, as a fraction of the column's largest value.

    Raises:
        ValueError: one of them is not a table.
    """
    rows, before = columns(recorded)
    rows_now, after = columns(now)
    times = tuple(name for name in before if _is_time(name))
    if recorded == now:
        return Comparison(
            "identical", f"all {len(before)} columns of {rows} rows are the recorded ones, digit for digit"
        )
    if problem := _shape(rows, list(before), rows_now, list(after)):
        return Comparison("different", problem, (), times)
    errors = _errors_of(list(before))
    cells = [
        cell
        for name in before
        if name not in times
        for cell in _cells(name, before, after, errors, standard_errors, rounding)
    ]
    bad = sorted((cell for cell in cells if not cell.allowed), key=_badness, reverse=True)
    if bad:
        size = sum(name not in times for name in before) * rows
        return Comparison("different", f"{len(bad)} of {size} cells are out of tolerance", tuple(bad), times)
    if not cells:
        return Comparison(
            "identical", f"every number of {rows} rows is the recorded one; measured times are not compared", (), times
        )
    return Comparison("within tolerance", _closeness(cells), (), times)


def compare_summary(recorded: dict[str, Any], now: dict[str, Any], rounding: float = ROUNDING) -> Comparison:
    """Compare two :func:`elbo.companion.record.embedded.summary`, where the table itself is not at hand."""
    before, after = recorded["columns"], now["columns"]
    times = tuple(name for name in before if _is_time(name))
    if problem := _shape(recorded["rows"], list(before), now["rows"], list(after)):
        return Comparison("different", problem, (), times)
    cells = []
    for name in before:
        scale = max((abs(before[name].get(key, 0.0)) for key in ("min", "max")), default=0.0)
        for key in sorted(before[name].keys() | after[name].keys()):
            one, other = before[name].get(key, math.nan), after[name].get(key, math.nan)
            allowed = 0.0 if key == "count" else rounding * scale
            if name not in times and not abs(one - other) <= allowed:
                cells.append(Cell(None, f"{name} ({key})", f"{one:.6g}", f"{other:.6g}"))
    if cells:
        return Comparison(
            "different", f"{len(cells)} entries of the table's summary are out of tolerance", tuple(cells), times
        )
    return Comparison(
        "within tolerance",
        "within rounding, as far as the summary of the table tells: number, least, largest and mean value of "
        f"{len(before)} columns",
        (),
        times,
    )


def _shape(rows: int, names: list[str], rows_now: int, names_now: list[str]) -> str | None:
    if names != names_now:
        lost = [name for name in names if name not in names_now]
        new = [name for name in names_now if name not in names]
        said = [f"without {', '.join(lost)}"] * bool(lost) + [f"with {', '.join(new)}"] * bool(new)
        return f"the table has other columns now: {' and '.join(said) or 'in another order'}"
    return f"the table had {rows} row{'s' * (rows != 1)} and has {rows_now} now" if rows != rows_now else None


def _is_time(name: str) -> bool:
    return name == "seconds" or name.endswith("_seconds")


def _errors_of(names: list[str]) -> dict[str, list[str]]:
    """For every column the columns that hold its standard error (see the module's text)."""
    found: dict[str, list[str]] = {}
    left: str | None = None
    for name in names:
        if name.endswith("_se") and name.removesuffix("_se") in names:
            found.setdefault(name.removesuffix("_se"), []).append(name)
        elif name.startswith("se_") and name.removeprefix("se_") in names:
            found.setdefault(name.removeprefix("se_"), []).append(name)
        elif (name == "se" or name.startswith("se_")) and left:
            found.setdefault(left, []).append(name)
        else:
            left = name
    return found


def _cells(
    name: str,
    before: dict[str, Column],
    after: dict[str, Column],
    errors: dict[str, list[str]],
    standard_errors: float,
    rounding: float,
) -> list[Cell]:
    """The cells of one column that are not the same, each with how far they are apart."""
    one, other = before[name], after[name]
    if one.numbers is None or other.numbers is None:
        unlike = np.flatnonzero(one.words != other.words)
        return [Cell(int(i) + 1, name, one.words[i], other.words[i]) for i in unlike]
    with np.errstate(invalid="ignore", over="ignore"):
        apart = np.abs(one.numbers - other.numbers)
    same = (one.numbers == other.numbers) | (np.isnan(one.numbers) & np.isnan(other.numbers))
    finite = np.abs(np.concatenate([one.numbers, other.numbers]))
    scale = finite[np.isfinite(finite)].max(initial=0.0)
    se = _combined(errors.get(name, []), before, after)
    is_error = any(name in members for members in errors.values())
    cells = []
    for i in np.flatnonzero(~same):
        relative = float(apart[i] / scale) if scale else math.inf
        allowed = relative <= rounding and not (one.whole and other.whole)
        multiple = None
        if se is not None and se[i] > 0:
            multiple = float(apart[i] / se[i])
            allowed = allowed or multiple <= standard_errors
        elif is_error:
            low, high = sorted((one.numbers[i], other.numbers[i]))
            allowed = allowed or 0 < high <= _SE_FACTOR * low
        cells.append(Cell(int(i) + 1, name, one.words[i], other.words[i], multiple, relative, bool(allowed)))
    return cells


def _combined(names: list[str], before: dict[str, Column], after: dict[str, Column]) -> np.ndarray | None:
    """Standard error of the difference of two independent runs, from their columns of standard errors."""
    columns = [table[name].numbers for name in names for table in (before, after)]
    parts = [part for part in columns if part is not None]
    return np.sqrt(np.nansum(np.square(np.stack(parts)), axis=0)) if parts else None


def _badness(cell: Cell) -> float:
    for value in (cell.errors, cell.relative):
        if value is not None and not math.isnan(value):
            return value
    return math.inf


def _closeness(cells: list[Cell]) -> str:
    """How close two tables are that agree within tolerance."""
    rounded = [cell for cell in cells if cell.errors is None and cell.relative is not None]
    estimated = [cell for cell in cells if cell.errors is not None]
    said = []
    if estimated:
        worst = max(estimated, key=_badness)
        said.append(
            f"within {max(worst.errors or 0.0, 0.01):.2g} standard errors; "
            f"the largest difference is in {worst.sentence()}"
        )
    if rounded:
        worst = max(rounded, key=_badness)
        start = "the columns without a standard error agree" if estimated else "within rounding: the columns agree"
        said.append(f"{start} to {worst.relative:.1g} of their largest value")
    return "; ".join(said)
