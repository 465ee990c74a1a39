"""One step of training on a stack of models, as a pure function in place, and the three ways to run it."""

from __future__ import annotations

import os
import shutil
import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.func import grad_and_value, vmap

from elbo.training.optimisers import Adagrad, Adam

__all__ = ["BREAK_EVEN", "Loss", "compile_step", "make_step", "wants_compile"]

Params = dict[str, Tensor]
Loss = Callable[[Params, Tensor, dict[str, Tensor], dict[str, Tensor]], Tensor]

BREAK_EVEN = 20_000  # steps; below it the seconds that compiling takes are not earned back


def make_step(loss: Loss, optimiser: Adagrad | Adam, fused: bool) -> Callable[..., None]:
    """The step that trains: gradients of every member's loss, then the optimiser, in place.

    Args:
        loss: ``loss(params, x, noise, scalars) -> ()`` for one model; every argument but the values carries a member
            axis here.
        fused: take torch's fused optimiser kernel (eager on the CPU), not the plain formula (to compile or capture).

    Returns:
        ``step(params, state, rate, x, noise, scalars, losses)``; ``losses``, ``(members,)``, is written. It draws
        nothing, keeps nothing in Python and reads nothing back to the host.
    """
    per_member = _autograd(loss) if fused else vmap(grad_and_value(loss))

    def step(
        params: Params, state: Params, rate: Tensor, x: Tensor, noise: Params, scalars: Params, losses: Tensor
    ) -> None:
        grads, values = per_member(params, x, noise, scalars)
        if fused:
            optimiser.fused_update(params, grads, state)
        else:
            optimiser.update(params, grads, state, rate)
        losses.copy_(values)

    return step


def _autograd(loss: Loss) -> Callable[..., tuple[Params, Tensor]]:
    """``vmap(grad_and_value(loss))`` by way of the sum over members: the same numbers, sooner when eager."""
    together = vmap(loss)

    def gradients(params: Params, x: Tensor, noise: Params, scalars: Params) -> tuple[Params, Tensor]:
        with torch.enable_grad():
            leaves = {name: param.detach().requires_grad_() for name, param in params.items()}
            values = together(leaves, x, noise, scalars)
            grads = torch.autograd.grad(values.sum(), list(leaves.values()), allow_unused=True, materialize_grads=True)
        return dict(zip(leaves, grads)), values.detach()

    return gradients


def wants_compile(choice: bool | str, steps: int) -> bool:
    """Whether to compile: as told, or, for ``"auto"``, when the run is long enough to earn it back."""
    if choice not in (True, False, "auto"):
        raise ValueError(f"compile must be True, False or 'auto', got {choice!r}")
    return steps >= BREAK_EVEN if choice == "auto" else bool(choice)


def compile_step(step: Callable[..., None], example: tuple[Any, ...]) -> Callable[..., None] | None:
    """The whole step compiled, tried once on copies of what it changes; ``None``, with a sentence, where that fails.

    Args:
        example: the arguments of one step; their shapes and strides are those of every other step.
    """
    on_cpu = example[2].device.type == "cpu"
    if on_cpu and shutil.which(os.environ.get("CXX", "g++")) is None and shutil.which("clang++") is None:
        warnings.warn("no C++ compiler here (install g++ to train faster): training goes on uncompiled", stacklevel=3)
        return None
    options: dict[str, Any] | None = {"cpp_wrapper": True} if on_cpu else None
    compiled = torch.compile(step, dynamic=False, fullgraph=True, options=options)
    try:
        with torch._dynamo.config.patch(recompile_limit=64):
            params, state, *inputs, losses = example
            compiled(_copies(params), _copies(state), *inputs, losses.clone())
    except Exception as error:  # whatever a tool chain can do wrong; the run itself does not depend on it
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        warnings.warn(f"compiling the step failed ({reason}): training goes on uncompiled", stacklevel=3)
        return None
    return compiled


def _copies(tensors: Params) -> Params:
    return {name: tensor.clone() for name, tensor in tensors.items()}
