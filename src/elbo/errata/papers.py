"""Checks on slips in the papers themselves and in public code."""

from __future__ import annotations

import itertools
import math

import numpy as np
import torch
from scipy import stats

from elbo.errata.common import GRID, Row, integrate, log_normal, normal
from elbo.estimators.minibatch import batch_log_weights

__all__ = ["ceiling_of_unit_variance", "cost_of_the_evidence", "misplaced_weight", "prior_of_the_stan_program"]


def prior_of_the_stan_program() -> list[Row]:
    """Appendix B's normal-gamma prior (b0 = alpha0 = beta0 = 1 here), the Stan program's, and a program that has the
    same prior."""
    sigma = 2.0
    density = normal(GRID, 0, sigma**2)  # mu given tau = 1 / sigma^2: variance 1 / tau
    exact = math.sqrt(integrate(density * GRID**2))
    return [
        Row("standard deviation of mu at sigma = 2", exact, 1 / sigma, sigma),
        Row(
            "prior probability of sigma > 2",
            stats.gamma(1).cdf(1 / sigma**2),  # tau < 1/4
            stats.invgamma(1).sf(sigma),  # sigma ~ inv_gamma(1, 1)
            stats.invgamma(1).sf(sigma**2),  # sigma^2 ~ inv_gamma(1, 1)
        ),
    ]


def cost_of_the_evidence() -> list[Row]:
    """log p(x) of a mixture of two unit Gaussians and six data, by 2^6 closed forms and by a grid over the two
    means."""
    x, prior_variance = np.array([-2.1, -1.6, -0.4, 0.9, 1.8, 2.6]), 4.0
    logs = []
    for assignment in itertools.product([0, 1], repeat=len(x)):
        total = -len(x) * math.log(2)
        for k in (0, 1):
            own = x[np.array(assignment) == k]
            cov = np.eye(len(own)) + prior_variance
            total += stats.multivariate_normal(np.zeros(len(own)), cov).logpdf(own) if len(own) else 0.0
        logs.append(total)
    axis = np.linspace(-9, 9, 361)
    mu1, mu2 = np.meshgrid(axis, axis, indexing="ij")
    log_joint = log_normal(mu1, 0, prior_variance) + log_normal(mu2, 0, prior_variance)
    for one in x:
        log_joint += np.logaddexp(log_normal(one, mu1, 1), log_normal(one, mu2, 1)) - math.log(2)
    by_grid = np.log(np.exp(log_joint).sum() * (axis[1] - axis[0]) ** 2)
    case = "log evidence: 64 terms, and a grid whose size does not depend on the number of data"
    return [Row(case, float(np.logaddexp.reduce(logs)), None, float(by_grid))]


def ceiling_of_unit_variance() -> list[Row]:
    """The largest log-density that a mixture of unit Gaussians in the plane can have: where all components sit on the
    datum."""
    axis = np.linspace(-1, 1, 201)
    z1, z2 = np.meshgrid(axis, axis)
    largest = (log_normal(z1, 0, 1) + log_normal(z2, 0, 1)).max()
    return [
        Row(
            "largest log predictive density (nats); printed: the lower end of the figure's axis",
            float(largest),
            -1.4,
            -math.log(2 * math.pi),
        )
    ]


def misplaced_weight() -> list[Row]:
    """Minibatch stratified sampling, four of a thousand data: the weight of the second code's own posterior must be
    1/N."""
    like = torch.zeros(1, dtype=torch.float64)
    printed, corrected = (batch_log_weights(kind, 4, 1000, like).exp() for kind in ("misplaced", "stratified"))
    return [
        Row(
            "weight of a code's own posterior (second of the batch)",
            1 / 1000,
            printed[1, 1].item(),
            corrected[1, 1].item(),
        )
    ]
