r"""Auto-encoding variational Bayes (Kingma & Welling, 2013): the two SGVB estimators of the bound, and the algorithm.

The estimators are pure functions of a model, its parameters, data and noise. They work for every model with the methods
``encode(params, x)``, ``log_likelihood(params, x, z)`` and ``log_prior(z)`` (estimator B: and a standard Gaussian prior).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import pandas as pd
import torch
from torch import Tensor

from elbo.densities import gaussian_log_prob, standard_gaussian_kl, standard_gaussian_log_prob
from elbo.devices import resolve_device
from elbo.models.vae import VAE, Params
from elbo.training import Noise, fit, keyed_generator, make_optimiser

__all__ = [
    "Trained",
    "aevb",
    "binarise",
    "estimate_bound",
    "log_weight_prior",
    "minibatch_bound",
    "reparameterise",
    "sgvb_a",
    "sgvb_b",
]

BINARISATIONS = ("grey", "threshold", "fixed", "fresh")
CHUNK = 2000  # images at a time where a bound is evaluated


def reparameterise(mean: Tensor, log_var: Tensor, eps: Tensor) -> Tensor:
    r"""A draw from :math:`N(\mu, \mathrm{diag}\,\sigma^2)` as a function of noise: :math:`z = \mu + \sigma \odot \epsilon`, equation 4.

    ``eps`` is standard normal, ``(..., latent_dim)``; gradients reach ``mean`` and ``log_var`` through ``z``.
    """
    return mean + torch.exp(0.5 * log_var) * eps


def sgvb_a(model: VAE, params: Params, x: Tensor, eps: Tensor, beta: float | Tensor = 1.0) -> Tensor:
    r"""Estimator A of the bound, equation 6: every term by Monte Carlo.

    .. math:: \log p_\theta(x|z) - \beta\,[\log q_\phi(z|x) - \log p(z)], \qquad z = \mu_\phi(x) + \sigma_\phi(x) \odot \epsilon

    Unbiased for the (beta-weighted) bound in value and in gradient.

    Args:
        x: ``(batch, data_dim)``.
        eps: standard normal noise, ``(batch, latent_dim)``, or ``(L, batch, latent_dim)`` for L draws.

    Returns:
        ``(batch,)`` or ``(L, batch)`` nats; the standard error of a mean is that of the rows it is taken over.
    """
    mean, log_var = model.encode(params, x)  # (batch, latent)
    z = reparameterise(mean, log_var, eps)  # (..., batch, latent)
    log_ratio = gaussian_log_prob(z, mean, log_var) - model.log_prior(z)  # (..., batch)
    return model.log_likelihood(params, x, z) - beta * log_ratio


def sgvb_b(model: VAE, params: Params, x: Tensor, eps: Tensor, beta: float | Tensor = 1.0) -> Tensor:
    r"""Estimator B of the bound, equations 7 and 10: the KL divergence in closed form.

    .. math:: \log p_\theta(x|z) - \beta\,KL(q_\phi(z|x) \,\|\, N(0, I)), \qquad z = \mu_\phi(x) + \sigma_\phi(x) \odot \epsilon

    Unbiased for the (beta-weighted) bound in value and in gradient, with less variance than A as a rule.

    Args and returns as for :func:`sgvb_a`.
    """
    mean, log_var = model.encode(params, x)  # (batch, latent)
    z = reparameterise(mean, log_var, eps)  # (..., batch, latent)
    return model.log_likelihood(params, x, z) - beta * standard_gaussian_kl(mean, log_var)


ESTIMATORS = {"A": sgvb_a, "B": sgvb_b}


def minibatch_bound(bounds: Tensor, count: int) -> Tensor:
    r"""The bound of the whole data set from a minibatch, equation 8: :math:`\frac{N}{M}\sum_{i=1}^{M} L(x_i)`; ``(..., M) -> (...)``.

    The scale N/M matters only where something else is added to the bound, as a prior on the weights is.
    """
    return count * bounds.mean(-1)


def log_weight_prior(params: Params) -> Tensor:
    r""":math:`\log p(\theta) = \log N(\theta; 0, I)` of the decoder's weights and biases, ``()`` nats.

    Kingma & Welling (2013) maximise the bound plus this prior on the generative parameters (maximum a posteriori).
    """
    decoder = [param.flatten() for name, param in params.items() if name.startswith("decoder.")]
    return sum(standard_gaussian_log_prob(param) for param in decoder)


def binarise(images: Tensor, uniform: Tensor) -> Tensor:
    """Black and white pictures from grey ones: a pixel is 1 with its grey value as probability. ``uniform`` is on [0, 1)."""
    return (uniform < images).to(images.dtype)


def estimate_bound(
    model: VAE, params: Params, x: Tensor, generator: torch.Generator, estimator: str = "B", draws: int = 1
) -> Tensor:
    """The bound of every datum, ``(batch, data_dim) -> (batch,)`` nats, the mean over ``draws`` codes each.

    Unbiased for the bound, which is itself below the log marginal likelihood. Works in chunks; no gradients.
    """
    rows = []
    with torch.no_grad():
        for chunk in x.split(CHUNK):
            shape = (draws, len(chunk), model.latent_dim)
            eps = torch.randn(shape, generator=generator, dtype=x.dtype, device=x.device)
            rows.append(ESTIMATORS[estimator](model, params, chunk, eps).mean(0))
    return torch.cat(rows)


@dataclass(frozen=True)
class Trained:
    """Trained models and how their bound grew.

    Attributes:
        model: shapes of the widest model of the stack.
        params: ``(members, ...)`` each; a member with fewer latents is padded with zeros (use :meth:`member`).
        seeds, latent_dims, betas: one for each member.
        history: tidy, one row a member, split and number of samples seen: ``seed, latent_dim, beta, samples, split``, ``bound``
            (nats per datum, estimator B, beta = 1) and ``se``, the standard error of that mean over the data of the split.
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
    optimiser: Literal["adagrad", "adam"] = "adagrad",
    learning_rate: float | Sequence[float] | None = None,
    init_scale: float | Literal["glorot"] = 0.1,
    binarisation: Literal["grey", "threshold", "fixed", "fresh"] | None = None,
    evaluate_on: Mapping[str, Any] | None = None,
    evaluate_at: Sequence[int] | None = None,
    block: int = 100,
    device: str = "auto",
    compile: bool | Literal["auto"] = "auto",
    checkpoint: Any = None,
    progress: Callable[[int, int, Tensor], None] | None = None,
) -> Trained:
    """Train variational autoencoders: algorithm 1 of Kingma & Welling (2013), on a stack of models at once.

    Args:
        model: shapes; with ``latent_dims`` its own ``latent_dim`` is replaced by theirs.
        data: images ``(N, data_dim)``, floating point, or a data set with ``images`` and ``binarisation``.
        samples: how many data each member sees, a minibatch of ``batch_size`` at a time.
        seeds, latent_dims, beta, learning_rate: one value for all members, or one for each. A seed decides the start, the
            minibatches and the noise of its member, whatever the company.
        estimator, draws: which estimator of the bound, and how many codes it draws for each datum (the paper's L).
        weight_prior: add a standard Gaussian prior on the decoder's weights, as the paper does (its MAP criterion).
        optimiser, learning_rate: ``"adagrad"`` (the paper's; 0.02) or ``"adam"`` (0.001).
        init_scale: as :meth:`VAE.init` takes it.
        binarisation: ``"fresh"`` draws black and white pixels anew whenever an image is seen; all others take the images as they
            are. ``None`` asks the data set, and takes a plain tensor as it is.
        evaluate_on: name of a split to images or data set, for example ``{"train": train.images[:1000], "test": test}``; images
            that are binarised afresh for training are binarised once here, the same for every member and every evaluation.
        evaluate_at: numbers of samples after which to evaluate (0 is the start); the default is the end alone.
        block, compile, checkpoint, progress: as :func:`elbo.training.fit` takes them.
        device: ``"auto"``, ``"cpu"`` or ``"cuda"``.

    Raises:
        ValueError: arguments that do not fit together.
        RuntimeError: ``device="cuda"`` where there is none.
        FloatingPointError: the loss of a member is not finite; names the member, the step and the term.
    """
    target = resolve_device(device)
    images, fresh = _images(data, binarisation, model, target)
    members = _members(seeds, latent_dims or [model.latent_dim], [beta] if isinstance(beta, (int, float)) else beta)
    seeds, latent_dims, betas = (tuple(column) for column in zip(*members))
    model = replace(model, latent_dim=max(latent_dims))
    eps_shape = (batch_size, model.latent_dim) if draws == 1 else (draws, batch_size, model.latent_dim)
    noise = {"eps": Noise("normal", eps_shape, latent_dims)}
    if fresh:
        noise["uniform"] = Noise("uniform", (batch_size, model.data_dim))
    loss, terms = objective(model, len(images), estimator, weight_prior, fresh)
    splits = _splits(evaluate_on or {}, binarisation, fresh, model, target)
    if samples < 1 or any(not 0 <= at <= samples for at in evaluate_at or ()):
        raise ValueError(f"samples must be positive and evaluate_at between 0 and samples; got {samples} and {evaluate_at}")
    steps = math.ceil(samples / batch_size)
    pauses = sorted({math.ceil(at / batch_size) for at in ([samples] if evaluate_at is None else evaluate_at)})

    def record(step: int, stack: Params) -> list[dict[str, Any]]:
        return [row | {"samples": step * batch_size} for row in _evaluate(model, stack, members, splits)]

    fitted = fit(
        loss,
        _start(model, members, init_scale, images),
        images,
        seeds=seeds,
        steps=steps,
        batch_size=batch_size,
        noise=noise,
        scalars={"beta": torch.tensor(betas, dtype=torch.float64)},
        optimiser=make_optimiser(optimiser, learning_rate),
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
        },
        progress=progress,
    )
    columns = ["seed", "latent_dim", "beta", "samples", "split", "bound", "se"]
    history = pd.DataFrame(fitted.records, columns=columns)
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


