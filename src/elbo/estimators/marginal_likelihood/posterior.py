"""Estimates of the evidence from posterior draws: appendix D of Kingma & Welling (2013), and its mirror image."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from elbo.estimators.marginal_likelihood.evidence import Evidence, Gaussian
from elbo.estimators.marginal_likelihood.weighted import importance
from elbo.inference import hmc
from elbo.inference.diagnostics import effective_sample_size

__all__ = ["fitted_importance", "gelfand_dey", "reciprocal_log_weights"]

LogJoint = Callable[[Tensor], Tensor]


def gelfand_dey(
    log_joint: LogJoint,
    initial: Tensor,
    *,
    draws: int,
    warmup: int,
    generator: torch.Generator,
    leapfrog_steps: int = 4,
    target_accept: float = 0.9,
    thin: int = 1,
    mass: float | None = None,
) -> Evidence:
    r"""Reciprocal importance sampling with a fitted density; Gelfand & Dey (1994), Kingma & Welling (2013), appendix D.

    .. math:: \frac{1}{p(x)} = E_{p(z|x)} \frac{q(z)}{p(x, z)} \approx \frac1L \sum_l \frac{q(z_l)}{p(x, z_l)},
              \qquad z_l \sim p(z|x)

    HMC draws from the posterior; a Gaussian ``q`` is fitted to the first half of each chain, the mean is taken over the
    second, which ``q`` has not seen. For exact draws the estimate is above log p(x) in expectation, by about half the
    squared standard error; chains that have not mixed bias it either way. Its variance is finite only where ``q`` has
    *lighter* tails than the posterior, which a fit does not ensure: :func:`reciprocal_breakdown` shows from which
    dimension on it fails.

    Args:
        log_joint: ``(chains, batch, D) -> (chains, batch)`` nats, differentiable.
        initial: ``(chains, batch, D)``, where the chains start; their device and precision are those of the run.
        draws: for each chain, to fit and again to average; at least 4.
        warmup, leapfrog_steps, target_accept, thin: as :func:`elbo.inference.hmc.fit` takes them; every chain tunes
            a step size of its own. The paper uses 4 leapfrogs and 50 draws.
        mass: cut ``q`` to the ellipsoid that holds this much of it, say 0.9 (Geweke, 1999): its weights are bounded on
            the tails that break the untruncated one. ``None``: the Gaussian itself, as in the paper.

    Returns:
        :class:`Evidence`, whose standard error allows for the autocorrelation of the weights. Cost:
        ``(warmup + 2 * draws * thin) * leapfrog_steps`` gradients of every chain.

    Raises:
        ValueError: shapes or numbers that do not fit, or draws that do not determine a Gaussian.
    """
    if mass is not None and not 0 < mass < 1:
        raise ValueError(f"mass must lie between 0 and 1, got {mass}; None leaves the Gaussian whole")
    chains, batch, dim = _shape(initial)
    run = _posterior(log_joint, initial, 2 * draws, warmup, generator, leapfrog_steps, target_accept, thin)
    z = run.z.view(chains, batch, 2, draws, dim).permute(2, 3, 0, 1, 4)  # (half, draws, chains, batch, D)
    log_joints = run.log_prob.view(chains, batch, 2, draws)[:, :, 1].permute(2, 0, 1)  # (draws, chains, batch)
    fitted = Gaussian.fit(z[0].flatten(0, 1))
    log_weights = reciprocal_log_weights(fitted, z[1].flatten(0, 1), log_joints.flatten(0, 1), mass)
    worth = _worth(log_weights.view(draws, chains, batch))
    return Evidence.from_weights(log_weights, "upper", worth, _acceptance(run, chains, batch))


def fitted_importance(
    log_joint: LogJoint,
    initial: Tensor,
    *,
    draws: int,
    warmup: int,
    generator: torch.Generator,
    fit_draws: int = 50,
    leapfrog_steps: int = 4,
    target_accept: float = 0.9,
    inflate: float = 1.5,
) -> Evidence:
    r"""Importance sampling from a Gaussian fitted to posterior draws: appendix D's fit, used the right way round.

    As for an encoder's ``q`` the estimate is unbiased for p(x) whatever the chains did (they only choose the
    proposal), so log p(x) is approached from below; and a proposal that is too wide is harmless here.

    Args:
        log_joint, initial, warmup, leapfrog_steps, target_accept: as for :func:`gelfand_dey`.
        draws: importance draws for each datum. fit_draws: posterior draws of each chain, for the fit.
        inflate: multiplies the fitted covariance, so that the tails of the proposal are the heavier ones.

    Returns:
        :class:`Evidence`. Cost: ``(warmup + fit_draws) * leapfrog_steps`` gradients of every chain and ``draws``
        evaluations for each datum.
    """
    chains, batch, dim = _shape(initial)
    run = _posterior(log_joint, initial, fit_draws, warmup, generator, leapfrog_steps, target_accept, 1)
    z = run.z.view(chains, batch, fit_draws, dim).permute(2, 0, 1, 3).flatten(0, 1)
    found = importance(log_joint, Gaussian.fit(z, inflate), draws=draws, generator=generator)
    return Evidence.from_weights(found.log_weights, "lower", 1.0, _acceptance(run, chains, batch))


def reciprocal_log_weights(fitted: Gaussian, z: Tensor, log_joints: Tensor, mass: float | None = None) -> Tensor:
    r""":math:`\log q(z) - \log p(x, z)`, ``(draws, batch)`` nats, for ``z`` ``(draws, batch, D)``.

    ``mass`` as :func:`gelfand_dey` takes it.
    """
    log_q = fitted.log_prob(z)
    if mass is not None:
        radius = _chi_square_quantile(mass, z.shape[-1])
        inside = fitted.whiten(z).square().sum(-1) <= radius
        log_q = torch.where(inside, log_q - math.log(mass), torch.full_like(log_q, -math.inf))
    return log_q - log_joints


def _shape(initial: Tensor) -> torch.Size:
    if initial.ndim != 3:
        shape = tuple(initial.shape)
        raise ValueError(f"initial must be (chains, batch, D), got {shape}; for one chain add a leading axis")
    return initial.shape


def _posterior(
    log_joint: LogJoint,
    initial: Tensor,
    draws: int,
    warmup: int,
    generator: torch.Generator,
    leapfrog_steps: int,
    target_accept: float,
    thin: int,
) -> hmc.Draws:
    """Chains for every datum at once, flattened to ``(chains * batch, ...)``."""

    def log_prob(flat: Tensor) -> Tensor:
        return log_joint(flat.view(initial.shape)).flatten()

    return hmc.fit(
        log_prob,
        initial.flatten(0, 1),
        draws=draws,
        warmup=warmup,
        leapfrog_steps=leapfrog_steps,
        generator=generator,
        target_accept=target_accept,
        shared_step_size=False,
        thin=thin,
    )


def _worth(log_weights: Tensor) -> Tensor:
    """Independent weights that one of ``(draws, chains, batch)`` is worth, at most 1: ``(batch,)``."""
    weights = torch.exp(log_weights - log_weights.amax((0, 1))).movedim(0, 1)  # (chains, draws, batch)
    size = effective_sample_size(weights, "mean") / (weights.shape[0] * weights.shape[1])
    return size.clamp(max=1.0).nan_to_num(1.0)


def _acceptance(run: hmc.Draws, chains: int, batch: int) -> Tensor:
    return run.accept_prob.mean(1).view(chains, batch).mean(0)


def _chi_square_quantile(mass: float, dim: int) -> float:
    from scipy.stats import chi2

    return float(chi2.ppf(mass, dim))
