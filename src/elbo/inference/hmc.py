r"""Hamiltonian Monte Carlo for many chains at once.

The book's Markov chain Monte Carlo: exact in the limit of many draws, and therefore the judge of what a variational
family loses. A target is one function ``log_prob(z)``, ``(chains, dim) -> (chains,)``, known up to a constant in ``z``
and differentiable by autograd; chains never mix, so each may have a target of its own (one chain a data point, or one
chain a simulated data set).

    run = fit(log_prob, initial, draws=500, warmup=300, leapfrog_steps=10, generator=generator)

Sources: Duane, Kennedy, Pendleton & Roweth (1987); Neal (2011), "MCMC using Hamiltonian dynamics", section 5.2
(leapfrog) and 5.3 (acceptance); Hoffman & Gelman (2014), section 3.2 (dual averaging of the step size).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from elbo.checks import floating, natural, positive
from elbo.inference.names import former_name

__all__ = [
    "Chain",
    "Draws",
    "StepSize",
    "Transition",
    "adapt",
    "leapfrog",
    "fit",
    "sample",
    "start",
    "start_adaptation",
    "step",
]

LogProb = Callable[[Tensor], Tensor]
Generators = torch.Generator | Sequence[torch.Generator]

DIVERGENT = 1000.0  # an energy error above this many nats is a divergence (the threshold that Stan uses)


class Chain(NamedTuple):
    """Where the chains are: ``z`` (chains, dim), ``log_prob`` (chains,) in nats, ``grad`` (chains, dim)."""

    z: Tensor
    log_prob: Tensor
    grad: Tensor


class Transition(NamedTuple):
    """What one Metropolis step did: acceptance probability, accepted, energy error in nats, diverged; each
    (chains,)."""

    accept_prob: Tensor
    accepted: Tensor
    energy_error: Tensor
    diverged: Tensor


class StepSize(NamedTuple):
    r"""State of dual averaging, Hoffman & Gelman (2014), algorithm 5; every field is ``(chains,)`` but ``count``.

    ``log_step`` is what the next transition uses while adapting, ``log_average`` what is frozen afterwards, ``shrink``
    is :math:`\mu`.
    """

    log_step: Tensor
    log_average: Tensor
    error: Tensor
    shrink: Tensor
    count: int  # type: ignore[assignment]  # a tuple has a method of this name


@dataclass(frozen=True)
class Draws:
    """What :func:`fit` returns; ``chains`` lead every array, as the diagnostics expect.

    Attributes:
        z: ``(chains, draws, dim)``.
        log_prob: ``(chains, draws)``, the target's value in nats, up to its constant.
        accept_prob: ``(chains, draws)``, Metropolis acceptance probabilities after warm-up.
        step_size: ``(chains,)``, the step size that was frozen when warm-up ended.
        divergences: ``(chains,)``, trajectories after warm-up whose energy error was not finite or above 1000 nats (all
            rejected).
        gradients: gradient evaluations of each chain, warm-up included (the cost).
        last: the final state, from which a further run can start.
    """

    z: Tensor
    log_prob: Tensor
    accept_prob: Tensor
    step_size: Tensor
    divergences: Tensor
    gradients: int
    last: Chain


def start(log_prob: LogProb, initial: Tensor) -> Chain:
    """Value and gradient of the target at the initial points ``(chains, dim)``.

    Raises:
        TypeError: ``initial`` is not of floating point.
        ValueError: a shape is wrong, or the target or its gradient is not finite at an initial point.
    """
    floating(initial=initial)
    if initial.ndim != 2:
        raise ValueError(f"initial must be (chains, dim), got {tuple(initial.shape)}; for one chain add a leading axis")
    state = _evaluate(log_prob, initial)
    if state.log_prob.shape != initial.shape[:1]:
        shape = tuple(state.log_prob.shape)
        raise ValueError(f"log_prob must return (chains,) = ({len(initial)},), got {shape}; do not reduce over chains")
    bad = ~(state.log_prob.isfinite() & state.grad.isfinite().all(-1))
    if bad.any():
        which = bad.nonzero().flatten().tolist()[:5]
        raise ValueError(
            f"log_prob or its gradient is not finite where chains {which} start; choose initial points inside the "
            "support"
        )
    return state


def leapfrog(log_prob: LogProb, state: Chain, momentum: Tensor, step_size: Tensor, steps: int) -> tuple[Chain, Tensor]:
    r"""Follow Hamilton's equations for :math:`H(z, r) = -\log p(z) + \tfrac12 r^\top r` by ``steps`` leapfrogs.

    .. math:: r \leftarrow r + \tfrac\epsilon2 \nabla\log p(z), \quad z \leftarrow z + \epsilon r, \quad
              r \leftarrow r + \tfrac\epsilon2 \nabla\log p(z)

    Reversible (negate the momentum and come back), volume preserving, energy error :math:`O(\epsilon^2)`.

    Args:
        momentum: ``(chains, dim)``. step_size: ``(chains,)`` or a scalar tensor.

    Returns:
        The new state and momentum. Cost: ``steps`` gradients.
    """
    epsilon = step_size.unsqueeze(-1)  # (chains, 1) or (1,)
    for _ in range(steps):
        momentum = momentum + 0.5 * epsilon * state.grad
        state = _evaluate(log_prob, state.z + epsilon * momentum)
        momentum = momentum + 0.5 * epsilon * state.grad
    return state, momentum


def step(
    log_prob: LogProb,
    state: Chain,
    step_size: Tensor,
    leapfrog_steps: int,
    generator: Generators,
    jitter: float = 0.0,
) -> tuple[Chain, Transition]:
    r"""One transition: fresh momentum, ``leapfrog_steps`` leapfrogs, Metropolis with probability
    :math:`\min(1, e^{-\Delta H})`.

    A trajectory that leaves the support or diverges (``nan``, ``inf`` or an energy error above 1000 nats) is rejected
    and flagged.

    Args:
        step_size: ``(chains,)`` or a scalar tensor.
        generator: one for all chains, or a sequence with one for each (then a chain does not depend on its company).
        jitter: each trajectory multiplies its step size by a uniform draw from ``[1 - jitter, 1 + jitter]``; breaks the
            periodic orbits that a fixed length has on a Gaussian.
    """
    momentum, uniforms = _noise(state.z, generator)
    epsilon = step_size * (1 + jitter * (2 * uniforms[:, 1] - 1))
    proposal, end = leapfrog(log_prob, state, momentum, epsilon, leapfrog_steps)
    kinetic = 0.5 * (end.square().sum(-1) - momentum.square().sum(-1))
    energy_error = state.log_prob - proposal.log_prob + kinetic  # (chains,)
    broken = ~proposal.grad.isfinite().all(-1)
    diverged = ~(energy_error < DIVERGENT) | broken  # nan counts as diverged
    accept_prob = torch.exp(-energy_error.clamp(min=0)).masked_fill(diverged, 0.0)
    accepted = uniforms[:, 0] < accept_prob
    moved = Chain(
        torch.where(accepted.unsqueeze(-1), proposal.z, state.z),
        torch.where(accepted, proposal.log_prob, state.log_prob),
        torch.where(accepted.unsqueeze(-1), proposal.grad, state.grad),
    )
    return moved, Transition(accept_prob, accepted, energy_error, diverged)


def start_adaptation(step_size: Tensor) -> StepSize:
    """Begin dual averaging at ``step_size`` ``(chains,)``."""
    log_step = step_size.log()
    return StepSize(log_step, log_step.clone(), torch.zeros_like(log_step), log_step + math.log(10), 0)


def adapt(state: StepSize, accept_prob: Tensor, target_accept: float) -> StepSize:
    r"""One update of dual averaging towards ``target_accept``; Hoffman & Gelman (2014), equation 6.

    Uses the published constants :math:`\gamma = 0.05, t_0 = 10, \kappa = 0.75`.

    Args:
        accept_prob: ``(chains,)``; pass its mean, expanded, to share one step size between all chains.
    """
    count = state.count + 1
    weight = 1 / (count + 10)
    error = (1 - weight) * state.error + weight * (target_accept - accept_prob)
    log_step = state.shrink - count**0.5 / 0.05 * error
    decay = count**-0.75
    return StepSize(log_step, decay * log_step + (1 - decay) * state.log_average, error, state.shrink, count)


def fit(
    log_prob: LogProb,
    initial: Tensor,
    *,
    draws: int,
    warmup: int,
    leapfrog_steps: int,
    generator: Generators,
    step_size: float | None = None,
    target_accept: float = 0.8,
    shared_step_size: bool = True,
    thin: int = 1,
    jitter: float = 0.3,
) -> Draws:
    """Draw from the target with every chain at once; the step size adapts during warm-up and is frozen after it.

    Args:
        log_prob: ``(chains, dim) -> (chains,)`` nats, up to a constant; differentiable. Nothing is reduced over chains.
        initial: ``(chains, dim)``; device and precision follow it.
        draws, warmup, thin: ``draws`` are kept, every ``thin``-th, after ``warmup`` transitions. No warm-up, no
            adaptation.
        leapfrog_steps: gradients of one transition.
        step_size: where adaptation starts (found by doubling or halving when absent); required without warm-up.
        target_accept: mean acceptance that adaptation aims at; 0.65 to 0.9 is the useful range.
        shared_step_size: adapt one step size to the mean acceptance of all chains, or one for each.
        jitter: see :func:`step`.

    Returns:
        :class:`Draws`; judge them with :mod:`elbo.inference.diagnostics` before use. Cost:
        ``(warmup + draws * thin) * leapfrog_steps`` gradients of all chains.

    Raises:
        ValueError: an argument is out of range, or the target is not finite at an initial point.
    """
    floating(initial=initial)
    _check(draws, warmup, leapfrog_steps, thin, step_size, target_accept)
    state = start(log_prob, initial.detach())
    first = torch.full_like(state.log_prob, step_size) if step_size else _first_step_size(log_prob, state, generator)
    if shared_step_size:
        first = first.log().mean().exp().expand_as(first)
    adaptation = start_adaptation(first)
    for _ in range(warmup):
        state, info = step(log_prob, state, adaptation.log_step.exp(), leapfrog_steps, generator, jitter)
        accept = info.accept_prob.mean().expand_as(first) if shared_step_size else info.accept_prob
        adaptation = adapt(adaptation, accept, target_accept)
    frozen = adaptation.log_average.exp()

    chains, dim = initial.shape
    kept = initial.new_empty(chains, draws, dim)
    log_probs, accepts = initial.new_empty(chains, draws), initial.new_zeros(chains, draws)
    divergences = torch.zeros(chains, dtype=torch.long, device=initial.device)
    for index in range(draws):
        for _ in range(thin):
            state, info = step(log_prob, state, frozen, leapfrog_steps, generator, jitter)
            accepts[:, index] += info.accept_prob / thin
            divergences += info.diverged
        kept[:, index], log_probs[:, index] = state.z, state.log_prob
    gradients = (warmup + draws * thin) * leapfrog_steps
    return Draws(kept, log_probs, accepts, frozen, divergences, gradients, state)


sample = former_name(fit, "sample")


def _evaluate(log_prob: LogProb, z: Tensor) -> Chain:
    with torch.enable_grad():
        z = z.detach().requires_grad_()
        value = log_prob(z)
        (grad,) = torch.autograd.grad(value.sum(), z)
    return Chain(z.detach(), value.detach(), grad)


def _noise(z: Tensor, generator: Generators) -> tuple[Tensor, Tensor]:
    """Momenta ``(chains, dim)`` and two uniforms a chain ``(chains, 2)``."""
    kind: dict[str, Any] = {"dtype": z.dtype, "device": z.device}
    if isinstance(generator, torch.Generator):
        return torch.randn(z.shape, generator=generator, **kind), torch.rand(len(z), 2, generator=generator, **kind)
    if len(generator) != len(z):
        raise ValueError(f"{len(generator)} generators for {len(z)} chains; pass one for each chain, or one for all")
    shape = z.shape[1:]
    drawn = [(torch.randn(shape, generator=one, **kind), torch.rand(2, generator=one, **kind)) for one in generator]
    return torch.stack([momentum for momentum, _ in drawn]), torch.stack([uniforms for _, uniforms in drawn])


def _first_step_size(log_prob: LogProb, state: Chain, generator: Generators) -> Tensor:
    """Double or halve from 0.1 until a leapfrog is accepted half the time; Hoffman & Gelman (2014), algorithm 4."""
    momentum, _ = _noise(state.z, generator)
    step_size = torch.full_like(state.log_prob, 0.1)
    direction = torch.zeros_like(step_size)
    for _ in range(40):
        proposal, end = leapfrog(log_prob, state, momentum, step_size, 1)
        change = proposal.log_prob - state.log_prob - 0.5 * (end.square() - momentum.square()).sum(-1)
        wanted = torch.where(change > -math.log(2), 1.0, -1.0).to(change)  # nan compares false: halve
        direction = torch.where(direction == 0, wanted, direction)
        moving = wanted == direction
        if not moving.any():
            break
        step_size = torch.where(moving, step_size * 2**direction, step_size)
    return step_size


def _check(
    draws: int, warmup: int, leapfrog_steps: int, thin: int, step_size: float | None, target_accept: float
) -> None:
    natural(draws=draws, leapfrog_steps=leapfrog_steps, thin=thin)
    if not isinstance(warmup, int) or warmup < 0:
        raise ValueError(f"warmup must be at least 0, a whole number, got {warmup!r}")
    if step_size is not None:
        positive(step_size=step_size)
    if warmup == 0 and step_size is None:
        raise ValueError("without warm-up there is nothing to tune the step size: pass step_size, or warmup > 0")
    if not 0 < target_accept < 1:
        raise ValueError(f"target_accept must lie between 0 and 1, got {target_accept}")
