"""The chapter's reference tables: the paper's own networks on the real MNIST and Frey Face files.

Every curve is trained alone, with a checkpoint of its own: a command that was stopped goes on where it was.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import torch

from elbo import reference
from elbo.data import Dataset, load
from elbo.experiments.kingma_welling_2013.deep import burda, burda_training
from elbo.experiments.kingma_welling_2013.evidence import (
    ALGORITHMS as THREE,
)
from elbo.experiments.kingma_welling_2013.evidence import (
    RATES,
    best_evidence_rate,
    evidence_by_estimators,
    evidence_curve,
)
from elbo.experiments.kingma_welling_2013.training import ALGORITHMS, schedule
from elbo.models.vae import VAE

__all__ = ["REFERENCE", "RATES", "best_rate", "bound_at_scale", "evidence_at_scale"]

CHAPTER = "kingma-welling-2013"
NETWORKS = {
    "mnist": {"hidden": 500, "likelihood": "bernoulli", "latent_dims": (3, 5, 10, 20, 200)},
    "frey": {"hidden": 200, "likelihood": "gaussian", "latent_dims": (2, 5, 10, 20)},
}


def best_rate(
    model: VAE, train: Dataset, algorithm: str, *, seed: int = 0, samples: int = 200_000, device: str = "auto"
) -> float:
    """The step size among :data:`RATES` with the best bound on (2,000) training images after ``samples``."""
    some = train.images[torch.linspace(0, len(train) - 1, min(2000, len(train))).long()]
    pilot = ALGORITHMS[algorithm](
        model,
        train,
        samples=samples,
        seeds=[seed] * len(RATES),
        learning_rate=RATES,
        evaluate_on={"train": some},
        device=device,
    )
    return RATES[int(np.argmax(pilot.history.bound))]


def bound_at_scale(
    dataset: str, *, samples: int = 3_000_000, seeds: tuple[int, ...] = (0,), evaluations: int = 24, device: str = "cpu"
) -> pd.DataFrame:
    """Figure 2 with the paper's networks, minibatches (100), optimiser, start and weight prior, AEVB and wake-sleep.

    Args:
        dataset: ``"mnist"`` (60,000 training images, black and white, drawn afresh from the grey levels) or ``"frey"`` (1,572 training faces, 393 held out).
        samples: training images that every curve sees.

    Returns:
        One row an algorithm, latent size, seed, split and number of samples: ``bound`` and its standard error over the images
        of the split, ``se_images`` (nats per image), the ``learning_rate`` chosen among :data:`RATES`,
        once for an algorithm with 10 latents and again for sizes above 20 (at 200 the first steps take wake-sleep to a bound
        of tens of thousands of nats below zero, from which it recovers late), ``hidden``, ``data``.
        The training split is evaluated on as many training images as there are test images, spread evenly.
    """
    network = NETWORKS[dataset]
    train, test = load(dataset, split="train"), load(dataset, split="test")
    shown = torch.linspace(0, len(train) - 1, len(test)).long()
    rows = []
    for algorithm, run in ALGORITHMS.items():
        base = VAE(train.images.shape[1], network["hidden"], latent_dim=10, likelihood=network["likelihood"])
        small = best_rate(base, train, algorithm, device=device)
        for latent_dim in network["latent_dims"]:
            model = replace(base, latent_dim=latent_dim)
            rate = small if latent_dim <= 20 else best_rate(model, train, algorithm, device=device)
            for seed in seeds:
                trained = run(
                    model,
                    train,
                    samples=samples,
                    seeds=[seed],
                    learning_rate=rate,
                    evaluate_on={"train": train.images[shown], "test": test},
                    evaluate_at=schedule(samples, evaluations, first=10_000),
                    device=device,
                    checkpoint=reference.scratch(CHAPTER, f"bound-{dataset}-{algorithm}-{latent_dim}-{seed}"),
                )
                rows.append(trained.history.assign(algorithm=algorithm, learning_rate=rate))
    table = pd.concat(rows, ignore_index=True).rename(columns={"se": "se_images"})
    columns = ["algorithm", "latent_dim", "seed", "split", "samples", "bound", "se_images", "learning_rate"]
    return table[columns].assign(hidden=network["hidden"], data=dataset).round({"bound": 4, "se_images": 4})


def evidence_at_scale(
    count: int,
    *,
    samples: int = 3_000_000,
    images: int = 300,
    evaluations: int = 5,
    seed: int = 0,
    device: str = "cpu",
) -> pd.DataFrame:
    """Figure 3 with the paper's network (100 hidden units, 3 latents) on MNIST: AEVB, wake-sleep and Monte Carlo EM.

    The pixels are black where the published intensity is above one half, once and for all: Monte Carlo EM keeps a Markov chain for each
    image. Measured are the first ``images`` of the training images and of the test file.

    Args:
        count: train on the first so many of the file; the paper has 1000 and 50,000.
        samples: training images that every curve sees.

    Returns:
        One row an algorithm, split, number of samples and estimator: ``log_evidence`` (nats per image), ``se_images``,
        ``se_estimate``, ``off`` and ``worst`` as :func:`evidence_by_estimators` gives them. The curve is by ``quadrature``; the
        end also by the two estimators that use HMC. ``acceptance`` of the training chains, ``moves`` (transitions of each
        image's chain so far; Monte Carlo EM alone), ``learning_rate``, chosen among :data:`RATES` for each algorithm.
    """
    train, test = (load("mnist", split=split, binarise="threshold").images for split in ("train-50000", "test"))
    model, rows = VAE(train.shape[1], 100, latent_dim=3), []
    own = train[:count]
    splits = {"train": own[:images], "test": test[:images]}
    for algorithm in THREE:
        rate = best_evidence_rate(algorithm, model, own, seed=seed, device=device)
        trained, curve = evidence_curve(
            algorithm,
            model,
            own,
            splits,
            samples=samples,
            at=[500 * math.ceil(at / 500) for at in schedule(samples, evaluations, first=10_000)],
            learning_rate=rate,
            seeds=[seed],
            device=device,
            checkpoint=reference.scratch(CHAPTER, f"evidence-{count}-{algorithm}-{seed}"),
        )
        end = evidence_by_estimators(model, trained.member(0), splits, seed=seed)
        end = end.assign(algorithm=algorithm, seed=seed, samples=samples, acceptance=curve.acceptance.iloc[-1])
        table = pd.concat([curve[curve.samples < samples].assign(estimator="quadrature"), end])
        moves = table.samples / (5 * count) if algorithm == "mcem" else np.nan
        rows.append(table.assign(train_images=count, learning_rate=rate, moves=moves))
    columns = [
        "train_images",
        "algorithm",
        "seed",
        "split",
        "samples",
        "estimator",
        "log_evidence",
        "se_images",
        "se_estimate",
    ]
    table = pd.concat(rows, ignore_index=True)[columns + ["off", "worst", "acceptance", "moves", "learning_rate"]]
    return table.round({"log_evidence": 4, "se_images": 4, "se_estimate": 5, "off": 4, "worst": 4, "acceptance": 4})


REFERENCE = {
    "burda": burda,
    "burda-training": burda_training,
    "bound-mnist": lambda: bound_at_scale("mnist"),
    "bound-frey": lambda: bound_at_scale("frey"),
    "marginal-likelihood-1000": lambda: evidence_at_scale(1000),
    "marginal-likelihood-50000": lambda: evidence_at_scale(50_000),
}
