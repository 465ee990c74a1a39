"""The metric of Higgins et al. (2017) over the steps of its classifier: which representation is
ahead depends on where it stops.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import pandas as pd
import torch
from torch import Tensor

from elbo import data, reference
from elbo.disentanglement import Adagrad, Softmax, draw_votes, factor_index
from elbo.disentanglement.higgins import binomial_error
from elbo.experiments.higgins_2017.baselines import CLASSIFIERS, linear_codes
from elbo.experiments.higgins_2017.scores import representation, varying
from elbo.experiments.higgins_2017.training import Models, small_sprites, train_models
from elbo.training import keyed_generator

__all__ = ["STEPS", "small_models", "step_table"]

STEPS = (30, 100, 300, 1_000, 3_000, 10_000, 30_000)
SMALL = {
    "betas": (1.0, 4.0),
    "latent_dims": (10,),
    "seeds": (0, 1, 2),
    "hidden": 256,
    "samples": 64_000,
    "batch_size": 64,
    "optimiser": "adam",
    "learning_rate": 1e-3,
}
"""The chapter's small networks, of the size that it compares."""
TRAINED_ON, READ = (1, 1, 4, 2, 2), (1, 1, 4, 4, 4)


def step_table(
    models: Models,
    betas: Sequence[float] = (1.0, 4.0),
    latent_dim: int = 10,
    *,
    steps: Sequence[int] = STEPS,
    pairs: int = 64,
    train_votes: int = 3_000,
    test_votes: int = 2_000,
) -> pd.DataFrame:
    """Scores of every representation by a classifier that is stopped after so many steps, and by
    one that is fitted to its end.

    Each representation and seed has one draw of votes and one start; a classifier of more steps sees the minibatches of
    the shorter one first. So a row is what :func:`elbo.disentanglement.higgins_score` gives with the generator
    ``keyed_generator("cpu", seed, "votes", 0)`` and that classifier.

    Returns:
        Rows ``representation, seed, steps`` (0: fitted to its end, on standardised votes), ``score, standard_error``
        (of the test votes) and ``chance``. Scores are fractions.

    Raises:
        ValueError: no such models, or what the metric raises.
    """
    sprites = models.sprites
    index = factor_index(sprites.factors, varying(models))
    adagrad, fitted = CLASSIFIERS["higgins-2017"], CLASSIFIERS["softmax"]
    assert isinstance(adagrad, Adagrad) and isinstance(fitted, Softmax)
    rules: dict[int, Adagrad | Softmax] = {count: replace(adagrad, steps=count) for count in steps} | {0: fitted}
    members = {beta: models.members(beta, latent_dim) for beta in betas}
    chance, rows = 1 / len(index.sizes), []
    for place, first in enumerate(members[betas[0]]):
        seed = models.trained.seeds[first]
        linear = linear_codes(sprites, torch.arange(len(sprites)), components=latent_dim, seed=seed)
        codes = {"ground truth": sprites.values[:, 1:], "raw pixels": sprites, "PCA": linear.pca, "ICA": linear.ica}
        codes["VAE untrained"] = models.encodings(first, trained=False)[0]
        codes |= {representation(beta): models.encodings(found[place])[0] for beta, found in members.items()}
        for name, code in codes.items():
            generator = keyed_generator("cpu", seed, "votes", 0)
            drawn = draw_votes(code, index, train_votes + test_votes, pairs=pairs, generator=generator)
            right = _accuracy(*drawn, train_votes, len(index.sizes), generator)
            for count, rule in rules.items():
                score = right(rule)
                said = {"score": score, "standard_error": binomial_error(score, test_votes), "chance": chance}
                rows.append({"representation": name, "seed": seed, "steps": count} | said)
    return pd.DataFrame(rows)


def _accuracy(
    votes: Tensor, labels: Tensor, train: int, classes: int, generator: torch.Generator
) -> Callable[[Adagrad | Softmax], float]:
    """The accuracy of a classifier on the votes after the first ``train``, always from
    the same state of the generator.
    """
    state = generator.get_state()

    def score(rule: Adagrad | Softmax) -> float:
        generator.set_state(state)
        fit = rule.fit(votes[:train], labels[:train], classes, generator)
        return (fit.predict(votes[train:]) == labels[train:]).double().mean().item()

    return score


def small_models() -> Models:
    """The chapter's networks at 32 pixels on a side, trained once and kept in a checkpoint."""
    images = data.load("dsprites")
    kept = reference.scratch("higgins-2017", "small-models")
    trained = train_models(small_sprites(images, 32, TRAINED_ON), **SMALL, compile=False, checkpoint=kept)
    return trained.on(small_sprites(images, 32, READ))
