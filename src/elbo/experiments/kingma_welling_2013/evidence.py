"""Figure 3: the marginal likelihood of three algorithms, and what several estimators make of the same models."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
import torch
from torch import Tensor
from torch.nn.functional import softplus

from elbo.data import load
from elbo.devices import resolve_device
from elbo.estimators.marginal_likelihood import Evidence, model_evidence
from elbo.experiments.kingma_welling_2013.training import schedule
from elbo.inference import aevb, mcem, wake_sleep
from elbo.inference.aevb import Trained
from elbo.models.vae import VAE, Params

__all__ = [
    "ALGORITHMS",
    "EVIDENCE",
    "RATES",
    "EvidenceSettings",
    "best_evidence_rate",
    "evidence_by_estimators",
    "evidence_curve",
    "evidence_over_seeds",
    "evidence_over_training",
    "grid_evidence",
    "importance_evidence",
]

ALGORITHMS: dict[str, Callable[..., Trained]] = {"aevb": aevb.fit, "wake-sleep": wake_sleep.fit, "mcem": mcem.fit}
RATES = (0.01, 0.02, 0.1)
"""Step sizes that the paper chose from, by performance on the training data in the first few iterations."""
EDGE, PER_SIDE = 7.0, 90
COLUMNS = ["algorithm", "seed", "split", "samples", "log_evidence", "se_images", "acceptance"]


def grid_evidence(model: VAE, params: Params, x: Tensor, *, per_side: int = PER_SIDE, edge: float = EDGE) -> Tensor:
    r"""The marginal likelihood of every image by the trapezoidal rule, :math:`\log \sum_k
    h^D\, p(x \mid z_k)\, p(z_k)`.

    In one to three dimensions no sampling is needed: with a spacing :math:`h` the rule's relative error on a
    Gaussian posterior of standard deviation :math:`s` is at most about :math:`2D\, e^{-2\pi^2 s^2 / h^2}`: at
    :math:`s = h / 2` 1.4 % in one dimension and 4.4 % in three, at :math:`s = h` below single precision; what lies
    outside the box is lost. All pictures of a grid point are one matrix product, because the Bernoulli
    log-likelihood is linear in the image.

    Args:
        x: ``(batch, data_dim)``.
        per_side, edge: points along each axis, from ``-edge`` to ``edge``.

    Returns:
        ``(batch,)`` nats, summed in the precision of the parameters. Cost: ``per_side ** D`` decoded pictures, and
        their products with the batch.

    Raises:
        ValueError: more than three latents, or a likelihood that is not Bernoulli.
    """
    if model.latent_dim > 3 or model.likelihood != "bernoulli":
        raise ValueError(
            f"the grid takes a Bernoulli likelihood and at most three latents, got {model.likelihood} and "
            f"{model.latent_dim}; use elbo.estimators.marginal_likelihood.model_evidence"
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
    """By importance sampling from a Gaussian fitted to HMC draws: needs no encoder and no box.

    Its chains start at draws from the prior. Where the posterior is narrow and has several modes they do not find the
    highest, and neither does anything fitted to them.
    """
    generator = torch.Generator(x.device).manual_seed(seed)
    return model_evidence(model, params, x, generator, draws=200, warmup=20, fit_draws=10)


def _summary(values: Tensor) -> dict[str, float]:
    return {"log_evidence": float(values.mean()), "se_images": float(values.std() / math.sqrt(len(values)))}


def _recorders(per_side: int) -> tuple[Callable, Callable]:
    """``measure`` of AEVB and wake-sleep, and ``estimate`` of Monte Carlo EM, by quadrature."""

    def measure(model: VAE, params: Params, images: Tensor) -> dict[str, float]:
        return _summary(grid_evidence(model, params, images, per_side=per_side).double())

    def estimate(model: VAE, params: Params, images: Tensor, generator: torch.Generator) -> Evidence:
        values = grid_evidence(model, params, images, per_side=per_side).double()
        return Evidence(values, torch.zeros_like(values), torch.full_like(values, math.nan), values[None, :0], "lower")

    return measure, estimate


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
    per_side: int = PER_SIDE,
    device: str = "cpu",
    checkpoint: Any = None,
) -> tuple[Trained, pd.DataFrame]:
    """Train models by one of the three algorithms and follow their marginal likelihood, by
    :func:`grid_evidence`, as samples go by.

    The same start, minibatch size (100), optimiser and weight prior for all; Monte Carlo EM has the
    paper's ten leapfrog steps, 90 % acceptance and five weight updates a draw, and counts a sample for
    each datum that a weight update sees.

    Args:
        algorithm: one of :data:`ALGORITHMS`.
        images: ``(N, data_dim)``, black and white once and for all: a Markov chain of Monte
            Carlo EM belongs to one image.
        at: numbers of samples after which to measure, multiples of 500.
        learning_rate: one for all seeds, or one for each.

    Returns:
        The trained models, and one row a seed, split and number of samples: ``log_evidence`` (mean over the
        split, nats per image), ``se_images`` (standard error of that mean), ``acceptance`` (of the HMC that
        trains; missing for the others).
    """
    run = ALGORITHMS[algorithm]
    measure, estimate = _recorders(per_side)
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
    algorithm: str,
    model: VAE,
    images: Tensor,
    *,
    samples: int = 50_000,
    seed: int = 0,
    per_side: int = PER_SIDE,
    device: str = "cpu",
) -> float:
    """The step size among :data:`RATES` with the best marginal likelihood of (100)
    training images after ``samples``.
    """
    shown = images[torch.linspace(0, len(images) - 1, min(100, len(images))).long()]
    _, table = evidence_curve(
        algorithm,
        model,
        images,
        {"train": shown},
        samples=samples,
        at=[samples],
        learning_rate=RATES,
        seeds=[seed] * len(RATES),
        per_side=per_side,
        device=device,
    )
    return RATES[int(table.log_evidence.to_numpy().argmax())]


def evidence_by_estimators(
    model: VAE,
    params: Params,
    splits: Mapping[str, Tensor],
    *,
    seed: int = 0,
    per_side: int = PER_SIDE,
    edge: float = EDGE,
) -> pd.DataFrame:
    """One trained model's marginal likelihood by three estimators: quadrature, and two that need HMC.

    ``importance``: :func:`importance_evidence`, below in expectation. ``appendix D``: the paper's estimator as it was
    used, one chain an image, four leapfrog steps, 90 % acceptance, 50 draws to fit and 50 to average.

    Returns:
        One row a split and estimator: ``log_evidence`` (mean, nats per image), ``se_images`` (its standard error over
        images), ``se_estimate`` (the standard error that the estimator itself claims, of the mean), ``off`` (mean
        distance from quadrature, with sign), ``worst`` (largest distance of one image from quadrature).
    """
    counts, images = [len(x) for x in splits.values()], torch.cat(list(splits.values()))
    exact = grid_evidence(model, params, images, per_side=per_side, edge=edge).double()
    generator = torch.Generator(images.device).manual_seed(seed)
    found = {
        "importance": importance_evidence(model, params, images, seed),
        "appendix D": model_evidence(model, params, images, generator, method="gelfand_dey", chains=1, draws=50),
    }
    tables = [("quadrature", exact, torch.zeros_like(exact))]
    tables += [
        (name, estimate.log_evidence.double(), estimate.standard_error.double()) for name, estimate in found.items()
    ]
    rows = []
    for name, values, errors in tables:
        for split, own, error, true in zip(splits, values.split(counts), errors.split(counts), exact.split(counts)):
            off = own - true
            about = {"se_estimate": float(error.square().sum().sqrt() / len(own)), "off": float(off.mean())}
            rows.append({"estimator": name, "split": split} | _summary(own) | about | {"worst": float(off.abs().max())})
    return pd.DataFrame(rows)


@dataclass(frozen=True)
class EvidenceSettings:
    """What figure 3 needs beside the data: 3 latents and 100 hidden units are the paper's.

    Attributes:
        small: images of the small training set; the large one is all there are, or the paper's 50,000.
        images: measured on the first so many of the training and of the test images.
        pilot: samples after which a step size is chosen.
        per_side: points of the grid along each of its axes.
    """

    small: int
    samples: int
    images: int
    pilot: int
    per_side: int
    hidden: int = 100
    latent_dim: int = 3


EVIDENCE = {
    "digits": EvidenceSettings(200, 50_000, 150, 10_000, 44),
    "mnist": EvidenceSettings(1000, 500_000, 200, 50_000, 90),
}


def evidence_over_training(
    dataset: str,
    *,
    samples: int = 0,
    seeds: Sequence[int] = (0,),
    device: str = "auto",
    evaluations: int = 6,
    checkpoint: Callable[[str], Any] = lambda name: None,
) -> pd.DataFrame:
    """Figure 3: the marginal likelihood of AEVB, wake-sleep and Monte Carlo EM as samples go by, for a
    small and a large training set.

    The pixels are black where the intensity is above one half, once and for all. The step size of each algorithm is the
    best of :data:`RATES` after the first few samples of the large training set, as in the paper.

    Args:
        dataset: ``"digits"`` or ``"mnist"``.
        samples: images that the weight updates see; 0 takes what suits the data set.
        checkpoint: name to path, :func:`elbo.companion.checkpoint`.

    Returns:
        One row a training size, algorithm, split and number of samples: ``log_evidence`` (nats per image,
        mean over seeds), ``se_seeds`` (missing for one seed), ``se_images``, ``acceptance`` (of Monte Carlo
        EM's chains), ``learning_rate``, ``moves`` (transitions of each image's chain so far; Monte Carlo EM
        alone), ``train_images``, ``seeds``.
    """
    if dataset not in EVIDENCE:
        raise ValueError(f"the marginal likelihood is measured on {' or '.join(EVIDENCE)}, not on {dataset}")
    chosen = EVIDENCE[dataset]
    samples = 500 * math.ceil((samples or chosen.samples) / 500)
    large = "train-50000" if dataset == "mnist" else "train"
    target = resolve_device(device)
    train, test = (load(dataset, split=split, binarise="threshold").images.to(target) for split in (large, "test"))
    model = VAE(train.shape[1], chosen.hidden, latent_dim=chosen.latent_dim)
    at = sorted({500 * math.ceil(number / 500) for number in schedule(samples, evaluations, first=2000)})
    tables = []
    for algorithm in ALGORITHMS:
        rate = best_evidence_rate(
            algorithm, model, train, samples=min(chosen.pilot, samples), per_side=chosen.per_side, device=device
        )
        for count in (chosen.small, len(train)):
            _, curve = evidence_curve(
                algorithm,
                model,
                train[:count],
                {"train": train[: min(count, chosen.images)], "test": test[: chosen.images]},
                samples=samples,
                at=at,
                learning_rate=rate,
                seeds=seeds,
                per_side=chosen.per_side,
                device=device,
                checkpoint=checkpoint(f"evidence-{algorithm}-{count}"),
            )
            moves = curve.samples / (5 * count) if algorithm == "mcem" else math.nan
            tables.append(curve.assign(train_images=count, learning_rate=rate, moves=moves))
    table = pd.concat(tables, ignore_index=True)
    grouped = table.groupby(["train_images", "algorithm", "split", "samples"], sort=True)
    return grouped.agg(
        log_evidence=("log_evidence", "mean"),
        se_seeds=("log_evidence", "sem"),
        se_images=("se_images", "mean"),
        acceptance=("acceptance", "mean"),
        moves=("moves", "mean"),
        learning_rate=("learning_rate", "mean"),
        seeds=("seed", "size"),
    ).reset_index()


def evidence_over_seeds(table: pd.DataFrame) -> pd.DataFrame:
    """The curves of a kept table of figure 3, averaged over its training seeds; by quadrature, or by importance
    sampling where a point has nothing else. Columns ``train_images, algorithm, split, samples, log_evidence,
    se_seeds`` (missing for one seed).
    """
    keys = ["train_images", "algorithm", "split", "samples"]
    curves = table[table.estimator.isin(["quadrature", "importance"])].sort_values([*keys, "estimator"])
    curves = curves.drop_duplicates([*keys, "seed"], keep="last").groupby(keys, sort=True).log_evidence
    return pd.DataFrame({"log_evidence": curves.mean(), "se_seeds": curves.sem()}).reset_index()
