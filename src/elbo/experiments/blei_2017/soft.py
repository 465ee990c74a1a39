r"""What one sweep of CAVI does to a mixture: soft assignments, softly counted data, the terms of the bound, the
predictive.

Twelve numbers and two components with unit variances (the model of section 3 of Blei et al. 2017) are enough to see
every formula at work.
"""

from __future__ import annotations

import math

import pandas as pd
import torch
from torch import Tensor

from elbo.densities import LOG_2PI
from elbo.inference.assignments import log_predictive, responsibilities
from elbo.models.unit_mixture import UnitMixture, UnitPosterior

__all__ = ["DATA", "soft_assignments"]

DATA = (-2.9, -2.2, -1.9, -1.3, -0.6, 0.1, 0.4, 0.9, 1.5, 1.8, 2.4, 3.1)
"""The twelve numbers."""


def soft_assignments(sweeps: int = 12, few: int = 4, mean_sd: float = 3.0, points: int = 161) -> pd.DataFrame:
    """CAVI on :data:`DATA` from a poor start, and the predictive density after ``few`` of the data.

    Returns:
        Tidy frame, two components. ``part = "share"``: ``sweep`` (1 and the last), ``x`` on a grid, ``value`` the share
        of the right component, :math:`r_{n2}` of a datum there. ``part = "datum"``: the same at the data, after the
        last sweep. ``part = "term"``: per ``sweep``, ``expected`` (log-likelihood and assignment), ``entropy`` of the
        assignments, ``prior_kl`` and ``elbo``, their sum with the signs of the bound, total nats. ``part =
        "predictive"``: ``x``, ``value`` the density with q integrated, ``plug_in`` with the means put in for it.
    """
    x = torch.tensor(DATA, dtype=torch.float64)[:, None]
    model = UnitMixture(2, mean_sd=mean_sd)
    grid = torch.linspace(-4.5, 4.5, points, dtype=torch.float64)[:, None]
    q = UnitPosterior(torch.tensor([[0.2], [1.0]], dtype=torch.float64), torch.full((2,), 0.5, dtype=torch.float64))
    frames = []
    for sweep in range(1, sweeps + 1):
        r = responsibilities(model, q, x)
        if sweep in (1, sweeps):
            share = responsibilities(model, q, grid)[:, 1]
            frames.append(pd.DataFrame({"part": "share", "sweep": sweep, "x": grid[:, 0], "value": share}))
        q = _means(model, x, r)
        frames.append(pd.DataFrame([{"part": "term", "sweep": sweep, **_terms(model, x, r, q)}]))
    frames.append(pd.DataFrame({"part": "datum", "x": x[:, 0], "value": r[:, 1]}))
    start = x[:: len(x) // few]
    rough = _means(model, start, responsibilities(model, q, start))
    exact = log_predictive(model, rough, grid).exp()
    plug_in = log_predictive(model, rough._replace(var=0 * rough.var), grid).exp()
    frames.append(pd.DataFrame({"part": "predictive", "x": grid[:, 0], "value": exact, "plug_in": plug_in}))
    return pd.concat(frames, ignore_index=True)


def _means(model: UnitMixture, x: Tensor, r: Tensor) -> UnitPosterior:
    """The update of the means for given shares ``r`` (n, K)."""
    var = 1 / (model.mean_sd**-2 + r.sum(0))
    return UnitPosterior(var[:, None] * (r.T @ x), var)


def _terms(model: UnitMixture, x: Tensor, r: Tensor, q: UnitPosterior) -> dict[str, float]:
    squares = (x - q.mean.T).square() + q.var  # (n, K), expected under q
    expected = (r * (-0.5 * (squares + LOG_2PI) - math.log(model.num_components))).sum()
    entropy, prior_kl = -torch.xlogy(r, r).sum(), model.kl(q)
    terms = {"expected": expected, "entropy": entropy, "prior_kl": prior_kl, "elbo": expected + entropy - prior_kl}
    return {name: value.item() for name, value in terms.items()}
