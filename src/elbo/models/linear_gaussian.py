r"""The linear-Gaussian latent-variable model: factor analysis, probabilistic PCA, and the exact twin of this book.

.. math:: z \sim N(0, I_D), \qquad x \mid z \sim N(W z + \mu, \mathrm{diag}(\psi)).

Everything that the chapters estimate has a closed form here: the evidence, the posterior, the ELBO of any Gaussian
``q``, its gap, and, for a linear-Gaussian encoder, the mutual information and the marginal KL of ELBO surgery. An
estimator is tested by running it on this model. Sources: Tipping & Bishop (1999); Bishop (2006), chapter 12.2.

Shapes: ``X`` is the dimension of a datum, ``D`` that of a code. Data are ``(..., X)``, codes ``(..., D)``, results
``(...)`` nats. Parameters may carry leading axes too (a stack of models); they broadcast against the data.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor

from elbo.densities import gaussian_log_prob, mvn_entropy, mvn_kl, standard_gaussian_log_prob

__all__ = [
    "LinearEncoder",
    "LinearGaussian",
    "PopulationSurgery",
    "elbo",
    "encode",
    "expected_log_joint",
    "expected_log_likelihood",
    "fit_ppca",
    "log_evidence",
    "log_joint",
    "log_likelihood",
    "marginal",
    "mean_field_posterior",
    "population_surgery",
    "posterior",
    "posterior_encoder",
    "posterior_kl",
    "prior_kl",
    "random_model",
    "sample",
    "temper",
]


class LinearGaussian(NamedTuple):
    r"""Parameters of :math:`z \sim N(0, I),\; x \mid z \sim N(W z + \mu, \mathrm{diag}(e^{\ell}))`.

    Probabilistic PCA is the case of equal ``log_var``; factor analysis leaves them free.
    """

    weight: Tensor  # (..., X, D), W
    mean: Tensor  # (..., X), mu
    log_var: Tensor  # (..., X), log of the noise variances


class LinearEncoder(NamedTuple):
    r"""A linear-Gaussian encoder :math:`q(z \mid x) = N(A x + b, S)`: the same covariance for every datum."""

    weight: Tensor  # (..., D, X), A
    bias: Tensor  # (..., D), b
    cov: Tensor  # (..., D, D), S


class PopulationSurgery(NamedTuple):
    r"""The terms of the ELBO averaged over a Gaussian population: ``elbo = reconstruction - mutual_information -
    marginal_kl``.

    ``average_kl = mutual_information + marginal_kl``. All in nats per datum, without error.
    """

    reconstruction: Tensor
    mutual_information: Tensor
    marginal_kl: Tensor
    average_kl: Tensor
    elbo: Tensor


def random_model(
    x_dim: int, latent_dim: int, generator: torch.Generator, dtype: torch.dtype = torch.float64
) -> LinearGaussian:
    """Draw a model for a test: standard normal weights over ``sqrt(D)``, noise variances between about 0.2 and 1.

    Returns:
        A :class:`LinearGaussian` on the generator's device.
    """
    kwargs: dict[str, Any] = {"generator": generator, "dtype": dtype, "device": generator.device}
    weight = torch.randn(x_dim, latent_dim, **kwargs) / latent_dim**0.5
    mean = torch.randn(x_dim, **kwargs)
    log_var = -1.6 * torch.rand(x_dim, **kwargs)
    return LinearGaussian(weight, mean, log_var)


def sample(model: LinearGaussian, num: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Draw ``num`` pairs from the generative story; returns ``x (num, ..., X)`` and ``z (num, ..., D)``."""
    noise_shape = (num, *torch.broadcast_shapes(model.mean.shape, model.log_var.shape, model.weight.shape[:-1]))
    code_shape = (*noise_shape[:-1], model.weight.shape[-1])
    kwargs: dict[str, Any] = {"generator": generator, "dtype": model.weight.dtype, "device": model.weight.device}
    z = torch.randn(code_shape, **kwargs)
    noise = torch.randn(noise_shape, **kwargs)
    return _decode(model, z) + noise * torch.exp(0.5 * model.log_var), z


