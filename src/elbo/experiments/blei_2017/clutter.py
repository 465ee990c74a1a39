r"""Minka's clutter problem: where expectation propagation and variational Bayes differ, against quadrature.

One unknown :math:`z \sim N(0, 100)`; each observation is :math:`N(z, 1)` with probability :math:`1 - w`, and clutter,
:math:`N(0, a)`, with probability :math:`w`. The posterior is a mixture of :math:`2^n` Gaussians; in one dimension an
even grid integrates it to rounding.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from elbo.densities import LOG_2PI
from elbo.experiments.blei_2017.divergences import best_gaussian, gaussian_density
from elbo.inference import ep

__all__ = [
    "Posterior",
    "both_fits",
    "clutter",
    "exact_posterior",
    "log_factor",
    "most_gained",
    "power_path",
    "simulate",
]

PRIOR_VAR = 100.0
CLUTTER_VAR = 10.0
POWERS = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)


class Posterior(NamedTuple):
    """The exact answer: ``grid`` and ``log_density`` (points,); numbers ``log_evidence``, ``mean`` and ``sd``."""

    grid: Tensor
    log_density: Tensor
    log_evidence: float
    mean: float
    sd: float


def simulate(n: int, weight: float, generator: torch.Generator, centre: float = 2.0) -> Tensor:
    """Observations ``(n, 1)`` around ``centre``, each replaced by clutter with probability ``weight``."""
    kind = {"generator": generator, "dtype": torch.float64}
    signal = centre + torch.randn(n, 1, **kind)
    clutter_draw = math.sqrt(CLUTTER_VAR) * torch.randn(n, 1, **kind)
    return torch.where(torch.rand(n, 1, **kind) < weight, clutter_draw, signal)


def log_factor(x: Tensor, weight: float, z: Tensor) -> Tensor:
    """Log of each likelihood factor: ``x`` (n, 1), ``z`` (n or 1, points) to ``(n, points)`` nats."""
    signal = math.log1p(-weight) - 0.5 * ((x - z).square() + LOG_2PI)
    noise = math.log(weight) - 0.5 * (x.square() / CLUTTER_VAR + LOG_2PI + math.log(CLUTTER_VAR))
    return torch.logaddexp(signal, noise.expand_as(signal))


def exact_posterior(x: Tensor, weight: float, points: int = 6001) -> Posterior:
    """Posterior, evidence and moments by the trapezoid rule on ``[-60, 60]`` (the prior's six standard deviations)."""
    grid = torch.linspace(-60, 60, points, dtype=torch.float64)
    log_prior = -0.5 * (grid.square() / PRIOR_VAR + LOG_2PI + math.log(PRIOR_VAR))
    log_joint = log_factor(x, weight, grid[None]).sum(0) + log_prior
    log_evidence = torch.logsumexp(log_joint, 0) + math.log(120 / (points - 1))
    mass = torch.softmax(log_joint, 0)
    mean = (mass * grid).sum()
    sd = (mass * (grid - mean).square()).sum().sqrt()
    return Posterior(grid, log_joint - log_evidence, log_evidence.item(), mean.item(), sd.item())


def clutter(n: int, weight: float, data_sets: int, seed: int, points: int = 201) -> pd.DataFrame:
    """EP and the best Gaussian of the ELBO on simulated clutter problems, both against the integral.

    Returns:
        Tidy frame. ``part = "data set"``: per ``data_set`` and ``law`` (ep, exclusive), ``sd_ratio`` (approximate over
        exact standard deviation), ``mean_error`` (in exact standard deviations), ``evidence_gap`` (estimate or bound
        minus exact log-evidence, nats), ``converged``. For the data set of :func:`most_gained`: ``part = "density"``,
        ``law`` (exact too), ``z``, ``value``; ``part = "site"``, ``z`` the observation, ``value`` the precision of its
        EP site.
    """
    problems = _problems(n, weight, data_sets, seed)
    solved = [_solve(x, weight) for x in problems]
    rows = []
    for index, (truth, _, answers) in enumerate(solved):
        for law, (mean, sd, log_evidence, converged) in answers.items():
            rows.append(
                {
                    "part": "data set",
                    "data_set": index,
                    "law": law,
                    "sd_ratio": sd / truth.sd,
                    "converged": converged,
                    "mean_error": (mean - truth.mean) / truth.sd,
                    "evidence_gap": log_evidence - truth.log_evidence,
                }
            )
    table = pd.DataFrame(rows)
    index = most_gained(table)
    shown = _shown(problems[index], *solved[index], points)
    return pd.concat([table, *(frame.assign(data_set=index) for frame in shown)], ignore_index=True)


def most_gained(table: pd.DataFrame) -> int:
    """The data set on which EP's deviation gains most over that of the ELBO, of those where EP converged."""
    solved = table[table["part"] == "data set"]
    good = solved[solved["converged"].astype(bool)].pivot(index="data_set", columns="law", values="sd_ratio").dropna()
    if good.empty:
        raise ValueError("EP converged on none of the data sets; simulate more of them, or more observations in each")
    error = np.log(good.astype(float)).abs()
    return int((error["exclusive"] - error["ep"]).idxmax())


def power_path(n: int, weight: float, seed: int, data_set: int, powers: Sequence[float] = POWERS) -> pd.DataFrame:
    """Power EP between variational Bayes (power to zero) and EP (power one), on one data set of :func:`clutter`.

    Returns:
        One row a power: ``law`` ("ep"; "exclusive" with power 0, by direct optimisation; "exact"), ``power, mean, sd,
            log_evidence``.
    """
    x = _problems(n, weight, data_set + 1, seed)[-1]
    truth = exact_posterior(x, weight)
    bound = _exclusive(truth)
    rows = [
        {"law": "exact", "mean": truth.mean, "sd": truth.sd, "log_evidence": truth.log_evidence},
        {
            "law": "exclusive",
            "power": 0.0,
            "mean": bound["mean"],
            "sd": bound["sd"],
            "log_evidence": truth.log_evidence - bound["divergence"],
        },
    ]
    sites = ep.quadrature_sites(lambda z: log_factor(x, weight, z), torch.ones_like(x))
    for power in powers:
        fit = ep.fit(sites, *_prior(), n, power=power, damping=0.5, max_sweeps=500, tol=1e-8)
        rows.append(
            {
                "law": "ep",
                "power": power,
                "mean": fit.mean.item(),
                "sd": fit.cov.sqrt().item(),
                "log_evidence": fit.log_evidence.item(),
                "converged": fit.converged,
            }
        )
    return pd.DataFrame(rows)


def _problems(n: int, weight: float, count: int, seed: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [simulate(n, weight, generator) for _ in range(count)]


def _solve(x: Tensor, weight: float) -> tuple[Posterior, ep.Fit, dict[str, tuple]]:
    """The integral, EP, and per law ``(mean, sd, log evidence, converged)``."""
    truth = exact_posterior(x, weight)
    fit = ep.fit(ep.clutter_sites(x, weight, CLUTTER_VAR), *_prior(), len(x), damping=0.5)
    bound = _exclusive(truth)
    answers = {
        "ep": (fit.mean.item(), fit.cov.sqrt().item(), fit.log_evidence.item(), fit.converged),
        "exclusive": (bound["mean"], bound["sd"], truth.log_evidence - bound["divergence"], True),
    }
    return truth, fit, answers


def both_fits(x: Tensor, weight: float) -> dict[str, tuple[Tensor, Tensor]]:
    """Mean ``(1,)`` and covariance ``(1, 1)`` of the Gaussian with the best ELBO and of EP's, where EP converged."""
    _, _, answers = _solve(x, weight)
    kept = {law: (mean, sd) for law, (mean, sd, _, converged) in answers.items() if converged}
    return {
        law: (torch.tensor([mean], dtype=torch.float64), torch.tensor([[sd * sd]], dtype=torch.float64))
        for law, (mean, sd) in sorted(kept.items(), reverse=True)
    }


def _prior() -> tuple[Tensor, Tensor]:
    return torch.zeros(1, dtype=torch.float64), torch.full((1, 1), PRIOR_VAR, dtype=torch.float64)


def _exclusive(truth: Posterior) -> pd.Series:
    """The Gaussian with the least KL(q || p), the best of two starts."""
    mode = truth.grid[truth.log_density.argmax()].item()
    found = best_gaussian(truth.log_density, truth.grid, 0.0, [(mode, 0.5), (truth.mean, truth.sd)])
    return found.loc[found["divergence"].idxmin()]


def _shown(x: Tensor, truth: Posterior, fit: ep.Fit, answers: dict, points: int) -> list[pd.DataFrame]:
    near = ((truth.grid - truth.mean).abs() < 5 * truth.sd).nonzero().flatten()
    kept = near[:: max(1, len(near) // points)]
    z = truth.grid[kept]
    frames = [pd.DataFrame({"part": "density", "law": "exact", "z": z, "value": truth.log_density[kept].exp()})]
    for law, (mean, sd, *_) in answers.items():
        frames.append(pd.DataFrame({"part": "density", "law": law, "z": z, "value": gaussian_density(z, mean, sd)}))
    precision = fit.sites.precision.flatten()
    return [*frames, pd.DataFrame({"part": "site", "law": "ep", "z": x.flatten(), "value": precision})]
