r"""Can these draws be trusted? Split :math:`\hat R`, effective sample size and Monte Carlo standard error.

Thin names over ``arviz_stats``, which implements Vehtari, Gelman, Simpson, Carpenter & Bürkner (2021),
"Rank-normalization, folding, and localization: an improved :math:`\hat R`". Draws are ``(chains, draws, dim)``, what
:func:`elbo.inference.hmc.fit` returns.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch
from torch import Tensor

__all__ = ["effective_sample_size", "pareto_shape", "rank_statistics", "split_rhat", "standard_error", "summary"]


def split_rhat(draws: Tensor, kind: str = "rank") -> Tensor:
    r"""Split :math:`\hat R`: between-half-chain against within-half-chain spread; 1 at convergence, alarm above 1.01.

    Args:
        draws: ``(chains, draws, dim)``; at least 4 draws a chain.
        kind: ``"rank"`` (rank-normalised and folded, Vehtari et al. 2021, the default) or ``"split"`` (Gelman et al.
            2013).

    Returns:
        ``(dim,)``. A coordinate that never moves gives ``nan``, which no threshold lets pass.

    Raises:
        ValueError: wrong shape, too few draws or non-finite draws.
    """
    if kind not in ("rank", "split"):
        raise ValueError(f"kind must be 'rank' or 'split', got {kind!r}")
    return _apply("rhat", draws, kind)


def effective_sample_size(draws: Tensor, kind: str = "bulk") -> Tensor:
    """How many independent draws the chains are worth, for the bulk, the tail or the mean; Vehtari et al. (2021),
    section 3.

    Args:
        draws: ``(chains, draws, dim)``. kind: ``"bulk"``, ``"tail"`` or ``"mean"``.

    Returns:
        ``(dim,)``; may exceed the number of draws when they are antithetic, ``nan`` for a coordinate that never moves.
    """
    if kind not in ("bulk", "tail", "mean"):
        raise ValueError(f"kind must be 'bulk', 'tail' or 'mean', got {kind!r}")
    return _apply("ess", draws, kind)


def standard_error(draws: Tensor, kind: str = "mean") -> Tensor:
    r"""Monte Carlo standard error of the posterior mean, :math:`\mathrm{sd} / \sqrt{\mathrm{ESS}}`, or of the posterior
    standard deviation, by the delta method: that of the mean of :math:`(z - \bar z)^2`, over twice the standard
    deviation; ``(dim,)``."""
    if kind not in ("mean", "sd"):
        raise ValueError(f"kind must be 'mean' or 'sd', got {kind!r}")
    if kind == "mean":
        return _apply("mcse", draws, "mean")
    flat = draws.flatten(0, 1)
    return _apply("mcse", (draws - flat.mean(0)).square(), "mean") / (2 * flat.std(0))


def summary(draws: Tensor, names: list[str] | None = None) -> pd.DataFrame:
    """One row a coordinate: ``mean, mean_se, sd, sd_se, ess_bulk, ess_tail, rhat``."""
    flat = draws.flatten(0, 1)
    columns = {
        "mean": flat.mean(0),
        "mean_se": standard_error(draws),
        "sd": flat.std(0),
        "sd_se": standard_error(draws, "sd"),
        "ess_bulk": effective_sample_size(draws),
        "ess_tail": effective_sample_size(draws, "tail"),
        "rhat": split_rhat(draws),
    }
    names = names or [f"z{index + 1}" for index in range(draws.shape[-1])]
    return pd.DataFrame({"coordinate": names, **{key: value.cpu().numpy() for key, value in columns.items()}})


def rank_statistics(truth: Tensor, draws: Tensor) -> Tensor:
    """Ranks for simulation-based calibration: of each true value among its posterior draws; Talts et al. (2018),
    algorithm 1.

    With parameters from the prior, data from the model and exact posterior draws, each rank is uniform on ``0 ..
    draws``.

    Args:
        truth: ``(simulations, dim)``. draws: ``(simulations, draws, dim)``, nearly independent (thin them).

    Returns:
        ``(simulations, dim)`` integers.
    """
    if draws.ndim != 3 or truth.shape != (draws.shape[0], draws.shape[2]):
        shapes = f"truth {tuple(truth.shape)} and draws {tuple(draws.shape)}"
        raise ValueError(f"{shapes} must be (simulations, dim) and (simulations, draws, dim)")
    return (draws < truth.unsqueeze(1)).sum(1)


def _apply(name: str, draws: Tensor, method: str) -> Tensor:
    from arviz_stats.base.array import array_stats  # slow to import, and only needed where draws are judged

    if draws.ndim != 3 or draws.shape[1] < 4:
        raise ValueError(f"draws must be (chains, draws, dim) with at least 4 draws, got {tuple(draws.shape)}")
    if not draws.isfinite().all():
        raise ValueError("draws contain nan or infinity; look at the divergences of the run")
    array = draws.detach().cpu().numpy().astype(np.float64)
    moves = np.ptp(array, axis=(0, 1)) > 0
    values = np.full(array.shape[-1], np.nan)
    if moves.any():
        options = {"prob": (0.05, 0.95)} if method == "tail" else {}
        function = getattr(array_stats, name)
        values[moves] = function(array[..., moves], chain_axis=0, draw_axis=1, method=method, **options)
    return torch.as_tensor(values, dtype=draws.dtype, device=draws.device)


def pareto_shape(log_ratios: Tensor) -> Tensor:
    r"""Shape :math:`\hat k` of the upper tail of importance ratios :math:`p(x, z) / q(z)` at draws from q.

    A generalised Pareto distribution is fitted to the largest ratios (Vehtari, Simpson, Gelman, Yao & Gabry 2024). The
    ratios have moments up to order :math:`1/k`: below 1/2 their variance is finite, above 0.7 averages weighted by them
    cannot be trusted at usual numbers of draws, and q is a poor stand-in for p (Yao, Vehtari, Simpson & Gelman 2018).

    Args:
        log_ratios: ``(..., draws)`` nats, a constant does not matter; a thousand draws or more.

    Returns:
        ``(...)``. From 4,000 draws its standard error is about 0.1, and slowly vanishing factors bias it below the
        tail's own shape. It sees only where q draws: a mode without draws leaves no trace in it.

    Raises:
        ValueError: fewer than 100 draws, or a ratio that is NaN or plus infinity.
    """
    from arviz_stats.base.array import array_stats

    if log_ratios.shape[-1] < 100:
        raise ValueError(f"a tail cannot be fitted to {log_ratios.shape[-1]} draws; take a thousand or more")
    if log_ratios.isnan().any() or log_ratios.isposinf().any():
        raise ValueError("a ratio is not a number or infinite; check the log densities at the draws")
    _, shape = array_stats.psislw(-log_ratios.detach().double().cpu().numpy())  # it takes minus the log ratios
    return torch.as_tensor(shape, dtype=torch.float64)
