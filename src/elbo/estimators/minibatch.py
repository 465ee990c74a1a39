r"""The minibatch estimators of the aggregated posterior in common use, named, so that their bias can be shown.

Training code estimates :math:`\log q(z)` from the ``B`` encodings of one minibatch instead of all ``N``. The values are
surrogates for a gradient. As measurements they are biased, and the sum mutual information + total correlation +
dimension-wise KL comes out right whatever :math:`\log \hat q(z)` is, because it telescopes. Report
:func:`elbo.estimators.log_aggregate_posterior` instead.
"""

from __future__ import annotations

import math
from typing import Literal, NamedTuple, get_args

import torch
from torch import Tensor

from elbo.densities import LOG_2PI, gaussian_log_prob, standard_gaussian_log_prob

__all__ = ["BatchTerms", "Estimator", "batch_log_weights", "batch_terms"]

Estimator = Literal["in-batch", "weighted", "stratified", "misplaced", "repeated"]


class BatchTerms(NamedTuple):
    """The pointwise terms of the KL to the prior, one code of each datum; every field is ``(B,)`` nats.

    The three add up to ``log q(z_n | x_n) - log p(z_n)`` for any estimator, right or wrong.
    """

    mutual_information: Tensor  # log q(z_n | x_n) - log q^(z_n)
    total_correlation: Tensor  # log q^(z_n) - sum_d log q^(z_nd)
    dimension_kl: Tensor  # sum_d log q^(z_nd) - log p(z_nd)


def batch_log_weights(kind: Estimator, batch: int, num_data: int, like: Tensor) -> Tensor:
    r"""Logarithms of the weights ``W`` with which :math:`\hat q(z_i) = \sum_j W_{ij}\, q(z_i \mid x_j)`.

    * ``in-batch``: ``1 / B`` each. The minibatch is taken for the data set, the datum's own encoding included: the
      mutual information cannot exceed ``log B``.
    * ``weighted``: ``1 / (B N)``; minibatch weighted sampling, Chen et al. (2018), appendix C. ``log N`` lower, and
      in each dimension too.
    * ``stratified``: minibatch stratified sampling, Chen et al. (2018), appendix C: ``1 / N`` for the datum itself,
      ``(N - M) / (N M)`` for one other, ``1 / M`` for the rest, ``M = B - 1``. Every row adds up to one and
      :math:`\hat q` (not its logarithm) is unbiased.
    * ``misplaced``: the same with the weight ``1 / N`` in the first column instead of on the diagonal, an indexing
      slip that widely copied code contains. It behaves like ``in-batch``.
    * ``repeated``: the same slip, and the log-weights added in each dimension before the sum over dimensions.

    Args:
        like: gives device and dtype.

    Returns:
        ``(B, B)``.

    Raises:
        ValueError: an unknown kind, fewer than three data in the batch, or a batch larger than the data set.
    """
    if kind not in get_args(Estimator):
        raise ValueError(f"unknown estimator {kind!r}; choose one of {', '.join(get_args(Estimator))}")
    if not 3 <= batch <= num_data:
        raise ValueError(f"the batch must hold between 3 and num_data = {num_data} data, got {batch}")
    if kind == "in-batch":
        return like.new_full((batch, batch), -math.log(batch))
    if kind == "weighted":
        return like.new_full((batch, batch), -math.log(batch * num_data))
    others = batch - 1
    own, stratum = 1 / num_data, (num_data - others) / (num_data * others)
    weights = like.new_full((batch, batch), 1 / others)
    rows = torch.arange(batch, device=like.device)
    if kind == "stratified":
        weights[rows, rows] = own
        weights[rows, (rows + 1) % batch] = stratum
    else:
        weights[:, 0] = own
        weights[:, 1] = stratum
        weights[batch - 2, 0] = stratum
    return weights.log()


def batch_terms(z: Tensor, mean: Tensor, log_var: Tensor, num_data: int, kind: Estimator) -> BatchTerms:
    r"""The terms of Hoffman & Johnson (2016) and Chen et al. (2018) for one minibatch, under one of the common
    estimators.

    Args:
        z, mean, log_var: ``(B, D)``: one code of each datum in the batch, and the encodings.
        num_data: ``N``, the size of the data set that the batch was drawn from.
        kind: see :func:`batch_log_weights`.

    Returns:
        :class:`BatchTerms`. All but the sum are biased; average over batches for the expectation of the estimator.
        Cost: O(B^2 D) time and memory.

    Raises:
        ValueError: as :func:`batch_log_weights`.
    """
    log_weights = batch_log_weights(kind, z.shape[0], num_data, z)
    scaled = (z.unsqueeze(1) - mean).square() * torch.exp(-log_var)
    per_dim = -0.5 * (scaled + log_var + LOG_2PI)  # (B codes, B encodings, D)
    repeats = z.shape[1] if kind == "repeated" else 1
    joint = torch.logsumexp(per_dim.sum(-1) + repeats * log_weights, dim=1)
    product = torch.logsumexp(per_dim + log_weights.unsqueeze(-1), dim=1).sum(-1)
    return BatchTerms(
        mutual_information=gaussian_log_prob(z, mean, log_var) - joint,
        total_correlation=joint - product,
        dimension_kl=product - standard_gaussian_log_prob(z),
    )
