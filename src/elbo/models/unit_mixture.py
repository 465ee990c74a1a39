r"""The Bayesian mixture of unit-variance Gaussians of Blei, Kucukelbir & McAuliffe (2017), section 3."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Generator, Tensor

from elbo.densities import LOG_2PI, gaussian_log_prob
from elbo.models.mixture_family import (
    Coefficients,
    Parameters,
    Statistics,
    component_log_likelihood,
    randn_like,
    require,
)

__all__ = ["UnitMixture", "UnitPosterior"]


class UnitPosterior(NamedTuple):
    r""":math:`q(\mu_k) = N(m_k, s_k^2 I)` for every component."""

    mean: Tensor  # (..., K, dim)
    var: Tensor  # (..., K)


@dataclass(frozen=True)
class UnitMixture:
    r"""Mixture of unit-variance Gaussians, Blei et al. (2017), section 2.1.

    .. math:: \mu_k \sim N(0, \sigma^2 I), \qquad c_n \sim \mathrm{Cat}(1/K, \dots, 1/K), \qquad
              x_n \mid c_n, \mu \sim N(\mu_{c_n}, I)

    Args:
        num_components: :math:`K`.
        mean_sd: :math:`\sigma`, the prior standard deviation of a component's mean.

    Raises:
        ValueError: ``num_components`` below one or ``mean_sd`` not positive.
    """

    num_components: int
    mean_sd: float = 5.0

    def __post_init__(self) -> None:
        require(self.num_components >= 1, f"num_components must be at least 1, got {self.num_components}")
        require(0 < self.mean_sd < math.inf, f"mean_sd must be positive and finite, got {self.mean_sd}")

    def sample_parameters(self, dim: int, generator: Generator) -> Parameters:
        """Draw the means from their prior (double precision); weights and precisions are constants."""
        shape = (self.num_components, dim)
        mean = self.mean_sd * torch.randn(shape, generator=generator, dtype=torch.float64, device=generator.device)
        log_weights = torch.full_like(mean[:, 0], -math.log(self.num_components))
        return Parameters(log_weights, mean, torch.ones_like(mean))

    def log_joint(self, x: Tensor, assignments: Tensor, mean: Tensor) -> Tensor:
        r""":math:`\log p(x, c, \mu)`, total nats, a scalar; ``x (n, dim)``, ``assignments (n,)``, ``mean (K, dim)``."""
        log_prior = gaussian_log_prob(mean, torch.zeros_like(mean), torch.full_like(mean, 2 * math.log(self.mean_sd)))
        log_lik = gaussian_log_prob(x, mean[assignments], torch.zeros_like(x))
        return log_prior.sum() + log_lik.sum() - len(x) * math.log(self.num_components)

    def posterior(self, stats: Statistics) -> UnitPosterior:
        r"""The update of the means, Blei et al. (2017), algorithm 2.

        .. math:: s_k^2 = \frac{1}{1/\sigma^2 + N_k}, \qquad m_k = s_k^2 \sum_n r_{nk} x_n
        """
        var = 1 / (self.mean_sd**-2 + stats.counts)
        total = stats.linear + stats.counts[..., None] * stats.centre
        return UnitPosterior(var[..., None] * total, var)

    def coefficients(self, q: UnitPosterior, centre: Tensor) -> Coefficients:
        r"""Expected log-likelihood of a datum: :math:`-\tfrac12 E\|x - \mu_k\|^2 - \tfrac D2 \log 2\pi - \log K`.

        Its softmax over ``k`` is the update of the assignments in algorithm 2 of Blei et al. (2017).
        """
        mean = q.mean - centre
        dim = mean.shape[-1]
        bias = -0.5 * (mean.square().sum(-1) + dim * q.var + dim * LOG_2PI) - math.log(self.num_components)
        return Coefficients(torch.full_like(mean, -0.5), mean, bias)

    def kl(self, q: UnitPosterior) -> Tensor:
        """KL of ``q(mu)`` from its prior, summed over components: ``(...)`` nats."""
        ratio = q.var / self.mean_sd**2
        dim = q.mean.shape[-1]
        return 0.5 * (dim * (ratio - 1 - ratio.log()) + q.mean.square().sum(-1) / self.mean_sd**2).sum(-1)

    def interpolate(self, q0: UnitPosterior, q1: UnitPosterior, rate: float) -> UnitPosterior:
        r"""Weighted mean of natural parameters :math:`(m/s^2, -1/2s^2)`: weight ``1 - rate`` on ``q0``, ``rate`` on
        ``q1``.
        """
        precision = (1 - rate) / q0.var + rate / q1.var
        share = rate / (q1.var * precision)
        return UnitPosterior(torch.lerp(q0.mean, q1.mean, share[..., None]), 1 / precision)

    def draw(self, q: UnitPosterior, generator: Generator) -> Parameters:
        """One draw of the means from ``q``."""
        mean = q.mean + q.var.sqrt()[..., None] * randn_like(q.mean, generator)
        return Parameters(torch.full_like(q.var, -math.log(self.num_components)), mean, torch.ones_like(mean))

    def location(self, q: UnitPosterior) -> tuple[Tensor, Tensor]:
        """Component means ``(..., K, dim)`` and how many data each stands for ``(..., K)``."""
        return q.mean, (1 / q.var - self.mean_sd**-2).clamp_min(0)

    def log_predictive(self, q: UnitPosterior, x: Tensor) -> Tensor:
        r"""Density of a new datum under ``q``: :math:`\log \tfrac1K \sum_k N(x; m_k, (1 + s_k^2) I)`; ``(batch, ...)``
        nats.

        The integral over ``q`` is exact; Blei et al. (2017), section 3.1, plug in :math:`m_k` instead, which drops
        :math:`s_k^2`.
        """
        precision = (1 / (1 + q.var))[..., None].expand_as(q.mean)
        log_weights = torch.full_like(q.var, -math.log(self.num_components))
        return component_log_likelihood(Parameters(log_weights, q.mean, precision), x).logsumexp(-1)

    def log_evidence_given(self, stats: Statistics) -> Tensor:
        r""":math:`\log p(x, c)` with the means integrated out, ``(...)`` total nats; ``stats`` of hard assignments.

        Per component and column :math:`-\tfrac12 [N_k \log 2\pi + \log(1 + \sigma^2 N_k) + \sum_n x_n^2 - m_k^2 /
        s_k^2]`.
        """
        q, counts, centre = self.posterior(stats), stats.counts[..., None], stats.centre
        squares = stats.quadratic + 2 * centre * stats.linear + counts * centre.square()
        explained = q.mean.square() / q.var[..., None]
        terms = counts * LOG_2PI + torch.log1p(self.mean_sd**2 * counts) + squares - explained
        return -0.5 * terms.sum((-1, -2)) - stats.counts.sum(-1) * math.log(self.num_components)
