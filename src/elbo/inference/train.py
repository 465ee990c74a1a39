"""One trainer for every algorithm that trains stacks of autoencoders.

An algorithm says what it trains by, an :class:`Objective`, and :func:`train` does the rest: start, minibatches, noise,
evaluation, checkpoints. What a caller may choose, whatever the algorithm, is said once, in :class:`How`.

A new algorithm is a module of this package with a function ``fit`` like that of :mod:`elbo.inference.aevb`: it builds
an objective from a :class:`Plan`, and :func:`algorithm` gives it the keywords of :class:`How`.
"""

from __future__ import annotations

import functools
import inspect
import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields, replace
from typing import Any, Literal

import pandas as pd
import torch
from torch import Tensor

from elbo.devices import resolve_device
from elbo.inference import stack
from elbo.inference.stack import HISTORY, Measure, Trained
from elbo.models.vae import VAE, Params
from elbo.training import Adagrad, Adam, Fitted, Noise, fit, make_optimiser

__all__ = ["How", "Objective", "Plan", "algorithm", "plan", "train"]


@dataclass(frozen=True, kw_only=True)
class How:
    """What every algorithm takes.

    Attributes:
        samples: how many data each member sees, a minibatch of ``batch_size`` at a time.
        seeds, latent_dims, beta, learning_rate: one value for all members, or one for each. A seed decides the start,
            the minibatches and the noise of its member, whatever the company. ``latent_dims`` replaces the model's own;
            ``beta`` weights the divergence of each code from the prior.
        optimiser, learning_rate: ``"adagrad"`` (0.02) or ``"adam"`` (0.001); or an optimiser of :mod:`elbo.training`,
            with its own learning rate.
        init_scale: as :meth:`VAE.init` takes it.
        binarisation: ``"fresh"`` draws black and white pixels anew whenever an image is seen; all others take the
            images as they are. ``None`` asks the data set, and takes a plain tensor as it is.
        evaluate_on: name of a split to images or data set, say ``{"train": train.images[:1000], "test": test}``. Where
            training binarises afresh, they are binarised once, the same for every member and every evaluation.
        evaluate_at: numbers of samples after which to evaluate (0 is the start); the default is the end alone.
        measure: ``measure(model, params, images)`` gives more numbers of one member by name, at every evaluation; they
            are further columns of the history. It must draw nothing that changes from call to call.
        snapshot: ``snapshot(trained)`` is called with the stack as it is, copied, after each of the ``snapshot_at``
            numbers of samples. It may return rows (a table, or a list of dictionaries) for the history. A run that goes
            on from a checkpoint has the rows of earlier moments, and does not call for them again.
        block, compile, checkpoint, checkpoint_seconds, progress: as :func:`elbo.training.fit` takes them.
        device: ``"auto"``, ``"cpu"`` or ``"cuda"``.

    Raises:
        ValueError: ``samples`` below one, or a moment outside of them.
    """

    samples: int
    batch_size: int = 100
    seeds: Sequence[int] = (0,)
    latent_dims: Sequence[int] | None = None
    beta: float | Sequence[float] = 1.0
    optimiser: Literal["adagrad", "adam"] | Adagrad | Adam = "adagrad"
    learning_rate: float | Sequence[float] | None = None
    init_scale: float | Literal["glorot"] = 0.1
    binarisation: Literal["grey", "threshold", "fixed", "fresh"] | None = None
    evaluate_on: Mapping[str, Any] | None = None
    evaluate_at: Sequence[int] | None = None
    measure: Measure | None = None
    snapshot: Callable[[Trained], Any] | None = None
    snapshot_at: Sequence[int] = ()
    block: int = 100
    device: str = "auto"
    compile: bool | Literal["auto"] = "auto"
    checkpoint: str | os.PathLike[str] | None = None
    checkpoint_seconds: float = 60.0
    progress: Callable[[int, int, Tensor], None] | None = None

    def __post_init__(self) -> None:
        for name, moments in (("evaluate_at", self.evaluate_at), ("snapshot_at", self.snapshot_at)):
            if self.samples < 1 or any(not 0 <= at <= self.samples for at in moments or ()):
                raise ValueError(
                    f"samples must be positive and {name} between 0 and samples; got {self.samples} and {moments}"
                )

    def evaluations(self, per: int) -> set[int]:
        """After how many updates of ``per`` samples each to evaluate."""
        return {math.ceil(at / per) for at in ([self.samples] if self.evaluate_at is None else self.evaluate_at)}


