"""What is read off trained models: scores, terms of the bound, responses of latents to factors, traversals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import pandas as pd
import torch
from torch import Tensor

from elbo.densities import bernoulli_log_prob, standard_gaussian_kl
from elbo.disentanglement import (
    Adagrad,
    dci,
    factor_index,
    factorvae_score,
    higgins_score,
    higgins_scores,
    mig,
    modularity,
    sap,
    upper_half,
)
from elbo.estimators import dependence
from elbo.experiments.higgins_2017.baselines import CLASSIFIERS, linear_codes, published
from elbo.experiments.higgins_2017.training import Models, beta_norm
from elbo.training import keyed_generator

__all__ = [
    "as_text",
    "beside_other_metrics",
    "beside_the_paper",
    "factor_responses",
    "over_beta",
    "score_table",
    "traversals",
    "unit_readings",
    "verdict",
]

WITHOUT_SHAPE = (2, 3, 4, 5)
PLUS_MINUS = "\N{NO-BREAK SPACE}±\N{NO-BREAK SPACE}"
ACTIVE = 0.1  # nats of KL from which on a latent counts as used
NAMES = {1.0: "VAE (beta = 1)", 4.0: "beta-VAE (beta = 4)"}


def score_table(
    models: Models,
    betas: Sequence[float] = (1.0, 4.0),
    latent_dim: int = 10,
    *,
    which: Sequence[int] = WITHOUT_SHAPE,
    steps: int = 1500,
    pairs: int = 64,
    train_votes: int = 10_000,
    test_votes: int = 5_000,
    draws: int = 1,
) -> pd.DataFrame:
    """Figure 6 (left) on the sprites of the models: the metric of every representation, with two classifiers.

    Ground truth, raw pixels, PCA and ICA with ``latent_dim`` components, an untrained VAE and the VAEs of each beta,
    once for each seed of the models: it decides the model, the votes and the images that PCA and ICA see.

    Args:
        which: columns of the factors; see :func:`scores_without_training`.
        steps: of Adagrad in the second classifier; the paper's number is not known, and the score hangs on it.
        draws: how many times each trained or untrained network is scored, with fresh votes and a fresh classifier, as
            the paper is said to have done three times; the other representations are scored once a seed.

    Returns:
        Rows ``representation, classifier`` (``"softmax"``, fitted to the end, or ``"adagrad"``), ``seed, draw, score,
        standard_error`` (of the test votes). Scores are fractions.

    Raises:
        ValueError: no such models, or what the metric raises.
    """
    sprites = models.sprites
    index = factor_index(sprites.factors, which)
    members = {beta: models.members(beta, latent_dim) for beta in betas}
    adagrad = CLASSIFIERS["higgins-2017"]
    if not isinstance(adagrad, Adagrad):
        raise TypeError("the variant higgins-2017 must be stepped by Adagrad")
    rules = {"softmax": CLASSIFIERS["softmax"], "adagrad": replace(adagrad, steps=steps)}
    rows = []
    for place, first in enumerate(members[betas[0]]):
        seed = models.trained.seeds[first]
        linear = linear_codes(sprites, torch.arange(len(sprites)), components=latent_dim, seed=seed)
        codes = {"ground truth": sprites.values[:, 1:], "raw pixels": sprites, "PCA": linear.pca}
        codes |= {"ICA": linear.ica, "VAE untrained": models.encodings(first, trained=False)[0]}
        codes |= {_name(beta): models.encodings(found[place])[0] for beta, found in members.items()}
        for name, code in codes.items():
            code = code.to(sprites.device) if isinstance(code, Tensor) else code
            for classifier, rule in rules.items():
                generators = [keyed_generator("cpu", seed, "votes", draw) for draw in range(draws if "VAE" in name else 1)]
                votes = {"pairs": pairs, "train_votes": train_votes, "test_votes": test_votes}
                for draw, found in enumerate(higgins_scores(code, index, generators=generators, classifier=rule, **votes)):
                    row = {"representation": name, "classifier": classifier, "seed": seed, "draw": draw}
                    rows.append(row | {"score": found.score, "standard_error": found.standard_error})
    return pd.DataFrame(rows)


def beside_the_paper(scores: pd.DataFrame) -> pd.DataFrame:
    """Mean over seeds of each representation and classifier, and what the paper reports.

    Returns:
        ``representation, row`` (its place, from 0 at the last), ``classifier, mean, se`` (over seeds; of the test votes
        where there is a single one),
        ``upper_mean`` (the paper's protocol: lower half dropped), ``paper`` and ``known`` from :func:`published`.
    """
    rows = []
    for (name, classifier), group in scores.groupby(["representation", "classifier"], sort=False):
        mean, se, upper = group["score"].mean(), group["standard_error"].mean(), group["score"].max()
        if len(group) > 1:
            seen = upper_half(group["score"].tolist())
            mean, se, upper = seen.mean, seen.standard_error, seen.upper_mean
        rows.append({"representation": name, "classifier": classifier, "mean": mean, "se": se, "upper_mean": upper})
    table = pd.DataFrame(rows).merge(published(), on="representation", how="left")
    names = list(dict.fromkeys(table["representation"]))
    return table.assign(row=[len(names) - 1 - names.index(name) for name in table["representation"]])


def as_text(table: pd.DataFrame) -> pd.DataFrame:
    """:func:`beside_the_paper` as percent with standard errors, one row a representation."""
    rows = []
    for name, group in table.groupby("representation", sort=False):
        row = {"representation": name}
        for line in group.itertuples():
            row[line.classifier] = f"{100 * line.mean:.1f}{PLUS_MINUS}{100 * line.se:.1f}"
            row[f"{line.classifier}, upper half"] = f"{100 * line.upper_mean:.1f}"
        paper = group["paper"].iloc[0]
        rows.append(row | {"the paper (secondary source)": "" if math.isnan(paper) else f"{100 * paper:.2f}"})
    return pd.DataFrame(rows)


def verdict(scores: pd.DataFrame, low: float = 1.0, high: float = 4.0) -> str:
    """One sentence a classifier: is the score at ``high`` beta above that at ``low``, as the paper reports? Differences
    are taken seed by seed; below two standard errors they count as none.
    """
    sentences = []
    for classifier, group in scores.groupby("classifier", sort=False):
        wide = group.pivot(index="seed", columns="representation", values="score")
        gain = 100 * (wide[_name(high)] - wide[_name(low)])
        if len(gain) < 2:
            change = f"{gain.iloc[0]:+.1f} points from beta {low:g} to {high:g}"
            sentences.append(f"{classifier}: {change}, one seed, no error")
            continue
        error = gain.sem()
        found = "as in the paper" if gain.mean() > 0 else "the other way round than in the paper"
        found = found if abs(gain.mean()) > 2 * error else "not told apart"
        change = f"{gain.mean():+.1f} ± {error:.1f} points from beta {low:g} to {high:g}"
        sentences.append(f"{classifier}: {change} over {len(gain)} seeds: {found}")
    return "\n".join(sentences)


def unit_readings(
    models: Models,
    *,
    which: Sequence[int] = WITHOUT_SHAPE,
    pairs: int = 64,
    train_votes: int = 5_000,
    test_votes: int = 2_500,
    codes: int = 500,
    trees: int = 20,
    seed: int = 0,
) -> pd.DataFrame:
    """Every model of the sweep: its score, other metrics, and the terms of its bound.

    Returns:
        Rows ``beta, latent_dim, seed, beta_norm`` with ``score`` (softmax), ``mig, factorvae, sap, modularity``, the
        ``dci`` disentanglement (a forest of ``trees`` trees on at most 6,000 and 3,000 images);
        ``reconstruction``, log-likelihood of an image under its decoded mean code; ``misfit``, nats an image by which decoding the mean code misses the pixels (their own entropy, which no
        decoder can undercut, taken off); ``kl``, the average KL to the prior; ``active``, latents with more than 0.1
        nats of it; ``total_correlation`` of the aggregated posterior over all sprites and ``tc_error``, its standard
        error over ``codes`` drawn codes.

    Raises:
        ValueError: what the metrics and estimators raise.
    """
    sprites = models.sprites
    index = factor_index(sprites.factors, which)
    floor = torch.cat([bernoulli_entropy(part) for part in sprites.parts()]).mean().item()
    rows = []
    for member, beta in enumerate(models.betas):
        shapes, params = models.model(member)
        mean, log_var = models.encodings(member)
        each = _dimension_kl(mean, log_var)
        with torch.no_grad():
            pairs_of = zip(sprites.parts(), mean.split(4096), strict=True)
            fit = torch.cat([bernoulli_log_prob(x, shapes.decode(params, z)) for x, z in pairs_of]).mean().item()
        votes = {"train_votes": train_votes, "test_votes": test_votes}
        score = higgins_score(mean, index, generator=_generator(seed), pairs=pairs, **votes)
        split = dependence(mean, log_var, generator=_generator(seed, mean.device), codes=codes)
        about = {"beta": beta, "latent_dim": shapes.latent_dim, "seed": models.trained.seeds[member]}
        rows.append(
            about
            | {
                "beta_norm": beta_norm(beta, shapes.latent_dim),
                "score": score.score,
                "mig": mig(mean, index).score,
                "factorvae": factorvae_score(mean, index, generator=_generator(seed), **votes).score,
                "sap": sap(mean, index, generator=_generator(seed)).score,
                "modularity": modularity(mean, index).score,
                "dci": dci(mean, index, generator=_generator(seed), trees=trees, **_dci_rows(sprites)).disentanglement,
                "reconstruction": fit,
                "misfit": -fit - floor,
                "kl": each.sum().item(),
                "active": int((each > ACTIVE).sum()),
                "total_correlation": float(split.total_correlation),
                "tc_error": split.total_correlation.standard_error,
            }
        )
    return pd.DataFrame(rows)


def over_beta(readings: pd.DataFrame) -> pd.DataFrame:
    """:func:`unit_readings` over seeds: each column's mean and, as ``<column>_se``, its standard error (NaN for one
    seed).
    """
    columns = [name for name in readings.columns if name not in ("beta", "latent_dim", "seed", "beta_norm", "tc_error")]
    groups = readings.groupby(["latent_dim", "beta", "beta_norm"], sort=True)[columns]
    return groups.mean().join(groups.sem().add_suffix("_se")).reset_index()


def beside_other_metrics(table: pd.DataFrame, latent_dim: int) -> pd.DataFrame:
    """:func:`over_beta` for one latent size as text: mean ± standard error over seeds (none for one seed)."""
    part = table[table["latent_dim"] == latent_dim]
    names = {"score": "Higgins", "mig": "MIG", "factorvae": "FactorVAE", "sap": "SAP", "modularity": "modularity"}
    names |= {"kl": "KL (nats)", "active": "active latents"}
    shown = pd.DataFrame({"beta": [f"{beta:g}" for beta in part["beta"]]})
    for column, name in names.items():
        digits = 1 if column in ("kl", "active") else 2
        pairs = zip(part[column], part[f"{column}_se"])
        shown[name] = [f"{v:.{digits}f}" + ("" if math.isnan(e) else f"{PLUS_MINUS}{e:.{digits}f}") for v, e in pairs]
    return shown


def factor_responses(models: Models, members: dict[str, int], latents: int = 5) -> pd.DataFrame:
    """Figure 7: the mean of each latent as one factor moves, averaged over all the others.

    Args:
        members: label to member.
        latents: how many, those with the largest average KL first (ties by number).

    Returns:
        Rows ``model, latent`` (its number), ``rank, kl, factor`` (``"position"``, ``"scale"``, ``"orientation"``),
        ``x, y`` (values of the factor; y is NaN but for positions), ``shape`` (1, 2, 3 with orientations, which differ
        in symmetry; 0: averaged) and ``mean``.
    """
    sprites, rows = models.sprites, []
    for label, member in members.items():
        mean, log_var = models.encodings(member)
        each = _dimension_kl(mean, log_var)
        order = each.argsort(descending=True, stable=True)[:latents].tolist()
        table = pd.DataFrame(sprites.values.cpu().numpy(), columns=["color", "shape", "scale", "orientation", "x", "y"])
        for rank, latent in enumerate(order):
            table["mean"] = mean[:, latent].double().cpu().numpy()
            about = {"model": label, "latent": latent, "rank": rank, "kl": each[latent].item()}
            place = table.groupby(["x", "y"])["mean"].mean().reset_index().assign(factor="position", shape=0)
            scale = table.groupby("scale")["mean"].mean().reset_index().rename(columns={"scale": "x"})
            turned = table.groupby(["shape", "orientation"])["mean"].mean().reset_index()
            turned = turned.rename(columns={"orientation": "x"}).assign(factor="orientation")
            for part in (place, scale.assign(factor="scale", shape=0), turned):
                rows.append(part.assign(**about))
    return pd.concat(rows, ignore_index=True)


def traversals(
    models: Models, member: int, *, latents: int = 6, steps: int = 7, reach: float = 2.5, image: int | None = None
) -> pd.DataFrame:
    """Decode one image's mean code with one latent at a time moved from ``-reach`` to ``reach``.

    Args:
        latents: how many at most, those with the largest average KL.
        image: number of the sprite; by default the one in the middle of the grid.

    Returns:
        Rows ``latent`` (its number), ``rank`` (by average KL, largest first), ``kl, step, value, pixel_0, ...``.
    """
    shapes, params = models.model(member)
    mean, log_var = models.encodings(member)
    each = _dimension_kl(mean, log_var)
    middle = (models.sprites.factors.amax(0) / 2 - models.sprites.factors).abs().sum(1).argmin().item()
    start = mean[middle if image is None else image]
    values, tables = torch.linspace(-reach, reach, steps, device=start.device), []
    for rank, latent in enumerate(each.argsort(descending=True, stable=True)[:latents].tolist()):
        z = start.repeat(steps, 1)
        z[:, latent] = values
        with torch.no_grad():
            pixels = shapes.decode_mean(params, z).cpu().numpy()
        table = pd.DataFrame(pixels, columns=[f"pixel_{i}" for i in range(pixels.shape[1])])
        about = {"latent": latent, "rank": rank, "kl": each[latent].item()}
        tables.append(table.assign(**about, step=range(steps), value=values.tolist()))
    return pd.concat(tables, ignore_index=True)


def _dci_rows(sprites) -> dict[str, int]:
    """Disjoint rows to train and test the forests on: all of a small grid, some of a large one."""
    train = min(6000, 2 * len(sprites) // 3)
    return {"train_rows": train, "test_rows": min(3000, len(sprites) - train)}


def bernoulli_entropy(x: Tensor) -> Tensor:
    """Entropy of independent pixels with these probabilities, ``(..., pixels) -> (...)`` nats: zero for black and
    white, and what the best possible logits still cost for grey levels."""
    return (torch.special.entr(x.double()) + torch.special.entr(1 - x.double())).sum(-1)


def _dimension_kl(mean: Tensor, log_var: Tensor) -> Tensor:
    return standard_gaussian_kl(mean.double().T.unsqueeze(-1), log_var.double().T.unsqueeze(-1)).mean(1)


def _name(beta: float) -> str:
    return NAMES.get(float(beta), f"beta-VAE (beta = {beta:g})")


def _generator(seed: int, device: torch.device | str = "cpu") -> torch.Generator:
    return torch.Generator(device).manual_seed(seed)
