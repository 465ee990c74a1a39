"""Covering against seeking: the two directions of KL on two modes, and what factorising does to a correlated pair."""

from __future__ import annotations

import math

import numpy as np
import torch
from scipy.stats import norm

from elbo.densities import gaussian_renyi
from elbo.figures import style
from elbo.live.quadrature import tensor
from elbo.live.spec import Control, Figure, Predict

__all__ = ["FIGURE", "covering", "divergences", "factorised_variance", "seeking", "terms"]

WEIGHTS, SD = (0.6, 0.4), 0.6
"""Two modes of this weight and standard deviation, ``separation`` apart, centred."""


def log_p(z: np.ndarray, separation: float) -> np.ndarray:
    """Log-density of the two modes, in log space throughout."""
    means = (-separation / 2, separation / 2)
    return np.logaddexp(*(math.log(w) + norm.logpdf(z, m, SD) for w, m in zip(WEIGHTS, means)))


def _nodes(mean: float, sd: float) -> tuple[np.ndarray, np.ndarray]:
    """Trapezoid nodes over twelve standard deviations and their weights under N(mean, sd^2)."""
    z = np.linspace(mean - 12 * sd, mean + 12 * sd, max(401, int(24 * sd / 0.02)))
    return z, norm.pdf(z, mean, sd) * (z[1] - z[0])


def divergences(mean: float, sd: float, separation: float) -> tuple[float, float]:
    """``KL(q || p)`` and ``KL(p || q)`` for ``q = N(mean, sd^2)``, nats, by the trapezoid rule in log space."""
    z, weight = _nodes(mean, sd)
    exclusive = weight @ (norm.logpdf(z, mean, sd) - log_p(z, separation))
    inclusive = 0.0
    for share, centre in zip(WEIGHTS, (-separation / 2, separation / 2)):
        z, weight = _nodes(centre, SD)
        inclusive += share * (weight @ (log_p(z, separation) - norm.logpdf(z, mean, sd)))
    return float(exclusive), float(inclusive)


def seeking(separation: float) -> tuple[float, float]:
    r"""Mean and standard deviation of the best local minimum of ``KL(q || p)`` reached from either mode.

    Fixed point of :math:`1/s^2 = -E_q (\log p)''` and :math:`E_q (\log p)' = 0`, with half steps.
    """
    found = []
    for start in (-separation / 2, separation / 2):
        mean, sd = start, SD
        for _ in range(400):
            z, weight = _nodes(mean, sd)
            slope, bend = _derivatives(z, separation)
            step = 0.5 * sd**2 * (weight @ slope)
            new = 1 / math.sqrt(0.5 / sd**2 - 0.5 * (weight @ bend))
            moved = abs(step) + abs(new - sd)
            mean, sd = mean + step, new
            if moved < 1e-14:
                break
        found.append((divergences(mean, sd, separation)[0], mean, sd))
    return min(found, key=lambda one: round(one[0], 9))[1:]


def _derivatives(z: np.ndarray, separation: float) -> tuple[np.ndarray, np.ndarray]:
    """First and second derivative of ``log p``."""
    low, high = -separation / 2, separation / 2
    share = np.exp(math.log(WEIGHTS[1]) + norm.logpdf(z, high, SD) - log_p(z, separation))  # of the right mode
    slope = -(z - (1 - share) * low - share * high) / SD**2
    return slope, -1 / SD**2 + share * (1 - share) * separation**2 / SD**4


def covering(separation: float) -> tuple[float, float]:
    """Mean and standard deviation of the minimum of ``KL(p || q)``: those of ``p``."""
    mean = separation / 2 * (WEIGHTS[1] - WEIGHTS[0])
    return mean, math.sqrt(SD**2 + separation**2 * WEIGHTS[0] * WEIGHTS[1])


def factorised_variance(rho: float, alpha: float) -> float:
    r"""Variance of the factorised Gaussian nearest in :math:`D_\alpha(q \| p)` to a pair with correlation ``rho``.

    Setting the derivative of the closed form to zero on the eigenvalues :math:`1 \pm \rho` leaves
    :math:`(1 - \alpha) v^2 + (2\alpha - 1) v - \alpha (1 - \rho^2) = 0`: 1 at ``alpha = 0``,
    ``1 - rho^2`` at ``alpha = 1``.
    """
    b, c = 2 * alpha - 1, alpha * (1 - rho**2)
    root = math.sqrt(b**2 + 4 * (1 - alpha) * c)
    return 2 * c / (b + root) if b > 0 else (root - b) / (2 * (1 - alpha))


def terms(tab: float, mean: float, sd: float, separation: float, rho: float, a: float) -> dict[str, float]:
    """Both divergences and their least values on two modes (tab 0); variances of a factorised ``q`` (tab 1).

    ``a`` is Minka's order, 0 for ``KL(q || p)`` and 1 for ``KL(p || q)``: Rényi's order ``1 -
    a`` with the arguments swapped.
    """
    if tab:
        variance = factorised_variance(rho, 1 - a)
        eigen = tensor(1 + rho, 1 - rho).log()
        flat = tensor(variance, variance).log()
        least = gaussian_renyi(torch.zeros(2), flat, torch.zeros(2), eigen, 1 - a).item()
        return {"variance": variance, "conditional": 1 - rho**2, "least": least}
    exclusive, inclusive = divergences(mean, sd, separation)
    seek, cover = seeking(separation), covering(separation)
    return {
        "exclusive": exclusive,
        "inclusive": inclusive,
        "best_exclusive": divergences(*seek, separation)[0],
        "best_inclusive": divergences(*cover, separation)[1],
        "seek_mean": seek[0],
        "seek_sd": seek[1],
        "cover_mean": cover[0],
        "cover_sd": cover[1],
    }


