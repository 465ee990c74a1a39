"""The figure on topics: held-out prediction of CAVI and SVI against the documents that they have read."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from elbo.figures import style

__all__ = ["learning"]


def learning(data: pd.DataFrame) -> Figure:
    """From :func:`elbo.experiments.blei_2017.topics.learn`: one line an algorithm and start."""
    figure, ((axis,),) = style.new(1, 1, height=2.8)
    for (algorithm, _), run in data.groupby(["algorithm", "start"], sort=False):
        axis.plot(
            run["documents_read"], run["held_out"], color=style.COLOUR[algorithm], linestyle=style.LINE[algorithm],
            marker=style.MARKER[algorithm], markersize=3, linewidth=1.2,
        )  # fmt: skip
    axis.set_xscale("log")
    one_pass = data.loc[data["algorithm"] == "cavi", "documents_read"].min()
    style.guide(axis.axvline(one_pass, **style.GUIDE))
    axis.annotate(
        "one pass", (one_pass, 0.03), xycoords=("data", "axes fraction"), xytext=(-4, 0), textcoords="offset points",
        ha="right", fontsize=style.SMALL, color=style.GREY,
    )  # fmt: skip
    for algorithm, height in (("svi", 0.93), ("cavi", 0.84)):
        text = f"{style.MARKS[style.MARKER[algorithm]]} {algorithm.upper()}"
        axis.annotate(
            text, (0.03, height), xycoords="axes fraction", fontsize=style.SMALL, color=style.COLOUR[algorithm]
        )
    return style.panel(axis, "", "documents read", "held-out log predictive\n(nats per word)").figure
