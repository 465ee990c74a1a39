r"""The beta-TCVAE of Chen et al. (2018): AEVB's model, with a price on the total correlation of the codes alone.

Averaged over the data, the divergence from the prior falls into three terms (the first is Hoffman & Johnson's),

.. math:: E_n\,KL(q(z|n) \,\|\, p(z)) = I_q(n; z) + KL\Big(q(z) \,\Big\|\, \prod_d q(z_d)\Big)
          + \sum_d KL(q(z_d) \,\|\, p(z_d)),

and the second is weighted. The aggregated posterior in it runs over all the data; training replaces it by an estimate
from the minibatch (:func:`elbo.estimators.batch_terms`). The estimate is biased, but the three terms add up to the
divergence whatever it is.
"""

from __future__ import annotations

from functools import reduce
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from elbo.estimators.minibatch import batch_terms
from elbo.inference.sgvb import binarise, reparameterise
from elbo.inference.stack import Trained
from elbo.inference.train import How, Objective, Plan, algorithm, train
from elbo.models.vae import VAE, Params
from elbo.training.diagnosis import Terms
from elbo.training.step import Loss

__all__ = ["Sampling", "fit", "objective"]

Sampling = Literal["weighted", "stratified"]
"""How a minibatch stands for all the data: the two schemes of Chen et al. (2018), appendix C."""


def objective(
    model: VAE, count: int, weight: float, sampling: Sampling = "weighted", fresh: bool = False
) -> tuple[Loss, Terms]:
    r"""The loss of one model, nats per datum, and the same as named terms; Chen et al. (2018).

    .. math:: -\frac1M \sum_i \Big[\log p_\theta(x_i|z_i) - \beta \big(\mathrm{MI}_i + w\,\mathrm{TC}_i
              + \mathrm{DW}_i\big)\Big]

    with one code :math:`z_i` of each datum and the terms of :func:`elbo.estimators.batch_terms`. With ``weight`` 1 it
    is the objective of AEVB by estimator A.

    Noise: ``eps`` ``(batch, latent_dim)``, ``uniform`` ``(batch, data_dim)`` where ``fresh``. Scalars: ``beta`` and
    ``active``, ones for the latents that the model has, ``(latent_dim,)``.

    Args:
        count: the number of data, N.
        weight: of the total correlation, the beta of Chen et al.
        sampling: how the minibatch stands for the data.
    """

    def terms(params: Params, x: Tensor, noise: dict[str, Tensor], scalars: dict[str, Tensor]) -> dict[str, Tensor]:
        if fresh:
            x = binarise(x, noise["uniform"])
        mean, log_var = (scalars["active"] * each for each in model.encode(params, x))  # (batch, latent)
        z = reparameterise(mean, log_var, noise["eps"])  # (batch, latent)
        found = batch_terms(z, mean, log_var, count, sampling)
        return {
            "log-likelihood": -model.log_likelihood(params, x, z).mean(),
            "mutual information": scalars["beta"] * found.mutual_information.mean(),
            "total correlation": scalars["beta"] * weight * found.total_correlation.mean(),
            "divergence of each latent": scalars["beta"] * found.dimension_kl.mean(),
        }

    def loss(params: Params, x: Tensor, noise: dict[str, Tensor], scalars: dict[str, Tensor]) -> Tensor:
        return reduce(torch.add, terms(params, x, noise, scalars).values())

    return loss, terms


@algorithm(optimiser="adam")
def fit(model: VAE, data: Any, how: How, *, weight: float, sampling: Sampling = "weighted") -> Trained:
    """Train autoencoders with a price on total correlation, on a stack of models at once.

    Arguments, result and errors are those of :func:`elbo.inference.aevb.fit`, without an estimator and without a prior
    on the weights; ``beta`` is the price of the whole divergence. The minibatch decides how good the estimate of the
    aggregated posterior is: its cost is ``batch_size`` squared times the latents.

    Args:
        weight: of the total correlation within the divergence.
        sampling: ``"weighted"`` or ``"stratified"``.

    Raises:
        ValueError: also for another sampling, a weight below zero, fewer than three images in a minibatch, or more of
            them than data.
    """
    if sampling not in get_args(Sampling):
        raise ValueError(f"sampling must be 'weighted' or 'stratified', got {sampling!r}")
    if not weight >= 0:
        raise ValueError(f"weight must not be negative, got {weight}")

    def build(plan: Plan) -> Objective:
        if not 3 <= how.batch_size <= plan.count:
            raise ValueError(f"batch_size must lie between 3 and the {plan.count} data, got {how.batch_size}")
        loss, terms = objective(plan.model, plan.count, weight, sampling, plan.fresh)
        settings = {"algorithm": f"beta-TCVAE, {sampling}", "weight": weight}
        return Objective(loss, terms, plan.noise(), {"active": plan.active}, settings=settings | plan.settings)

    return train(model, data, build, how)
