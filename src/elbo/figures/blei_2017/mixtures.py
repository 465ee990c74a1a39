"""Figures on mixtures of Gaussians: CAVI on five simulated clusters, and SVI beside it on a million data."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patches import Ellipse
from matplotlib.ticker import FuncFormatter, NullFormatter

from elbo.data.curves import paper_curves
from elbo.figures import style

__all__ = ["ellipses", "million", "progress", "soft", "steepest"]

_COMPONENTS = (style.BLUE, style.VERMILION, style.GREEN, style.PURPLE, style.BLACK)


def ellipses(data: pd.DataFrame) -> Figure:
    """From :func:`elbo.experiments.blei_2017.mixtures.ellipses`: true clusters, then two-sigma ellipses at up to five
    snapshots; a component has the colour of the cluster that it ends in."""
    points, components = data[data["kind"] == "datum"], data[data["kind"] == "component"]
    shown = sorted(components["iteration"].unique())[:5]
    figure, axes = style.new(2, 3, height=5.0, sharex=True, sharey=True)
    truth, *panels = axes.flat
    for component, rows in points.groupby("component"):
        truth.scatter(
            rows["x1"], rows["x2"], s=4, color=_COMPONENTS[int(component)], linewidths=0, alpha=0.6, rasterized=True
        )
    truth.set_title("data, by true cluster")
    for panel, iteration in zip(panels, shown, strict=False):
        panel.scatter(points["x1"], points["x2"], s=3, color=style.GREY, linewidths=0, alpha=0.35, rasterized=True)
        for _, row in components[components["iteration"] == iteration].iterrows():
            colour = _COMPONENTS[int(row["cluster"])]
            ellipse = Ellipse((row["x1"], row["x2"]), 4 * row["sd1"], 4 * row["sd2"], fill=False, edgecolor=colour)
            ellipse.set(linewidth=0.8 + 3 * row["weight"], alpha=0.95)
            style.guide(panel.add_patch(ellipse))
            panel.scatter([row["x1"]], [row["x2"]], s=18, color=colour, marker="+")
        panel.set_title("start" if iteration == 0 else f"iteration {int(iteration)}")
    for panel in axes[-1]:
        panel.set_xlabel("$x_1$")
    for panel in axes[:, 0]:
        panel.set_ylabel("$x_2$")
    return figure


def progress(data: pd.DataFrame) -> Figure:
    """From :func:`elbo.experiments.blei_2017.mixtures.progress`: the bound, and the held-out log predictive, by
    iteration; the iterations that the figure before shows are marked. Behind them, broad and pale on an axis of their
    own (they are of other data), the paper's two curves."""
    figure, axes = style.new(1, 2, height=2.8)
    looks = (
        (axes[0, 0], "elbo_per_datum", "train", "Bound on the training data", "ELBO (nats per datum)"),
        (axes[0, 1], "held_out", "test", "Prediction of held-out data", "log predictive (nats per datum)"),
    )
    marked = data[data["shown"]]
    for axis, column, split, title, unit in looks:
        axis.plot(data["iteration"], data[column], color=style.COLOUR["cavi"], linestyle=style.LINE[split])
        axis.plot(
            marked["iteration"], marked[column], color=style.COLOUR["cavi"], marker=style.MARKER["cavi"],
            linestyle="", markersize=6,
        )  # fmt: skip
        for row in marked.itertuples():
            axis.annotate(
                f"{row.iteration}", (row.iteration, getattr(row, column)), xytext=(3, -12), textcoords="offset points",
                fontsize=style.SMALL, color=style.GREY,
            )  # fmt: skip
        style.panel(axis, title, "iteration", unit)
    style.band(axes[0, 1], data["iteration"], data["held_out"], data["held_out_se"], color=style.COLOUR["cavi"])
    printed = paper_curves("blei-2017-figure-3")
    if printed is not None:
        for axis, quantity in ((axes[0, 0], "elbo"), (axes[0, 1], "log_predictive")):
            rows = printed[printed.quantity == quantity]
            style.paper_axis(axis, [(rows.iteration, rows.value, "-")], "paper's Figure 3")
    return figure


def million(data: pd.DataFrame) -> Figure:
    """From :func:`elbo.experiments.blei_2017.mixtures.million`: held-out log predictive against data read, and against
    seconds.
    """
    figure, axes = style.new(1, 2, height=3.0, sharey=True)
    passes = data.loc[data["algorithm"] == "cavi", "data_read"].min()
    for panel, column, title, label in (
        (axes[0, 0], "data_read", "By what is read", "data read"),
        (axes[0, 1], "seconds", "By the clock", "seconds of computing"),
    ):
        for algorithm, rows in data.groupby("algorithm", sort=False):
            for _, run in rows.groupby("start"):
                panel.plot(
                    run[column], run["held_out"], color=style.COLOUR[algorithm], linestyle=style.LINE[algorithm],
                    marker=style.MARKER[algorithm], markersize=3, linewidth=1.0,
                )  # fmt: skip
        panel.set_xscale("log")
        style.panel(panel, title, label)
    axes[0, 0].set_ylabel("held-out log predictive\n(nats per datum)")
    style.guide(axes[0, 0].axvline(passes, **style.GUIDE))
    beside = {"xycoords": ("data", "axes fraction"), "xytext": (-4, 0), "textcoords": "offset points", "ha": "right"}
    axes[0, 0].annotate("one pass", (passes, 0.03), fontsize=style.SMALL, color=style.GREY, **beside)
    axes[0, 1].xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    for algorithm, place in (("svi", (0.66, 0.25)), ("cavi", (0.66, 0.15))):
        axes[0, 1].annotate(
            f"{style.MARKS[style.MARKER[algorithm]]} {algorithm.upper()}", place, xycoords="axes fraction",
            fontsize=style.SMALL, color=style.COLOUR[algorithm], va="top",
        )  # fmt: skip
    return figure