@dataclass(frozen=True)
class Objective:
    """What an algorithm trains by, as a value.

    Attributes:
        loss: ``loss(params, x, noise, scalars) -> ()`` of one model, nats per datum, as :func:`elbo.training.fit` takes
            it. ``scalars["beta"]`` is always there.
        terms: the loss as named summands.
        noise: what one step of one model draws, in its order; :meth:`Plan.noise` has what most need.
        scalars: beside ``beta``, ``(members, ...)`` each.
        start: what the algorithm makes of the starting values.
        settings: what its checkpoints say beside the model, JSON; :attr:`Plan.settings` and whatever else decides the
            loss. A checkpoint with other settings is refused.
    """

    loss: Callable[..., Tensor]
    terms: Callable[..., dict[str, Tensor]]
    noise: dict[str, Noise]
    scalars: dict[str, Tensor] = field(default_factory=dict)
    start: Callable[[Params], Params] = lambda params: params
    settings: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Plan:
    """What the choices come to for a model and its data: what an algorithm builds its objective from.

    Attributes:
        how: the choices.
        model: shapes of the widest model of the stack.
        data: images on the device, ``(N, data_dim)``; or whatever gives them by index.
        fresh: whether pixels are binarised whenever they are seen.
        seeds, latent_dims, betas, rates: one for each member; a rate ``None`` is the optimiser's own.
        splits: images to evaluate on.
    """

    how: How
    model: VAE
    data: Any
    fresh: bool
    seeds: tuple[int, ...]
    latent_dims: tuple[int, ...]
    betas: tuple[float, ...]
    rates: tuple[float | None, ...]
    splits: dict[str, Tensor]
    device: torch.device

    @property
    def members(self) -> list[tuple[int, int, float]]:
        """``(seed, latent_dim, beta)`` of each."""
        return list(zip(self.seeds, self.latent_dims, self.betas))

    @property
    def count(self) -> int:
        """The number of data, N."""
        return len(self.data)

    @property
    def settings(self) -> dict[str, Any]:
        """What decides the numbers of a history, for a checkpoint."""
        found = {"fresh": self.fresh, "splits": {name: len(split) for name, split in self.splits.items()}}
        measure = self.how.measure
        return found | ({"measure": getattr(measure, "__qualname__", repr(measure))} if measure else {})

    @property
    def active(self) -> Tensor:
        """Ones for the latents that a member has, zeros for the padding of the stack, ``(members, latent_dim)``."""
        return (torch.arange(self.model.latent_dim) < torch.tensor(self.latent_dims)[:, None]).double()

    def noise(self, *draws: int) -> dict[str, Noise]:
        """``eps`` ``(*draws, batch, latent_dim)`` for the codes, and ``uniform`` for the pixels where they need it."""
        batch = self.how.batch_size
        found = {"eps": Noise("normal", (*draws, batch, self.model.latent_dim), self.latent_dims)}
        return found | ({"uniform": Noise("uniform", (batch, self.model.data_dim))} if self.fresh else {})

    def updates(self, samples: int) -> int:
        """The number of steps that see so many samples."""
        return math.ceil(samples / self.how.batch_size)

    def start(self) -> Params:
        """Starting values of the stack, ``(members, ...)`` each."""
        return stack.start(self.model, self.members, self.how.init_scale, self.data[:1])

    def trained(self, params: Params, rows: list[dict[str, Any]], losses: Tensor, compiled: bool = False) -> Trained:
        """The stack with its history; rows without any evaluation among them keep their own columns."""
        named = list(dict.fromkeys(name for row in rows for name in row))
        first = HISTORY if self.splits or not rows else []
        history = pd.DataFrame(rows, columns=first + [name for name in named if name not in first])
        columns = (self.seeds, self.latent_dims, self.betas)
        return Trained(self.model, params, *columns, history, losses, self.device.type, compiled)


def plan(model: VAE, data: Any, how: How) -> Plan:
    """Images on the device, members with one value of everything, and the splits to evaluate on.

    Raises:
        ValueError: arguments that do not fit together.
        RuntimeError: ``device="cuda"`` where there is none.
    """
    device, rate = resolve_device(how.device), how.learning_rate
    images, fresh = stack.images(data, how.binarisation, model, device)
    seeds, latent_dims, betas, rates = stack.members(
        seeds=how.seeds,
        latent_dims=how.latent_dims or [model.latent_dim],
        beta=[how.beta] if isinstance(how.beta, (int, float)) else how.beta,
        learning_rate=[rate] if rate is None or isinstance(rate, (int, float)) else rate,
    )
    widest = replace(model, latent_dim=max(latent_dims))
    splits = stack.splits(how.evaluate_on or {}, how.binarisation, fresh, widest, device)
    return Plan(how, widest, images, fresh, seeds, latent_dims, betas, rates, splits, device)


