"""EP over parts of the data: how many parts may there be, and does it help when they listen to each other?"""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import torch
from torch import Tensor

from elbo.inference import ep
from elbo.inference.ep_parts import part_sites

__all__ = ["exact", "over_parts", "problem"]

PRIOR_VAR = 4.0


def problem(seed: int, rows: int = 60) -> tuple[Tensor, Tensor]:
    """A simulated probit regression on an intercept and a slope: design ``(rows, 2)``, labels ``(rows,)`` of -1 and 1.

    The rows are sorted by the predictor, so that no part sees all of it.
    """
    generator = torch.Generator().manual_seed(seed)
    x = torch.sort(torch.randn(rows, generator=generator, dtype=torch.float64)).values
    design = torch.stack([torch.ones(rows, dtype=torch.float64), x], -1)
    score = design @ torch.tensor([-0.5, 1.5], dtype=torch.float64)
    noise = torch.randn(rows, generator=generator, dtype=torch.float64)
    return design, torch.where(score + noise > 0, 1.0, -1.0).double()


def exact(design: Tensor, labels: Tensor, points: int = 401, reach: float = 6.0) -> tuple[Tensor, Tensor]:
    """Mean ``(2,)`` and covariance ``(2, 2)`` of the posterior by integration on a grid of ``reach`` around EP's
    answer."""
    fit = ep.fit(ep.probit_sites(design, labels), *_prior(), len(labels))
    axis = torch.linspace(-reach, reach, points, dtype=torch.float64)
    z = fit.mean + torch.cartesian_prod(axis, axis) @ torch.linalg.cholesky(fit.cov).mT
    log_joint = torch.special.log_ndtr(labels * (z @ design.T)).sum(-1) - 0.5 * z.square().sum(-1) / PRIOR_VAR
    mass = torch.softmax(log_joint, 0)[:, None]
    mean = (mass * z).sum(0)
    return mean, (mass * (z - mean)).T @ (z - mean)


def over_parts(seed: int, parts: Sequence[int] = (1, 2, 6, 20, 60), rows: int = 60) -> pd.DataFrame:
    """Errors of EP with one site a part, after one round and at rest, against the exact posterior.

    Returns:
        Per number of ``parts`` and ``rounds`` ("one": no part hears of another; "rest"): ``mean_error`` (Mahalanobis,
        in exact deviations), ``sd_error`` (largest relative error of a deviation), ``sweeps``, ``converged``.
    """
    design, labels = problem(seed, rows)
    mean, cov = exact(design, labels)
    sd = cov.diagonal().sqrt()
    table = []
    for count in parts:
        sites = part_sites(_log_factors(design, labels, count), dim=2)
        for rounds, most in (("one", 1), ("rest", 200)):
            fit = ep.fit(
                sites, *_prior(), count, max_sweeps=most, damping=1.0 if most == 1 else min(1.0, 2 / count**0.5)
            )
            off = fit.mean - mean
            table.append(
                {
                    "parts": count,
                    "rounds": rounds,
                    "mean_error": torch.sqrt(off @ torch.linalg.solve(cov, off)).item(),
                    "sd_error": (fit.cov.diagonal().sqrt() / sd - 1).abs().max().item(),
                    "sweeps": len(fit.change),
                    "converged": fit.converged,
                }
            )
    return pd.DataFrame(table)


def _log_factors(design: Tensor, labels: Tensor, count: int):
    """The log likelihood of every part at points ``(parts, points, 2)``: ``(parts, points)``."""
    if len(labels) % count:
        raise ValueError(f"{len(labels)} rows do not divide into {count} equal parts")
    x, y = design.view(count, -1, 2), labels.view(count, 1, -1)
    return lambda z: torch.special.log_ndtr(y * (z @ x.mT)).sum(-1)


def _prior() -> tuple[Tensor, Tensor]:
    return torch.zeros(2, dtype=torch.float64), PRIOR_VAR * torch.eye(2, dtype=torch.float64)
