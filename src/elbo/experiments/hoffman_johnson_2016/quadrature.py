"""Each term of the split by itself: the estimators against integrals over the plane of codes."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import torch
from scipy.stats import norm

from elbo.estimators import surgery

__all__ = ["split_by_quadrature"]


def split_by_quadrature(*, num: int = 200, codes: int = 20_000, points: int = 401, seed: int = 0) -> pd.DataFrame:
    r"""Information and marginal KL of ``num`` encodings in two dimensions, estimated and integrated.

    .. math:: I = \frac1N \sum_n \int q(z|x_n) \log \frac{q(z|x_n)}{q(z)} dz, \qquad
              KL(q(z) \| p(z)) = \int q(z) \log \frac{q(z)}{p(z)} dz

    The sum of the two is the average KL for any function in the place of :math:`q(z)`, so that it says nothing of
    either; each integral does. The densities of the integrals are scipy's.

    Args:
        num: encodings, with means N(0, I) and standard deviations between 0.1 and 1.
        codes: drawn by :func:`elbo.estimators.surgery`.
        points: of the grid along each axis, from -7 to 7.

    Returns:
        Rows ``term`` with ``estimate``, its standard error ``estimate_se``, and ``quadrature``, nats per datum.
    """
    generator = torch.Generator().manual_seed(seed)
    mean = torch.randn(num, 2, generator=generator, dtype=torch.float64)
    log_var = 2 * math.log(0.1) * torch.rand(num, 2, generator=generator, dtype=torch.float64)
    found = surgery(mean, log_var, generator=generator, codes=codes)
    line, step = np.linspace(-7, 7, points, retstep=True)
    each = norm.pdf(line, mean.numpy()[..., None], np.exp(0.5 * log_var.numpy())[..., None])  # (num, 2, points)
    own = each[:, 0, :, None] * each[:, 1, None, :]  # (num, points, points)
    aggregate = own.mean(0)
    prior = norm.pdf(line)[:, None] * norm.pdf(line)[None, :]
    with np.errstate(divide="ignore", invalid="ignore"):
        information = np.nan_to_num(own * np.log(own / aggregate)).sum() * step**2 / num
        marginal = np.nan_to_num(aggregate * np.log(aggregate / prior)).sum() * step**2
    terms = {
        "mutual information": (found.mutual_information, information),
        "marginal KL": (found.marginal_kl, marginal),
    }
    rows = [(term, float(value), value.standard_error, integral) for term, (value, integral) in terms.items()]
    return pd.DataFrame(rows, columns=["term", "estimate", "estimate_se", "quadrature"]).assign(encodings=num)
