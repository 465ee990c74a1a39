r"""EP with one site for a whole part of the data, as when parts lie on different machines.

Vehtari, Gelman et al. (2020), "Expectation propagation as a way of life", sections 3 and 6.1: the likelihood is a
product over parts, each part sees the cavity as its prior and reports the moments of its own posterior. In few
dimensions these moments are integrals on a grid, so that nothing but EP's own approximation is left.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from elbo.densities import mvn_log_prob
from elbo.inference.ep import Tilted, TiltedMoments

__all__ = ["part_sites"]

ROUNDS = 5
"""How often the grid is laid anew; it starts from the cavity."""


def part_sites(log_factors: Callable[[Tensor], Tensor], dim: int, nodes: int = 31, reach: float = 6.0) -> TiltedMoments:
    r"""Tilted moments of any factors in a few dimensions, by the trapezoid rule on a grid that follows them.

    Args:
        log_factors: points ``(sites, points, dim)`` to ``(sites, points)`` nats; row n holds the log likelihood of part
            n.
        dim: dimension of ``z``; the cost is ``sites * nodes ** dim`` evaluations a sweep, so three at most.
        nodes, reach: points an axis, over ``reach`` standard deviations of the tilted distribution on either side.

    Raises:
        ValueError: more than three dimensions, or (at run time) a power other than one.
    """
    if not 1 <= dim <= 3:
        raise ValueError(f"a grid serves one to three dimensions, got {dim}; use draws of a sampler beyond that")
    axis = torch.linspace(-reach, reach, nodes, dtype=torch.float64)
    unit = torch.cartesian_prod(*[axis] * dim).reshape(-1, dim)  # (points, dim)
    spacing = 2 * reach / (nodes - 1)

    def tilted(mean: Tensor, cov: Tensor, power: float) -> Tilted:
        if power != 1:
            raise ValueError(f"parts are matched with power one, got {power}")
        cavity_mean, cavity_cov = mean.unsqueeze(1), cov.unsqueeze(1)
        for _ in range(ROUNDS):  # the grid moves to where the tilted distribution is
            root = torch.linalg.cholesky(cov)  # (sites, dim, dim)
            points = mean.unsqueeze(1) + unit @ root.mT
            log_mass = log_factors(points) + mvn_log_prob(points, cavity_mean, cavity_cov)
            cell = root.diagonal(dim1=-2, dim2=-1).log().sum(-1) + dim * math.log(spacing)
            total = log_mass.logsumexp(-1)
            mass = torch.exp(log_mass - total.unsqueeze(-1)).unsqueeze(-1)
            mean = (mass * points).sum(1)
            off = points - mean.unsqueeze(1)
            found = (mass * off).mT @ off
            cov = found + (0.5 * spacing) ** 2 * root @ root.mT  # never so narrow that the next grid would miss it
        return Tilted(total + cell, mean, found)

    return tilted
