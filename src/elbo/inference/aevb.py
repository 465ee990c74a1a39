r"""Auto-encoding variational Bayes, the algorithm of Kingma & Welling (2013), on a stack of models at once.

The estimators of the bound live in :mod:`elbo.inference.sgvb` and are given here too.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple

import pandas as pd
import torch
from torch import Tensor

from elbo.densities import standard_gaussian_kl
from elbo.devices import resolve_device
from elbo.inference import stack
from elbo.inference.sgvb import (
    ESTIMATORS,
    binarise,
    estimate_bound,
    log_weight_prior,
    minibatch_bound,
    reparameterise,
    sgvb_a,
    sgvb_b,
)
from elbo.models.vae import VAE, Params
from elbo.training import Adagrad, Adam, Noise, fit, make_optimiser

__all__ = [
    "Algorithm",
    "ESTIMATORS",
    "Trained",
    "aevb",
    "binarise",
    "estimate_bound",
    "log_weight_prior",
    "minibatch_bound",
    "objective",
    "reparameterise",
    "sgvb_a",
    "sgvb_b",
]

HISTORY = ["seed", "latent_dim", "beta", "samples", "split", "bound", "se"]


class Algorithm(NamedTuple):
    """What another algorithm changes in :func:`aevb`: ``loss`` and ``terms`` as :func:`elbo.training.fit` takes them,
    noise and scalars beside its own, the name that its checkpoints carry, and what it makes of the starting values."""

    name: str
    loss: Callable[..., Tensor]
    terms: Callable[..., dict[str, Tensor]]
    noise: dict[str, Noise]
    scalars: dict[str, Tensor]
    start: Callable[[Params], Params] = lambda params: params


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


def aevb(
    model: VAE,
    data: Any,
    *,
    samples: int,
    batch_size: int = 100,
    seeds: Sequence[int] = (0,),
    latent_dims: Sequence[int] | None = None,
    beta: float | Sequence[float] = 1.0,
    estimator: Literal["A", "B"] = "B",
    draws: int = 1,
    weight_prior: bool = True,
    optimiser: Literal["adagrad", "adam"] | Adagrad | Adam = "adagrad",
    learning_rate: float | Sequence[float] | None = None,
    init_scale: float | Literal["glorot"] = 0.1,
    binarisation: Literal["grey", "threshold", "fixed", "fresh"] | None = None,
    evaluate_on: Mapping[str, Any] | None = None,
    evaluate_at: Sequence[int] | None = None,
    measure: stack.Measure | None = None,
    block: int = 100,
    device: str = "auto",
    compile: bool | Literal["auto"] = "auto",
    checkpoint: Any = None,
    progress: Callable[[int, int, Tensor], None] | None = None,
    algorithm: Callable[[VAE, tuple[int, ...], bool], Algorithm] | None = None,
) -> Trained:
    """Train variational autoencoders: algorithm 1 of Kingma & Welling (2013), on a stack of models at once.

    Args:
        model: shapes; with ``latent_dims`` its own ``latent_dim`` is replaced by theirs.
        data: images ``(N, data_dim)``, floating point, or a data set with ``images`` and ``binarisation``.
        samples: how many data each member sees, a minibatch of ``batch_size`` at a time.
        seeds, latent_dims, beta, learning_rate: one value for all members, or one for each. A seed decides the start,
            the minibatches and the noise of its member, whatever the company.
        estimator, draws: which estimator of the bound, and how many codes it draws for each datum (the paper's L).
            ``"A"`` takes members of one latent size only: it would train the padding of the others.
        weight_prior: add a standard Gaussian prior on the decoder's weights, as the paper does (its MAP criterion).
        optimiser, learning_rate: ``"adagrad"`` (the paper's; 0.02) or ``"adam"`` (0.001); or an optimiser of
            :mod:`elbo.training`, with its own learning rate.
        init_scale: as :meth:`VAE.init` takes it.
        binarisation: ``"fresh"`` draws black and white pixels anew whenever an image is seen; all others take the
            images as they are. ``None`` asks the data set, and takes a plain tensor as it is.
        evaluate_on: name of a split to images or data set, say ``{"train": train.images[:1000], "test": test}``. Where
            training binarises afresh, they are binarised once, the same for every member and every evaluation.
        evaluate_at: numbers of samples after which to evaluate (0 is the start); the default is the end alone.
        measure: ``measure(model, params, images)`` gives more numbers of one member by name, at every evaluation; they
            are further columns of the history. It must draw nothing that changes from call to call.
        block, compile, checkpoint, progress: as :func:`elbo.training.fit` takes them.
        device: ``"auto"``, ``"cpu"`` or ``"cuda"``.
        algorithm: trains the same models by another objective, given the model of the stack, the latent sizes and
            whether pixels are binarised afresh; :func:`elbo.inference.wake_sleep.wake_sleep` is one. ``estimator`` and
            ``draws`` are then without effect.

    Raises:
        ValueError: arguments that do not fit together.
        RuntimeError: ``device="cuda"`` where there is none.
        FloatingPointError: the loss of a member is not finite; names the member, the step and the term.
    """
    target = resolve_device(device)
    images, fresh = stack.images(data, binarisation, model, target)
    one_rate = learning_rate is None or isinstance(learning_rate, (int, float))
    columns = stack.members(
        seeds=seeds,
        latent_dims=latent_dims or [model.latent_dim],
        beta=[beta] if isinstance(beta, (int, float)) else beta,
        learning_rate=[learning_rate] if one_rate else learning_rate,
    )
    seeds, latent_dims, betas, rates = columns
    if estimator == "A" and not algorithm and len(set(latent_dims)) > 1:
        raise ValueError("estimator 'A' needs members of one latent size: train each size in a call of its own")
    members = list(zip(seeds, latent_dims, betas))
    model = replace(model, latent_dim=max(latent_dims))
    eps_shape = (batch_size, model.latent_dim) if draws == 1 else (draws, batch_size, model.latent_dim)
    noise = {"eps": Noise("normal", eps_shape, latent_dims)}
    if fresh:
        noise["uniform"] = Noise("uniform", (batch_size, model.data_dim))
    loss, terms = objective(model, len(images), estimator, weight_prior, fresh)
    scalars = {"beta": torch.tensor(betas, dtype=torch.float64)}
    other = algorithm(model, latent_dims, fresh) if algorithm else None
    if other:
        loss, terms, noise, scalars = other.loss, other.terms, noise | other.noise, scalars | other.scalars
    splits = stack.splits(evaluate_on or {}, binarisation, fresh, model, target)
    if samples < 1 or any(not 0 <= at <= samples for at in evaluate_at or ()):
        raise ValueError(
            f"samples must be positive and evaluate_at between 0 and samples; got {samples} and {evaluate_at}"
        )
    steps = math.ceil(samples / batch_size)
    pauses = sorted({math.ceil(at / batch_size) for at in ([samples] if evaluate_at is None else evaluate_at)})

    def record(step: int, params: Params) -> list[dict[str, Any]]:
        return [row | {"samples": step * batch_size} for row in stack.evaluate(model, params, members, splits, measure)]

    start = stack.start(model, members, init_scale, images)
    fitted = fit(
        loss,
        other.start(start) if other else start,
        images,
        seeds=seeds,
        steps=steps,
        batch_size=batch_size,
        noise=noise,
        scalars=scalars,
        optimiser=make_optimiser(optimiser, learning_rate if one_rate else rates),
        block=block,
        terms=terms,
        record=record if splits else None,
        record_at=pauses if splits else (),
        compile=compile,
        checkpoint=checkpoint,
        settings={
            "model": repr(model),
            "estimator": estimator,
            "weight_prior": weight_prior,
            "fresh": fresh,
            "splits": {name: len(split) for name, split in splits.items()},
        }
        | ({"algorithm": other.name} if other else {})
        | ({"measure": getattr(measure, "__qualname__", repr(measure))} if measure else {}),
        progress=progress,
    )
    more = [name for row in fitted.records for name in row if name not in HISTORY]
    history = pd.DataFrame(fitted.records, columns=HISTORY + list(dict.fromkeys(more)))
    return Trained(
        model, fitted.params, seeds, latent_dims, betas, history, fitted.losses, target.type, fitted.compiled
    )


def objective(model: VAE, count: int, estimator: str = "B", weight_prior: bool = True, fresh: bool = False):
    """The loss of one model, nats per datum, and the same as named terms."""
    if estimator not in ESTIMATORS:
        raise ValueError(f"estimator must be 'A' or 'B', got {estimator!r}")
    bound = ESTIMATORS[estimator]

    def loss(params: Params, x: Tensor, noise: dict[str, Tensor], scalars: dict[str, Tensor]) -> Tensor:
        if fresh:
            x = binarise(x, noise["uniform"])
        bounds = bound(model, params, x, noise["eps"], scalars["beta"])
        total = minibatch_bound(bounds.flatten(), count)
        if weight_prior:
            total = total + log_weight_prior(params)
        return -total / count

    def terms(params: Params, x: Tensor, noise: dict[str, Tensor], scalars: dict[str, Tensor]) -> dict[str, Tensor]:
        if fresh:
            x = binarise(x, noise["uniform"])
        mean, log_var = model.encode(params, x)
        z = reparameterise(mean, log_var, noise["eps"])
        named = {
            "code": z.sum(),
            "log-likelihood": model.log_likelihood(params, x, z).mean(),
            "KL divergence": standard_gaussian_kl(mean, log_var).mean(),
        }
        return named | ({"log-prior of the weights": log_weight_prior(params)} if weight_prior else {})

    return loss, terms
