"""Models of the chapter: what a run needs to know, and training them."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from elbo.data import Dataset, load
from elbo.inference import aevb, wake_sleep
from elbo.inference.aevb import Trained, binarise
from elbo.models.vae import VAE

__all__ = ["ALGORITHMS", "SETTINGS", "Run", "Settings", "describe", "schedule", "settings", "some_images", "train"]


@dataclass(frozen=True)
class Settings:
    """What a run needs to know beside the data: sizes of the network, the optimiser, how much to see.

    Attributes:
        hidden, latent_dims: units in the one hidden layer on either side; sizes of code, one model each.
        seeds: every latent size is trained once from each seed.
        samples: images that each model sees.
        optimiser, learning_rate: as :func:`elbo.inference.aevb.fit` takes them.
        likelihood: ``"bernoulli"`` or ``"gaussian"``.
    """

    hidden: int
    latent_dims: tuple[int, ...]
    seeds: tuple[int, ...]
    samples: int
    optimiser: str
    learning_rate: float
    likelihood: str = "bernoulli"


SETTINGS = {
    "digits": Settings(100, (2, 5, 10, 20), (0, 1, 2), 150_000, "adagrad", 0.02),
    "mnist": Settings(500, (2, 20), (0,), 4_500_000, "adagrad", 0.02),
    "frey": Settings(200, (2, 10), (0,), 1_000_000, "adagrad", 0.02, "gaussian"),
}
"""Settings that finish in minutes on two processor cores; the paper's own stand in the profile ``paper``."""


ALGORITHMS: dict[str, Callable[..., Trained]] = {"aevb": aevb.fit, "wake-sleep": wake_sleep.fit}


@dataclass(frozen=True)
class Run:
    """Trained models with the data they were trained and evaluated on, and the algorithm that trained them."""

    settings: Settings
    trained: Trained
    train: Dataset
    test: Dataset
    algorithm: str = "aevb"

    def members(self, latent_dim: int) -> list[int]:
        """Which members of the stack have this latent size, one a seed."""
        return [k for k, size in enumerate(self.trained.latent_dims) if size == latent_dim]


def settings(dataset: str, **chosen) -> Settings:
    """The settings of a data set, with what was chosen in place of its defaults; an empty choice keeps the default.

    Two latents are always among the sizes: the manifold needs them.

    Raises:
        ValueError: there are no settings for that data set, or a number is negative.
    """
    if dataset not in SETTINGS:
        raise ValueError(f"no settings for the data set {dataset!r}; choose one of {', '.join(SETTINGS)}")
    for name, value in chosen.items():
        numbers = value if isinstance(value, (list, tuple)) else [value]
        if any(isinstance(number, (int, float)) and number < 0 for number in numbers):
            raise ValueError(f"{name} must not be negative, got {value}; leave it out to take what suits {dataset}")
    kept = {
        name: tuple(value) if isinstance(value, (list, tuple)) else value for name, value in chosen.items() if value
    }
    found = replace(SETTINGS[dataset], **kept)
    return replace(found, latent_dims=tuple(sorted({2, *found.latent_dims})))


def train(
    dataset: str,
    chosen: Settings,
    *,
    algorithm: str = "aevb",
    device: str = "auto",
    evaluations: int = 12,
    checkpoint: str | os.PathLike | None = None,
    progress: Callable[[int, int, Tensor], None] | None = None,
) -> Run:
    """Train one model for every latent size and seed by AEVB or by wake-sleep and record its bound as samples go by.

    Args:
        dataset: ``"digits"``, ``"mnist"`` or ``"frey"``.
        chosen: from :func:`settings`.
        algorithm: ``"aevb"`` (algorithm 1) or ``"wake-sleep"``; the same start, minibatches, optimiser and weight
            prior.
        evaluations: how many points of the curve, spaced evenly on a logarithmic axis.
        checkpoint: a file to resume from and to write as the training goes, see :func:`elbo.training.fit`.
    """
    if algorithm not in ALGORITHMS:
        raise ValueError(f"algorithm must be one of {', '.join(ALGORITHMS)}, got {algorithm!r}")
    train_set, test_set = load(dataset, split="train"), load(dataset, split="test")
    model = VAE(train_set.images.shape[1], chosen.hidden, likelihood=chosen.likelihood)
    seeds, sizes = zip(*[(seed, size) for size in chosen.latent_dims for seed in chosen.seeds])
    shown = torch.arange(0, len(train_set), max(1, len(train_set) // len(test_set)))[: len(test_set)]
    trained = ALGORITHMS[algorithm](
        model,
        train_set,
        samples=chosen.samples,
        seeds=seeds,
        latent_dims=sizes,
        optimiser=chosen.optimiser,
        learning_rate=chosen.learning_rate,
        evaluate_on={"train": train_set.images[shown], "test": test_set},
        evaluate_at=schedule(chosen.samples, evaluations),
        device=device,
        checkpoint=checkpoint,
        progress=progress,
    )
    return Run(chosen, trained, train_set, test_set, algorithm)


def describe(chosen: Settings) -> pd.DataFrame:
    """The settings as a table of two columns."""
    return pd.DataFrame([(name, str(value)) for name, value in asdict(chosen).items()], columns=["setting", "value"])


def schedule(samples: int, evaluations: int, first: int = 1000) -> list[int]:
    """Numbers of samples at which to evaluate, evenly spaced on a logarithmic axis and whole minibatches of 100."""
    first = min(first, samples)
    spaced = np.geomspace(first, samples, evaluations)
    return sorted({min(samples, 100 * math.ceil(at / 100 - 1e-6)) for at in spaced})


def some_images(data: Dataset, count: int, generator: torch.Generator) -> Tensor:
    """The first pictures of a data set spread over its length, black and white where the model saw them so."""
    chosen = torch.linspace(0, len(data) - 1, min(count, len(data))).long()
    images = data.images[chosen].to(generator.device)
    if data.binarisation != "fresh":
        return images
    return binarise(images, torch.rand(images.shape, generator=generator, device=images.device))
