"""Numbers with their errors out of tidy tables, by a closed vocabulary; nothing in a claims file is ever evaluated as code.

A reading is a mapping::

    column: bound                 which column
    where: {split: test}          rows with this value (or one of a list of values; "*": any value at all)
    at: {samples: max}            of those, the rows at the largest (min: smallest) value of a column
    take: mean                    what to do with several rows, see TAKE; the default insists on exactly one
    error: se                     column of the standard error; several are added in quadrature; in a mean over rows
                                  errors are taken as fully correlated, which is never too small; sem: standard
                                  error over the rows that are averaged; none: the number is exact
    per: seed                     rows of the same seed are averaged first, so that rows are runs
    seeds: rows                   how many runs stand behind it: rows, a column, or a setting of the run
    scale: 100                    factor for number and error
    along: beta                   a series over this column instead of one number

or ``{ratio: [a, b]}``, ``{difference: [a, b]}`` of two readings named before it, errors taken as independent.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd

from elbo.scoreboard.tables import Missing, Origin

__all__ = ["DERIVED", "KEYS", "TAKE", "Number", "Series", "read", "select"]


class Number(NamedTuple):
    """A value with its standard error (0: exact, NaN: not known) and the number of runs behind it (0: not a matter of runs)."""

    value: float
    error: float = 0.0
    seeds: int = 0


class Series(NamedTuple):
    """Numbers in the order of ``x``."""

    x: tuple[float, ...]
    numbers: tuple[Number, ...]


TAKE = {
    "mean": np.mean,
    "median": np.median,
    "min": np.min,
    "max": np.max,
    "first": lambda values: values[0],
    "last": lambda values: values[-1],
    "range": np.ptp,
    "count distinct": lambda values: float(len(np.unique(values))),
    "closest": lambda values: np.diff(np.sort(values)).min() if len(values) > 1 else math.nan,
    "regrowth": lambda values: _regrowth(values),
}
"""What several rows come down to: ``closest`` is the smallest distance between two of them, ``regrowth`` the factor by which
steps from row to row grow again after their smallest (an elbow: 1 for a curve whose steps only shrink)."""

DERIVED = {
    "ratio": lambda a, b: _ratio(a, b),
    "difference": lambda a, b: Number(a.value - b.value, math.hypot(a.error, b.error), _both(a, b)),
}
KEYS = {"column", "where", "at", "take", "error", "seeds", "scale", "along", "per"}


def read(spec: Mapping, table: pd.DataFrame, origin: Origin, known: Mapping[str, Number]) -> Number | Series:
    """One reading of ``table``; ``known`` holds the readings before it.

    Raises:
        Missing: the table has no such column or rows, or several rows where one was asked for.
    """
    for name, combine in DERIVED.items():
        if name in spec:
            return combine(*(known[other] for other in spec[name]))
    rows = select(table, spec.get("where", {}), spec.get("at", {}))
    if per := spec.get("per"):
        keys = [key for key in (per, spec.get("along")) if key]
        _column(rows, per), _numbers(rows, spec["column"])
        rows = rows.groupby(keys, as_index=False)[spec["column"]].mean()
    if along := spec.get("along"):
        groups = sorted(_column(rows, along).unique())
        return Series(tuple(groups), tuple(_number(spec, rows[rows[along] == x], origin) for x in groups))
    return _number(spec, rows, origin)


def select(table: pd.DataFrame, where: Mapping, at: Mapping | None = None) -> pd.DataFrame:
    """The rows of a table that have the values of ``where``, then those at the extremes that ``at`` names.

    Raises:
        Missing: there are none.
    """
    rows = table
    for name, wanted in where.items():
        values = wanted if isinstance(wanted, list) else [wanted]
        column = _column(rows, name)
        rows = rows[np.any([_equal(column, value) for value in values], axis=0)]
    for name, extreme in (at or {}).items():
        column = _column(rows, name)
        rows = rows[column == getattr(column, extreme)()]
    if rows.empty:
        raise Missing(f"no rows with {dict(where)}{f' at {dict(at)}' if at else ''}")
    return rows


def _number(spec: Mapping, rows: pd.DataFrame, origin: Origin) -> Number:
    values = _numbers(rows, spec["column"])
    take, scale = spec.get("take"), spec.get("scale", 1)
    if take is None and len(values) != 1:
        raise Missing(f"{len(values)} rows of {spec['column']} where there should be one")
    value = values[0] if take is None else TAKE[take](values)
    if not math.isfinite(value):
        raise Missing(f"{spec['column']} has no finite value")
    return Number(
        float(value) * scale, _error(spec, rows, values, value) * scale, _seeds(spec.get("seeds"), rows, origin)
    )


def _error(spec: Mapping, rows: pd.DataFrame, values: np.ndarray, value: float) -> float:
    error, take = spec["error"], spec.get("take")
    if error == "none":
        return 0.0
    if error == "sem":
        return float(values.std(ddof=1) / math.sqrt(len(values))) if len(values) > 1 else math.nan
    columns = error if isinstance(error, list) else [error]
    parts = np.array([_numbers(rows, name) for name in columns])
    errors = np.where(
        np.isnan(parts).all(0), np.nan, np.sqrt(np.nansum(parts**2, 0))
    )  # one seed has no error over seeds
    if take == "mean":
        return float(errors.mean())
    return float(errors[{"first": 0, "last": -1}.get(take, int(np.abs(values - value).argmin()))])


def _seeds(spec: str | None, rows: pd.DataFrame, origin: Origin) -> int:
    if spec is None:
        return 0
    if spec == "rows":
        return len(rows)
    if spec in rows:
        return int(rows[spec].iloc[0]) if spec != "seed" else int(rows[spec].nunique())
    if spec in origin.settings:
        setting = origin.settings[spec]
        return len(setting) if isinstance(setting, list) else int(setting)
    raise Missing(f"neither a column nor a setting {spec}")


def _numbers(table: pd.DataFrame, name: str) -> np.ndarray:
    try:
        return _column(table, name).to_numpy(float)
    except (TypeError, ValueError):
        raise Missing(f"column {name} does not hold numbers") from None


def _column(table: pd.DataFrame, name: str) -> pd.Series:
    if name not in table:
        raise Missing(f"no column {name}")
    return table[name]


def _equal(column: pd.Series, value) -> np.ndarray:
    if value == "*":
        return column.notna().to_numpy(bool)
    if isinstance(value, (int, float)) and pd.api.types.is_numeric_dtype(column):
        return np.isclose(column.to_numpy(float), value, rtol=1e-9, atol=0.0)
    return (column == value).to_numpy(bool)


def _regrowth(values: np.ndarray) -> float:
    steps = np.abs(np.diff(values))
    smallest = np.minimum.accumulate(steps)
    return float(np.max(np.where(smallest > 0, steps / np.where(smallest > 0, smallest, 1.0), 1.0)))


def _ratio(a: Number, b: Number) -> Number:
    if b.value == 0:
        raise Missing("a ratio with zero below")
    return Number(a.value / b.value, math.hypot(a.error / b.value, a.value * b.error / b.value**2), _both(a, b))


def _both(a: Number, b: Number) -> int:
    return min(a.seeds, b.seeds) if a.seeds and b.seeds else max(a.seeds, b.seeds)
