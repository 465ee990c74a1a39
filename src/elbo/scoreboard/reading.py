"""Numbers with their errors out of tidy tables, by a closed vocabulary; nothing in a claims file is ever evaluated as
code.

A reading is a mapping::

    column: bound                 which column
    where: {split: test}          rows with this value (or one of a list of values; "*": any value at all)
    at: {samples: max}            of those, the rows at the largest (min: smallest) value of a column
    within: seed                  the extreme of ``at`` in each group of rows with the same value of a column
    take: mean                    what to do with several rows, see TAKE; the default insists on exactly one
    error: se                     column of the standard error; several are added in quadrature; in a mean over rows
                                  errors are taken as fully correlated, which is never too small; sem: standard
                                  error over the rows that are averaged, also in a list with columns; none: exact
    per: seed                     rows of the same seed are averaged first, so that rows are runs
    inner: log regrowth           with ``per``: what they come down to in place of their mean, see TAKE
    seeds: rows                   how many runs stand behind it: rows, a column, or a setting of the run
    votes: 2000                   with ``error: votes``: of a share of so many independent votes
    scale: 100                    factor for number and error
    along: beta                   a series over this column instead of one number
    from: paper/<figure>          read in another table than the source's, cut to the same case
    interpolate: [samples, end]   the column read at the place along ``samples`` that the reading ``end`` gives,
                                  straight in the logarithm between rows; beyond the last row the last one, before the
                                  first nothing

or ``{ratio: [a, b]}``, ``{difference: [a, b]}`` of two readings named before it, errors taken as independent.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd

from elbo.scoreboard.tables import Missing, Origin

__all__ = ["DERIVED", "KEYS", "TAKE", "Number", "Series", "common", "read", "select"]


class Number(NamedTuple):
    """A value with its standard error (0: exact, NaN: not known) and the number of runs behind it (0: not a matter of
    runs)."""

    value: float
    error: float = 0.0
    seeds: int = 0


class Series(NamedTuple):
    """Numbers in the order of ``x``."""

    x: tuple[float, ...]
    numbers: tuple[Number, ...]


TAKE = {
    "mean": np.mean,
    "upper half": lambda values: np.mean(_upper(values)),
    "median": np.median,
    "min": np.min,
    "max": np.max,
    "first": lambda values: values[0],
    "last": lambda values: values[-1],
    "range": np.ptp,
    "count distinct": lambda values: float(len(np.unique(values))),
    "closest": lambda values: np.diff(np.sort(values)).min() if len(values) > 1 else math.nan,
    "regrowth": lambda values: _regrowth(values),
    "log regrowth": lambda values: math.log(_regrowth(values)),
}
"""What several rows come down to: ``upper half`` is the mean of what is left when the lower half is dropped,
``closest`` is the smallest distance between two of them, ``regrowth`` the factor by which steps from row to row grow
again after their smallest (an elbow: 1 for a curve whose steps only shrink)."""

DERIVED = {
    "ratio": lambda a, b: _ratio(a, b),
    "difference": lambda a, b: Number(a.value - b.value, math.hypot(a.error, b.error), _both(a, b)),
}
KEYS = {
    "column",
    "where",
    "at",
    "take",
    "error",
    "seeds",
    "scale",
    "along",
    "per",
    "from",
    "interpolate",
    "votes",
    "within",
    "inner",
}


def read(spec: Mapping, table: pd.DataFrame, origin: Origin, known: Mapping[str, Number]) -> Number | Series:
    """One reading of ``table``; ``known`` holds the readings before it.

    Raises:
        Missing: the table has no such column or rows, or several rows where one was asked for.
    """
    for name, combine in DERIVED.items():
        if name in spec:
            return combine(*(known[other] for other in spec[name]))
    rows = select(table, spec.get("where", {}), spec.get("at", {}), spec.get("within", ""))
    if along := spec.get("interpolate"):
        return _between(rows, spec["column"], along[0], known[along[1]].value)
    if per := spec.get("per"):
        keys = [key for key in (per, spec.get("along")) if key]
        _column(rows, per), _numbers(rows, spec["column"])
        columns = [spec["column"], *(name for name in _columns(spec["error"]) if name in rows)]
        inner = spec.get("inner", "mean")
        rows = rows.groupby(keys)[columns].agg(lambda column: TAKE[inner](column.to_numpy(float))).reset_index()
    if along := spec.get("along"):
        groups = sorted(_column(rows, along).unique())
        return Series(tuple(groups), tuple(_number(spec, rows[rows[along] == x], origin) for x in groups))
    return _number(spec, rows, origin)


def select(table: pd.DataFrame, where: Mapping, at: Mapping | None = None, within: str = "") -> pd.DataFrame:
    """The rows of a table that have the values of ``where``, then those at the extremes that ``at`` names, of all rows
    or of those that have the same value of the column ``within``.

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
        groups = column.groupby(_column(rows, within)) if within else None
        rows = rows[column == (getattr(column, extreme)() if groups is None else groups.transform(extreme))]
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
    if error == "votes":
        return math.sqrt(max(value * (1 - value), 1 / spec["votes"]) / spec["votes"])
    if take == "upper half":
        values = _upper(values)
    over_rows = float(values.std(ddof=1) / math.sqrt(len(values))) if len(values) > 1 else math.nan
    columns = _columns(error)
    if not columns:
        return over_rows
    parts = np.array([_numbers(rows, name) for name in columns])
    errors = np.where(
        np.isnan(parts).all(0), np.nan, np.sqrt(np.nansum(parts**2, 0))
    )  # one seed has no error over seeds
    if isinstance(error, list) and "sem" in error:
        return float(
            math.hypot(0.0 if math.isnan(over_rows) else over_rows, errors.mean())
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


def _upper(values: np.ndarray) -> np.ndarray:
    return np.sort(values)[len(values) // 2 :]


def _columns(error: str | list[str]) -> list[str]:
    """The columns that an error is made of."""
    return [name for name in ([error] if isinstance(error, str) else error) if name not in ("none", "sem", "votes")]


def _between(rows: pd.DataFrame, column: str, along: str, place: float) -> Number:
    table = rows.sort_values(along)
    x, y = _numbers(table, along), _numbers(table, column)
    if place < x[0]:
        raise Missing(f"{column} begins at {x[0]:g} of {along}, after {place:g}")
    return Number(float(np.interp(np.log(place), np.log(x), y)))


def common(table: pd.DataFrame, along: str) -> pd.DataFrame:
    """The rows up to the largest value of ``along`` that every algorithm and every seed of the table has reached."""
    keys = [key for key in ("algorithm", "seed") if key in table]
    column = _column(table, along)
    reached = [set(part) for _, part in column.groupby([table[key] for key in keys])] if keys else [set(column)]
    shared = set.intersection(*reached)
    if not shared:
        raise Missing(f"no value of {along} that all curves share")
    return table[column <= max(shared)]


def _regrowth(values: np.ndarray) -> float:
    steps = np.abs(np.diff(values))
    steps = steps[steps > 1e-9 * np.abs(values).max()]  # smaller ones are rounding
    if not len(steps):
        return 1.0
    smallest = np.minimum.accumulate(steps)
    return float(np.max(steps / smallest))


def _ratio(a: Number, b: Number) -> Number:
    if b.value == 0:
        raise Missing("a ratio with zero below")
    return Number(a.value / b.value, math.hypot(a.error / b.value, a.value * b.error / b.value**2), _both(a, b))


def _both(a: Number, b: Number) -> int:
    return min(a.seeds, b.seeds) if a.seeds and b.seeds else max(a.seeds, b.seeds)
