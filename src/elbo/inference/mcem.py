r"""Monte Carlo EM (Wei & Tanner, 1990) with HMC, the third algorithm that Kingma & Welling (2013) compare (appendix E).

There is no encoder. The expectation step draws codes from the posterior, :math:`z_n \sim p_\theta(z|x_n)`, by HMC; the
maximisation step takes a few gradient steps on :math:`\log p_\theta(x_n, z_n)` at those codes. By Fisher's identity,

.. math:: \nabla_\theta \log p_\theta(x) = E_{p_\theta(z|x)} \nabla_\theta \log p_\theta(x, z),

the first of them follows the marginal likelihood itself, as far as the chain has mixed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import pandas as pd
import torch
from torch import Tensor

from elbo.devices import resolve_device
from elbo.estimators.marginal_likelihood import Evidence, model_evidence
from elbo.inference import hmc
from elbo.inference.aevb import Trained, _images, _members, _splits, _start
from elbo.inference.sgvb import log_weight_prior
from elbo.models.vae import VAE, Params
from elbo.training import keyed_generator, make_optimiser
from elbo.training.optimisers import Adagrad, Adam
from elbo.training.step import make_step

__all__ = ["Climb", "climb", "mcem"]

HISTORY = ["seed", "latent_dim", "beta", "samples", "split", "log_evidence", "se", "effective_size", "acceptance",
           "step_size"]
GAIN = 0.5  # of the log step size on the acceptance of one minibatch
JITTER = 0.1  # of the step size within a transition
LogJoint = Callable[[Params, Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Climb:
    """What :func:`climb` returns.

    Attributes:
        params: where it ended.
        codes: ``(N, latent_dim)``, the state of every datum's chain.
        losses, acceptance, step_size: ``(acquisitions,)`` each: mean loss of the weight updates in nats per datum, mean
            acceptance probability of the minibatch, and the step size it was reached with.
    """

    params: Params
    codes: Tensor
    losses: Tensor
    acceptance: Tensor
    step_size: Tensor


def climb(
    log_joint: LogJoint,
    params: Params,
    x: Tensor,
    latent_dim: int,
    *,
    acquisitions: int,
    generator: torch.Generator,
    batch_size: int = 100,
    updates: int = 5,
    transitions: int = 1,
    leapfrog_steps: int = 10,
    target_accept: float = 0.9,
    optimiser: Adagrad | Adam = Adagrad(),
    log_prior: Callable[[Params], Tensor] | None = None,
    record: Callable[[int, Params, float, float], None] | None = None,
    record_at: Sequence[int] = (),
) -> Climb:
    r"""Monte Carlo EM for any model with a differentiable :math:`\log p_\theta(x, z)`.

    Each datum has a chain of its own, which starts at a draw from N(0, I) and moves whenever the datum is in the
    minibatch. One step size serves all chains; since the posteriors move with the weights it never stops adapting,
    :math:`\log\epsilon \leftarrow \log\epsilon + \tfrac12(\bar a - a^*)` by the mean acceptance of each minibatch, so
    that invariance holds up to that small change.

    Args:
        log_joint: ``log_joint(params, x, z)``, ``(batch, ...)`` and ``(batch, latent_dim)`` to ``(batch,)`` nats.
        params: where to start; not changed.
        x: ``(N, ...)``.
        acquisitions: how many minibatches of codes are drawn, each without replacement.
        updates, transitions: weight updates for each minibatch of codes, and HMC transitions before them.
        leapfrog_steps, target_accept: of the HMC transitions; the defaults are the paper's.
        log_prior: of the parameters, ``()`` nats.
        record: called after the numbers of acquisitions in ``record_at`` (0 is the start) with the number, the
            parameters, the mean acceptance of the last fifty acquisitions and the step size.

    Returns:
        :class:`Climb`. Cost of an acquisition: ``transitions * leapfrog_steps + 1`` gradients in the codes and
        ``updates`` in the parameters.

    Raises:
        ValueError: a number is out of range.
        FloatingPointError: the log joint of the data, or the prior, is not finite; names which, and when.
    """
    if min(acquisitions, batch_size, updates, transitions, leapfrog_steps) < 1 or not 0 < target_accept < 1:
        raise ValueError("acquisitions, batch_size, updates, transitions and leapfrog_steps must be at least 1, and "
                         f"target_accept between 0 and 1; got {target_accept}")
    count, batch_size = len(x), min(batch_size, len(x))
    stack = {name: param.detach()[None].clone().contiguous() for name, param in params.items()}  # of one
    now = {name: param[0] for name, param in stack.items()}  # views: what the optimiser writes is seen
    like = next(iter(stack.values()))
    kind = {"dtype": like.dtype, "device": like.device}
    step = make_step(_loss(log_joint, log_prior, count), optimiser, fused=like.device.type == "cpu")
    state = optimiser.init(stack)
    rate = torch.full((1,), float(optimiser.learning_rate), **kind)
    codes = torch.randn(count, latent_dim, generator=generator, **kind)
    log_step = torch.full((), math.log(0.1), **kind)
    losses, accepted, sizes = (torch.zeros(acquisitions, **kind) for _ in range(3))
    loss = torch.zeros(1, **kind)
    for number in range(acquisitions):
        if record and number in record_at:
            record(number, now, *_recent(accepted, log_step, number))
        index = torch.randperm(count, generator=generator, device=like.device)[:batch_size]
        batch, sizes[number] = x[index], log_step.exp()
        codes[index], accepted[number] = _draw(
            log_joint, now, batch, codes[index], sizes[number], leapfrog_steps, transitions, generator, number
        )
        log_step += GAIN * (accepted[number] - target_accept)
        for _ in range(updates):
            step(stack, state, rate, {"x": batch[None], "z": codes[index][None]}, {}, {}, loss)
            losses[number] += loss[0] / updates
        if not losses[number].isfinite():
            prior = log_prior is not None and not log_prior(now).isfinite()
            _stop("log-prior of the weights" if prior else "log-joint of data and codes", number)
    if record and acquisitions in record_at:
        record(acquisitions, now, *_recent(accepted, log_step, acquisitions))
    return Climb({n: p.clone() for n, p in now.items()}, codes, losses.cpu(), accepted.cpu(), sizes.cpu())


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
    images, fresh = _images(data, binarisation, model, target)
    if fresh:
        raise ValueError("Monte Carlo EM keeps a chain for each image: pass binarisation='fixed' or 'grey'")
    one = learning_rate is None or isinstance(learning_rate, (int, float))
    seeds, latent_dims, rates = _members(
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
    splits = _splits(evaluate_on or {}, binarisation, False, model, target)
    widest, rows, ends, losses = replace(model, latent_dim=max(latent_dims)), [], [], []
    for member, (seed, latent_dim, own_rate) in enumerate(zip(seeds, latent_dims, rates)):
        own = replace(model, latent_dim=latent_dim)
        start = {n: p[0] for n, p in _start(own, [(seed, latent_dim, 1.0)], init_scale, images).items()}
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
                record=_recorder(rows, own, start, seed, splits, estimate, per),
                record_at=pauses if splits else (),
            )
        except FloatingPointError as error:
            raise FloatingPointError(f"{error}, member {member} (seed {seed}); try a smaller learning rate") from None
        ends.append(own.resize(start | found.params, widest.latent_dim))
        losses.append(found.losses)
        if progress:
            progress(member + 1, len(seeds), found.losses[-100:])
    params = {name: torch.stack([end[name] for end in ends]) for name in ends[0]}
    history, betas = pd.DataFrame(rows, columns=HISTORY), (1.0,) * len(seeds)
    return Trained(widest, params, seeds, latent_dims, betas, history, torch.stack(losses, 1), target.type, False)


def _recorder(rows: list, model: VAE, start: Params, seed: int, splits: dict[str, Tensor], estimate, per: int):
    """A function for :func:`climb` that appends one row a split to ``rows``."""

    def record(number: int, params: Params, acceptance: float, step_size: float) -> None:
        for split, images in splits.items():
            found = estimate(model, start | params, images, keyed_generator(images.device, seed, "evaluate", split))
            values = found.log_evidence.double()
            row = {"seed": seed, "latent_dim": model.latent_dim, "beta": 1.0, "samples": number * per, "split": split}
            row |= {"log_evidence": float(values.mean()), "se": float(values.std() / math.sqrt(len(values)))}
            row |= {"effective_size": float(found.effective_size.min())}
            rows.append(row | {"acceptance": acceptance, "step_size": step_size})

    return record


def _loss(log_joint: LogJoint, log_prior, count: int):
    """Minus the mean log joint, minus the prior's share, nats per datum."""

    def loss(params: Params, batch: dict[str, Tensor], noise, scalars) -> Tensor:
        value = log_joint(params, batch["x"], batch["z"]).mean()
        return -(value + log_prior(params) / count if log_prior else value)

    return loss


def _draw(log_joint, params, x, z, step_size, leapfrog_steps, transitions, generator, number) -> tuple[Tensor, Tensor]:
    """The chains of a minibatch a few transitions on, and their mean acceptance probability."""

    def density(codes: Tensor) -> Tensor:
        return log_joint(params, x, codes)

    try:
        chain = hmc.start(density, z)
    except ValueError:
        _stop("log-joint of data and codes", number)
    accept = 0.0
    for _ in range(transitions):
        chain, info = hmc.step(density, chain, step_size, leapfrog_steps, generator, JITTER)
        accept = accept + info.accept_prob.mean() / transitions
    return chain.z, accept


def _recent(accepted: Tensor, log_step: Tensor, number: int) -> tuple[float, float]:
    last = accepted[max(0, number - 50) : number]
    return float(last.mean()) if number else math.nan, float(log_step.exp())


def _stop(term: str, number: int) -> None:
    raise FloatingPointError(f"Monte Carlo EM stopped at acquisition {number + 1}: the {term} is not finite")
