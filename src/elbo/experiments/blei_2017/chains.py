r"""Hamiltonian Monte Carlo on targets whose answer is known: what it costs, and what it does not lose."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from elbo.densities import mvn_log_prob
from elbo.experiments.blei_2017.divergences import coordinate_ascent, ellipse
from elbo.experiments.blei_2017.setup import diabetes
from elbo.inference import diagnostics, hmc
from elbo.models.regression import LinearRegression

__all__ = ["correlated_gaussian", "regression_check"]


def correlated_gaussian(
    correlation: float, chains: int, draws: int, leapfrog_steps: int, seed: int, shown: int = 250
) -> pd.DataFrame:
    """HMC and mean-field on the Gaussian of figure 1.

    Returns:
        Tidy frame. ``part = "draw"``: ``z1, z2`` of the first chain; ``"trajectory"``: the leapfrogs of one transition;
        ``"ellipse"``: two standard deviations, ``law`` exact and exclusive. ``"energy"``: ``step_size``, mean absolute
        ``energy_error`` over the chains after a trajectory of fixed length, ``se``. ``"variance"``: ``gradients`` of
        one chain, ``rmse`` over chains of its estimate of Var(z1), ``se``; the constant ``bias`` of the mean-field
        variance.
    """
    mean = torch.zeros(2, dtype=torch.float64)
    cov = torch.tensor([[1.0, correlation], [correlation, 1.0]], dtype=torch.float64)
    _, exclusive = coordinate_ascent(mean, torch.linalg.inv(cov), mean, 1)
    generator = torch.Generator().manual_seed(seed)

    def log_prob(z: Tensor) -> Tensor:
        return mvn_log_prob(z, mean, cov)

    start = torch.randn(chains, 2, generator=generator, dtype=torch.float64) @ torch.linalg.cholesky(cov).T
    run = hmc.fit(log_prob, start, draws=draws, warmup=200, leapfrog_steps=leapfrog_steps, generator=generator)
    frames = [
        _points("draw", "hmc", run.z[0, :shown]),
        _points("trajectory", "hmc", _trajectory(log_prob, 0.15, 16)),
        _points("ellipse", "exact", ellipse(mean, cov)),
        _points("ellipse", "exclusive", ellipse(mean, exclusive.diag())),
        _energy_errors(log_prob, start, generator),
        _variance_errors(run, leapfrog_steps).assign(bias=1 - exclusive[0].item()),
    ]
    return pd.concat(frames, ignore_index=True)


def regression_check(
    chains: int, draws: int, leapfrog_steps: int, seed: int, warmup: int = 300, jitter: float = 0.5
) -> pd.DataFrame:
    """HMC against the closed form of Bayesian linear regression on the diabetes data.

    Returns:
        The columns of :func:`elbo.inference.diagnostics.summary`, and per coefficient ``exact_mean, exact_sd``, and
        ``z``, the error of the mean in its own standard errors.
    """
    design, target = diabetes()
    model = LinearRegression(prior_sd=1.0, noise_sd=0.7)
    mean, cov = model.posterior(design, target)
    generator = torch.Generator().manual_seed(seed)
    start = torch.randn(chains, len(mean), generator=generator, dtype=torch.float64)
    run = hmc.fit(
        lambda w: model.log_joint(design, target, w),
        start,
        draws=draws,
        warmup=warmup,
        leapfrog_steps=leapfrog_steps,
        generator=generator,
        jitter=jitter,
    )
    table = diagnostics.summary(run.z, [f"w{index + 1}" for index in range(len(mean))])
    table = table.assign(exact_mean=mean.numpy(), exact_sd=cov.diagonal().sqrt().numpy())
    return table.assign(z=(table["mean"] - table["exact_mean"]) / table["mean_se"])


def _points(part: str, law: str, z: Tensor) -> pd.DataFrame:
    return pd.DataFrame({"part": part, "law": law, "z1": z[:, 0], "z2": z[:, 1]})


def _trajectory(log_prob: hmc.LogProb, step_size: float, steps: int) -> Tensor:
    """The points of one trajectory from a corner of the target."""
    state = hmc.start(log_prob, torch.tensor([[-1.6, -1.9]], dtype=torch.float64))
    momentum = torch.tensor([[1.3, -0.4]], dtype=torch.float64)
    path = [state.z[0]]
    for _ in range(steps):
        state, momentum = hmc.leapfrog(log_prob, state, momentum, torch.tensor(step_size, dtype=torch.float64), 1)
        path.append(state.z[0])
    return torch.stack(path)


def _energy_errors(
    log_prob: hmc.LogProb, start: Tensor, generator: torch.Generator, length: float = 1.6
) -> pd.DataFrame:
    state = hmc.start(log_prob, start)
    momentum = torch.randn(start.shape, generator=generator, dtype=start.dtype)
    rows = []
    for steps in (8, 11, 16, 23, 32, 45, 64, 91, 128):
        step_size = length / steps
        end, last = hmc.leapfrog(log_prob, state, momentum, torch.tensor(step_size, dtype=start.dtype), steps)
        error = (state.log_prob - end.log_prob + 0.5 * (last.square() - momentum.square()).sum(-1)).abs()
        rows.append({"part": "energy", "step_size": step_size, "energy_error": error.mean().item(), "se": _se(error)})
    return pd.DataFrame(rows)


def _variance_errors(run: hmc.Draws, leapfrog_steps: int) -> pd.DataFrame:
    draws = run.z.shape[1]
    rows = []
    for count in np.unique(np.geomspace(4, draws, 14).astype(int)):
        squared_error = (run.z[:, :count, 0].square().mean(1) - 1).square()  # (chains,); the exact variance is 1
        rmse = squared_error.mean().sqrt().item()
        rows.append(
            {
                "part": "variance",
                "gradients": count * leapfrog_steps,
                "rmse": rmse,
                "se": _se(squared_error) / (2 * rmse),
            }
        )
    return pd.DataFrame(rows)


def _se(values: Tensor) -> float:
    return values.std().item() / math.sqrt(len(values))
