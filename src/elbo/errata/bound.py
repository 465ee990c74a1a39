"""Checks on the set-up and the bound. Each returns rows of exact, printed and corrected values.

The example is one datum ``x = 1`` of ``z ~ N(0, 1), x | z ~ N(z, 1/2)``, and ``q(z) = N(1/2, 1/4)`` unless said
otherwise.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from scipy import optimize

from elbo.errata.common import GRID, Row, integrate, log_normal, normal
from elbo.experiments.blei_2017.divergences import coordinate_ascent, moment_match

__all__ = [
    "energy_is_not_bounded",
    "entropy_rewards_spreading",
    "prior_counted_twice",
    "sign_of_the_entropy",
    "sign_of_the_evidence",
    "which_divergence",
]

X, NOISE = 1.0, 0.5
LOG_JOINT = log_normal(GRID, 0, 1) + log_normal(X, GRID, NOISE)
LOG_Q = log_normal(GRID, 0.5, 0.25)
POSTERIOR_MEAN, POSTERIOR_VARIANCE = X / (1 + NOISE), NOISE / (1 + NOISE)
LOG_EVIDENCE = float(log_normal(X, 0, 1 + NOISE))


def prior_counted_twice() -> list[Row]:
    """The posterior integrates to one, and its density at zero is that of the known Gaussian posterior."""
    joint, prior, evidence = np.exp(LOG_JOINT), normal(GRID, 0, 1), math.exp(LOG_EVIDENCE)
    printed, corrected = joint * prior / evidence, joint / evidence
    zero = len(GRID) // 2
    return [
        Row("integral over z", 1.0, integrate(printed), integrate(corrected)),
        Row("density at z = 0", float(normal(0, POSTERIOR_MEAN, POSTERIOR_VARIANCE)), printed[zero], corrected[zero]),
    ]


def sign_of_the_evidence() -> list[Row]:
    """The bound by quadrature of log p(x, z) - log q(z), and from the posterior with either sign of log p(x)."""
    q = np.exp(LOG_Q)
    log_posterior = log_normal(GRID, POSTERIOR_MEAN, POSTERIOR_VARIANCE)
    return [
        Row(
            "ELBO (nats)",
            integrate(q * (LOG_JOINT - LOG_Q)),
            integrate(q * (log_posterior - LOG_Q - LOG_EVIDENCE)),
            integrate(q * (log_posterior - LOG_Q + LOG_EVIDENCE)),
        )
    ]


def energy_is_not_bounded() -> list[Row]:
    """The least value of -ELBO over all q on three states, found by search: the energy there, and -log p(x)."""
    joint = np.array([0.2, 0.1, 0.05])  # p(x, z) of the datum at hand for z = 1, 2, 3

    def minus_elbo(logits: np.ndarray) -> float:
        log_q = logits - np.log(np.exp(logits).sum())
        return float(np.exp(log_q) @ (log_q - np.log(joint)))

    found = optimize.minimize(minus_elbo, np.zeros(3), tol=1e-12)
    q = np.exp(found.x) / np.exp(found.x).sum()
    case = "least value of −ELBO over all q, which must not lie below what it bounds"
    return [Row(case, found.fun, float(q @ -np.log(joint)), -math.log(joint.sum()))]


def sign_of_the_entropy() -> list[Row]:
    """The entropy of q by quadrature, the term under the brace, and the closed form."""
    q = np.exp(LOG_Q)
    joint_term = integrate(q * LOG_JOINT)
    return [
        Row(
            "entropy of q (nats)",
            integrate(np.where(q > 0, -q * LOG_Q, 0)),
            integrate(q * LOG_Q),
            0.5 * math.log(2 * math.pi * math.e * 0.25),
        ),
        Row(
            "ELBO = E[log p(x, z)] ∓ entropy",
            integrate(q * (LOG_JOINT - LOG_Q)),
            joint_term - _entropy(0.25),
            joint_term + _entropy(0.25),
        ),
    ]


def entropy_rewards_spreading() -> list[Row]:
    """How the entropy term changes as q is made twice as wide, and which width the bound prefers with and without
    it."""
    wide = integrate(-normal(GRID, 0.5, 1.0) * log_normal(GRID, 0.5, 1.0))
    narrow = integrate(-normal(GRID, 0.5, 0.25) * log_normal(GRID, 0.5, 0.25))

    def minus_elbo(log_sd: float) -> float:
        log_q = log_normal(GRID, POSTERIOR_MEAN, math.exp(2 * log_sd))
        return -integrate(np.exp(log_q) * (LOG_JOINT - log_q))

    best = math.exp(optimize.minimize_scalar(minus_elbo, bounds=(-3, 1), method="bounded", options={"xatol": 1e-9}).x)
    return [
        Row("change of the entropy when q becomes twice as wide (nats)", wide - narrow, "negative", math.log(2)),
        Row(
            "standard deviation of the best q; without the entropy it would be 0",
            best,
            None,
            math.sqrt(POSTERIOR_VARIANCE),
        ),
    ]


def which_divergence() -> list[Row]:
    """Variance of the best factorised Gaussian for correlation 0.9: what the algorithm finds, and the optimum of either
    divergence."""
    cov = torch.tensor([[1.0, 0.9], [0.9, 1.0]], dtype=torch.float64)
    mean = torch.zeros(2, dtype=torch.float64)
    _, by_vb = coordinate_ascent(mean, torch.linalg.inv(cov), torch.ones(2, dtype=torch.float64), 50)
    _, by_ep = moment_match(mean, cov)
    exclusive, inclusive = _best_variance(cov.numpy(), True), _best_variance(cov.numpy(), False)
    return [
        Row("variational Bayes (coordinate ascent): variance", by_vb[0].item(), inclusive, exclusive),
        Row("expectation propagation: variance", by_ep[0].item(), exclusive, inclusive),
    ]


def _best_variance(cov: np.ndarray, exclusive: bool) -> float:
    """The common variance v of N(0, v I) that minimises KL(q||p) (exclusive) or KL(p||q), both in closed form."""
    precision, det = np.linalg.inv(cov), np.linalg.det(cov)

    def divergence(log_v: float) -> float:
        v = math.exp(log_v)
        if exclusive:
            return 0.5 * (np.trace(precision) * v - 2 + math.log(det / v**2))
        return 0.5 * (np.trace(cov) / v - 2 + math.log(v**2 / det))

    found = optimize.minimize_scalar(divergence, bounds=(-6, 3), method="bounded", options={"xatol": 1e-10})
    return math.exp(found.x)


def _entropy(variance: float) -> float:
    return 0.5 * math.log(2 * math.pi * math.e * variance)
