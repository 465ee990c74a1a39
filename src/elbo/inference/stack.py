"""Stacks of autoencoders: images in, members, their start, their evaluation, and what comes out of training.

:mod:`elbo.inference.train` uses these for every algorithm, so that the same seed means the same start, the same
held-out pictures and the same evaluation noise for all of them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import pandas as pd
import torch
from torch import Tensor

from elbo.inference.sgvb import binarise, estimate_bound
from elbo.models.vae import VAE, Params
from elbo.training import keyed_generator

__all__ = ["BINARISATIONS", "HISTORY", "Measure", "Trained", "evaluate", "images", "members", "splits", "start"]

BINARISATIONS = ("grey", "threshold", "fixed", "fresh")

Measure = Callable[[VAE, Params, Tensor], Mapping[str, float]]
"""More to measure of one model than its bound: shapes, parameters and the images of a split to named numbers."""

HISTORY = ["seed", "latent_dim", "beta", "samples", "split", "bound", "se"]
"""The first columns of every history."""


@dataclass(frozen=True)
class Trained:
    """Trained models and how their bound grew.

    Attributes:
        model: shapes of the widest model of the stack.
        params: ``(members, ...)`` each; a member with fewer latents is padded with zeros (use :meth:`member`).
        seeds, latent_dims, betas: one for each member.
        history: tidy, one row a member, split and number of samples seen: ``seed, latent_dim, beta, samples, split``,
            ``bound`` (nats per datum, estimator B, beta = 1) and ``se``, the standard error of that mean over the data
            of the split; then whatever was measured beside it.
        losses: ``(blocks, members)``, mean training loss of each block of steps, nats per datum.
        device: where it ran, ``"cpu"`` or ``"cuda"``.
        compiled: whether the step was compiled.
    """

    model: VAE
    params: Params
    seeds: tuple[int, ...]
    latent_dims: tuple[int, ...]
    betas: tuple[float, ...]
    history: pd.DataFrame
    losses: Tensor
    device: str
    compiled: bool

    def __len__(self) -> int:
        return len(self.seeds)

    def member_model(self, member: int) -> VAE:
        """The shapes of one member."""
        return replace(self.model, latent_dim=self.latent_dims[member])

    def member(self, member: int) -> Params:
        """The parameters of one member, without padding: what :meth:`member_model` takes."""
        params = {name: param[member] for name, param in self.params.items()}
        return self.model.resize(params, self.latent_dims[member])


def images(data: Any, binarisation: str | None, model: VAE, device: torch.device) -> tuple[Any, bool]:
    """The images of a data set or tensor on the device, ``(N, data_dim)``, and whether they are to be binarised afresh.

    What has no ``images`` but gives them by ``data[index]`` is taken as it is.

    Args:
        binarisation: one of :data:`BINARISATIONS`; ``None`` asks the data set, and takes a plain tensor as it is.

    Raises:
        ValueError: another binarisation, or images that the model cannot take.
    """
    found = data if isinstance(data, Tensor) else getattr(data, "images", data)
    if isinstance(found, (str, bytes)) or not hasattr(found, "__len__") or not isinstance(found[:1], Tensor):
        raise TypeError(f"images must be a tensor, or a data set of tensors, got {type(data).__name__}")
    binarisation = binarisation or getattr(data, "binarisation", "grey")
    if binarisation not in BINARISATIONS:
        raise ValueError(f"binarisation must be one of {', '.join(BINARISATIONS)}; got {binarisation!r}")
    seen = found if isinstance(found, Tensor) else found[:1]
    if seen.dim() != 2 or seen.shape[1] != model.data_dim or not seen.is_floating_point():
        raise ValueError(
            f"images must be floating point of shape (N, {model.data_dim}), the model's data_dim; got {seen.dtype} "
            f"of shape {tuple(seen.shape)}"
        )
    low, high = (float(end) for end in seen.aminmax())  # what is not finite is named by the step that meets it
    if model.likelihood == "bernoulli" and (low < 0 and low > -math.inf or high > 1 and high < math.inf):
        raise ValueError(
            f"pixels of a Bernoulli likelihood must lie in [0, 1], got {low:g} to {high:g}: "
            "divide them by their white, or take likelihood='gaussian'"
        )
    return found.to(device).contiguous() if found is seen else found, binarisation == "fresh"


def members(**columns: Sequence[Any]) -> list[tuple[Any, ...]]:
    """The columns with one value for each member; a single value is repeated.

    Raises:
        ValueError: two columns have different numbers of values, and neither has one.
    """
    count = max(map(len, columns.values()))
    if any(len(column) not in (1, count) for column in columns.values()):
        found = ", ".join(f"{name}: {len(column)}" for name, column in columns.items())
        raise ValueError(f"each of these needs one value, or one for each member; found {found}")
    return [tuple(column) * count if len(column) == 1 else tuple(column) for column in columns.values()]


def start(model: VAE, stack: Sequence[tuple[Any, ...]], scale: float | Literal["glorot"], like: Tensor) -> Params:
    """Starting values, every member drawn at its own size from its own seed, padded to the size of ``model``.

    Args:
        stack: a tuple ``(seed, latent_dim, ...)`` for each member.
        scale: as :meth:`VAE.init` takes it.
        like: a tensor whose device and dtype the parameters take.
    """
    drawn = []
    for seed, latent_dim, *_ in stack:
        own = replace(model, latent_dim=latent_dim)
        params = own.init(keyed_generator(like.device, seed, "start"), scale, like.dtype)
        drawn.append(own.resize(params, model.latent_dim))
    return {name: torch.stack([params[name] for params in drawn]) for name in drawn[0]}


def splits(
    evaluate_on: Mapping[str, Any], binarisation: str | None, fresh: bool, model: VAE, device: torch.device
) -> dict[str, Tensor]:
    """The images of every split to evaluate on; those to be binarised afresh are binarised once, from the split's name.

    Args:
        fresh: how a plain tensor is taken where ``binarisation`` is ``None``.
    """
    found = {}
    for name, data in evaluate_on.items():
        own, redraw = images(data, binarisation or ("fresh" if fresh else None), model, device)
        if redraw:
            generator = keyed_generator(device, "evaluate", name)
            own = binarise(own, torch.rand(own.shape, generator=generator, dtype=own.dtype, device=device))
        found[name] = own
    return found


def evaluate(
    model: VAE,
    params: Params,
    stack: Sequence[tuple[Any, ...]],
    on: Mapping[str, Tensor],
    measure: Measure | None = None,
) -> list[dict[str, Any]]:
    """The bound (estimator B, beta = 1, one draw) of every member on every split, as rows of a history.

    Args:
        params: the stack, ``(members, ...)`` each, padded to the size of ``model``.
        stack: a tuple ``(seed, latent_dim, beta)`` for each member.
        on: images of each split; the noise of a member's evaluation depends on its seed and the split's name alone.
        measure: further numbers of each member and split, added to its row; no gradients are kept.

    Returns:
        ``seed, latent_dim, beta, split, bound`` (nats per datum), ``se`` (of that mean over the split), and the names
        that ``measure`` gives.
    """
    rows = []
    for member, (seed, latent_dim, beta) in enumerate(stack):
        own = replace(model, latent_dim=latent_dim)
        own_params = model.resize({name: param[member] for name, param in params.items()}, latent_dim)
        for split, found in on.items():
            generator = keyed_generator(found.device, seed, "evaluate", split)
            bounds = estimate_bound(own, own_params, found, generator).double()
            se = float(bounds.std() / math.sqrt(len(bounds)))
            row = {"seed": seed, "latent_dim": latent_dim, "beta": float(beta), "split": split}
            row |= {"bound": float(bounds.mean()), "se": se}
            if measure:
                with torch.no_grad():
                    row |= {name: float(value) for name, value in measure(own, own_params, found).items()}
            rows.append(row)
    return rows
