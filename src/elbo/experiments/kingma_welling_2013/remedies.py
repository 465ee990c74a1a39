"""Remedies against latents that fall silent: free bits and warm-up beside the plain bound, on digits."""

from __future__ import annotations

import pandas as pd

from elbo.data import load
from elbo.experiments.kingma_welling_2013.collapse import latent_use
from elbo.experiments.kingma_welling_2013.training import schedule
from elbo.inference import free_bits
from elbo.models.vae import VAE

__all__ = ["REMEDIES", "remedies", "remedy_means"]

REMEDIES = {"none": {}, "warm-up": {"warm_up": 0.5}, "free bits": {"free": 0.1}, "both": {"warm_up": 0.5, "free": 0.1}}
"""Arguments of :func:`elbo.inference.free_bits.fit` by name, the warm-up as a share of the whole training."""


def remedies(
    *,
    latent_dim: int = 50,
    seeds: tuple[int, ...] = (0, 1, 2),
    samples: int = 400_000,
    hidden: int = 100,
    learning_rate: float = 0.003,
    evaluations: int = 13,
) -> pd.DataFrame:
    """Models of digits with more latents than they use, trained with each remedy by Adam, no prior on the weights.

    Returns:
        Rows ``remedy, seed, samples`` on the test images: ``bound`` (the evidence lower bound itself, whatever was
        maximised, nats per image) with its standard error over images ``se``, ``active``, ``active_kl`` and ``kl`` as
        :func:`elbo.experiments.kingma_welling_2013.collapse.latent_use` has them, and the settings.
    """
    train, test = load("digits", split="train"), load("digits", split="test")
    parts = []
    for name, chosen in REMEDIES.items():
        trained = free_bits.fit(
            VAE(train.images.shape[1], hidden, latent_dim),
            train,
            samples=samples,
            seeds=seeds,
            learning_rate=learning_rate,
            evaluate_on={"test": test},
            evaluate_at=schedule(samples, evaluations, min(3000, samples)),
            measure=latent_use,
            device="cpu",
            compile=False,
            free=chosen.get("free", 0.0),
            warm_up=round(chosen.get("warm_up", 0.0) * samples),
        )
        columns = ["seed", "latent_dim", "samples", "bound", "se", "active", "active_kl", "kl"]
        found = trained.history[columns].assign(remedy=name, hidden=hidden, learning_rate=learning_rate)
        parts.append(found.assign(free=chosen.get("free", 0.0), warm_up=chosen.get("warm_up", 0.0)))
    return pd.concat(parts, ignore_index=True).round({"bound": 4, "se": 4, "kl": 4})


def remedy_means(table: pd.DataFrame) -> pd.DataFrame:
    """Means over seeds of :func:`remedies` with their standard errors, a row a remedy and number of samples."""
    columns = ["bound", "active", "active_kl", "kl"]
    grouped = table.groupby(["remedy", "samples"], sort=False)[columns]
    return grouped.mean().join(grouped.sem().add_suffix("_se")).reset_index().assign(seeds=table.seed.nunique())
