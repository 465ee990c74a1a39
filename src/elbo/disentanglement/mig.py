"""The mutual information gap, of means counted in bins and of the posteriors themselves; Chen et al. (2018)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from elbo.disentanglement.table import FactorIndex, check_codes, discretise, entropies, factor_index, mutual_information
from elbo.estimators import draw_codes, log_dimension_marginals

__all__ = ["Mig", "mig", "mig_posterior"]


@dataclass(frozen=True)
class Mig:
    """``score``: the mean of ``gaps`` ``(K,)``; ``standard_error`` of the score (zero where nothing is drawn);
    ``mutual_information`` ``(D, K)`` and ``entropy`` ``(K,)`` of the factors, nats.
    """

    score: float
    standard_error: float
    gaps: Tensor
    mutual_information: Tensor
    entropy: Tensor


def mig(codes: Tensor, factors: Tensor | FactorIndex, *, which: Sequence[int] | None = None, bins: int = 20) -> Mig:
    r"""Mutual information gap of codes counted in bins, as in ``disentanglement_lib``.

    .. math:: \mathrm{MIG} = \frac1K \sum_k \frac{I(z_{d_1}; v_k) - I(z_{d_2}; v_k)}{H(v_k)},

    where :math:`d_1, d_2` are the dimensions most informative about factor k. Chen et al. (2018), equation 6, with the
    histogram of Locatello et al. (2019): posterior means in 20 bins of equal width.

    Args:
        codes: ``(N, D)`` with D at least 2; factors, which: as for :func:`elbo.disentanglement.higgins_score`.

    Returns:
        :class:`Mig`, without sampling; the bias of counting is stated at
        :func:`elbo.disentanglement.table.mutual_information`. One dimension may serve several
        factors; the gap does not mind.

    Raises:
        ValueError: fewer than two dimensions or bins, NaN, codes that do not fit the factors.
    """
    index = factor_index(factors, which)
    codes = check_codes(codes, index, dims=2)
    information, entropy = mutual_information(discretise(codes, bins), index), entropies(index)
    best = information.topk(2, dim=0).values
    gaps = (best[0] - best[1]) / entropy
    return Mig(gaps.mean().item(), 0.0, gaps, information, entropy)


def mig_posterior(
    mean: Tensor,
    log_var: Tensor,
    factors: Tensor | FactorIndex,
    *,
    generator: torch.Generator,
    samples: int = 2000,
    which: Sequence[int] | None = None,
) -> Mig:
    r"""Mutual information gap of the posteriors themselves, Chen et al. (2018), section 4.1, with the exact
    aggregated posterior.

    .. math:: I(z_d; v_k) = E_{q(n, z)} \log \frac{q(z_d \mid v_k(n))}{q(z_d)}, \qquad
              q(z_d \mid v_k = c) = \frac{1}{N_c} \sum_{n: v_k(n) = c} q(z_d \mid x_n).

    The rows are the whole population, so nothing is approximated but the outer mean, over ``samples`` codes.

    Args:
        mean, log_var: ``(N, D)`` encodings with D at least 2; N is the table, so subsample a large one first.
        factors, which: as for :func:`elbo.disentanglement.higgins_score`.

    Returns:
        :class:`Mig`; ``standard_error`` comes from the differences of the two best dimensions, code by code. Choosing
        the two by the same codes biases a gap of zero upwards by about a standard error. Cost: about
        ``samples * N * D * (1 + sum of 1 / sizes)`` exponentials.

    Raises:
        ValueError: shapes that do not fit, NaN, fewer than two dimensions or samples.
    """
    if samples < 2:
        raise ValueError(f"samples must be at least 2 for a standard error, got {samples}")
    index = factor_index(factors, which)
    mean = check_codes(mean, index, dims=2).double()
    log_var = check_codes(log_var, index, dims=2).double()
    row, z = draw_codes(mean, log_var, samples, generator)
    log_q = log_dimension_marginals(z, mean, log_var)  # (S, D)
    terms = torch.stack([_given_factor(index, k, row, z, mean, log_var) - log_q for k in range(len(index.sizes))], -1)
    information, entropy = terms.mean(0), entropies(index)  # (D, K), (K,)
    best = information.topk(2, dim=0)
    pairs = terms.gather(1, best.indices.expand(samples, 2, -1))  # (S, 2, K)
    each = ((pairs[:, 0] - pairs[:, 1]) / entropy).mean(1)
    gaps = (best.values[0] - best.values[1]) / entropy
    return Mig(gaps.mean().item(), each.std().item() / math.sqrt(samples), gaps, information, entropy)


def _given_factor(index: FactorIndex, k: int, row: Tensor, z: Tensor, mean: Tensor, log_var: Tensor) -> Tensor:
    """``log q(z_d | v_k)`` with each code's own value of factor k: ``(S, D)`` nats."""
    labels, result = index.labels[:, k], torch.empty_like(z)
    for value in labels[row].unique().tolist():
        drawn, group = labels[row] == value, labels == value
        result[drawn] = log_dimension_marginals(z[drawn], mean[group], log_var[group])
    return result
