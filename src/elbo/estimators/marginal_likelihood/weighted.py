"""The importance-weighted estimate of the evidence."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from elbo.estimators.marginal_likelihood.evidence import Evidence, Gaussian

__all__ = ["importance"]

CHUNK = 1000  # draws at a time


def importance(
    log_joint: Callable[[Tensor], Tensor], proposal: Gaussian, *, draws: int, generator: torch.Generator
) -> Evidence:
    r"""Importance sampling, :math:`\log \frac1L \sum_l p(x, z_l) / q(z_l)`, with :math:`z_l \sim q`.

    The estimate that Burda, Grosse & Salakhutdinov (2016) report with 5000 draws; the same number as
    :func:`elbo.estimators.bounds.importance_weighted_bound` for the same noise, for any Gaussian and in chunks of
    draws. From below in expectation, by about half the squared standard error; consistent. Its variance is finite only
    where ``q`` has tails heavy enough, :math:`\int p(x, z)^2 / q(z)\,dz < \infty`.

    Args:
        log_joint: ``(draws, batch, D) -> (draws, batch)`` nats.
        proposal: ``q``; of an encoder, ``Gaussian.diagonal(*model.encode(params, x))``.

    Returns:
        :class:`Evidence`. Cost: ``draws`` evaluations of the joint for each datum.
    """
    rows = []
    with torch.no_grad():
        for start in range(0, draws, CHUNK):
            shape = (min(CHUNK, draws - start), *proposal.mean.shape)
            kind: dict[str, Any] = {"dtype": proposal.mean.dtype, "device": proposal.mean.device}
            z = proposal.sample(torch.randn(shape, generator=generator, **kind))
            rows.append(log_joint(z) - proposal.log_prob(z))
    return Evidence.from_weights(torch.cat(rows))
