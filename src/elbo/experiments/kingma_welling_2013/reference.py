"""The chapter's reference tables: the paper's own networks on the real MNIST and Frey Face files.

Every curve is trained alone, with a checkpoint of its own: a command that was stopped goes on where it was.
"""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from elbo import reference
from elbo.data import load
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
from elbo.experiments.kingma_welling_2013.training import schedule
from elbo.models.vae import VAE

__all__ = ["REFERENCE", "RATES", "evidence_at_scale"]

CHAPTER = "kingma-welling-2013"


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
    "marginal-likelihood-1000": lambda: evidence_at_scale(1000),
    "marginal-likelihood-50000": lambda: evidence_at_scale(50_000),
}
