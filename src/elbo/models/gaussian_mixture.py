r"""Two Bayesian mixtures of Gaussians from Blei, Kucukelbir & McAuliffe (2017).

:class:`~elbo.models.unit_mixture.UnitMixture` is the model of section 3: unit variances, unknown means.
:class:`DiagonalMixture` is the model of appendix B, the one fitted to images: unknown weights, means and variances.
Each is a frozen record of its prior whose methods are the closed forms that conjugacy gives; no method loops over data.
"""

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
from elbo.models.unit_mixture import UnitMixture, UnitPosterior

__all__ = ["DiagonalMixture", "DiagonalPosterior", "UnitMixture", "UnitPosterior"]


class DiagonalPosterior(NamedTuple):
    r"""Dirichlet weights and Normal-Gamma components.

    .. math:: q(\pi) = \mathrm{Dir}(a), \quad q(\tau_{kd}) = \mathrm{Gamma}(\alpha_k, \beta_{kd}), \quad
              q(\mu_{kd} \mid \tau_{kd}) = N(m_{kd}, 1 / (b_k \tau_{kd}))
    """

    concentration: Tensor  # (..., K)        a
    mean: Tensor  # (..., K, dim)            m
    mean_precision: Tensor  # (..., K)       b
    shape: Tensor  # (..., K)                alpha
    rate: Tensor  # (..., K, dim)            beta


