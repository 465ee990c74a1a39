r"""Blocked Gibbs sampling for Bayesian mixtures of Gaussians: exact in the limit, the reference for the bounds.

A sweep draws every assignment given the global latents, then the global latents given the assignments. Both are exact
draws from conditionals of the model, so the posterior :math:`p(c, \theta \mid x)` is invariant; Blei et al. (2017),
section 2.4, set this beside CAVI, which puts an optimum where Gibbs puts a draw. One pass over the data a sweep, as in
CAVI.

Chains run on a leading axis ``R``. Labels may switch: compare only what does not depend on them.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import pandas as pd
import torch
from torch import Generator, Tensor

from elbo.densities import LOG_2PI
from elbo.inference import cavi
from elbo.inference.assignments import accumulate, scored_chunks
from elbo.models.mixture_family import Coefficients, ConjugateMixture, Parameters, Statistics, check_data

__all__ = ["GibbsFit", "GibbsState", "assign", "begin", "fit", "init", "log_likelihood", "log_predictive", "step"]


class GibbsState(NamedTuple):
    """Where the chains stand: a draw of the global latents with leading axis ``R``, and what it was drawn from."""

    params: Parameters
    conditional: Any  # p(theta | x, c), a UnitPosterior or DiagonalPosterior; at the start, where the draw came from
    assignments: Tensor  # (R, n), int16; empty before the first sweep
    iteration: int


class GibbsFit(NamedTuple):
    """Last state, a tidy frame ``init, iteration, seconds`` with the monitor's columns, draws ``(draws, R, ...)``."""

    state: GibbsState
    history: pd.DataFrame
    draws: Parameters | None


def init(
    model: ConjugateMixture, x: Tensor, generator: Generator, num_chains: int = 1, how: str = "gaussian"
) -> GibbsState:
    """Draw starting values of the global latents from a random start of CAVI (:func:`elbo.inference.cavi.init`)."""
    return begin(model, cavi.init(model, x, generator, num_chains, how).q, generator)


def begin(model: ConjugateMixture, q: Any, generator: Generator) -> GibbsState:
    """Start one chain for every leading index of ``q``, at a draw from it."""
    params = model.draw(q, generator)
    empty = torch.empty(len(params.mean), 0, dtype=torch.int16, device=params.mean.device)
    return GibbsState(params, q, empty, 0)


def step(model: ConjugateMixture, x: Tensor, state: GibbsState, generator: Generator) -> GibbsState:
    r"""One sweep: :math:`c_n \sim p(c_n \mid x_n, \theta)` for all data, then :math:`\theta \sim p(\theta \mid x, c)`.

    Assignments are drawn by adding Gumbel noise to log-probabilities and taking the largest. Cost: one pass over the
    data.

    Raises:
        ValueError: the draw is not finite (data with NaN, or beyond the range of its precision).
    """
    params, conditional, assignments = sweep(model, x, state.params, generator)
    if not all(torch.isfinite(part).all() for part in params):
        check_data(x)
        raise ValueError("the draw is not finite; bring the data to a moderate scale or use double precision")
    return GibbsState(params, conditional, assignments, state.iteration + 1)


def sweep(model: ConjugateMixture, x: Tensor, params: Parameters, generator: Generator) -> tuple[Any, ...]:
    """What :func:`step` does, without its checks: new parameters, their conditional, and the assignments."""
    stats, assignments = assign(x, params, generator)
    conditional = model.posterior(stats)
    params = model.draw(conditional, generator)
    return params, conditional, assignments


