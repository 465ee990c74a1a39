"""Why a run stopped: replay the block in which a loss ceased to be finite, and name the term that did it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.func import grad, vmap

from elbo.training.optimisers import Adagrad, Adam
from elbo.training.run import Run
from elbo.training.step import Loss, make_step

__all__ = ["explain"]

Terms = Callable[..., dict[str, Tensor]]


def explain(run: Run, loss: Loss, terms: Terms | None, optimiser: Adagrad | Adam, stop: int, offset: int) -> str:
    """One sentence: which member, which step, which term.

    Args:
        run: the tensors of the run; set back to the start of the block, whose randomness is still there to replay.
        terms: the loss as named summands, or ``None``.
        stop: how many steps of the block were taken; ``offset``: the number of steps before the block.
    """
    run.restore(run.before)
    named: Terms = terms or (lambda *args: {"loss": loss(*args)})
    step = make_step(loss, optimiser, fused=run.rate.device.type == "cpu")
    names = _names(named, run)
    for at in range(stop):
        arguments = run.arguments(at)
        found = _broken_term(named, names, arguments)
        if found:
            member, name, what = found
            return (
                f"training stopped at step {offset + at + 1}: {what} of member {member} "
                f"(seed {run.block.seeds[member]}) is not finite; a smaller learning rate may help"
            )
        step(*arguments)
    return (
        f"training stopped between steps {offset + 1} and {offset + stop}: a loss was not finite in the compiled step "
        f"but is finite when the block is replayed uncompiled; try compile=False"
    )


def _names(terms: Terms, run: Run) -> list[str]:
    """The names of the terms, from the first member's first minibatch."""
    params, _, _, x, noise, scalars, _ = run.arguments(0)
    first = [{n: t[0] for n, t in group.items()} for group in (params, noise, scalars)]
    return list(terms(first[0], x[0], first[1], first[2]))


def _broken_term(terms: Terms, names: list[str], arguments: tuple[Any, ...]) -> tuple[int, str, str] | None:
    """The first member and term whose value, or else gradient, is not finite."""
    params, _, _, x, noise, scalars, _ = arguments
    values = vmap(terms)(params, x, noise, scalars)
    for name in names:
        bad = ~torch.isfinite(values[name])
        if bad.any():
            return int(bad.nonzero()[0]), name, f"the term '{name}'"
    for name in names:
        grads = vmap(grad(lambda *args, name=name: terms(*args)[name]))(params, x, noise, scalars)
        for key, value in grads.items():
            bad = ~torch.isfinite(value).flatten(1).all(1)
            if bad.any():
                return int(bad.nonzero()[0]), name, f"the gradient of the term '{name}' in '{key}'"
    return None
