r"""The other reparameterisations of section 2.4: inverse distribution functions, location and scale, composition.

For each law with a parameter :math:`\theta` the gradient of :math:`E_{p_\theta} [\tanh z]` through the draw,
:math:`\frac1L \sum_l \tanh'(z_l)\, \partial g_\theta(u_l) / \partial\theta`, against the same by quadrature,
:math:`\int \tanh(z)\, \partial_\theta p_\theta(z)\, dz`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import pandas as pd
import torch
from torch import Tensor
from torch import distributions as laws

__all__ = ["LAWS", "Law", "gradient_by_quadrature", "reparameterisations"]


class Law(NamedTuple):
    """One family with one free parameter, and a draw of it as a function of noise that knows nothing of the
    parameter."""

    way: str
    name: str
    formula: str
    noise: Callable[[int, torch.Generator], Tensor]  # (draws, ...)
    draw: Callable[[Tensor, Tensor], Tensor]  # theta, noise -> (draws,)
    law: Callable[[Tensor], laws.Distribution]
    theta: float
    support: tuple[float, float]


def _uniform(columns: int = 0) -> Callable[[int, torch.Generator], Tensor]:
    def noise(draws: int, generator: torch.Generator) -> Tensor:
        shape = (draws, columns) if columns else (draws,)
        return torch.rand(shape, generator=generator, dtype=torch.float64).clamp(1e-12, 1 - 1e-12)

    return noise


def _normal(draws: int, generator: torch.Generator) -> Tensor:
    return torch.randn(draws, generator=generator, dtype=torch.float64)


def _laplace(draws: int, generator: torch.Generator) -> Tensor:
    u = _uniform()(draws, generator) - 0.5
    return -u.sign() * torch.log1p(-2 * u.abs())


LAWS = (
    Law("inverse distribution function", "exponential, rate", "−log(1 − u) / θ", _uniform(),
        lambda t, u: -torch.log1p(-u) / t, lambda t: laws.Exponential(t), 1.5, (0.0, 40.0)),
    Law("inverse distribution function", "Cauchy, scale", "½ + θ tan(π(u − ½))", _uniform(),
        lambda t, u: 0.5 + t * torch.tan(torch.pi * (u - 0.5)), lambda t: laws.Cauchy(0.5 + 0 * t, t),
        0.7, (-4e3, 4e3)),
    Law("inverse distribution function", "Weibull, scale", "θ √(−log(1 − u))", _uniform(),
        lambda t, u: t * (-torch.log1p(-u)) ** 0.5, lambda t: laws.Weibull(t, 2 + 0 * t), 1.2, (0.0, 15.0)),
    Law("location and scale", "Gaussian, scale", "½ + θε", _normal,
        lambda t, e: 0.5 + t * e, lambda t: laws.Normal(0.5 + 0 * t, t), 0.8, (-15.0, 15.0)),
    Law("location and scale", "Laplace, location", "θ + 0.6 ε", _laplace,
        lambda t, e: t + 0.6 * e, lambda t: laws.Laplace(t, 0.6 + 0 * t), 0.4, (-25.0, 25.0)),
    Law("location and scale", "logistic, scale", "0.3 + θ log(u / (1 − u))", _uniform(),
        lambda t, u: 0.3 + t * torch.log(u / (1 - u)), lambda t: _logistic(t), 0.5, (-30.0, 30.0)),
    Law("composition", "log-normal, scale", "exp(−½ + θε)", _normal,
        lambda t, e: torch.exp(-0.5 + t * e), lambda t: laws.LogNormal(-0.5 + 0 * t, t), 0.6, (0.0, 60.0)),
    Law("composition", "gamma with shape 3, rate", "−Σᵢ log(1 − uᵢ) / θ", _uniform(3),
        lambda t, u: -torch.log1p(-u).sum(-1) / t, lambda t: laws.Gamma(3 + 0 * t, t), 2.5, (0.0, 30.0)),
)  # fmt: skip
"""Section 2.4's three ways, with laws that the paper names for each."""


def _logistic(scale: Tensor) -> laws.Distribution:
    base = laws.Uniform(torch.zeros_like(scale), torch.ones_like(scale))
    turn = [laws.transforms.SigmoidTransform().inv, laws.transforms.AffineTransform(0.3, scale)]
    return laws.TransformedDistribution(base, turn)


def gradient_by_quadrature(law: Law, points: int = 400_001) -> float:
    """The derivative of E[tanh z] in the parameter by the midpoint rule on the density's derivative."""
    low, high = law.support
    z = low + (high - low) * (torch.arange(points, dtype=torch.float64) + 0.5) / points
    theta = torch.full_like(z, law.theta).requires_grad_()
    density = law.law(theta).log_prob(z).exp()
    (slope,) = torch.autograd.grad(density.sum(), theta)
    return float((torch.tanh(z) * slope).sum() * (high - low) / points)


def reparameterisations(*, draws: int = 20_000, seed: int = 0) -> pd.DataFrame:
    """Every law of :data:`LAWS`: the gradient through the draw, with its standard error, beside quadrature.

    Returns:
        One row a law: ``way``, ``law``, ``draw`` (the formula), ``gradient``, ``se`` (over draws), ``exact``.
    """
    rows = []
    for number, law in enumerate(LAWS):
        noise = law.noise(draws, torch.Generator().manual_seed(seed + number))
        theta = torch.full((draws,), law.theta, dtype=torch.float64).requires_grad_()
        z = law.draw(theta if noise.ndim == 1 else theta, noise)
        (each,) = torch.autograd.grad(torch.tanh(z).sum(), theta)
        se = float(each.std() / draws**0.5)
        about = {"way": law.way, "law": law.name, "draw": law.formula}
        rows.append(about | {"gradient": float(each.mean()), "se": se, "exact": gradient_by_quadrature(law)})
    return pd.DataFrame(rows)
