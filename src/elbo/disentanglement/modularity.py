"""Modularity: does each code dimension speak of one factor only? Ridgeway & Mozer (2018), section 3."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from elbo.disentanglement.table import FactorIndex, check_codes, discretise, factor_index, mutual_information

__all__ = ["Modularity", "modularity"]


@dataclass(frozen=True)
class Modularity:
    """``score``: the mean of ``per_dimension`` ``(D,)``; ``mutual_information`` ``(D, K)`` nats."""

    score: float
    per_dimension: Tensor
    mutual_information: Tensor


def modularity(
    codes: Tensor, factors: Tensor | FactorIndex, *, which: Sequence[int] | None = None, bins: int = 20
) -> Modularity:
    r"""How far each dimension's mutual information is from a template with a single factor.

    .. math:: \mathrm{modularity}_d = 1 - \frac{\sum_{k \ne k^*} I_{dk}^2}{(K - 1)\, I_{d k^*}^2}, \qquad
              k^* = \arg\max_k I_{dk}.

    Ridgeway & Mozer (2018), section 3, with codes in 20 bins as in ``disentanglement_lib``, and 0 for a dimension
    that informs of nothing, so that unused dimensions lower the score. Counting error does not cancel here: a
    dimension of pure noise has small but similar information about all factors and may score anywhere, not 0. A code
    of noise is no known answer.

    Args:
        codes: ``(N, D)``; factors, which: as for :func:`elbo.disentanglement.higgins_score`.

    Returns:
        :class:`Modularity`, without sampling.

    Raises:
        ValueError: NaN, fewer than two bins or factors, codes that do not fit the factors.
    """
    index = factor_index(factors, which)
    codes = check_codes(codes, index)
    information = mutual_information(discretise(codes, bins), index)
    squared = information.square()
    highest = squared.amax(1)
    # Rounding leaves about 1e-15 nats where there is no information at all.
    nothing = information.amax(1) < 1e-12
    others = (squared.sum(1) - highest) / torch.where(nothing, 1.0, highest * (len(index.sizes) - 1))
    scores = torch.where(nothing, 0.0, 1 - others)
    return Modularity(scores.mean().item(), scores, information)
