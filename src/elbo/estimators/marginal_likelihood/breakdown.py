r"""Where appendix D's estimator breaks down, on the posterior where everything can be known: a Gaussian.

The weights :math:`q(z)/p(z|x)` have variance :math:`e^{D_2(q \| p)} - 1` under the posterior, with :math:`D_2` the
Rényi divergence of order 2. It is infinite as soon as ``q`` is, along one direction, more than twice as wide in
variance as the posterior; and the widest direction of a covariance fitted to ``L`` draws in ``D`` dimensions tends to
:math:`(1 + \sqrt{D/L})^2` times the true one (Marchenko & Pastur, 1967), above 2 from ``D = 0.17 L`` on. For the
paper's 50 draws that is nine dimensions; at sizes this small the edge is rounded off, and half of the fits are beyond
it at twelve.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from elbo.densities import gaussian_renyi, standard_gaussian_log_prob
from elbo.estimators.marginal_likelihood.evidence import Evidence, Gaussian
from elbo.estimators.marginal_likelihood.posterior import reciprocal_log_weights

__all__ = ["Breakdown", "reciprocal_breakdown"]


class Breakdown(NamedTuple):
    """Independent repetitions of appendix D's estimate of log p(x) = 0; every field ``(repeats,)``."""

    error: Tensor  # nats
    standard_error: Tensor  # nats, what the estimate claims
    effective_fraction: Tensor  # effective number of weights over their number
    log_second_moment: Tensor  # D_2(q || p) of the fitted q, exact; infinite where the variance of the weights is
    widest: Tensor  # largest eigenvalue of the fitted covariance; the posterior's is 1


def reciprocal_breakdown(
    dim: int, *, draws: int, repeats: int, generator: torch.Generator, mass: float | None = None
) -> Breakdown:
    r"""Appendix D on exact, independent draws of the posterior N(0, I): its best case, with no Markov chain to blame.

    The estimator with a fitted Gaussian does not change under affine maps of the code, so this speaks for every
    Gaussian posterior.

    Args:
        dim: of the code. draws: to fit, and as many new ones to average; more than ``dim``.
        repeats: independent estimates.
        mass: as :func:`gelfand_dey` takes it; the exact moment is then not given (nan). Where no new draw falls inside
            the ellipsoid the error is infinite.

    Returns:
        :class:`Breakdown`, in double precision on the generator's device.
    """
    kind: dict[str, Any] = {"generator": generator, "dtype": torch.float64, "device": generator.device}
    fitted = Gaussian.fit(torch.randn(draws, repeats, dim, **kind))
    z = torch.randn(draws, repeats, dim, **kind)
    log_weights = reciprocal_log_weights(fitted, z, standard_gaussian_log_prob(z), mass)
    found = Evidence.from_weights(log_weights, "upper")
    variances, axes = torch.linalg.eigh(fitted.chol @ fitted.chol.mT)
    turned = torch.einsum("bij,bi->bj", axes, fitted.mean)
    zero = torch.zeros_like(turned)
    moment = gaussian_renyi(turned, variances.log(), zero, zero, 2.0)
    if mass is not None:
        moment = torch.full_like(moment, torch.nan)
    return Breakdown(found.log_evidence, found.standard_error, found.effective_size / draws, moment, variances.amax(-1))
