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
_NAMES = {"cavi": "CAVI", "svi": "SVI", "gibbs": "Gibbs sampling", "hmc": "HMC"}


def initialisations(data: pd.DataFrame) -> Figure:
    """From :func:`elbo.experiments.blei_2017.images.initialisations`: the bound of every start against time."""
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
        panel.plot(rows["seconds"], rows["elbo_per_datum"], **look)
    low = np.quantile(data["elbo_per_datum"], 0.08)
    top = final["elbo_per_datum"].max()
    panel.set_ylim(low, top + 0.08 * (top - low))
    style.end_labels(panel, [(row.seconds, row.elbo_per_datum, text, colour) for row, text, colour in (
        (final.iloc[-1], "best", style.COLOUR["cavi"]), (final.iloc[0], "worst", style.GREY))])  # fmt: skip
    return style.panel(panel, "", "seconds, all starts together", "ELBO (nats per patch)").figure


def histograms(data: pd.DataFrame) -> Figure:
    """From :func:`elbo.experiments.blei_2017.images.histograms`: each patch beside its three colour histograms."""
    examples = data["example"].unique()
    figure, axes = style.new(len(examples), 2, height=1.75 * len(examples), width_ratios=[1, 4])
    for (left, right), example in zip(axes, examples, strict=True):
        rows = data[data["example"] == example]
        style.images(left, _tiles(rows[rows["kind"] == "pixel"].assign(patch=0)), columns=1)
        for channel, (colour, line) in _CHANNELS.items():
            heights = rows[(rows["kind"] == "bin") & (rows["channel"] == channel)]
            right.plot(heights["level"], heights["height"], color=colour, linestyle=line, linewidth=1.1, label=channel)
        right.set_ylabel("histogram\n(mean 1)")
    axes[0, 1].legend(ncols=3, loc="upper center")
    axes[-1, 1].set_xlabel("level of the channel, 0 to 255, in 192 bins")
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
    whole and closer. Behind the whole, broad and pale on an axis of their own (other images, another model), the paper's curves.
    """
    figure, axes = style.new(1, 2, height=3.0)
    whole, closer = axes[0]
    looks = {name: (style.COLOUR[name], style.LINE[name], style.MARKER[name]) for name in data["algorithm"].unique()}
    finals = {}
    for (algorithm, _), run in data.groupby(["algorithm", "start"], sort=False):
        colour, line, marker = looks[algorithm]
        look = {"color": colour, "linestyle": line, "linewidth": 1.1, "marker": marker, "markersize": 2.5}
        whole.plot(run["seconds"], run["held_out"], **look)
        if algorithm != "hmc":
            closer.plot(run["seconds"], run["held_out"], **look)
        finals.setdefault(algorithm, []).append(run.iloc[-1])
    quick = data[data["algorithm"] != "hmc"]
    top, low = quick["held_out"].max(), min(row["held_out"] for name in finals if name != "hmc" for row in finals[name])
    closer.set_ylim(low - 1.5 * (top - low), top + 0.15 * (top - low))
    for panel, names in (
        (whole, [name for name in finals if name == "hmc"]),
        (closer, [name for name in finals if name != "hmc"]),
    ):
        panel.set_xscale("log")
        panel.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        right = max(row["seconds"] for name in names for row in finals[name]) if names else 1
        best = {name: max(row["held_out"] for row in finals[name]) for name in names}
        style.end_labels(panel, [(right, best[name], _NAMES[name], looks[name][0]) for name in names], gap=0.08)
    style.panel(whole, "Every algorithm", "seconds of computing", "held-out log predictive\n(nats per patch)")
    style.panel(closer, "Closer", "seconds of computing")
    printed = paper_curves("blei-2017-figure-6")
    if printed is not None:
        curves = [printed[printed.algorithm == name] for name in ("cavi", "nuts")]
        lines = [(rows.seconds, rows.log_predictive, line) for rows, line in zip(curves, ("-", ":"))]
        style.paper_axis(whole, lines, "paper's Figure 6: CAVI solid, NUTS dotted")
    return figure


def _tiles(pixels: pd.DataFrame) -> np.ndarray:
    ordered = pixels.sort_values(["patch", "row", "column"])
    side = int(ordered["row"].max()) + 1
    return ordered[["red", "green", "blue"]].to_numpy().reshape(-1, side, side, 3)
