"""Figure 6 (left) of Higgins et al. (2017): scores of every representation, beside the paper's and the reference
run's."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import pandas as pd
import torch
from torch import Tensor

from elbo.disentanglement import Adagrad, factor_index, higgins_scores, upper_half
from elbo.experiments.higgins_2017.baselines import CLASSIFIERS, linear_codes, published
from elbo.experiments.higgins_2017.training import Models
from elbo.training import keyed_generator

__all__ = ["as_text", "beside_the_paper", "representation", "score_table", "varying"]

HOW = {"softmax": "fitted", "adagrad": "stopped early"}
"""The classifiers in words."""
PLUS_MINUS = "\N{NO-BREAK SPACE}±\N{NO-BREAK SPACE}"
NAMES = {1.0: "VAE (beta = 1)", 4.0: "beta-VAE (beta = 4)"}


def varying(models: Models) -> tuple[int, ...]:
    """Columns of the factors that a vote can share: all that vary in the images that are read, but for the shape."""
    factors = models.sprites.factors
    return tuple(column for column in (2, 3, 4, 5) if bool((factors[:, column] != factors[0, column]).any()))


def score_table(
    models: Models,
    betas: Sequence[float] = (1.0, 4.0),
    latent_dim: int = 10,
    *,
    which: Sequence[int] | None = None,
    steps: int = 1500,
    pairs: int = 64,
    train_votes: int = 10_000,
    test_votes: int = 5_000,
    draws: int = 1,
    networks_only: bool = False,
) -> pd.DataFrame:
    """Figure 6 (left) on the sprites of the models: the metric of every representation, with two classifiers.

    Ground truth, raw pixels, PCA and ICA with ``latent_dim`` components, an untrained VAE and the VAEs of each beta,
    once for each seed of the models: it decides the model, the votes and the images that PCA and ICA see.

    Args:
        which: columns of the factors that a vote can share, by default :func:`varying`.
        steps: of Adagrad in the second classifier; the paper's number is not known, and the score hangs on it.
        draws: how many times each trained or untrained network is scored, with fresh votes and a fresh classifier, as
            the paper is said to have done three times; the other representations are scored once a seed.
        networks_only: leave out what needs no network.

    Returns:
        Rows ``representation, classifier`` (``"softmax"``, fitted to the end, or ``"adagrad"``), ``seed, draw, score,
        standard_error`` (of the test votes) and ``chance``. Scores are fractions.

    Raises:
        ValueError: no such models, or what the metric raises.
    """
    sprites = models.sprites
    index = factor_index(sprites.factors, which or varying(models))
    members = {beta: models.members(beta, latent_dim) for beta in betas}
    adagrad = CLASSIFIERS["higgins-2017"]
    if not isinstance(adagrad, Adagrad):
        raise TypeError("the variant higgins-2017 must be stepped by Adagrad")
    rules = {"softmax": CLASSIFIERS["softmax"], "adagrad": replace(adagrad, steps=steps)}
    rows = []
    for place, first in enumerate(members[betas[0]]):
        seed = models.trained.seeds[first]
        codes = {}
        if not networks_only:
            linear = linear_codes(sprites, torch.arange(len(sprites)), components=latent_dim, seed=seed)
            codes = {"ground truth": sprites.values[:, 1:], "raw pixels": sprites, "PCA": linear.pca, "ICA": linear.ica}
        codes["VAE untrained"] = models.encodings(first, trained=False)[0]
        codes |= {representation(beta): models.encodings(found[place])[0] for beta, found in members.items()}
        for name, code in codes.items():
            code = code.to(sprites.device) if isinstance(code, Tensor) else code
            for classifier, rule in rules.items():
                generators = [
                    keyed_generator("cpu", seed, "votes", draw) for draw in range(draws if "VAE" in name else 1)
                ]
                votes = {"pairs": pairs, "train_votes": train_votes, "test_votes": test_votes}
                for draw, found in enumerate(
                    higgins_scores(code, index, generators=generators, classifier=rule, **votes)
                ):
                    row = {"representation": name, "classifier": classifier, "seed": seed, "draw": draw}
                    rows.append(
                        row | {"score": found.score, "standard_error": found.standard_error, "chance": found.chance}
                    )
    return pd.DataFrame(rows)


def beside_the_paper(scores: pd.DataFrame, reference: pd.DataFrame | None = None) -> pd.DataFrame:
    """Mean over seeds of each representation and classifier, beside what the paper reports and the reference run found.

    Args:
        scores: of :func:`score_table`; several draws of a seed are averaged before seeds are compared.
        reference: the same of the reference run, or ``None``.

    Returns:
        ``representation, row`` (its place, from 0 at the last), ``classifier, mean, se`` (over seeds; of the test votes
        where there is a single one), ``chance``, ``upper_mean`` (the paper's protocol: mean of the better half of all
        scores, draws included) and ``scores``, how many there are; ``paper`` and ``known`` from :func:`published`;
        ``reference_mean, reference_se, reference_upper_mean`` (NaN without a reference) and ``reference_row``, a little
        below ``row``.
    """
    table = _summary(scores)
    kept = _summary(reference if reference is not None else scores.iloc[:0])
    kept = kept.drop(columns="scores").rename(columns=lambda name: name if name in KEYS else f"reference_{name}")
    table = table.merge(kept, on=list(KEYS), how="left").merge(published(), on="representation", how="left")
    names = list(dict.fromkeys(table["representation"]))
    row = pd.Series([len(names) - 1 - names.index(name) for name in table["representation"]])
    return table.assign(row=row, reference_row=row - BELOW, chance=scores["chance"].iloc[0])


KEYS = ("representation", "classifier")
BELOW = 0.28  # of a row


def _summary(scores: pd.DataFrame) -> pd.DataFrame:
    rows = []
    for keys, group in scores.groupby(list(KEYS), sort=False):
        each = group.groupby("seed")["score"].mean()
        se = each.sem() if len(each) > 1 else group["standard_error"].mean()
        upper = upper_half(group["score"].tolist()).upper_mean if len(group) > 1 else group["score"].max()
        rows.append(dict(zip(KEYS, keys)) | {"mean": each.mean(), "se": se, "upper_mean": upper, "scores": len(group)})
    return pd.DataFrame(rows, columns=[*KEYS, "mean", "se", "upper_mean", "scores"])


def as_text(table: pd.DataFrame) -> pd.DataFrame:
    """:func:`beside_the_paper` as percent with standard errors, one row a representation; the reference run where there
    is one."""
    rows = []
    for name, group in table.groupby("representation", sort=False):
        row = {"representation": name}
        for line in group.itertuples():
            row[f"small models, {HOW[line.classifier]}"] = _percent(line.mean, line.se)
        for line in group.itertuples():
            if table["reference_mean"].notna().any():
                row[f"paper's network, {HOW[line.classifier]}"] = _percent(line.reference_mean, line.reference_se)
        rows.append(row | {"the paper": _percent(group["paper"].iloc[0], digits=2)})
    return pd.DataFrame(rows)


def _percent(mean: float, se: float | None = None, digits: int = 1) -> str:
    if math.isnan(mean):
        return ""
    return f"{100 * mean:.{digits}f}" + (f"{PLUS_MINUS}{100 * se:.{digits}f}" if se is not None else "")


def representation(beta: float) -> str:
    """How a VAE with this beta is called in the tables."""
    return NAMES.get(float(beta), f"beta-VAE (beta = {beta:g})")
