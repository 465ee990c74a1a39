"""Full variational Bayes over the weights, where data are few."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from elbo.figures import style

__all__ = ["few_data"]

LOOKS = {"MAP": ("#D55E00", "s"), "full VB": ("#0072B2", "o")}


def few_data(table: pd.DataFrame) -> Figure:
    """The bound against samples seen, one panel a number of training images; training solid with hollow marks, held-out dashed with full ones.

    Args:
        table: from :func:`elbo.experiments.kingma_welling_2013.few_data`.
    """
    counts = sorted(table["count"].unique())
    figure, axes = style.new(1, len(counts), height=2.9, sharey=True)
    for axis, count in zip(axes[0], counts):
        for method, (colour, marker) in LOOKS.items():
            for split in ("train", "test"):
                rows = table[(table["count"] == count) & (table.method == method) & (table.split == split)]
                axis.plot(rows.samples, rows.bound, style.LINE[split], color=colour, **_marker(marker, split))
                style.band(axis, rows.samples, rows.bound, rows.bound_se.fillna(0.0), color=colour)
        axis.set_xscale("log")
        axis.grid(axis="y")
        style.panel(axis, f"{count:,} training images", "samples seen")
    axes[0, 0].set_ylabel("bound (nats per image)")
    handles = [
        Line2D([], [], color=colour, linestyle=style.LINE[split], label=f"{method}, {name}", **_marker(marker, split))
        for method, (colour, marker) in LOOKS.items()
        for split, name in (("train", "training"), ("test", "held out"))
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=4)
    return figure


def _marker(marker: str, split: str) -> dict:
    """Full for held-out data, hollow for training data: on a grey print it tells the methods apart."""
    return {"marker": marker, "markerfacecolor": None if split == "test" else "white"}
