r"""Reparameterisation against the score function, on a model where gradient and variance of every draw are known.

The linear-Gaussian twin makes :math:`f(z) = \log p(x, z) - \log q(z)` a quadratic in the noise of a Gaussian ``q``:

.. math:: f = \bar f + b^\top \epsilon + \tfrac12 (\epsilon^\top A \epsilon - \mathrm{tr} A), \qquad
          A = I - S \Lambda S, \qquad b = -S \Lambda (\mu - \mu^*)

with :math:`S` the standard deviations of ``q``, :math:`\Lambda` and :math:`\mu^*` the precision and mean of the exact
posterior, and :math:`\bar f` the bound itself. Every moment below follows from
:math:`E[g(\epsilon)\, He_k(\epsilon_d)] = E[\partial_d^k g]`.
"""

from __future__ import annotations

from typing import NamedTuple

import pandas as pd
import torch
from torch import Tensor

from elbo.inference.score_function import (
    Gradient,
    path_gradient,
    reparameterised_a,
    reparameterised_b,
    score_function_gradient,
)
from elbo.models import linear_gaussian
from elbo.models.linear_gaussian import LinearGaussian

__all__ = [
    "GRADIENTS",
    "Quadratic",
    "at_the_posterior",
    "between",
    "draws_of",
    "exact_gradient",
    "exact_variance",
    "gradient_noise",
    "independent_model",
    "quadratic",
]

GRADIENTS = ("score function", "score function, baseline", "A", "B", "path")


class Quadratic(NamedTuple):
    r"""The integrand of the bound as a quadratic in the noise, and its parts, for data ``(...)`` and dimension D."""

    value: Tensor  # (...), the bound, the mean of f
    slope: Tensor  # (..., D), b
    curvature: Tensor  # (..., D, D), A
    likelihood_slope: Tensor  # (..., D), what b is for log p(x|z) alone
    likelihood_curvature: Tensor  # (..., D, D), S W' Psi^-1 W S
    mean: Tensor  # (..., D), of q
    std: Tensor  # (..., D), of q


def quadratic(model: LinearGaussian, x: Tensor, mean: Tensor, log_var: Tensor) -> Quadratic:
    """The quadratic of a model, data ``(..., X)`` and a diagonal Gaussian ``q`` ``(..., D)``."""
    exact_mean, exact_cov = linear_gaussian.posterior(model, x)
    precision = torch.linalg.inv(exact_cov)
    std = torch.exp(0.5 * log_var)
    identity = torch.eye(mean.shape[-1], dtype=mean.dtype, device=mean.device)
    scale = std.unsqueeze(-1) * std.unsqueeze(-2)
    pull = -torch.einsum("...de,...e->...d", precision, mean - exact_mean)
    value = linear_gaussian.elbo(model, x, mean, torch.diag_embed(log_var.exp()))
    return Quadratic(
        value,
        std * pull,
        identity - precision * scale,
        std * (pull + mean),
        (precision - identity) * scale,
        mean,
        std,
    )


def exact_gradient(q: Quadratic) -> Gradient:
    r"""The gradient of the bound, :math:`b_d / \sigma_d` and :math:`A_{dd} / 2`; ``(..., D)`` each."""
    return Gradient(q.slope / q.std, 0.5 * _diagonal(q.curvature))


