"""Figure 2: the bound against training samples."""

from __future__ import annotations

import numpy as np
import pandas as pd

from elbo.experiments.kingma_welling_2013.training import Run

__all__ = ["bound", "final_bound", "signs_of_overfitting"]


def bound(run: Run) -> pd.DataFrame:
    """Figure 2: the bound against the number of training samples, mean over seeds.

    Returns:
        One row a latent size, split and number of samples: ``bound`` (nats per image), ``se_seeds`` (standard error over seeds,
        missing for one seed), ``se_images`` (standard error over the images of the split), ``seeds`` (how many).
    """
    keys = ["latent_dim", "split", "samples"]
    grouped = run.trained.history.groupby(keys, sort=True)
    table = grouped.agg(bound=("bound", "mean"), se_seeds=("bound", "sem"), se_images=("se", "mean"), seeds=("bound", "size"))
    return table.reset_index()


def final_bound(run: Run) -> pd.DataFrame:
    """The bound at the end of training: one row a latent size, train and test side by side, nats per image with standard errors."""
    last = bound(run).query("samples == samples.max()").set_index(["latent_dim", "split"])
    last["se"] = np.hypot(last.se_images, last.se_seeds.fillna(0.0))
    return last[["bound", "se"]].unstack("split").swaplevel(axis=1).sort_index(axis=1, ascending=[False, True])


def signs_of_overfitting(run: Run) -> list[str]:
    """One sentence a latent size: how far its test bound is from its own best, and from that of the next smaller size."""
    test = bound(run).query("split == 'test'").pivot(index="samples", columns="latent_dim", values="bound")
    error = bound(run).query("split == 'test' and samples == samples.max()").set_index("latent_dim").se_images
    lines, smaller = [], None
    for size, curve in test.items():
        line = f"{size:3d} latents: test bound {curve.iloc[-1]:.2f} ± {error[size]:.2f}, {curve.max() - curve.iloc[-1]:.2f} below its best"
        lines.append(line if smaller is None else f"{line}, {curve.iloc[-1] - smaller:+.2f} against the size before")
        smaller = curve.iloc[-1]
    return lines