def marginal(model: LinearGaussian) -> tuple[Tensor, Tensor]:
    r"""The distribution of the data, :math:`x \sim N(\mu, W W^\top + \mathrm{diag}(\psi))`; returns ``(..., X)`` and
    ``(..., X, X)``.
    """
    return model.mean, model.weight @ model.weight.mT + torch.diag_embed(model.log_var.exp())


def log_likelihood(model: LinearGaussian, x: Tensor, z: Tensor) -> Tensor:
    r"""Conditional log-density :math:`\log p(x \mid z)`; ``(..., X), (..., D) -> (...)`` nats."""
    return gaussian_log_prob(x, _decode(model, z), model.log_var)


def log_joint(model: LinearGaussian, x: Tensor, z: Tensor) -> Tensor:
    r"""Joint log-density :math:`\log p(x, z)`, minus the energy of the code; ``(..., X), (..., D) -> (...)`` nats."""
    return log_likelihood(model, x, z) + standard_gaussian_log_prob(z)


def log_evidence(model: LinearGaussian, x: Tensor) -> Tensor:
    r"""Evidence :math:`\log p(x) = \log N(x; \mu, W W^\top + \mathrm{diag}(\psi))`, through the ``D x D`` posterior
    precision.

    With :math:`\Lambda = I + W^\top \Psi^{-1} W` and :math:`h = W^\top \Psi^{-1}(x - \mu)` the matrix inversion lemma
    gives :math:`\log p(x) = \log N(x; \mu, \Psi) - \tfrac12 \log|\Lambda| + \tfrac12 h^\top \Lambda^{-1} h`.

    Returns:
        ``(...)`` nats for ``x`` of shape ``(..., X)``. Cost O(X D^2 + D^3) once and O(X D) a datum.
    """
    chol = torch.linalg.cholesky(_precision(model))
    whitened: Tensor = torch.linalg.solve_triangular(chol, _field(model, x).unsqueeze(-1), upper=False).squeeze(-1)
    log_det: Tensor = 2 * chol.diagonal(dim1=-2, dim2=-1).log().sum(-1)
    return gaussian_log_prob(x, model.mean, model.log_var) + 0.5 * (whitened.square().sum(-1) - log_det)


def posterior(model: LinearGaussian, x: Tensor) -> tuple[Tensor, Tensor]:
    r"""Exact posterior :math:`p(z \mid x) = N(\Lambda^{-1} h, \Lambda^{-1})`, the notation of :func:`log_evidence`.

    Returns:
        Mean ``(..., D)`` and covariance ``(..., D, D)``; the covariance is the same for every datum and carries no
        data axis.
    """
    cov = torch.cholesky_inverse(torch.linalg.cholesky(_precision(model)))
    return torch.einsum("...de,...e->...d", cov, _field(model, x)), cov


def mean_field_posterior(model: LinearGaussian, x: Tensor) -> tuple[Tensor, Tensor]:
    r"""The diagonal Gaussian ``q`` that maximises the ELBO: the exact mean, and variances :math:`1 / \Lambda_{dd}`.

    They are never larger than the exact marginal variances :math:`(\Lambda^{-1})_{dd}`: the mean-field family
    under-disperses. Source: Bishop (2006), section 10.1.2.

    Returns:
        Mean ``(..., D)`` and *log-variance* ``(..., D)`` (without a data axis).
    """
    mean, _ = posterior(model, x)
    return mean, -_precision(model).diagonal(dim1=-2, dim2=-1).log()


def expected_log_likelihood(model: LinearGaussian, x: Tensor, mean: Tensor, cov: Tensor) -> Tensor:
    r"""Reconstruction term :math:`E_q \log p(x \mid z)` for :math:`q = N(m, S)`, exactly.

    .. math:: E_q \log p(x \mid z) = \log N(x; W m + \mu, \Psi) - \tfrac12 \mathrm{tr}(W^\top \Psi^{-1} W S)

    Args:
        x: ``(..., X)``.
        mean: ``(..., D)``.
        cov: ``(..., D, D)``; for a diagonal ``q`` pass ``torch.diag_embed(log_var.exp())``.

    Returns:
        ``(...)`` nats.
    """
    _check_cov(cov, mean)
    return log_likelihood(model, x, mean) - 0.5 * torch.einsum("...de,...ed->...", _information(model), cov)


