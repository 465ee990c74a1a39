"""What beta is and is not, on a linear-Gaussian model of one dimension, without training or sampling."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd
import torch

from elbo.densities import gaussian_kl, mvn_kl
from elbo.models import linear_gaussian as lg

__all__ = ["kl_cases", "posterior_paths"]


def posterior_paths(
    strengths: Sequence[float],
    values: Sequence[float],
    *,
    beta: float = 4.0,
    decoder_variance: float = 0.5,
    x: float = 1.5,
) -> pd.DataFrame:
    r"""Posteriors of one datum as beta or the prior variance moves, for :math:`z \sim N(0, t),\; x|z \sim N(wz, s^2)`.

    Args:
        strengths: decoder weights w, one set of rows each.
        values: of beta (prior variance 1) and of the prior variance t (beta 1), in order.
        beta: the weight to be imitated.

    Returns:
        Rows ``strength, what`` (``"beta"`` or ``"prior variance"``), ``value``, ``mean, variance`` of the maximiser of
        the objective and ``kl``, its KL from the one at ``beta`` (nats); besides ``target_mean, target_variance``,
        ``start_mean, start_variance`` (beta = t = 1), and ``needed``, the prior variance that would give the target's
        variance: negative where there is none, and ``off``, its mean over the target's (NaN then).

    Raises:
        ValueError: a value or beta that is not positive.
    """
    if min(*values, beta) <= 0:
        raise ValueError("beta and the prior variance must be positive; start the values above zero")
    datum = torch.tensor([x], dtype=torch.float64)
    rows = []
    for strength in strengths:
        model = _scalar(strength, decoder_variance)
        start, target = lg.posterior(model, datum), lg.posterior(lg.temper(model, beta), datum)
        needed = 1 / (1 / target[1].item() - strength**2 / decoder_variance)
        off = _with_prior(model, datum, needed)[0].item() / target[0].item() if needed > 0 else math.nan
        about = {"target_mean": target[0].item(), "target_variance": target[1].item()}
        about |= {"start_mean": start[0].item(), "start_variance": start[1].item(), "needed": needed, "off": off}
        for what in ("beta", "prior variance"):
            for value in values:
                found = lg.posterior(lg.temper(model, value), datum)
                if what == "prior variance":
                    found = _with_prior(model, datum, value)
                moved = {"mean": found[0].item(), "variance": found[1].item(), "kl": mvn_kl(*found, *target).item()}
                rows.append({"strength": strength, "what": what, "value": value, **moved, **about})
    return pd.DataFrame(rows)


def kl_cases(dim: int = 3) -> pd.DataFrame:
    """KL of isotropic Gaussians of ``dim`` dimensions from N(0, I), beside the difference of the log-determinants
    alone, for which it is sometimes taken.

    Returns:
        Rows ``variance, shift`` (of every mean) with ``kl`` and ``log_ratio``, nats.
    """
    rows = []
    for variance, shift in ((1.0, 0.0), (0.25, 0.0), (4.0, 0.0), (1.0, 1.0)):
        mean = torch.full((dim,), shift, dtype=torch.float64)
        log_var = torch.full((dim,), math.log(variance), dtype=torch.float64)
        kl = gaussian_kl(mean, log_var, torch.zeros_like(mean), torch.zeros_like(mean)).item()
        rows.append({"variance": variance, "shift": shift, "kl": kl, "log_ratio": dim * math.log(variance)})
    return pd.DataFrame(rows)


def _scalar(strength: float, decoder_variance: float) -> lg.LinearGaussian:
    one = torch.ones(1, dtype=torch.float64)
    return lg.LinearGaussian(strength * one[:, None], 0 * one, (decoder_variance * one).log())


def _with_prior(model: lg.LinearGaussian, x: torch.Tensor, variance: float) -> tuple[torch.Tensor, torch.Tensor]:
    """The posterior under N(0, variance): a standard prior with the weight scaled, its code scaled back."""
    mean, cov = lg.posterior(model._replace(weight=model.weight * math.sqrt(variance)), x)
    return mean * math.sqrt(variance), cov * variance
