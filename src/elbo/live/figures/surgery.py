"""Where the divergence goes: codes on a line, their information and the ceiling at log N."""

from __future__ import annotations

import math

import numpy as np
from scipy.stats import norm

from elbo.figures import style
from elbo.live.quadrature import split, tensor
from elbo.live.spec import Control, Figure, Predict

__all__ = ["FIGURE", "SIZES", "codes", "terms"]

SIZES = (4, 16, 64)


def codes(spread: float, n: float) -> np.ndarray:
    """Means of ``n`` codes: the prior's quantiles at (i - 1/2) / n, times ``spread``; ascending."""
    return spread * norm.ppf((np.arange(int(n)) + 0.5) / int(n))


def terms(spread: float, sd: float, n: float) -> dict[str, float]:
    """Average KL, information, marginal KL and their ceiling log N, nats; see :func:`elbo.live.quadrature.split`."""
    found = split(tensor(*codes(spread, n)), sd)
    return {**found._asdict(), "log_n": math.log(n)}


def draw(state, found):
    """The aggregated posterior over the prior, and the two parts of the KL as the codes grow narrow."""
    figure, axes = style.new(1, 2, height=2.9)
    left, right = axes[0]
    z = np.linspace(-4, 4, 801)
    means = codes(state["spread"], state["n"])
    q = norm.pdf(z[:, None], means, state["sd"]).mean(1)
    left.fill_between(z, q, color=style.COLOUR["q"], alpha=0.25, linewidth=0)
    left.plot(z, q, color=style.COLOUR["q"])
    left.plot(z, norm.pdf(z), color=style.COLOUR["p"], linestyle="--")
    style.panel(left, f"$\\bar q(z)$ of {state['n']:.0f} codes, $p(z)$ dashed", "code z")
    left.set(yticks=[])
    sds = np.geomspace(0.02, 1.5, 30)
    rows = np.array([split(tensor(*means), sd) for sd in sds])
    whole, known = rows[:, 0], rows[:, 1]
    right.fill_between(sds, known, color=style.COLOUR["mutual information"], alpha=0.3, linewidth=0)
    right.fill_between(sds, known, whole, color=style.COLOUR["marginal kl"], alpha=0.3, linewidth=0)
    for name, values in (("average kl", whole), ("mutual information", known)):
        right.semilogx(sds, values, color=style.COLOUR[name], linestyle=style.LINE[name])
    for label, look, x, y in (
        ("average KL", "average kl", 0.09, 3.25),
        ("information", "mutual information", 0.1, 0.8),
        ("marginal KL", "marginal kl", 0.5, 0.95),
    ):
        right.text(x, y, label, fontsize=style.SMALL, color=style.COLOUR[look])
    right.set_ylim(0, 4.2)
    style.guide(right.axhline(found["log_n"], color=style.COLOUR["log n"], linestyle=":"))
    right.text(
        1.5,
        found["log_n"] + 0.05,
        f"log {state['n']:.0f}",
        fontsize=style.SMALL,
        ha="right",
        color=style.COLOUR["log n"],
    )
    style.guide(right.axvline(state["sd"], color="k", linewidth=0.8))
    style.panel(right, "Where the KL goes", "standard deviation of a code", "nats")
    return figure


FIGURE = Figure(
    id="hoffman-johnson-2016-live-surgery",
    question="Codes grow ever narrower: where does their divergence from the prior go?",
    caption="Codes grow ever narrower: where does their divergence from the prior go? {n} codes of standard deviation "
    "{sd:.2f} at the prior's quantiles: of {average_kl:.3f} nats, {information:.3f} are information, under its ceiling "
    "$\\log N$ = {log_n:.3f}, and {marginal_kl:.3f} marginal KL. At the ceiling, all further cost is marginal.",
    alt="Left, a comb of narrow bells over a dashed normal curve. Right, information with the marginal KL stacked on "
    "it against the standard deviation of a code; information levels off at log {n}, {log_n:.3f} nats, the marginal KL "
    "on top of it goes on growing to the left.",
    controls=(
        Control("sd", "Standard deviation of a code", 0.08, 0.02, 1.5, 0.02, digits=2),
        Control("spread", "Spread of the codes", 1.0, 0, 2, 0.05, digits=2),
        Control("n", "Number of codes N", 16, values=SIZES),
    ),
    texts=(
        "Average KL {average_kl:.3f} nats = information {information:.3f} + marginal KL {marginal_kl:.3f}. "
        "The ceiling of the information is log {n} = {log_n:.3f}.",
    ),
    terms=terms,
    draw=draw,
    constants={"codes": {str(n): codes(1.0, n).tolist() for n in SIZES}},
    predict=Predict(
        "N is 16. As the codes grow narrower, at how many nats does the information stop? Set your guess, then Reveal.",
        "You said {guess:.1f} nats. It stops at log {n} = {log_n:.3f}; now it is {information:.3f}, and the marginal "
        "KL {marginal_kl:.3f}.",
        Control("guess", "Your guess, in nats", 1.0, 0, 6, 0.1, digits=1),
        {"sd": 1.0, "spread": 1.0, "n": 16},
    ),
    height=(330, 520),
)
