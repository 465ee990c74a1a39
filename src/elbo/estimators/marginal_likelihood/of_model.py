"""The evidence of many data under a VAE, in chunks."""

from __future__ import annotations

from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor

from elbo.estimators.marginal_likelihood.annealing import ais, sigmoid_temperatures, tune_schedule
from elbo.estimators.marginal_likelihood.evidence import Evidence, Gaussian
from elbo.estimators.marginal_likelihood.posterior import fitted_importance, gelfand_dey
from elbo.estimators.marginal_likelihood.weighted import importance
from elbo.models.vae import VAE, Params

__all__ = ["METHODS", "model_evidence"]

METHODS = ("fitted", "gelfand_dey", "importance", "ais")


def model_evidence(
    model: VAE,
    params: Params,
    x: Tensor,
    generator: torch.Generator,
    *,
    method: Literal["fitted", "gelfand_dey", "importance", "ais"] = "fitted",
    chunk: int = 200,
    chains: int = 10,
    **options: Any,
) -> Evidence:
    """Log p(x) of every datum under a VAE, by one of the estimators of this package.

    Args:
        x: ``(batch, data_dim)``.
        method: ``"fitted"`` (:func:`fitted_importance`) and ``"gelfand_dey"`` need no encoder, so that they compare
            models however they were trained; so does ``"ais"``, from the prior. ``"importance"`` draws from the
            encoder.
        chunk: data at a time. Memory: ``chunk`` times chains or draws (at most 1000) decoded pictures.
        chains: HMC or AIS chains of each datum, started at draws from the prior.
        options: to the estimator, in place of the defaults here: 30 warm-up transitions and 20 draws a chain for the
            fit, 500 importance draws; 50 and 50 for appendix D; 200 temperatures for AIS.

    Returns:
        :class:`Evidence` of all data. The error of a mean over data is their spread over the root of their number.
    """
    if method not in METHODS:
        raise ValueError(f"method must be one of {', '.join(METHODS)}; got {method!r}")
    params = {name: param.detach() for name, param in params.items()}
    parts = [_estimate(model, params, part, generator, method, chains, options) for part in x.split(chunk)]
    accepted = [part.acceptance for part in parts if part.acceptance is not None]
    return Evidence(
        torch.cat([part.log_evidence for part in parts]),
        torch.cat([part.standard_error for part in parts]),
        torch.cat([part.effective_size for part in parts]),
        torch.cat([part.log_weights for part in parts], 1),
        parts[0].bound,
        torch.cat(accepted) if accepted else None,
    )


def _estimate(
    model: VAE,
    params: Params,
    x: Tensor,
    generator: torch.Generator,
    method: str,
    chains: int,
    options: dict[str, Any],
) -> Evidence:
    log_joint = partial(model.log_joint, params, x)
    if method == "importance":
        with torch.no_grad():
            proposal = Gaussian.diagonal(*model.encode(params, x))
        return importance(log_joint, proposal, **({"draws": 5000} | options), generator=generator)
    base = Gaussian.standard(len(x), model.latent_dim, x)
    if method == "ais":
        path = sigmoid_temperatures(options.get("temperatures", 200))
        steps = options.get("leapfrog_steps", 5)
        schedule = tune_schedule(log_joint, base, path, generator=generator, leapfrog_steps=steps)
        return ais(log_joint, schedule, chains=chains, generator=generator)
    shape = (chains, len(x), model.latent_dim)
    start = torch.randn(shape, generator=generator, dtype=x.dtype, device=x.device)
    if method == "gelfand_dey":
        return gelfand_dey(log_joint, start, **({"draws": 50, "warmup": 50} | options), generator=generator)
    defaults = {"draws": 500, "warmup": 30, "fit_draws": 20}
    return fitted_importance(log_joint, start, **(defaults | options), generator=generator)
