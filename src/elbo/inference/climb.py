r"""Monte Carlo EM (Wei & Tanner, 1990) with HMC, for any model with a differentiable joint density.

The expectation step draws codes from the posterior, :math:`z_n \sim p_\theta(z|x_n)`, by HMC; the maximisation step
takes a few gradient steps on :math:`\log p_\theta(x_n, z_n)` at those codes. By Fisher's identity,

.. math:: \nabla_\theta \log p_\theta(x) = E_{p_\theta(z|x)} \nabla_\theta \log p_\theta(x, z),

the first of them follows the marginal likelihood itself, as far as the chain has mixed.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from elbo.inference import hmc
from elbo.training import (
    Adagrad,
    Adam,
    CheckpointError,
    fingerprint,
    load_checkpoint,
    make_step,
    require_same_settings,
    save_checkpoint,
)

__all__ = ["Climb", "climb"]

Params = dict[str, Tensor]
LogJoint = Callable[[Params, Tensor, Tensor], Tensor]
LogPrior = Callable[[Params], Tensor]
Record = Callable[[int, Params, float, float], list[dict[str, Any]]]
GAIN = 0.5  # of the log step size on the acceptance of one minibatch
JITTER = 0.1  # of the step size within a transition
FIRST_STEP = 0.1


@dataclass(frozen=True)
class Climb:
    """What :func:`climb` returns.

    Attributes:
        params: where it ended.
        codes: ``(N, latent_dim)``, the state of every datum's chain.
        records: what ``record`` returned, in order, those of a run that was resumed included.
        losses, acceptance, step_size: ``(acquisitions,)`` each: mean loss of the weight updates in nats per datum, mean
            acceptance probability of the minibatch, and the step size it was reached with.
    """

    params: Params
    codes: Tensor
    records: list[dict[str, Any]]
    losses: Tensor
    acceptance: Tensor
    step_size: Tensor


def climb(
    log_joint: LogJoint,
    params: Params,
    x: Tensor,
    latent_dim: int,
    *,
    acquisitions: int,
    generator: torch.Generator,
    batch_size: int = 100,
    updates: int = 5,
    transitions: int = 1,
    leapfrog_steps: int = 10,
    target_accept: float = 0.9,
    optimiser: Adagrad | Adam = Adagrad(),
    log_prior: LogPrior | None = None,
    record: Record | None = None,
    record_at: Sequence[int] = (),
    checkpoint: str | os.PathLike[str] | None = None,
    checkpoint_seconds: float = 60.0,
    settings: Mapping[str, Any] | None = None,
) -> Climb:
    r"""Monte Carlo EM for any model with a differentiable :math:`\log p_\theta(x, z)`.

    Each datum has a chain of its own, which starts at a draw from N(0, I) and moves whenever the datum is in the
    minibatch. One step size serves all chains; since the posteriors move with the weights it never stops adapting,
    :math:`\log\epsilon \leftarrow \log\epsilon + \tfrac12(\bar a - a^*)` by the mean acceptance of each minibatch, so
    that invariance holds up to that small change.

    Args:
        log_joint: ``log_joint(params, x, z)``, ``(batch, ...)`` and ``(batch, latent_dim)`` to ``(batch,)`` nats.
        params: where to start; not changed.
        x: ``(N, ...)``.
        acquisitions: how many minibatches of codes are drawn, each without replacement.
        updates, transitions: weight updates for each minibatch of codes, and HMC transitions before them.
        leapfrog_steps, target_accept: of the HMC transitions; the defaults are the paper's.
        log_prior: of the parameters, ``()`` nats.
        record: called after the numbers of acquisitions in ``record_at`` (0 is the start) with the number, the
            parameters, the mean acceptance of the last fifty acquisitions and the step size; returns rows.
        checkpoint: a file to resume from, and to write every ``checkpoint_seconds`` and at the end. A resumed run is
            bit-identical to one never interrupted, on the same machine with the same number of threads.
        settings: whatever else defines the run (JSON); a checkpoint with other settings is refused.

    Returns:
        :class:`Climb`. Cost of an acquisition: ``transitions * leapfrog_steps + 1`` gradients in the codes and
        ``updates`` in the parameters.

    Raises:
        ValueError: a number is out of range.
        CheckpointError: the checkpoint is damaged or belongs to another run.
        FloatingPointError: the log joint of the data, or the prior, is not finite; names which, and when.
    """
    _check(acquisitions, batch_size, updates, transitions, leapfrog_steps, target_accept)
    if isinstance(optimiser.learning_rate, tuple):
        raise ValueError("one model has one learning rate, got several")
    count, batch_size = len(x), min(batch_size, len(x))
    stack = {name: param.detach()[None].clone().contiguous() for name, param in params.items()}  # of one
    now = {name: param[0] for name, param in stack.items()}  # views: what the optimiser writes is seen
    like = next(iter(stack.values()))
    kind: dict[str, Any] = {"dtype": like.dtype, "device": like.device}
    step = make_step(_loss(log_joint, log_prior, count), optimiser, fused=like.device.type == "cpu")
    state, rate = optimiser.init(stack), torch.full((1,), float(optimiser.learning_rate), **kind)
    codes = torch.randn(count, latent_dim, generator=generator, **kind)
    log_step = torch.full((), math.log(FIRST_STEP), **kind)
    trace, loss = torch.zeros(acquisitions, 3, **kind), torch.zeros(1, **kind)  # loss, acceptance, step size
    moving = {f"params/{n}": p for n, p in stack.items()} | {f"state/{n}": t for n, t in state.items()}
    moving |= {"codes": codes, "log_step": log_step}
    numbers = (batch_size, updates, transitions, leapfrog_steps, target_accept)
    config = dict(settings or {}) | _describe(params, x, optimiser, *numbers)
    first, records = _resume(checkpoint, config, moving, trace, generator)
    saved = time.monotonic()
    if record and first == 0 and 0 in record_at:
        records += record(0, now, math.nan, FIRST_STEP)
    for number in range(first, acquisitions):
        index = torch.randperm(count, generator=generator, device=like.device)[:batch_size]
        size, batch = log_step.exp(), x[index]
        z, accepted = _draw(log_joint, now, batch, codes[index], size, leapfrog_steps, transitions, generator, number)
        codes[index] = z
        log_step += GAIN * (accepted - target_accept)
        for _ in range(updates):
            step(stack, state, rate, {"x": batch[None], "z": z[None]}, {}, {}, loss)
            trace[number, 0] += loss[0] / updates
        trace[number, 1], trace[number, 2] = accepted, size
        if not trace[number, 0].isfinite():
            prior = log_prior is not None and not log_prior(now).isfinite()
            _stop("log-prior of the weights" if prior else "log-joint of data and codes", number)
        done = number + 1
        if record and done in record_at:
            records += record(done, now, float(trace[max(0, done - 50) : done, 1].mean()), float(log_step.exp()))
        if checkpoint and (done == acquisitions or time.monotonic() - saved >= checkpoint_seconds):
            save = moving | {"trace": trace[:done].clone(), "generator": generator.get_state()}
            save_checkpoint(checkpoint, save, {"config": config, "number": done, "records": records})
            saved = time.monotonic()
    return Climb({n: p.clone() for n, p in now.items()}, codes, records, *trace.cpu().unbind(1))


def _check(
    acquisitions: int, batch_size: int, updates: int, transitions: int, leapfrog_steps: int, target_accept: float
) -> None:
    if min(acquisitions, batch_size, updates, transitions, leapfrog_steps) < 1:
        raise ValueError("acquisitions, batch_size, updates, transitions and leapfrog_steps must be at least 1")
    if not 0 < target_accept < 1:
        raise ValueError(f"target_accept must lie between 0 and 1, got {target_accept}; the paper takes 0.9")


def _loss(log_joint: LogJoint, log_prior: LogPrior | None, count: int) -> Callable[..., Tensor]:
    """Minus the mean log joint, minus the prior's share, nats per datum."""

    def loss(params: Params, batch: dict[str, Tensor], noise: dict[str, Tensor], scalars: dict[str, Tensor]) -> Tensor:
        value = log_joint(params, batch["x"], batch["z"]).mean()
        return -(value + log_prior(params) / count if log_prior else value)

    return loss


