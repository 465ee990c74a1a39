r"""A divergence that is held at a target which grows: the capacity schedule of Burgess et al. (2018).

.. math:: \log p_\theta(x|z) - \gamma\, |KL(q_\phi(z|x) \,\|\, N(0, I)) - C|

In place of a price it sets an amount: ``C`` nats of code, from zero to the capacity as training goes on, so that one
cause after the other finds room in it.
"""

from __future__ import annotations

from functools import reduce
from typing import Any

import torch
from torch import Tensor

from elbo.densities import standard_gaussian_kl
from elbo.inference.sgvb import binarise, reparameterise
from elbo.inference.stack import Trained
from elbo.inference.train import How, Objective, Plan, algorithm, train
from elbo.models.vae import VAE, Params
from elbo.training import Noise
from elbo.training.diagnosis import Terms
from elbo.training.step import Loss

__all__ = ["fit", "objective"]


def objective(model: VAE, weight: float, capacity: float, steps: int, fresh: bool = False) -> tuple[Loss, Terms]:
    r"""The loss of one model, nats per datum, and the same as named terms; Burgess et al. (2018).

    The absolute value is taken of the mean over the minibatch: the capacity is one of the code on average, and data
    that need more nats may have them.

    Noise: ``eps`` ``(batch, latent_dim)``, ``steps`` ``()``, those taken so far, ``uniform`` ``(batch, data_dim)``
    where ``fresh``.

    Args:
        weight: their gamma.
        capacity: the C at the end, nats.
        steps: after so many C has grown to ``capacity``, in proportion; 0: it is there from the start.
    """

    def terms(params: Params, x: Tensor, noise: dict[str, Tensor], scalars: dict[str, Tensor]) -> dict[str, Tensor]:
        if fresh:
            x = binarise(x, noise["uniform"])
        mean, log_var = model.encode(params, x)
        z = reparameterise(mean, log_var, noise["eps"])  # (batch, latent)
        target = capacity * (noise["steps"] / steps).clamp(max=1.0) if steps else capacity
        return {
            "log-likelihood": -model.log_likelihood(params, x, z).mean(),
            "distance from the capacity": weight * (standard_gaussian_kl(mean, log_var).mean() - target).abs(),
        }

    def loss(params: Params, x: Tensor, noise: dict[str, Tensor], scalars: dict[str, Tensor]) -> Tensor:
        return reduce(torch.add, terms(params, x, noise, scalars).values())

    return loss, terms


@algorithm(without=["beta"], optimiser="adam")
def fit(model: VAE, data: Any, how: How, *, capacity: float, weight: float = 1000.0, reached: int = 0) -> Trained:
    """Train autoencoders whose code is to have a given number of nats, on a stack of models at once.

    Arguments, result and errors are those of :func:`elbo.inference.aevb.fit`, without ``beta``, an estimator, and a
    prior on the weights.

    Args:
        capacity: nats of code at the end; the paper's 25 for dSprites.
        weight: of the distance from it.
        reached: images after which the capacity is reached, growing in proportion from zero.

    Raises:
        ValueError: also for a capacity, weight or number of images below zero.
    """
    for name, value in (("capacity", capacity), ("weight", weight), ("reached", reached)):
        if not value >= 0:
            raise ValueError(f"{name} must not be negative, got {value}")

    def build(plan: Plan) -> Objective:
        loss, terms = objective(plan.model, weight, capacity, plan.updates(reached), plan.fresh)
        noise = plan.noise() | {"steps": Noise("steps", ())}
        settings = {"algorithm": "capacity", "weight": weight, "capacity": capacity, "reached": reached}
        return Objective(loss, terms, noise, settings=settings | plan.settings)

    return train(model, data, build, how)
