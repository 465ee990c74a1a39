"""The amortisation gap: one posterior with two Gaussians, and the gap of the bound in two parts."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Ellipse

from elbo.figures import style
from elbo.figures.kingma_welling_2013.looks import GAPS

__all__ = ["amortisation_gap"]

NAMES = {"encoder": "encoder's", "best": "best"}


def amortisation_gap(one: pd.DataFrame, gaps: pd.DataFrame) -> Figure:
    """Left: exact posterior of an image with the encoder's Gaussian and the best one. Right: the two gaps by number of
    latents.

    Args:
        one: from :func:`elbo.experiments.kingma_welling_2013.posterior_of_one`.
        gaps: from :func:`elbo.experiments.kingma_welling_2013.gap_by_size`; bars are one standard error over images.
    """
    figure, axes = style.new(1, 2, height=3.3, width_ratios=(1, 1.15))
    _posterior(axes[0, 0], one)
    _bars(axes[0, 1], gaps)
    return figure


def _posterior(axis: Axes, one: pd.DataFrame) -> None:
    grid = one[one.panel == "grid"]
    z_1, z_2 = (np.sort(grid[name].unique()) for name in ("z_1", "z_2"))
    density = grid.sort_values(["z_1", "z_2"]).density.to_numpy().reshape(len(z_1), len(z_2)).T
    axis.contourf(z_1, z_2, density, levels=np.linspace(0.02, 1, 8), cmap="Greys", alpha=0.8)
    for row in one[one.panel == "gaussian"].itertuples():
        colour, _, line = GAPS[row.name]
        shape = Ellipse((row.mean_1, row.mean_2), 4 * row.sd_1, 4 * row.sd_2, fill=False)
        shape.set(edgecolor=colour, linestyle=line, linewidth=1.8)
        axis.add_patch(shape)
    handles = [
        axis.plot([], [], color=colour, linestyle=line, label=f"{NAMES[name]} Gaussian")[0]
        for name, (colour, _, line) in GAPS.items()
    ]
    handles.append(Ellipse((0, 0), 1, 1, facecolor="#9a9a9a", label="exact posterior"))
    axis.legend(handles=handles, loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=2)
    axis.set_aspect("equal")
    style.panel(axis, "One image, two latents", "first latent", "second latent")


def _bars(axis: Axes, gaps: pd.DataFrame) -> None:
    """Two bars beside each other for each size, with their errors and their values."""
    places = np.arange(len(gaps))
    parts = (
        ("approximation", -0.2, "lost to the Gaussian", GAPS["best"]),
        ("amortisation", 0.2, "lost to the encoder", GAPS["encoder"]),
    )
    for name, shift, label, (colour, hatch, _) in parts:
        axis.bar(
            places + shift, gaps[name], 0.38, color=colour, alpha=0.75, hatch=hatch, edgecolor="white", label=label
        )
        error = gaps[f"{name}_se"].fillna(0.0)
        for x, value, own in zip(places + shift, gaps[name], error):
            style.guide(axis.plot([x, x], [value - own, value + own], color=style.BLACK, linewidth=1)[0])
            axis.annotate(f"{value:.2f}", (x, value + own), xytext=(0, 3), textcoords="offset points", ha="center")
    axis.set_xticks(places, [f"{size:.0f}" for size in gaps.latent_dim])
    axis.margins(y=0.12)
    axis.grid(axis="y")
    axis.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=2)
    style.panel(axis, "The gap of the bound", "latents", "nats per test image")
