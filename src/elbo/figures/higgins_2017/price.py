"""Figures on what beta does: the price of a nat, the tempered posterior, and what a prior variance cannot do."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from elbo.figures import style

__all__ = ["posterior_paths", "tempered", "trade", "water"]

BETA, PRIOR = style.COLOUR["beta-vae"], style.COLOUR["vae"]
LOOKS = {1.0: (PRIOR, "--", "s"), 4.0: (BETA, "-", "o")}
"""Colour, line and marker of beta = 1 and 4; every other beta is grey."""
OTHER = (style.GREY, ":", "D")


def tempered(table: pd.DataFrame) -> Figure:
    """Densities of one latent: the prior, and the maximiser of the objective at each beta."""
    figure, ((axes,),) = style.new(height=2.7)
    prior = table[table["beta"].isna()]
    axes.plot(prior["z"], prior["density"], color="black", linestyle=(0, (1, 1.5)), linewidth=1.2)
    axes.annotate("prior", (-1.65, 0.105), xytext=(-4, 3), textcoords="offset points", ha="right", fontsize=style.SMALL)
    for beta, line in table.groupby("beta"):
        colour, dash, _ = LOOKS.get(beta, OTHER)
        axes.plot(line["z"], line["density"], color=colour, linestyle=dash)
        if beta <= 4:  # above the top; flatter curves crowd each other there
            top = line.loc[line["density"].idxmax()]
            offset, side = ((0, 5), "center") if beta <= 1 else ((-4, 6), "right")
        else:
            top, offset, side = line.loc[(line["z"] + 0.9).abs().idxmin()], (-9, 9), "right"
        axes.annotate(rf"$\beta$ = {beta:g}", (top["z"], top["density"]), xytext=offset, textcoords="offset points",
                      ha=side, color=colour, fontsize=style.SMALL)  # fmt: skip
    axes.set_ylim(0, 1.1 * table["density"].max())
    style.panel(axes, "", "code $z$ of one datum", "density")
    return figure


def water(table: pd.DataFrame) -> Figure:
    """Left: variance of each direction with the level beta * noise; right: rate of each latent over beta."""
    figure, (panels,) = style.new(1, 2, height=2.9, width_ratios=[1, 1.25])
    first = table[table["beta"] == table["beta"].min()]
    panels[0].bar(first["latent"], first["variance"], color="#c9d7e2", edgecolor=style.GREY, width=0.7)
    for beta in (1.0, 4.0):
        if beta in set(table["beta"]):
            colour, dash, _ = LOOKS[beta]
            style.guide(panels[0].axhline(beta, color=colour, linestyle=dash, linewidth=1.4))
            panels[0].annotate(
                rf"$\beta s^2 = {beta:g}$",
                (first["latent"].max() + 0.5, beta),
                xytext=(2, 0),
                ha="left",
                va="center",
                textcoords="offset points",
                color=colour,
                fontsize=style.SMALL,
            )
    panels[0].set_xticks(first["latent"])
    style.panel(panels[0], "what each direction carries", "principal direction", "variance of the data")
    shades = np.linspace(0.0, 0.55, table["latent"].nunique())
    for shade, (latent, line) in zip(shades, table.groupby("latent")):
        panels[1].plot(line["beta"], line["rate"], color=str(shade))
        at = line.iloc[0]
        panels[1].annotate(f"{latent:g}", (at["beta"], at["rate"]), xytext=(-4, 0), ha="right", va="center",
                           textcoords="offset points", fontsize=style.SMALL, color=str(shade))  # fmt: skip
    for beta in (1.0, 4.0):
        style.guide(panels[1].axvline(beta, color=LOOKS[beta][0], linestyle=LOOKS[beta][1], linewidth=1.0))
    panels[1].set_xscale("log", base=2)
    panels[1].xaxis.set_major_formatter("{x:g}")
    style.panel(panels[1], "what is spent on it", r"$\beta$", "rate, nats per datum")
    return figure


def trade(exact: pd.DataFrame, measured: dict[str, pd.DataFrame]) -> Figure:
    """Distortion against rate: the exact curve of a linear decoder with its tangents, and trained models in panels
    beside."""
    titles = {"exact": "linear decoder, exact", **{name: name for name in measured}}
    figure, (panels,) = style.new(1, len(titles), height=3.0)
    _curve(panels[0], exact)
    for axes, table in zip(panels[1:], measured.values()):
        for line in table.itertuples():
            colour, _, marker = LOOKS.get(line.beta, OTHER)
            axes.errorbar(
                line.rate,
                line.distortion,
                2 * line.distortion_se,
                2 * line.rate_se,
                fmt="none",
                ecolor=colour,
                linewidth=0.9,
            )
            axes.scatter([line.rate], [line.distortion], color=colour, marker=marker, s=30, zorder=3)
            axes.annotate(
                rf"$\beta = {line.beta:g}$",
                (line.rate, line.distortion),
                xytext=(6, 5),
                color=colour,
                textcoords="offset points",
                fontsize=style.SMALL,
            )
        axes.margins(0.22)
    for axes, title in zip(panels, titles.values()):
        style.panel(axes, title, "rate, nats", "distortion, nats" if axes is panels[0] else "")
    return figure


def _curve(axes: Axes, exact: pd.DataFrame) -> None:
    totals = exact.drop_duplicates("beta").sort_values("beta")
    axes.plot(totals["total_rate"], totals["total_distortion"], color="black")
    for beta in (1.0, 4.0):
        colour, dash, marker = LOOKS[beta]
        at = totals[totals["beta"] == beta].iloc[0]
        reach = 1.2 / beta**0.5
        across = np.array([-reach, reach])
        style.guide(
            axes.plot(at["total_rate"] + across, at["total_distortion"] - beta * across, color=colour, linestyle=dash)[
                0
            ]
        )
        axes.plot(at["total_rate"], at["total_distortion"], marker, color=colour, markersize=6)
        axes.annotate(f"slope −{beta:g}", (at["total_rate"], at["total_distortion"]), xytext=(8, 6), color=colour,
                      textcoords="offset points", fontsize=style.SMALL)  # fmt: skip


def posterior_paths(table: pd.DataFrame) -> Figure:
    """Mean against variance of the posterior as beta moves and as the prior variance moves; a panel each weight."""
    strengths = list(dict.fromkeys(table["strength"]))
    figure, (panels,) = style.new(1, len(strengths), height=3.1)
    for axes, strength in zip(panels, strengths):
        part = table[table["strength"] == strength]
        labels = {"beta": (BETA, "-", "β moves"), "prior variance": (PRIOR, "--", "prior variance moves")}
        for what, (colour, dash, _) in labels.items():
            line = part[part["what"] == what]
            axes.plot(line["variance"], line["mean"], color=colour, linestyle=dash)
        first = part.iloc[0]
        axes.plot(first["start_variance"], first["start_mean"], "o", color="black", markersize=5)
        axes.plot(first["target_variance"], first["target_mean"], "*", color=BETA, markersize=11)
        top = part["mean"].max()
        axes.set(xlim=(0, 1), ylim=(0, 1.12 * top))
        notes = {
            "both 1": ("start_variance", "start_mean", (9, 5) if strength > 1 else (-14, 9), "left", "black"),
            "to imitate": ("target_variance", "target_mean", (-9, -9), "right", BETA),
        }
        for text, (across, up, offset, side, colour) in notes.items():
            axes.annotate(text, (first[across], first[up]), xytext=offset, textcoords="offset points", ha=side,
                          fontsize=style.SMALL, color=colour)  # fmt: skip
        for what, share, offset, side in (("beta", 0.36, (8, 2), "left"), ("prior variance", 0.3, (9, -5), "left")):
            line = part[part["what"] == what]
            point = line.iloc[(line["variance"] - share * min(1.0, line["variance"].max())).abs().argmin()]
            axes.annotate(
                labels[what][2],
                (point["variance"], point["mean"]),
                xytext=offset,
                ha=side,
                fontsize=style.SMALL,
                textcoords="offset points",
                color=labels[what][0],
            )
        if first["needed"] > 0:
            start, end = first["target_mean"], first["target_mean"] * first["off"]
            style.guide(axes.plot([first["target_variance"]] * 2, [start, end], **style.GUIDE)[0])
            axes.annotate(
                f"off by {first['off']:.0f}×",
                (first["target_variance"], (start + end) / 2),
                xytext=(6, 0),
                textcoords="offset points",
                fontsize=style.SMALL,
                color=style.GREY,
            )
        title = f"$w$ = {strength:g}: " + ("mean off" if first["needed"] > 0 else "variance out of reach")
        style.panel(axes, title, "posterior variance", "posterior mean")
    return figure
