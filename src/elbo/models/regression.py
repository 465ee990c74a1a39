r"""Bayesian linear regression: the model whose latents are all global, with everything in closed form.

The coefficients are shared by all data, so nothing is local: the counterpart of factor analysis, where every datum has
scores of its own. :class:`LinearRegression` knows its noise, :class:`ConjugateRegression` learns it. Both are exact
twins for tests: posterior, evidence, and (with known noise) the bound and its gap for any Gaussian ``q``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Generator, Tensor

from elbo.densities import LOG_2PI, mvn_kl

__all__ = ["ConjugateRegression", "LinearRegression", "NormalGamma"]


@dataclass(frozen=True)
class LinearRegression:
    r"""Gaussian coefficients, known noise.

    .. math:: w \sim N(0, s_0^2 I), \qquad y_n \mid w \sim N(w^\top x_n, \sigma^2)

    Designs are ``(n, dim)``, targets ``(n,)``, coefficients ``(..., dim)``. Evidence and bound are total nats over the
    targets.

    Raises:
        ValueError: a standard deviation that is not positive, or (in every method) data with NaN or of the wrong shape.
    """

    prior_sd: float = 1.0
    noise_sd: float = 1.0

    def __post_init__(self) -> None:
        _positive(prior_sd=self.prior_sd, noise_sd=self.noise_sd)

    def sample(self, design: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
        """Draw coefficients ``(dim,)`` and targets ``(n,)``."""
        noise = torch.randn(sum(design.shape), generator=generator, dtype=design.dtype, device=design.device)
        weights = self.prior_sd * noise[: design.shape[1]]
        return weights, design @ weights + self.noise_sd * noise[design.shape[1] :]

    def log_joint(self, design: Tensor, target: Tensor, weights: Tensor) -> Tensor:
        r""":math:`\log p(y, w)`, total nats ``(...)`` for coefficients ``(..., dim)``."""
        _check(design, target)
        prior = _scaled_normal(weights, self.prior_sd).sum(-1)
        return prior + _scaled_normal(target - weights @ design.T, self.noise_sd).sum(-1)

    def posterior(self, design: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        r"""Exact posterior :math:`N(m, S)`; works with more coefficients than data and with collinear columns.

        .. math:: S^{-1} = \frac{X^\top X}{\sigma^2} + \frac{I}{s_0^2}, \qquad m = \frac{1}{\sigma^2} S X^\top y

        Returns:
            ``(dim,)`` and ``(dim, dim)``. Cost ``n dim^2 + dim^3``.
        """
        _check(design, target)
        chol = torch.linalg.cholesky(self._precision(design))
        mean = torch.cholesky_solve((design.T @ target / self.noise_sd**2)[:, None], chol)[:, 0]
        return mean, torch.cholesky_inverse(chol)

    def log_evidence(self, design: Tensor, target: Tensor) -> Tensor:
        r"""Exact :math:`\log p(y) = \log p(y, m) + \tfrac D2 \log 2\pi + \tfrac12 \log |S|`, total nats, a scalar.

        The joint at the posterior mean less the posterior's log-density there; equals :math:`\log N(y; 0, \sigma^2 I +
        s_0^2 X X^\top)`.
        """
        mean, _ = self.posterior(design, target)
        log_det: Tensor = torch.linalg.slogdet(self._precision(design)).logabsdet
        return self.log_joint(design, target, mean) + 0.5 * (len(mean) * LOG_2PI - log_det)

    def elbo(self, design: Tensor, target: Tensor, mean: Tensor, cov: Tensor) -> Tensor:
        r"""The bound for :math:`q = N(m_q, S_q)`, exactly, without sampling: ``(...)`` total nats.

        .. math:: \log p(y \mid m_q) - \frac{1}{2\sigma^2} \mathrm{tr}(X S_q X^\top) - KL(q \| p(w))
        """
        _check(design, target)
        fit = _scaled_normal(target - mean @ design.T, self.noise_sd).sum(-1)
        spread = ((design @ cov) * design).sum((-1, -2)) / self.noise_sd**2
        prior_cov = self.prior_sd**2 * torch.eye(design.shape[1], dtype=design.dtype, device=design.device)
        return fit - 0.5 * spread - mvn_kl(mean, cov, torch.zeros_like(mean), prior_cov)

    def log_predictive(self, design: Tensor, target: Tensor, new_design: Tensor, new_target: Tensor) -> Tensor:
        """Log-density of each new target given the old ones, ``(batch,)`` nats."""
        mean, cov = self.posterior(design, target)
        var = self.noise_sd**2 + ((new_design @ cov) * new_design).sum(-1)
        return _scaled_normal(new_target - new_design @ mean, var.sqrt())

    def _precision(self, design: Tensor) -> Tensor:
        identity = torch.eye(design.shape[1], dtype=design.dtype, device=design.device)
        return design.T @ design / self.noise_sd**2 + identity / self.prior_sd**2


class NormalGamma(NamedTuple):
    r""":math:`\tau \sim \mathrm{Gamma}(\alpha, \beta)`, :math:`w \mid \tau \sim N(m, (\tau \Lambda)^{-1})`."""

    mean: Tensor  # (dim,)
    precision: Tensor  # (dim, dim)  Lambda
    shape: Tensor  # ()
    rate: Tensor  # ()


@dataclass(frozen=True)
class ConjugateRegression:
    r"""Gaussian coefficients and unknown noise, conjugate.

    .. math:: \tau \sim \mathrm{Gamma}(\alpha_0, \beta_0), \qquad w \mid \tau \sim N(0, s_0^2 I / \tau), \qquad
              y_n \mid w, \tau \sim N(w^\top x_n, 1/\tau)

    Raises:
        ValueError: a hyperparameter that is not positive, or (in every method) data with NaN or of the wrong shape.
    """

    prior_sd: float = 1.0
    shape: float = 1.0
    rate: float = 1.0

    def __post_init__(self) -> None:
        _positive(prior_sd=self.prior_sd, shape=self.shape, rate=self.rate)

    def posterior(self, design: Tensor, target: Tensor) -> NormalGamma:
        r"""Exact: :math:`\Lambda = X^\top X + I/s_0^2`, :math:`m = \Lambda^{-1} X^\top y`, :math:`\alpha = \alpha_0 +
        n/2`, :math:`\beta = \beta_0 + \tfrac12 \big(\|y - Xm\|^2 + \|m\|^2 / s_0^2\big)`."""
        _check(design, target)
        precision = design.T @ design + torch.eye(design.shape[1]).to(design) / self.prior_sd**2
        mean = torch.linalg.solve(precision, design.T @ target)
        residual = (target - design @ mean).square().sum() + mean.square().sum() / self.prior_sd**2
        shape = torch.full_like(residual, self.shape + 0.5 * len(target))
        return NormalGamma(mean, precision, shape, self.rate + 0.5 * residual)

    def log_evidence(self, design: Tensor, target: Tensor) -> Tensor:
        r"""Exact :math:`\log p(y)`, total nats: a multivariate Student t with :math:`2\alpha_0` degrees of freedom."""
        q = self.posterior(design, target)
        log_det: Tensor = torch.linalg.slogdet(q.precision).logabsdet + 2 * len(q.mean) * math.log(self.prior_sd)
        gammas = (
            torch.lgamma(q.shape) - math.lgamma(self.shape) + self.shape * math.log(self.rate) - q.shape * q.rate.log()
        )
        return gammas - 0.5 * (log_det + len(target) * LOG_2PI)


def _scaled_normal(residual: Tensor, sd: float | Tensor) -> Tensor:
    log_sd = sd.log() if isinstance(sd, Tensor) else math.log(sd)
    return -0.5 * ((residual / sd).square() + LOG_2PI) - log_sd


def _positive(**values: float) -> None:
    for name, value in values.items():
        if not 0 < value < math.inf:
            raise ValueError(f"{name} must be positive and finite, got {value}")


def _check(design: Tensor, target: Tensor) -> None:
    if design.ndim != 2 or target.shape != design.shape[:1]:
        raise ValueError(
            f"need a design (n, dim) and targets (n,), got {tuple(design.shape)} and {tuple(target.shape)}"
        )
    if not (torch.isfinite(design).all() and torch.isfinite(target).all()):
        raise ValueError("design or targets have NaN or infinite entries; drop or impute those rows first")
