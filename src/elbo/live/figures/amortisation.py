"""What an encoder costs: the gap of the family and the gap of the encoder, datum by datum."""

from __future__ import annotations

import math

import numpy as np
import torch
from scipy.optimize import minimize
from scipy.stats import norm

from elbo.densities import LOG_2PI, gaussian_log_prob, standard_gaussian_kl
from elbo.figures import style
from elbo.live.quadrature import tensor
from elbo.live.spec import Control, Figure

__all__ = ["ENCODER", "FIGURE", "NOISE", "best", "bound", "encoder", "evidence", "fit_encoder", "terms"]

NOISE = 0.25
"""``x = exp(z)`` plus noise of this variance; the prior of ``z`` is N(0, 1)."""
ENCODER = (-1.1419, 1.4625, -0.3049, -0.9699)
"""Mean ``a + b h(x)`` and log standard deviation ``c + d h(x)``, the maximisers of the
average bound (:func:`fit_encoder`).
"""


def bound(x: float, mean: float, sd: float) -> float:
    r"""ELBO of ``N(mean, sd^2)``, nats, in closed form: :math:`E e^z = e^{m + s^2/2}`,
    :math:`E e^{2z} = e^{2m + 2s^2}`.
    """
    first, second = math.exp(mean + sd**2 / 2), math.exp(2 * mean + 2 * sd**2)
    likelihood = -0.5 * (LOG_2PI + math.log(NOISE) + (x * x - 2 * x * first + second) / NOISE)
    return likelihood - standard_gaussian_kl(tensor(mean), 2 * tensor(sd).log()).item()


def _grid(points: int = 4001) -> torch.Tensor:
    return torch.linspace(-9, 4, points, dtype=torch.float64).unsqueeze(-1)


def _log_joint(x: float, z: torch.Tensor) -> torch.Tensor:
    zero = torch.zeros(1, dtype=torch.float64)
    return gaussian_log_prob(tensor(x), z.exp(), tensor(NOISE).log()) + gaussian_log_prob(z, zero, zero)


def evidence(x: float) -> float:
    """``log p(x)``, nats, by the trapezoid rule."""
    z = _grid()
    return (torch.logsumexp(_log_joint(x, z), 0) + (z[1] - z[0]).log()).item()


def best(x: float) -> tuple[float, float]:
    """Mean and standard deviation of the Gaussian of the highest bound."""
    start = min(((-1.5, 0.8), (math.log(max(x, 0.3)), 0.3)), key=lambda one: -bound(x, *one))
    found = minimize(
        lambda v: -bound(x, v[0], math.exp(v[1])), (start[0], math.log(start[1])), method="Nelder-Mead",
        options={"xatol": 1e-10, "fatol": 1e-14, "maxiter": 4000},
    )  # fmt: skip
    return float(found.x[0]), math.exp(found.x[1])


def feature(x):
    """The encoder's one hidden unit, close to ``log(1 + x)`` for large ``x`` and to zero for small:
    ``log(1 + softplus(2 x) / 2)``.
    """
    return np.log1p(np.log1p(np.exp(2 * np.asarray(x))) / 2)


def encoder(x: float) -> tuple[float, float]:
    """Mean and standard deviation that the encoder gives."""
    a, b, c, d = ENCODER
    h = float(feature(x))
    return a + b * h, math.exp(c + d * h)


def fit_encoder() -> np.ndarray:
    """The encoder's four numbers: the maximisers of the bound averaged over data of the
    model, on a grid of quantiles.
    """
    x = np.exp(norm.ppf((np.arange(40) + 0.5) / 40))[:, None] + math.sqrt(NOISE) * norm.ppf((np.arange(11) + 0.5) / 11)
    x, h = x.ravel(), feature(x.ravel())

    def loss(v):
        mean, log_sd = v[0] + v[1] * h, np.clip(v[2] + v[3] * h, -8, 2)
        var = np.exp(2 * log_sd)
        misfit = (x**2 - 2 * x * np.exp(mean + var / 2) + np.exp(np.minimum(2 * mean + 2 * var, 60))) / NOISE
        return np.mean(0.5 * misfit + 0.5 * (var + mean**2 - 1) - log_sd)

    found = minimize(
        loss, (-1.5, 1.5, -0.3, -0.8), method="Nelder-Mead", options={"maxiter": 20_000, "xatol": 1e-9, "fatol": 1e-12}
    )
    return found.x


def terms(x: float) -> dict[str, float]:
    """The evidence, the two bounds and the two gaps, nats."""
    whole, family, amortised = evidence(x), bound(x, *best(x)), bound(x, *encoder(x))
    return {
        "evidence": whole,
        "best": family,
        "encoder": amortised,
        "approximation": whole - family,
        "amortisation": family - amortised,
    }


def draw(state, found):
    """The posterior and both Gaussians at one datum; the two gaps over all data."""
    figure, axes = style.new(1, 2, height=2.9)
    left, right = axes[0]
    z = torch.linspace(-3.5, 2.5, 400, dtype=torch.float64).unsqueeze(-1)
    left.plot(z, (_log_joint(state["x"], z) - found["evidence"]).exp(), color=style.COLOUR["p"], label="posterior")
    for (mean, sd), look, label in (
        (best(state["x"]), "q", "best Gaussian"),
        (encoder(state["x"]), "hmc", "the encoder's"),
    ):
        left.plot(z, norm.pdf(z, mean, sd), color=style.COLOUR[look], linestyle=style.LINE[look], label=label)
    left.legend(loc="upper left")
    left.set(yticks=[])
    style.panel(left, f"x = {state['x']:.1f}", "code z")
    xs = np.linspace(-1, 5, 41)
    rows = [terms(x) for x in xs]
    family, cost = (np.array([row[name] for row in rows]) for name in ("approximation", "amortisation"))
    right.fill_between(xs, family, color=style.COLOUR["q"], alpha=0.8, linewidth=0)
    right.fill_between(xs, family, family + cost, color=style.COLOUR["hmc"], alpha=0.8, linewidth=0)
    right.set_ylim(0, 0.6)
    style.panel(right, "approximation (blue), amortisation (red)", "datum x", "gap in nats")
    return figure


FIGURE = Figure(
    id="kingma-welling-2013-live-amortisation",
    question="What does it cost to let an encoder answer?",
    caption="What does it cost to let an encoder answer? The bound on $\\log p(x)$ = {evidence:.3f} has two gaps. No "
    "Gaussian has the posterior's shape: {approximation:.3f} nats (approximation). And one encoder for all data does "
    "not find the best Gaussian for this one: {amortisation:.3f} nats more (amortisation). The second can be had back "
    "by optimising for the datum alone.",
    alt="Left, a skewed posterior with the best Gaussian on it and the encoder's beside it. Right, both gaps against "
    "the datum, stacked; amortisation grows at both ends.",
    controls=(Control("x", "Datum x", 3.0, -1, 5, 0.05, digits=2),),
    texts=(
        "log p(x) = {evidence:.3f} = the encoder's bound {encoder:.3f} + amortisation gap {amortisation:.3f} + "
        "approximation gap {approximation:.3f} nats.",
    ),
    terms=terms,
    draw=draw,
    constants={"noise": NOISE, "encoder": list(ENCODER)},
    height=(330, 480),
)
