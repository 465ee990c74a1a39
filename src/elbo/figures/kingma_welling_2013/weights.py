"""Full variational Bayes over the weights, where data are few."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from elbo.figures import style
from elbo.figures.kingma_welling_2013.looks import WEIGHTS

__all__ = ["few_data"]


def few_data(table: pd.DataFrame) -> Figure:
    """The bound against samples seen, one panel a number of training images; training solid and hollow, held-out dashed
    and full.

    Args:
        table: from :func:`elbo.experiments.kingma_welling_2013.few_data`.
    """
    counts = sorted(table["count"].unique())
    figure, axes = style.new(1, len(counts), height=3.2, sharey=True)
    for axis, count in zip(axes[0], counts):
        labels = []
        for method, (colour, marker, _) in WEIGHTS.items():
            for split, name in (("train", "training"), ("test", "held out")):
                rows = table[(table["count"] == count) & (table.method == method) & (table.split == split)]
                face = colour if split == "test" else "white"
                width = 1.0 if split == "train" else 2.0
                axis.plot(
                    rows.samples,
                    rows.bound,
                    style.LINE[split],
                    color=colour,
                    marker=marker,
                    markerfacecolor=face,
                    linewidth=width,
                )
                style.band(axis, rows.samples, rows.bound, rows.bound_se.fillna(0.0), color=colour)
                labels.append((rows.samples.iloc[-1], rows.bound.iloc[-1], f"{method},\n{name}", colour))
        axis.set_xscale("log")
        axis.grid(axis="y")
        style.panel(axis, f"{count:,} training images", "samples seen")
        style.end_labels(axis, labels, gap=0.135)
    axes[0, 0].set_ylabel("bound (nats per image)")
    return figure