def soft(data: pd.DataFrame) -> Figure:
    """From :func:`elbo.experiments.blei_2017.soft.soft_assignments`: shares, the terms of the bound, the predictive."""
    figure, axes = style.new(1, 3, height=3.0, width_ratios=(1, 1.25, 1))
    share, terms, predictive = axes[0]
    rows = data[data["part"] == "share"]
    for (_, part), line in zip(rows.groupby("sweep"), (":", "-")):
        share.plot(part["x"], part["value"], color=style.COLOUR["cavi"], linestyle=line)
    first, last = sorted(rows["sweep"].unique())
    share.annotate(f"sweep {first:.0f}", (-4.4, 0.22), fontsize=style.SMALL, color=style.COLOUR["cavi"])
    share.annotate(f"sweep {last:.0f}", (1.3, 0.6), fontsize=style.SMALL, color=style.COLOUR["cavi"])
    data_rows = data[data["part"] == "datum"]
    share.scatter(data_rows["x"], data_rows["value"], s=16, color=style.COLOUR["cavi"], zorder=3)
    style.panel(share, "Shares $r_{n2}$", "$x_n$", "share of component 2")

    rows = data[data["part"] == "term"]
    labels = []
    for column, text, meaning in (
        ("expected", "expected\nlog joint", "reconstruction"),
        ("entropy", "entropy", "entropy"),
        ("prior_kl", "KL to\nthe prior", "average kl"),
        ("elbo", "ELBO", "elbo"),
    ):
        terms.plot(rows["sweep"], rows[column], color=style.COLOUR[meaning], linestyle=style.LINE[meaning])
        labels.append((rows["sweep"].iloc[-1], rows[column].iloc[-1], text, style.COLOUR[meaning]))
    style.end_labels(terms, labels, gap=0.13)
    style.panel(terms, "Terms of the bound", "sweep", "nats")

    rows = data[data["part"] == "predictive"]
    predictive.plot(rows["x"], rows["value"], color=style.COLOUR["cavi"], linewidth=2)
    predictive.plot(rows["x"], rows["plug_in"], color=style.GREY, linestyle="--")
    predictive.set_ylim(0, 1.35 * rows["plug_in"].max())
    for text, y, colour in (("— q integrated", 0.93, style.COLOUR["cavi"]), ("- - means put in", 0.84, style.GREY)):
        predictive.annotate(text, (0.03, y), xycoords="axes fraction", fontsize=style.SMALL, color=colour)
    style.panel(predictive, "The next datum", "x", "density")
    return figure


def steepest(data: pd.DataFrame) -> Figure:
    """From :func:`elbo.experiments.blei_2017.natural.steepest`: both paths over the contours of the gap, and the
    gap."""
    figure, axes = style.new(1, 2, height=3.0, width_ratios=(1.4, 1))
    plane, gap = axes[0]
    grid = data[data["part"] == "gap"].pivot(index="m2", columns="m1", values="gap")
    plane.contour(
        grid.columns,
        grid.index,
        grid.to_numpy(),
        levels=[0.02, 0.2, 0.8, 2, 4, 7, 11],
        colors=style.GREY,
        linewidths=0.6,
    )
    for law, look, text, place in (
        ("gradient", "laplace", "gradient", (-1.9, -0.55)),
        ("natural", "svi", "natural gradient", (-1.9, 0.52)),
    ):
        rows = data[(data["part"] == "path") & (data["law"] == law)]
        colour = style.COLOUR["exact"] if law == "gradient" else style.COLOUR[look]
        style_of = {"color": colour, "linestyle": style.LINE[look], "marker": style.MARKER[look], "markersize": 4}
        plane.plot(rows["m1"], rows["m2"], **style_of)
        gap.plot(rows["step"], rows["gap"], **style_of)
        plane.annotate(text, place, fontsize=style.SMALL, color=colour)
    style.guide(plane.plot(0, 0, marker="+", color=style.COLOUR["exact"], markersize=10)[0])
    style.panel(plane, "Two means, one wide, one narrow", "$m_1$ (deviation 1)", "$m_2$ (deviation 0.15)")
    gap.set_yscale("log")
    gap.yaxis.set_minor_formatter(NullFormatter())
    style.panel(gap, "What is left of the gap", "step", "KL (nats)")
    return figure
