"""Two estimators of one gradient from the same draws: through the score, and through the draw."""

from __future__ import annotations

import math

import numpy as np
import torch

from elbo.densities import gaussian_log_prob
from elbo.figures import style
from elbo.inference.score_function import reparameterised_a, score_function_gradient
from elbo.live.noise import COUNT, UNIT, noise
from elbo.live.quadrature import tensor
from elbo.live.spec import Control, Figure

__all__ = ["CASES", "FIGURE", "estimates", "terms"]

CASES = ("z²", "z², baseline", "cos 3z", "cos 3z, baseline")
"""The function, and whether the score function's estimator has a leave-one-out baseline."""


def _function(case: float):
    return (lambda z: z.square().sum(-1)) if case < 2 else (lambda z: torch.cos(3 * z).sum(-1))


def estimates(mean: float, sd: float, case: float) -> tuple[np.ndarray, np.ndarray]:
    r"""Per draw: :math:`(f(z) - c)(z - \mu) / \sigma^2` and :math:`f'(z)`, of the shipped noise; ``(500,)`` each."""
    f, eps = _function(case), noise().unsqueeze(-1)  # (draws, 1)
    m, log_var = tensor(mean), 2 * tensor(sd).log()
    joint = lambda z: f(z) + gaussian_log_prob(z, m, log_var)  # noqa: E731  # so that log joint - log q is f
    score = score_function_gradient(joint, m, log_var, eps, "leave-one-out" if case % 2 else 0.0)
    return score.mean.squeeze(-1).numpy(), reparameterised_a(f, m, log_var, eps).mean.squeeze(-1).numpy()


def terms(mean: float, sd: float, case: float) -> dict[str, float]:
    r"""Mean and standard error of both estimators of :math:`\partial_\mu E f(z)`, the exact
    value, the ratio of variances.
    """
    score, path = estimates(mean, sd, case)
    exact = 2 * mean if case < 2 else -3 * math.sin(3 * mean) * math.exp(-4.5 * sd**2)
    return {
        "exact": exact,
        "score": score.mean(),
        "score_se": score.std(ddof=1) / math.sqrt(COUNT),
        "path": path.mean(),
        "path_se": path.std(ddof=1) / math.sqrt(COUNT),
        "ratio": score.var(ddof=1) / path.var(ddof=1),
    }


def draw(state, found):
    """Two histograms of single-draw gradients on one axis, and the exact gradient."""
    figure, axes = style.new(2, 1, height=3.4, sharex=True)
    score, path = estimates(**state)
    reach = 3 * max(score.std(), path.std())
    bins = np.linspace(found["exact"] - reach, found["exact"] + reach, 46)
    for axis, values, look, title in (
        (axes[0, 0], score, "hmc", f"score function: {found['score']:.2f} ± {found['score_se']:.2f}"),
        (axes[1, 0], path, "aevb", f"through the draw: {found['path']:.2f} ± {found['path_se']:.2f}"),
    ):
        axis.hist(np.clip(values, bins[0], bins[-1]), bins, color=style.COLOUR[look])
        style.guide(axis.axvline(found["exact"], color="k", linewidth=1.2))
        style.panel(axis, title.replace("-", "−"), "" if look == "hmc" else "gradient from one draw", "draws")
    return figure


FIGURE = Figure(
    id="kingma-welling-2013-live-gradients",
    question="What does it buy to differentiate through the draw?",
    caption="What does it buy to differentiate through the draw? The gradient of $\\mathbb{E}_q f(z)$ in the mean of "
    "$q$, from the same 500 draws: by the score function {score:.2f} with standard error {score_se:.2f}, through the "
    "draw {path:.2f} with {path_se:.2f}; exactly {exact:.2f}. Both are right on average; a single draw of the first "
    "varies {ratio:.0f} times as much.",
    alt="Two histograms on one axis, both around the exact gradient of {exact:.2f}: that of the score function is "
    "broad, that of the reparameterised gradient narrow.",
    controls=(
        Control("mean", "Mean of q", 1.0, -2, 2, 0.05, digits=2),
        Control("sd", "Standard deviation of q", 0.5, 0.1, 2, 0.05, digits=2),
        Control("case", "f(z), and a baseline for the score function", 0, options=CASES),
    ),
    texts=(
        "Score function {score:.3f} ± {score_se:.3f}, through the draw {path:.3f} ± {path_se:.3f} (standard errors, "
        "500 draws); exact {exact:.3f}. Ratio of the variances: {ratio:.2f}.",
    ),
    terms=terms,
    draw=draw,
    constants={"unit": UNIT},
    payload="kingma-welling-2013-live-gradients.payload.js",
    height=(340, 340),
)
