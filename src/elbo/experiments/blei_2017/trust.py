r"""Which fit can be trusted? The Pareto shape of importance ratios beside every fit of the chapter.

For a Gaussian target in two dimensions and its best mean-field q the ratios have a power tail whose shape is the
correlation: along the direction of the larger eigenvalue, :math:`1 + \rho`, q has variance :math:`1 - \rho^2`, and a
Gaussian of variance
:math:`v` against one of variance :math:`w` has shape :math:`1 - v / w`, here :math:`1 - (1 - \rho) = \rho`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import pandas as pd
import torch
from torch import Generator, Tensor

from elbo.densities import mvn_log_prob
from elbo.experiments.blei_2017 import calibration, clutter, divergences, setup
from elbo.inference import diagnostics, ep
from elbo.models import linear_gaussian
from elbo.models.regression import LinearRegression

__all__ = ["LIMIT", "fits", "gaussian_shape", "over_correlation"]

LIMIT = 0.7
"""Above this shape a fit should not stand in for the posterior (Yao et al. 2018)."""

LogProb = Callable[[Tensor], Tensor]


def gaussian_shape(variance: Tensor, cov: Tensor) -> float:
    r"""Exact tail shape of :math:`N(0, \Sigma)` over a Gaussian with variances ``variance`` (dim,): the largest
    :math:`1 - 1/e` over eigenvalues ``e`` of the target relative to q, and 0 where q is wider everywhere."""
    root = variance.sqrt()
    relative = torch.linalg.eigvalsh(cov / root[:, None] / root[None, :])
    return max(0.0, (1 - 1 / relative).max().item())


def over_correlation(
    seed: int, draws: int = 4000, repeats: int = 20, correlations: Sequence[float] = tuple(i / 10 for i in range(1, 10))
) -> pd.DataFrame:
    """Estimated and exact shape for mean field on the Gaussian of figure 1.

    Returns:
        Per ``correlation``: ``shape`` (mean over ``repeats``), ``se``, ``exact``, and ``sd`` of one estimate.
    """
    generator = torch.Generator().manual_seed(seed)
    rows = []
    for rho in correlations:
        cov = torch.tensor([[1.0, rho], [rho, 1.0]], dtype=torch.float64)
        variance = 1 / torch.linalg.inv(cov).diagonal()
        ratios = _log_ratios(
            lambda z, cov=cov: mvn_log_prob(z, torch.zeros(2).double(), cov),
            torch.zeros(2, dtype=torch.float64),
            variance.diag(),
            repeats * draws,
            generator,
        )
        found = diagnostics.pareto_shape(ratios.view(repeats, draws))
        sd = found.std().item()
        exact = gaussian_shape(variance, cov)
        rows.append(
            {"correlation": rho, "shape": found.mean().item(), "se": sd / math.sqrt(repeats), "exact": exact, "sd": sd}
        )
    return pd.DataFrame(rows)


def fits(seed: int, draws: int = 4000, repeats: int = 10) -> pd.DataFrame:
    r"""The shape for every kind of fit in the chapter, on targets whose density is known up to a constant.

    Returns:
        Per ``target`` and ``law`` (exclusive, ep, inclusive): ``shape``, its mean over ``repeats`` sets of draws,
        ``se``, and ``trusted``, whether it lies below :data:`LIMIT`, and ``effective``, the effective share of all
        draws when they are weighted, :math:`(\sum w)^2 / (n \sum w^2)`. ``place`` numbers the rows.
    """
    generator = torch.Generator().manual_seed(seed)
    rows = []
    for target, law, log_prob, mean, cov in _fits(seed):
        ratios = _log_ratios(log_prob, mean, cov, repeats * draws, generator)
        found = diagnostics.pareto_shape(ratios.view(repeats, draws))
        shape, se = found.mean().item(), found.std().item() / math.sqrt(repeats)
        share = math.exp((2 * ratios.logsumexp(0) - (2 * ratios).logsumexp(0)).item()) / len(ratios)
        row = {"target": target, "law": law, "shape": shape, "se": se, "trusted": shape < LIMIT, "effective": share}
        rows.append({**row, "place": len(rows)})
    return pd.DataFrame(rows)


def _log_ratios(log_prob: LogProb, mean: Tensor, cov: Tensor, count: int, generator: Generator) -> Tensor:
    noise = torch.randn(count, len(mean), generator=generator, dtype=torch.float64)
    z = mean + noise @ torch.linalg.cholesky(cov).T
    return log_prob(z) - mvn_log_prob(z, mean, cov)


def _fits(seed: int) -> list[tuple[str, str, LogProb, Tensor, Tensor]]:
    found = []
    model, x = setup.factor_scores(seed)
    mean, cov = linear_gaussian.posterior(model, x)
    narrow = torch.diag(1 / torch.linalg.inv(cov).diagonal())
    found.append(("factor analysis", "exclusive", lambda z: linear_gaussian.log_joint(model, x, z), mean, narrow))

    design, target = setup.diabetes()
    regression = LinearRegression(prior_sd=1.0, noise_sd=0.7)
    weights, spread = regression.posterior(design, target)
    narrow = torch.diag(1 / torch.linalg.inv(spread).diagonal())
    found.append(("linear regression", "exclusive", lambda w: mvn_log_prob(w, weights, spread), weights, narrow))

    inputs = torch.stack([torch.ones(12), torch.linspace(0, 3, 12)], -1).double()
    labels = torch.tensor([-1, -1, 1, -1, -1, 1, 1, -1, 1, 1, 1, 1], dtype=torch.float64)

    def probit(w: torch.Tensor) -> torch.Tensor:
        return calibration.probit_log_joint(w, inputs, labels.expand(len(w), -1), 1.0)

    centre, variance = calibration.probit_cavi(inputs, labels[None], 1.0)
    found.append(("probit regression", "exclusive", probit, centre[0], variance.diag()))
    fit = ep.fit(ep.probit_sites(inputs, labels), torch.zeros(2).double(), torch.eye(2).double(), 12)
    found.append(("probit regression", "ep", probit, fit.mean, fit.cov))

    optima = divergences.two_modes(points=11).query("part == 'optimum'").set_index("law")

    def modes(z: torch.Tensor) -> torch.Tensor:
        return divergences.log_mixture(z[:, 0])

    for law in ("exclusive", "inclusive"):
        place = torch.tensor([optima.loc[law, "z"]]).double(), torch.tensor([[optima.loc[law, "sd"] ** 2]]).double()
        found.append(("two modes", law, modes, *place))

    rows = clutter.simulate(20, 0.5, torch.Generator().manual_seed(seed))

    def joint(z: torch.Tensor) -> torch.Tensor:
        prior = mvn_log_prob(z, torch.zeros(1).double(), 100 * torch.eye(1).double())
        return clutter.log_factor(rows, 0.5, z.T).sum(0) + prior

    for law, place in clutter.both_fits(rows, 0.5).items():
        found.append(("clutter", law, joint, *place))
    return found
