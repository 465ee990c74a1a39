r"""The forms of the evidence lower bound, each as its named terms, and the importance-weighted bound.

One number, several readings. For :math:`q = N(\mu, \mathrm{diag}(\sigma^2))` and a model of :math:`x` and :math:`z`

.. math:: \mathrm{ELBO}(q) = \log p(x) - KL(q \| p(z \mid x)) = E_q \log p(x, z) + H[q]
          = E_q \log p(x \mid z) - KL(q \| p(z)).

The fourth, reconstruction minus index-code mutual information minus marginal KL, is a statement about a whole data set:
:func:`elbo.estimators.surgery`, and :func:`elbo.models.linear_gaussian.population_surgery` without sampling.

Every function takes its standard normal ``noise (L, batch, D)`` as data and averages over ``L``. With random noise
the terms are unbiased; with :func:`sigma_points` they are exact where the log-densities are quadratic in the code,
which is how the forms can be compared at rounding error on the linear-Gaussian model.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from elbo.densities import gaussian_entropy, gaussian_log_prob, standard_gaussian_kl, standard_gaussian_log_prob

__all__ = [
    "EnergyEntropy",
    "EvidenceGap",
    "ImportanceBound",
    "IndexCode",
    "ReconstructionKL",
    "energy_entropy",
    "evidence_gap",
    "importance_weighted_bound",
    "index_code",
    "reconstruction_kl",
    "sigma_points",
]

LogLikelihood = Callable[[Tensor], Tensor]


class EvidenceGap(NamedTuple):
    r"""Evidence minus posterior KL, :math:`\log p(x) - KL(q \| p(z \mid x))`; every field ``(batch,)`` nats."""

    log_evidence: Tensor
    posterior_kl: Tensor

    @property
    def elbo(self) -> Tensor:
        return self.log_evidence - self.posterior_kl


class EnergyEntropy(NamedTuple):
    r"""Minus expected energy plus entropy, with the energy :math:`U(z) = -\log p(x, z)`; every field ``(batch,)`` nats.

    At temperature ``T`` the variational free energy is ``energy - T * entropy``. At ``T = 1`` it is minus the ELBO,
    an *upper* bound on the equilibrium free energy ``-log p(x)``. The entropy rewards spreading out.
    """

    energy: Tensor  # E_q U
    entropy: Tensor  # H[q] = -E_q log q

    @property
    def elbo(self) -> Tensor:
        return self.entropy - self.energy

    def free_energy(self, temperature: float = 1.0) -> Tensor:
        """``energy - temperature * entropy``."""
        return self.energy - temperature * self.entropy


class ReconstructionKL(NamedTuple):
    r"""Reconstruction minus KL to the prior, :math:`E_q \log p(x \mid z) - KL(q \| p(z))`; every field ``(batch,)``
    nats.
    """

    reconstruction: Tensor
    prior_kl: Tensor

    @property
    def elbo(self) -> Tensor:
        return self.reconstruction - self.prior_kl

    def beta_elbo(self, beta: float) -> Tensor:
        """``reconstruction - beta * prior_kl``; for ``beta >= 1`` a lower bound on the ELBO. Higgins et al. (2017),
        equation 4.
        """
        return self.reconstruction - beta * self.prior_kl


class IndexCode(NamedTuple):
    r"""Reconstruction minus index-code mutual information minus marginal KL, pointwise; every field ``(batch,)`` nats.

    Single terms are samples: their average over data and codes is the ELBO per datum, :math:`L / N`.
    """

    reconstruction: Tensor  # log p(x_n | z_n)
    mutual_information: Tensor  # log q(z_n | x_n) - log q(z_n), at most log N
    marginal_kl: Tensor  # log q(z_n) - log p(z_n)

    @property
    def elbo(self) -> Tensor:
        return self.reconstruction - self.mutual_information - self.marginal_kl


class ImportanceBound(NamedTuple):
    """A lower bound on the evidence and its standard error; both ``(batch,)`` nats."""

    value: Tensor
    standard_error: Tensor


def reconstruction_kl(log_likelihood: LogLikelihood, mean: Tensor, log_var: Tensor, noise: Tensor) -> ReconstructionKL:
    r"""Reconstruction minus KL to the prior N(0, I), the KL in closed form; Kingma & Welling (2013), equation 7.

    Args:
        log_likelihood: ``z (L, batch, D) -> (L, batch)``, the nats :math:`\log p(x \mid z)`.
        mean, log_var: ``(batch, D)``.
        noise: ``(L, batch, D)``.

    Returns:
        :class:`ReconstructionKL`; the reconstruction averages ``L`` draws, the KL has no error. Gradients flow.
    """
    return ReconstructionKL(log_likelihood(_codes(mean, log_var, noise)).mean(0), standard_gaussian_kl(mean, log_var))


def energy_entropy(log_likelihood: LogLikelihood, mean: Tensor, log_var: Tensor, noise: Tensor) -> EnergyEntropy:
    r"""Expected energy and entropy, the entropy in closed form; Hoffman & Johnson (2016), the second form.

    Arguments as for :func:`reconstruction_kl`. The energy averages ``L`` draws of :math:`-\log p(x \mid z) - \log
    N(z; 0, I)`.
    """
    z = _codes(mean, log_var, noise)
    return EnergyEntropy(-(log_likelihood(z) + standard_gaussian_log_prob(z)).mean(0), gaussian_entropy(log_var))


def evidence_gap(
    log_evidence: Tensor, log_posterior: LogLikelihood, mean: Tensor, log_var: Tensor, noise: Tensor
) -> EvidenceGap:
    r"""Evidence minus the KL from ``q`` to the exact posterior, where both are known.

    Args:
        log_evidence: ``(batch,)``.
        log_posterior: ``z (L, batch, D) -> (L, batch)``, the nats :math:`\log p(z \mid x)`.
        mean, log_var: ``(batch, D)``.
        noise: ``(L, batch, D)``.

    Returns:
        :class:`EvidenceGap`; the KL averages ``L`` draws of :math:`\log q(z) - \log p(z \mid x)`.
    """
    z = _codes(mean, log_var, noise)
    return EvidenceGap(log_evidence, (gaussian_log_prob(z, mean, log_var) - log_posterior(z)).mean(0))


def index_code(log_likelihood: Tensor, log_posterior: Tensor, log_aggregate: Tensor, log_prior: Tensor) -> IndexCode:
    r"""The pointwise terms of the fourth form; Hoffman & Johnson (2016).

    Args:
        log_likelihood, log_posterior, log_aggregate, log_prior: ``(batch,)``: the densities
            :math:`p(x_n \mid z), q(z \mid x_n), q(z), p(z)` of one drawn code each. With a wrong ``log_aggregate``
            both parts of the KL are wrong and ``elbo`` does not change.
    """
    return IndexCode(log_likelihood, log_posterior - log_aggregate, log_aggregate - log_prior)


def importance_weighted_bound(
    log_joint: LogLikelihood, mean: Tensor, log_var: Tensor, noise: Tensor
) -> ImportanceBound:
    r"""Importance-weighted bound, :math:`\log \frac1L \sum_l p(x, z_l) / q(z_l)`; Burda, Grosse & Salakhutdinov
    (2016), equation 8.

    Its expectation is the ELBO for ``L = 1``, never falls with ``L`` and never exceeds :math:`\log p(x)`.

    Args:
        log_joint: ``z (L, batch, D) -> (L, batch)``, the nats :math:`\log p(x, z)`.
        mean, log_var: ``(batch, D)``.
        noise: ``(L, batch, D)`` random draws.

    Returns:
        :class:`ImportanceBound`. The error is the delta method's, the coefficient of variation of the weights over
        :math:`\sqrt L`; it is too small where a few weights carry the sum.
    """
    z = _codes(mean, log_var, noise)
    log_weights = log_joint(z) - gaussian_log_prob(z, mean, log_var)
    num = noise.shape[0]
    value = torch.logsumexp(log_weights, 0) - math.log(num)
    weights = torch.exp(log_weights - value)  # average one
    return ImportanceBound(value, weights.std(0) / math.sqrt(num) if num > 1 else torch.full_like(value, math.inf))


def sigma_points(dim: int, like: Tensor) -> Tensor:
    r"""The ``2 D`` points :math:`\pm\sqrt D e_d`: equal weights, mean 0, covariance I; exact for quadratics.

    Returns:
        ``(2 D, 1, D)``, to be passed as ``noise``. Source: Julier & Uhlmann (1997), with no point at the centre.
    """
    points = math.sqrt(dim) * torch.eye(dim, dtype=like.dtype, device=like.device)
    return torch.cat([points, -points]).unsqueeze(1)


def _codes(mean: Tensor, log_var: Tensor, noise: Tensor) -> Tensor:
    if noise.ndim != mean.ndim + 1 or noise.shape[-1] != mean.shape[-1]:
        raise ValueError(
            f"noise must be (L, batch, D) for a mean of {tuple(mean.shape)}, got {tuple(noise.shape)}; "
            "for one draw add a leading axis"
        )
    return mean + noise * torch.exp(0.5 * log_var)
