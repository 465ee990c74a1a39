r"""Two remedies against latents that fall silent: free bits (Kingma et al., 2016) and warm-up (Bowman et al., 2016).

Both change what training maximises and not the bound that is reported:

.. math:: \frac1M \sum_i \log p_\theta(x_i|z_i)
          - w_t \sum_d \max\Big(\lambda,\ \frac1M \sum_i KL(q_\phi(z_d|x_i) \,\|\, N(0, 1))\Big)

*Free bits* leave the first :math:`\lambda` nats of every latent unpaid, so that no latent gains by sending less.
*Warm-up* lets the price :math:`w_t` of the divergence grow from zero to one: latents are in use before they cost.
"""

from __future__ import annotations

from functools import reduce
from typing import Any

import torch
from torch import Tensor

from elbo.inference.sgvb import binarise, reparameterise
from elbo.inference.stack import Trained
from elbo.inference.train import How, Objective, Plan, algorithm, train
from elbo.models.vae import VAE, Params
from elbo.training import Noise
from elbo.training.diagnosis import Terms
from elbo.training.step import Loss

__all__ = ["fit", "latent_kl", "objective"]


def latent_kl(mean: Tensor, log_var: Tensor) -> Tensor:
    r"""The divergence of each latent from its prior, :math:`\frac12(\mu^2 + \sigma^2 - 1 - \log \sigma^2)`, in the
    shape of ``mean`` and ``log_var``, nats."""
    return 0.5 * (torch.expm1(log_var) - log_var + mean.square())


def objective(model: VAE, free: float, steps: int, fresh: bool = False) -> tuple[Loss, Terms]:
    r"""The loss of one model, nats per datum, and the same as named terms; Kingma et al. (2016), with each latent a
    group of its own.

    Noise: ``eps`` ``(batch, latent_dim)``, ``steps`` ``()``, those taken so far, ``uniform`` ``(batch, data_dim)``
    where ``fresh``; scalar: ``beta``, the price when it has grown.

    Args:
        free: nats of every latent that cost nothing, averaged over the minibatch.
        steps: after so many the price has grown from zero to ``beta``, in proportion; 0: it is there from the start.
    """

    def terms(params: Params, x: Tensor, noise: dict[str, Tensor], scalars: dict[str, Tensor]) -> dict[str, Tensor]:
        if fresh:
            x = binarise(x, noise["uniform"])
        mean, log_var = model.encode(params, x)
        z = reparameterise(mean, log_var, noise["eps"])  # (batch, latent)
        price = scalars["beta"] * (noise["steps"] / steps).clamp(max=1.0) if steps else scalars["beta"]
        return {
            "log-likelihood": -model.log_likelihood(params, x, z).mean(),
            "KL divergence": price * latent_kl(mean, log_var).mean(0).clamp(min=free).sum(),
        }

    def loss(params: Params, x: Tensor, noise: dict[str, Tensor], scalars: dict[str, Tensor]) -> Tensor:
        return reduce(torch.add, terms(params, x, noise, scalars).values())

    return loss, terms


@algorithm(optimiser="adam")
def fit(model: VAE, data: Any, how: How, *, free: float = 0.0, warm_up: int = 0) -> Trained:
    """Train autoencoders with free bits, warm-up, or both, on a stack of models at once.

    Arguments, result and errors are those of :func:`elbo.inference.aevb.fit`, without an estimator and without a prior
    on the weights. The history holds the bound itself, so that runs compare.

    Args:
        free: nats of every latent that cost nothing.
        warm_up: images over which the price of the divergence grows to ``beta``.

    Raises:
        ValueError: also for ``free`` or ``warm_up`` below zero.
    """
    for name, value in (("free", free), ("warm_up", warm_up)):
        if not value >= 0:
            raise ValueError(f"{name} must not be negative, got {value}")

    def build(plan: Plan) -> Objective:
        loss, terms = objective(plan.model, free, plan.updates(warm_up), plan.fresh)
        noise = plan.noise() | {"steps": Noise("steps", ())}
        settings = {"algorithm": "free bits", "free": free, "warm_up": warm_up}
        return Objective(loss, terms, noise, settings=settings | plan.settings)

    return train(model, data, build, how)
