r"""Importance-weighted autoencoders (Burda, Grosse & Salakhutdinov, 2016): AEVB's model, a tighter bound.

.. math:: L_k(x) = E_{z_1 \ldots z_k \sim q_\phi(z|x)} \log \frac1k \sum_{l=1}^{k} \frac{p_\theta(x,
   z_l)}{q_\phi(z_l|x)}

With one draw it is the evidence lower bound by estimator A; it never falls with k and never exceeds log p(x). It shares
everything but the loss with :mod:`elbo.inference.aevb`.
"""

from __future__ import annotations

import math
from functools import reduce
from typing import Any

import torch
from torch import Tensor

from elbo.densities import gaussian_log_prob
from elbo.inference.names import former_name
from elbo.inference.sgvb import binarise, log_weight_prior, minibatch_bound, reparameterise
from elbo.inference.stack import Trained
from elbo.inference.train import How, Objective, Plan, algorithm, train
from elbo.models.vae import VAE, Params
from elbo.training.diagnosis import Terms
from elbo.training.step import Loss

__all__ = ["fit", "iwae", "iwae_bound", "log_weights", "objective"]


def log_weights(model: VAE, params: Params, x: Tensor, eps: Tensor, active: Tensor | float = 1.0) -> Tensor:
    r"""Log importance weights, :math:`\log p_\theta(x, z_l) - \log q_\phi(z_l|x)` at
    :math:`z_l = \mu + \sigma \odot \epsilon_l`.

    Args:
        x: ``(batch, data_dim)``.
        eps: standard normal noise, ``(k, batch, latent_dim)``.
        active: ones for the latents that the model has, zeros for the padding of a stack, ``(latent_dim,)``; padding
            adds nothing to a weight and gets no gradient.

    Returns:
        ``(k, batch)`` nats.
    """
    mean, log_var = model.encode(params, x)
    mean, log_var = active * mean, active * log_var  # (batch, latent)
    z = reparameterise(mean, log_var, eps)  # (k, batch, latent)
    return model.log_joint(params, x, z) - gaussian_log_prob(z, mean, log_var)


def iwae_bound(model: VAE, params: Params, x: Tensor, eps: Tensor, active: Tensor | float = 1.0) -> Tensor:
    r"""The importance-weighted bound of every datum, :math:`\log \frac1k \sum_l w_l`; Burda et al. (2016), equation 8.

    Unbiased for :math:`L_k` in value and in gradient, and so below log p(x) in expectation. Its gradient is that of the
    log-weights, averaged with the weights, normalised over the draws (equation 14). Cost: the encoder once, the decoder
    k times.

    Args and shapes as for :func:`log_weights`.

    Returns:
        ``(batch,)`` nats; the standard error of a mean is that of the rows it is taken over.
    """
    return torch.logsumexp(log_weights(model, params, x, eps, active), 0) - math.log(len(eps))


def objective(model: VAE, count: int, weight_prior: bool = True, fresh: bool = False) -> tuple[Loss, Terms]:
    """The loss of one model, nats per datum, and the same as named terms.

    Noise: ``eps`` ``(k, batch, latent_dim)``, ``uniform`` ``(batch, data_dim)`` where ``fresh``; scalar: ``active``.
    """

    def terms(params: Params, x: Tensor, noise: dict[str, Tensor], scalars: dict[str, Tensor]) -> dict[str, Tensor]:
        if fresh:
            x = binarise(x, noise["uniform"])
        bounds = iwae_bound(model, params, x, noise["eps"], scalars["active"])
        named = {"importance-weighted bound": minibatch_bound(bounds, count)}
        return named | ({"log-prior of the weights": log_weight_prior(params)} if weight_prior else {})

    def loss(params: Params, x: Tensor, noise: dict[str, Tensor], scalars: dict[str, Tensor]) -> Tensor:
        return -reduce(torch.add, terms(params, x, noise, scalars).values()) / count

    return loss, terms


@algorithm(without=["beta"], optimiser="adam", init_scale="glorot")
def fit(model: VAE, data: Any, how: How, *, draws: int = 5, weight_prior: bool = False) -> Trained:
    """Train autoencoders by the importance-weighted bound of ``draws`` codes, on a stack of models at once.

    Arguments, result and errors are those of :func:`elbo.inference.aevb.fit`, without ``beta``; the defaults are those
    of Burda et al. (2016) where they differ from Kingma & Welling (2013): Adam, Glorot's start, no prior on the
    weights. ``draws=1`` trains the variational autoencoder by estimator A. The history holds the bound of one draw
    whatever ``draws``, so that runs compare; it says how far the encoder is from the posterior as well as how good the
    model is, and only an estimate of the evidence (:func:`elbo.estimators.marginal_likelihood.importance`) tells the
    two apart.

    Raises:
        ValueError: also where ``draws`` is below one.
    """
    if draws < 1:
        raise ValueError(f"draws must be at least 1, got {draws}")

    def build(plan: Plan) -> Objective:
        loss, terms = objective(plan.model, plan.count, weight_prior, plan.fresh)
        settings = {"algorithm": f"iwae of {draws}", "estimator": "B", "weight_prior": weight_prior}
        return Objective(loss, terms, plan.noise(draws), {"active": plan.active}, settings=settings | plan.settings)

    return train(model, data, build, how)


iwae = former_name(fit, "iwae")