def prior_kl(mean: Tensor, cov: Tensor) -> Tensor:
    r"""KL of a full-covariance Gaussian ``q`` from the prior :math:`N(0, I)`; ``(..., D), (..., D, D) -> (...)``
    nats.
    """
    _check_cov(cov, mean)
    identity = torch.eye(mean.shape[-1], dtype=mean.dtype, device=mean.device)
    return mvn_kl(mean, cov, torch.zeros_like(mean), identity)


def expected_log_joint(model: LinearGaussian, x: Tensor, mean: Tensor, cov: Tensor) -> Tensor:
    r"""Negative expected energy :math:`E_q \log p(x, z)` for :math:`q = N(m, S)`; shapes as in
    :func:`expected_log_likelihood`.
    """
    cross_entropy = -0.5 * cov.diagonal(dim1=-2, dim2=-1).sum(-1)
    return expected_log_likelihood(model, x, mean, cov) + standard_gaussian_log_prob(mean) + cross_entropy


def elbo(model: LinearGaussian, x: Tensor, mean: Tensor, cov: Tensor) -> Tensor:
    r"""Evidence lower bound of :math:`q = N(m, S)`, exactly: expected log-likelihood minus KL to the prior; ``(...)``
    nats.
    """
    return expected_log_likelihood(model, x, mean, cov) - prior_kl(mean, cov)


def posterior_kl(model: LinearGaussian, x: Tensor, mean: Tensor, cov: Tensor) -> Tensor:
    r"""The gap of the bound, :math:`KL(q \| p(z \mid x)) = \log p(x) - \mathrm{ELBO}(q)`, from its own closed form;
    ``(...)`` nats.
    """
    _check_cov(cov, mean)
    exact_mean, exact_cov = posterior(model, x)
    return mvn_kl(mean, cov, exact_mean, exact_cov)


def temper(model: LinearGaussian, beta: float) -> LinearGaussian:
    r"""The model whose posterior maximises the beta-ELBO of ``model``: noise variances multiplied by ``beta``.

    :math:`\max_q E_q \log p(x \mid z) - \beta\, KL(q \| p)` has the solution :math:`q \propto p(z)\, p(x \mid
    z)^{1/\beta}`, and a Gaussian likelihood to the power :math:`1/\beta` is a Gaussian likelihood with variance
    :math:`\beta\psi`.

    Raises:
        ValueError: ``beta`` is not positive.
    """
    if beta <= 0:
        raise ValueError(f"beta must be positive, got {beta}; beta = 1 leaves the model as it is")
    return model._replace(log_var=model.log_var + math.log(beta))


def posterior_encoder(model: LinearGaussian) -> LinearEncoder:
    r"""The exact posterior as an encoder: :math:`A = \Lambda^{-1} W^\top \Psi^{-1}`, :math:`b = -A\mu`, :math:`S =
    \Lambda^{-1}`.
    """
    cov = torch.cholesky_inverse(torch.linalg.cholesky(_precision(model)))
    weight = cov @ (model.weight * torch.exp(-model.log_var).unsqueeze(-1)).mT
    return LinearEncoder(weight, -torch.einsum("...dx,...x->...d", weight, model.mean), cov)


def encode(encoder: LinearEncoder, x: Tensor) -> tuple[Tensor, Tensor]:
    """Mean ``(..., D)`` and covariance ``(..., D, D)`` (without a data axis) of ``q(z | x)`` for ``x`` of shape
    ``(..., X)``.
    """
    return torch.einsum("...dx,...x->...d", encoder.weight, x) + encoder.bias, encoder.cov


