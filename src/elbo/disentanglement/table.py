r"""What the metrics share: codes and factors, rows that agree in a factor, and mutual information by counting.

A metric sees codes ``(N, D)`` and integer factors ``(N, K)``, row by row the same images; no encoder. On a full grid of
factor values (dSprites) a uniformly drawn row has independent factors, as the published metrics assume. On any other
table "all other factors independent" holds only as far as it holds in the table.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol, runtime_checkable

import torch
from torch import Tensor

__all__ = [
    "CodeSource",
    "FactorIndex",
    "discretise",
    "draw_rows",
    "entropies",
    "factor_index",
    "mutual_information",
    "partners",
    "select",
]

Columns = Sequence[int] | None


@runtime_checkable
class CodeSource(Protocol):
    """Codes made when asked for: ``source[index]`` with ``index (batch,)`` gives ``(batch, D)``; ``len(source)`` is N.

    ``elbo.data.load("dsprites")`` is one, whose codes are the raw pixels.
    """

    def __getitem__(self, index: Tensor) -> Tensor: ...

    def __len__(self) -> int: ...


class FactorIndex(NamedTuple):
    """Factors sorted for drawing rows that agree in one of them; made by :func:`factor_index`, reusable."""

    labels: Tensor  # (N, K), values renumbered from 0 without gaps
    order: Tensor  # (K, N), rows sorted by the value of factor k
    first: Tensor  # (K, most values), where a value's rows start in order[k]
    count: Tensor  # (K, most values), how many rows have the value
    sizes: tuple[int, ...]  # how many values each factor has
    columns: tuple[int, ...]  # which columns of the caller's table these are


def factor_index(factors: Tensor | FactorIndex, which: Columns = None) -> FactorIndex:
    """Sort the rows of a table by each of its factors.

    Args:
        factors: ``(N, K)`` integers, any values; an index that is already made is returned as it is.
        which: the columns that count as factors; by default all that vary (so that dSprites' single color drops out).
            The others still vary from row to row.

    Returns:
        :class:`FactorIndex` on the device of ``factors``. Cost: K sorts of N integers, ``16 K N`` bytes.

    Raises:
        ValueError: no integers, an empty table, a column out of range, named twice or with a single value, fewer than
            two factors left.
    """
    if isinstance(factors, FactorIndex):
        if which is not None and tuple(which) != factors.columns:
            raise ValueError(f"this index holds the columns {factors.columns}; make another for {tuple(which)}")
        return factors
    _check_factors(factors)
    constant = (factors == factors[:1]).all(0).tolist()
    width = factors.shape[1]
    columns = tuple(which) if which is not None else tuple(k for k in range(width) if not constant[k])
    if len(set(columns)) != len(columns) or not all(0 <= k < width for k in columns):
        raise ValueError(f"which must name different columns from 0 to {width - 1}, got {columns}")
    if any(constant[k] for k in columns):
        raise ValueError(f"column {next(k for k in columns if constant[k])} has a single value; leave it out of which")
    if len(columns) < 2:
        raise ValueError(f"a metric needs at least two factors that vary, got columns {columns}; name more in which")
    labels = torch.stack([torch.unique(factors[:, k], return_inverse=True)[1] for k in columns], 1)
    sizes = tuple(int(column.max()) + 1 for column in labels.unbind(1))
    count = torch.stack([torch.bincount(column, minlength=max(sizes)) for column in labels.unbind(1)])
    order = torch.stack([column.argsort(stable=True) for column in labels.unbind(1)])
    return FactorIndex(labels, order, count.cumsum(1) - count, count, sizes, columns)


def draw_rows(index: FactorIndex, shape: Sequence[int], generator: torch.Generator) -> Tensor:
    """Draw rows uniformly with replacement: ``shape`` of int64, on the device of the index."""
    rows = torch.randint(len(index.labels), tuple(shape), generator=generator, device=generator.device)
    return rows.to(index.order.device)


def partners(index: FactorIndex, factor: Tensor, rows: Tensor, generator: torch.Generator) -> Tensor:
    """For each row another (or the same) one that agrees with it in one factor, uniformly among those.

    Args:
        factor: which factor, from 0 to K - 1; broadcast against ``rows``.

    Returns:
        Rows in the shape of ``rows``. Cost: two gathers a row.
    """
    uniform = torch.rand(rows.shape, generator=generator, device=generator.device, dtype=torch.float64).to(rows.device)
    factor = factor.expand(rows.shape)
    value = index.labels[rows, factor]
    place = index.first[factor, value] + (uniform * index.count[factor, value]).long()
    return index.order[factor, place]


def select(codes: Tensor | CodeSource, rows: Tensor) -> Tensor:
    """Codes of rows ``(...)``: ``(..., D)``, floating (whole numbers become float64).

    Raises:
        ValueError: a code that is not finite, or a source that does not answer with ``(batch, D)``.
    """
    found = codes[rows.reshape(-1)]
    if not isinstance(found, Tensor) or found.dim() != 2 or len(found) != rows.numel():
        got = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
        raise ValueError(f"codes[index] must be a tensor (batch, D) for an index (batch,), got {got}")
    found = found if found.is_floating_point() else found.double()
    if not bool(found.isfinite().all()):
        raise ValueError("codes hold NaN or infinity; a model that diverged has no score, leave it out by name")
    return found.view(*rows.shape, -1)


def check_codes(
    codes: Tensor | CodeSource, index: FactorIndex, *, dims: int = 1, table: bool = True
) -> Tensor | CodeSource:
    """Codes that fit the factors; a tensor comes back detached and floating (whole numbers as float64).

    Raises:
        ValueError: another number of rows than the factors, another device, fewer than ``dims`` dimensions, NaN or
            infinity, or (with ``table``) no tensor.
    """
    rows = len(index.labels)
    if not isinstance(codes, Tensor):
        if table or not isinstance(codes, CodeSource):
            raise ValueError(f"codes must be a tensor (N, D), got {type(codes).__name__}; encode the images once")
        if len(codes) != rows:
            raise ValueError(f"codes and factors must have the same rows, got {len(codes)} and {rows}")
        return codes
    if codes.dim() != 2 or codes.shape[0] != rows or codes.shape[1] < dims:
        shape = tuple(codes.shape)
        raise ValueError(f"codes must be ({rows}, D) like the factors' rows, D at least {dims}, got {shape}")
    if codes.device != index.order.device:
        raise ValueError(f"codes are on {codes.device}, factors on {index.order.device}; move one of them")
    codes = codes.detach() if codes.is_floating_point() else codes.double()
    if not bool(codes.isfinite().all()):
        raise ValueError("codes hold NaN or infinity; a model that diverged has no score, leave it out by name")
    return codes


def discretise(codes: Tensor, bins: int = 20) -> Tensor:
    """Bin numbers of codes in ``bins`` bins of equal width from each dimension's least to its greatest; a constant
    dimension falls in one bin. ``(N, D) -> (N, D)`` int64. The rule of Locatello et al. (2019), 20 bins.
    """
    if bins < 2:
        raise ValueError(f"bins must be at least 2, got {bins}; the field's choice is 20")
    low, high = codes.amin(0), codes.amax(0)
    width = torch.where(high > low, high - low, torch.ones_like(low))
    return ((codes - low) / width * bins).long().clamp_(0, bins - 1)


def mutual_information(bins: Tensor, index: FactorIndex) -> Tensor:
    r"""Plug-in mutual information of discrete codes and factors, from the joint counts.

    .. math:: \hat I_{dk} = \sum_{b, v} \hat p(b, v) \log \frac{\hat p(b, v)}{\hat p(b)\, \hat p(v)}

    Args:
        bins: ``(N, D)`` int64 from 0 on, see :func:`discretise`.

    Returns:
        ``(D, K)`` nats, float64. Exact for the table as a distribution; as an estimate from N independent rows it is
        too high by about (codes' bins - 1)(values - 1) / 2N nats. Cost: O(N D K).
    """
    codes = int(bins.max()) + 1
    result = torch.empty(bins.shape[1], len(index.sizes), dtype=torch.float64, device=bins.device)
    for k, size in enumerate(index.sizes):
        labels = index.labels[:, k]
        for d in range(bins.shape[1]):
            counts = torch.bincount(bins[:, d] * size + labels, minlength=codes * size)
            joint = counts.view(codes, size).double() / len(bins)
            result[d, k] = _entropy(joint.sum(0)) + _entropy(joint.sum(1)) - _entropy(joint)
    return result.clamp_min_(0)


def entropies(index: FactorIndex) -> Tensor:
    """Entropies of the factors in the table, ``(K,)`` nats."""
    return torch.stack([_entropy(count.double() / len(index.labels)) for count in index.count])


def _entropy(p: Tensor) -> Tensor:
    return torch.special.entr(p).sum()


def _check_factors(factors: Tensor) -> None:
    if factors.dim() != 2 or len(factors) == 0 or factors.is_floating_point() or factors.dtype == torch.bool:
        got = f"{factors.dtype} {tuple(factors.shape)}"
        raise ValueError(f"factors must be integers (N, K), at least one row, got {got}; give indices, not values")
