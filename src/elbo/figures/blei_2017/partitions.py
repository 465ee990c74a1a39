"""The figure on EP over parts of the data: errors against the number of parts."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from elbo.figures import style

__all__ = ["over_parts"]


def over_parts(data: pd.DataFrame) -> Figure:
    """From :func:`elbo.experiments.blei_2017.partitions.over_parts`: after one round, and at rest."""
    figure, axes = style.new(1, 2, height=3.0)
    names = {"one": ("parts do not talk", ":", "white"), "rest": ("EP at rest", style.LINE["ep"], style.COLOUR["ep"])}
    for axis, column, title, unit in (
        (axes[0, 0], "mean_error", "Mean", "error (exact deviations)"),
        (axes[0, 1], "sd_error", "Deviations", "largest relative error"),
    ):
        labels = []
        for rounds, rows in data.groupby("rounds", sort=False):
            name, line, face = names[rounds]
            axis.plot(
                rows["parts"], rows[column], color=style.COLOUR["ep"], linestyle=line, marker=style.MARKER["ep"],
                markerfacecolor=face, markersize=5,
            )  # fmt: skip
            labels.append((rows["parts"].iloc[-1], rows[column].iloc[-1], name, style.COLOUR["ep"]))
        axis.set(xscale="log", yscale="log")
        axis.set_xticks(data["parts"].unique(), [f"{part}" for part in data["parts"].unique()])
        axis.minorticks_off()
        style.end_labels(axis, labels, gap=0.09)
        style.panel(axis, title, "number of parts", unit)
    return figure
