r"""Wake-sleep for continuous codes (Hinton, Dayan, Frey & Neal, 1995), as Kingma & Welling (2013) compare it with AEVB.

Two objectives take turns in the original and are one sum here, because no parameter appears in both:

.. math:: \text{wake:}\quad \max_\theta \log p_\theta(x, z), \; z \sim q_\phi(z|x); \qquad
          \text{sleep:}\quad \max_\phi \log q_\phi(z|x), \; (x, z) \sim p_\theta.

What is drawn is held fixed: no gradient goes through a code of the wake phase or a dream of the sleep phase. The wake
step is the gradient of the bound in :math:`\theta`; the sleep step descends
:math:`E_{p(x)} KL(p_\theta(z|x) \| q_\phi(z|x))`, the other direction of the divergence and on dreamed data, so that
the two phases together follow no single objective.
"""

from __future__ import annotations

from functools import reduce
from typing import Any, Literal

import torch
from torch import Tensor

from elbo.densities import LOG_2PI, gaussian_log_prob
from elbo.inference.names import former_name
from elbo.inference.sgvb import binarise, log_weight_prior, minibatch_bound, reparameterise
from elbo.inference.stack import Trained
from elbo.inference.train import How, Objective, Plan, algorithm, train
from elbo.models.vae import VAE, Params
from elbo.training import Noise
from elbo.training.diagnosis import Terms
from elbo.training.step import Loss

__all__ = ["dream", "fit", "objective", "sleep", "wake", "wake_sleep"]


def wake(model: VAE, params: Params, x: Tensor, eps: Tensor) -> Tensor:
    r"""The wake phase, :math:`\log p_\theta(x, z)` at :math:`z = \mu_\phi(x) + \sigma_\phi(x) \odot \epsilon`.

    The code is held fixed. The gradient reaches :math:`\theta` alone, and is unbiased for that of the bound there.

    Args:
        x: ``(batch, data_dim)``. eps: standard normal, ``(..., batch, latent_dim)``.

    Returns:
        ``(..., batch)`` nats.
    """
    mean, log_var = model.encode(params, x)
    return model.log_joint(params, x, reparameterise(mean, log_var, eps).detach())


def dream(model: VAE, params: Params, codes: Tensor, pixels: Tensor) -> Tensor:
    r"""Data from :math:`p_\theta(x|z)` as a function of noise, held fixed: no gradient reaches :math:`\theta`.

    Args:
        codes: ``(..., latent_dim)``, draws from the prior.
        pixels: noise ``(..., data_dim)``, uniform on [0, 1) for a Bernoulli likelihood, standard normal for a Gaussian.

    Returns:
        ``(..., data_dim)``; black and white for a Bernoulli likelihood, also where the data are grey.
    """
    if model.likelihood == "bernoulli":
        return binarise(model.decode_mean(params, codes), pixels).detach()
    mean, log_var = model.decode(params, codes)
    return reparameterise(mean, log_var, pixels).detach()


def sleep(model: VAE, params: Params, codes: Tensor, pixels: Tensor, active: Tensor | float = 1.0) -> Tensor:
    r"""The sleep phase, :math:`\log q_\phi(z|x)` at a dreamed pair; its gradient reaches :math:`\phi` alone.

    Args:
        codes, pixels: as :func:`dream` takes them.
        active: ones for the latents that the model has, zeros for the padding of a stack, ``(latent_dim,)``.

    Returns:
        ``(...)`` nats.
    """
    mean, log_var = model.encode(params, dream(model, params, codes, pixels))
    return gaussian_log_prob(codes, active * mean, active * log_var)  # padding: a constant, without a gradient


def objective(model: VAE, count: int, weight_prior: bool = True, fresh: bool = False) -> tuple[Loss, Terms]:
    """The loss of one model, nats per datum: minus wake, minus sleep, minus prior; and the same as named terms.

    Its value mixes two criteria and says little; its gradient is what trains. Noise: ``eps`` and ``codes``
    ``(batch, latent_dim)``, ``pixels`` ``(batch, data_dim)``, ``uniform`` where ``fresh``; scalar: ``active``.
    """

    def terms(params: Params, x: Tensor, noise: dict[str, Tensor], scalars: dict[str, Tensor]) -> dict[str, Tensor]:
        if fresh:
            x = binarise(x, noise["uniform"])
        active = scalars["active"]
        padding = 0.5 * LOG_2PI * (1 - active).sum()  # what absent latents add to each log-density
        named = {
            "wake phase": minibatch_bound(wake(model, params, x, noise["eps"]) + padding, count),
            "sleep phase": count * (sleep(model, params, noise["codes"], noise["pixels"], active) + padding).mean(),
        }
        return named | ({"log-prior of the weights": log_weight_prior(params)} if weight_prior else {})

    def loss(params: Params, x: Tensor, noise: dict[str, Tensor], scalars: dict[str, Tensor]) -> Tensor:
        return -reduce(torch.add, terms(params, x, noise, scalars).values()) / count

    return loss, terms


@algorithm(without=["beta"])
def fit(model: VAE, data: Any, how: How, *, weight_prior: bool = True) -> Trained:
    """Train variational autoencoders by wake-sleep, on a stack of models at once; everything else as in AEVB.

    Arguments, result and errors are those of :func:`elbo.inference.aevb.fit`, without ``beta``: the same start for a
    seed, as many dreams as data in a step, one update of all parameters for both phases, and a history of the same
    bound. ``samples`` counts data, not dreams. A step costs one more pass through the encoder, and one through the
    decoder without gradients.
    """

    def build(plan: Plan) -> Objective:
        loss, terms = objective(plan.model, plan.count, weight_prior, plan.fresh)
        kind: Literal["uniform", "normal"] = "uniform" if plan.model.likelihood == "bernoulli" else "normal"
        dreams = {
            "codes": Noise("normal", (how.batch_size, plan.model.latent_dim), plan.latent_dims),
            "pixels": Noise(kind, (how.batch_size, plan.model.data_dim)),
        }
        settings = {"algorithm": "wake-sleep", "estimator": "B", "weight_prior": weight_prior} | plan.settings
        return Objective(loss, terms, plan.noise() | dreams, {"active": plan.active}, settings=settings)

    return train(model, data, build, how)


wake_sleep = former_name(fit, "wake_sleep")
