"""How often the bound of CAVI has elbows, and whether held-out prediction climbs more smoothly: figure 3 many times."""

from __future__ import annotations

import pandas as pd

from elbo.experiments.blei_2017 import mixtures

__all__ = ["elbows"]


def elbows(seeds: int = 20, num_data: int = 1000, iterations: int = 60) -> pd.DataFrame:
    """The bound and the held-out prediction of CAVI on five Gaussians, data and start anew for every seed.

    Returns:
        Rows ``seed, iteration`` with ``elbo_per_datum`` and ``held_out``, nats per datum, as
        :func:`elbo.experiments.blei_2017.mixtures.progress` has them; no seed is chosen.
    """
    parts = []
    for seed in range(seeds):
        five = mixtures.five_gaussians(num_data=num_data, num_test=num_data, iterations=iterations, seed=seed)
        history = mixtures.progress(five)[["iteration", "elbo_per_datum", "held_out"]]
        parts.append(history.assign(seed=seed, num_data=num_data))
    return pd.concat(parts, ignore_index=True).round({"elbo_per_datum": 9, "held_out": 9})
