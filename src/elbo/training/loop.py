"""The one training loop of the book.

It knows no model: a loss of one model goes in, a stack of trained models comes out. Parameters carry a leading axis of members, a
single model is a stack of one, and randomness comes in as data (:mod:`elbo.training.blocks`).
"""

from __future__ import annotations

import hashlib
import math
import os
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from elbo.training.blocks import Block, Noise
from elbo.training.checkpoint import load_checkpoint, require_same_settings, save_checkpoint
from elbo.training.diagnosis import explain
from elbo.training.optimisers import Adagrad, Adam
from elbo.training.step import Loss, compile_step, make_step, wants_compile

__all__ = ["Fitted", "fit"]

Params = dict[str, Tensor]
Progress = Callable[[int, int, Tensor], None]
Record = Callable[[int, Params], list[dict[str, Any]]]


@dataclass(frozen=True)
class Fitted:
    """What :func:`fit` returns.

    Attributes:
        params: the trained stack, ``(members, ...)`` each.
        records: what ``record`` returned, in order, those of a run that was resumed included.
        losses: ``(blocks, members)``, mean loss over each block of steps.
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


@dataclass
class _Run:
    """The tensors of a run; they are written in place and never replaced, for a captured graph holds their addresses."""

    params: Params
    state: dict[str, Tensor]
    rate: Tensor
    data: Any
    block: Block
    scalars: dict[str, Tensor]
    trace: Tensor  # (block steps, members): the loss of every step of the block
    before: dict[str, Tensor] = field(default_factory=dict)

    @property
    def moving(self) -> dict[str, Tensor]:
        return {f"params/{n}": p for n, p in self.params.items()} | {f"state/{n}": s for n, s in self.state.items()}

    def arguments(self, step: int) -> tuple:
        index, noise = self.block.at(step)
        return self.params, self.state, self.rate, self.data[index], noise, self.scalars, self.trace[step]

    def remember(self) -> None:
        if not self.before:
            self.before = {name: torch.empty_like(tensor) for name, tensor in self.moving.items()}
        for name, tensor in self.moving.items():
            self.before[name].copy_(tensor)

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        for name, tensor in self.moving.items():
            tensor.copy_(tensors[name])


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
    checkpoint: str | os.PathLike | None = None,
    checkpoint_seconds: float = 60.0,
    settings: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> Fitted:
    """Minimise the loss of every model of a stack by stochastic gradients.

    Args:
        loss: ``loss(params, x, noise, scalars) -> ()`` of *one* model: ``x`` is its minibatch, ``(batch, ...)``, ``noise`` and
            ``scalars`` dictionaries of its tensors. It must be pure and draw nothing.
        params: where to start, ``(members, ...)`` each; copied, not changed. Their device and dtype are those of the run.
        data: a tensor ``(N, ...)`` on that device, or anything with a length and ``data[index tensor]``.
        seeds: one for each member; with the number of the block it decides the minibatches and the noise.
        steps, batch_size: minibatches are drawn uniformly with replacement.
        noise: name to :class:`Noise`, in the order in which it is drawn.
        scalars: name to a number, or to a tensor ``(members, ...)``: what differs between members (beta, a temperature).
        optimiser: :class:`Adagrad` or :class:`Adam`.
        block: how many steps are drawn at once. Part of the result, as it decides the random streams.
        terms: the loss as named summands, same arguments; asked only when it is not finite, to say which one broke.
        record: ``record(steps, params) -> rows``, called after the numbers of steps in ``record_at`` (0 is the start).
        compile: ``True`` compiles the whole step, ``"auto"`` when the run is long; without a compiler a sentence, then eager.
        checkpoint: a file to resume from, and to write every ``checkpoint_seconds`` at the end of a block. A resumed run is
            bit-identical to one never interrupted, on the same machine with the same number of threads.
        settings: whatever else defines the run (JSON); a checkpoint with other settings is refused.
        progress: called after every block with steps done, steps to do, and the mean loss of the block, ``(members,)``.

    Raises:
        ValueError: arguments that do not fit together.
        CheckpointError: the checkpoint is damaged or belongs to another run.
        FloatingPointError: the loss of a member is not finite; names the member, the step and the term.
    """
    _check(params, data, seeds, steps, batch_size, block, record_at, optimiser)
    run = _prepare(params, data, seeds, batch_size, noise or {}, scalars or {}, optimiser, block)
    config = _config(run, seeds, batch_size, block, optimiser, settings or {})
    first, records, losses = _resume(run, checkpoint, config)
    resumed_at = first * block
    compiled = wants_compile(compile, steps - resumed_at)
    advance, compiled = _advance(run, loss, optimiser, compiled, first, block)
    saved = time.monotonic()
    if record and first == 0 and 0 in record_at:
        records += record(0, run.params)
    for number in range(first, math.ceil(steps / block)):
        start, stop = number * block, min((number + 1) * block, steps)
        run.block.fill(number)
        run.remember()
        done = start
        for pause in sorted({p for p in record_at if start < p < stop} | {stop}):
            advance(done - start, pause - start)
            _require_finite(run, loss, terms, optimiser, pause - start, start)
            done = pause
            if record and pause in record_at:
                records += record(pause, run.params)
        losses.append(run.trace[: stop - start].mean(0).cpu())
        if checkpoint and stop == start + block and (stop == steps or time.monotonic() - saved > checkpoint_seconds):
            _save(run, checkpoint, config, number + 1, records, losses, compiled)
            saved = time.monotonic()
        if progress:
            progress(stop, steps, losses[-1])
    blocks = torch.stack(losses) if losses else torch.zeros(0, len(seeds))
    return Fitted(run.params, records, blocks, max(steps, resumed_at), resumed_at, compiled)


def _check(params, data, seeds, steps, batch_size, block, record_at, optimiser) -> None:
    members = {len(p) if p.dim() else None for p in params.values()}
    if members != {len(seeds)}:
        raise ValueError(f"every parameter needs a leading axis of {len(seeds)} members, one for each seed; found {members}")
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


def _prepare(params, data, seeds, batch_size, noise, scalars, optimiser, block) -> _Run:
    params = {name: param.detach().clone().contiguous() for name, param in params.items()}
    like = next(iter(params.values()))
    members = len(seeds)
    rate = torch.as_tensor(optimiser.learning_rate, dtype=like.dtype, device=like.device).reshape(-1)
    stacked = {}
    for name, value in scalars.items():
        value = torch.as_tensor(value, dtype=like.dtype, device=like.device)
        stacked[name] = value.expand(members).contiguous() if value.dim() == 0 else value
        if len(stacked[name]) != members:
            raise ValueError(f"scalar {name!r} needs one value, or one for each of the {members} members; got {len(value)}")
    buffers = Block(seeds, block, batch_size, len(data), noise, like)
    trace = like.new_zeros(block, members)
    return _Run(params, optimiser.init(params), rate.expand(members).contiguous(), data, buffers, stacked, trace)


def _advance(run: _Run, loss: Loss, optimiser, compile: bool, first: int, block: int):
    """A function that takes the steps ``start`` to ``stop`` of the filled block, and whether it is compiled."""
    on_cpu = run.rate.device.type == "cpu"
    run.block.fill(first)
    step = make_step(loss, optimiser, fused=on_cpu)
    compiled = compile_step(make_step(loss, optimiser, fused=False), run.arguments(0)) if compile else None
    step = compiled or step

    def advance(start: int, stop: int) -> None:
        for at in range(start, stop):
            step(*run.arguments(at))

    if on_cpu:
        return advance, compiled is not None
    replay = _capture(run, advance, block)

    def replayed(start: int, stop: int) -> None:
        if replay and (start, stop) == (0, block):
            replay()
        else:
            advance(start, stop)

    return replayed, compiled is not None


def _capture(run: _Run, advance: Callable[[int, int], None], block: int) -> Callable[[], None] | None:
    """The steps of one block as one CUDA graph; ``None``, with a sentence, where the step cannot be captured."""
    run.remember()
    try:
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):  # libraries make their handles and workspaces on first use, which cannot be captured
            advance(0, min(3, block))
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            advance(0, block)
    except RuntimeError as error:
        warnings.warn(f"the step cannot be captured ({str(error).splitlines()[0]}): it is launched one by one", stacklevel=4)
        return None
    finally:
        run.restore(run.before)  # the warm-up moved them; capturing runs nothing
    return graph.replay


def _require_finite(run: _Run, loss: Loss, terms, optimiser, stop: int, offset: int) -> None:
    sums = torch.stack([param.sum() for param in run.params.values()])
    if bool(torch.isfinite(run.trace[:stop]).all()) and bool(torch.isfinite(sums).all()):
        return
    run.restore(run.before)  # randomness is data: the block can be replayed
    raise FloatingPointError(explain(run, loss, terms, optimiser, stop, offset))


def _config(run: _Run, seeds, batch_size, block, optimiser, settings) -> dict[str, Any]:
    return dict(settings) | {
        "seeds": list(seeds),
        "batch_size": batch_size,
        "block": block,
        "optimiser": repr(optimiser),
        "noise": repr(run.block.spec),
        "scalars": {name: value.tolist() for name, value in run.scalars.items()},
        "shapes": {name: list(param.shape) for name, param in run.params.items()},
        "dtype": str(run.rate.dtype),
        "data": _fingerprint(run.data, run.rate.device),
        "start": _fingerprint_params(run.params),
    }


def _fingerprint(data: Any, device: torch.device) -> str:
    rows = torch.linspace(0, len(data) - 1, min(len(data), 256), dtype=torch.float64).long().to(device)
    return f"{len(data)} rows, " + _digest(data[rows])


def _fingerprint_params(params: Params) -> str:
    return _digest(torch.cat([param.flatten() for param in params.values()]))


def _digest(tensor: Tensor) -> str:
    return hashlib.sha256(tensor.contiguous().cpu().view(torch.uint8).numpy().tobytes()).hexdigest()[:16]


def _environment(run: _Run, compiled: bool) -> dict[str, Any]:
    return {
        "torch": torch.__version__,
        "device": run.rate.device.type,
        "threads": torch.get_num_threads(),
        "matmul_precision": torch.get_float32_matmul_precision(),
        "compiled": compiled,
    }


def _save(run: _Run, path, config, blocks: int, records, losses, compiled: bool) -> None:
    tensors = run.moving | {"losses": torch.stack(losses)}
    save_checkpoint(
        path, tensors, {"config": config, "blocks": blocks, "records": records, "by": _environment(run, compiled)}
    )


def _resume(run: _Run, path, config) -> tuple[int, list[dict[str, Any]], list[Tensor]]:
    """Copy a checkpoint, where there is one, into the tensors of the run: the block to go on with, records, losses."""
    if path is None or not os.path.exists(path):
        return 0, [], []
    tensors, meta = load_checkpoint(path, run.rate.device)
    require_same_settings(path, meta["config"], config)
    run.restore(tensors)
    return meta["blocks"], meta["records"], list(tensors["losses"].cpu())