def _images(data: Any, binarisation: str | None, model: VAE, device: torch.device) -> tuple[Tensor, bool]:
    """The images of a data set or tensor on the device, and whether they are to be binarised afresh."""
    images = data if isinstance(data, Tensor) else data.images
    binarisation = binarisation or getattr(data, "binarisation", "grey")
    if binarisation not in BINARISATIONS:
        raise ValueError(f"binarisation must be one of {', '.join(BINARISATIONS)}; got {binarisation!r}")
    if images.dim() != 2 or images.shape[1] != model.data_dim or not images.is_floating_point():
        raise ValueError(
            f"images must be floating point of shape (N, {model.data_dim}), the model's data_dim; got {images.dtype} "
            f"of shape {tuple(images.shape)}"
        )
    return images.to(device).contiguous(), binarisation == "fresh"


def _members(*columns: Sequence[Any]) -> list[tuple[Any, ...]]:
    """One tuple a member from columns of one value or of one for each."""
    members = max(map(len, columns))
    if any(len(column) not in (1, members) for column in columns):
        raise ValueError(
            f"seeds, latent_dims and beta need one value each, or one for each member; got {[len(c) for c in columns]}"
        )
    return list(zip(*(list(column) * members if len(column) == 1 else column for column in columns)))


def _start(model: VAE, members: list[tuple], scale: float | str, images: Tensor) -> Params:
    """Starting values, every member drawn at its own size from its own seed."""
    stack = []
    for seed, latent_dim, _ in members:
        own = replace(model, latent_dim=latent_dim)
        params = own.init(keyed_generator(images.device, seed, "start"), scale, images.dtype)
        stack.append(own.resize(params, model.latent_dim))
    return {name: torch.stack([params[name] for params in stack]) for name in stack[0]}


def _splits(evaluate_on: Mapping[str, Any], binarisation, fresh: bool, model: VAE, device) -> dict[str, Tensor]:
    splits = {}
    for name, data in evaluate_on.items():
        images, redraw = _images(data, binarisation or ("fresh" if fresh else None), model, device)
        if redraw:
            generator = keyed_generator(device, "evaluate", name)
            images = binarise(images, torch.rand(images.shape, generator=generator, dtype=images.dtype, device=device))
        splits[name] = images
    return splits


def _evaluate(model: VAE, stack: Params, members: list[tuple], splits: dict[str, Tensor]) -> list[dict[str, Any]]:
    rows = []
    for member, (seed, latent_dim, beta) in enumerate(members):
        own = replace(model, latent_dim=latent_dim)
        params = model.resize({name: param[member] for name, param in stack.items()}, latent_dim)
        for split, images in splits.items():
            bounds = estimate_bound(own, params, images, keyed_generator(images.device, seed, "evaluate", split)).double()
            se = float(bounds.std() / math.sqrt(len(bounds)))
            row = {"seed": seed, "latent_dim": latent_dim, "beta": float(beta), "split": split}
            rows.append(row | {"bound": float(bounds.mean()), "se": se})
    return rows
