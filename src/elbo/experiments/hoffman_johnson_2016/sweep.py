"""The paper's own network at length: MNIST, two hidden layers of 500 softplus units, a part a model.

What the paper does not say is ours: minibatches of 100, Adam at 1e-3, how long, and which binarisation ("a binarized
MNIST dataset"), so that both are measured.
"""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import torch

from elbo import reference
from elbo.data import load
from elbo.estimators import surgery
from elbo.inference import aevb
from elbo.inference.aevb import Trained
from elbo.models.vae import VAE, Params
from elbo.reference.parts import Sweep

__all__ = ["AGES", "SWEEPS", "surgery_parts", "train_models"]

CHAPTER = "hoffman-johnson-2016"
AGES = (1, 2, 3, 5, 7, 10, 15, 20, 30, 50, 70, 100, 150, 200, 300, 500, 700, 1000)
"""Ages at which a model is looked at, in passes over the 60,000 training images. The length of a run is one of them, so
that a longer run goes on from the checkpoint of a shorter one."""
CODES = 4_000
BATCH = 100


def measured(model: VAE, params: Params, images: torch.Tensor) -> dict[str, float]:
    """The terms of the surgery over these images, and their Monte Carlo errors; see :func:`elbo.estimators.surgery`."""
    encoded = [model.encode(params, part) for part in images.split(5000)]
    mean, log_var = (torch.cat(column) for column in zip(*encoded))
    return surgery(
        mean,
        log_var,
        lambda index, z: model.log_likelihood(params, images[index], z),
        generator=torch.Generator().manual_seed(0),
        codes=CODES,
    ).as_dict()


def train_models(latent_dims: Sequence[int], seeds: Sequence[int], epochs: int, binarise: str, device: str) -> Trained:
    """Train a stack of models for so many passes, or take what its checkpoint already holds.

    The history has a row a model, age and split (60,000 training images, 10,000 test images) with the terms of the
    surgery.

    Raises:
        ValueError: ``epochs`` is not one of :data:`AGES`.
    """
    if epochs not in AGES:
        raise ValueError(f"epochs must be one of {AGES}, got {epochs}")
    train, test = (load("mnist", split=split, binarise=binarise) for split in ("train", "test"))
    model = VAE(784, 500, max(latent_dims), activation="softplus", encoder_layers=2, decoder_layers=2)
    members = "+".join(f"{latent_dim}-{seed}" for latent_dim, seed in zip(latent_dims, seeds))
    return aevb.fit(
        model,
        train,
        samples=epochs * len(train),
        batch_size=BATCH,
        seeds=seeds,
        latent_dims=latent_dims,
        weight_prior=False,
        optimiser="adam",
        learning_rate=1e-3,
        init_scale="glorot",
        evaluate_on={"train": train, "test": test},
        evaluate_at=[age * len(train) for age in AGES if age <= epochs],
        measure=measured,
        device=device,
        checkpoint=reference.scratch(CHAPTER, f"softplus-{binarise}-{members}"),
    )


def surgery_parts(stack: Sequence[dict], device: str = "cpu") -> list[pd.DataFrame]:
    """Models (settings ``latent_dim, seed, epochs, binarise``) at every age.

    Returns:
        A table a model: rows ``split, epoch``, the terms in nats per image, ``<term>_se`` their Monte Carlo error with
        the model given, and ``bound`` of one draw.
    """
    latent_dims, seeds = ([part[name] for part in stack] for name in ("latent_dim", "seed"))
    epochs, binarise = stack[0]["epochs"], stack[0]["binarise"]
    history = train_models(latent_dims, seeds, epochs, binarise, device).history
    history["epoch"] = (history.samples / 60_000).round().astype(int)
    history = history.drop(columns=["beta", "samples"]).rename(columns={"se": "bound_se"})
    about = {"data": "mnist", "hidden": 500, "layers": 2, "activation": "softplus", "batch_size": BATCH}
    numbers = history.select_dtypes(float).columns
    table = history.assign(binarise=binarise, **about).round(dict.fromkeys(numbers, 5))
    return [
        table[(table.latent_dim == latent_dim) & (table.seed == seed)] for latent_dim, seed in zip(latent_dims, seeds)
    ]


def grid(epochs: int) -> list[dict[str, str | int]]:
    """Their three sizes of code; a seed at a time, and the binarisation once for all before the one afresh."""
    return [
        {"latent_dim": latent_dim, "seed": seed, "epochs": epochs, "binarise": binarise}
        for seed in (0, 1, 2)
        for binarise in ("fixed", "fresh")
        for latent_dim in (20, 10, 2)
    ]


SWEEPS = {"surgery-paper": Sweep(surgery_parts, grid(200), alike=("epochs", "binarise"), priority=3)}
