"""Why the bound is a bound: the mean of a logarithm under the logarithm of a mean, and what averaging first changes."""

from __future__ import annotations

import itertools
import math

import numpy as np

from elbo.figures import style
from elbo.live.spec import Control, Figure

__all__ = ["FIGURE", "averages", "terms", "weights"]

SHAPE = (-1.4, -0.7, 0.0, 0.7, 1.4)
MOST = 8


def weights(spread: float, skew: float) -> np.ndarray:
    """Five equally likely importance weights with mean one."""
    a = np.array(SHAPE)
    log = spread * (a + skew * (a**2 - np.mean(a**2)))
    return np.exp(log) / np.mean(np.exp(log))


def averages(w: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """All averages of ``k`` draws from ``w`` and their probabilities: sums over multisets, so exact."""
    values, chances = [], []
    for chosen in itertools.combinations_with_replacement(range(len(w)), k):
        counts = np.bincount(chosen, minlength=len(w))
        ways = math.factorial(k) / math.prod(math.factorial(count) for count in counts)
        values.append(counts @ w / k)
        chances.append(ways / len(w) ** k)
    return np.array(values), np.array(chances)


def terms(spread: float, skew: float, k: float) -> dict[str, float]:
    r"""The bounds :math:`L_k = E \log \frac1k \sum_i w_i` for one and for ``k`` draws, and their
    gaps to ``log E w = 0``, nats.
    """
    w = weights(spread, skew)
    value, chance = averages(w, int(k))
    bound = chance @ np.log(value)
    return {
        "log_mean": float(np.log(w.mean())),
        "one": float(np.log(w).mean()),
        "bound": float(bound),
        "gap": float(np.log(w.mean()) - bound),
    }


def draw(state, found):
    """The logarithm over the averages of k draws; the bound against k."""
    figure, axes = style.new(1, 2, height=2.9, width_ratios=[1.5, 1])
    left, right = axes[0]
    w = weights(state["spread"], state["skew"])
    x = np.linspace(w.min() * 0.8, w.max() * 1.03, 300)
    left.plot(x, np.log(x), color=style.COLOUR["p"], linewidth=1.1)
    for k, look in ((1, "marginal kl"), (int(state["k"]), "mutual information")):
        value, chance = averages(w, k)
        left.scatter(
            value,
            np.log(value),
            s=260 * chance,
            color=style.COLOUR[look],
            alpha=0.8,
            label=f"averages of {k}",
            zorder=3,
        )
        left.axhline(chance @ np.log(value), color=style.COLOUR[look], linestyle="--" if k == 1 else "-", linewidth=1)
    left.axhline(0, color="k", linewidth=0.8, linestyle=":")
    left.legend(loc="lower right")
    style.panel(left, "log of the average weight", "average weight", "nats")
    ks = np.arange(1, MOST + 1)
    right.plot(ks, [terms(state["spread"], state["skew"], k)["bound"] for k in ks], "o-", color=style.COLOUR["iwae"])
    right.axhline(0, color="k", linewidth=0.8, linestyle=":")
    style.panel(right, "The bound", "draws averaged first, k", "nats below log p(x)")
    return figure


FIGURE = Figure(
    id="blei-2017-live-jensen",
    question="Why does the bound lie below, and why do more draws tighten it?",
    caption="Why does the bound lie below, and why do more draws tighten it? The logarithm bends down, so the mean of "
    "logarithms lies below the logarithm of the mean: five equally likely weights $p(x, z)/q(z)$ of mean one give "
    "{one:.3f} nats instead of 0. Averages of {k:.0f} draws lie closer together, where the curve is nearly straight: "
    "{bound:.3f}.",
    alt="Left, a logarithm with widely scattered dots for single weights and a cluster of dots for averages, each set "
    "with a level line below zero. Right, the bound rising from {one:.3f} towards zero as more draws are averaged.",
    controls=(
        Control("spread", "Spread of the log weights", 1.2, 0, 2.4, 0.05, digits=2),
        Control("skew", "Tail: to small (−) or large (+)", 0.0, -0.6, 0.6, 0.05, digits=2),
        Control("k", "Draws averaged first, k", 4, 1, MOST, 1),
    ),
    texts=(
        "log p(x) is 0 here. One draw: {one:.3f} nats on average. With k = {k:.0f} averaged first: {bound:.3f}, a gap "
        "of {gap:.3f}.",
    ),
    terms=terms,
    draw=draw,
    constants={"shape": list(SHAPE), "most": MOST},
    height=(330, 480),
)
