r"""Monte Carlo EM for variational autoencoders, the third algorithm of Kingma & Welling (2013), appendix E.

There is no encoder: codes come from the posterior by HMC, ten leapfrog steps tuned to 90 % acceptance, and five weight
updates follow each. The algorithm itself is :func:`elbo.inference.climb.climb`.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Protocol

import pandas as pd
import torch
from torch import Tensor

from elbo.inference import stack
from elbo.inference.climb import Record, climb
from elbo.inference.names import former_name
from elbo.inference.sgvb import log_weight_prior
from elbo.inference.stack import Trained
from elbo.inference.train import How, algorithm, plan
from elbo.models.vae import VAE, Params
from elbo.training import keyed_generator, make_optimiser

__all__ = ["Estimated", "Estimate", "fit", "mcem"]

HISTORY = ["seed", "latent_dim", "beta", "samples", "split"]
HISTORY += ["log_evidence", "se", "effective_size", "acceptance", "step_size"]


class Estimated(Protocol):
    """Log p(x) of every datum, as the estimators of :mod:`elbo.estimators.marginal_likelihood` give it.

    Attributes:
        log_evidence, effective_size: ``(batch,)``, nats and a number of draws.
    """

    @property
    def log_evidence(self) -> Tensor: ...

    @property
    def effective_size(self) -> Tensor: ...


Estimate = Callable[[VAE, Params, Tensor, torch.Generator], Estimated]


@algorithm(without=["beta", "measure", "snapshot", "snapshot_at", "block", "compile"])
def fit(
    model: VAE,
    data: Any,
    how: How,
    *,
    weight_prior: bool = True,
    leapfrog_steps: int = 10,
    target_accept: float = 0.9,
    updates: int = 5,
    transitions: int = 1,
    estimate: Estimate | None = None,
) -> Trained:
    """Train the decoders of variational autoencoders by Monte Carlo EM, one after another.

    Start, weight prior and optimiser are those of :func:`elbo.inference.aevb.fit` for the same seed. The encoder is not
    used and stays where it started: bounds that need it mean nothing here, and the history holds the estimated marginal
    likelihood instead.

    Args:
        how: as for AEVB, where it has a meaning; no binarisation afresh. ``samples`` counts the data that the weight
            updates see, ``updates * batch_size`` for each minibatch of codes, so that equal numbers of samples are
            equal numbers of weight updates for all algorithms. The paper does not say how it counts. ``checkpoint`` is
            the path of the checkpoints; the number of the member is appended, ``run.ckpt.0``. Each is resumed from and
            written as :func:`climb` does. ``progress`` is called when a member is done with members done, members to
            do, and its last losses.
        leapfrog_steps, target_accept, updates, transitions: as :func:`climb` takes them; the defaults are the paper's.
        estimate: ``estimate(model, params, images, generator)``, what the history is made of, for example
            :func:`elbo.estimators.marginal_likelihood.model_evidence`; needed where there is ``evaluate_on``.

    Returns:
        :class:`Trained`; history ``seed, latent_dim, beta`` (1), ``samples, split, log_evidence`` (mean over the split,
        nats per datum), ``se`` (spread over data and of the estimate, over the root of their number),
        ``effective_size`` (the smallest of the split), and ``acceptance, step_size`` of the training chains; losses
        ``(acquisitions, members)``.

    Raises:
        ValueError: arguments that do not fit together.
        FloatingPointError: the loss of a member is not finite; names the member, the acquisition and the term.
    """
    planned = plan(model, data, how)
    if planned.fresh:
        raise ValueError("Monte Carlo EM keeps a chain for each image: pass binarisation='fixed' or 'grey'")
    if planned.splits and estimate is None:
        raise ValueError(
            "evaluate_on needs an estimate of the evidence: pass "
            "estimate=elbo.estimators.marginal_likelihood.model_evidence"
        )
    per = min(how.batch_size, planned.count) * updates  # samples that the updates of one acquisition see
    rows, ends, losses = [], [], []
    for member, (seed, latent_dim, _) in enumerate(planned.members):
        own = replace(model, latent_dim=latent_dim)
        start = {n: p[0] for n, p in stack.start(own, [(seed, latent_dim)], how.init_scale, planned.data).items()}
        try:
            found = climb(
                own.log_joint,
                {name: param for name, param in start.items() if name.startswith("decoder.")},
                planned.data,
                latent_dim,
                acquisitions=math.ceil(how.samples / per),
                generator=keyed_generator(planned.device, seed, "mcem"),
                batch_size=how.batch_size,
                updates=updates,
                transitions=transitions,
                leapfrog_steps=leapfrog_steps,
                target_accept=target_accept,
                optimiser=make_optimiser(how.optimiser, planned.rates[member]),
                log_prior=log_weight_prior if weight_prior else None,
                record=_recorder(own, start, seed, planned.splits, estimate, per) if estimate else None,
                record_at=sorted(how.evaluations(per)) if planned.splits else (),
                checkpoint=f"{os.fspath(how.checkpoint)}.{member}" if how.checkpoint else None,
                checkpoint_seconds=how.checkpoint_seconds,
                settings={"model": repr(own), "seed": seed, "weight_prior": weight_prior},
            )
        except FloatingPointError as error:
            raise FloatingPointError(f"{error}, member {member} (seed {seed}); try a smaller learning rate") from None
        rows += found.records
        ends.append(own.resize(start | found.params, planned.model.latent_dim))
        losses.append(found.losses)
        if how.progress:
            how.progress(member + 1, len(planned.seeds), found.losses[-100:])
    params = {name: torch.stack([end[name] for end in ends]) for name in ends[0]}
    trained = planned.trained(params, [], torch.stack(losses, 1))
    return replace(trained, history=pd.DataFrame(rows, columns=HISTORY))


mcem = former_name(fit, "mcem")


def _recorder(model: VAE, start: Params, seed: int, splits: dict[str, Tensor], estimate: Estimate, per: int) -> Record:
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
