"""What beta is not: no prior imitates a tempered likelihood."""

from __future__ import annotations

import math

import numpy as np
from scipy.optimize import minimize_scalar

from elbo.densities import gaussian_kl
from elbo.figures import style
from elbo.live.quadrature import tensor
from elbo.live.spec import Control, Figure, Predict, fill
from elbo.models import linear_gaussian as lg

__all__ = ["FIGURE", "best_prior", "imitated", "tempered", "terms"]

DATUM = 2.0
"""The datum; ``x = w z`` plus noise of variance one, the prior of ``z`` is N(0, t)."""


def _posterior(weight: float, beta: float = 1.0) -> tuple[float, float]:
    model = lg.LinearGaussian(tensor(weight).unsqueeze(-1), tensor(0.0), tensor(0.0))
    mean, cov = lg.posterior(lg.temper(model, beta), tensor(DATUM))
    return mean.item(), math.sqrt(cov.item())


def tempered(w: float, beta: float) -> tuple[float, float]:
    """Mean and standard deviation of the ``q`` that maximises the beta-ELBO,
    :func:`elbo.models.linear_gaussian.temper`.
    """
    return _posterior(w, beta)


def imitated(w: float, t: float) -> tuple[float, float]:
    """Those of the exact posterior under the prior N(0, t): with ``z = sqrt(t) u`` it is
    that of the weight ``sqrt(t) w``.
    """
    mean, sd = _posterior(math.sqrt(t) * w)
    return math.sqrt(t) * mean, math.sqrt(t) * sd


def distance(w: float, beta: float, t: float) -> float:
    """``KL(imitated || tempered)``, nats."""
    (m, s), (mean, sd) = imitated(w, t), tempered(w, beta)
    return gaussian_kl(tensor(m), 2 * tensor(s).log(), tensor(mean), 2 * tensor(sd).log()).item()


def best_prior(w: float, beta: float) -> float:
    """The prior variance whose posterior is nearest."""
    found = minimize_scalar(
        lambda log: distance(w, beta, math.exp(log)), bounds=(-6, 6), method="bounded", options={"xatol": 1e-9}
    )
    return math.exp(found.x)


def terms(beta: float, t: float, w: float) -> dict[str, float]:
    """Both posteriors, their distance, the least distance over all priors, and how far a
    prior of the right variance is off.
    """
    (mean, sd), (mean_t, sd_t) = tempered(w, beta), imitated(w, t)
    same = 1 + w**2 / beta - w**2  # precision of the prior that gives the tempered variance
    mean_same = _posterior_mean(w, 1 / same) if same > 0 else math.inf
    return {
        "mean": mean,
        "sd": sd,
        "mean_t": mean_t,
        "sd_t": sd_t,
        "distance": distance(w, beta, t),
        "least": distance(w, beta, best_prior(w, beta)),
        "off": mean_same / mean,
        "variance": sd**2,
        "variance_t": sd_t**2,
        "same": fill("One of the right variance has its mean off by the factor {off:.2f}.", {"off": mean_same / mean})
        if same > 0
        else "No prior is wide enough for the variance.",
    }


def _posterior_mean(w: float, t: float) -> float:
    return imitated(w, t)[0]


def draw(state, found):
    """The plane of posteriors: the path of beta, the path of the prior variance, the star that the second misses."""
    figure, axes = style.new(1, 1, height=3.2, width=5.6)
    plane = axes[0, 0]
    paths = (
        ("beta-vae", np.geomspace(0.25, 16, 60), lambda v: tempered(state["w"], v), "β from ¼ to 16, prior as it is"),
        (
            "pca",
            np.geomspace(1 / 64, 16, 60),
            lambda v: imitated(state["w"], v),
            "prior variance from 1/64 to 16, β = 1",
        ),
    )
    for look, values, place, label in paths:
        means, sds = zip(*(place(value) for value in values))
        plane.plot(means, np.square(sds), color=style.COLOUR[look], linestyle=style.LINE[look], label=label)
    exact = tempered(state["w"], 1)
    plane.plot(exact[0], exact[1] ** 2, "o", color="k")
    plane.plot(found["mean"], found["sd"] ** 2, "*", markersize=13, color=style.COLOUR["beta-vae"])
    plane.plot(found["mean_t"], found["sd_t"] ** 2, "o", color=style.COLOUR["pca"])
    plane.legend(loc="upper right")
    plane.set(xlim=(0, 2), ylim=(0, 1.15))
    style.panel(plane, "Every posterior is a point", "mean of the posterior", "its variance")
    return figure


_QUARTERS = tuple(round(2 ** (i / 4), 3) for i in range(-8, 17))
_PRIORS = tuple(round(2 ** (i / 4), 4) for i in range(-24, 17))
FIGURE = Figure(
    id="higgins-2017-live-beta",
    question="Is a larger beta just a narrower prior?",
    caption="Is a larger beta just a narrower prior? No. At $\\beta$ = {beta:.0f} the code of one datum has mean "
    "{mean:.3f} and variance {variance:.3f} (star). A prior of variance {t:.2f} gives the same mean and the variance "
    "{variance_t:.3f}; the nearest that any comes is {least:.3f} nats. With the variance right, its mean is off by the "
    "factor $\\beta$.",
    alt="A plane of mean against variance with two straight paths that cross at one black dot; a star on the path of "
    "beta, a green dot straight below it on the path of the prior.",
    controls=(
        Control("beta", "beta", 4.0, values=_QUARTERS, digits=2),
        Control("t", "Variance t of the prior instead", 0.25, values=_PRIORS, digits=3),
        Control("w", "Weight w of the decoder", 1.0, 0.3, 2.5, 0.1, digits=1),
    ),
    texts=(
        "With beta = {beta:.2f}: mean {mean:.3f}, variance {variance:.3f}. With a prior of variance {t:.3f}: "
        "{mean_t:.3f} and {variance_t:.3f}, {distance:.3f} nats away; the best prior is {least:.3f} nats away. {same}",
    ),
    terms=terms,
    draw=draw,
    constants={"datum": DATUM},
    predict=Predict(
        "Try to hit the star with the prior's variance t, then Reveal.",
        "Your prior, variance {t:.3f}, is {distance:.3f} nats from the star. The best one is {least:.3f} nats away: no "
        "prior hits it.",
        None,
        {"beta": 4, "t": 1, "w": 1},
    ),
    height=(360, 340),
)
