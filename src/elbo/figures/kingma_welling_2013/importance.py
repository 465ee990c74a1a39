"""Signal and noise of the gradient of a tighter bound."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from elbo.figures import style
from elbo.figures.kingma_welling_2013.looks import ESTIMATORS

__all__ = ["gradient_signal"]

NAMES = {"plain": ("A", "plain"), "doubly": ("path", "doubly reparameterised")}


def gradient_signal(table: pd.DataFrame) -> Figure:
    """The signal-to-noise ratio of the gradient in the parameters of ``q`` against the number of draws of the bound.

    Args:
        table: from :func:`elbo.experiments.kingma_welling_2013.gradient_signal`.
    """
    figure, axes = style.new(height=2.9, width=5.6)
    axis = axes[0, 0]
    labels = []
    for estimator, rows in table.groupby("estimator"):
        look, name = NAMES[estimator]
        colour, marker, line = ESTIMATORS[look]
        axis.plot(rows.draws, rows.ratio, linestyle=line, color=colour, marker=marker)
        labels.append((rows.draws.iloc[-1], rows.ratio.iloc[-1], name, colour))
    axis.set_xscale("log")
    axis.set_yscale("log")
    axis.grid(axis="y")
    style.panel(axis, "", "draws of the bound, $k$", "signal over noise of the gradient")
    style.end_labels(axis, labels, gap=0.1)
    return figure
