r"""What the direction of a divergence does: figure 1 of Blei et al. (2017), a target with two modes, what is between.

The family is Amari's in Minka's (2005) notation, :math:`D_a(p\|q) = \frac{1}{a(1-a)}\big(1 - \int p^a q^{1-a}\big)`,
which contains both Kullback-Leibler divergences as limits: :math:`KL(q\|p)` for :math:`a \to 0` (exclusive, variational
Bayes), :math:`KL(p\|q)` for :math:`a \to 1` (inclusive, moment matching).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from scipy import optimize
from torch import Tensor

from elbo.densities import LOG_2PI, mvn_kl
from elbo.inference import ep

__all__ = [
    "TWO_MODES",
    "alpha_divergence",
    "alpha_family",
    "best_gaussian",
    "coordinate_ascent",
    "coordinate_update",
    "correlated_gaussian",
    "ellipse",
    "gaussian_density",
    "log_mixture",
    "moment_match",
    "two_modes",
]

TWO_MODES = ((0.6, -1.8, 0.5), (0.4, 2.0, 0.8))
"""Weight, mean and standard deviation of the two components of the target."""


def coordinate_ascent(mean: Tensor, precision: Tensor, start: Tensor, sweeps: int) -> tuple[Tensor, Tensor]:
    r"""Mean-field q for a Gaussian target: each update is the conditional mean given the other factors' means.

    Blei et al. (2017), algorithm 1, with

    .. math:: q_i(z_i) \propto \exp E_{-i}[\log p(z)]
              = N\big(\mu_i - \Lambda_{ii}^{-1} \sum_{j \ne i} \Lambda_{ij}(m_j - \mu_j),\; \Lambda_{ii}^{-1}\big)

    Returns:
        The means after every single update, ``(1 + sweeps * dim, dim)``, and the variances ``(dim,)``.
    """
    path, current = [start], start.clone()
    for _ in range(sweeps):
        for i in range(len(mean)):
            current = coordinate_update(mean, precision, current, i)
            path.append(current)
    return torch.stack(path), 1 / precision.diagonal()


def coordinate_update(mean: Tensor, precision: Tensor, current: Tensor, i: int) -> Tensor:
    """The means with the ``i``-th set to its best value given the others; all tensors ``(dim,)`` or ``(dim, dim)``."""
    offset = current - mean
    others = precision[i] @ offset - precision[i, i] * offset[i]
    updated = current.clone()
    updated[i] = mean[i] - others / precision[i, i]
    return updated


def moment_match(mean: Tensor, cov: Tensor, prior_var: float = 100.0) -> tuple[Tensor, Tensor]:
    """Mean and variances of the factorised Gaussian that EP finds with the whole target as its one site."""
    precision = torch.linalg.inv(cov)
    prior_cov = prior_var * torch.eye(len(mean), dtype=mean.dtype)
    factor = ep.gaussian_sites((precision @ mean)[None], (precision - torch.linalg.inv(prior_cov))[None])
    fit = ep.fit(factor, torch.zeros_like(mean), prior_cov, 1, diagonal=True)
    return fit.mean, fit.cov.diagonal()


def correlated_gaussian(correlation: float, sweeps: int = 60, points: int = 121) -> pd.DataFrame:
    r"""A correlated Gaussian and its two factorised neighbours (Blei et al. 2017, figure 1, and what EP makes of it).

    Returns:
        Tidy frame. ``part = "ellipse"``: outline of two standard deviations, ``z1, z2``, for ``law`` in exact,
        exclusive, inclusive. ``part = "path"``: the means of coordinate ascent. ``part = "variance"``: over a grid of
        correlations, ``variance`` found by the algorithm, ``closed_form``, and the divergences ``kl_q_p``, ``kl_p_q``
        in nats; both coordinates agree, the first is given.
    """
    mean = torch.zeros(2, dtype=torch.float64)
    cov = _unit_cov(correlation)
    start = torch.tensor([-1.8, 1.8], dtype=torch.float64)
    path, exclusive = coordinate_ascent(mean, torch.linalg.inv(cov), start, sweeps)
    matched_mean, inclusive = moment_match(mean, cov)
    frames = [pd.DataFrame({"part": "path", "law": "exclusive", "z1": path[:, 0], "z2": path[:, 1]})]
    for law, centre, scale in (
        ("exact", mean, cov),
        ("exclusive", path[-1], exclusive.diag()),
        ("inclusive", matched_mean, inclusive.diag()),
    ):
        outline = ellipse(centre, scale, points)
        frames.append(pd.DataFrame({"part": "ellipse", "law": law, "z1": outline[:, 0], "z2": outline[:, 1]}))
    grid = sorted({*np.round(np.linspace(0, 0.98, 15), 2).tolist(), round(correlation, 6)})
    frames.append(pd.DataFrame([row for rho in grid for row in _variances(rho)]))
    return pd.concat(frames, ignore_index=True)


def alpha_divergence(log_p: Tensor, grid: Tensor, mean: Tensor, log_sd: Tensor, alpha: float) -> Tensor:
    r"""Divergence between a density on a grid and a Gaussian, in the Rényi scaling:
    :math:`-\frac{1}{a(1-a)} \log \int p^a q^{1-a}`.

    A monotone function of Amari's :math:`D_a` with the same minimiser and the same limits: :math:`KL(q\|p)` at 0,
    :math:`KL(p\|q)` at 1; equal to Rényi's :math:`D_a(p\|q) / a` in between.

    Args:
        log_p: ``(points,)``, normalised log-density on ``grid`` ``(points,)``, which must be even. mean, log_sd:
            scalars.

    Returns:
        A scalar, nats, by the trapezoid rule.
    """
    log_q = -0.5 * ((grid - mean) * torch.exp(-log_sd)).square() - log_sd - 0.5 * LOG_2PI
    width = grid[1] - grid[0]
    if alpha == 0:
        return width * (log_q.exp() * (log_q - log_p)).sum()
    if alpha == 1:
        return width * (log_p.exp() * (log_p - log_q)).sum()
    return -(torch.logsumexp(alpha * log_p + (1 - alpha) * log_q, 0) + width.log()) / (alpha * (1 - alpha))


def best_gaussian(log_p: Tensor, grid: Tensor, alpha: float, starts: Sequence[tuple[float, float]]) -> pd.DataFrame:
    """Local minima of :func:`alpha_divergence` over Gaussians, by quasi-Newton: ``mean, sd, divergence``, a row a
    start."""

    def objective(parameters: np.ndarray) -> tuple[float, np.ndarray]:
        free = torch.tensor(parameters, dtype=grid.dtype, requires_grad=True)
        value = alpha_divergence(log_p, grid, free[0], free[1], alpha)
        value.backward()
        return value.item(), free.grad.numpy()

    rows = []
    for mean, sd in starts:
        found = optimize.minimize(objective, [mean, math.log(sd)], jac=True, method="BFGS", options={"gtol": 1e-8})
        rows.append({"mean": found.x[0], "sd": math.exp(found.x[1]), "divergence": found.fun})
    return pd.DataFrame(rows)


def gaussian_density(z: Tensor, mean: float, sd: float) -> Tensor:
    """Density of ``N(mean, sd^2)`` at ``z``."""
    return torch.exp(-0.5 * ((z - mean) / sd).square()) / (sd * math.sqrt(2 * math.pi))


def log_mixture(grid: Tensor, components: Sequence[tuple[float, float, float]] = TWO_MODES) -> Tensor:
    """Log-density of a one-dimensional mixture of Gaussians given as ``(weight, mean, sd)``; ``(points,)`` nats."""
    weight, mean, sd = torch.tensor(components, dtype=grid.dtype).T
    terms = -0.5 * ((grid.unsqueeze(-1) - mean) / sd).square() - sd.log() - 0.5 * LOG_2PI + weight.log()
    return torch.logsumexp(terms, -1)


def two_modes(points: int = 201) -> pd.DataFrame:
    """Which Gaussian is nearest to a target with two modes? Densities, and the divergence left when only the mean is
    held fixed.

    Returns:
        ``part = "density"``: ``law`` (exact, exclusive and its local optima exclusive-second and -third, inclusive),
        ``z``, ``value`` (density). ``part = "profile"``: ``law`` (exclusive, inclusive), ``z`` the mean held fixed,
        ``value`` the least divergence in nats. ``part = "optimum"``: the optima, ``z`` the mean, ``sd``, ``value`` the
        divergence.
    """
    grid = _grid()
    log_p = log_mixture(grid)
    shown = torch.linspace(-5, 6, points, dtype=torch.float64)
    optima = _optima(log_p, grid)
    frames = [pd.DataFrame({"part": "density", "law": "exact", "z": shown, "value": log_mixture(shown).exp()})]
    for law, mean, sd in optima[["law", "z", "sd"]].itertuples(index=False):
        frames.append(
            pd.DataFrame({"part": "density", "law": law, "z": shown, "value": gaussian_density(shown, mean, sd)})
        )
    for law, alpha in (("exclusive", 0.0), ("inclusive", 1.0)):
        means = np.linspace(-3.5, 4, 61)
        frames.append(
            pd.DataFrame(
                {"part": "profile", "law": law, "z": means, "value": [_profile(log_p, grid, alpha, m) for m in means]}
            )
        )
    return pd.concat([*frames, optima], ignore_index=True)


def alpha_family(
    alphas: Sequence[float] = (0.0, 0.25, 0.5, 0.75, 1.0), steps: int = 41, points: int = 201
) -> pd.DataFrame:
    """The nearest Gaussian to the same target as the divergence moves from exclusive to inclusive.

    Returns:
        ``part = "density"``: ``alpha`` of ``alphas``, ``z``, ``value``. ``part = "optimum"``: ``alpha`` on a grid of
        ``steps``, the global optimum's ``mean`` and ``sd``. ``part = "exact"``: the target's density, and in ``mean``,
        ``sd`` its moments.
    """
    grid = _grid()
    log_p = log_mixture(grid)
    mean, sd = _moments(log_p, grid)
    shown = torch.linspace(-5, 6, points, dtype=torch.float64)
    frames = [pd.DataFrame({"part": "exact", "z": shown, "value": log_mixture(shown).exp(), "mean": mean, "sd": sd})]
    starts = [(weight_mean, weight_sd) for _, weight_mean, weight_sd in TWO_MODES] + [(mean, sd)]
    for alpha in sorted({*np.linspace(0, 1, steps).round(6).tolist(), *alphas}):
        found = best_gaussian(log_p, grid, alpha, starts)
        best = found.loc[found["divergence"].idxmin()]
        frames.append(pd.DataFrame([{"part": "optimum", "alpha": alpha, **best}]))
        if alpha in alphas:
            density = gaussian_density(shown, best["mean"], best["sd"])
            frames.append(pd.DataFrame({"part": "density", "alpha": alpha, "z": shown, "value": density}))
    return pd.concat(frames, ignore_index=True)


def _unit_cov(correlation: float) -> Tensor:
    return torch.tensor([[1.0, correlation], [correlation, 1.0]], dtype=torch.float64)


def ellipse(mean: Tensor, cov: Tensor, points: int = 121) -> Tensor:
    """Outline of two standard deviations of a Gaussian in the plane, ``(points, 2)``."""
    angle = torch.linspace(0, 2 * math.pi, points, dtype=mean.dtype)
    return mean + 2 * torch.stack([angle.cos(), angle.sin()], -1) @ torch.linalg.cholesky(cov).T


def _variances(rho: float) -> list[dict]:
    mean, cov = torch.zeros(2, dtype=torch.float64), _unit_cov(rho)
    _, exclusive = coordinate_ascent(mean, torch.linalg.inv(cov), mean, 1)
    _, inclusive = moment_match(mean, cov)
    rows = []
    for law, variance, closed in (("exclusive", exclusive, 1 - rho**2), ("inclusive", inclusive, 1.0)):
        kl_q_p, kl_p_q = mvn_kl(mean, variance.diag(), mean, cov), mvn_kl(mean, cov, mean, variance.diag())
        rows.append(
            {
                "part": "variance",
                "law": law,
                "correlation": rho,
                "variance": variance[0].item(),
                "closed_form": closed,
                "kl_q_p": kl_q_p.item(),
                "kl_p_q": kl_p_q.item(),
            }
        )
    return rows


def _grid() -> Tensor:
    return torch.linspace(-14, 15, 2901, dtype=torch.float64)


def _moments(log_p: Tensor, grid: Tensor) -> tuple[float, float]:
    weight = torch.softmax(log_p, 0)
    mean = (weight * grid).sum()
    return mean.item(), (weight * (grid - mean).square()).sum().sqrt().item()


def _optima(log_p: Tensor, grid: Tensor) -> pd.DataFrame:
    """The local optima of the exclusive divergence, best first, and the inclusive optimum."""
    starts = [(mean, sd) for _, mean, sd in TWO_MODES] + [_moments(log_p, grid)]
    exclusive = best_gaussian(log_p, grid, 0.0, starts).sort_values("divergence")
    inclusive = best_gaussian(log_p, grid, 1.0, starts[-1:])
    table = pd.concat([exclusive, inclusive], ignore_index=True).rename(columns={"mean": "z", "divergence": "value"})
    return table.assign(part="optimum", law=["exclusive", "exclusive-second", "exclusive-third", "inclusive"])


def _profile(log_p: Tensor, grid: Tensor, alpha: float, mean: float) -> float:
    """The least divergence over the standard deviation, at a fixed mean."""
    centre = torch.tensor(mean, dtype=grid.dtype)

    def value(log_sd: float) -> float:
        return alpha_divergence(log_p, grid, centre, torch.tensor(log_sd, dtype=grid.dtype), alpha).item()

    coarse = [value(log_sd) for log_sd in np.linspace(-1.2, 1.4, 14)]
    near = np.linspace(-1.2, 1.4, 14)[int(np.argmin(coarse))]
    return optimize.minimize_scalar(
        value, bounds=(near - 0.2, near + 0.2), method="bounded", options={"xatol": 1e-7}
    ).fun
