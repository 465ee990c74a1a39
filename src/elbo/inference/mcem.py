r"""Monte Carlo EM for variational autoencoders, the third algorithm of Kingma & Welling (2013), appendix E.

There is no encoder: codes come from the posterior by HMC, ten leapfrog steps tuned to 90 % acceptance, and five weight
updates follow each. The algorithm itself is :func:`elbo.inference.climb.climb`.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

import pandas as pd
import torch
from torch import Tensor

from elbo.devices import resolve_device
from elbo.estimators.marginal_likelihood import Evidence, model_evidence
from elbo.inference import stack
from elbo.inference.aevb import Trained
from elbo.inference.climb import climb
from elbo.inference.sgvb import log_weight_prior
from elbo.models.vae import VAE, Params
from elbo.training import keyed_generator, make_optimiser

__all__ = ["mcem"]

HISTORY = [
    "seed",
    "latent_dim",
    "beta",
    "samples",
    "split",
    "log_evidence",
    "se",
    "effective_size",
    "acceptance",
    "step_size",
]


def mcem(
    model: VAE,
    data: Any,
    *,
    samples: int,
    batch_size: int = 100,
    seeds: Sequence[int] = (0,),
    latent_dims: Sequence[int] | None = None,
    weight_prior: bool = True,
    optimiser: Literal["adagrad", "adam"] = "adagrad",
    learning_rate: float | Sequence[float] | None = None,
    init_scale: float | Literal["glorot"] = 0.1,
    binarisation: Literal["grey", "threshold", "fixed"] | None = None,
    leapfrog_steps: int = 10,
    target_accept: float = 0.9,
    updates: int = 5,
    transitions: int = 1,
    evaluate_on: Mapping[str, Any] | None = None,
    evaluate_at: Sequence[int] | None = None,
    estimate: Callable[[VAE, Params, Tensor, torch.Generator], Evidence] = model_evidence,
    device: str = "auto",
    checkpoint: str | os.PathLike | None = None,
    progress: Callable[[int, int, Tensor], None] | None = None,
) -> Trained:
    """Train the decoders of variational autoencoders by Monte Carlo EM, one after another.

    Start, weight prior and optimiser are those of :func:`elbo.inference.aevb.aevb` for the same seed. The encoder is
    not used and stays where it started: bounds that need it mean nothing here, and the history holds the estimated
    marginal likelihood instead.

    Args:
        samples: how many data the weight updates see, ``updates * batch_size`` for each minibatch of codes, so that
            equal numbers of samples are equal numbers of weight updates for all algorithms. The paper does not say how
            it counts.
        leapfrog_steps, target_accept, updates, transitions: as :func:`climb` takes them; the defaults are the paper's.
        estimate: ``estimate(model, params, images, generator)``, the :class:`Evidence` that the history is made of;
            by default importance sampling from a Gaussian fitted to HMC draws.
        model, data, batch_size, seeds, latent_dims, weight_prior, optimiser, learning_rate, init_scale, binarisation,
            evaluate_on, evaluate_at, device: as :func:`elbo.inference.aevb.aevb` takes them; no binarisation afresh.
        checkpoint: path of the checkpoints; the number of the member is appended, ``run.ckpt.0``. Each is resumed from
            and written as :func:`climb` does.
        progress: called when a member is done with members done, members to do, and its last losses.

    Returns:
        :class:`elbo.inference.aevb.Trained`; history ``seed, latent_dim, beta`` (1), ``samples, split, log_evidence``
        (mean over the split, nats per datum), ``se`` (spread over data and of the estimate, over the root of their
        number), ``effective_size`` (the smallest of the split), and ``acceptance, step_size`` of the training chains;
        losses ``(acquisitions, members)``.

    Raises:
        ValueError: arguments that do not fit together.
        FloatingPointError: the loss of a member is not finite; names the member, the acquisition and the term.
    """
    target = resolve_device(device)
    images, fresh = stack.images(data, binarisation, model, target)
    if fresh:
        raise ValueError("Monte Carlo EM keeps a chain for each image: pass binarisation='fixed' or 'grey'")
    one = learning_rate is None or isinstance(learning_rate, (int, float))
    seeds, latent_dims, rates = stack.members(
        seeds=seeds,
        latent_dims=latent_dims or [model.latent_dim],
        learning_rate=[learning_rate] if one else learning_rate,
    )
    per = min(batch_size, len(images)) * updates  # samples that the updates of one acquisition see
    if samples < 1 or any(not 0 <= at <= samples for at in evaluate_at or ()):
        raise ValueError(
            f"samples must be positive and evaluate_at between 0 and samples; got {samples} and {evaluate_at}"
        )
    acquisitions = math.ceil(samples / per)
    pauses = {math.ceil(at / per) for at in ([samples] if evaluate_at is None else evaluate_at)}
    splits = stack.splits(evaluate_on or {}, binarisation, False, model, target)
    widest, rows, ends, losses = replace(model, latent_dim=max(latent_dims)), [], [], []
    for member, (seed, latent_dim, own_rate) in enumerate(zip(seeds, latent_dims, rates)):
        own = replace(model, latent_dim=latent_dim)
        start = {n: p[0] for n, p in stack.start(own, [(seed, latent_dim, 1.0)], init_scale, images).items()}
        try:
            found = climb(
                own.log_joint,
                {name: param for name, param in start.items() if name.startswith("decoder.")},
                images,
                latent_dim,
                acquisitions=acquisitions,
                generator=keyed_generator(target, seed, "mcem"),
                batch_size=batch_size,
                updates=updates,
                transitions=transitions,
                leapfrog_steps=leapfrog_steps,
                target_accept=target_accept,
                optimiser=make_optimiser(optimiser, own_rate),
                log_prior=log_weight_prior if weight_prior else None,
                record=_recorder(own, start, seed, splits, estimate, per),
                record_at=pauses if splits else (),
                checkpoint=f"{os.fspath(checkpoint)}.{member}" if checkpoint else None,
                settings={"model": repr(own), "seed": seed, "weight_prior": weight_prior},
            )
        except FloatingPointError as error:
            raise FloatingPointError(f"{error}, member {member} (seed {seed}); try a smaller learning rate") from None
        rows += found.records
        ends.append(own.resize(start | found.params, widest.latent_dim))
        losses.append(found.losses)
        if progress:
            progress(member + 1, len(seeds), found.losses[-100:])
    params = {name: torch.stack([end[name] for end in ends]) for name in ends[0]}
    history, betas = pd.DataFrame(rows, columns=HISTORY), (1.0,) * len(seeds)
    return Trained(widest, params, seeds, latent_dims, betas, history, torch.stack(losses, 1), target.type, False)


def _recorder(model: VAE, start: Params, seed: int, splits: dict[str, Tensor], estimate, per: int):
    """What :func:`climb` calls to record: one row a split."""

    def record(number: int, params: Params, acceptance: float, step_size: float) -> list[dict[str, Any]]:
        rows = []
        for split, images in splits.items():
            found = estimate(model, start | params, images, keyed_generator(images.device, seed, "evaluate", split))
            values = found.log_evidence.double()
            row = {"seed": seed, "latent_dim": model.latent_dim, "beta": 1.0, "samples": number * per, "split": split}
            row |= {"log_evidence": float(values.mean()), "se": float(values.std() / math.sqrt(len(values)))}
            row |= {"effective_size": float(found.effective_size.min())}
            rows.append(row | {"acceptance": acceptance, "step_size": step_size})
        return rows

    return record