def population_surgery(model: LinearGaussian, encoder: LinearEncoder, mean: Tensor, cov: Tensor) -> PopulationSurgery:
    r"""Hoffman & Johnson's split of the average ELBO for data :math:`x \sim N(m, C)`, exactly.

    The aggregated posterior is Gaussian, :math:`q(z) = N(A m + b, S + A C A^\top)`, and so

    .. math:: I_q(x; z) = \tfrac12 \log \frac{|S + A C A^\top|}{|S|}, \qquad
              E_x KL(q(z \mid x) \| p) = I_q(x; z) + KL(q(z) \| p).

    This is the limit of infinitely many data: there is no ceiling log N here. The exact encoder on its own model's
    population has marginal KL zero.

    Args:
        mean, cov: the population, ``(X,)`` and ``(X, X)``; :func:`marginal` gives the model's own.

    Returns:
        A :class:`PopulationSurgery` of tensors ``(...)`` in nats per datum.
    """
    aggregate_cov = encoder.cov + encoder.weight @ cov @ encoder.weight.mT
    aggregate_mean = torch.einsum("...dx,...x->...d", encoder.weight, mean) + encoder.bias
    information = mvn_entropy(aggregate_cov) - mvn_entropy(encoder.cov)
    marginal_kl = prior_kl(aggregate_mean, aggregate_cov)

    identity = torch.eye(cov.shape[-1], dtype=cov.dtype, device=cov.device)
    residual = identity - model.weight @ encoder.weight  # x - W A x
    residual_cov = residual @ cov @ residual.mT
    spread = (residual_cov.diagonal(dim1=-2, dim2=-1) * torch.exp(-model.log_var)).sum(-1)
    reconstruction = expected_log_likelihood(model, mean, aggregate_mean, encoder.cov) - 0.5 * spread

    average_kl = information + marginal_kl
    return PopulationSurgery(reconstruction, information, marginal_kl, average_kl, reconstruction - average_kl)


def fit_ppca(x: Tensor, latent_dim: int) -> LinearGaussian:
    r"""Maximum-likelihood probabilistic PCA: :math:`W = U_D (\Lambda_D - \sigma^2 I)^{1/2}`; Tipping & Bishop (1999),
    equations 7 and 8.

    Args:
        x: ``(N, X)`` data.
        latent_dim: ``D``, smaller than the rank of the centred data.

    Raises:
        ValueError: too many dimensions are asked for, so that no variance is left for the noise.
    """
    x_dim = x.shape[-1]
    mean = x.mean(0)
    variances, directions = torch.linalg.eigh((x - mean).mT @ (x - mean) / x.shape[0])  # ascending
    left_over = variances[: x_dim - latent_dim].clamp_min(0)
    if not 0 < latent_dim < x_dim or left_over.mean() <= 0:
        raise ValueError(
            f"latent_dim must be at least 1 and below the rank of the data, got {latent_dim} for data {tuple(x.shape)}"
        )
    noise = left_over.mean()
    scale = (variances[x_dim - latent_dim :] - noise).clamp_min(0).sqrt().flip(0)
    weight = directions[:, x_dim - latent_dim :].flip(1) * scale
    return LinearGaussian(weight, mean, noise.log().expand(x_dim).clone())


def _decode(model: LinearGaussian, z: Tensor) -> Tensor:
    return torch.einsum("...xd,...d->...x", model.weight, z) + model.mean


def _information(model: LinearGaussian) -> Tensor:
    """What one datum tells about its code, ``W' Psi^-1 W``: ``(..., D, D)``."""
    return model.weight.mT @ (model.weight * torch.exp(-model.log_var).unsqueeze(-1))


def _precision(model: LinearGaussian) -> Tensor:
    information = _information(model)
    return information + torch.eye(information.shape[-1], dtype=information.dtype, device=information.device)


def _field(model: LinearGaussian, x: Tensor) -> Tensor:
    """``W' Psi^-1 (x - mu)``: ``(..., D)``."""
    return torch.einsum("...xd,...x->...d", model.weight, (x - model.mean) * torch.exp(-model.log_var))


def _check_cov(cov: Tensor, mean: Tensor) -> None:
    dim = mean.shape[-1]
    if cov.shape[-2:] != (dim, dim):
        raise ValueError(
            f"cov must end in ({dim}, {dim}), got {tuple(cov.shape)}; "
            "for a diagonal q pass torch.diag_embed(log_var.exp())"
        )
