"""The check against Burda et al. (2016) at length: autoencoders trained with 1, 5 and 50 draws, one a part."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch

from elbo import reference
from elbo.data import load
from elbo.experiments.kingma_welling_2013.deep import SIZES, active_units, held_out, nll_by_draws, two_phase
from elbo.inference import iwae
from elbo.models.vae import VAE, Params
from elbo.reference.parts import Sweep
from elbo.training import Adam, keyed_generator

__all__ = ["BURDA_LONG", "Schedule", "burda_parts", "summary"]

CHAPTER = "kingma-welling-2013"


@dataclass(frozen=True)
class Schedule:
    """Training of the check against Burda et al. (2016) in ``epochs`` passes, their stages in proportion.

    Theirs: minibatches of 20, a learning rate of :math:`10^{-3 - i/7}` for :math:`3^i` passes, i = 0 … 7, 3,280 in all
    (section 5). Ours: minibatches of 100, learning rates twice theirs, Adam's other constants those of its authors.
    """

    epochs: int
    batch_size: int = 100

    def optimiser(self, images: int) -> Adam:
        """Adam with these stages, in steps."""
        steps, passes = self.epochs * images / self.batch_size, sum(3**i for i in range(8))
        done = np.cumsum([3**i for i in range(8)]) / passes
        stages = tuple((round(steps * float(at)), 10 ** (-(i + 1) / 7)) for i, at in enumerate(done[:-1]))
        return Adam(2e-3, stages=stages)


FINE, DRAWS, COARSE = 400, 5000, 50


def burda_parts(stack: Sequence[dict], device: str = "cpu") -> list[pd.DataFrame]:
    """Models of the 784-200-200-50 network on MNIST binarised afresh, and the likelihood of every test image.

    Args:
        stack: settings ``trained_with`` (draws of the bound), ``seed`` and ``epochs``.

    Returns:
        For each model rows ``image, draws, nll``: minus the importance-weighted bound, nats. 400 images, the same for
        every model, for each number of draws that divides 5,000; the others for 50 draws; ``active``, the latents in
        use, in every row.
    """
    k, epochs, seeds = stack[0]["trained_with"], stack[0]["epochs"], [part["seed"] for part in stack]
    train, test = load("mnist", split="train"), held_out(load("mnist", split="test").images)
    model = VAE(784, 200, 50, encoder_layers=2, decoder_layers=2)
    trained = iwae.fit(
        model,
        train,
        samples=epochs * len(train),
        draws=k,
        batch_size=Schedule(epochs).batch_size,
        seeds=seeds,
        optimiser=Schedule(epochs).optimiser(len(train)),
        device=device,
        checkpoint=reference.scratch(CHAPTER, f"burda-{epochs}-{k}-{'+'.join(map(str, seeds))}"),
    )
    order = torch.randperm(len(test), generator=keyed_generator("cpu", 0, "sample"))
    test = test.to(trained.params["decoder.head.weight"].device)
    return [_likelihoods(model, trained.member(i), test, order, k, seed) for i, seed in enumerate(seeds)]


def _likelihoods(model: VAE, params: Params, test: torch.Tensor, order: torch.Tensor, k: int, seed: int):
    generator = keyed_generator(test.device, seed, "evidence", k)
    sizes = [size for size in SIZES if DRAWS % size == 0]
    fine = nll_by_draws(model, params, test[order[:FINE]], sizes, generator).cpu()  # (sizes, images)
    rest = [nll_by_draws(model, params, part, [COARSE], generator)[0].cpu() for part in test[order[FINE:]].split(500)]
    parts = [pd.DataFrame({"image": order[:FINE], "draws": size, "nll": row}) for size, row in zip(sizes, fine)]
    parts.append(pd.DataFrame({"image": order[FINE:], "draws": COARSE, "nll": torch.cat(rest)}))
    return pd.concat(parts, ignore_index=True).assign(active=active_units(model, params, test)).round({"nll": 5})


def summary(rows: pd.DataFrame) -> pd.DataFrame:
    """The table of the check from the likelihoods of the images.

    Returns:
        One row a model (``trained_with``, ``seed``, ``epochs``) and number of ``draws``: ``nll``, ``se_here``,
        ``se_images`` (see :func:`elbo.experiments.kingma_welling_2013.deep.two_phase`), ``gain`` over the model with
        one draw of the same seed on the same images and its ``se_gain`` (missing where that model is not there),
        ``active``, ``images``, ``all_images``, ``batch_size``, ``data``.
    """
    found = []
    models = {key: own for key, own in rows.groupby(["seed", "trained_with", "epochs"], sort=True)}
    values = {key: _by_image(own) for key, own in models.items()}
    for (seed, k, epochs), own in models.items():
        fine, everywhere = values[seed, k, epochs]
        first = next((values[key] for key in models if key[:2] == (seed, 1)), None)
        cheap = everywhere.loc[fine.index]
        for draws in fine.columns:
            nll, here, beyond = two_phase(*map(_tensor, (fine[draws], cheap, everywhere)))
            gain = se_gain = math.nan
            if first is not None:
                better, cheap_better = first[0][draws] - fine[draws], first[1].loc[fine.index] - cheap
                gain, _, se_gain = two_phase(*map(_tensor, (better, cheap_better, first[1] - everywhere)))
            found.append((k, seed, epochs, draws, nll, here, beyond, gain, se_gain, int(own.active.iloc[0])))
    columns = ["trained_with", "seed", "epochs", "draws", "nll", "se_here", "se_images", "gain", "se_gain", "active"]
    counts = {"images": FINE, "all_images": 10_000, "batch_size": Schedule(1).batch_size, "data": "mnist"}
    return pd.DataFrame(found, columns=columns).assign(**counts).round(4)


def _by_image(rows: pd.DataFrame) -> tuple[pd.DataFrame, pd.Series]:
    """``(images, draws)`` of those with all draws, and the likelihood with few draws of all images, by image."""
    table = rows.pivot(index="image", columns="draws", values="nll")
    return table.dropna(), table[COARSE]


def _tensor(values: pd.Series) -> torch.Tensor:
    return torch.tensor(values.to_numpy(), dtype=torch.float64)


GRID = [
    {"trained_with": k, "seed": seed, "epochs": epochs}
    for seed in (0, 1, 2)
    for k, epochs in ((1, 400), (5, 200), (50, 40))
]

BURDA_LONG = Sweep(burda_parts, GRID, summary, alike=("trained_with", "epochs"), priority=2)
