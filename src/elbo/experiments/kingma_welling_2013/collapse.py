r"""How many latents are used: the divergence of each from its prior, and the active units of Burda et al. (2016)."""

from __future__ import annotations

import pandas as pd
from torch import Tensor

from elbo.data import load
from elbo.experiments.kingma_welling_2013.training import schedule
from elbo.inference import aevb
from elbo.inference.aevb import Trained
from elbo.inference.free_bits import latent_kl
from elbo.models.vae import VAE, Params

__all__ = ["ACTIVE", "divergences", "latent_use", "train_measured", "use_of_latents"]

ACTIVE = 0.01
"""Above it a latent counts as active: the variance of its posterior mean over data, or its divergence in nats."""


def divergences(model: VAE, params: Params, images: Tensor) -> tuple[Tensor, Tensor]:
    r"""For each latent the divergence from its prior and the variance of its posterior mean, both over the images.

    .. math:: \frac1N \sum_n KL(q(z_d|x_n) \,\|\, N(0, 1)), \qquad \mathrm{Var}_n\, E_{q(z|x_n)}[z_d]

    Returns:
        ``(latent_dim,)`` nats and ``(latent_dim,)``. A latent whose posterior is its prior for every image has zero in
        both; the variance alone misses one that every image shifts alike.
    """
    mean, log_var = model.encode(params, images)
    each = latent_kl(mean, log_var)  # (images, latent)
    return each.mean(0), mean.var(0)


def latent_use(model: VAE, params: Params, images: Tensor) -> dict[str, float]:
    """What :func:`elbo.inference.aevb.fit` takes as ``measure``: how much of its code one model uses.

    Returns:
        ``active`` (latents whose posterior mean varies by more than :data:`ACTIVE` over the images), ``active_kl``
        (whose divergence is above it), ``kl`` (nats per image), and ``kl_1``, ``kl_2``, ... the divergence of each
        latent, largest first.
    """
    each, variance = divergences(model, params, images)
    ranked = each.sort(descending=True).values
    counts = {"active": float((variance > ACTIVE).sum()), "active_kl": float((each > ACTIVE).sum())}
    return counts | {"kl": float(each.sum())} | {f"kl_{rank + 1}": float(nats) for rank, nats in enumerate(ranked)}


def train_measured(
    *,
    dataset: str = "digits",
    latent_dims: tuple[int, ...] = (5, 20, 50),
    seeds: tuple[int, ...] = (0, 1),
    samples: int = 250_000,
    hidden: int = 100,
    learning_rate: float = 0.003,
    evaluations: int = 9,
    device: str = "auto",
) -> Trained:
    """Train one model a latent size and seed by AEVB (estimator B, Adam), and measure on test images what it uses.

    Adam, because by Adagrad superfluous latents take several times as many samples to fall silent.
    """
    train, test = load(dataset, split="train"), load(dataset, split="test")
    members = [(size, seed) for size in latent_dims for seed in seeds]
    sizes, members_seeds = zip(*members)
    return aevb.fit(
        VAE(train.images.shape[1], hidden, likelihood="gaussian" if dataset == "frey" else "bernoulli"),
        train,
        samples=samples,
        seeds=members_seeds,
        latent_dims=sizes,
        optimiser="adam",
        learning_rate=learning_rate,
        evaluate_on={"test": test},
        evaluate_at=schedule(samples, evaluations, min(3000, samples)),
        measure=latent_use,
        device=device,
    )


def use_of_latents(trained: Trained) -> pd.DataFrame:
    """How the code is used, at the end latent by latent and in numbers over training.

    Args:
        trained: by :func:`elbo.inference.aevb.fit` with ``measure=latent_use`` and a test split.

    Returns:
        Rows of two kinds, means over seeds with their standard errors ``..._se`` (missing for one seed), all on test
        images. ``panel`` "rank", at the last number of samples: ``rank`` of a latent and its divergence ``kl`` (nats
        per image; the largest of each model together, and so on). ``panel`` "time": ``samples``, ``active`` and
        ``active_kl``, the total ``kl`` and the ``bound`` (nats per image).
    """
    test = trained.history[trained.history.split == "test"]
    last = test[test.samples == test.samples.max()]
    names = [name for name in test if name.startswith("kl_")]
    ranks = last[["latent_dim", "seed", *names]].melt(["latent_dim", "seed"], names, "rank", "kl").dropna()
    ranks["rank"] = ranks["rank"].str.removeprefix("kl_").astype(int)
    return pd.concat(
        [
            _over_seeds(ranks, ["latent_dim", "rank"], ["kl"]).assign(panel="rank", samples=test.samples.max()),
            _over_seeds(test, ["latent_dim", "samples"], ["active", "active_kl", "kl", "bound"]).assign(panel="time"),
        ],
        ignore_index=True,
    )


def _over_seeds(rows: pd.DataFrame, keys: list[str], columns: list[str]) -> pd.DataFrame:
    grouped = rows.groupby(keys)[columns]
    return pd.concat([grouped.mean(), grouped.sem().add_suffix("_se")], axis=1).reset_index()