def fit(
    model: ConjugateMixture,
    x: Tensor,
    generator: Generator,
    *,
    start: GibbsState | None = None,
    num_chains: int = 1,
    how: str = "gaussian",
    num_sweeps: int = 1000,
    keep_every: int = 0,
    monitor: Callable[[GibbsState], dict[str, Tensor]] | None = None,
) -> GibbsFit:
    """Run the chains.

    Args:
        model, x, generator: the mixture, its data ``(n, dim)``, and the source of every draw.
        start: a state to continue from; otherwise ``init`` with ``num_chains`` and ``how``.
        num_sweeps: how many sweeps.
        keep_every: keep the global latents of every so many sweeps (0: none), warm-up included; the caller drops it.
        monitor: off the clock after every sweep; its ``(R,)`` values become columns of the history.

    Raises:
        ValueError: unusable data.
    """
    check_data(x)
    state = init(model, x, generator, num_chains, how) if start is None else start
    rows, kept, seconds = [], [], 0.0
    for _ in range(num_sweeps):
        begun = time.perf_counter()
        state = step(model, x, state, generator)
        seconds += time.perf_counter() - begun
        rows.append({"iteration": state.iteration, "seconds": seconds} | (monitor(state) if monitor else {}))
        if keep_every and state.iteration % keep_every == 0:
            kept.append(state.params)
    draws = Parameters(*(torch.stack(parts) for parts in zip(*kept, strict=True))) if kept else None
    return GibbsFit(state, cavi.tidy(rows, len(state.params.log_weights)), draws)


def assign(x: Tensor, params: Parameters, generator: Generator) -> tuple[Statistics, Tensor]:
    """Draw every assignment given global latents ``(R, K, ...)``: the statistics, and the assignments ``(R, n)``."""
    chosen: list[Tensor] = []

    def draw(logits: Tensor) -> tuple[Tensor, Tensor]:  # (R, K, chunk)
        gumbel = -torch.empty_like(logits).exponential_(generator=generator).log()
        winner = (logits + gumbel).argmax(-2, keepdim=True)
        chosen.append(winner.squeeze(-2).to(torch.int16))
        return torch.zeros_like(logits).scatter_(-2, winner, 1.0), logits.new_zeros(logits.shape[:-2])

    centre = _centre(params)
    stats, _ = accumulate(x, _coefficients(params, centre), centre, draw)
    return stats, torch.cat(chosen, -1)


def log_likelihood(params: Parameters, x: Tensor) -> Tensor:
    r""":math:`\log p(x_n \mid \theta)`, assignments summed out, in chunks; ``(batch, dim)`` -> ``(batch, ...)`` nats.

    The same number as ``component_log_likelihood(params, x).logsumexp(-1)``, by matrix products.
    """
    centre = _centre(params)
    chunks = scored_chunks(x, _coefficients(params, centre), centre)
    return torch.cat([logits.logsumexp(-2).movedim(-1, 0) for _, _, logits in chunks])


def log_predictive(draws: Parameters, x: Tensor) -> Tensor:
    r"""Held-out log predictive density :math:`\log \tfrac1S \sum_s p(x_{new} \mid \theta_s)` over the first axis of
    ``draws``.

    In many dimensions few draws say little: biased downwards by about half the relative variance of the average. There
    the average of ``log_predictive(model, state.conditional, x)`` (:mod:`elbo.inference.assignments`), with the global
    latents integrated out, is better.

    Args:
        draws: ``(S, ..., K, ...)``, as kept by :func:`fit`, warm-up removed.
        x: ``(batch, dim)``.

    Returns:
        ``(batch, ...)`` nats.
    """
    logs = torch.stack([log_likelihood(Parameters(*parts), x) for parts in zip(*draws, strict=True)])
    return logs.logsumexp(0) - math.log(len(logs))


def _centre(params: Parameters) -> Tensor:
    weights = params.log_weights.softmax(-1)[..., None]
    return (weights * params.mean).sum(-2).reshape(-1, params.mean.shape[-1]).mean(0)


def _coefficients(params: Parameters, centre: Tensor) -> Coefficients:
    log_weights, mean, precision = params
    mean = mean - centre
    bias = log_weights + 0.5 * (precision.log() - precision * mean.square() - LOG_2PI).sum(-1)
    return Coefficients(-0.5 * precision, precision * mean, bias)
