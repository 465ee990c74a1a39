r"""Full variational Bayes over the weights, appendix F of Kingma & Welling (2013), algorithm 2.

The generative parameters are latent too: a prior :math:`p(\theta) = N(0, I)`, and beside the encoder a diagonal
Gaussian
:math:`q(\theta) = N(\mu_\theta, \mathrm{diag}\,\sigma_\theta^2)` over every weight and bias of the decoder. The bound
is now one on the evidence of the whole data set, :math:`\log p(x_1, \ldots, x_N)`.

In the dictionary of parameters ``decoder.*`` are the means :math:`\mu_\theta` and ``log_var.decoder.*`` the
log-variances; a dictionary without log-variances is a model with fixed weights, and every function here takes it as
one.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from functools import reduce
from typing import Any

import torch
from torch import Tensor

from elbo.densities import gaussian_log_prob, standard_gaussian_kl
from elbo.inference.names import former_name
from elbo.inference.sgvb import binarise, minibatch_bound, reparameterise, sgvb_b
from elbo.inference.stack import Trained
from elbo.inference.train import How, Objective, Plan, algorithm, train
from elbo.models.vae import VAE, Params
from elbo.training import Noise, keyed_generator
from elbo.training.diagnosis import Terms
from elbo.training.step import Loss

__all__ = [
    "expected_bound",
    "fit",
    "full_bound",
    "full_vb",
    "log_predictive",
    "objective",
    "uncertain",
    "weights",
    "weights_kl",
    "weights_size",
]

SPREAD = "log_var."
"""What the name of a log-variance begins with; the name of its mean follows."""


def uncertain(params: Params, std: float = 0.05) -> Params:
    r"""The parameters with a log-variance beside each of the decoder's, all of the standard deviation ``std``."""
    if not std > 0:
        raise ValueError(f"std must be positive, got {std}; leave the log-variances out for fixed weights")
    spread = {SPREAD + n: torch.full_like(p, 2 * math.log(std)) for n, p in params.items() if n.startswith("decoder.")}
    return params | spread


def weights_size(params: Params) -> int:
    """How many numbers of noise one draw of the weights of a model takes."""
    return sum(param.numel() for name, param in params.items() if name.startswith(SPREAD))


def weights(params: Params, zeta: Tensor) -> Params:
    r"""One draw of the generative parameters, :math:`\theta = \mu_\theta + \sigma_\theta \odot \zeta`.

    Args:
        params: of one model.
        zeta: standard normal, ``(weights_size,)``, taken in the order of the log-variances.

    Returns:
        Parameters that a model takes: the encoder's as they are, the decoder's drawn.
    """
    names = [name for name in params if name.startswith(SPREAD)]
    pieces = zeta.split([params[name].numel() for name in names])
    drawn = {name: param for name, param in params.items() if not name.startswith(SPREAD)}
    for name, piece in zip(names, pieces):
        own = name.removeprefix(SPREAD)
        drawn[own] = reparameterise(params[own], params[name], piece.view(params[name].shape))
    return drawn


def weights_kl(params: Params) -> Tensor:
    r""":math:`KL(q(\theta) \,\|\, N(0, I))` of one model in closed form, ``()`` nats, all weights together;
    zero where none has a spread.
    """
    pairs = [(params[name.removeprefix(SPREAD)], params[name]) for name in params if name.startswith(SPREAD)]
    each = (standard_gaussian_kl(mean.flatten(), log_var.flatten()) for mean, log_var in pairs)
    return reduce(torch.add, each, torch.zeros(()))


def full_bound(model: VAE, params: Params, x: Tensor, eps: Tensor, zeta: Tensor, count: int) -> Tensor:
    r"""The bound on the evidence of all N data from a minibatch of M and one draw of the weights, equation 24.

    .. math:: \frac{N}{M} \sum_{i=1}^{M} \big[ \log p_\theta(x_i|z_i) - KL(q_\phi(z|x_i) \| N(0, I)) \big]
              - KL(q(\theta) \| N(0, I)), \qquad \theta = \mu_\theta + \sigma_\theta \odot \zeta

    Unbiased in value and in gradient, over minibatches drawn uniformly and both kinds of noise. The draw of the weights
    is shared by the minibatch, so that the variance it brings does not fall with M.

    Args:
        x: ``(M, data_dim)``.
        eps: ``(M, latent_dim)``, or ``(L, M, latent_dim)`` for L codes of each datum.
        zeta: ``(weights_size,)``.
        count: N.

    Returns:
        ``()`` nats for the data set.
    """
    bounds = sgvb_b(model, weights(params, zeta), x, eps)
    return minibatch_bound(bounds.flatten(), count) - weights_kl(params)