@dataclass(frozen=True)
class DiagonalMixture:
    r"""Mixture of diagonal Gaussians with everything unknown, Blei et al. (2017), appendix B.

    .. math:: \pi \sim \mathrm{Dir}(a_0), \quad \tau_{kd} \sim \mathrm{Gamma}(\alpha_0, \beta_0), \quad
              \mu_{kd} \mid \tau_{kd} \sim N(m_0, 1/(b_0 \tau_{kd})), \quad c_n \sim \mathrm{Cat}(\pi), \quad
              x_{nd} \mid c_n \sim N(\mu_{c_n d}, 1 / \tau_{c_n d})

    The Gamma has rate :math:`\beta_0` (mean :math:`\alpha_0/\beta_0`). An empty component returns to this prior, so
    more components than data, or than clusters, is no error: their weight goes to :math:`a_0 / (n + K a_0)`.

    Args:
        num_components: :math:`K`.
        concentration: :math:`a_0`; ``None`` means :math:`1/K`, the paper's.
        mean, mean_precision: :math:`m_0` (a number or ``(dim,)``) and :math:`b_0`.
        shape, rate: :math:`\alpha_0` and :math:`\beta_0` (a number or ``(dim,)``).

    Raises:
        ValueError: a hyperparameter outside its range.
    """

    num_components: int
    concentration: float | None = None
    mean: float | Tensor = 0.0
    mean_precision: float = 1.0
    shape: float = 1.0
    rate: float | Tensor = 1.0

    def __post_init__(self) -> None:
        require(self.num_components >= 1, f"num_components must be at least 1, got {self.num_components}")
        for name in ("a0", "mean_precision", "shape", "rate"):
            value = torch.as_tensor(getattr(self, name))
            said = f"{'concentration' if name == 'a0' else name} must be positive and finite"
            require(bool(((value > 0) & value.isfinite()).all()), f"{said}, got {value.tolist()}")
        require(bool(torch.as_tensor(self.mean).isfinite().all()), "the prior mean must be finite")

    @property
    def a0(self) -> float:
        """Prior concentration of each weight."""
        return 1 / self.num_components if self.concentration is None else self.concentration

    def prior(self, like: Tensor) -> DiagonalPosterior:
        """The prior in the shape of a posterior, ``(K,)`` and ``(K, dim)``, with dim, device and dtype of ``like``."""
        ones = like.new_ones(self.num_components, like.shape[-1])
        mean, rate = (torch.as_tensor(v, dtype=like.dtype, device=like.device) for v in (self.mean, self.rate))
        if any(v.ndim and v.shape != like.shape[-1:] for v in (mean, rate)):
            raise ValueError(f"prior mean and rate must be numbers or have the data's {like.shape[-1]} columns")
        counts = ones[:, 0]
        return DiagonalPosterior(
            self.a0 * counts, ones * mean, self.mean_precision * counts, self.shape * counts, ones * rate
        )

    def sample_parameters(self, dim: int, generator: Generator) -> Parameters:
        """Draw weights, means and precisions from the prior (double precision)."""
        prior = self.prior(torch.empty(dim, dtype=torch.float64, device=generator.device))
        return self.draw(prior, generator)

    def log_prior(self, params: Parameters) -> Tensor:
        r""":math:`\log p(\pi, \mu, \tau)`, ``(...)`` nats: a density over the simplex, :math:`\mu` and :math:`\tau`.

        Whoever changes variables adds the Jacobian.
        """
        p = self.prior(params.mean)
        log_pi, mean, tau = params
        dirichlet = torch.lgamma(p.concentration.sum()) - torch.lgamma(p.concentration).sum()
        dirichlet = dirichlet + ((self.a0 - 1) * log_pi).sum(-1)
        gamma = self.shape * p.rate.log() - math.lgamma(self.shape) + (self.shape - 1) * tau.log() - p.rate * tau
        normal = gaussian_log_prob(mean, p.mean, -(self.mean_precision * tau).log())
        return dirichlet + gamma.sum((-1, -2)) + normal.sum(-1)

    def log_joint(self, x: Tensor, params: Parameters, assignments: Tensor | None = None) -> Tensor:
        r""":math:`\log p(x, c, \pi, \mu, \tau)`, total nats ``(...)``; without assignments they are summed out.

        ``params`` may carry leading axes. Cost ``n * K * dim`` in memory; :func:`elbo.inference.gibbs.log_likelihood`
        sums in chunks.
        """
        per_component = component_log_likelihood(params, x)  # (n, ..., K)
        if assignments is None:
            return self.log_prior(params) + per_component.logsumexp(-1).sum(0)
        index = assignments.reshape(-1, *(1,) * (per_component.ndim - 1)).expand(*per_component.shape[:-1], 1)
        return self.log_prior(params) + per_component.gather(-1, index).squeeze(-1).sum(0)

    def posterior(self, stats: Statistics) -> DiagonalPosterior:
        r"""The conjugate update, Blei et al. (2017), appendix B.

        With :math:`\bar x_k` the mean and :math:`S_k` the scatter of the data given to ``k``:

        .. math:: a_k = a_0 + N_k, \quad b_k = b_0 + N_k, \quad m_k = \frac{b_0 m_0 + N_k \bar x_k}{b_k}, \quad
                  \alpha_k = \alpha_0 + \frac{N_k}{2}, \quad
                  \beta_k = \beta_0 + \frac12 \Big( S_k + \frac{b_0 N_k}{b_k} (\bar x_k - m_0)^2 \Big)

        The scatter is kept from going below zero by rounding, so :math:`\beta_k \ge \beta_0` and a constant column
        stays finite.
        """
        p, counts = self.prior(stats.linear), stats.counts[..., None]
        offset = stats.linear / counts.clamp_min(torch.finfo(counts.dtype).tiny)  # mean of the data, about the centre
        scatter = (stats.quadratic - stats.linear * offset).clamp_min(0)
        mean_precision = p.mean_precision + stats.counts
        share = counts / mean_precision[..., None]
        gap = offset + stats.centre - p.mean
        rate = p.rate + 0.5 * (scatter + self.mean_precision * share * gap.square())
        return DiagonalPosterior(
            p.concentration + stats.counts, p.mean + share * gap, mean_precision, p.shape + 0.5 * stats.counts, rate
        )

    def coefficients(self, q: DiagonalPosterior, centre: Tensor) -> Coefficients:
        r"""Expected log-likelihood of a datum and its assignment.

        .. math:: E_q[\log\pi_k] + \tfrac12 \sum_d \Big( E_q[\log\tau_{kd}] - \log 2\pi
                  - \frac{\alpha_k}{\beta_{kd}} (x_d - m_{kd})^2 - \frac{1}{b_k} \Big)
        """
        mean = q.mean - centre
        tau = q.shape[..., None] / q.rate
        log_tau = torch.digamma(q.shape)[..., None] - q.rate.log()
        log_pi = torch.digamma(q.concentration) - torch.digamma(q.concentration.sum(-1, keepdim=True))
        spread = log_tau - tau * mean.square() - 1 / q.mean_precision[..., None] - LOG_2PI
        return Coefficients(-0.5 * tau, tau * mean, log_pi + 0.5 * spread.sum(-1))

    def kl(self, q: DiagonalPosterior) -> Tensor:
        """KL of ``q(pi, mu, tau)`` from the prior: Dirichlet, then Gamma and Normal parts, ``(...)`` nats."""
        p = self.prior(q.mean)
        total, total0 = q.concentration.sum(-1), p.concentration.sum(-1)
        digammas = torch.digamma(q.concentration) - torch.digamma(total)[..., None]
        dirichlet = (
            torch.lgamma(total)
            - torch.lgamma(total0)
            + (
                torch.lgamma(p.concentration)
                - torch.lgamma(q.concentration)
                + (q.concentration - p.concentration) * digammas
            ).sum(-1)
        )
        shape, shape0 = q.shape[..., None], p.shape[..., None]
        gamma = (shape - shape0) * torch.digamma(shape) - torch.lgamma(shape) + torch.lgamma(shape0)
        gamma = gamma + shape0 * (q.rate / p.rate).log() + shape * (p.rate - q.rate) / q.rate
        ratio = (p.mean_precision / q.mean_precision)[..., None]
        shift = self.mean_precision * shape / q.rate * (q.mean - p.mean).square()
        normal = 0.5 * (ratio - 1 - ratio.log() + shift)
        return dirichlet + (gamma + normal).sum((-1, -2))

    def interpolate(self, q0: DiagonalPosterior, q1: DiagonalPosterior, rate: float) -> DiagonalPosterior:
        r"""Weighted mean of natural parameters :math:`(a, b, bm, \alpha, \beta + \tfrac12 b m^2)`: ``rate`` on ``q1``.

        Written without the subtraction of squares: :math:`\beta` gains the spread between the two means.
        """
        concentration, mean_precision, shape = (
            (1 - rate) * old + rate * new
            for old, new in (
                (q0.concentration, q1.concentration),
                (q0.mean_precision, q1.mean_precision),
                (q0.shape, q1.shape),
            )
        )
        share = (rate * q1.mean_precision / mean_precision)[..., None]
        between = 0.5 * (1 - rate) * q0.mean_precision[..., None] * share * (q1.mean - q0.mean).square()
        beta = (1 - rate) * q0.rate + rate * q1.rate + between
        return DiagonalPosterior(concentration, torch.lerp(q0.mean, q1.mean, share), mean_precision, shape, beta)

    def draw(self, q: DiagonalPosterior, generator: Generator) -> Parameters:
        """One draw of weights, precisions and means; log-weights stay finite however small the concentration."""
        log_gamma = _log_gamma_draw(q.concentration, generator)
        shape = q.shape[..., None].expand_as(q.rate)
        precision = torch.exp(_log_gamma_draw(shape, generator) - q.rate.log())
        sd = (q.mean_precision[..., None] * precision).rsqrt()
        return Parameters(log_gamma.log_softmax(-1), q.mean + sd * randn_like(q.mean, generator), precision)

    def location(self, q: DiagonalPosterior) -> tuple[Tensor, Tensor]:
        """Component means ``(..., K, dim)`` and how many data each stands for ``(..., K)``."""
        return q.mean, (q.concentration - self.a0).clamp_min(0)

    def log_predictive(self, q: DiagonalPosterior, x: Tensor) -> Tensor:
        r"""Density of a new datum under ``q``: a mixture of products of Student t densities; ``(batch, ...)`` nats.

        .. math:: \log \sum_k \frac{a_k}{\sum_j a_j} \prod_d
                  \mathrm{St}\Big(x_d; 2\alpha_k, m_{kd}, \frac{\beta_{kd} (b_k + 1)}{\alpha_k b_k}\Big)

        The integral over ``q`` is exact. Cost ``batch * K * dim`` logarithms, one component at a time in memory.
        """
        log_weights = (q.concentration / q.concentration.sum(-1, keepdim=True)).log()
        scale = 2 * q.rate * (1 + 1 / q.mean_precision)[..., None]  # 2 alpha times the squared scale
        constant = torch.lgamma(q.shape + 0.5) - torch.lgamma(q.shape)
        constant = q.mean.shape[-1] * constant - 0.5 * (math.pi * scale).log().sum(-1) + log_weights
        flat_mean, flat_scale = q.mean.flatten(0, -2).to(x), scale.rsqrt().flatten(0, -2).to(x)
        columns = [((x - m) * s).square_().log1p_().sum(-1) for m, s in zip(flat_mean, flat_scale, strict=True)]
        logs = torch.stack(columns, -1).reshape(-1, *q.shape.shape)
        return (constant.to(x) - (q.shape + 0.5).to(x) * logs).logsumexp(-1)

    def log_evidence_given(self, stats: Statistics) -> Tensor:
        r""":math:`\log p(x, c)`, all global latents integrated out, ``(...)`` total nats; ``stats`` of hard labels."""
        q, p = self.posterior(stats), self.prior(stats.linear)
        weights = torch.lgamma(p.concentration.sum()) - torch.lgamma(q.concentration.sum(-1))
        weights = weights + (torch.lgamma(q.concentration) - torch.lgamma(p.concentration)).sum(-1)
        columns = p.shape[..., None] * p.rate.log() - q.shape[..., None] * q.rate.log()
        rows = torch.lgamma(q.shape) - torch.lgamma(p.shape) + 0.5 * (p.mean_precision / q.mean_precision).log()
        rows = rows - 0.5 * LOG_2PI * stats.counts
        return weights + (columns.sum(-1) + q.mean.shape[-1] * rows).sum(-1)


def _log_gamma_draw(shape: Tensor, generator: Generator) -> Tensor:
    # Gamma(a) = Gamma(a + 1) U^(1/a) in law: in logarithms it never underflows. torch.distributions takes no generator.
    uniform = torch.rand(shape.shape, generator=generator, dtype=shape.dtype, device=shape.device)
    return torch._standard_gamma(shape + 1, generator=generator).log() + torch.log1p(-uniform) / shape
