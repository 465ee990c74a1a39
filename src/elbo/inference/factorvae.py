r"""FactorVAE (Kim & Mnih, 2018): a price on the total correlation of the codes, which a second network estimates.

A *discriminator* is trained to tell codes of the data from codes whose latents were shuffled among the data, each
latent for itself. Where it is at its best its logit is the log-ratio of the two densities, so that

.. math:: KL\Big(q(z) \,\Big\|\, \prod_d q(z_d)\Big) \approx E_{q(z)}[D(z)].

The estimate is only as good as the discriminator, and lags behind a code that still moves.
"""

from __future__ import annotations

from functools import reduce
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import leaky_relu, softplus

from elbo.checks import natural
from elbo.densities import standard_gaussian_kl
from elbo.inference.sgvb import binarise, reparameterise
from elbo.inference.stack import Trained
from elbo.inference.train import How, Objective, Plan, algorithm, train
from elbo.models.vae import VAE, Params
from elbo.training import Noise, keyed_generator
from elbo.training.diagnosis import Terms
from elbo.training.step import Loss

__all__ = ["discriminator", "discriminator_loss", "fit", "log_ratio", "objective", "shuffle_latents"]

SLOPE = 0.2  # of the leaky units, below zero


def discriminator(latent_dim: int, hidden: int, layers: int, generator: torch.Generator) -> Params:
    """A multilayer perceptron of leaky ReLU units with one logit, at random (He et al., 2015), biases zero."""
    widths = [latent_dim] + [hidden] * layers + [1]
    params = {}
    for layer, (inputs, outputs) in enumerate(zip(widths, widths[1:])):
        weight = torch.empty(inputs, outputs, device=generator.device)
        params[f"discriminator.{layer}.weight"] = weight.normal_(0, (2 / inputs) ** 0.5, generator=generator)
        params[f"discriminator.{layer}.bias"] = torch.zeros(outputs, device=generator.device)
    return params


def log_ratio(params: Params, z: Tensor) -> Tensor:
    r"""The discriminator's logit :math:`D(z) \approx \log q(z) - \sum_d \log q(z_d)`; ``(..., latent_dim) -> (...)``
    nats."""
    layers = sum(name.startswith("discriminator.") for name in params) // 2
    for layer in range(layers):
        z = z @ params[f"discriminator.{layer}.weight"] + params[f"discriminator.{layer}.bias"]
        z = leaky_relu(z, SLOPE) if layer < layers - 1 else z
    return z.squeeze(-1)


def shuffle_latents(z: Tensor, uniform: Tensor) -> Tensor:
    """Codes with the values of each latent in another order, latent by latent: draws from the product of the marginals,
    as far as the batch goes (algorithm 1 of Kim & Mnih, 2018).

    Args:
        z: ``(batch, latent_dim)``.
        uniform: noise of the same shape; its order is the permutation.
    """
    return torch.gather(z, 0, uniform.argsort(0))


def discriminator_loss(params: Params, z: Tensor, shuffled: Tensor) -> Tensor:
    r"""What the discriminator minimises, :math:`-\frac12 E \log \sigma(D(z)) - \frac12 E \log(1 - \sigma(D(z')))`,
    ``()`` nats: log 2 where it cannot tell codes ``z`` from shuffled ones, ``(batch, latent_dim)`` each."""
    return 0.5 * (softplus(-log_ratio(params, z)).mean() + softplus(log_ratio(params, shuffled)).mean())


def objective(model: VAE, weight: float, fresh: bool = False) -> tuple[Loss, Terms]:
    r"""The loss of one model, nats per datum, and the same as named terms; algorithm 2 of Kim & Mnih (2018).

    .. math:: -\frac1M \sum_i \Big[\log p_\theta(x_i|z_i) - \beta \big(KL(q_\phi(z|x_i) \,\|\, N(0, I))
              + w\,D(z_i)\big)\Big]

    plus the loss of the discriminator. Codes go into the latter detached, and the discriminator into the former: each
    network has the gradient of its own loss. One half of the minibatch gives the codes, the other half those that are
    shuffled.

    Noise: ``eps`` ``(batch, latent_dim)``, ``order`` uniform ``(batch // 2, latent_dim)``, ``uniform`` ``(batch,
    data_dim)`` where ``fresh``; scalar: ``beta``.

    Args:
        weight: of the total correlation, their gamma.
    """

    def terms(params: Params, x: Tensor, noise: dict[str, Tensor], scalars: dict[str, Tensor]) -> dict[str, Tensor]:
        if fresh:
            x = binarise(x, noise["uniform"])
        mean, log_var = model.encode(params, x)  # (batch, latent)
        z = reparameterise(mean, log_var, noise["eps"])  # (batch, latent)
        fixed = {name: param.detach() for name, param in params.items() if name.startswith("discriminator.")}
        half = len(noise["order"])
        shuffled = shuffle_latents(z[half : 2 * half], noise["order"])
        return {
            "log-likelihood": -model.log_likelihood(params, x, z).mean(),
            "KL divergence": scalars["beta"] * standard_gaussian_kl(mean, log_var).mean(),
            "total correlation": scalars["beta"] * weight * log_ratio(fixed, z[:half]).mean(),
            "loss of the discriminator": discriminator_loss(params, z[:half].detach(), shuffled.detach()),
        }

    def loss(params: Params, x: Tensor, noise: dict[str, Tensor], scalars: dict[str, Tensor]) -> Tensor:
        return reduce(torch.add, terms(params, x, noise, scalars).values())

    return loss, terms


@algorithm(without=["latent_dims"], optimiser="adam")
def fit(model: VAE, data: Any, how: How, *, weight: float, layers: int = 6, hidden: int = 1000) -> Trained:
    """Train autoencoders and a discriminator each, on a stack of models of one size of code.

    Both networks take a step at a time with the same optimiser and step size; the paper alternates, and gives each its
    own. Arguments are those of :func:`elbo.inference.aevb.fit`, without ``latent_dims``, an estimator, and a prior on
    the weights.

    Args:
        weight: of the total correlation within the divergence, their gamma.
        layers, hidden: hidden layers of the discriminator and units in each; the defaults are the paper's.

    Returns:
        As :func:`elbo.inference.aevb.fit`; ``params`` holds the discriminator too, for :func:`log_ratio`. The losses
        contain its loss, at most log 2 where it has learned anything.

    Raises:
        ValueError: also for a weight below zero, a discriminator without layers or units, or a minibatch of fewer than
            four.
    """
    if not weight >= 0:
        raise ValueError(f"weight must not be negative, got {weight}")
    natural(layers=layers, hidden=hidden)
    if how.batch_size < 4:
        raise ValueError(f"batch_size must be at least 4, two codes and two to shuffle, got {how.batch_size}")

    def build(plan: Plan) -> Objective:
        loss, terms = objective(plan.model, weight, plan.fresh)
        noise = plan.noise() | {"order": Noise("uniform", (how.batch_size // 2, plan.model.latent_dim))}
        settings = {"algorithm": f"FactorVAE, {layers} layers of {hidden}", "weight": weight} | plan.settings
        return Objective(loss, terms, noise, start=lambda params: start(params, plan), settings=settings)

    def start(params: Params, plan: Plan) -> Params:
        like = next(iter(params.values()))
        rows = [keyed_generator(torch.device("cpu"), seed, "discriminator") for seed in plan.seeds]
        each = [discriminator(plan.model.latent_dim, hidden, layers, generator) for generator in rows]
        return params | {name: torch.stack([one[name] for one in each]).to(like) for name in each[0]}

    return train(model, data, build, how)