def train(model: VAE, data: Any, build: Callable[[Plan], Objective], how: How) -> Trained:
    """Train a stack of autoencoders by an objective.

    Args:
        model: shapes; with ``how.latent_dims`` its own ``latent_dim`` is replaced by theirs.
        data: images ``(N, data_dim)``, floating point; a data set with ``images`` and ``binarisation``; or anything
            with a length that gives such images by ``data[index tensor]``, on the device.
        build: the objective of the algorithm.

    Raises:
        ValueError: arguments that do not fit together.
        RuntimeError: ``device="cuda"`` where there is none.
        CheckpointError: the checkpoint is damaged or belongs to another run.
        FloatingPointError: the loss of a member is not finite; names the member, the step and the term.
    """
    planned = plan(model, data, how)
    objective, rate = build(planned), how.learning_rate
    if rate is not None and not isinstance(rate, (int, float)):
        rate = [each for each in planned.rates if each is not None]
    evaluations = how.evaluations(how.batch_size) if planned.splits else set()
    snapshots = {math.ceil(at / how.batch_size) for at in how.snapshot_at} if how.snapshot else set()

    def record(now: Fitted) -> list[dict[str, Any]]:
        rows = []
        if now.steps in evaluations:
            rows += stack.evaluate(planned.model, now.params, planned.members, planned.splits, how.measure)
        if how.snapshot and now.steps in snapshots:
            params = {name: param.clone() for name, param in now.params.items()}
            rows += _rows(how.snapshot(planned.trained(params, now.records, now.losses, now.compiled)))
        return [{"samples": now.steps * how.batch_size} | row for row in rows]

    fitted = fit(
        objective.loss,
        objective.start(planned.start()),
        planned.data,
        seeds=planned.seeds,
        steps=math.ceil(how.samples / how.batch_size),
        batch_size=how.batch_size,
        noise=objective.noise,
        scalars={"beta": torch.tensor(planned.betas, dtype=torch.float64)} | objective.scalars,
        optimiser=make_optimiser(how.optimiser, rate),
        block=how.block,
        terms=objective.terms,
        record=record,
        record_at=sorted(evaluations | snapshots),
        compile=how.compile,
        checkpoint=how.checkpoint,
        checkpoint_seconds=how.checkpoint_seconds,
        settings={"model": repr(planned.model)} | objective.settings,
        progress=how.progress,
    )
    return planned.trained(fitted.params, fitted.records, fitted.losses, fitted.compiled)


def algorithm(
    *, without: Sequence[str] = (), **defaults: Any
) -> Callable[[Callable[..., Trained]], Callable[..., Trained]]:
    """Give ``fit(model, data, how, *, own keywords)`` the keywords of :class:`How` in place of ``how``.

    Args:
        without: choices that have no meaning for the algorithm; their default holds.
        defaults: where the algorithm's differ from those of :class:`How`.
    """

    def decorate(function: Callable[..., Trained]) -> Callable[..., Trained]:
        model, data, _, *own = inspect.signature(function).parameters.values()
        chosen = {item.name: _parameter(item, defaults) for item in fields(How) if item.name not in without}
        required = [each for each in (*chosen.values(), *own) if each.default is inspect.Parameter.empty]
        optional = [each for each in (*own, *chosen.values()) if each.default is not inspect.Parameter.empty]
        signature = inspect.Signature([model, data, *required, *optional], return_annotation="Trained")

        @functools.wraps(function)
        def call(*args: Any, **given: Any) -> Trained:
            try:
                signature.bind(*args, **given)
            except TypeError as error:
                raise TypeError(f"{function.__module__}.{function.__name__}: {error}") from None
            how = How(**(defaults | {name: value for name, value in given.items() if name in chosen}))
            rest = {name: value for name, value in given.items() if name not in chosen}
            named = dict(zip((model.name, data.name), args))
            return function(how=how, **named, **rest)

        call.__signature__ = signature  # type: ignore[attr-defined]
        return call

    return decorate


def _parameter(item: Any, defaults: Mapping[str, Any]) -> inspect.Parameter:
    default = defaults.get(item.name, inspect.Parameter.empty if item.default is MISSING else item.default)
    return inspect.Parameter(item.name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=item.type)


def _rows(told: Any) -> list[dict[str, Any]]:
    """What a snapshot returned, as rows."""
    return [] if told is None else told.to_dict("records") if isinstance(told, pd.DataFrame) else list(told)
