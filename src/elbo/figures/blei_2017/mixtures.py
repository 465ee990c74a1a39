"""Figures on mixtures of Gaussians: CAVI on five simulated clusters, and SVI beside it on a million data."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patches import Ellipse
from matplotlib.ticker import FuncFormatter

from elbo.data.curves import paper_curves
from elbo.figures import style

__all__ = ["ellipses", "million", "progress"]

_COMPONENTS = (style.BLUE, style.VERMILION, style.GREEN, style.PURPLE, style.BLACK)


def ellipses(data: pd.DataFrame) -> Figure:
    """From :func:`elbo.experiments.blei_2017.mixtures.ellipses`: true clusters, then two-sigma ellipses at up to five
    snapshots.
    """
    points, components = data[data["kind"] == "datum"], data[data["kind"] == "component"]
    shown = sorted(components["iteration"].unique())[:5]
    figure, axes = style.new(2, 3, height=4.9, sharex=True, sharey=True)
    truth, *panels = axes.flat
    for component, rows in points.groupby("component"):
        truth.scatter(rows["x1"], rows["x2"], s=3, color=_COMPONENTS[int(component)], linewidths=0, alpha=0.6)
    truth.set_title("data, by true cluster")
    for panel, iteration in zip(panels, shown, strict=False):
        panel.scatter(points["x1"], points["x2"], s=2, color=style.GREY, linewidths=0, alpha=0.35)
        for _, row in components[components["iteration"] == iteration].iterrows():
            colour = _COMPONENTS[int(row["component"])]
            ellipse = Ellipse((row["x1"], row["x2"]), 4 * row["sd1"], 4 * row["sd2"], fill=False, edgecolor=colour)
            ellipse.set(linewidth=0.6 + 3 * row["weight"], alpha=0.95)
            style.guide(panel.add_patch(ellipse))
            panel.scatter([row["x1"]], [row["x2"]], s=14, color=colour, marker="+")
        panel.set_title("start" if iteration == 0 else f"iteration {int(iteration)}")
    for panel in axes[-1]:
        panel.set_xlabel("$x_1$")
    for panel in axes[:, 0]:
        panel.set_ylabel("$x_2$")
    return figure


def progress(data: pd.DataFrame) -> Figure:
    """From :func:`elbo.experiments.blei_2017.mixtures.progress`: the bound, and the held-out log predictive, by
    iteration. Behind them, broad and pale on an axis of their own (they are of other data), the paper's two curves.
    """
    figure, axes = style.new(1, 2, height=2.5)
    bound, held_out = axes[0]
    bound.plot(data["iteration"], data["elbo_per_datum"], color=style.COLOUR["elbo"])
    style.panel(bound, "Bound on the training data", "iteration", "ELBO (nats per datum)")
    held_out.plot(data["iteration"], data["held_out"], color=style.COLOUR["test"])
    style.band(held_out, data["iteration"], data["held_out"], data["held_out_se"], color=style.COLOUR["test"])
    style.panel(held_out, "Held-out data", "iteration", "log predictive (nats per datum)")
    printed = paper_curves("blei-2017-figure-3")
    if printed is not None:
        for axis, quantity in ((bound, "elbo"), (held_out, "log_predictive")):
            rows = printed[printed.quantity == quantity]
            style.paper_axis(axis, [(rows.iteration, rows.value, "-")], "paper's Figure 3")
    return figure


def million(data: pd.DataFrame) -> Figure:
    """From :func:`elbo.experiments.blei_2017.mixtures.million`: held-out log predictive against data read, and against
    seconds.
    """
    figure, axes = style.new(1, 2, height=2.7, sharey=True)
    passes = data.loc[data["algorithm"] == "cavi", "data_read"].min()
    for panel, column, label in (
        (axes[0, 0], "data_read", "data read"),
        (axes[0, 1], "seconds", "seconds of computing"),
    ):
        for algorithm, rows in data.groupby("algorithm", sort=False):
            for _, run in rows.groupby("start"):
                panel.plot(
                    run[column], run["held_out"], color=style.COLOUR[algorithm], linestyle=style.LINE[algorithm],
                    marker=style.MARKER[algorithm], markersize=2.5, linewidth=1.0,
                )  # fmt: skip
        panel.set_xscale("log")
        panel.set_xlabel(label)
    axes[0, 0].set_ylabel("held-out log predictive\n(nats per datum)")
    style.guide(axes[0, 0].axvline(passes, **style.GUIDE))
    beside = {"xycoords": ("data", "axes fraction"), "xytext": (-4, 0), "textcoords": "offset points", "ha": "right"}
    axes[0, 0].annotate("one pass", (passes, 0.03), fontsize=style.SMALL, color=style.GREY, **beside)
    axes[0, 1].xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    for algorithm, place in (("svi", (0.30, 0.79)), ("cavi", (0.90, 0.45))):
        axes[0, 0].annotate(
            algorithm.upper(),
            place,
            xycoords="axes fraction",
            fontsize=style.SMALL,
            color=style.COLOUR[algorithm],
            va="top",
        )
    return figure