def exact_variance(q: Quadratic, estimator: str, baseline: Tensor | float | None = None) -> Gradient:
    r"""The variance of one draw of an estimator's gradient, in closed form; ``(..., D)`` each, squared nats.

    For the score function with baseline :math:`c` and :math:`E f^2 = (\bar f - c)^2 + |b|^2 + \tfrac12 |A|_F^2`:

    .. math:: \sigma_d^2 \mathrm{Var}\, \hat g_{\mu_d} &= E f^2 + b_d^2 + 2 (A^2)_{dd} + 2 A_{dd} (\bar f - c), \\
              4\, \mathrm{Var}\, \hat g_{\log\sigma_d^2} &= 2 E f^2 + 8 b_d^2 + 8 (A^2)_{dd} + 5 A_{dd}^2
                + 8 A_{dd} (\bar f - c).

    Where the gradient goes through the draw, with :math:`(v, C) = (b, S \Lambda S)` for A, the same of the likelihood
    alone for B, and :math:`(b, A)` for the path without the score term:

    .. math:: \sigma_d^2 \mathrm{Var}\, \hat g_{\mu_d} = (C^2)_{dd}, \qquad
              4\, \mathrm{Var}\, \hat g_{\log\sigma_d^2} = v_d^2 + (C^2)_{dd} + C_{dd}^2.

    Args:
        estimator: one of :data:`GRADIENTS`.
        baseline: of ``"score function, baseline"``; ``None`` is the bound, :math:`\bar f`.
    """
    if estimator not in GRADIENTS:
        raise ValueError(f"estimator must be one of {', '.join(GRADIENTS)}; got {estimator!r}")
    if estimator.startswith("score"):
        fixed = baseline is not None or estimator == "score function"
        above = (q.value - (baseline or 0.0) if fixed else torch.zeros_like(q.value)).unsqueeze(-1)
        diagonal, squared, slope = _diagonal(q.curvature), q.curvature.square().sum(-1), q.slope.square()
        second = above.square() + slope.sum(-1, keepdim=True) + 0.5 * squared.sum(-1, keepdim=True)
        mean = second + slope + 2 * squared + 2 * diagonal * above
        log_var = 2 * second + 8 * slope + 8 * squared + 5 * diagonal.square() + 8 * diagonal * above
        return Gradient(mean / q.std.square(), 0.25 * log_var)
    identity = torch.eye(q.std.shape[-1], dtype=q.std.dtype, device=q.std.device)
    slope, curvature = {
        "A": (q.slope, identity - q.curvature),
        "B": (q.likelihood_slope, q.likelihood_curvature),
        "path": (q.slope, q.curvature),
    }[estimator]
    squared = curvature.square().sum(-1)
    return Gradient(squared / q.std.square(), 0.25 * (slope.square() + squared + _diagonal(curvature).square()))


def draws_of(
    estimator: str, model: LinearGaussian, x: Tensor, mean: Tensor, log_var: Tensor, eps: Tensor, baseline=None
) -> Gradient:
    """The gradients of an estimator at the noise ``eps``, ``(draws, ..., D)``; ``baseline`` as in
    :func:`exact_variance`.
    """

    def log_joint(z: Tensor) -> Tensor:
        return linear_gaussian.log_joint(model, x, z)

    def log_likelihood(z: Tensor) -> Tensor:
        return linear_gaussian.log_likelihood(model, x, z)

    if estimator == "score function":
        return score_function_gradient(log_joint, mean, log_var, eps)
    if estimator == "score function, baseline":
        bound = linear_gaussian.elbo(model, x, mean, torch.diag_embed(log_var.exp())) if baseline is None else baseline
        return score_function_gradient(log_joint, mean, log_var, eps, bound)
    if estimator == "B":
        return reparameterised_b(log_likelihood, mean, log_var, eps)
    return (reparameterised_a if estimator == "A" else path_gradient)(log_joint, mean, log_var, eps)


def independent_model(latent_dim: int, generator: torch.Generator, precision: float = 5.0) -> LinearGaussian:
    r"""A twin whose exact posterior is a diagonal Gaussian, so that the family of ``q`` contains it.

    Probabilistic PCA in its canonical form: the columns of ``W``, ``(2D, D)``, are orthogonal, and every posterior
    variance is ``1 / precision`` (which must exceed 1, the precision of the prior).
    """
    square = torch.randn(2 * latent_dim, latent_dim, generator=generator, dtype=torch.float64)
    directions = torch.linalg.qr(square).Q
    zero = torch.zeros(2 * latent_dim, dtype=torch.float64)
    return LinearGaussian((precision - 1) ** 0.5 * directions, zero, zero)


def between(model: LinearGaussian, x: Tensor, share: float) -> tuple[Tensor, Tensor]:
    """Mean and log-variance of a ``q`` on the straight way from the exact posterior (0) to the prior (1)."""
    mean, log_var = linear_gaussian.mean_field_posterior(model, x)
    return (1 - share) * mean, ((1 - share) * log_var).expand_as(mean)