def draw(state, found):
    """Two modes with both optima; beside it the ellipses of a correlated pair and its factorised approximations."""
    figure, axes = style.new(1, 2, height=2.9, width_ratios=[1.8, 1])
    left, right = axes[0]
    z = np.linspace(-5.5, 5.5, 600)
    for (mean, sd), look, label in (
        ((found["seek_mean"], found["seek_sd"]), "exclusive", "least KL(q ‖ p)"),
        ((found["cover_mean"], found["cover_sd"]), "inclusive", "least KL(p ‖ q)"),
    ):
        left.plot(z, norm.pdf(z, mean, sd), color=style.COLOUR[look], linestyle=style.LINE[look])
        peak = norm.pdf(0, 0, sd)
        left.text(
            mean + 0.1 - 1.9 * (look == "inclusive"),
            peak + 0.015,
            label,
            color=style.COLOUR[look],
            fontsize=style.SMALL,
        )
    left.plot(z, np.exp(log_p(z, state["separation"])), color=style.COLOUR["p"])
    left.text(state["separation"] / 2 + 0.5, 0.27, "p", fontsize=9)
    style.panel(left, "Two modes", "z", "density")
    left.set_ylim(0, 0.78)
    angle = np.linspace(0, 2 * np.pi, 200)
    rho = state["rho"]
    a, b = math.sqrt(1 + rho) * np.cos(angle), math.sqrt(1 - rho) * np.sin(angle)
    right.plot((a - b) / math.sqrt(2), (a + b) / math.sqrt(2), color=style.COLOUR["p"])
    for alpha, look in ((1.0, "exclusive"), (0.0, "inclusive")):
        radius = math.sqrt(factorised_variance(rho, alpha))
        right.plot(radius * np.cos(angle), radius * np.sin(angle), color=style.COLOUR[look], linestyle=style.LINE[look])
    style.panel(right, f"A pair, correlation {rho:.1f}", "first", "second")
    right.set_aspect("equal")
    return figure


FIGURE = Figure(
    id="blei-2017-live-two-kl",
    question="Which mistakes does each direction of the divergence punish?",
    caption="Which mistakes does each direction of the divergence punish? Of all Gaussians, the one of least "
    "$\\KL{q}{p}$, {best_exclusive:.3f} nats, seeks one mode (standard deviation {seek_sd:.2f}); the one of least "
    "$\\KL{p}{q}$, {best_inclusive:.3f} nats, covers both ({cover_sd:.2f}). On a pair with correlation $\\rho$ the "
    "first shrinks a factorised $q$ to the variance $1-\\rho^2$, the second keeps the whole marginal variance.",
    alt="Left, a density with two modes; a narrow dashed-free bell sits on the higher mode, a wide dashed one lies "
    "across both. Right, a slanted ellipse with a small circle inside it and a larger circle that reaches as far as "
    "its marginals.",
    controls=(
        Control("tab", "Target", 0, options=("two modes", "correlated pair")),
        Control("mean", "Mean of q", -2.0, -4, 4, 0.05, digits=2, tab=0),
        Control("sd", "Standard deviation of q", 0.6, 0.2, 3, 0.05, digits=2, tab=0),
        Control("separation", "Distance between the modes", 4.0, 0, 6, 0.1, digits=1, tab=0),
        Control("rho", "Correlation of the pair", 0.9, 0, 0.98, 0.01, digits=2, tab=1),
        Control("a", "Order a: 0 is KL(q ‖ p), 1 is KL(p ‖ q)", 0.0, 0, 0.98, 0.02, digits=2, tab=1),
    ),
    text_by="tab",
    texts=(
        "KL(q ‖ p) = {exclusive:.3f} nats, {best_exclusive:.3f} at best, on one mode. "
        "KL(p ‖ q) = {inclusive:.3f} nats, {best_inclusive:.3f} at best, across both.",
        "The nearest factorised q has variance {variance:.3f}, and is {least:.3f} nats away. The marginal variance is "
        "1, the conditional 1 − ρ² = {conditional:.4f}.",
    ),
    terms=terms,
    draw=draw,
    constants={"weights": list(WEIGHTS), "width": SD},
    predict=Predict(
        "Put q where you think KL(q ‖ p) is least, then Reveal.",
        "Your q: KL(q ‖ p) = {exclusive:.3f} nats; least is {best_exclusive:.3f}, on one mode. "
        "KL(p ‖ q) = {inclusive:.3f}; least is {best_inclusive:.3f}, across both.",
        None,
        {"tab": 0, "mean": 0, "sd": 1.5, "separation": 4},
    ),
    height=(330, 300),
)