def objective(model: VAE, count: int, fresh: bool = False) -> tuple[Loss, Terms]:
    """The loss of one model, minus :func:`full_bound` a datum, and the same as named terms.

    Noise: ``eps`` ``(batch, latent_dim)``, ``zeta`` ``(weights_size,)``, ``uniform`` where ``fresh``.
    """

    def loss(params: Params, x: Tensor, noise: dict[str, Tensor], scalars: dict[str, Tensor]) -> Tensor:
        if fresh:
            x = binarise(x, noise["uniform"])
        return -full_bound(model, params, x, noise["eps"], noise["zeta"], count) / count

    def terms(params: Params, x: Tensor, noise: dict[str, Tensor], scalars: dict[str, Tensor]) -> dict[str, Tensor]:
        if fresh:
            x = binarise(x, noise["uniform"])
        drawn = weights(params, noise["zeta"])
        mean, log_var = model.encode(params, x)
        return {
            "weights": reduce(torch.add, [param.sum() for param in drawn.values()]),
            "log-likelihood": model.log_likelihood(drawn, x, reparameterise(mean, log_var, noise["eps"])).mean(),
            "KL divergence": standard_gaussian_kl(mean, log_var).mean(),
            "KL divergence of the weights": weights_kl(params),
        }

    return loss, terms


def expected_bound(model: VAE, params: Params, x: Tensor, generator: torch.Generator, draws: int = 16) -> Tensor:
    r"""The bound of every datum averaged over draws of weights and codes, ``(batch, data_dim) -> (batch,)`` nats.

    Unbiased for :math:`E_{q(\theta)}` of the bound, which is below :math:`\log E_{q(\theta)}\, p_\theta(x)`. Its error
    is shared by the data, as the draws of the weights are. No gradients.
    """
    total = torch.zeros(len(x), dtype=x.dtype, device=x.device)
    with torch.no_grad():
        for drawn in _draws(params, draws, generator):
            eps = torch.randn(len(x), model.latent_dim, generator=generator, dtype=x.dtype, device=x.device)
            total = total + sgvb_b(model, drawn, x, eps) / draws
    return total


def log_predictive(
    model: VAE,
    params: Params,
    x: Tensor,
    generator: torch.Generator,
    *,
    weight_draws: int = 16,
    code_draws: int = 32,
) -> Tensor:
    r"""The predictive density of new data, :math:`\log E_{q(\theta)}\, p_\theta(x)`, by importance sampling.

    .. math:: \log \frac{1}{SK} \sum_{s, k} \frac{p_{\theta_s}(x, z_{sk})}{q_\phi(z_{sk}|x)}, \qquad
              \theta_s \sim q(\theta), \quad z_{sk} \sim q_\phi(z|x)

    The ratio is unbiased, its logarithm too low on average, by less the more draws there are. With fixed weights it is
    the importance-weighted bound of S K codes: pass the same numbers to compare.

    Returns:
        ``(batch,)`` nats for ``x`` of shape ``(batch, data_dim)``. Cost: S K passes through the decoder. No gradients.
    """
    rows = []
    with torch.no_grad():
        mean, log_var = model.encode(params, x)
        for drawn in _draws(params, weight_draws, generator):
            shape = (code_draws, *mean.shape)
            z = reparameterise(mean, log_var, torch.randn(shape, generator=generator, dtype=x.dtype, device=x.device))
            rows.append(model.log_joint(drawn, x, z) - gaussian_log_prob(z, mean, log_var))
        ratios = torch.cat(rows)  # (S K, batch)
        return torch.logsumexp(ratios, 0) - math.log(len(ratios))


@algorithm(without=["beta", "latent_dims"])
def fit(model: VAE, data: Any, how: How, *, std: float = 0.05) -> Trained:
    r"""Train variational autoencoders with a posterior over the decoder's weights: algorithm 2, one draw a step (L =
    1).

    Arguments, result and errors are those of :func:`elbo.inference.aevb.fit`, with the same start for a seed and
    without ``beta``; all members have the latent size of ``model``. The parameters of the result hold
    ``log_var.decoder.*`` as well.

    Args:
        std: standard deviation of every weight at the start; the paper does not name its own.
        how: as for AEVB; the default ``measure`` adds to the history ``expected_bound``, the bound averaged over
            weights (16 draws, nats per datum), and ``weights_kl`` (nats). ``bound`` itself is that at the mean weights.
    """

    def build(plan: Plan) -> Objective:
        loss, terms = objective(plan.model, plan.count, plan.fresh)
        size = sum(math.prod(shape) for name, shape in plan.model.shapes.items() if name.startswith("decoder."))
        settings = {"algorithm": "full variational Bayes", "estimator": "B", "weight_prior": True} | plan.settings
        noise = plan.noise() | {"zeta": Noise("normal", (size,))}
        return Objective(loss, terms, noise, start=lambda start: uncertain(start, std), settings=settings)

    return train(model, data, build, how if how.measure else replace(how, measure=_measure))


full_vb = former_name(fit, "full_vb")


def _measure(model: VAE, params: Params, images: Tensor) -> dict[str, float]:
    generator = keyed_generator(images.device, "evaluate", "weights")
    found = expected_bound(model, params, images, generator).double().mean()
    return {"expected_bound": float(found), "weights_kl": float(weights_kl(params))}


def _draws(params: Params, draws: int, generator: torch.Generator) -> Iterator[Params]:
    """Parameters of ``draws`` models from q(theta)."""
    like = next(iter(params.values()))
    for _ in range(draws):
        zeta = torch.randn(weights_size(params), generator=generator, dtype=like.dtype, device=like.device)
        yield weights(params, zeta)
