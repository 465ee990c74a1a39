"""The chapter's long reference tables, a part for each curve: figures 2 and 3. The list of them all.

Ages stand on one ladder, whatever the length of a run, so that a longer run goes on from the checkpoint of a shorter
one.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from elbo import reference
from elbo.data import load
from elbo.experiments.kingma_welling_2013.burda import BURDA_LONG
from elbo.experiments.kingma_welling_2013.draws_grid import DRAWS_GRID
from elbo.experiments.kingma_welling_2013.evidence import ALGORITHMS as THREE
from elbo.experiments.kingma_welling_2013.evidence import (
    RATES,
    best_evidence_rate,
    evidence_by_estimators,
    evidence_curve,
)
from elbo.experiments.kingma_welling_2013.training import ALGORITHMS
from elbo.models.vae import VAE
from elbo.reference.parts import Sweep, write

__all__ = [
    "LADDER",
    "NETWORKS",
    "SWEEPS",
    "best_rate",
    "bound_parts",
    "evidence_parts",
    "longest",
]

CHAPTER = "kingma-welling-2013"
LADDER = tuple(100 * round(10 ** (2 + k / 8)) for k in range(35))
"""Numbers of samples, eight a decade from 10,000, at which a curve is looked at; lengths of runs are among them."""
START = 0.01
"""Standard deviation of every weight at the start. N(0, 0.01) may be read as a variance, too; the paper's curves begin
where 0.01 as a standard deviation begins, at -543.4 nats on MNIST, 784 log 2."""
NETWORKS = {
    "mnist": {"hidden": 500, "likelihood": "bernoulli", "latent_dims": (20, 10, 5, 3, 200)},
    "frey": {"hidden": 200, "likelihood": "gaussian", "latent_dims": (10, 20, 5, 2)},
}


def best_rate(dataset: str, algorithm: str, latent_dim: int, samples: int = 200_000) -> float:
    """The step size among :data:`RATES` with the best bound on 2,000 training images after ``samples``, seed 0.

    Measured once and kept beside the checkpoints.
    """
    kept = reference.scratch(CHAPTER, f"rate-{dataset}-{algorithm}-{latent_dim}-start-{START:g}").with_suffix(".json")
    return _kept_rate(kept, lambda: _pilot(dataset, algorithm, latent_dim, samples))


def _kept_rate(kept: Path, pilot: Callable[[], float]) -> float:
    """What a file says, or what the pilot finds, which is then kept there."""
    if not kept.exists():
        write(kept, json.dumps({"rate": pilot(), "among": RATES}) + "\n")
    return json.loads(kept.read_text())["rate"]


def _pilot(dataset: str, algorithm: str, latent_dim: int, samples: int) -> float:
    train, network = load(dataset, split="train"), NETWORKS[dataset]
    model = VAE(train.images.shape[1], network["hidden"], latent_dim=latent_dim, likelihood=network["likelihood"])
    some = train.images[torch.linspace(0, len(train) - 1, min(2000, len(train))).long()]
    pilot = ALGORITHMS[algorithm](
        model,
        train,
        samples=samples,
        seeds=[0] * len(RATES),
        learning_rate=RATES,
        init_scale=START,
        evaluate_on={"train": some},
        device="cpu",
    )
    return RATES[int(np.argmax(pilot.history.bound))]


def bound_parts(stack: Sequence[dict], device: str = "cpu") -> list[pd.DataFrame]:
    """Curves of figure 2 with the paper's network, minibatches (100), optimiser, start and weight prior.

    Args:
        stack: settings ``dataset`` (``"mnist"``: 60,000 training images, black and white, drawn afresh from the grey
            levels; ``"frey"``: 1,572 training faces, 393 held out), ``algorithm``, ``latent_dim``, ``seed`` and
            ``samples``, the training images that a model sees, one of :data:`LADDER`.

    Returns:
        For each curve rows ``split, samples`` with ``bound`` and its standard error over the images of the split,
        ``se_images`` (nats per image), and the ``learning_rate``, chosen among :data:`RATES` for an algorithm with 10
        latents, and again for sizes above 20. The training split is as many training images as there are test images,
        spread evenly.

    Raises:
        ValueError: a length that is not on the ladder.
    """
    dataset, algorithm, samples = (stack[0][name] for name in ("dataset", "algorithm", "samples"))
    if samples not in LADDER:
        raise ValueError(f"samples must be one of {LADDER}, got {samples}")
    sizes, seeds = ([part[name] for part in stack] for name in ("latent_dim", "seed"))
    network, train, test = NETWORKS[dataset], load(dataset, split="train"), load(dataset, split="test")
    shown = torch.linspace(0, len(train) - 1, len(test)).long()
    rates = [best_rate(dataset, algorithm, 10 if size <= 20 else size) for size in sizes]
    members = "+".join(f"{size}-{seed}" for size, seed in zip(sizes, seeds))
    trained = ALGORITHMS[algorithm](
        VAE(train.images.shape[1], network["hidden"], latent_dim=max(sizes), likelihood=network["likelihood"]),
        train,
        samples=samples,
        seeds=seeds,
        latent_dims=sizes,
        learning_rate=rates[0] if len(set(rates)) == 1 else rates,
        init_scale=START,
        evaluate_on={"train": train.images[shown], "test": test},
        evaluate_at=[at for at in LADDER if at <= samples],
        device=device,
        checkpoint=reference.scratch(CHAPTER, f"bound-{dataset}-{algorithm}-{members}-start-{START:g}"),
    )
    history = trained.history.rename(columns={"se": "se_images"}).round({"bound": 4, "se_images": 4})
    tables = []
    for size, seed, rate in zip(sizes, seeds, rates):
        own = history[(history.latent_dim == size) & (history.seed == seed)]
        own = own[["latent_dim", "seed", "split", "samples", "bound", "se_images"]]
        about = {"learning_rate": rate, "hidden": network["hidden"], "data": dataset}
        tables.append(own.assign(algorithm=algorithm, **about))
    return tables


def longest(table: pd.DataFrame) -> pd.DataFrame:
    """Of every curve that was measured at several lengths, the longest."""
    curve = ["algorithm", "latent_dim", "seed"]
    ends = table.groupby("part").samples.max()
    length = table.part.map(ends)
    kept = table[length == table.assign(length=length).groupby(curve).length.transform("max")]
    return kept.drop(columns="part").reset_index(drop=True)


def bound_grid(dataset: str) -> list[dict]:
    """Every curve at 10 million samples with one seed, then with two more; the paper's 10^8 for 20 latents last."""
    curves = [
        {"dataset": dataset, "algorithm": algorithm, "latent_dim": latent_dim, "seed": seed, "samples": 10_000_000}
        for seed in (0, 1, 2)
        for latent_dim in NETWORKS[dataset]["latent_dims"]
        for algorithm in ALGORITHMS
    ]
    far = [
        {"dataset": dataset, "algorithm": algorithm, "latent_dim": 20, "seed": 0, "samples": 100_000_000}
        for algorithm in ALGORITHMS
    ]
    return curves + far


