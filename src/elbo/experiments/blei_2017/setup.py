r"""The set-up as numbers: :math:`\log p(x) = \mathrm{ELBO}(q) + KL(q \| p(z \mid x))` where all three are known.

Factor analysis has local latents (the scores of one datum); Bayesian linear regression has global ones (the
coefficients). The bound, the gap and the evidence come from three separate formulas, so that their sum says something.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import torch
from scipy import stats
from sklearn.datasets import load_diabetes
from torch import Tensor

from elbo.data.sets import note_loaded
from elbo.densities import mvn_entropy, mvn_kl
from elbo.models import linear_gaussian
from elbo.models.regression import LinearRegression

__all__ = ["both_sides", "decomposition", "diabetes", "factor_scores", "jensen"]

Bound = Callable[[Tensor, Tensor], Tensor]

BARS = (0.5, 1.0, 2.0)
"""Scales of q at which :func:`decomposition` is drawn as bars."""


def diabetes() -> tuple[Tensor, Tensor]:
    """The diabetes data that scikit-learn bundles, standardised, float64: design ``(442, 10)``, target ``(442,)``."""
    design, target = load_diabetes(return_X_y=True)
    note_loaded("diabetes/all", design.tobytes() + target.tobytes())
    design = (design - design.mean(0)) / design.std(0)
    return torch.tensor(design), torch.tensor((target - target.mean()) / target.std())


def factor_scores(seed: int, x_dim: int = 6, latent_dim: int = 2) -> tuple[linear_gaussian.LinearGaussian, Tensor]:
    """A factor-analysis model and one datum ``(x_dim,)`` drawn from it."""
    generator = torch.Generator().manual_seed(seed)
    model = linear_gaussian.random_model(x_dim, latent_dim, generator)
    x, _ = linear_gaussian.sample(model, 1, generator)
    return model, x[0]


def both_sides(seed: int = 0) -> pd.DataFrame:
    """Evidence, bound and gap for three choices of q on both models, total nats.

    Returns:
        One row a model and a ``q`` (prior, mean-field, exact): ``log_evidence, elbo, kl``, and ``difference``,
        log_evidence - (elbo + kl).
    """
    rows = []
    for name, (mean, cov, elbo, _, log_evidence, prior_var) in _twins(seed).items():
        identity = torch.eye(len(mean), dtype=mean.dtype)
        mean_field = torch.diag(1 / torch.linalg.inv(cov).diagonal())
        choices = {"prior": (0 * mean, prior_var * identity), "mean-field": (mean, mean_field), "exact": (mean, cov)}
        for law, q in choices.items():
            bound, gap = elbo(*q).item(), mvn_kl(*q, mean, cov).item()
            rows.append(
                {
                    "model": name,
                    "q": law,
                    "log_evidence": log_evidence,
                    "elbo": bound,
                    "kl": gap,
                    "difference": log_evidence - (bound + gap),
                }
            )
    return pd.DataFrame(rows)


def jensen(
    low: float = 0.2, high: float = 1.8, draws: tuple[int, ...] = (1, 2, 4, 8, 16, 32), points: int = 121
) -> pd.DataFrame:
    r"""Jensen's inequality for a weight that is ``low`` or ``high`` with equal probability, as exact sums.

    Args:
        low, high: the two values of :math:`w = p(x, z) / q(z)`.
        draws: how many independent weights are averaged before the logarithm is taken.

    Returns:
        Tidy frame. ``part = "curve"``: ``w``, ``value`` its logarithm. ``part = "point"``: the two weights. ``part =
        "mean"``: ``w`` the average weight, ``log_of_mean``, ``value`` the average logarithm, ``gap`` their difference.
        ``part = "average"``: per number of ``draws``, ``value``, the expectation of the logarithm of their average,
        from the binomial distribution of how many are high. Nats.
    """
    if not 0 < low < high:
        raise ValueError(f"weights must be positive and the second the larger one, got {low} and {high}")
    curve = np.linspace(0.5 * low, 1.15 * high, points)
    mean = 0.5 * (low + high)
    logs = np.log([low, high])
    rows = [{"part": "curve", "w": w, "value": np.log(w)} for w in curve]
    rows += [{"part": "point", "w": w, "value": log} for w, log in zip((low, high), logs)]
    rows.append(
        {
            "part": "mean",
            "w": mean,
            "log_of_mean": np.log(mean),
            "value": logs.mean(),
            "gap": np.log(mean) - logs.mean(),
        }
    )
    for k in draws:
        high_count = np.arange(k + 1)
        average = (low * (k - high_count) + high * high_count) / k
        value = (stats.binom.pmf(high_count, k, 0.5) * np.log(average)).sum()
        rows.append({"part": "average", "draws": k, "value": value, "log_of_mean": np.log(mean)})
    return pd.DataFrame(rows)


def decomposition(seed: int = 0, points: int = 61) -> pd.DataFrame:
    """The three terms while q shrinks and spreads, with the exact mean and ``scale`` times the exact deviations.

    Returns:
        Per ``model`` and ``scale``: ``elbo, kl, minus_kl, log_evidence``; and the free-energy reading of the same
        bound: ``energy`` (the expectation of -log p(x, z)), ``entropy`` of q, and ``free_energy = energy - entropy =
        -elbo``. Total nats.
    """
    rows = []
    for name, (mean, cov, elbo, energy, log_evidence, _) in _twins(seed).items():
        for scale in sorted({*np.geomspace(0.25, 2.5, points), *BARS}):
            q = scale**2 * cov
            rows.append(
                {
                    "model": name,
                    "scale": scale,
                    "elbo": elbo(mean, q).item(),
                    "kl": mvn_kl(mean, q, mean, cov).item(),
                    "log_evidence": log_evidence,
                    "energy": energy(mean, q).item(),
                    "entropy": mvn_entropy(q).item(),
                }
            )
    table = pd.DataFrame(rows)
    return table.assign(free_energy=table["energy"] - table["entropy"], minus_kl=-table["kl"])


def _twins(seed: int) -> dict[str, tuple[Tensor, Tensor, Bound, Bound, float, float]]:
    """Per model: posterior mean, covariance, bound and expected energy of a Gaussian q, log evidence, prior
    variance."""
    model, x = factor_scores(seed)
    mean, cov = linear_gaussian.posterior(model, x)
    local = (
        mean,
        cov,
        lambda m, s: linear_gaussian.elbo(model, x, m, s),
        lambda m, s: -linear_gaussian.expected_log_joint(model, x, m, s),
        linear_gaussian.log_evidence(model, x).item(),
        1.0,
    )
    design, target = diabetes()
    regression = LinearRegression(prior_sd=1.0, noise_sd=0.7)
    precision = torch.linalg.inv(regression.posterior(design, target)[1])

    def energy(m: Tensor, s: Tensor) -> Tensor:
        trace = 0.5 * (precision * s).sum()  # the energy is quadratic in w: its value at the mean, plus this
        return trace - regression.log_joint(design, target, m)

    shared = (
        *regression.posterior(design, target),
        lambda m, s: regression.elbo(design, target, m, s),
        energy,
        regression.log_evidence(design, target).item(),
        regression.prior_sd**2,
    )
    return {"factor analysis (local scores)": local, "linear regression (global coefficients)": shared}
