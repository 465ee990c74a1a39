r"""Automatic differentiation variational inference: a Gaussian q for any differentiable log joint on the real line.

.. math:: \mathcal L(m, C) = E_{\epsilon \sim N(0, I)}[\log p(x, m + C \epsilon)] + \log|C| + \tfrac D2 \log 2\pi e

with C diagonal (mean field) or lower triangular (full rank); its gradient is that of the draws inside. Parameters with
bounds have to be mapped to the real line first, with the logarithm of the Jacobian added to the log joint.

Source: Kucukelbir, Tran, Ranganath, Gelman & Blei (2017), JMLR 18, arXiv:1603.00788.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Generator, Tensor

from elbo.densities import LOG_2PI

__all__ = ["AdviFit", "bound", "fit"]

LogJoint = Callable[[Tensor], Tensor]
"""``(draws, dim)`` to ``(draws,)`` nats."""


class AdviFit(NamedTuple):
    """The fitted Gaussian: ``mean`` (dim,), ``scale`` (dim, dim) with covariance ``scale scale^T``, and the noisy
    bounds on the way, one a step."""

    mean: Tensor
    scale: Tensor
    history: list[float]

    @property
    def cov(self) -> Tensor:
        """``(dim, dim)``."""
        return self.scale @ self.scale.T


def fit(
    log_joint: LogJoint,
    start: Tensor,
    generator: Generator,
    *,
    full_rank: bool,
    steps: int = 2000,
    draws: int = 16,
    rate: float = 0.05,
    start_sd: float = 1.0,
) -> AdviFit:
    """Climb the bound by Adam with a rate that falls to nothing, and average the second half of the way.

    Args:
        log_joint: unnormalised log density; differentiable.
        start: ``(dim,)``, where the mean begins; deviations begin at ``start_sd``.
        full_rank: a lower-triangular scale instead of a diagonal one.
        draws: of the noise at every step. rate: of Adam at the first step.

    Returns:
        :class:`AdviFit`; it is off the optimum by the noise of the gradient, which more steps and draws reduce.

    Raises:
        ValueError: the bound is not finite; the message says at which step.
    """
    dim = len(start)
    mean = start.clone().requires_grad_()
    log_diagonal = torch.full_like(start, math.log(start_sd)).requires_grad_()
    below = torch.zeros(dim, dim, dtype=start.dtype).requires_grad_()
    free = [mean, log_diagonal, below] if full_rank else [mean, log_diagonal]
    optimiser = torch.optim.Adam(free, lr=rate)
    plan = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: 0.5 * (1 + math.cos(math.pi * step / steps)))
    history, averages = [], [torch.zeros_like(part) for part in (mean, log_diagonal, below)]
    for step in range(steps):
        optimiser.zero_grad()
        value = bound(log_joint, mean, _scale(log_diagonal, below), draws, generator).mean()
        if not value.isfinite():
            raise ValueError(f"the bound is not finite at step {step}; start nearer to the posterior or lower the rate")
        (-value).backward()
        optimiser.step()
        plan.step()
        history.append(value.item())
        if step >= steps // 2:
            for average, part in zip(averages, (mean, log_diagonal, below)):
                average += part.detach() / (steps - steps // 2)
    return AdviFit(averages[0], _scale(averages[1], averages[2]), history)


def bound(log_joint: LogJoint, mean: Tensor, scale: Tensor, draws: int, generator: Generator) -> Tensor:
    """Unbiased draws of the bound, ``(draws,)`` nats, the entropy exact; their spread over root draws is its error."""
    noise = torch.randn(draws, len(mean), generator=generator, dtype=mean.dtype)
    entropy = scale.diagonal().log().sum() + 0.5 * len(mean) * (1 + LOG_2PI)
    return log_joint(mean + noise @ scale.T) + entropy


def _scale(log_diagonal: Tensor, below: Tensor) -> Tensor:
    return torch.diag(log_diagonal.exp()) + below.tril(-1)