def _draw(
    log_joint: LogJoint,
    params: Params,
    x: Tensor,
    z: Tensor,
    step_size: Tensor,
    leapfrog_steps: int,
    transitions: int,
    generator: torch.Generator,
    number: int,
) -> tuple[Tensor, Tensor]:
    """The chains of a minibatch a few transitions on, and their mean acceptance probability."""

    def density(codes: Tensor) -> Tensor:
        return log_joint(params, x, codes)

    try:
        chain = hmc.start(density, z)
    except ValueError:
        _stop("log-joint of data and codes", number)
    accept = torch.zeros((), dtype=z.dtype, device=z.device)
    for _ in range(transitions):
        chain, info = hmc.step(density, chain, step_size, leapfrog_steps, generator, JITTER)
        accept = accept + info.accept_prob.mean() / transitions
    return chain.z, accept


def _describe(
    params: Params,
    x: Tensor,
    optimiser: Adagrad | Adam,
    batch_size: int,
    updates: int,
    transitions: int,
    leapfrog_steps: int,
    target_accept: float,
) -> dict[str, Any]:
    """What decides the numbers of a run, as JSON: numbers, and fingerprints of start and data."""
    return {
        "optimiser": repr(optimiser),
        "batch_size": batch_size,
        "updates": updates,
        "transitions": transitions,
        "leapfrog_steps": leapfrog_steps,
        "target_accept": target_accept,
        "data": fingerprint(x),
        "start": {name: fingerprint(param) for name, param in params.items()},
    }


def _resume(
    path: str | os.PathLike[str] | None,
    config: dict[str, Any],
    moving: dict[str, Tensor],
    trace: Tensor,
    generator: torch.Generator,
) -> tuple[int, list[dict[str, Any]]]:
    """Copy a checkpoint, where there is one, into the tensors of the run: where to go on, and the records so far."""
    if path is None or not os.path.exists(path):
        return 0, []
    tensors, meta = load_checkpoint(path, trace.device)
    require_same_settings(path, meta["config"], config)
    if meta["number"] > len(trace):
        number = meta["number"]
        raise CheckpointError(f"the checkpoint {path} has {number} acquisitions, more than {len(trace)} asked for")
    for name, tensor in moving.items():
        tensor.copy_(tensors[name])
    trace[: meta["number"]] = tensors["trace"]
    generator.set_state(tensors["generator"].cpu())
    return meta["number"], meta["records"]


def _stop(term: str, number: int) -> None:
    raise FloatingPointError(f"Monte Carlo EM stopped at acquisition {number + 1}: the {term} is not finite")
