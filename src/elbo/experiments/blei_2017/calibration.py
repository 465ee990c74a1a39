r"""Simulation-based calibration of three algorithms on one model: Bayesian probit regression.

Draw coefficients from the prior and labels from the model; then the rank of each true coefficient among posterior draws
is uniform, if the algorithm draws from the posterior (Talts, Betancourt, Simpson, Vehtari & Gelman 2018). An algorithm
that is too sure of itself piles the ranks up at both ends.
"""

from __future__ import annotations

import math

import pandas as pd
import torch
from scipy import stats
from torch import Tensor

from elbo.densities import LOG_2PI
from elbo.inference import diagnostics, ep, hmc

__all__ = ["calibration", "probit_cavi", "probit_log_joint"]


def probit_log_joint(w: Tensor, design: Tensor, labels: Tensor, prior_var: float) -> Tensor:
    r""":math:`\log p(y, w)` of probit regression, ``(sets,)`` nats; ``w`` (sets, dim), ``labels`` (sets, n) of -1 or
    1."""
    prior = -0.5 * (w.square() / prior_var + LOG_2PI + math.log(prior_var)).sum(-1)
    return torch.special.log_ndtr(labels * (w @ design.T)).sum(-1) + prior


def probit_cavi(design: Tensor, labels: Tensor, prior_var: float, sweeps: int = 500) -> tuple[Tensor, Tensor]:
    r"""Coordinate ascent with every coefficient and every auxiliary variable apart; all data sets at once.

    With :math:`u_n \sim N(w^\top x_n, 1)` and :math:`y_n = \mathrm{sign}(u_n)` (Albert & Chib 1993), q(u) is a
    truncated Gaussian with mean :math:`\eta_n + y_n \phi(\eta_n)/\Phi(y_n \eta_n)` at :math:`\eta = Xm`, and each
    coefficient Gaussian with variance :math:`1/\Lambda_{ii}`, :math:`\Lambda = X^\top X + I/s_0^2`; the coefficients'
    own coordinate updates rest at :math:`m = \Lambda^{-1} X^\top E[u]`, which is solved for directly.

    Args:
        design: ``(n, dim)``. labels: ``(sets, n)``, -1 or 1.

    Returns:
        Means ``(sets, dim)`` and the variances ``(dim,)``, equal for all data sets.
    """
    precision = design.T @ design + torch.eye(design.shape[1], dtype=design.dtype) / prior_var
    mean = torch.zeros(len(labels), design.shape[1], dtype=design.dtype)
    for _ in range(sweeps):
        eta = mean @ design.T  # (sets, n)
        log_ratio = -0.5 * (eta.square() + LOG_2PI) - torch.special.log_ndtr(labels * eta)
        expected = eta + labels * log_ratio.exp()
        mean = torch.linalg.solve(precision, (expected @ design).T).T
    return mean, 1 / precision.diagonal()


def calibration(
    simulations: int, seed: int, draws: int = 31, bins: int = 8, n: int = 12, prior_var: float = 1.0
) -> pd.DataFrame:
    """Rank histograms of HMC, EP and mean-field coordinate ascent on the same simulated data sets.

    Returns:
        Per ``law`` (hmc, ep, cavi) and ``bin``: ``count`` of ranks of the slope, ``expected``, the 99 % binomial band
        ``low, high`` of a single bin, and ``p_value`` of the chi-square test of uniformity over all bins.
    """
    generator = torch.Generator().manual_seed(seed)
    kind = {"generator": generator, "dtype": torch.float64}
    # an intercept and a slope that are correlated a posteriori
    design = torch.stack([torch.ones(n), torch.linspace(0, 3, n)], -1).double()
    truth = math.sqrt(prior_var) * torch.randn(simulations, 2, **kind)
    labels = torch.where(truth @ design.T + torch.randn(simulations, n, **kind) > 0, 1.0, -1.0).double()

    chains = hmc.fit(
        lambda w: probit_log_joint(w, design, labels, prior_var),
        torch.zeros_like(truth),
        draws=draws,
        warmup=150,
        leapfrog_steps=6,
        thin=8,
        generator=generator,
        shared_step_size=False,
    )
    prior = torch.zeros(2).double(), prior_var * torch.eye(2).double()
    fits = [ep.fit(ep.probit_sites(design, y), *prior, n, tol=1e-6) for y in labels]
    scale = torch.stack([torch.linalg.cholesky(fit.cov) for fit in fits])
    noise = torch.randn(simulations, draws, 2, **kind)
    mean, variance = probit_cavi(design, labels, prior_var)
    samples = {
        "hmc": chains.z,
        "ep": torch.stack([fit.mean for fit in fits]).unsqueeze(1) + noise @ scale.mT,
        "cavi": mean.unsqueeze(1) + noise * variance.sqrt(),
    }
    ranks = {law: diagnostics.rank_statistics(truth, z)[:, 1] for law, z in samples.items()}
    return pd.concat([_histogram(law, rank, draws, bins) for law, rank in ranks.items()], ignore_index=True)


def _histogram(law: str, ranks: Tensor, draws: int, bins: int) -> pd.DataFrame:
    if (draws + 1) % bins:
        raise ValueError(f"bins must divide the {draws + 1} possible ranks, got {bins}")
    count = torch.bincount(ranks * bins // (draws + 1), minlength=bins).numpy()
    low, high = stats.binom.ppf([0.005, 0.995], len(ranks), 1 / bins)
    return pd.DataFrame(
        {
            "law": law,
            "bin": range(bins),
            "count": count,
            "expected": len(ranks) / bins,
            "low": low,
            "high": high,
            "p_value": stats.chisquare(count).pvalue,
        }
    )
