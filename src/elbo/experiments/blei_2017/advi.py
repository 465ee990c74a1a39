"""ADVI on two regressions: what a full covariance buys, against closed forms and integrals."""

from __future__ import annotations

import math

import pandas as pd
import torch
from torch import Tensor

from elbo.densities import mvn_kl, mvn_log_prob
from elbo.experiments.blei_2017 import calibration, partitions, setup
from elbo.inference import advi, diagnostics
from elbo.models.regression import LinearRegression

__all__ = ["both_ranks", "exact_gap"]

_REGRESSION = LinearRegression(prior_sd=1.0, noise_sd=0.7)


def both_ranks(seed: int, steps: int = 3000, draws: int = 4000) -> pd.DataFrame:
    """Mean-field and full-rank ADVI on linear regression (diabetes data) and probit regression (60 simulated rows).

    Returns:
        Per ``model`` and ``rank``: ``gap`` (log evidence less the bound, nats, from ``draws`` draws) and its standard
        error ``gap_se``; ``sd_ratio``, the mean over coefficients of the deviation over the exact one; ``shape``
        (Pareto) and ``effective``, the effective share of the draws when weighted.
    """
    generator = torch.Generator().manual_seed(seed)
    rows = []
    for model, (log_joint, log_evidence, sd) in _models().items():
        for rank in ("mean field", "full"):
            found = advi.fit(
                log_joint,
                torch.zeros_like(sd),
                generator,
                full_rank=rank == "full",
                steps=steps,
                draws=32,
                rate=0.01,
                start_sd=0.05,
            )
            with torch.no_grad():
                z = found.mean + torch.randn(draws, len(sd), generator=generator, dtype=sd.dtype) @ found.scale.T
                ratios = log_joint(z) - mvn_log_prob(z, found.mean, found.cov)
            share = math.exp((2 * ratios.logsumexp(0) - (2 * ratios).logsumexp(0)).item()) / draws
            rows.append(
                {
                    "model": model,
                    "rank": rank,
                    "gap": log_evidence - ratios.mean().item(),
                    "gap_se": ratios.std().item() / math.sqrt(draws),
                    "sd_ratio": (found.cov.diagonal().sqrt() / sd).mean().item(),
                    "shape": diagnostics.pareto_shape(ratios).item(),
                    "effective": share,
                }
            )
    return pd.DataFrame(rows)


def exact_gap() -> float:
    """The gap of the best mean-field q on the linear regression, in closed form."""
    mean, cov = _REGRESSION.posterior(*setup.diabetes())
    return mvn_kl(mean, torch.diag(1 / torch.linalg.inv(cov).diagonal()), mean, cov).item()


def _models() -> dict[str, tuple]:
    """Log joint, log evidence and exact posterior deviations."""
    design, target = setup.diabetes()
    _, cov = _REGRESSION.posterior(design, target)
    precision, mean = torch.linalg.inv(cov), _REGRESSION.posterior(design, target)[0]
    at_mean = _REGRESSION.log_joint(design, target, mean).item()

    def linear(w: Tensor) -> Tensor:  # the log joint is a quadratic: its value at the mean, and its curvature
        off = w - mean
        return at_mean - 0.5 * (off @ precision * off).sum(-1)

    inputs, labels = partitions.problem(0)
    probit_mean, probit_cov = partitions.exact(inputs, labels)

    def probit(w: Tensor) -> Tensor:
        return calibration.probit_log_joint(w, inputs, labels.expand(len(w), -1), partitions.PRIOR_VAR)

    axis = torch.linspace(-6, 6, 401, dtype=torch.float64)
    root = torch.linalg.cholesky(probit_cov)
    grid = probit_mean + torch.cartesian_prod(axis, axis) @ root.T
    cell = 2 * math.log(12 / 400) + root.diagonal().log().sum()
    evidence = (torch.logsumexp(probit(grid), 0) + cell).item()
    return {
        "linear regression": (
            linear,
            _REGRESSION.log_evidence(design, target).item(),
            cov.diagonal().sqrt(),
        ),
        "probit regression": (probit, evidence, probit_cov.diagonal().sqrt()),
    }
