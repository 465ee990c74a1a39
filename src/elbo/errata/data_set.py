"""Checks on sums over a data set and on ELBO surgery.

The example has N = 4 data with encodings ``q(z | n) = N(m_n, s_n^2)`` in one dimension, a standard Gaussian prior, and
the decoder ``x | z ~ N(z, 1/2)``; every integral is by quadrature.
"""

from __future__ import annotations

import math

import numpy as np
from scipy import optimize, special

from elbo.errata.common import GRID, Row, integrate, log_normal

__all__ = [
    "divergence_of_the_average",
    "error_or_likelihood",
    "factor_one_over_n",
    "information_is_not_reconstruction",
    "stray_sum",
    "sum_covers_the_divergence",
]

X = np.array([-1.2, -0.3, 0.4, 1.5])
MEAN, VARIANCE, NOISE = np.array([-0.8, -0.2, 0.3, 1.0]), np.array([0.3, 0.4, 0.35, 0.25]), 0.5
N = len(X)
LOG_Q = log_normal(GRID, MEAN[:, None], VARIANCE[:, None])  # (N, grid)
Q = np.exp(LOG_Q)
LOG_PRIOR = log_normal(GRID, 0, 1)
AGGREGATE = Q.mean(0)


def sum_covers_the_divergence() -> list[Row]:
    """The bound of the data set as a sum of N bounds by quadrature; reading the sum as ending before the minus; and
    with braces."""
    exact = sum(integrate(q * (log_normal(x, GRID, NOISE) + LOG_PRIOR - log_q)) for x, q, log_q in zip(X, Q, LOG_Q))
    likelihood, divergence = _expected_log_likelihood(), _prior_kl()
    case = "ELBO of four data (nats), the lone divergence being that of the last datum"
    return [Row(case, exact, likelihood.sum() - divergence[-1], (likelihood - divergence).sum())]


def stray_sum() -> list[Row]:
    """The information as average KL minus marginal KL, as N terms of the expectation over q(n, z), and as one."""
    average = np.mean([integrate(q * (log_q - LOG_PRIOR)) for q, log_q in zip(Q, LOG_Q)])
    marginal = integrate(AGGREGATE * (np.log(AGGREGATE) - LOG_PRIOR))
    joint = Q / N  # q(n, z)
    expectation = sum(integrate(part * np.log(part / (AGGREGATE / N))) for part in joint)
    return [Row("mutual information of index and code (nats)", average - marginal, N * expectation, expectation)]


def divergence_of_the_average() -> list[Row]:
    """The last term of the surgery: the divergence of the averaged posterior, not the averaged divergence."""
    index = Q / Q.sum(0)  # q(n | z)
    conditional_entropy = integrate(
        AGGREGATE * -np.where(index > 0, index * np.log(np.where(index > 0, index, 1)), 0).sum(0)
    )
    information = math.log(N) - conditional_entropy
    exact = integrate(AGGREGATE * (np.log(AGGREGATE) - LOG_PRIOR))
    return [Row("marginal KL (nats)", exact, _prior_kl().mean(), _prior_kl().mean() - information)]


def information_is_not_reconstruction() -> list[Row]:
    """Codes so narrow that each tells its datum, and a decoder that does not look at them."""
    log_narrow = log_normal(GRID, MEAN[:, None], 1e-3)
    narrow, log_aggregate = np.exp(log_narrow), special.logsumexp(log_narrow, 0) - math.log(N)
    information = sum(integrate(part * (log_part - log_aggregate)) for part, log_part in zip(narrow, log_narrow)) / N
    ignored = X.mean()  # what the best decoder without a code answers
    error = np.mean([integrate(part * (x - ignored) ** 2) for x, part in zip(X, narrow)])
    return [
        Row("mutual information (nats); it is at its ceiling log 4", information, None, math.log(N)),
        Row("mean squared error of the reconstruction, with a decoder that ignores z", error, 0.0, X.var()),
    ]


def error_or_likelihood() -> list[Row]:
    """What the bound contains for each datum, and the error that a plain auto-encoder would report: opposite signs."""
    exact = np.mean([integrate(q * log_normal(x, GRID, NOISE)) for x, q in zip(X, Q)])
    error = np.mean(((X - MEAN) ** 2 + VARIANCE) / (2 * NOISE)) + 0.5 * math.log(2 * math.pi * NOISE)
    return [Row("first term of the bound per datum (nats)", exact, error, -error)]


def factor_one_over_n() -> list[Row]:
    """The mean of N Gaussian data under a Gaussian prior on it: the maximiser of L + log prior, and of L/N + log
    prior."""

    def maximise(weight: float) -> float:
        def loss(mean: float) -> float:
            return -weight * log_normal(X + 1, mean, NOISE).sum() - float(log_normal(mean, 0, 1))

        return optimize.minimize_scalar(loss, bounds=(-5, 5), method="bounded", options={"xatol": 1e-10}).x

    total = (X + 1).sum() / (N + NOISE)
    case = "maximiser with 1/N in front of the likelihood; without it the maximiser is the number as printed"
    return [Row(case, maximise(1 / N), total, (X + 1).mean() / (1 + NOISE))]


def _expected_log_likelihood() -> np.ndarray:
    """E_q log N(x_n; z, s^2) in closed form."""
    return log_normal(X, MEAN, NOISE) - VARIANCE / (2 * NOISE)


def _prior_kl() -> np.ndarray:
    """KL(q(z|n) || N(0, 1)) in closed form."""
    return 0.5 * (MEAN**2 + VARIANCE - 1 - np.log(VARIANCE))
