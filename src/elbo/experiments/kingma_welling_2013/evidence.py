"""Figure 3: the marginal likelihood of three algorithms, and what several estimators make of the same models."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import pandas as pd
import torch
from torch import Tensor
from torch.nn.functional import softplus

from elbo.estimators.marginal_likelihood import Evidence, model_evidence
from elbo.inference.aevb import Trained, aevb
from elbo.inference.mcem import mcem
from elbo.inference.wake_sleep import wake_sleep
from elbo.models.vae import VAE, Params

__all__ = ["ALGORITHMS", "RATES", "best_evidence_rate", "evidence_curve", "evidence_by_estimators", "grid_evidence",
           "importance_evidence"]

ALGORITHMS: dict[str, Callable[..., Trained]] = {"aevb": aevb, "wake-sleep": wake_sleep, "mcem": mcem}
RATES = (0.01, 0.02, 0.1)
"""Step sizes that the paper chose from, by performance on the training data in the first few iterations."""
EDGE, PER_SIDE = 7.0, 60
COLUMNS = ["algorithm", "seed", "split", "samples", "log_evidence", "se_images", "acceptance"]


def grid_evidence(model: VAE, params: Params, x: Tensor, *, per_side: int = PER_SIDE, edge: float = EDGE) -> Tensor:
    r"""The marginal likelihood of every image by the trapezoidal rule, :math:`\log \sum_k h^D\, p(x \mid z_k)\, p(z_k)`.

    In one to three dimensions no sampling is needed: with a spacing :math:`h` the rule's relative error on a Gaussian posterior
    of standard deviation :math:`s` is about :math:`2D\, e^{-2\pi^2 s^2 / h^2}`, 1 % at :math:`s = h / 2` and below rounding at
    :math:`s = h`; what lies outside the box is lost. All pictures of a grid point are one matrix product, because the Bernoulli
    log-likelihood is linear in the image.

    Args:
        x: ``(batch, data_dim)``.
        per_side, edge: points along each axis, from ``-edge`` to ``edge``.

    Returns:
        ``(batch,)`` nats, summed in the precision of the parameters. Cost: ``per_side ** D`` decoded pictures, and their products
        with the batch.

    Raises:
        ValueError: more than three latents, or a likelihood that is not Bernoulli.
    """
    if model.latent_dim > 3 or model.likelihood != "bernoulli":
        raise ValueError(
            f"the grid takes a Bernoulli likelihood and at most three latents, got {model.likelihood} and {model.latent_dim}; "
            "use elbo.estimators.marginal_likelihood.model_evidence"
        )
    axis = torch.linspace(-edge, edge, per_side, dtype=x.dtype, device=x.device)
    grid = torch.cartesian_prod(*[axis] * model.latent_dim).view(-1, model.latent_dim)
    total = torch.full((len(x),), -math.inf, dtype=torch.float64, device=x.device)
    with torch.no_grad():
        for z in grid.split(4096):
            logits = model.decode(params, z)
            constant = model.log_prior(z) - softplus(logits).sum(-1)
            total = torch.logaddexp(total, torch.logsumexp(x @ logits.mT + constant, 1).double())
    return total + model.latent_dim * math.log(2 * edge / (per_side - 1))


def importance_evidence(model: VAE, params: Params, x: Tensor, seed: int = 0) -> Evidence:
    """By importance sampling from a Gaussian fitted to HMC draws: needs no encoder, no box, and treats all algorithms alike."""
    generator = torch.Generator(x.device).manual_seed(seed)
    return model_evidence(model, params, x, generator, draws=200, warmup=20, fit_draws=10)


def _by_importance(model: VAE, params: Params, images: Tensor) -> Tensor:
    with torch.enable_grad():
        return importance_evidence(model, params, images).log_evidence.double()


def _summary(values: Tensor) -> dict[str, float]:
    return {"log_evidence": float(values.mean()), "se_images": float(values.std() / math.sqrt(len(values)))}


def _recorders(by: Callable[[VAE, Params, Tensor], Tensor]) -> tuple[Callable, Callable]:
    """``measure`` of AEVB and wake-sleep, and ``estimate`` of Monte Carlo EM, for values ``(batch,)`` of the images of a split."""

    def measure(model: VAE, params: Params, images: Tensor) -> dict[str, float]:
        return _summary(by(model, params, images))

    def estimate(model: VAE, params: Params, images: Tensor, generator: torch.Generator) -> Evidence:
        values = by(model, params, images)
        return Evidence(values, torch.zeros_like(values), torch.full_like(values, math.nan), values[None, :0], "lower")

    return measure, estimate


ESTIMATES = {"grid": grid_evidence, "importance": _by_importance}


def evidence_curve(
    algorithm: str,
    model: VAE,
    images: Tensor,
    evaluate_on: Mapping[str, Tensor],
    *,
    samples: int,
    at: Sequence[int],
    learning_rate: float | Sequence[float],
    seeds: Sequence[int] = (0,),
    optimiser: str = "adagrad",
    by: Literal["grid", "importance"] = "importance",
    device: str = "cpu",
    checkpoint: Any = None,
) -> tuple[Trained, pd.DataFrame]:
    """Train models by one of the three algorithms and follow their marginal likelihood as samples go by.

    The same start, minibatch size (100), optimiser and weight prior for all; Monte Carlo EM has the paper's ten leapfrog steps, 90 %
    acceptance and five weight updates a draw, and counts a sample for each datum that a weight update sees.

    Args:
        algorithm: one of :data:`ALGORITHMS`.
        images: ``(N, data_dim)``, black and white once and for all: a Markov chain of Monte Carlo EM belongs to one image.
        at: numbers of samples after which to measure, multiples of 500.
        learning_rate: one for all seeds, or one for each.
        by: how it is measured, :func:`grid_evidence` or :func:`importance_evidence`.

    Returns:
        The trained models, and one row a seed, split and number of samples: ``log_evidence`` (mean over the split, nats per
        image), ``se_images`` (standard error of that mean), ``acceptance`` (of the HMC that trains; missing for the others).
    """
    run = ALGORITHMS[algorithm]
    measure, estimate = _recorders(ESTIMATES[by])
    trained = run(
        model,
        images,
        samples=samples,
        seeds=seeds,
        learning_rate=learning_rate,
        optimiser=optimiser,
        evaluate_on=evaluate_on,
        evaluate_at=at,
        device=device,
        checkpoint=checkpoint,
        **({"estimate": estimate} if algorithm == "mcem" else {"measure": measure}),
    )
    table = trained.history.assign(algorithm=algorithm)
    if algorithm == "mcem":
        table = table.rename(columns={"se": "se_images"})
    return trained, table.reindex(columns=COLUMNS)


def best_evidence_rate(
    algorithm: str, model: VAE, images: Tensor, *, samples: int = 100_000, seed: int = 0, device: str = "cpu"
) -> float:
    """The step size among :data:`RATES` with the best marginal likelihood of (500) training images after ``samples``."""
    shown = images[torch.linspace(0, len(images) - 1, min(500, len(images))).long()]
    _, table = evidence_curve(
        algorithm,
        model,
        images,
        {"train": shown},
        samples=samples,
        at=[samples],
        learning_rate=RATES,
        seeds=[seed] * len(RATES),
        device=device,
    )
    return RATES[int(table.log_evidence.to_numpy().argmax())]


def evidence_by_estimators(
    model: VAE, params: Params, splits: Mapping[str, Tensor], *, seed: int = 0, per_side: int = 90, edge: float = EDGE
) -> pd.DataFrame:
    """One trained model's marginal likelihood by three estimators: quadrature, and two that need HMC.

    ``importance``: :func:`importance_evidence`, below in expectation. ``appendix D``: the paper's estimator as it was used, one
    chain an image, four leapfrog steps, 90 % acceptance, 50 draws to fit and 50 to average.

    Returns:
        One row a split and estimator: ``log_evidence`` (mean, nats per image), ``se_images`` (its standard error over images),
        ``se_estimate`` (the standard error that the estimator itself claims, of the mean), ``off`` (mean distance from quadrature,
        with sign), ``worst`` (largest distance of one image from quadrature).
    """
    counts, images = [len(x) for x in splits.values()], torch.cat(list(splits.values()))
    exact = grid_evidence(model, params, images, per_side=per_side, edge=edge).double()
    generator = torch.Generator(images.device).manual_seed(seed)
    found = {
        "importance": importance_evidence(model, params, images, seed),
        "appendix D": model_evidence(model, params, images, generator, method="gelfand_dey", chains=1, draws=50),
    }
    tables = [("quadrature", exact, torch.zeros_like(exact))]
    tables += [(name, estimate.log_evidence.double(), estimate.standard_error.double()) for name, estimate in found.items()]
    rows = []
    for name, values, errors in tables:
        for split, own, error, true in zip(splits, values.split(counts), errors.split(counts), exact.split(counts)):
            off = own - true
            about = {"se_estimate": float(error.square().sum().sqrt() / len(own)), "off": float(off.mean())}
            rows.append({"estimator": name, "split": split} | _summary(own) | about | {"worst": float(off.abs().max())})
    return pd.DataFrame(rows)
