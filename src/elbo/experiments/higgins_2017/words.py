"""Tables and sentences for the page, from the tables of the experiments. A difference is taken seed by seed, and one of
less than two standard errors, or of a single seed, counts as none.
"""

from __future__ import annotations

import math

import pandas as pd

from elbo.experiments.higgins_2017.scores import HOW, PLUS_MINUS, representation
from elbo.experiments.higgins_2017.training import Models

__all__ = [
    "comparison",
    "first_and_last",
    "said_of_exchange",
    "said_of_pca",
    "said_of_use",
    "settings_table",
    "shape_table",
]

UNDECIDED = "not told apart"


def comparison(
    scores: pd.DataFrame, reference: pd.DataFrame | None = None, low: float = 1.0, high: float = 4.0
) -> pd.DataFrame:
    """Is the score at ``high`` beta above that at ``low``, as the paper reports? One row a set of models and
    classifier."""
    rows = []
    for models, table in (("small models", scores), ("the paper's network", reference)):
        for classifier, group in () if table is None else table.groupby("classifier", sort=False):
            wide = group.groupby(["seed", "representation"])["score"].mean().unstack()
            gain = (wide[representation(high)] - wide[representation(low)]).dropna()
            so = judged(gain, "as in the paper", "the other way round")
            rows.append([models, HOW[classifier], _points(gain), len(gain), so])
    return pd.DataFrame(
        rows, columns=["models", "classifier", f"β = {high:g} minus β = {low:g}, points", "seeds", "so"]
    )


def shape_table(readings: pd.DataFrame, column: str = "score") -> pd.DataFrame:
    """Is the score an inverted U over beta? One row a size of code: the best beta (by the mean) against the smallest
    and the largest. The best of several is a little too good, which this does not correct.
    """
    rows = []
    for size, group in readings.groupby("latent_dim"):
        wide = group.pivot(index="seed", columns="beta", values=column)
        best, ends = wide.mean().idxmax(), (wide.columns.min(), wide.columns.max())
        gains = [wide[best] - wide[end] for end in ends]
        rises = [end != best and judged(gain, "yes", "no") == "yes" for end, gain in zip(ends, gains)]
        shown = ["an end of the range" if end == best else _points(gain) for end, gain in zip(ends, gains)]
        rows.append([size, f"{best:g}", f"{100 * wide[best].mean():.1f}", *shown, "yes" if all(rises) else "not shown"])
    names = [
        "latents",
        "best β",
        "its score, %",
        "above the smallest β, points",
        "above the largest, points",
        "inverted U",
    ]
    return pd.DataFrame(rows, columns=names)


def judged(gain: pd.Series, up: str, down: str) -> str:
    """``up`` or ``down`` where the mean of differences is beyond two standard errors, else :data:`UNDECIDED`."""
    error = gain.sem() if len(gain) > 1 else math.inf
    if not abs(gain.mean()) > 2 * error:
        return UNDECIDED
    return up if gain.mean() > 0 else down


def settings_table(
    models: Models, *, samples: int, hidden: int, optimiser: str, reference: pd.DataFrame | None
) -> pd.DataFrame:
    """What was trained: the small models, the paper's network as it was trained for this book, and the paper."""
    sprites = models.sprites
    grid = " × ".join(str(len(column.unique())) for column in sprites.factors[:, 1:].unbind(1))
    betas = ", ".join(f"{beta:g}" for beta in sorted(set(models.betas)))
    sizes = ", ".join(map(str, sorted(set(models.trained.latent_dims))))
    seeds = len(set(models.trained.seeds))
    columns = {
        "small models": [
            f"{sprites.side} × {sprites.side} pixels, {len(sprites):,} read (shape × scale × orientation × x × y = "
            f"{grid})",
            f"{sprites.side**2}-{hidden}-{hidden}, latents {sizes}",
            f"{betas}; {seeds} seeds",
            f"{samples:,} images, {optimiser}",
        ]
    }
    if reference is not None:
        first = reference.iloc[0]
        betas = ", ".join(f"{beta:g}" for beta in sorted(reference["beta"].unique()))
        columns["the paper's network"] = [
            f"64 × 64 pixels, 737,280, of which {first.images:,} read",
            f"4096-{first.hidden}-{first.hidden}, {first.latent_dim} latents",
            f"{betas}; {reference['seed'].nunique()} seeds",
            f"{first.samples:,} images, {first.optimiser}",
        ]
    columns["the paper"] = [
        "64 × 64 pixels, 737,280",
        "4096-1200-1200, 10 latents",
        "1, 4; 10 seeds",
        "not said; adagrad",
    ]
    return pd.DataFrame({"": ["pictures", "encoder", "beta", "training"], **columns})


def said_of_exchange(found: dict[str, float]) -> str:
    """What :func:`exchange` says of two models, in a sentence."""
    if found["possible"]:
        return (
            f"That is {found['price']:.1f} for one, between the two prices, as it has to be of models that are the "
            "best at theirs."
        )
    if found["nats_lost"] < 0:
        return (
            "A smaller rate and a better picture: the models at the smaller price would gain by changing places. They "
            "are not yet the best at their price; their training is short."
        )
    return (
        f"That is {found['price']:.1f} for one, outside the two prices: one of the two is not yet the best at its "
        f"price; the training is short."
    )


def said_of_pca(scores: pd.DataFrame, classifier: str = "softmax") -> str:
    """How PCA compares with the beta-VAE at beta = 4 under one classifier, in a sentence."""
    part = scores[scores["classifier"] == classifier]
    wide = part.groupby(["seed", "representation"])["score"].mean().unstack()
    gain = wide["PCA"] - wide[representation(4.0)]
    words = {
        "above": "That is above the beta-VAE, by {} points.",
        "below": "That is below the beta-VAE, by {} points.",
        UNDECIDED: "Against the beta-VAE that is {} points: not told apart.",
    }
    so = judged(gain, "above", "below")
    return words[so].format(_points(gain if so != "below" else -gain, sign=so == UNDECIDED))


def said_of_use(use: pd.DataFrame) -> dict[tuple[float, str], str]:
    """Mean scores of :func:`scores_by_use` over seeds in words, by beta and latents; "nothing" where there is no such
    latent."""
    means = use.groupby(["beta", "latents"])["score"].mean()
    return {key: "nothing" if math.isnan(mean) else f"{100 * mean:.0f} %" for key, mean in means.items()}


def first_and_last(followed: pd.DataFrame) -> str:
    """Means over seeds of the score at the first and the last look of a training, in a sentence."""
    parts = []
    for beta, group in followed.groupby("beta"):
        means = group.groupby("samples")["score"].mean()
        parts.append(f"{100 * means.iloc[0]:.0f} to {100 * means.iloc[-1]:.0f} % at $\\beta = {beta:g}$")
    ends = followed["samples"].agg(["min", "max"])
    return f"From {ends['min']:,} to {ends['max']:,} images the score goes from {' and from '.join(parts)}."


def _points(gain: pd.Series, sign: bool = True) -> str:
    error = f"{PLUS_MINUS}{100 * gain.sem():.1f}" if len(gain) > 1 else ""
    return f"{100 * gain.mean():{'+' if sign else ''}.1f}{error}"
