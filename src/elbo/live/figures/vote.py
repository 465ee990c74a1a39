"""A score means nothing without its classifier: one table, read under two of them."""

from __future__ import annotations

from functools import cache

import numpy as np

from elbo import reference
from elbo.figures import style
from elbo.live.spec import Control, Figure

__all__ = ["FIGURE", "NAMES", "scores", "terms"]

NAMES = ("ground truth", "raw pixels", "PCA", "ICA", "VAE untrained", "VAE (beta = 1)", "beta-VAE (beta = 4)")
KEYS = ("truth", "pixels", "pca", "ica", "untrained", "vae", "beta_vae")
CLASSIFIERS = ("softmax", "adagrad")
_BASELINES = NAMES[:4]


@cache
def scores() -> dict[str, list[list[list[float]]]]:
    """Percent correct by name, classifier, network (three seeds) and draw (three).

    Ground truth, pixels, PCA and ICA are no networks: for them the three seeds of the table are three draws, whatever the network.
    """
    parts = {
        "baselines": reference.load("higgins-2017", "baselines"),
        "scores": reference.load("higgins-2017", "scores"),
    }
    found = {}
    for name in NAMES:
        table = parts["baselines" if name in _BASELINES else "scores"]
        rows = table[table["representation"] == name]
        found[name] = [
            [
                [
                    100 * float(rows[(rows.classifier == rule) & (rows.seed == (draw if name in _BASELINES else seed))
                                     & (rows.draw == (0 if name in _BASELINES else draw))].score.iloc[0])
                    for draw in range(3)
                ]
                for seed in range(3)
            ]
            for rule in CLASSIFIERS
        ]  # fmt: skip
    return found


def terms(classifier: float, network: float, draw: float) -> dict[str, float | str]:
    """The score of every representation, percent, and whether PCA is ahead of the VAE."""
    found = {key: scores()[name][int(classifier)][int(network)][int(draw)] for key, name in zip(KEYS, NAMES)}
    gap = found["pca"] - found["vae"]
    words = (
        "PCA is ahead of the VAE" if gap > 0 else "PCA is behind the VAE" if gap < 0 else "PCA and the VAE are level"
    )
    return {**found, "words": words}


def draw(state, found):
    """Every score of every representation under both classifiers."""
    figure, axes = style.new(1, 2, height=2.8, sharey=True, sharex=True)
    looks = dict(zip(NAMES, ("exact", "exact", "pca", "ica", "laplace", "vae", "beta-vae")))
    for axis, rule, title in zip(axes[0], range(2), ("classifier fitted to its end", "classifier stopped early")):
        for row, name in enumerate(NAMES):
            every = np.unique(np.ravel(scores()[name][rule]))
            axis.plot(
                every, np.full(len(every), row), style.MARKER[looks[name]], color=style.COLOUR[looks[name]], alpha=0.8
            )
        axis.set(yticks=range(len(NAMES)), yticklabels=NAMES, ylim=(len(NAMES) - 0.5, -0.5), xlim=(20, 102))
        style.guide(axis.axvline(25, **style.GUIDE))
        style.panel(axis, title, "percent correct")
    return figure


FIGURE = Figure(
    id="higgins-2017-live-vote",
    question="Which representation wins, and who decides?",
    caption="Which representation wins, and who decides? The metric of Higgins et al. from the committed tables. Its linear classifier fitted to "
    "the end puts PCA, at {pca:.1f} %, ahead of the VAE at {vae:.1f} %; stopped early, the order hangs on which network and which votes "
    "were drawn. Chance is 25 %.",
    alt="Dots of seven representations by score in two panels. With a fitted classifier the dots of a representation lie together; with one stopped early "
    "they spread over tens of points and overlap.",
    controls=(
        Control("classifier", "Classifier", 0, options=("fitted to its end", "stopped early")),
        Control("network", "Network", 0, options=("seed 0", "seed 1", "seed 2")),
        Control("draw", "Votes and start of the classifier", 0, options=("draw 0", "draw 1", "draw 2")),
    ),
    texts=(
        "VAE {vae:.2f} %, beta-VAE {beta_vae:.2f} %, PCA {pca:.2f} %, an untrained network {untrained:.2f} %, raw pixels {pixels:.2f} %. {words}.",
    ),
    terms=terms,
    draw=draw,
    constants={"scores": scores(), "keys": list(KEYS)},
    height=(330, 330),
)
