"""CAVI and SVI on simulated mixtures: figure 3 of Blei et al. (2017), the bound beside the evidence, and a million
data.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from scipy import optimize
from torch import Tensor

from elbo.inference import cavi, svi
from elbo.inference.assignments import log_predictive
from elbo.models.gaussian_mixture import DiagonalMixture, UnitMixture
from elbo.models.mixture_family import Parameters, log_evidence, sample_data

__all__ = ["FiveGaussians", "below_the_evidence", "ellipses", "five_gaussians", "million", "progress", "simulate"]


SHOWN = (0, 5, 18, 28, 60)
"""Iterations at which the components of :func:`five_gaussians` are drawn."""


class FiveGaussians(NamedTuple):
    """A run of CAVI on simulated data: what the two panels of figure 3 are read from."""

    x: Tensor  # (n, 2) training data
    labels: Tensor  # (n,) true components
    history: pd.DataFrame  # iteration, elbo_per_datum, held_out, held_out_se
    snapshots: pd.DataFrame  # iteration, component, weight, and the mean and standard deviation of each coordinate


def simulate(
    num_components: int, dim: int, num: int, generator: torch.Generator, spread: float = 4.0
) -> tuple[Tensor, Tensor]:
    """Gaussians with random means, axis-aligned covariances and weights: data ``(num, dim)`` and true components
    ``(num,)``.

    Means are ``N(0, spread^2)``, standard deviations uniform between 0.4 and 1.6, weights Dirichlet(5).
    """
    law = {"generator": generator, "dtype": torch.float64}
    weights = DiagonalMixture(num_components, concentration=5.0).sample_parameters(1, generator).log_weights
    mean = spread * torch.randn(num_components, dim, **law)
    sd = 0.4 + 1.2 * torch.rand(num_components, dim, **law)
    return sample_data(Parameters(weights, mean, sd**-2), num, generator)


def five_gaussians(
    num_data: int = 1000,
    num_test: int = 1000,
    iterations: int = 60,
    show: tuple[int, ...] = SHOWN,
    seed: int = 20,
) -> FiveGaussians:
    """CAVI on five Gaussians in two dimensions, with the model of appendix B and its prior (all ones, ``a0 = 1/5``).

    Appendix B's model and not section 3's: the simulated covariances are random, and a unit-covariance predictive in
    two dimensions could not exceed ``-log(2 pi) = -1.84`` nats, less than the paper's figure shows.
    """
    generator = torch.Generator().manual_seed(seed)
    x, labels = simulate(5, 2, num_data + num_test, generator)
    x, test, labels = x[:num_data], x[num_data:], labels[:num_data]
    model, state = DiagonalMixture(5), None
    state = cavi.init(model, x, generator)
    rows, shots = [], [_components(state.q, 0)]
    for _ in range(iterations):
        state = cavi.step(model, x, state)
        predictive = log_predictive(model, state.q, test)[:, 0]
        rows.append((state.iteration, state.elbo.item() / num_data, predictive.mean().item(), _se(predictive).item()))
        if state.iteration in show:
            shots.append(_components(state.q, state.iteration))
    history = pd.DataFrame(rows, columns=["iteration", "elbo_per_datum", "held_out", "held_out_se"])
    return FiveGaussians(x, labels, history, pd.concat(shots, ignore_index=True))


def ellipses(run: FiveGaussians) -> pd.DataFrame:
    """What the first figure draws: the data with their true component, and every component's mean and spread at each
    snapshot.

    Columns: ``kind`` (datum or component), ``iteration``, ``component``, ``x1``, ``x2`` (datum, or expected mean),
    ``sd1``, ``sd2`` (square roots of the expected inverse precision's inverse: :math:`\\sqrt{\\beta/\\alpha}`),
    ``weight`` (expected share of the data), ``cluster`` (of a datum its true component, of a component the true cluster
    that it ends nearest to, one to one).
    """
    points = pd.DataFrame({"kind": "datum", "component": run.labels, "x1": run.x[:, 0], "x2": run.x[:, 1]})
    cluster = _matched(points, run.snapshots)
    components = run.snapshots.assign(kind="component", cluster=run.snapshots["component"].map(cluster))
    return pd.concat([points.assign(cluster=points["component"]), components], ignore_index=True)


def _matched(points: pd.DataFrame, snapshots: pd.DataFrame) -> dict[int, int]:
    """The true cluster of every component: the pairing whose means lie nearest in the last snapshot."""
    last = snapshots[snapshots["iteration"] == snapshots["iteration"].max()].set_index("component")[["x1", "x2"]]
    truth = points.groupby("component")[["x1", "x2"]].mean()
    distance = np.linalg.norm(last.to_numpy()[:, None] - truth.to_numpy()[None], axis=-1)
    found, cluster = optimize.linear_sum_assignment(distance)
    return dict(zip(last.index[found], truth.index[cluster], strict=True))


def progress(run: FiveGaussians) -> pd.DataFrame:
    """What the second figure draws: nats per datum of the bound, and of the held-out log predictive with its standard
    error.
    """
    return run.history.assign(shown=run.history["iteration"].isin(run.snapshots["iteration"]))


def below_the_evidence(num_data: int = 8, num_inits: int = 20, seed: int = 0) -> pd.DataFrame:
    """The bound of CAVI beside the exact evidence, by enumeration of every assignment, for both models.

    Columns: ``model``, ``num_data``, ``assignments`` (how many were enumerated), ``log_evidence``, ``best_elbo``,
    ``worst_elbo``, ``gap`` (evidence less best bound, total nats), ``log_k_factorial`` (what a bound loses by
    describing one of ``K!`` equal modes).
    """
    generator = torch.Generator().manual_seed(seed)
    x, _ = simulate(3, 2, num_data, generator)
    rows = []
    for name, model in (
        ("section 3", UnitMixture(3, mean_sd=4.0)),
        ("appendix B", DiagonalMixture(3, mean_precision=0.1)),
    ):
        bounds = cavi.fit(model, x, generator, num_inits=num_inits, max_iters=500, tol=1e-12).state.elbo
        exact, best = log_evidence(model, x).item(), bounds.max().item()
        rows.append((name, num_data, 3**num_data, exact, best, bounds.min().item(), exact - best, math.log(6)))
    columns = ["model", "num_data", "assignments", "log_evidence", "best_elbo", "worst_elbo", "gap", "log_k_factorial"]
    return pd.DataFrame(rows, columns=columns)


def million(
    num_data: int = 1_000_000,
    dim: int = 8,
    num_components: int = 10,
    passes: int = 30,
    batch_size: int = 500,
    num_steps: int = 400,
    forgetting: float = 0.6,
    delay: float = 1.0,
    num_starts: int = 3,
    num_test: int = 5000,
    spread: float = 1.5,
    seed: int = 0,
    device: str = "cpu",
) -> pd.DataFrame:
    """CAVI, which reads everything before it moves, beside SVI from the same start, on simulated data in single
    precision.

    Returns:
        One row a record and start: ``algorithm``, ``start``, ``data_read``, ``seconds`` (of all starts together,
        evaluation not counted), ``held_out`` (mean log predictive of data never read, nats per datum) and
        ``held_out_se``.
    """
    generator = torch.Generator().manual_seed(seed)
    x, _ = simulate(num_components, dim, num_data + num_test, generator, spread)
    x = x.float().to(device)
    x, test = x[:num_data], x[num_data:]
    generator = torch.Generator(device).manual_seed(seed + 1)
    model = DiagonalMixture(num_components)
    start = cavi.init(model, x[:5000], generator, num_starts, how="points")

    def monitor(state):
        predictive = log_predictive(model, state.q, test)
        return {"held_out": predictive.mean(0), "held_out_se": _se(predictive)}

    batch = cavi.fit(model, x, start, max_iters=passes, tol=0, monitor=monitor).history
    stochastic = svi.fit(
        model, x, generator, start=svi.SviState(start.q, 0), batch_size=batch_size, num_steps=num_steps,
        schedule=svi.Schedule(delay, forgetting), record_every=max(1, num_steps // 40), monitor=monitor,
    ).history  # fmt: skip
    frames = [
        batch.assign(algorithm="cavi", data_read=batch["iteration"] * num_data),
        stochastic.assign(algorithm="svi"),
    ]
    columns = ["algorithm", "start", "data_read", "seconds", "held_out", "held_out_se"]
    return pd.concat([frame.rename(columns={"init": "start"})[columns] for frame in frames], ignore_index=True)


def _components(q, iteration: int) -> pd.DataFrame:
    sd = (q.rate / q.shape[..., None]).sqrt()[0]
    weight = (q.concentration / q.concentration.sum(-1, keepdim=True))[0]
    columns = {"x1": q.mean[0, :, 0], "x2": q.mean[0, :, 1], "sd1": sd[:, 0], "sd2": sd[:, 1], "weight": weight}
    return pd.DataFrame(
        {"iteration": iteration, "component": range(len(weight)), **{k: v.tolist() for k, v in columns.items()}}
    )


def _se(values: Tensor) -> Tensor:
    """Of the mean over the first axis."""
    return values.std(0) / math.sqrt(len(values))
