"""Checks on the divergence between Gaussians, on beta, and on what a prior can and cannot do."""

from __future__ import annotations

import math

import numpy as np
import torch
from scipy import optimize

from elbo.densities import mvn_kl
from elbo.errata.common import GRID, Row, integrate, log_normal

__all__ = [
    "correlation_of_codes",
    "isotropic_prior_has_no_axes",
    "kl_of_isotropic_gaussians",
    "not_a_prior_variance",
    "not_a_proportion",
]

DIM = 3
CASES = {"variance 1/4": (0.25, 0.0), "variance 4": (4.0, 0.0), "variance 1, every mean moved by 1": (1.0, 1.0)}


def kl_of_isotropic_gaussians() -> list[Row]:
    """KL from N(0, I) in three dimensions by quadrature, the log-ratio of determinants, and the complete formula."""
    rows = []
    for name, (variance, mean) in CASES.items():
        log_q = log_normal(GRID, mean, variance)
        exact = DIM * integrate(np.exp(log_q) * (log_q - log_normal(GRID, 0, 1)))
        corrected = 0.5 * (DIM * (variance - 1 - math.log(variance)) + DIM * mean**2)
        rows.append(Row(f"q isotropic, {name} (nats)", exact, DIM * math.log(variance), corrected))
    return rows


def not_a_proportion() -> list[Row]:
    """The factor that would turn the printed expression into the divergence: were it a proportion, it would be one
    number."""
    small, large = (kl_of_isotropic_gaussians()[i] for i in (0, 1))
    case = "divergence over printed expression at variance 4, if it were the same as at variance 1/4"
    return [Row(case, large.exact / large.printed, small.exact / small.printed, large.corrected / large.printed)]


def not_a_prior_variance() -> list[Row]:
    """The q that maximises the beta-ELBO (beta = 4) of ``x = 1.5, x | z ~ N(1.3 z, 1/2)``, found by search.

    As printed: the posterior under the prior variance that comes nearest, which is an infinite one. Corrected: the
    posterior under a decoder variance multiplied by beta.
    """
    x, w, noise, beta = 1.5, 1.3, 0.5, 4.0

    def loss(parameters: np.ndarray) -> float:
        mean, log_v = parameters
        likelihood = float(log_normal(x, w * mean, noise)) - w**2 * math.exp(log_v) / (2 * noise)
        return -likelihood + beta * 0.5 * (mean**2 + math.exp(log_v) - 1 - log_v)

    mean, log_v = optimize.minimize(loss, np.zeros(2), tol=1e-14).x
    variance = 1 / (1 + w**2 / (beta * noise))
    return [
        Row("variance of the best q", math.exp(log_v), noise / w**2, variance),
        Row("mean of the best q", mean, x / w, variance * w * x / (beta * noise)),
        Row(
            "prior variance that would give this variance",
            1 / (math.exp(-log_v) - w**2 / noise),
            "positive",
            1 / (1 / variance - w**2 / noise),
        ),
    ]


def correlation_of_codes() -> list[Row]:
    """Two data with diagonal posteriors: the correlation of their codes, by summing over a grid in the plane."""
    mean, variance = np.array([[-1.0, -1.0], [1.0, 1.0]]), 0.5
    axis = np.linspace(-7, 7, 561)
    z1, z2 = np.meshgrid(axis, axis, indexing="ij")
    density = sum(np.exp(log_normal(z1, m[0], variance) + log_normal(z2, m[1], variance)) for m in mean) / len(mean)
    density /= density.sum()
    exact = (density * z1 * z2).sum() / (density * z1**2).sum()
    return [
        Row("correlation of the two coordinates over the codes of the data set", exact, 0.0, 1.0 / (1.0 + variance))
    ]


def isotropic_prior_has_no_axes() -> list[Row]:
    """The penalty of a Gaussian code, before and after its axes are turned by 45 degrees."""
    mean, cov = torch.tensor([0.7, -0.4], dtype=torch.float64), torch.tensor([0.2, 0.9], dtype=torch.float64).diag()
    turn = torch.tensor([[1.0, -1.0], [1.0, 1.0]], dtype=torch.float64) / math.sqrt(2)
    zero, one = torch.zeros(2, dtype=torch.float64), torch.eye(2, dtype=torch.float64)
    change = mvn_kl(turn @ mean, turn @ cov @ turn.T, zero, one) - mvn_kl(mean, cov, zero, one)
    return [
        Row("change of the divergence when the code is turned by 45 degrees (nats)", change.item(), "positive", 0.0)
    ]
