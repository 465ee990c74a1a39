"""Draws for an image against images in a minibatch."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from elbo.figures import style
from elbo.figures.kingma_welling_2013.looks import SIZES

__all__ = ["draws_and_batches"]


def draws_and_batches(table: pd.DataFrame) -> Figure:
    """The noise of a minibatch's gradient against the decoder passes it costs, a line for each number of draws.

    Args:
        table: from :func:`elbo.experiments.kingma_welling_2013.draws_and_batches`.
    """
    figure, axes = style.new(height=3.0, width=5.6)
    axis = axes[0, 0]
    for (colour, marker, line), (draws, rows) in zip(SIZES, table.groupby("draws")):
        axis.plot(rows.passes, rows.sd, linestyle=line, color=colour, marker=marker)
        name = {table.draws.min(): "1 draw", table.draws.max(): f"{draws} draws"}.get(draws, f"{draws}")
        axis.annotate(
            name, (rows.passes.iloc[0], rows.sd.iloc[0]), xytext=(3, 6), textcoords="offset points", color=colour
        )
    axis.set_xscale("log")
    axis.set_yscale("log")
    axis.grid(axis="y")
    style.panel(axis, "", "decoder passes for a step, draws × images", "sd of the gradient (nats per unit weight)")
    axis.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axis.yaxis.set_minor_formatter(NullFormatter())
    axis.margins(x=0.08, y=0.12)
    return figure
