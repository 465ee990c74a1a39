"""Full variational Bayes over the weights (appendix F) against a point estimate of them, where data are few."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd
import torch
from torch import Tensor

from elbo.data import load
from elbo.experiments.kingma_welling_2013.training import schedule
from elbo.inference import aevb, full_vb
from elbo.inference.aevb import Trained
from elbo.inference.full_vb import expected_bound, log_predictive, weights_kl
from elbo.models.vae import VAE, Params
from elbo.training import keyed_generator

__all__ = ["WEIGHTS", "few_data"]

WEIGHTS: dict[str, Callable[..., Trained]] = {"MAP": aevb.fit, "full VB": full_vb.fit}
"""What is done with the decoder's weights: their posterior mode (the paper's experiments), or a posterior (appendix
F)."""


def few_data(
    *,
    dataset: str = "digits",
    counts: tuple[int, ...] = (100, 1000),
    seeds: tuple[int, ...] = (0, 1, 2),
    samples: int = 200_000,
    latent_dim: int = 5,
    hidden: int = 50,
    learning_rate: float = 0.02,
    evaluations: int = 7,
    device: str = "auto",
) -> pd.DataFrame:
    """The bound on training and on held-out images as samples go by, with fixed and with uncertain weights.

    Both start alike, see the same minibatches (100) and have the same prior N(0, I) on the decoder's weights; Adam.
    Pixels are binarised once: pictures drawn afresh would be more data than ``counts`` says.

    Args:
        counts: numbers of training images; the smaller sets are part of the larger ones, the same for every seed.
        samples: images that each model sees.

    Returns:
        One row a method (:data:`WEIGHTS`), count, number of samples and split, mean over seeds: ``bound``, nats per
        image, for full VB averaged over the weights (8 draws); ``weights_kl``, of q(theta), nats per training image;
        ``predictive``, at the last number of samples alone, the log-density of an image from 16 draws of the weights
        and 16 codes each (256 codes for fixed weights); ``..._se``, standard errors over seeds (missing for one seed).

    Raises:
        ValueError: a count is larger than the training set.
    """
    train, test = (load(dataset, split=split, binarise="fixed").images for split in ("train", "test"))
    if max(counts) > len(train):
        raise ValueError(f"{dataset} has {len(train):,} training images, fewer than the {max(counts):,} asked for")
    order = torch.randperm(len(train), generator=torch.Generator().manual_seed(0))
    rows = []
    for count in counts:
        chosen = train[order[:count]]
        for method, run in WEIGHTS.items():
            trained = run(
                VAE(train.shape[1], hidden, latent_dim),
                chosen,
                samples=samples,
                seeds=seeds,
                optimiser="adam",
                learning_rate=learning_rate,
                evaluate_on={"train": chosen[:355], "test": test},
                evaluate_at=schedule(samples, evaluations, min(2000, samples)),
                measure=_measure,
                device=device,
            )
            history = trained.history.drop(columns=["bound"]).rename(columns={"expected_bound": "bound"})
            history["weights_kl"] /= count
            last = history.samples == history.samples.max()
            for split, images in (("train", chosen[:355]), ("test", test)):
                history.loc[last & (history.split == split), "predictive"] = _predictive(trained, images)
            rows.append(history.assign(method=method, count=count))
    grouped = pd.concat(rows).groupby(["method", "count", "samples", "split"])[["bound", "weights_kl", "predictive"]]
    return pd.concat([grouped.mean(), grouped.sem().add_suffix("_se")], axis=1).reset_index()


def _measure(model: VAE, params: Params, images: Tensor) -> dict[str, float]:
    found = expected_bound(model, params, images, keyed_generator(images.device, "evaluate", "weights"), 8)
    return {"expected_bound": float(found.double().mean()), "weights_kl": float(weights_kl(params))}


def _predictive(trained: Trained, images: Tensor) -> list[float]:
    found = []
    for member in range(len(trained)):
        params = trained.member(member)
        like = params["decoder.head.weight"]
        generator = keyed_generator(like.device, "evaluate", "predictive")
        values = log_predictive(
            trained.member_model(member), params, images.to(like), generator, weight_draws=16, code_draws=16
        )
        found.append(float(values.double().mean()))
    return found
