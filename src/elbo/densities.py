"""Closed forms: log-densities, entropies and divergences.

Everything here returns ``(batch,)`` nats (the last axis is summed, no other), keeps its normalising constant, and runs
on the device and in the precision of its arguments, which must be of floating point (``TypeError``). Variances enter as
``log_var``, probabilities as ``logits``.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from elbo.checks import floating

__all__ = [
    "LOG_2PI",
    "bernoulli_log_prob",
    "gaussian_entropy",
    "gaussian_kl",
    "gaussian_log_prob",
    "gaussian_renyi",
    "mvn_entropy",
    "mvn_kl",
    "mvn_log_prob",
    "standard_gaussian_kl",
    "standard_gaussian_log_prob",
]

LOG_2PI = math.log(2 * math.pi)


def gaussian_log_prob(x: Tensor, mean: Tensor, log_var: Tensor) -> Tensor:
    r"""Log-density of a diagonal Gaussian, :math:`\log N(x; \mu, \mathrm{diag}(\sigma^2))`.

    Args:
        x, mean, log_var: ``(..., dim)``, broadcast against each other.

    Returns:
        ``(...)`` nats, summed over ``dim``.
    """
    floating(x=x, mean=mean, log_var=log_var)
    squared = (x - mean).square() * torch.exp(-log_var)
    return -0.5 * (squared + log_var + LOG_2PI).sum(-1)


def standard_gaussian_log_prob(z: Tensor) -> Tensor:
    r"""Log-density of the standard Gaussian, :math:`\log N(z; 0, I)`; ``(..., dim) -> (...)`` nats."""
    floating(z=z)
    return -0.5 * (z.square() + LOG_2PI).sum(-1)


def bernoulli_log_prob(x: Tensor, logits: Tensor) -> Tensor:
    r"""Log-mass of independent Bernoullis, :math:`\sum_d x_d \ell_d - \mathrm{softplus}(\ell_d)`.

    Kingma & Welling (2013), equation 11, with :math:`y = \mathrm{sigmoid}(\ell)`. Of grey values ``x`` it is
    the usual cross-entropy, no normalised log-likelihood.

    Args:
        x, logits: ``(..., dim)``, broadcast against each other.

    Returns:
        ``(...)`` nats, summed over ``dim``.
    """
    floating(x=x, logits=logits)
    return (x * logits - torch.nn.functional.softplus(logits)).sum(-1)


def gaussian_entropy(log_var: Tensor) -> Tensor:
    r"""Entropy of a diagonal Gaussian, :math:`\tfrac12 \sum_d (1 + \log 2\pi + \log\sigma_d^2)`; ``(..., dim) ->
    (...)`` nats."""
    floating(log_var=log_var)
    return 0.5 * (log_var + 1 + LOG_2PI).sum(-1)


def gaussian_kl(mean_q: Tensor, log_var_q: Tensor, mean_p: Tensor, log_var_p: Tensor) -> Tensor:
    r"""KL divergence between diagonal Gaussians.

    .. math:: KL(q \| p) = \tfrac12 \sum_d \Big[ \log\frac{\sigma_{p,d}^2}{\sigma_{q,d}^2} - 1
              + \frac{\sigma_{q,d}^2 + (\mu_{q,d} - \mu_{p,d})^2}{\sigma_{p,d}^2} \Big]

    Args:
        mean_q, log_var_q, mean_p, log_var_p: ``(..., dim)``, broadcast against each other.

    Returns:
        ``(...)`` nats, summed over ``dim``; never negative.
    """
    floating(mean_q=mean_q, log_var_q=log_var_q, mean_p=mean_p, log_var_p=log_var_p)
    ratio = log_var_q - log_var_p
    shift = (mean_q - mean_p).square() * torch.exp(-log_var_p)
    return 0.5 * (torch.expm1(ratio) - ratio + shift).sum(-1)


def standard_gaussian_kl(mean: Tensor, log_var: Tensor) -> Tensor:
    r"""KL divergence of a diagonal Gaussian from the standard one; Kingma & Welling (2013), appendix B.

    .. math:: KL(q \| N(0, I)) = -\tfrac12 \sum_d (1 + \log\sigma_d^2 - \mu_d^2 - \sigma_d^2)

    Returns:
        ``(...)`` nats for arguments ``(..., dim)``.
    """
    floating(mean=mean, log_var=log_var)
    return 0.5 * (torch.expm1(log_var) - log_var + mean.square()).sum(-1)


def gaussian_renyi(mean_q: Tensor, log_var_q: Tensor, mean_p: Tensor, log_var_p: Tensor, alpha: float) -> Tensor:
    r"""Rényi divergence :math:`D_\alpha(q\|p) = \frac{1}{\alpha-1}\log\int q^\alpha p^{1-\alpha}` between diagonal
    Gaussians.

    ``alpha = 1`` is the KL divergence. Where :math:`\alpha\sigma_p^2 + (1-\alpha)\sigma_q^2 \le 0` the integral
    diverges and the result is ``inf``. Source: Gil, Alajaji & Linder (2013), table 2.

    Returns:
        ``(...)`` nats for arguments ``(..., dim)``.

    Raises:
        ValueError: ``alpha`` is not positive.
    """
    floating(mean_q=mean_q, log_var_q=log_var_q, mean_p=mean_p, log_var_p=log_var_p)
    if not 0 < alpha < math.inf:
        raise ValueError(f"alpha must be positive and finite, got {alpha}; for the reverse direction swap q and p")
    if alpha == 1:
        return gaussian_kl(mean_q, log_var_q, mean_p, log_var_p)
    var_q, var_p = log_var_q.exp(), log_var_p.exp()
    mixed = alpha * var_p + (1 - alpha) * var_q
    safe = torch.where(mixed > 0, mixed, torch.ones_like(mixed))
    log_ratio = torch.log(safe) - (1 - alpha) * log_var_q - alpha * log_var_p
    terms = 0.5 * alpha * (mean_q - mean_p).square() / safe - 0.5 * log_ratio / (alpha - 1)
    return torch.where(mixed > 0, terms, torch.full_like(terms, math.inf)).sum(-1)


def mvn_log_prob(x: Tensor, mean: Tensor, cov: Tensor) -> Tensor:
    r"""Log-density of a full-covariance Gaussian.

    Args:
        x, mean: ``(..., dim)``.
        cov: ``(..., dim, dim)``, symmetric positive definite.

    Returns:
        ``(...)`` nats.

    Raises:
        torch.linalg.LinAlgError: ``cov`` is not positive definite.
    """
    floating(x=x, mean=mean, cov=cov)
    chol = torch.linalg.cholesky(cov)
    whitened: Tensor = torch.linalg.solve_triangular(chol, (x - mean).unsqueeze(-1), upper=False).squeeze(-1)
    return -0.5 * (whitened.square() + LOG_2PI).sum(-1) - _half_log_det(chol)


def mvn_entropy(cov: Tensor) -> Tensor:
    r"""Entropy of a full-covariance Gaussian, :math:`\tfrac12\log|2\pi e\Sigma|`; ``(..., dim, dim) -> (...)`` nats."""
    floating(cov=cov)
    return 0.5 * cov.shape[-1] * (1 + LOG_2PI) + _half_log_det(torch.linalg.cholesky(cov))


def mvn_kl(mean_q: Tensor, cov_q: Tensor, mean_p: Tensor, cov_p: Tensor) -> Tensor:
    r"""KL divergence between full-covariance Gaussians.

    .. math:: KL(q\|p) = \tfrac12\big[\log\tfrac{|\Sigma_p|}{|\Sigma_q|} - D + \mathrm{tr}(\Sigma_p^{-1}\Sigma_q)
              + (\mu_p-\mu_q)^\top\Sigma_p^{-1}(\mu_p-\mu_q)\big]

    Args:
        mean_q, mean_p: ``(..., dim)``.
        cov_q, cov_p: ``(..., dim, dim)``, symmetric positive definite.

    Returns:
        ``(...)`` nats.
    """
    floating(mean_q=mean_q, cov_q=cov_q, mean_p=mean_p, cov_p=cov_p)
    chol_q, chol_p = torch.linalg.cholesky(cov_q), torch.linalg.cholesky(cov_p)
    scaled: Tensor = torch.linalg.solve_triangular(chol_p, chol_q, upper=False)
    shift: Tensor = torch.linalg.solve_triangular(chol_p, (mean_q - mean_p).unsqueeze(-1), upper=False)
    dim = cov_q.shape[-1]
    log_dets = _half_log_det(chol_p) - _half_log_det(chol_q)
    return log_dets + 0.5 * (scaled.square().sum((-1, -2)) + shift.square().sum((-1, -2)) - dim)


def _half_log_det(chol: Tensor) -> Tensor:
    return chol.diagonal(dim1=-2, dim2=-1).log().sum(-1)
