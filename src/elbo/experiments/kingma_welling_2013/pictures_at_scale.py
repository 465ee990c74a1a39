"""Figures 4 and 5 on MNIST, small enough to be kept with the book: one character a pixel."""

from __future__ import annotations

import string

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from elbo import reference
from elbo.data import load
from elbo.densities import standard_gaussian_kl
from elbo.experiments.kingma_welling_2013.amortisation import amortisation_gap, gap_by_size, posterior_of_one
from elbo.experiments.kingma_welling_2013.pictures import manifold, prior_samples, reconstructions
from elbo.experiments.kingma_welling_2013.training import Run, some_images
from elbo.inference import aevb
from elbo.inference.sgvb import reparameterise
from elbo.inference.stack import Trained
from elbo.models.vae import VAE, Params

__all__ = [
    "LEVELS",
    "amortisation_at_scale",
    "gaps",
    "given_back",
    "one_walk",
    "pack",
    "pictures",
    "pictures_at_scale",
    "unpack",
]

LEVELS = string.ascii_uppercase + string.ascii_lowercase + string.digits + "+-"
"""A pixel is one of these 64 characters, from 0 (A) to 1 (-)."""

CHAPTER = "kingma-welling-2013"


def pack(images: Tensor) -> list[str]:
    """Images ``(count, pixels)`` in [0, 1], each as a text of one character a pixel (64 grey levels)."""
    levels = (images.detach().cpu() * (len(LEVELS) - 1)).round().long()
    return ["".join(LEVELS[level] for level in row) for row in levels.tolist()]


def unpack(table: pd.DataFrame) -> pd.DataFrame:
    """The table with ``pixel_0, pixel_1, ...`` (0 to 1) in place of its column ``pixels``."""
    value = {letter: round(level / (len(LEVELS) - 1), 3) for level, letter in enumerate(LEVELS)}
    pixels = np.array([[value[letter] for letter in text] for text in table.pixels])
    named = pd.DataFrame(pixels, columns=[f"pixel_{i}" for i in range(pixels.shape[1])])
    return pd.concat([table.drop(columns="pixels").reset_index(drop=True), named], axis=1)


def pictures_at_scale(
    *,
    dataset: str = "mnist",
    latent_dims: tuple[int, ...] = (2, 5, 10, 20),
    samples: int = 1_200_000,
    hidden: int = 500,
    side: int = 11,
    count: int = 16,
    shown: int = 8,
    seed: int = 0,
) -> pd.DataFrame:
    """What decoders trained on MNIST draw: the manifold of two latents, draws from the prior, reconstructions.

    The paper's network (one hidden layer of 500 tanh units) and minibatches; Adam with a step of 0.001, which needs
    fewer samples than Adagrad; pixels drawn afresh as black or white.

    Args:
        samples: training images that each model sees.
        side: tiles along each side of the manifold, laid out as :func:`pictures.manifold`.
        count: draws from the prior for each size, the same noise for every size as far as it goes.
        shown: test images that are given back.

    Returns:
        One row an image: ``panel`` (``manifold``, ``samples``, ``test``, ``reconstruction``), ``latent_dim`` (0 for the
        test image), ``tile``, ``pixels`` (see :func:`unpack`); for the manifold the quantiles ``u1`` and ``u2``; for a
        reconstruction, decoded from one draw, ``likelihood`` (log p(x|z) of the draw) and ``penalty`` (KL from the
        prior), nats, and with two latents ``mean_1, mean_2, sd_1, sd_2`` of the encoder and the draw ``z_1, z_2``;
        ``bound``, the model's mean bound on all test images, nats per image, and ``samples``.
    """
    test = load(dataset, split="test")
    x = some_images(test, shown, torch.Generator().manual_seed(seed))
    tables = [pd.DataFrame({"panel": "test", "latent_dim": 0, "tile": range(len(x)), "pixels": pack(x)})]
    for size in latent_dims:
        trained = _trained(dataset, size, samples, hidden, seed)
        own = [_prior(trained, count, seed), _given_back(trained, x, seed)] + (
            [_manifold(trained, side)] if size == 2 else []
        )
        bound = round(float(trained.history.bound.iloc[-1]), 2)
        tables.append(pd.concat(own, ignore_index=True).assign(latent_dim=size, bound=bound, samples=samples))
    return pd.concat(tables, ignore_index=True)


def amortisation_at_scale(
    *,
    dataset: str = "mnist",
    latent_dims: tuple[int, ...] = (2, 5, 10, 20),
    samples: int = 1_200_000,
    images: int = 200,
    draws: int = 2000,
    steps: int = 300,
    hidden: int = 500,
    seed: int = 0,
) -> pd.DataFrame:
    """The gaps of the models of :func:`pictures_at_scale` on test images, and one posterior of the model of two
    latents.

    Returns:
        The rows of :func:`elbo.experiments.kingma_welling_2013.amortisation.amortisation_gap` (``panel`` "image") and
        those of ``posterior_of_one`` (``panel`` "grid" and "gaussian").
    """
    test, tables = load(dataset, split="test"), []
    for size in latent_dims:
        trained = _trained(dataset, size, samples, hidden, seed)
        table = amortisation_gap(trained, test, images=images, draws=draws, steps=steps, seed=seed)
        tables.append(table.assign(panel="image", samples=samples))
        if size == 2:
            tables.append(posterior_of_one(trained, test, table, images=images, seed=seed, side=33))
    table = pd.concat(tables, ignore_index=True)
    fine = ["encoder", "best", "log_evidence", "approximation", "amortisation", "density"]
    return table.round(dict.fromkeys(fine, 4) | dict.fromkeys(["z_1", "z_2", "mean_1", "mean_2", "sd_1", "sd_2"], 4))


