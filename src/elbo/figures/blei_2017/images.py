"""Figures on the colour histograms of two photographs: starts, histograms, clusters, and held-out prediction against
time.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from elbo.data.curves import paper_curves
from elbo.figures import style

__all__ = ["clusters", "held_out", "histograms", "initialisations"]

_CHANNELS = {"red": (style.VERMILION, "-"), "green": (style.GREEN, "--"), "blue": (style.BLUE, ":")}
_NAMES = {"cavi": "CAVI", "svi": "SVI", "gibbs": "Gibbs", "hmc": "HMC"}


def initialisations(data: pd.DataFrame) -> Figure:
    """From :func:`elbo.experiments.blei_2017.images.initialisations`: the bound of every start, by iteration."""
    figure, axes = style.new(1, 1, height=3.0)
    panel = axes[0, 0]
    final = data[data["iteration"] == data["iteration"].max()].sort_values("elbo_per_datum")
    best = final["init"].iloc[-1]
    for init, rows in data.groupby("init"):
        look = (
            {"linewidth": 2.0, "color": style.COLOUR["cavi"], "zorder": 3}
            if init == best
            else {"linewidth": 0.9, "color": style.GREY}
        )
        panel.plot(rows["iteration"], rows["elbo_per_datum"], **look)
    low = np.quantile(data["elbo_per_datum"], 0.08)
    top = final["elbo_per_datum"].max()
    panel.set_ylim(low, top + 0.08 * (top - low))
    style.end_labels(panel, [(row.iteration, row.elbo_per_datum, text, colour) for row, text, colour in (
        (final.iloc[-1], "best", style.COLOUR["cavi"]), (final.iloc[0], "worst", style.GREY))])  # fmt: skip
    return style.panel(panel, "", "iteration", "ELBO (nats per patch)").figure


def histograms(data: pd.DataFrame) -> Figure:
    """From :func:`elbo.experiments.blei_2017.images.histograms`: each patch beside the histograms of its three
    channels."""
    examples = data["example"].unique()[:2]
    figure, axes = style.new(len(examples), 2, height=2.0 * len(examples), width_ratios=[1, 3.6])
    for (left, right), example in zip(axes, examples, strict=True):
        rows = data[data["example"] == example]
        style.images(left, _tiles(rows[rows["kind"] == "pixel"].assign(patch=0)), columns=1)
        for channel, (colour, line) in _CHANNELS.items():
            bins = rows[(rows["kind"] == "drawn") & (rows["channel"] == channel)]
            right.plot(
                bins["level"], bins["height"], color=colour, linestyle=line, drawstyle="steps-mid", linewidth=1.3,
                label=channel,
            )  # fmt: skip
            filled = {"step": "mid", "color": colour, "alpha": 0.22, "linewidth": 0}
            style.guide(right.fill_between(bins["level"], bins["height"], **filled))
        right.set(ylabel="share of pixels\n(mean 1)", xlim=(0, 255))
        right.set_ylim(bottom=0)
    axes[0, 1].legend(ncols=3, loc="upper center")
    axes[0, 1].set_ylim(top=1.25 * axes[0, 1].get_ylim()[1])
    axes[-1, 1].set_xlabel("level of the channel")
    return figure


def clusters(data: pd.DataFrame) -> Figure:
    """From :func:`elbo.experiments.blei_2017.images.clusters`: a mosaic of patches for every cluster."""
    chosen = sorted(data["cluster"].unique())[:6]
    figure, axes = style.new(2, 3, height=4.4)
    for panel, cluster in zip(axes.flat, chosen, strict=False):
        rows = data[data["cluster"] == cluster]
        style.images(panel, _tiles(rows), columns=4, gap=2)
        panel.set_title(f"{'abcdef'[cluster]}: {rows['size'].iloc[0]} patches")
    for panel in axes.flat[len(chosen) :]:
        panel.set_axis_off()
    return figure


def held_out(data: pd.DataFrame) -> Figure:
    """From :func:`elbo.experiments.blei_2017.images.held_out`: held-out log predictive against the logarithm of time,
    whole and closer, every line named at its end. Behind the whole, broad and pale on an axis of their own (other
    images, another model), the paper's curves.
    """
    figure, axes = style.new(1, 2, height=3.2)
    whole, closer = axes[0]
    ends = data.loc[data.groupby(["algorithm", "start"], sort=False)["seconds"].idxmax()]
    best = ends.loc[ends.groupby("algorithm", sort=False)["held_out"].idxmax()]
    top, low = data["held_out"].max(), ends.loc[ends["algorithm"] != "hmc", "held_out"].min()
    closer.set_ylim(low - 1.5 * (top - low), top + 0.15 * (top - low))
    for panel in (whole, closer):
        for (algorithm, _), run in data.groupby(["algorithm", "start"], sort=False):
            look = {"color": style.COLOUR[algorithm], "linestyle": style.LINE[algorithm], "linewidth": 1.1}
            panel.plot(run["seconds"], run["held_out"], marker=style.MARKER[algorithm], markersize=2.5, **look)
        panel.set_xscale("log")
        panel.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        shown = [row for row in best.itertuples() if row.held_out > panel.get_ylim()[0]]
        right = max(row.seconds for row in shown if row.algorithm != "hmc")
        places = [row.seconds if row.algorithm == "hmc" else 1.3 * right for row in shown]
        labels = [
            (x, row.held_out, _NAMES[row.algorithm], style.COLOUR[row.algorithm]) for x, row in zip(places, shown)
        ]
        style.end_labels(panel, labels, gap=0.08)
    style.panel(whole, "All of it", "seconds of computing", "held-out log predictive\n(nats per patch)")
    style.panel(closer, "Where they end", "seconds of computing")
    printed = paper_curves("blei-2017-figure-6")
    if printed is not None:
        curves = [printed[printed.algorithm == name] for name in ("cavi", "nuts")]
        lines = [(rows.seconds, rows.log_predictive, line) for rows, line in zip(curves, ("-", ":"))]
        style.paper_axis(whole, lines, "paper's Figure 6: CAVI solid, NUTS dotted")
        figure.axes[-1].spines["right"].set_position(("outward", 46))  # beyond the names at the line ends
    return figure


def _tiles(pixels: pd.DataFrame) -> np.ndarray:
    ordered = pixels.sort_values(["patch", "row", "column"])
    side = int(ordered["row"].max()) + 1
    return ordered[["red", "green", "blue"]].to_numpy().reshape(-1, side, side, 3)
