"""What is exactly solved: energy and entropy, total and average, N spikes."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from elbo.figures import style
from elbo.figures.hoffman_johnson_2016.looks import KL, MI

__all__ = ["energy_entropy", "spikes", "total_and_average"]


def energy_entropy(widths: pd.DataFrame, temperatures: pd.DataFrame) -> Figure:
    """Left: energy, entropy and free energy over the width of q at T = 1. Right: the equilibrium over the
    temperature.
    """
    figure, ((left, right),) = style.new(1, 2, height=3.0)
    lines = {"energy": style.COLOUR["energy"], "entropy": style.COLOUR["entropy"], "free_energy": style.COLOUR["elbo"]}
    for axes, table, x in ((left, widths, "scale"), (right, temperatures, "temperature")):
        labels = []
        for (name, colour), dash in zip(lines.items(), ("--", "-.", "-")):
            axes.plot(table[x], table[name], color=colour, linestyle=dash)
            labels.append((table[x].iloc[-1], table[name].iloc[-1], name.replace("_", " "), colour))
        axes.set_xscale("log", base=2)
        axes.set_xticks([0.25, 0.5, 1, 2, 4], ["¼", "½", "1", "2", "4"])
        style.end_labels(axes, labels)
        style.guide(axes.axvline(1, **style.GUIDE))
    style.guide(left.axhline(widths["equilibrium"].iloc[0], **style.GUIDE))
    left.annotate(
        "−log p(x)",
        (widths["scale"].iloc[0], widths["equilibrium"].iloc[0]),
        xytext=(2, -10),
        textcoords="offset points",
        color=style.GREY,
        fontsize=style.SMALL,
    )
    style.panel(left, "q wider or narrower, T = 1", "variance of q / that of the posterior", "nats")
    style.panel(right, "equilibrium at temperature T", "temperature T", "nats")
    return figure


def total_and_average(table: pd.DataFrame) -> Figure:
    """Where L and L/N, each with a prior on the parameter added, are largest, over the number of data."""
    figure, ((axes,),) = style.new(1, 1, height=2.9, width=5.4)
    looks = {
        "mean": ("without a prior", style.COLOUR["p"], ":", "o"),
        "map_total": ("prior added to L", style.COLOUR["q"], "-", "s"),
        "map_average": ("prior added to L/N", style.COLOUR["marginal kl"], "--", "^"),
    }
    for column, (_, colour, dash, marker) in looks.items():
        axes.plot(table["n"], table[column], color=colour, linestyle=dash, marker=marker)
    axes.set_xscale("log")
    style.guide(axes.axhline(0, **style.GUIDE))
    last = table.iloc[-1]
    ends = [(last["n"], last[column], text, colour) for column, (text, colour, *_) in looks.items()]
    style.end_labels(axes, ends, gap=0.09)
    style.panel(axes, "the maximiser", "number of data N", "parameter")
    return figure


def spikes(densities: pd.DataFrame, table: pd.DataFrame) -> Figure:
    """Left: aggregated posteriors of few data on a line, from wide to narrow. Right: the terms over the width."""
    figure, ((left, right),) = style.new(1, 2, height=3.2, width_ratios=[1, 1.25])
    looks = ((style.GREY, "-."), (style.COLOUR["q"], "--"), (style.COLOUR[KL], "-"))
    for (scale, line), (colour, dash) in zip(densities.groupby("scale", sort=False), looks):
        left.plot(line["z"], line["density"], color=colour, linestyle=dash, linewidth=1.1, label=f"σ = {scale:g}")
    first = densities[densities["scale"] == densities["scale"].iloc[0]]
    left.plot(first["z"], first["prior"], color=style.COLOUR["p"], linestyle=":", label="prior")
    left.set_ylim(0, 1.45 * densities["density"].max())
    left.legend(loc="upper left", ncols=2)
    style.panel(left, "a mixture of few posteriors", "z", "density")
    terms = {
        "average_kl": ("average kl", "average KL"),
        "mutual_information": (MI, "mutual information"),
        "marginal_kl": (KL, "marginal KL"),
        "total_correlation": ("reconstruction", "total correlation"),
    }
    labels = []
    for term, (look, text) in terms.items():
        colour = style.COLOUR[look]
        (drawn,) = right.plot(
            table["scale"], table[term], color=colour, linestyle=style.LINE[look], marker=style.MARKER[look]
        )
        if term == "total_correlation":
            drawn.set(linestyle="none", markerfacecolor="none", markersize=8)
        labels.append((table["scale"].iloc[-1], table[term].iloc[-1], text, colour))
    right.set_xscale("log")
    right.invert_xaxis()
    right.set_xticks(table["scale"], [f"{scale:g}" for scale in table["scale"]])
    right.minorticks_off()
    style.guide(right.axhline(table["log_n"].iloc[0], **style.GUIDE))
    right.annotate(
        "log N",
        (table["scale"].iloc[0], table["log_n"].iloc[0]),
        xytext=(0, 4),
        textcoords="offset points",
        color=style.GREY,
        fontsize=style.SMALL,
    )
    style.end_labels(right, labels, gap=0.07)
    style.panel(right, "narrower posteriors, same prior", "standard deviation σ of every posterior", "nats per datum")
    return figure
