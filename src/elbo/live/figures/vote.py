"""A score means nothing without its classifier: every representation over the number of
steps that the classifier takes.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from elbo import reference
from elbo.figures import style
from elbo.live.spec import Control, Figure

__all__ = ["FIGURE", "KEYS", "NAMES", "STOPS", "scores", "terms"]

NAMES = ("ground truth", "raw pixels", "PCA", "ICA", "VAE untrained", "VAE (beta = 1)", "beta-VAE (beta = 4)")
KEYS = ("truth", "pixels", "pca", "ica", "untrained", "vae", "beta_vae")
LOOKS = ("exact", "exact", "pca", "ica", "laplace", "vae", "beta-vae")
STOPS = (30, 100, 300, 1_000, 3_000, 10_000, 30_000, 0)
"""Steps of the classifier; 0 stands for one that is fitted to its end."""
TICKS = ("30", "100", "300", "1,000", "3,000", "10,000", "30,000", "the end")


@cache
def scores() -> dict[str, list[list[float]]]:
    """Percent correct by name, seed (three) and place in :data:`STOPS`, from the
    reference table ``classifier-steps``.
    """
    table = reference.load("higgins-2017", "classifier-steps")
    assert table is not None
    wide = (100 * table.pivot(index=["representation", "seed"], columns="steps", values="score"))[list(STOPS)]
    return {name: wide.loc[name].to_numpy().tolist() for name in NAMES}


def terms(steps: float, seed: float) -> dict[str, float | str]:
    """The score of every representation, percent, and whether PCA is ahead of the VAE."""
    at = STOPS.index(int(steps))
    found: dict[str, float | str] = {key: scores()[name][int(seed)][at] for key, name in zip(KEYS, NAMES)}
    gap = scores()["PCA"][int(seed)][at] - scores()["VAE (beta = 1)"][int(seed)][at]
    words = "ahead of" if gap > 0 else "behind" if gap < 0 else "level with"
    return {**found, "words": f"PCA is {words} the VAE", "stop": f"after {TICKS[at]} steps" if steps else "at its end"}


def draw(state, found):
    """The scores over the steps, one line a representation, for one seed."""
    figure, axes = style.new(1, 1, height=3.2, width=6.2)
    axis, places, ends = axes[0, 0], np.arange(len(STOPS)), []
    for name, look in zip(NAMES, LOOKS):
        line = scores()[name][int(state["seed"])]
        dashes = "--" if name == "raw pixels" else style.LINE[look]
        axis.plot(places, line, color=style.COLOUR[look], linestyle=dashes, marker=style.MARKER[look], markersize=3.5)
        ends.append((places[-1], line[-1], name, style.COLOUR[look]))
    style.end_labels(axis, ends)
    style.guide(axis.axhline(25, **style.GUIDE))
    style.guide(axis.axvline(STOPS.index(int(state["steps"])), **style.GUIDE))
    axis.set(xticks=places, xticklabels=TICKS, ylim=(18, 103))
    style.panel(axis, "One metric, stopped at different steps", "steps of the classifier", "percent correct")
    return figure


FIGURE = Figure(
    id="higgins-2017-live-vote",
    question="Which representation wins, and who decides?",
    caption="Which representation wins, and who decides? The metric of Higgins et al. on the small networks, over the "
    "steps of its linear classifier. Stopped {stop}, PCA has {pca:.1f} %, the VAE {vae:.1f} % and the beta-VAE "
    "{beta_vae:.1f} %. The order changes along the way; the paper says no more than that it trained until convergence. "
    "Chance is 25 %.",
    alt="Seven lines of percent correct over the steps of a classifier, from 30 to its end. They start near chance, "
    "rise at different steps, and cross.",
    controls=(
        Control("steps", "Steps of the classifier", 300, values=STOPS, names=TICKS),
        Control("seed", "Networks, votes and images", 0, options=("seed 0", "seed 1", "seed 2")),
    ),
    texts=(
        "Stopped {stop}: VAE {vae:.2f} %, beta-VAE {beta_vae:.2f} %, PCA {pca:.2f} %, an untrained network "
        "{untrained:.2f} %, raw pixels {pixels:.2f} %. {words}.",
    ),
    terms=terms,
    draw=draw,
    constants={"scores": scores(), "keys": list(KEYS), "stops": list(STOPS), "ticks": list(TICKS)},
    height=(360, 380),
)
