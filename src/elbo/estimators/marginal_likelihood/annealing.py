r"""Annealed importance sampling in both directions; Neal (2001), Grosse, Ghahramani & Adams (2015).

The path is geometric, :math:`\log f_t(z) = (1 - t) \log q_0(z) + t \log p(x, z)`, from a normalised Gaussian
:math:`q_0` (the prior, where nothing else is said) to the posterior. HMC leaves each :math:`f_t` invariant. Its step
sizes are tuned on chains of their own and frozen: adapting them on the chains that are weighed would break the
unbiasedness of the weights.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from elbo.estimators.marginal_likelihood.evidence import Evidence, Gaussian
from elbo.inference import hmc
from elbo.models.vae import VAE, Params

__all__ = ["Bracket", "Schedule", "ais", "ais_reverse", "bidirectional", "sigmoid_temperatures", "tune_schedule"]

LogJoint = Callable[[Tensor], Tensor]
JITTER = 0.1  # of the step size, so that no trajectory is a period of the target


class Schedule(NamedTuple):
    """Temperatures and the frozen step sizes of the transitions between them."""

    temperatures: tuple[float, ...]  # from 0 to 1
    step_size: Tensor  # (temperatures - 2, batch)
    leapfrog_steps: int
    base: Gaussian


class Bracket(NamedTuple):
    """Simulated data ``(batch, data_dim)``, the codes ``(batch, D)`` they came from, and both bounds on log p(x)."""

    x: Tensor
    z: Tensor
    lower: Evidence
    upper: Evidence


def sigmoid_temperatures(count: int, spread: float = 4.0) -> tuple[float, ...]:
    r"""``count + 1`` temperatures from 0 to 1, dense at both ends.

    .. math:: t_k = \frac{\sigma(s(2k/K - 1)) - \sigma(-s)}{\sigma(s) - \sigma(-s)}

    Source: Wu, Burda, Salakhutdinov & Grosse (2017).
    """
    if count < 1 or spread <= 0:
        raise ValueError(f"count must be at least 1 and spread positive, got {count} and {spread}")
    raw = torch.sigmoid(spread * torch.linspace(-1, 1, count + 1, dtype=torch.float64))
    scaled = (raw - raw[0]) / (raw[-1] - raw[0])
    return (0.0, *scaled[1:-1].tolist(), 1.0)


def tune_schedule(
    log_joint: LogJoint,
    base: Gaussian,
    temperatures: tuple[float, ...],
    *,
    generator: torch.Generator,
    chains: int = 8,
    leapfrog_steps: int = 5,
    target_accept: float = 0.8,
    passes: int = 3,
    step_size: float = 0.5,
) -> Schedule:
    r"""Step sizes for every temperature and datum, from pilot runs of annealing whose chains are thrown away.

    The first pass carries one step size for each datum along the path,
    :math:`\log\epsilon \leftarrow \log\epsilon + \bar a - a^*` with :math:`\bar a` the mean acceptance of its chains;
    later passes correct each temperature's own, by a half, a third, and so on.

    Args:
        log_joint: ``(chains, batch, D) -> (chains, batch)`` nats, differentiable.
        base: where the path begins, for a VAE ``Gaussian.standard(...)``, or the encoder's.
        chains, passes, step_size: of the pilot runs; ``step_size`` is where it begins, times the smallest scale of
            ``base``.

    Returns:
        :class:`Schedule`. Cost: ``passes`` runs of :func:`ais` with ``chains`` chains.
    """
    path = list(temperatures)
    if len(path) < 3 or path[0] != 0 or path[-1] != 1 or path != sorted(path):
        raise ValueError("temperatures must rise from 0 to 1 in at least two steps; see sigmoid_temperatures")
    log_step = torch.log(step_size * torch.linalg.svdvals(base.chol).amin(-1))  # (batch,)
    tuned = log_step.new_zeros(len(temperatures) - 2, len(log_step))
    for number in range(passes):

        def transit(index: int, density: LogJoint, state: hmc.Chain, number: int = number) -> hmc.Chain:
            nonlocal log_step
            current = log_step if number == 0 else tuned[index]
            state, info = hmc.step(density, state, _each(current.exp(), chains), leapfrog_steps, generator, JITTER)
            accepted = info.accept_prob.view(chains, -1).mean(0)
            log_step = current + (accepted - target_accept) / (number + 1)
            tuned[index] = log_step
            return state

        _travel(log_joint, base, _from(base, chains, generator), temperatures, transit)
    return Schedule(tuple(temperatures), tuned.exp(), leapfrog_steps, base)


def ais(log_joint: LogJoint, schedule: Schedule, *, chains: int, generator: torch.Generator) -> Evidence:
    r"""Annealed importance sampling from the base to the posterior; Neal (2001), equations 10 and 11.

    .. math:: \log w = \sum_{k=1}^{K} \log f_{t_k}(z_{k-1}) - \log f_{t_{k-1}}(z_{k-1}), \qquad E[w] = p(x)

    Args:
        log_joint: ``(chains, batch, D) -> (chains, batch)`` nats, differentiable.
        schedule: of :func:`tune_schedule`, on the same data.
        chains: independent weights for each datum.

    Returns:
        :class:`Evidence`, below log p(x) in expectation. Cost: ``K * (leapfrog_steps + 1)`` gradients of every chain.
    """
    work, acceptance = _weigh(log_joint, schedule, _from(schedule.base, chains, generator), generator, False)
    return Evidence.from_weights(work, "lower", 1.0, acceptance)


def ais_reverse(log_joint: LogJoint, posterior: Tensor, schedule: Schedule, *, generator: torch.Generator) -> Evidence:
    r"""The same path walked backwards from exact posterior draws: :math:`E[w^{-1}] = 1 / p(x)`.

    Exact draws are at hand where the data are simulated: the code that a datum came from is one. Source: Grosse,
    Ghahramani & Adams (2015).

    Args:
        posterior: ``(chains, batch, D)``. Chains may start from the same draw: the bound holds, but the standard error
            is then that given the draw, and too small.

    Returns:
        :class:`Evidence`, above log p(x) in expectation. Cost as for :func:`ais`.
    """
    work, acceptance = _weigh(log_joint, schedule, posterior, generator, True)
    return Evidence.from_weights(work, "upper", 1.0, acceptance)


def bidirectional(
    model: VAE,
    params: Params,
    *,
    count: int,
    chains: int,
    generator: torch.Generator,
    temperatures: int = 200,
    leapfrog_steps: int = 5,
) -> Bracket:
    """Bounds from both sides for data that the model dreams: how good AIS with these settings is on this model.

    For each datum the expectations of ``lower`` and ``upper`` bracket log p(x); their distance, averaged over
    ``count`` data (with its standard error over data), bounds the mean error of either. It speaks for real data as far
    as they resemble dreamed ones.
    """
    with torch.no_grad():
        z, x = model.sample(params, count, generator)

    def log_joint(codes: Tensor) -> Tensor:
        return model.log_joint(params, x, codes)

    base = Gaussian.standard(count, model.latent_dim, z)
    path = sigmoid_temperatures(temperatures)
    schedule = tune_schedule(log_joint, base, path, generator=generator, leapfrog_steps=leapfrog_steps)
    lower = ais(log_joint, schedule, chains=chains, generator=generator)
    upper = ais_reverse(log_joint, z.expand(chains, -1, -1), schedule, generator=generator)
    return Bracket(x, z, lower, upper)


def _weigh(
    log_joint: LogJoint, schedule: Schedule, start: Tensor, generator: torch.Generator, backwards: bool
) -> tuple[Tensor, Tensor]:
    """The summed differences of log f along the path, ``(chains, batch)``, and mean acceptance, ``(batch,)``."""
    path = schedule.temperatures[::-1] if backwards else schedule.temperatures
    steps = schedule.step_size.flip(0) if backwards else schedule.step_size
    accepted = torch.zeros_like(steps[0])

    def transit(index: int, density: LogJoint, state: hmc.Chain) -> hmc.Chain:
        epsilon = _each(steps[index], len(start))
        state, info = hmc.step(density, state, epsilon, schedule.leapfrog_steps, generator, JITTER)
        accepted.add_(info.accept_prob.view(start.shape[:2]).mean(0) / len(steps))
        return state

    return _travel(log_joint, schedule.base, start, path, transit), accepted


def _travel(
    log_joint: LogJoint,
    base: Gaussian,
    start: Tensor,
    path: Sequence[float],
    transit: Callable[[int, LogJoint, hmc.Chain], hmc.Chain],
) -> Tensor:
    """Change the temperature, weigh, move; no move after the last change."""

    def at(t: float) -> LogJoint:
        def density(flat: Tensor) -> Tensor:
            z = flat.view(start.shape)
            return ((1 - t) * base.log_prob(z) + t * log_joint(z)).flatten()

        return density

    state = hmc.start(at(path[0]), start.flatten(0, 1))
    work = torch.zeros_like(state.log_prob)
    for index, t in enumerate(path[1:]):
        changed = hmc.start(at(t), state.z)
        work += changed.log_prob - state.log_prob
        if index < len(path) - 2:
            state = transit(index, at(t), changed)
    return work.view(start.shape[:2])


def _from(base: Gaussian, chains: int, generator: torch.Generator) -> Tensor:
    kind: dict[str, Any] = {"dtype": base.mean.dtype, "device": base.mean.device}
    return base.sample(torch.randn(chains, *base.mean.shape, generator=generator, **kind))


def _each(step_size: Tensor, chains: int) -> Tensor:
    """One step size a datum to one a chain, ``(chains * batch,)``."""
    return step_size.expand(chains, -1).reshape(-1)
