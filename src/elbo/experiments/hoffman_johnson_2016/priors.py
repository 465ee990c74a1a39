"""The paper's advice carried out: priors fitted to the aggregated posterior, and how much of the marginal KL they
buy back.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import pandas as pd
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture
from torch import Tensor

from elbo.densities import mvn_log_prob, standard_gaussian_log_prob
from elbo.estimators import draw_codes, log_aggregate_posterior
from elbo.experiments.hoffman_johnson_2016.training import Runs

__all__ = ["better_priors", "fit_mixture_prior"]

LogPrior = Callable[[Tensor], Tensor]


def better_priors(
    runs: Runs, latent_dim: int, *, components: Sequence[int], pseudo_inputs: Sequence[int], codes: int, seed: int
) -> pd.DataFrame:
    r"""Marginal KL under the prior N(0, I) and under priors fitted to the aggregated posterior, with encoder and
    decoder fixed.

    A new prior changes one term: :math:`KL(q(z) \| p_{new}) = E_{q(z)}[\log q(z) - \log p_{new}(z)]`. On images not
    trained on, the ELBO changes by :math:`E[\log p_{new}(z) - \log p(z)]` over their codes, which a prior that merely
    remembers the training encodings does not survive.

    Args:
        components: sizes of Gaussian mixtures, fitted by EM to codes drawn from the aggregated posterior.
        pseudo_inputs: sizes of mixtures of the encodings of randomly chosen training images, the form of the
            VampPrior of Tomczak & Welling (2018) with images in place of learned inputs.
        codes: drawn to fit, and drawn again to measure.

    Returns:
        Rows ``prior, kind, size`` with ``marginal_kl`` on the training set, ``held_out_gain`` of the ELBO on held-out
        images, and their Monte Carlo errors, nats per image. ``size`` counts mixture components.
    """
    generator = torch.Generator().manual_seed(seed)
    member = runs.member(latent_dim)
    mean, log_var = (t.double() for t in runs.encodings(member))
    new_mean, new_log_var = (t.double() for t in runs.encodings(member, images=runs.held_out))
    _, to_fit = draw_codes(mean, log_var, codes, generator)
    _, z = draw_codes(mean, log_var, codes, generator)
    _, new_z = draw_codes(new_mean, new_log_var, codes, generator)
    log_q = log_aggregate_posterior(z, mean, log_var)
    chosen = torch.randperm(len(mean), generator=generator).to(mean.device)
    rows = []

    def measure(name: str, kind: str, size: int, log_prior: LogPrior) -> None:
        excess = log_q - log_prior(z)
        gain = log_prior(new_z) - standard_gaussian_log_prob(new_z)
        numbers = {"marginal_kl": _mean(excess), "held_out_gain": _mean(gain)}
        row = {key: value for key, (value, _) in numbers.items()} | {
            f"{key}_se": se for key, (_, se) in numbers.items()
        }
        rows.append({"prior": name, "kind": kind, "size": size} | row)

    measure("N(0, I)", "standard", 1, standard_gaussian_log_prob)
    centre, cov = _moments(mean, log_var)
    measure("one Gaussian", "mixture", 1, lambda z: mvn_log_prob(z, centre, cov))
    for size in components:
        measure(f"mixture of {size}", "mixture", size, fit_mixture_prior(to_fit, size, seed))
    for size in sorted({min(size, len(mean)) for size in pseudo_inputs} | {len(mean)}):
        part = chosen[:size]
        encodings = partial(log_aggregate_posterior, mean=mean[part], log_var=log_var[part])
        measure(f"{size:,} encodings", "encodings", size, encodings)
    return pd.DataFrame(rows)


def fit_mixture_prior(codes: Tensor, components: int, seed: int) -> LogPrior:
    """Maximum-likelihood Gaussian mixture with full covariances, by EM; returns its log-density ``(S, D) -> (S,)``
    nats.

    To maximise the likelihood of codes from the aggregated posterior is to minimise the marginal KL, up to the
    sampling of codes.
    """
    mixture = GaussianMixture(components, covariance_type="full", random_state=seed, reg_covar=1e-5)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # a mixture short of its optimum is a prior all the same
        mixture.fit(codes.cpu().numpy())
    return lambda z: torch.from_numpy(np.asarray(mixture.score_samples(z.cpu().numpy()))).to(z)


def _moments(mean: Tensor, log_var: Tensor) -> tuple[Tensor, Tensor]:
    """Exact mean and covariance of the aggregated posterior."""
    centre = mean.mean(0)
    centred = mean - centre
    return centre, centred.mT @ centred / len(mean) + torch.diag(log_var.exp().mean(0))


def _mean(terms: Tensor) -> tuple[float, float]:
    return terms.mean().item(), terms.std().item() / math.sqrt(len(terms))
