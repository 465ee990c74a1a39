r"""The two SGVB estimators of the evidence lower bound, and what stands around them in Kingma & Welling (2013).

Pure functions of a model, its parameters, data and noise. They work for every model with the methods
``encode(params, x)``, ``log_likelihood(params, x, z)`` and ``log_prior(z)``; estimator B also needs that prior to be
N(0, I).
"""

from __future__ import annotations

from functools import reduce

import torch
from torch import Tensor

from elbo.densities import gaussian_log_prob, standard_gaussian_kl, standard_gaussian_log_prob
from elbo.models.vae import VAE, Params

__all__ = [
    "ESTIMATORS",
    "binarise",
    "estimate_bound",
    "log_weight_prior",
    "minibatch_bound",
    "reparameterise",
    "sgvb_a",
    "sgvb_b",
]

CHUNK = 2000  # data at a time where a bound is evaluated


def reparameterise(mean: Tensor, log_var: Tensor, eps: Tensor) -> Tensor:
    r"""A draw from a diagonal Gaussian as a function of noise, :math:`z = \mu + \sigma \odot \epsilon`.

    Kingma & Welling (2013), section 2.4. ``eps`` is standard normal, ``(..., latent_dim)``; gradients reach ``mean``
    and ``log_var`` through ``z``.
    """
    return mean + torch.exp(0.5 * log_var) * eps


def sgvb_a(model: VAE, params: Params, x: Tensor, eps: Tensor, beta: float | Tensor = 1.0) -> Tensor:
    r"""Estimator A of the bound, equation 6: every term by Monte Carlo.

    .. math:: \log p_\theta(x|z) - \beta\,[\log q_\phi(z|x) - \log p(z)], \qquad
              z = \mu_\phi(x) + \sigma_\phi(x) \odot \epsilon

    Unbiased for the (beta-weighted) bound in value and in gradient.

    Args:
        x: ``(batch, data_dim)``.
        eps: standard normal noise, ``(batch, latent_dim)``, or ``(L, batch, latent_dim)`` for L draws.

    Returns:
        ``(batch,)`` or ``(L, batch)`` nats; the standard error of a mean is that of the rows it is taken over.
    """
    mean, log_var = model.encode(params, x)  # (batch, latent)
    z = reparameterise(mean, log_var, eps)  # (..., batch, latent)
    log_ratio = gaussian_log_prob(z, mean, log_var) - model.log_prior(z)  # (..., batch)
    return model.log_likelihood(params, x, z) - beta * log_ratio


def sgvb_b(model: VAE, params: Params, x: Tensor, eps: Tensor, beta: float | Tensor = 1.0) -> Tensor:
    r"""Estimator B of the bound, equations 7 and 10: the KL divergence in closed form.

    .. math:: \log p_\theta(x|z) - \beta\,KL(q_\phi(z|x) \,\|\, N(0, I)), \qquad
              z = \mu_\phi(x) + \sigma_\phi(x) \odot \epsilon

    Unbiased for the (beta-weighted) bound in value and in gradient, as a rule with less variance than A: only a rule,
    for at the exact posterior A does not vary at all.

    Args and returns as for :func:`sgvb_a`.
    """
    mean, log_var = model.encode(params, x)  # (batch, latent)
    z = reparameterise(mean, log_var, eps)  # (..., batch, latent)
    return model.log_likelihood(params, x, z) - beta * standard_gaussian_kl(mean, log_var)


ESTIMATORS = {"A": sgvb_a, "B": sgvb_b}


def minibatch_bound(bounds: Tensor, count: int) -> Tensor:
    r"""The bound of all N data from a minibatch of M, equation 8: :math:`\frac{N}{M}\sum_{i=1}^{M} L(x_i)`.

    The scale N/M matters only where something else is added to the bound, as a prior on the weights is.

    Args:
        bounds: ``(..., M)`` nats.
        count: N.

    Returns:
        ``(...)`` nats for the whole data set; unbiased when the minibatch is drawn uniformly.
    """
    return count * bounds.mean(-1)


def log_weight_prior(params: Params) -> Tensor:
    r""":math:`\log p(\theta) = \log N(\theta; 0, I)` of the decoder's weights and biases, ``()`` nats.

    Kingma & Welling (2013) maximise the bound plus this prior on the generative parameters (maximum a posteriori).
    """
    decoder = [param.flatten() for name, param in params.items() if name.startswith("decoder.")]
    return reduce(torch.add, map(standard_gaussian_log_prob, decoder))


def binarise(images: Tensor, uniform: Tensor) -> Tensor:
    """Black and white pictures: a pixel is 1 with its grey value as probability. ``uniform`` is noise on [0, 1)."""
    return (uniform < images).to(images.dtype)


def estimate_bound(
    model: VAE, params: Params, x: Tensor, generator: torch.Generator, estimator: str = "B", draws: int = 1
) -> Tensor:
    """The bound of every datum, ``(batch, data_dim) -> (batch,)`` nats, the mean over ``draws`` codes each.

    Unbiased for the bound, which is itself below the log marginal likelihood. Works in chunks; no gradients.
    """
    rows = []
    with torch.no_grad():
        for chunk in x.split(CHUNK):
            shape = (draws, len(chunk), model.latent_dim)
            eps = torch.randn(shape, generator=generator, dtype=x.dtype, device=x.device)
            rows.append(ESTIMATORS[estimator](model, params, chunk, eps).mean(0))
    return torch.cat(rows)