IMAGES = 300
"""Figure 3 measures the first so many of the training images and of the test images."""


def evidence_parts(stack: Sequence[dict], device: str = "cpu") -> list[pd.DataFrame]:
    """Curves of figure 3 with the paper's network (100 hidden units, 3 latents) on MNIST.

    The pixels are black where the published intensity is above one half, once and for all: Monte Carlo EM keeps a
    Markov chain for each image.

    Args:
        stack: settings ``train_images`` (the first so many of the file; the paper has 1000 and 50,000), ``algorithm``
            (AEVB, wake-sleep or Monte Carlo EM), ``seed`` and ``samples``, the training images that the weight updates
            see, one of :data:`LADDER`.

    Returns:
        For each curve rows ``split, samples, estimator``: ``log_evidence`` (nats per image), ``se_images``,
        ``se_estimate``, ``off`` and ``worst`` as
        :func:`elbo.experiments.kingma_welling_2013.evidence.evidence_by_estimators` gives them. The curve is by
        ``quadrature``; the end also by the two estimators that use HMC. ``acceptance`` of the training chains,
        ``moves`` (transitions of each image's chain so far; Monte Carlo EM alone), ``learning_rate``, chosen among
        :data:`RATES` for each algorithm.

    Raises:
        ValueError: a length that is not on the ladder.
    """
    count, algorithm, samples = (stack[0][name] for name in ("train_images", "algorithm", "samples"))
    if samples not in LADDER:
        raise ValueError(f"samples must be one of {LADDER}, got {samples}")
    seeds = [part["seed"] for part in stack]
    train, test = (load("mnist", split=split, binarise="threshold").images for split in ("train-50000", "test"))
    model, own = VAE(784, 100, latent_dim=3), train[:count]
    splits = {"train": own[:IMAGES], "test": test[:IMAGES]}
    kept = reference.scratch(CHAPTER, f"rate-evidence-{count}-{algorithm}").with_suffix(".json")
    rate = _kept_rate(kept, lambda: best_evidence_rate(algorithm, model, own, device="cpu"))
    trained, curve = evidence_curve(
        algorithm,
        model,
        own,
        splits,
        samples=samples,
        at=[500 * math.ceil(at / 500) for at in LADDER[::2] if at <= samples],
        learning_rate=rate,
        seeds=seeds,
        device=device,
        checkpoint=reference.scratch(CHAPTER, f"evidence-{count}-{algorithm}-{'+'.join(map(str, seeds))}"),
    )
    tables = []
    for member, seed in enumerate(seeds):
        path = curve[curve.seed == seed]
        params = {name: param.cpu() for name, param in trained.member(member).items()}
        end = evidence_by_estimators(model, params, splits, seed=seed)
        end = end.assign(algorithm=algorithm, seed=seed, samples=samples, acceptance=path.acceptance.iloc[-1])
        table = pd.concat([path[path.samples < samples].assign(estimator="quadrature"), end], ignore_index=True)
        moves = table.samples / (5 * count) if algorithm == "mcem" else np.nan
        table = table.assign(train_images=count, learning_rate=rate, moves=moves)
        digits = {"log_evidence": 4, "se_images": 4, "se_estimate": 5, "off": 4, "worst": 4, "acceptance": 4}
        tables.append(table.reindex(columns=EVIDENCE_COLUMNS).round(digits))
    return tables


EVIDENCE_COLUMNS = [
    *("train_images", "algorithm", "seed", "split", "samples", "estimator", "log_evidence", "se_images", "se_estimate"),
    *("off", "worst", "acceptance", "moves", "learning_rate"),
]


def evidence_grid(count: int) -> list[dict]:
    """The three algorithms at 10 million samples, a seed at a time."""
    return [
        {"train_images": count, "algorithm": algorithm, "seed": seed, "samples": 10_000_000}
        for seed in (0, 1, 2)
        for algorithm in THREE
    ]


CURVES = ("dataset", "algorithm", "samples")
SMALL = ("train_images", "algorithm", "samples")

SWEEPS = {
    "draws-grid": DRAWS_GRID,
    "burda-long": BURDA_LONG,
    "marginal-likelihood-1000": Sweep(evidence_parts, evidence_grid(1000), alike=SMALL),
    "marginal-likelihood-50000": Sweep(evidence_parts, evidence_grid(50_000), alike=SMALL),
    "bound-mnist": Sweep(bound_parts, bound_grid("mnist"), longest, alike=CURVES, priority=1),
    "bound-frey": Sweep(bound_parts, bound_grid("frey"), longest, alike=CURVES, priority=1),
}