def _trained(dataset: str, size: int, samples: int, hidden: int, seed: int) -> Trained:
    """One model, trained from where its checkpoint is."""
    train, test = load(dataset, split="train"), load(dataset, split="test")
    return aevb.fit(
        VAE(train.images.shape[1], hidden, size),
        train,
        samples=samples,
        seeds=[seed],
        optimiser="adam",
        learning_rate=1e-3,
        evaluate_on={"test": test},
        device="cpu",
        checkpoint=reference.scratch(CHAPTER, f"pictures-{dataset}-{size}"),
    )


def _prior(trained: Trained, count: int, seed: int) -> pd.DataFrame:
    model, params = _model(trained)
    z = torch.randn(count, model.latent_dim, generator=torch.Generator().manual_seed(seed))
    return pd.DataFrame({"panel": "samples", "tile": range(count), "pixels": pack(model.decode_mean(params, z))})


def _manifold(trained: Trained, side: int) -> pd.DataFrame:
    model, params = _model(trained)
    quantiles = (torch.arange(side, dtype=torch.float64) + 0.5) / side
    u2, u1 = torch.meshgrid(quantiles.flip(0), quantiles, indexing="ij")
    z = torch.special.ndtri(torch.stack([u1.flatten(), u2.flatten()], -1)).float()
    about = {"panel": "manifold", "tile": range(side**2), "pixels": pack(model.decode_mean(params, z))}
    return pd.DataFrame(about | {"u1": u1.flatten().numpy().round(4), "u2": u2.flatten().numpy().round(4)})


def _given_back(trained: Trained, x: Tensor, seed: int) -> pd.DataFrame:
    return given_back(*_model(trained), x, seed)


def given_back(model: VAE, params: Params, x: Tensor, seed: int) -> pd.DataFrame:
    """The rows ``reconstruction`` of :func:`pictures_at_scale` for images ``(count, pixels)``."""
    mean, log_var = model.encode(params, x)
    z = reparameterise(mean, log_var, torch.randn(mean.shape, generator=torch.Generator().manual_seed(seed)))
    about = {
        "panel": "reconstruction",
        "tile": range(len(x)),
        "pixels": pack(model.decode_mean(params, z)),
        "likelihood": model.log_likelihood(params, x, z).numpy().round(2),
        "penalty": standard_gaussian_kl(mean, log_var).numpy().round(2),
    }
    if model.latent_dim == 2:
        for name, values in (("mean", mean), ("sd", (0.5 * log_var).exp()), ("z", z)):
            about |= {f"{name}_{d + 1}": values[:, d].numpy().round(3) for d in range(2)}
    return pd.DataFrame(about)


def _model(trained: Trained) -> tuple[VAE, Params]:
    return trained.member_model(0), {name: param.detach().cpu() for name, param in trained.member(0).items()}


def pictures(run: Run) -> tuple[pd.DataFrame, tuple[int, int], str]:
    """Pictures to show beside a run, the shape of an image, and what they are of: MNIST where the run is of digits and
    the kept table is there, else the run's own. Columns as :func:`pictures_at_scale`, with ``pixel_0, ...``.
    """
    known = reference.load(CHAPTER, "pictures-mnist") if run.train.name == "digits" else None
    if known is not None:
        return unpack(known), (28, 28), "MNIST"
    member = run.members(2)[0]
    model = run.trained.member_model(member)
    params = {name: param.detach().cpu() for name, param in run.trained.member(member).items()}
    pairs = reconstructions(run, count=8)
    x = torch.tensor(pairs[pairs.latent_dim == 0].filter(like="pixel_").to_numpy(), dtype=torch.float32)
    walk = unpack(given_back(model, params, x, 0))
    tables = [
        prior_samples(run, count=16).assign(panel="samples"),
        pairs[pairs.latent_dim == 0].assign(panel="test"),
        walk.assign(latent_dim=2),
        pairs[pairs.latent_dim > 2].assign(panel="reconstruction"),
        manifold(run).assign(panel="manifold"),
    ]
    return pd.concat(tables, ignore_index=True), run.train.shape, run.train.name


def one_walk(table: pd.DataFrame, tile: int = 2) -> pd.DataFrame:
    """Two rows for the drawing: a test image, and what the model of two latents makes of it."""
    own = table[table.tile == tile]
    return pd.concat([own[own.panel == "test"], own[(own.panel == "reconstruction") & (own.latent_dim == 2)]])


def gaps(run: Run) -> tuple[pd.DataFrame, pd.DataFrame, str]:
    """The two gaps by size of the code, one posterior, and whose they are: MNIST as in :func:`pictures`, else the run's
    own."""
    known = reference.load(CHAPTER, "amortisation-mnist") if run.train.name == "digits" else None
    if known is not None:
        return gap_by_size(known[known.panel == "image"]), known[known.panel != "image"], "MNIST"
    table = amortisation_gap(run.trained, run.test)
    return gap_by_size(table), posterior_of_one(run.trained, run.test, table), run.train.name
