r"""The terms of Hoffman and Johnson's split for codes on a line, by quadrature instead of drawn codes.

The trapezoid rule on a grid that is fine against the narrowest encoding converges faster than any power of its step for
these integrands; grids and sums are not those of the scripts.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from elbo.densities import gaussian_log_prob, standard_gaussian_kl, standard_gaussian_log_prob
from elbo.estimators import log_aggregate_posterior

__all__ = ["Split", "split", "tensor"]

PER_SD, SDS = 16, 10
"""Points for each standard deviation, and how many of these lie beyond the outermost code."""


class Split(NamedTuple):
    """Average KL to the prior and its two parts, nats."""

    average_kl: float
    information: float
    marginal_kl: float


def split(mean: Tensor, sd: float) -> Split:
    r"""Split the average KL of ``q(z | x_n) = N(mean_n, sd^2)`` from the prior N(0, 1).

    .. math:: I = \frac1N\sum_n\int q_n \log\frac{q_n}{q}, \qquad KL(q \| p) = \int q \log\frac{q}{p}

    Hoffman & Johnson (2016). Each term is computed for itself; the sum is left to the tests.

    Args:
        mean: ``(N,)`` in float64.

    Cost: O(N (range / sd + 20) PER_SD).
    """
    low, high = mean.min().item() - SDS * sd, mean.max().item() + SDS * sd
    z = torch.linspace(low, high, int((high - low) / sd * PER_SD) + 1, dtype=torch.float64).unsqueeze(-1)
    step = (z[1] - z[0]).item()
    mean = mean.unsqueeze(-1)
    log_var = torch.full_like(mean, 2 * float(torch.log(torch.tensor(sd, dtype=torch.float64))))
    log_q = log_aggregate_posterior(z, mean, log_var)  # (points,)
    log_own = gaussian_log_prob(z.unsqueeze(1), mean, log_var)  # (points, N)
    information = (log_own.exp() * (log_own - log_q.unsqueeze(1))).mean(1).sum().item() * step
    marginal = (log_q.exp() * (log_q - standard_gaussian_log_prob(z))).sum().item() * step
    return Split(standard_gaussian_kl(mean, log_var).mean().item(), information, marginal)


def tensor(*values: float) -> Tensor:
    """A float64 vector."""
    return torch.tensor(values, dtype=torch.float64)
