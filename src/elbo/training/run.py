"""The tensors of a run, and the function that takes steps on them: eager, compiled, or captured."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from elbo.training.blocks import Block, Noise
from elbo.training.optimisers import Adagrad, Adam
from elbo.training.step import Loss, compile_step, make_step

__all__ = ["Run", "advancer", "prepare"]

Params = dict[str, Tensor]


@dataclass
class Run:
    """What the steps read and write.

    The tensors are written in place and never replaced: a captured graph holds their addresses.
    """

    params: Params
    state: dict[str, Tensor]
    rate: Tensor  # (members,)
    data: Any
    block: Block
    scalars: dict[str, Tensor]
    losses: Tensor  # (block steps, members): the loss of every step of the block
    before: dict[str, Tensor] = field(default_factory=dict)

    @property
    def moving(self) -> dict[str, Tensor]:
        """What training changes, under the names that a checkpoint uses."""
        return {f"params/{n}": p for n, p in self.params.items()} | {f"state/{n}": s for n, s in self.state.items()}

    def arguments(self, step: int) -> tuple[Any, ...]:
        """What the step function takes at one step of the filled block."""
        index, noise = self.block.at(step)
        return self.params, self.state, self.rate, self.data[index], noise, self.scalars, self.losses[step]

    def begin(self, number: int) -> None:
        """Draw block ``number``, and keep what is needed to replay it."""
        self.block.fill(number)
        if not self.before:
            self.before = {name: torch.empty_like(tensor) for name, tensor in self.moving.items()}
        for name, tensor in self.moving.items():
            self.before[name].copy_(tensor)

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Copy parameters and optimiser state from tensors of the same names."""
        for name, tensor in self.moving.items():
            tensor.copy_(tensors[name])

    def is_finite(self, stop: int) -> bool:
        """Whether the losses of the first ``stop`` steps, and the parameters after them, are finite."""
        sums = torch.stack([param.sum() for param in self.params.values()])
        return bool(torch.isfinite(self.losses[:stop]).all() & torch.isfinite(sums).all())


def prepare(
    params: Params,
    data: Any,
    *,
    seeds: Sequence[int],
    batch_size: int = 100,
    noise: Mapping[str, Noise] | None = None,
    scalars: Mapping[str, Any] | None = None,
    optimiser: Adagrad | Adam = Adagrad(),
    block: int = 100,
) -> Run:
    """Copies of the starting values, the optimiser's state, and buffers for one block.

    Arguments as :func:`elbo.training.fit` takes them.
    """
    params = {name: param.detach().clone().contiguous() for name, param in params.items()}
    like, members = next(iter(params.values())), len(seeds)
    rate = torch.as_tensor(optimiser.learning_rate, dtype=like.dtype, device=like.device).reshape(-1)
    stacked = {}
    for name, value in (scalars or {}).items():
        value = torch.as_tensor(value, dtype=like.dtype, device=like.device)
        stacked[name] = value.expand(members).contiguous() if value.dim() == 0 else value
        if len(stacked[name]) != members:
            raise ValueError(f"scalar {name!r} needs one value, or one for each of {members} members; got {len(value)}")
    buffers = Block(seeds, block, batch_size, len(data), noise or {}, like)
    losses = like.new_zeros(block, members)
    return Run(params, optimiser.init(params), rate.expand(members).contiguous(), data, buffers, stacked, losses)


def advancer(
    run: Run, loss: Loss, optimiser: Adagrad | Adam, compiled: bool, first: int = 0
) -> tuple[Callable[[int, int], None], bool]:
    """A function that takes the steps ``start`` to ``stop`` of the filled block, and whether it is compiled.

    ``first`` is the block that the run begins with; compiling and capturing try the step on it and leave the run as it
    was.
    """
    on_cpu = run.rate.device.type == "cpu"
    run.begin(first)
    compiled_step = compile_step(make_step(loss, optimiser, fused=False), run.arguments(0)) if compiled else None
    step = compiled_step or make_step(loss, optimiser, fused=on_cpu)

    def advance(start: int, stop: int) -> None:
        for at in range(start, stop):
            step(*run.arguments(at))

    if on_cpu:
        return advance, compiled_step is not None
    steps = len(run.losses)
    replay = _capture(run, advance, steps)

    def replayed(start: int, stop: int) -> None:
        if replay and (start, stop) == (0, steps):
            replay()
        else:
            advance(start, stop)

    return replayed, compiled_step is not None


def _capture(run: Run, advance: Callable[[int, int], None], steps: int) -> Callable[[], None] | None:
    """The steps of one block as one CUDA graph; ``None``, with a sentence, where the step cannot be captured."""
    graph = torch.cuda.CUDAGraph()
    try:
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):  # libraries make handles and workspaces on first use, which cannot be captured
            advance(0, min(3, steps))
        torch.cuda.current_stream().wait_stream(side)
        with torch.cuda.graph(graph):
            advance(0, steps)
    except RuntimeError as error:
        reason = str(error).splitlines()[0]
        warnings.warn(f"the step cannot be captured ({reason}): its kernels are launched one by one", stacklevel=4)
        return None
    finally:
        run.restore(run.before)  # the warm-up moved them; capturing runs nothing
    return graph.replay
