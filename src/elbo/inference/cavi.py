r"""Coordinate ascent variational inference for Bayesian mixtures of Gaussians.

Blei, Kucukelbir & McAuliffe (2017): algorithm 1 in general, algorithm 2 for
:class:`~elbo.models.gaussian_mixture.UnitMixture`, appendix B for
:class:`~elbo.models.gaussian_mixture.DiagonalMixture`. The family is :math:`q(\theta)\prod_n q(c_n)`; a step sets every
:math:`q(c_n)`, then :math:`q(\theta)`, to its optimum, so the bound never falls.

The verbs are ``init``, ``step`` and ``fit``. Any number of initialisations run at once on a leading axis ``R``. Global
parameters are kept in double precision; arithmetic on the data runs in the data's own.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import pandas as pd
import torch
from torch import Generator, Tensor

from elbo.inference.assignments import accumulate, centre_of, log_normalisers
from elbo.models.mixture_family import ConjugateMixture, Statistics, check_data, wide

__all__ = ["CaviFit", "CaviState", "best", "elbo", "fit", "init", "local_step", "step", "tidy"]


class CaviState(NamedTuple):
    """Where CAVI stands: ``q`` of the globals, the bound ``(R,)`` in total nats (minus infinity at the start)."""

    q: Any  # UnitPosterior or DiagonalPosterior, leading axis R
    elbo: Tensor  # (R,)
    iteration: int


class CaviFit(NamedTuple):
    """What ``fit`` returns: the last state, and a tidy frame of ``init, iteration, seconds, elbo, elbo_per_datum``."""

    state: CaviState
    history: pd.DataFrame


def init(
    model: ConjugateMixture, x: Tensor, generator: Generator, num_inits: int = 1, how: str = "gaussian"
) -> CaviState:
    r"""Random starting points: every component as if it had been given ``n / K`` data with the data's variance.

    Args:
        model: the mixture. More components than data are allowed: what is not needed returns to the prior.
        x: data ``(n, dim)``.
        generator: source of every random number, on the data's device.
        num_inits: ``R``.
        how: where the means start. ``"gaussian"``: draws from a factorised Gaussian with the data's mean and variance
            (Blei et al., 2017, section 2.5). ``"points"``: data drawn at random, which in many dimensions starts much
            closer to a solution, with a tenth of that Gaussian's noise, because nothing would ever part two components
            that start equal.

    Raises:
        ValueError: unusable data, ``num_inits`` below one, or an unknown ``how``.
    """
    check_data(x)
    if num_inits < 1:
        raise ValueError(f"num_inits must be at least 1, got {num_inits}")
    shape, dtype = (num_inits, model.num_components, x.shape[1]), wide(x)
    centre = x.mean(0)
    var = x.var(0, correction=0).to(dtype)
    noise = var.sqrt() * torch.randn(shape, generator=generator, dtype=dtype, device=x.device)
    if how == "gaussian":
        offset = noise
    elif how == "points":
        keys = torch.rand(num_inits, max(len(x), shape[1]), generator=generator, device=x.device)
        rows = keys.topk(shape[1]).indices % len(x)  # distinct data, as long as there are enough
        offset = (x[rows] - centre).to(dtype) + 0.1 * noise
    else:
        raise ValueError(f"how must be 'gaussian' or 'points', got {how!r}")
    share = torch.full(shape[:2], len(x) / shape[1], dtype=dtype, device=x.device)
    stats = Statistics(share, share[..., None] * offset, share[..., None] * (var + offset.square()), centre.to(dtype))
    return CaviState(model.posterior(stats), torch.full(shape[:1], -math.inf, dtype=dtype, device=x.device), 0)


def step(model: ConjugateMixture, x: Tensor, state: CaviState) -> CaviState:
    r"""One sweep of coordinate ascent: all :math:`q(c_n)`, then :math:`q(\theta)`; one pass over the data.

    .. math:: q(c_n = k) \propto \exp E_q[\log p(x_n, c_n = k \mid \theta)], \qquad
              q(\theta) \propto p(\theta) \exp \textstyle\sum_{nk} q(c_n = k) \log p(x_n, c_n = k \mid \theta)

    The returned bound belongs to the returned ``q(theta)`` and the assignments that it was made from.

    Raises:
        ValueError: columns of ``x`` and ``q`` differ, or the bound is not finite (the message names the culprit).
    """
    q, bound = sweep(model, x, state.q)
    if not torch.isfinite(bound).all():
        check_data(x)
        raise ValueError(_broken(q))
    return CaviState(q, bound, state.iteration + 1)


def sweep(model: ConjugateMixture, x: Tensor, q: Any) -> tuple[Any, ...]:
    """What :func:`step` does, without its checks: the new ``q(theta)`` and the bound."""
    stats, entropy = local_step(model, x, q)
    q = model.posterior(stats)
    bound = _fitted_log_likelihood(model, q, stats) + entropy - model.kl(q)
    return q, bound


def local_step(model: ConjugateMixture, x: Tensor, q: Any) -> tuple[Statistics, Tensor]:
    """Set every ``q(c_n)`` to its optimum given ``q(theta)``.

    Returns:
        The statistics of the data so assigned, and the entropy ``(R,)`` of ``q(c)`` in nats.

    Raises:
        ValueError: columns of ``x`` and ``q`` differ.
    """
    dim = model.location(q)[0].shape[-1]
    if x.ndim != 2 or x.shape[1] != dim:
        raise ValueError(f"the state was made for data with {dim} columns, got shape {tuple(x.shape)}; call init again")
    centre = centre_of(model, q)
    return accumulate(x, model.coefficients(q, centre), centre, _assign_softly)


def elbo(model: ConjugateMixture, x: Tensor, q: Any) -> Tensor:
    r"""The evidence lower bound at ``q(theta)`` and the best assignments, all constants kept: ``(R,)`` total nats.

    .. math:: \mathrm{ELBO} = \sum_n \log \sum_k \exp E_q[\log p(x_n, c_n = k \mid \theta)] - KL(q(\theta) \| p(\theta))

    Divide by ``len(x)`` for nats per datum. Never above :math:`\log p(x)`.
    """
    check_data(x)
    return log_normalisers(model, q, x).sum(0, dtype=wide(x)) - model.kl(q)


def fit(
    model: ConjugateMixture,
    x: Tensor,
    start: CaviState | Generator,
    *,
    num_inits: int = 1,
    how: str = "gaussian",
    max_iters: int = 100,
    tol: float = 1e-6,
    monitor: Callable[[CaviState], dict[str, Tensor]] | None = None,
) -> CaviFit:
    """Run CAVI from every start until the last of them stands still.

    Args:
        model, x: the mixture and its data ``(n, dim)``.
        start: a state to continue from, or a generator for :func:`init` with ``num_inits`` and ``how``.
        max_iters: most steps to take.
        tol: stop when no bound rose by more than this in a step, in nats per datum; 0 never stops early.
        monitor: called after every step off the clock; its ``(R,)`` values become columns of the history.

    Returns:
        The last state and the history, one row for every initialisation and iteration; ``seconds`` is the clock of the
        whole batch.
    """
    state = start if isinstance(start, CaviState) else init(model, x, start, num_inits, how)
    check_data(x)
    rows, seconds = [], 0.0
    for _ in range(max_iters):
        begun, before = time.perf_counter(), state.elbo
        state = step(model, x, state)
        seconds += time.perf_counter() - begun
        extra = monitor(state) if monitor else {}
        bound = {"elbo": state.elbo, "elbo_per_datum": state.elbo / len(x)}
        rows.append({"iteration": state.iteration, "seconds": seconds, **bound, **extra})
        if tol > 0 and bool(((state.elbo - before) < tol * len(x)).all()):
            break
    return CaviFit(state, tidy(rows, len(state.elbo)))


def best(state: CaviState) -> CaviState:
    """The initialisation with the highest bound, its leading axis kept at length one."""
    winner = state.elbo.argmax().reshape(1)
    return CaviState(type(state.q)(*(part[winner] for part in state.q)), state.elbo[winner], state.iteration)


def tidy(rows: list[dict[str, Any]], num_inits: int) -> pd.DataFrame:
    """One row for every initialisation and record: values ``(R,)`` are spread over them, plain numbers repeated."""
    columns = {"init": list(range(num_inits)) * len(rows)}
    for name in rows[0] if rows else ():
        spread = [v.tolist() if isinstance(v, Tensor) else [v] * num_inits for v in (row[name] for row in rows)]
        columns[name] = [v for values in spread for v in values]
    return pd.DataFrame(columns)


def _assign_softly(logits: Tensor) -> tuple[Tensor, Tensor]:
    log_resp = logits.log_softmax(-2)
    resp = log_resp.exp()
    return resp, -(resp * log_resp).sum((-1, -2))  # responsibilities (..., K, chunk) and their entropy (...)


def _fitted_log_likelihood(model: ConjugateMixture, q: Any, stats: Statistics) -> Tensor:
    quadratic, linear, bias = model.coefficients(q, stats.centre)
    per_component = (quadratic * stats.quadratic + linear * stats.linear).sum(-1) + bias * stats.counts
    return per_component.sum(-1)


def _broken(q: Any) -> str:
    bad = [name for name, part in q._asdict().items() if not torch.isfinite(part).all()]
    return (
        f"the bound is not finite; broken: {', '.join(bad) or 'the expected log-likelihood'}. "
        "Bring the data to a moderate scale or use double precision"
    )
