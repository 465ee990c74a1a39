"""The aggregated posterior against the prior, what minibatches report of it, and better priors."""

from __future__ import annotations

import matplotlib.colors
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from elbo.figures import style
from elbo.figures.hoffman_johnson_2016.looks import KL, bar, run_title, short

__all__ = ["aggregate_and_prior", "better_prior", "estimators"]


def aggregate_and_prior(grid: pd.DataFrame) -> Figure:
    """Left: density of the aggregated posterior. Right: its logarithm minus that of the prior. Circles: the prior."""
    figure, ((left, right),) = style.new(1, 2, height=3.5)
    density, ratio = (grid.pivot(index="z2", columns="z1", values=name) for name in ("q", "log_ratio"))
    low, high = density.columns.min(), density.columns.max()
    place = {"origin": "lower", "extent": (low, high, low, high), "interpolation": "nearest"}
    shown = left.imshow(density.to_numpy(), cmap="Blues", **place)
    bar(figure, shown, left, "density")
    shown = right.imshow(ratio.to_numpy(), cmap="RdBu", norm=matplotlib.colors.Normalize(-3, 3), **place)
    bar(figure, shown, right, "log q(z) − log p(z) (nats)", extend="both")
    angle = np.linspace(0, 2 * np.pi, 200)
    for axes, title in ((left, "aggregated posterior q(z)"), (right, "against the prior")):
        for radius in (1, 2, 3):
            style.guide(axes.plot(radius * np.cos(angle), radius * np.sin(angle), **style.GUIDE)[0])
        style.panel(axes, title, "$z_1$", "$z_2$" if axes is left else "")
    return figure


def estimators(table: pd.DataFrame) -> Figure:
    """One panel a term: the exact value and those of the minibatch estimators, with twice their standard errors."""
    figure, panels = style.new(2, 2, height=4.8, sharey=True)
    names = list(dict.fromkeys(table["estimator"]))
    y = np.arange(len(names))[::-1]
    for axes, term in zip(panels.flat, dict.fromkeys(table["term"])):
        part = table[table["term"] == term].set_index("estimator").loc[names]
        colours = [style.COLOUR["exact" if name == "exact" else KL] for name in names]
        axes.barh(y, part["value"], color=colours, height=0.55)
        style.guide(
            axes.errorbar(part["value"], y, xerr=2 * part["se"], color="black", fmt="none", linewidth=0.9).lines[2][0]
        )
        low, high = part["value"].min(), part["value"].max()
        for at, row in zip(y, part.itertuples()):
            axes.annotate(
                short(row.value),
                (max(row.value + 2 * row.se, 0), at),
                xytext=(5, 0),
                textcoords="offset points",
                fontsize=8,
                va="center",
            )
        style.guide(axes.axvline(0, color="black", linewidth=0.6))
        if term == "mutual information":
            for name, text, side in (("log_b", "log B ", "right"), ("log_n", " log N", "left")):
                style.guide(axes.axvline(part[name].iloc[0], **style.GUIDE))
                axes.annotate(
                    text, (part[name].iloc[0], len(names) - 0.35), fontsize=8, color=style.GREY, ha=side, va="center"
                )
        axes.set_xlim(min(0, low) - 0.04 * (high - min(0, low)), max(0, high) + 0.25 * (max(0, high) - min(0, low)))
        axes.set_ylim(-0.6, len(names))
        axes.set_yticks(y, names)
        style.panel(axes, "their sum" if term == "sum" else term, "nats per image")
    return figure


def better_prior(table: pd.DataFrame) -> Figure:
    """Left: marginal KL on the training set under each prior. Right: what the held-out ELBO gains. One row a run."""
    runs = list(dict.fromkeys(table["run"]))
    figure, panels = style.new(len(runs), 2, height=2.9 * len(runs))
    columns = {
        "marginal_kl": (KL, "marginal KL, training images"),
        "held_out_gain": ("elbo", "gain of the ELBO, held-out images"),
    }
    for row, run in enumerate(runs):
        part = table[table["run"] == run].reset_index(drop=True)
        y = np.arange(len(part))[::-1]
        for column, (term, (look, text)) in enumerate(columns.items()):
            axes = panels[row, column]
            axes.barh(y, part[term], color=style.COLOUR[look], height=0.55)
            for at, each in zip(y, part.itertuples()):
                value = getattr(each, term)
                axes.annotate(
                    short(value),
                    (max(value, 0), at),
                    xytext=(4, 0),
                    textcoords="offset points",
                    va="center",
                    fontsize=8,
                )
            axes.set_yticks(y, part["prior"] if column == 0 else [])
            style.guide(axes.axvline(0, color="black", linewidth=0.6))
            axes.margins(x=0.15)
            style.panel(axes, f"{run_title(part)}\n{text}" if column == 0 else f"\n{text}", "nats per image")
    return figure
