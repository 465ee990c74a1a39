r"""Auto-encoding variational Bayes, the algorithm of Kingma & Welling (2013), on a stack of models at once.

The estimators of the bound live in :mod:`elbo.inference.sgvb` and are given here too.
"""

from __future__ import annotations

from typing import Any, Literal

from torch import Tensor

from elbo.densities import standard_gaussian_kl
from elbo.inference.names import former_name
from elbo.inference.sgvb import (
    ESTIMATORS,
    binarise,
    estimate_bound,
    log_weight_prior,
    minibatch_bound,
    reparameterise,
    sgvb_a,
    sgvb_b,
)
from elbo.inference.stack import Trained
from elbo.inference.train import How, Objective, Plan, algorithm, train
from elbo.models.vae import VAE, Params
from elbo.training.diagnosis import Terms
from elbo.training.step import Loss

__all__ = [
    "ESTIMATORS",
    "Trained",
    "aevb",
    "binarise",
    "estimate_bound",
    "fit",
    "log_weight_prior",
    "minibatch_bound",
    "objective",
    "reparameterise",
    "sgvb_a",
    "sgvb_b",
]


@algorithm()
def fit(
    model: VAE,
    data: Any,
    how: How,
    *,
    estimator: Literal["A", "B"] = "B",
    draws: int = 1,
    weight_prior: bool = True,
) -> Trained:
    """Train variational autoencoders: algorithm 1 of Kingma & Welling (2013), on a stack of models at once.

    Args:
        model: shapes; with ``latent_dims`` its own ``latent_dim`` is replaced by theirs.
        data: images ``(N, data_dim)``, floating point, or a data set with ``images`` and ``binarisation``.
        how: ``samples``, ``seeds``, ``optimiser`` and all else that :class:`elbo.inference.train.How` takes, by
            keyword.
        estimator, draws: which estimator of the bound, and how many codes it draws for each datum (the paper's L).
            ``"A"`` takes members of one latent size only: it would train the padding of the others.
        weight_prior: add a standard Gaussian prior on the decoder's weights, as the paper does (its MAP criterion).

    Raises:
        ValueError: arguments that do not fit together.
        RuntimeError: ``device="cuda"`` where there is none.
        FloatingPointError: the loss of a member is not finite; names the member, the step and the term.
    """

    def build(plan: Plan) -> Objective:
        if estimator == "A" and len(set(plan.latent_dims)) > 1:
            raise ValueError("estimator 'A' needs members of one latent size: train each size in a call of its own")
        loss, terms = objective(plan.model, plan.count, estimator, weight_prior, plan.fresh)
        noise = plan.noise() if draws == 1 else plan.noise(draws)
        settings = {"estimator": estimator, "weight_prior": weight_prior}
        return Objective(loss, terms, noise, settings=settings | plan.settings)

    return train(model, data, build, how)


aevb = former_name(fit, "aevb")


def objective(
    model: VAE, count: int, estimator: str = "B", weight_prior: bool = True, fresh: bool = False
) -> tuple[Loss, Terms]:
    """The loss of one model, nats per datum, and the same as named terms."""
    if estimator not in ESTIMATORS:
        raise ValueError(f"estimator must be 'A' or 'B', got {estimator!r}")
    bound = ESTIMATORS[estimator]

    def loss(params: Params, x: Tensor, noise: dict[str, Tensor], scalars: dict[str, Tensor]) -> Tensor:
        if fresh:
            x = binarise(x, noise["uniform"])
        bounds = bound(model, params, x, noise["eps"], scalars["beta"])
        total = minibatch_bound(bounds.flatten(), count)
        if weight_prior:
            total = total + log_weight_prior(params)
        return -total / count

    def terms(params: Params, x: Tensor, noise: dict[str, Tensor], scalars: dict[str, Tensor]) -> dict[str, Tensor]:
        if fresh:
            x = binarise(x, noise["uniform"])
        mean, log_var = model.encode(params, x)
        z = reparameterise(mean, log_var, noise["eps"])
        named = {
            "code": z.sum(),
            "log-likelihood": model.log_likelihood(params, x, z).mean(),
            "KL divergence": standard_gaussian_kl(mean, log_var).mean(),
        }
        return named | ({"log-prior of the weights": log_weight_prior(params)} if weight_prior else {})

    return loss, terms
