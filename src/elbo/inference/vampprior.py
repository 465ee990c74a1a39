r"""A prior that learns with the model: the VampPrior of Tomczak & Welling (2018), on AEVB's encoder and decoder.

.. math:: p_{\mathrm{new}}(z) = \frac1K \sum_{k=1}^{K} q_\phi(z \mid u_k)

is a mixture of the encodings of ``K`` made-up inputs, which are trained with everything else. With all ``N`` data as
inputs it would be the aggregated posterior, under which the marginal KL of Hoffman & Johnson (2016) is zero; ``K`` much
smaller than ``N`` keeps it from remembering the data.
"""

from __future__ import annotations

import math
from functools import reduce
from typing import Any

import torch
from torch import Tensor

from elbo.densities import gaussian_log_prob
from elbo.inference.names import former_name
from elbo.inference.sgvb import binarise, minibatch_bound, reparameterise
from elbo.inference.stack import Trained
from elbo.inference.train import How, Objective, Plan, algorithm, train
from elbo.models.vae import VAE, Params
from elbo.training import keyed_generator
from elbo.training.diagnosis import Terms
from elbo.training.step import Loss

__all__ = ["PSEUDO_INPUTS", "bound", "fit", "log_vamp_prior", "objective", "pseudo_inputs", "vampprior"]

PSEUDO_INPUTS = "prior.inputs"
"""Name of the prior's own parameter: logits of the made-up inputs, ``(components, data_dim)``."""
FADED = 0.8  # how far the starting inputs are faded from black and white, so that their logits are finite


def pseudo_inputs(params: Params) -> Tensor:
    """The made-up inputs, grey pictures in [0, 1], ``(components, data_dim)``."""
    return torch.sigmoid(params[PSEUDO_INPUTS])


def log_vamp_prior(model: VAE, params: Params, z: Tensor) -> Tensor:
    r"""Log-density of the learned prior, :math:`\log \frac1K \sum_k q_\phi(z \mid u_k)`; Tomczak & Welling (2018).

    Args:
        z: ``(batch, latent_dim)`` codes.

    Returns:
        ``(batch,)`` nats, exact. Cost: the encoder on ``K`` inputs and ``batch * K`` Gaussian densities.
    """
    mean, log_var = model.encode(params, pseudo_inputs(params))  # (components, latent)
    terms = gaussian_log_prob(z.unsqueeze(-2), mean, log_var)  # (batch, components)
    return torch.logsumexp(terms, -1) - math.log(len(mean))


def bound(model: VAE, params: Params, x: Tensor, eps: Tensor) -> Tensor:
    r"""The evidence lower bound under the learned prior, every term at one draw:
    :math:`\log p_\theta(x|z) + \log p_{\mathrm{new}}(z) - \log q_\phi(z|x)`.

    Unbiased in value and gradient (estimator A of Kingma & Welling, 2013).

    Args:
        x: ``(batch, data_dim)``. eps: standard normal noise, ``(batch, latent_dim)``.

    Returns:
        ``(batch,)`` nats; the standard error of a mean is that of the rows it is taken over.
    """
    mean, log_var = model.encode(params, x)
    z = reparameterise(mean, log_var, eps)  # (batch, latent)
    log_ratio = log_vamp_prior(model, params, z) - gaussian_log_prob(z, mean, log_var)
    return model.log_likelihood(params, x, z) + log_ratio


def objective(model: VAE, count: int, fresh: bool = False) -> tuple[Loss, Terms]:
    """The loss of one model, nats per datum, and the same as named terms. Noise: ``eps`` ``(batch, latent_dim)``,
    ``uniform`` ``(batch, data_dim)`` where ``fresh``."""

    def terms(params: Params, x: Tensor, noise: dict[str, Tensor], scalars: dict[str, Tensor]) -> dict[str, Tensor]:
        if fresh:
            x = binarise(x, noise["uniform"])
        return {"bound under the learned prior": minibatch_bound(bound(model, params, x, noise["eps"]), count)}

    def loss(params: Params, x: Tensor, noise: dict[str, Tensor], scalars: dict[str, Tensor]) -> Tensor:
        return -reduce(torch.add, terms(params, x, noise, scalars).values()) / count

    return loss, terms


@algorithm(without=["beta", "latent_dims"], optimiser="adam")
def fit(model: VAE, data: Any, how: How, *, components: int) -> Trained:
    """Train encoder, decoder and prior together, on a stack of models of one size of code.

    The made-up inputs start at training images, drawn from the seed of each model and faded towards grey. Arguments are
    those of :func:`elbo.inference.aevb.fit`, without ``beta`` and ``latent_dims``.

    Args:
        components: how many made-up inputs, K.

    Returns:
        As :func:`elbo.inference.aevb.fit`; ``params`` holds :data:`PSEUDO_INPUTS` too. The history's bound is that
        under N(0, I), which this model was not trained for: measure with :func:`bound`.

    Raises:
        ValueError: no component, more components than data, or what :func:`elbo.inference.aevb.fit` refuses.
    """

    def build(plan: Plan) -> Objective:
        count = plan.count
        if not 1 <= components <= count:
            raise ValueError(f"components must lie between 1 and the {count} images to start from, got {components}")
        loss, terms = objective(plan.model, count, plan.fresh)
        settings = {"algorithm": f"VampPrior of {components}", "estimator": "B", "weight_prior": False} | plan.settings
        return Objective(loss, terms, plan.noise(), start=lambda params: start(params, plan), settings=settings)

    def start(params: Params, plan: Plan) -> Params:
        like = next(iter(params.values()))
        rows = [keyed_generator(torch.device("cpu"), seed, "pseudo-inputs") for seed in plan.seeds]
        drawn = [torch.randperm(plan.count, generator=each)[:components] for each in rows]
        chosen = torch.stack([plan.data[index.to(like.device)] for index in drawn])  # (members, components, pixels)
        return params | {PSEUDO_INPUTS: torch.logit(0.5 + FADED * (chosen - 0.5)).to(like)}

    return train(model, data, build, how)


vampprior = former_name(fit, "vampprior")
