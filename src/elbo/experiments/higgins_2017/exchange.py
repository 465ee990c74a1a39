r"""The price of a nat: rate and distortion of beta-VAEs, exactly for a linear decoder and as measured for trained
models.

*Rate* is the average KL to the prior, *distortion* minus the expected log-likelihood; the objective of the beta-VAE is
minus (distortion + beta * rate). Alemi et al. (2018) draw one against the other.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd

__all__ = ["exchange", "measured_trade", "tempered_posteriors", "water_filling"]


def water_filling(variances: Sequence[float], betas: Sequence[float], noise: float = 1.0) -> pd.DataFrame:
    r"""The best linear-Gaussian beta-VAE of data with independent directions of these variances.

    Maximised over the posterior, the objective is :math:`\beta \log \int p(z) p(x|z)^{1/\beta} dz`: up to a constant,
    beta times the log-evidence of a model with noise :math:`\beta s^2`. Its best decoder is that of probabilistic PCA
    (Tipping & Bishop, 1999) with this noise,

    .. math:: w_j^2 = \max(\lambda_j - \beta s^2, 0), \qquad
              R_j = \tfrac12 \max\Big(\log \frac{\lambda_j}{\beta s^2}, 0\Big), \qquad
              D_j = \tfrac12 \log 2\pi s^2 + \frac{\min(\lambda_j, \beta s^2)}{2 s^2},

    the reverse water-filling of rate-distortion theory with the water at :math:`\beta s^2`.

    Args:
        variances: :math:`\lambda_j` of the data along their principal directions.
        noise: :math:`s^2`, the variance of the decoder.

    Returns:
        Rows ``beta, latent`` (from 1) with ``variance, weight`` (:math:`w_j`), ``rate, distortion`` in nats, and their
        sums over the latents, ``total_rate, total_distortion``, and ``kept``, how many latents have a rate.

    Raises:
        ValueError: a variance, beta or noise that is not positive.
    """
    if min(*variances, *betas, noise) <= 0:
        raise ValueError("variances, betas and noise must be positive; leave out directions without variance")
    rows = []
    for beta in betas:
        water = beta * noise
        for latent, variance in enumerate(variances, 1):
            rows.append({
                "beta": float(beta),
                "latent": latent,
                "variance": float(variance),
                "weight": math.sqrt(max(variance - water, 0.0)),
                "rate": 0.5 * max(math.log(variance / water), 0.0),
                "distortion": 0.5 * math.log(2 * math.pi * noise) + min(variance, water) / (2 * noise),
            })  # fmt: skip
    table = pd.DataFrame(rows)
    totals = table.groupby("beta").agg(
        total_rate=("rate", "sum"),
        total_distortion=("distortion", "sum"),
        kept=("rate", lambda rate: int((rate > 0).sum())),
    )
    return table.join(totals, on="beta")


def tempered_posteriors(
    betas: Sequence[float], *, weight: float = 1.3, noise: float = 0.5, x: float = 1.5, points: int = 201
) -> pd.DataFrame:
    """Densities of one latent on a line: the prior, and the maximiser of the objective at each beta.

    Returns:
        Rows ``beta`` (NaN for the prior), ``z, density, mean, sd``.
    """
    grid = [-2.5 + 5.0 * i / (points - 1) for i in range(points)]
    laws = [(math.nan, 0.0, 1.0)]
    for beta in betas:
        variance = 1 / (1 + weight**2 / (beta * noise))
        laws.append((float(beta), variance * weight * x / (beta * noise), math.sqrt(variance)))
    rows = []
    for beta, mean, sd in laws:
        for z in grid:
            density = math.exp(-0.5 * ((z - mean) / sd) ** 2) / (sd * math.sqrt(2 * math.pi))
            rows.append({"beta": beta, "z": z, "density": density, "mean": mean, "sd": sd})
    return pd.DataFrame(rows)


def measured_trade(readings: pd.DataFrame, latent_dim: int) -> pd.DataFrame:
    """Rate and distortion of trained models over seeds, by beta: means and standard errors.

    Args:
        readings: of :func:`unit_readings`. Distortion is its column ``distortion``, of sampled codes; a table without
            it (measured before there was one) gives that of mean codes, which is a little less.

    Returns:
        Rows ``beta, rate, rate_se, distortion, distortion_se, seeds``.
    """
    part = readings[readings["latent_dim"] == latent_dim]
    distortion = part["distortion"] if "distortion" in part else -part["reconstruction"]
    part = part.assign(rate=part["kl"], distortion=distortion)
    groups = part.groupby("beta")[["rate", "distortion"]]
    found = groups.mean().join(groups.sem().add_suffix("_se"))
    return found.assign(seeds=groups.size()).reset_index()


def exchange(trade: pd.DataFrame, low: float = 1.0, high: float = 4.0) -> dict[str, float]:
    r"""What a nat of code bought between two betas, :math:`(D_{high} - D_{low}) / (R_{low} - R_{high})`.

    Of models that maximise their objectives it lies between ``low`` and ``high``: neither is improved by taking the
    other's place. Outside that range one of them is not at its maximum.

    Args:
        trade: of :func:`measured_trade`, or any table with ``beta, rate, distortion``.

    Returns:
        ``nats_saved, nats_lost, price`` and ``possible``, whether two maxima can lie so.

    Raises:
        ValueError: one of the betas is not there.
    """
    by_beta = trade.set_index("beta")
    if not {low, high} <= set(by_beta.index):
        raise ValueError(f"no models at beta {low:g} and {high:g}; there are {sorted(by_beta.index)}")
    saved = float(by_beta.loc[low, "rate"] - by_beta.loc[high, "rate"])
    lost = float(by_beta.loc[high, "distortion"] - by_beta.loc[low, "distortion"])
    price = lost / saved if saved else math.nan
    return {"nats_saved": saved, "nats_lost": lost, "price": price, "possible": low * saved <= lost <= high * saved}
