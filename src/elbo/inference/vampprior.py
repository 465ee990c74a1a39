r"""A prior that learns with the model: the VampPrior of Tomczak & Welling (2018), on AEVB's encoder and decoder.

.. math:: p_{\mathrm{new}}(z) = \frac1K \sum_{k=1}^{K} q_\phi(z \mid u_k)

is a mixture of the encodings of ``K`` made-up inputs, which are trained with everything else. With all ``N`` data as
inputs it would be the aggregated posterior, under which the marginal KL of Hoffman & Johnson (2016) is zero; ``K`` much
smaller than ``N`` keeps it from remembering the data.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from elbo.densities import gaussian_log_prob
from elbo.inference.aevb import Algorithm, Trained, aevb
from elbo.inference.sgvb import binarise, minibatch_bound, reparameterise
from elbo.models.vae import VAE, Params
from elbo.training import Adam, keyed_generator

__all__ = ["PSEUDO_INPUTS", "bound", "log_vamp_prior", "objective", "pseudo_inputs", "vampprior"]

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


def objective(model: VAE, count: int, fresh: bool = False):
    """The loss of one model, nats per datum, and the same as named terms. Noise: ``eps`` ``(batch, latent_dim)``,
    ``uniform`` ``(batch, data_dim)`` where ``fresh``."""

    def terms(params: Params, x: Tensor, noise: dict[str, Tensor], scalars: dict[str, Tensor]) -> dict[str, Tensor]:
        if fresh:
            x = binarise(x, noise["uniform"])
        return {"bound under the learned prior": minibatch_bound(bound(model, params, x, noise["eps"]), count)}

    def loss(params: Params, x: Tensor, noise: dict[str, Tensor], scalars: dict[str, Tensor]) -> Tensor:
        return -sum(terms(params, x, noise, scalars).values()) / count

    return loss, terms


def vampprior(
    model: VAE,
    data: Any,
    *,
    samples: int,
    components: int,
    batch_size: int = 100,
    seeds: Sequence[int] = (0,),
    learning_rate: float = 1e-3,
    **settings: Any,
) -> Trained:
    """Train encoder, decoder and prior together by Adam, on a stack of models of one size of code.

    The made-up inputs start at training images, drawn from the seed of each model and faded towards grey.

    Args:
        model, data, samples, batch_size, seeds: as :func:`elbo.inference.aevb.aevb` takes them.
        components: how many made-up inputs, K.
        settings: what else :func:`elbo.inference.aevb.aevb` takes (``device``, ``block``, ``init_scale``, ...).

    Returns:
        As :func:`elbo.inference.aevb.aevb`; ``params`` holds :data:`PSEUDO_INPUTS` too. The history's bound is that
        under N(0, I), which this model was not trained for: measure with :func:`bound`.

    Raises:
        ValueError: no component, more components than data, or what :func:`elbo.inference.aevb.aevb` refuses.
    """
    images = data if isinstance(data, Tensor) else data.images
    if not 1 <= components <= len(images):
        raise ValueError(f"components must lie between 1 and the {len(images)} images to start from, got {components}")

    def start(params: Params) -> Params:
        like = next(iter(params.values()))
        rows = [keyed_generator(torch.device("cpu"), seed, "pseudo-inputs") for seed in seeds]
        chosen = [images[torch.randperm(len(images), generator=each)[:components].to(images.device)] for each in rows]
        return params | {PSEUDO_INPUTS: torch.logit(0.5 + FADED * (torch.stack(chosen) - 0.5)).to(like)}

    def algorithm(stacked: VAE, widths: tuple[int, ...], fresh: bool) -> Algorithm:
        loss, terms = objective(stacked, len(images), fresh)
        return Algorithm(f"VampPrior of {components}", loss, terms, {}, {}, start)

    return aevb(
        model,
        data,
        samples=samples,
        batch_size=batch_size,
        seeds=seeds,
        weight_prior=False,
        optimiser=Adam(learning_rate),
        algorithm=algorithm,
        **settings,
    )
