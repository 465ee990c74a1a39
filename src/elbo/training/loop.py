"""The one training loop of the book.

It knows no model: a loss of one model goes in, a stack of trained models comes out. Parameters carry a leading axis of
members, a single model is a stack of one, and randomness comes in as data (:mod:`elbo.training.blocks`).
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

from elbo.training.blocks import Noise
from elbo.training.diagnosis import explain
from elbo.training.optimisers import Adagrad, Adam
from elbo.training.resume import describe, resume, save
from elbo.training.run import advancer, prepare
from elbo.training.step import Loss, wants_compile

__all__ = ["Fitted", "fit"]

Params = dict[str, Tensor]
Progress = Callable[[int, int, Tensor], None]


@dataclass(frozen=True)
class Fitted:
    """What :func:`fit` returns, and what it shows to ``record`` on the way.

    Attributes:
        params: the stack, ``(members, ...)`` each.
        records: what ``record`` returned, in order, those of a run that was resumed included.
        losses: ``(blocks, members)``, mean loss over each block of steps that is done.
        steps: how many steps the parameters have seen.
        resumed_at: the step that a checkpoint brought, 0 without one.
        compiled: whether the step was compiled.
    """

    params: Params
    records: list[dict[str, Any]]
    losses: Tensor
    steps: int
    resumed_at: int
    compiled: bool


Record = Callable[[Fitted], list[dict[str, Any]]]


@torch.no_grad()
def fit(
    loss: Loss,
    params: Params,
    data: Any,
    *,
    seeds: Sequence[int],
    steps: int,
    batch_size: int = 100,
    noise: Mapping[str, Noise] | None = None,
    scalars: Mapping[str, Any] | None = None,
    optimiser: Adagrad | Adam = Adagrad(),
    block: int = 100,
    terms: Callable[..., dict[str, Tensor]] | None = None,
    record: Record | None = None,
    record_at: Sequence[int] = (),
    compile: bool | str = "auto",
    checkpoint: str | os.PathLike[str] | None = None,
    checkpoint_seconds: float = 60.0,
    settings: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> Fitted:
    """Minimise the loss of every model of a stack by stochastic gradients.

    Args:
        loss: ``loss(params, x, noise, scalars) -> ()`` of *one* model: ``x`` is its minibatch, ``(batch, ...)``,
            ``noise`` and ``scalars`` dictionaries of its tensors. It must be pure and draw nothing.
        params: where to start, ``(members, ...)`` each; copied, not changed. Their device and dtype are those of the
            run.
        data: a tensor ``(N, ...)`` on that device, or anything with a length and ``data[index tensor]``.
        seeds: one for each member; with the number of the block it decides the minibatches and the noise.
        steps, batch_size: minibatches are drawn uniformly with replacement.
        noise: name to :class:`Noise`, in the order in which it is drawn.
        scalars: name to a number, or to a tensor ``(members, ...)``: what differs between members (beta, a
            temperature).
        optimiser: :class:`Adagrad` or :class:`Adam`.
        block: how many steps are drawn at once. Part of the result, as it decides the random streams.
        terms: the loss as named summands, same arguments; asked only when it is not finite, to say which one broke.
        record: ``record(fitted) -> rows``, called with the run as it is after the numbers of steps in ``record_at`` (0
            is the start); its parameters are changed by the next step.
        compile: ``True`` compiles the whole step, ``"auto"`` when the run is long; without a compiler a sentence, then
            eager.
        checkpoint: a file to resume from, and to write every ``checkpoint_seconds`` at the end of a block. A resumed
            run is bit-identical to one never interrupted, on the same machine with the same number of threads.
        settings: whatever else defines the run (JSON); a checkpoint with other settings is refused.
        progress: called after every block with steps done, steps to do, and the mean loss of the block, ``(members,)``.

    Raises:
        ValueError: arguments that do not fit together.
        CheckpointError: the checkpoint is damaged or belongs to another run.
        FloatingPointError: the loss of a member is not finite; names the member, the step and the term.
    """
    _check(params, data, seeds, steps, batch_size, block, record_at, optimiser)
    run = prepare(
        params, data, seeds=seeds, batch_size=batch_size, noise=noise, scalars=scalars, optimiser=optimiser, block=block
    )
    config = describe(run, optimiser, record_at, dict(settings or {}))
    first, records, losses = resume(run, checkpoint, config, steps)
    advance, compiled = advancer(run, loss, optimiser, wants_compile(compile, steps - first * block), first)
    saved = time.monotonic()

    def so_far(done: int) -> Fitted:
        blocks = torch.stack(losses) if losses else torch.zeros(0, len(seeds))
        return Fitted(run.params, list(records), blocks, done, first * block, compiled)

    if record and first == 0 and 0 in record_at:
        records += record(so_far(0))
    for number in range(first, math.ceil(steps / block)):
        start, stop = number * block, min((number + 1) * block, steps)
        run.begin(number)
        done = start
        for pause in sorted({at for at in record_at if start < at < stop} | {stop}):
            advance(done - start, pause - start)
            if not run.is_finite(pause - start):
                raise FloatingPointError(explain(run, loss, terms, optimiser, pause - start, start))
            done = pause
            if done == stop:
                losses.append(run.losses[: stop - start].mean(0).cpu())
            if record and done in record_at:
                records += record(so_far(done))
        whole = stop == start + block
        if checkpoint and whole and (stop == steps or time.monotonic() - saved >= checkpoint_seconds):
            save(run, checkpoint, config, number + 1, records, losses, compiled)
            saved = time.monotonic()
        if progress:
            progress(stop, steps, losses[-1])
    return so_far(steps)


def _check(
    params: Params,
    data: Any,
    seeds: Sequence[int],
    steps: int,
    batch_size: int,
    block: int,
    record_at: Sequence[int],
    optimiser: Adagrad | Adam,
) -> None:
    members = {len(p) if p.dim() else None for p in params.values()}
    if members != {len(seeds)}:
        raise ValueError(f"every parameter needs a leading axis of {len(seeds)} members, one a seed; found {members}")
    for name, value in (("steps", steps), ("batch_size", batch_size), ("block", block)):
        if value < 1:
            raise ValueError(f"{name} must be at least 1, got {value}")
    if len(data) < 1:
        raise ValueError("there are no data to train on")
    if any(not 0 <= at <= steps for at in record_at):
        raise ValueError(f"record_at must lie between 0 and the {steps} steps of the run, got {sorted(record_at)}")
    rate = optimiser.learning_rate
    if not isinstance(rate, (int, float)) and len(rate) not in (1, len(seeds)):
        raise ValueError(f"learning_rate needs one value, or one for each of the {len(seeds)} members; got {len(rate)}")
