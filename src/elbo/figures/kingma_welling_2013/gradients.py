"""Reparameterisation against the score function."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from elbo.figures import style
from elbo.figures.kingma_welling_2013.looks import ESTIMATORS

__all__ = ["gradient_noise"]


def gradient_noise(table: pd.DataFrame) -> Figure:
    """Standard deviation of one draw of the gradient: by the number of latents (left), by the gap of the bound (right).

    Lines are the closed form, marks what was measured. The length of the gradient itself is the thin dotted line.

    Args:
        table: from :func:`elbo.experiments.kingma_welling_2013.gradient_noise`.
    """
    figure, axes = style.new(1, 2, height=3.3, sharey=True)
    panels = [
        ("latents", "latent_dim", "By the number of latents", "latents"),
        ("distance", "gap", "By the distance from the optimum", "KL(q || posterior) (nats)"),
    ]
    for axis, (panel, x, title, xlabel) in zip(axes[0], panels):
        rows = table[table.panel == panel].sort_values(x)
        for name, (colour, marker, line) in ESTIMATORS.items():
            own = rows[rows.estimator == name]
            axis.plot(own[x], own.sd, linestyle=line, color=colour)
            axis.errorbar(
                own[x], own.measured_sd, yerr=own.measured_se, color=colour, marker=marker, linestyle="none", capsize=2
            )
            _label(axis, name, panel, own[x].to_numpy(), own.sd.to_numpy(), colour)
        length = rows[rows.estimator == "A"]
        axis.plot(length[x], length.gradient, color=style.COLOUR["log n"], linewidth=0.8, linestyle=(0, (1, 3)))
        axis.set_xscale("log")
        axis.set_yscale("log")
        axis.grid(axis="y")
        style.panel(axis, title, xlabel, "sd of one draw of the gradient (nats)" if panel == "latents" else "")
    sizes = sorted(table[table.panel == "latents"].latent_dim.unique())
    axes[0, 0].set_xticks(sizes, [str(size) for size in sizes])
    for axis in axes[0]:
        axis.minorticks_off()
    return figure


PLACES = {
    "latents": {
        "score function": (4, (-6, 6), "right"),
        "score function, baseline": (-1, (0, 9), "right"),
        "A": (-1, (0, 9), "right"),
        "path": (3, (4, -14), "left"),
    },
    "distance": {
        "score function": (0, (0, 6), "left"),
        "A": (0, (0, 6), "left"),
        "B": (0, (0, -15), "left"),
        "score function, baseline": (-2, (-6, 7), "right"),
        "path": (3, (6, -12), "left"),
    },
}
"""Where a name stands, by panel: at which point of its line, how far from it (points), on which side."""


def _label(axis, name: str, panel: str, x, y, colour: str) -> None:
    """Write the name beside its line."""
    if name not in PLACES[panel]:
        return
    at, (dx, dy), align = PLACES[panel][name]
    text = {"path": "path alone", "score function, baseline": "with baseline"}.get(name, name)
    if panel == "latents":
        text = {"A": "A and B", "with baseline": "baseline"}.get(text, text)
    at = min(at, len(x) - 1)
    axis.annotate(text, (x[at], y[at]), xytext=(dx, dy), textcoords="offset points", color=colour, ha=align)
