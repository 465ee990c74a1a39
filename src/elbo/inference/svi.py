r"""Stochastic variational inference for Bayesian mixtures of Gaussians.

Blei, Kucukelbir & McAuliffe (2017), algorithm 3, after Hoffman, Blei, Wang & Paisley (2013). A step reads a minibatch,
pretends that the data set consists of ``n / batch`` copies of it, and moves ``q(theta)`` towards CAVI's answer for that
data set. In natural parameters the move is a step along the natural gradient of the bound:

.. math:: \lambda_t = (1 - \epsilon_t) \lambda_{t-1} + \epsilon_t \hat\lambda_t, \qquad
          \epsilon_t = (t + t_0)^{-\kappa}, \quad t = 0, 1, \dots

The whole data set and :math:`\epsilon = 1` give a CAVI step. The verbs are those of :mod:`elbo.inference.cavi`.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import pandas as pd
import torch
from torch import Generator, Tensor

from elbo.inference import cavi
from elbo.inference.assignments import log_normalisers
from elbo.models.mixture_family import ConjugateMixture, check_data, wide

__all__ = ["Schedule", "SviFit", "SviState", "fit", "init", "noisy_elbo", "step"]


@dataclass(frozen=True)
class Schedule:
    r"""Robbins-Monro step sizes :math:`\epsilon_t = (t + t_0)^{-\kappa}`.

    :math:`\sum_t \epsilon_t = \infty` and :math:`\sum_t \epsilon_t^2 < \infty` for :math:`\kappa \in (0.5, 1]`.

    Args:
        delay: :math:`t_0 \ge 1`; larger trusts early minibatches less and leaves the start more slowly.
        forgetting: :math:`\kappa`; near 0.5 early minibatches are forgotten fast.

    Raises:
        ValueError: outside these ranges.
    """

    delay: float = 1.0
    forgetting: float = 0.7

    def __post_init__(self) -> None:
        if not self.delay >= 1:
            raise ValueError(f"delay must be at least 1, so that no step is longer than 1; got {self.delay}")
        if not 0.5 < self.forgetting <= 1:
            raise ValueError(f"forgetting must lie in (0.5, 1] for the steps to converge, got {self.forgetting}")

    def __call__(self, iteration: int) -> float:
        """Step size of step ``iteration`` = 0, 1, ..."""
        return float((iteration + self.delay) ** -self.forgetting)


class SviState(NamedTuple):
    """Where SVI stands: ``q`` of the globals on a leading axis ``R``, and how many steps were taken."""

    q: Any  # UnitPosterior or DiagonalPosterior
    iteration: int


class SviFit(NamedTuple):
    """Last state, and a tidy frame of ``init, iteration, seconds, data_read, elbo, elbo_per_datum`` (full bound, off
    the clock).
    """

    state: SviState
    history: pd.DataFrame


def init(
    model: ConjugateMixture, x: Tensor, generator: Generator, num_inits: int = 1, how: str = "gaussian"
) -> SviState:
    """Random starting points; arguments and errors are those of :func:`elbo.inference.cavi.init`."""
    return SviState(cavi.init(model, x, generator, num_inits, how).q, 0)


def step(model: ConjugateMixture, batch: Tensor, state: SviState, num_data: int, step_size: float) -> SviState:
    r"""One natural-gradient step on a minibatch; Blei et al. (2017), algorithm 3. Cost ``8 len(batch) dim K``
    operations.

    :math:`\hat\lambda`, the conjugate update for ``num_data / len(batch)`` copies of the minibatch, is an unbiased
    estimate of CAVI's update.

    Raises:
        ValueError: ``step_size`` outside (0, 1], or a minibatch that breaks the bound (NaN, wrong columns).
    """
    if not 0 < step_size <= 1:
        raise ValueError(f"step_size must lie in (0, 1], got {step_size}; see Schedule")
    stats = cavi.local_step(model, batch, state.q)[0]
    scale = num_data / len(batch)
    target = model.posterior(stats._replace(**{name: scale * getattr(stats, name) for name in stats._fields[:3]}))
    q = model.interpolate(state.q, target, step_size)
    if not torch.isfinite(model.kl(q)).all():
        check_data(batch)
        raise ValueError("the bound is not finite; bring the data to a moderate scale or use double precision")
    return SviState(q, state.iteration + 1)


def noisy_elbo(model: ConjugateMixture, batch: Tensor, q: Any, num_data: int) -> tuple[Tensor, Tensor]:
    """Unbiased estimate of the full bound (best assignments) from a minibatch, and its standard error: ``(R,)`` total
    nats each.
    """
    if len(batch) < 2:
        raise ValueError("a standard error needs a minibatch of at least two data")
    logs = num_data * log_normalisers(model, q, batch).to(wide(batch))
    return logs.mean(0) - model.kl(q), logs.std(0) / math.sqrt(len(batch))


def fit(
    model: ConjugateMixture,
    x: Tensor,
    generator: Generator,
    *,
    start: SviState | None = None,
    num_inits: int = 1,
    how: str = "gaussian",
    batch_size: int = 100,
    num_steps: int = 1000,
    schedule: Schedule = Schedule(),
    record_every: int = 100,
    monitor: Callable[[SviState], dict[str, Tensor]] | None = None,
) -> SviFit:
    """Run SVI; every initialisation sees the same minibatches, drawn with replacement.

    Args:
        model, x, generator: the mixture, its data ``(n, dim)``, and the source of minibatches (and of a start).
        start: a state to continue from; otherwise ``init`` with ``num_inits`` and ``how``.
        batch_size, num_steps, schedule: the minibatches and how far each step goes.
        record_every: steps between two rows of the history.
        monitor: off the clock at every row; its ``(R,)`` values become columns. The default is the full bound
            (a pass over all data), columns ``elbo`` and ``elbo_per_datum``.

    Raises:
        ValueError: unusable data, or ``batch_size`` above ``n``.
    """
    check_data(x)
    if not 1 <= batch_size <= len(x):
        raise ValueError(f"batch_size must lie between 1 and the {len(x)} data, got {batch_size}")
    state = init(model, x, generator, num_inits, how) if start is None else start
    monitor = monitor or (lambda now: _full_bound(model, x, now))
    rows, seconds = [], 0.0
    for count in range(1, num_steps + 1):
        begun = time.perf_counter()
        index = torch.randint(len(x), (batch_size,), generator=generator, device=x.device)
        state = step(model, x[index], state, len(x), schedule(state.iteration))
        seconds += time.perf_counter() - begun
        if count % record_every == 0 or count == num_steps:
            row = {"iteration": state.iteration, "seconds": seconds, "data_read": state.iteration * batch_size}
            rows.append(row | monitor(state))
    return SviFit(state, cavi.tidy(rows, len(model.location(state.q)[1])))


def _full_bound(model: ConjugateMixture, x: Tensor, state: SviState) -> dict[str, Tensor]:
    bound = cavi.elbo(model, x, state.q)
    return {"elbo": bound, "elbo_per_datum": bound / len(x)}