def gradient_noise(
    *,
    latent_dims: tuple[int, ...] = (1, 2, 4, 8, 16, 32, 64),
    shares: tuple[float, ...] = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0),
    latent_dim: int = 8,
    share: float = 0.5,
    data: int = 32,
    draws: int = 200,
    seed: int = 0,
) -> pd.DataFrame:
    """How noisy one draw of the gradient is, by the number of latents and by the distance from the optimum.

    Args:
        latent_dims: sizes of the code at a ``q`` that is ``share`` of the way from the exact posterior to the prior.
        shares: ways from the posterior (0) to the prior (1), for a code of ``latent_dim``.
        data: drawn from the model, whose evidence then grows in size with the number of latents.
        draws: for each datum, by which the noise is measured as well.

    Returns:
        One row a panel (``"latents"``, ``"distance"``), size, share and estimator: ``gap``, KL(q || posterior) in nats,
        mean over the data; ``sd``, the root of the trace of the gradient's covariance, root mean square over the data,
        in closed form; ``measured_sd``, the same from draws, and ``measured_se``, its standard error over data;
        ``bias_z``, the deviation of the mean draw from the exact gradient, in standard errors, root mean square over
        coordinates and data (near 1 where there is no bias); ``gradient``, the length of the exact gradient.
    """
    cases = [("latents", size, share) for size in latent_dims] + [("distance", latent_dim, way) for way in shares]
    rows = []
    for panel, size, way in cases:
        generator = torch.Generator().manual_seed(seed)
        model = independent_model(size, generator)
        x, _ = linear_gaussian.sample(model, data, generator)
        mean, log_var = between(model, x, way)
        q = quadratic(model, x, mean, log_var)
        gap = linear_gaussian.posterior_kl(model, x, mean, torch.diag_embed(log_var.exp())).mean().item()
        eps = torch.randn(draws, data, size, generator=generator, dtype=torch.float64)
        for estimator in GRADIENTS:
            row = {"panel": panel, "latent_dim": size, "share": way, "gap": gap, "estimator": estimator}
            rows.append(row | _noise(q, estimator, draws_of(estimator, model, x, mean, log_var, eps)))
    return pd.DataFrame(rows)


def _noise(q: Quadratic, estimator: str, drawn: Gradient) -> dict[str, float]:
    exact, variance = torch.cat(exact_gradient(q), -1), torch.cat(exact_variance(q, estimator), -1)  # (data, 2D)
    draws = torch.cat(drawn, -1)  # (draws, data, 2D)
    measured = draws.var(0).sum(-1)  # (data,)
    sd = measured.mean().sqrt().item()
    deviation = (draws.mean(0) - exact) / (variance / len(draws)).sqrt()
    return {
        "sd": variance.sum(-1).mean().sqrt().item(),
        "measured_sd": sd,
        "measured_se": (measured.std() / len(measured) ** 0.5).item() / (2 * sd),
        "bias_z": deviation.square().mean().sqrt().item(),
        "gradient": exact.square().sum(-1).mean().sqrt().item(),
    }


def at_the_posterior(*, latent_dim: int = 8, data: int = 32, draws: int = 200, seed: int = 0) -> pd.DataFrame:
    """The noise of every estimator where ``q`` is the exact posterior and the gradient is zero.

    Returns:
        One row an estimator: ``sd`` in closed form and ``measured_sd`` from draws, as in :func:`gradient_noise`. What
        is zero in exact arithmetic is measured as rounding.
    """
    generator = torch.Generator().manual_seed(seed)
    model = independent_model(latent_dim, generator)
    x, _ = linear_gaussian.sample(model, data, generator)
    mean, log_var = between(model, x, 0.0)
    q = quadratic(model, x, mean, log_var)
    eps = torch.randn(draws, data, latent_dim, generator=generator, dtype=torch.float64)
    rows = []
    for estimator in GRADIENTS:
        variance = torch.cat(exact_variance(q, estimator), -1).sum(-1).mean().item()
        measured = torch.cat(draws_of(estimator, model, x, mean, log_var, eps), -1).var(0).sum(-1).mean().item()
        rows.append({"estimator": estimator, "sd": variance**0.5, "measured_sd": measured**0.5})
    return pd.DataFrame(rows)


def _diagonal(matrix: Tensor) -> Tensor:
    return matrix.diagonal(dim1=-2, dim2=-1)
