"""The paper's network on all of dSprites at length, a part a model: scores at several ages, read as the chapter reads
them.

The network is that of the paper's table 1 (appendix A.1). Adam at 1e-3 and minibatches of 128 are ours: the paper's
Adagrad at 1e-2 gets less far in as many images, and how long the paper trained is not said.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import pandas as pd

from elbo import reference
from elbo.disentanglement import factor_index, mig
from elbo.experiments.higgins_2017.reference import CLASSIFIER_STEPS, READ, VOTES, sprites
from elbo.experiments.higgins_2017.scores import score_table
from elbo.experiments.higgins_2017.training import Models, train_models
from elbo.reference.parts import Sweep

__all__ = ["AGES", "SWEEPS", "score_parts"]

CHAPTER = "higgins-2017"
AGES = (50_000, 100_000, 200_000, 500_000, 1_000_000, 2_000_000, 3_000_000, 5_000_000, 10_000_000)
"""Numbers of images after which a model is scored; the length of a run is one of them."""


def _scores(models: Models) -> pd.DataFrame:
    """A row a member and classifier: mean score of three draws of votes, and the mutual information gap."""
    index = factor_index(models.sprites.factors, (2, 3, 4, 5))
    rows = []
    for member, (beta, latent_dim) in enumerate(zip(models.betas, models.trained.latent_dims)):
        mean, log_var = models.encodings(member)
        kl = 0.5 * (mean.square() + log_var.exp() - log_var - 1).sum(1).mean()
        about = {"beta": beta, "latent_dim": latent_dim, "seed": models.trained.seeds[member]}
        gap = {"mig": mig(mean, index).score, "kl": float(kl)}
        alone = models.alone(member)
        found = score_table(alone, (beta,), latent_dim, draws=3, steps=CLASSIFIER_STEPS, networks_only=True, **VOTES)
        found = found[found.representation != "VAE untrained"]
        rows += [about | gap | row for row in found.drop(columns="seed").to_dict("records")]
    return pd.DataFrame(rows)


def score_parts(stack: Sequence[dict], device: str = "cpu") -> list[pd.DataFrame]:
    """Models (settings ``beta, latent_dim, seed, samples``) scored at every age of :data:`AGES` up to ``samples``.

    Returns:
        For each model rows ``samples, classifier, draw`` with ``score`` and ``standard_error`` (of the test votes),
        fractions; ``mig``; ``kl``, the average KL to the prior in nats per image; all on 11,520 images, of which
        training has seen few.

    Raises:
        ValueError: a length that is not one of the ages.
    """
    samples = stack[0]["samples"]
    if samples not in AGES:
        raise ValueError(f"samples must be one of {AGES}, got {samples}")
    betas, sizes, seeds = (sorted({part[name] for part in stack}) for name in ("beta", "latent_dim", "seed"))
    asked = {(part["beta"], part["latent_dim"], part["seed"]) for part in stack}
    if asked != set(product(betas, sizes, seeds)):
        return [table for part in stack for table in score_parts([part], device)]
    read = sprites(READ, device)
    trained = train_models(
        sprites(device=device),
        betas,
        sizes,
        seeds,
        hidden=1200,
        samples=samples,
        batch_size=128,
        optimiser="adam",
        learning_rate=1e-3,
        compile="auto" if device == "cuda" else False,
        checkpoint=reference.scratch(CHAPTER, "scores-" + "+".join(f"{b:g}-{d}-{s}" for b, d, s in sorted(asked))),
        record=lambda models: _scores(models.on(read)),
        record_at=[age for age in AGES if age <= samples],
    )
    history = trained.trained.history.round({"score": 5, "standard_error": 5, "mig": 5, "kl": 4})
    mine = history.set_index(["beta", "latent_dim", "seed"]).sort_index()
    return [
        mine.loc[[(part["beta"], part["latent_dim"], part["seed"])]].drop(columns="representation").reset_index()
        for part in stack
    ]


GRID = [
    {"beta": beta, "latent_dim": 10, "seed": seed, "samples": 3_000_000} for seed in range(10) for beta in (1.0, 4.0)
]
"""Beta 1 and 4 as in the paper's table of scores: three seeds first, then its ten."""
SURFACE = [
    {"beta": beta, "latent_dim": latent_dim, "seed": seed, "samples": 1_000_000}
    for seed in (0, 1, 2)
    for latent_dim in (5, 10, 20)
    for beta in (1.0, 4.0, 8.0, 16.0, 0.25, 64.0)
]
"""Figure 6 (right): beta against the number of latents. For a GPU."""

SWEEPS = {
    "scores-long": Sweep(score_parts, GRID, alike=("latent_dim", "samples"), priority=2),
    "scores-surface": Sweep(score_parts, SURFACE, alike=("latent_dim", "samples"), priority=0),
}
