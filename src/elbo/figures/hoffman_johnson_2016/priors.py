"""The aggregated posterior against the prior, what minibatches report of it, and better priors."""

from __future__ import annotations

import matplotlib.colors
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.container import BarContainer
from matplotlib.figure import Figure

from elbo.figures import style
from elbo.figures.hoffman_johnson_2016.looks import KL, MI, bar, run_title, short

__all__ = ["aggregate_and_prior", "better_prior", "estimators", "joint_prior"]


def aggregate_and_prior(grid: pd.DataFrame, faint: float = 1e-3) -> Figure:
    """Left: density of the aggregated posterior. Right: its logarithm minus that of the prior, where there are codes:
    left white where the density is below ``faint`` times its maximum. Circles: the prior.
    """
    figure, ((left, right),) = style.new(1, 2, height=3.5)
    shown = grid["log_ratio"].where(grid["q"] >= faint * grid["q"].max())
    table = grid.assign(shown=shown)
    density, ratio = (table.pivot(index="z2", columns="z1", values=name) for name in ("q", "shown"))
    low, high = density.columns.min(), density.columns.max()
    place = {"origin": "lower", "extent": (low, high, low, high), "interpolation": "nearest"}
    bar(figure, left.imshow(density.to_numpy(), cmap="Blues", **place), left, "density")
    limits = matplotlib.colors.Normalize(-3, 3)
    drawn = right.imshow(np.ma.masked_invalid(ratio.to_numpy()), cmap="RdBu", norm=limits, **place)
    bar(figure, drawn, right, "nats", extend="both")
    angle = np.linspace(0, 2 * np.pi, 200)
    for axes, title in ((left, "aggregated posterior"), (right, "its log minus that of the prior")):
        for radius in (1, 2, 3):
            style.guide(axes.plot(radius * np.cos(angle), radius * np.sin(angle), **style.GUIDE)[0])
        style.panel(axes, title, "$z_1$", "$z_2$" if axes is left else "")
    return figure


def estimators(table: pd.DataFrame) -> Figure:
    """One panel a term: how far each minibatch estimator is from the exact value. What lies beyond the frame stands at
    its edge, with its number; one marker a run.
    """
    terms = list(dict.fromkeys(table["term"]))
    figure, panels = style.new(2, 2, height=5.6, sharey=True, sharex=True)
    names = [name for name in dict.fromkeys(table["estimator"]) if name != "exact"]
    edge = 1.15 * table["log_n"].max()
    looks = dict(zip(dict.fromkeys(table["run"]), (("o", 0.19), ("D", -0.19)), strict=False))
    for axes, term in zip(panels.flat, terms, strict=True):
        for run, (marker, shift) in looks.items():
            part = table[(table["term"] == term) & (table["run"] == run)].set_index("estimator").loc[names]
            y = np.arange(len(names))[::-1] + shift
            inside = part["error"].abs() <= edge
            face = "none" if shift < 0 else style.COLOUR[KL]
            dots = {"color": style.COLOUR[KL], "marker": marker, "linestyle": "none", "markerfacecolor": face}
            _cut(axes.barh(y, part["error"], color=style.COLOUR[KL], height=0.06), edge)
            style.guide(axes.plot(part["error"].where(inside), y, label=run, **dots)[0])
            for at, value in zip(y, part["error"], strict=True):
                _number(axes, value, at, edge)
        style.guide(axes.axvline(0, color="black", linewidth=0.8))
        axes.set_xlim(-1.9 * edge, 1.9 * edge)
        axes.set_ylim(-0.6, len(names) - 0.4)
        axes.set_yticks(np.arange(len(names))[::-1], names)
        title = "their sum" if term == "sum" else term
        style.panel(axes, title, "error, nats per image" if axes in panels[1] else "")
    handles, labels = panels[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2)
    return figure


def better_prior(table: pd.DataFrame) -> Figure:
    """Left: marginal KL on the training set under each prior. Right: what the held-out ELBO gains. One row a run.

    Both axes end where the priors that are worth having end; a bar that goes on is cut, with its number at the edge.
    """
    runs = list(dict.fromkeys(table["run"]))
    figure, panels = style.new(len(runs), 2, height=3.1 * len(runs))
    columns = {
        "marginal_kl": (KL, "marginal KL, training images"),
        "held_out_gain": ("elbo", "gain of the bound, held-out images"),
    }
    for row, run in enumerate(runs):
        part = table[table["run"] == run].reset_index(drop=True)
        y = np.arange(len(part))[::-1]
        for column, (term, (look, text)) in enumerate(columns.items()):
            axes = panels[row, column]
            edge = 1.1 * part.loc[part["kind"] != "encodings", term].max()
            _cut(axes.barh(y, part[term], color=style.COLOUR[look], height=0.55), edge)
            for at, value in zip(y, part[term], strict=True):
                _number(axes, value, at, edge)
            axes.set_xlim(-2.1 * edge if term == "held_out_gain" else 0, 1.7 * edge)
            axes.set_yticks(y, part["prior"] if column == 0 else [])
            style.guide(axes.axvline(0, color="black", linewidth=0.8))
            style.panel(axes, f"{run_title(part)}\n{text}" if column == 0 else f"\n\n{text}", "nats per image")
    return figure


def _cut(bars: BarContainer, edge: float) -> None:
    """Draw bars no further than the edge; the container keeps their values."""
    for each in bars:
        each.set_width(float(np.clip(each.get_width(), -edge, edge)))


def _number(axes: Axes, value: float, at: float, edge: float) -> None:
    """The value of a mark beside it, or at the edge with an arrow where the mark lies beyond."""
    sign = -1 if round(value, 2) < 0 else 1
    text = short(value)
    if abs(value) > edge:
        text = f"{text} \N{BLACK RIGHT-POINTING TRIANGLE}" if sign > 0 else f"\N{BLACK LEFT-POINTING TRIANGLE} {text}"
    axes.annotate(
        text,
        (sign * min(abs(value), edge), at),
        xytext=(6 * sign, 0),
        textcoords="offset points",
        fontsize=style.SMALL,
        va="center",
        ha="left" if sign > 0 else "right",
    )


def joint_prior(gains: pd.DataFrame) -> Figure:
    """Left: what the bound of held-out images gains over N(0, I), a dot a training seed. Right: the same on training
    images for the prior learned together, term by term. One row a run.
    """
    runs = list(dict.fromkeys(gains["run"]))
    figure, panels = style.new(len(runs), 2, height=2.9 * len(runs), width_ratios=[1, 1.15])
    priors = ["fitted afterwards", "learned together"]
    terms = {"reconstruction": "reconstruction", "mutual_information": MI, "marginal_kl": KL, "elbo": "elbo"}
    for row, run in enumerate(runs):
        part = gains[gains["run"] == run]
        held_out = part[(part["split"] == "held out") & (part["term"] == "elbo")]
        _dots(panels[row, 0], held_out, "prior", dict.fromkeys(priors, "elbo"))
        together = part[(part["split"] == "train") & (part["prior"] == "learned together")]
        _dots(panels[row, 1], together, "term", terms)
        panels[row, 1].set_yticks(range(4)[::-1], ["reconstruction", "information", "marginal KL", "the bound"])
        gain = "gain over N(0, I), nats per image"
        style.panel(panels[row, 0], f"{run_title(part)}\nthe bound of held-out images", gain)
        style.panel(panels[row, 1], "learned together:\nwhere the gain comes from\n(training images)", gain)
    return figure


def _dots(axes: Axes, table: pd.DataFrame, by: str, looks: dict[str, str]) -> None:
    """A row of dots for each name, one a training seed, with their mean in words."""
    for at, (name, look) in zip(range(len(looks))[::-1], looks.items(), strict=True):
        values = table.loc[table[by] == name, "gain"]
        dots = {"color": style.COLOUR[look], "marker": style.MARKER[look], "linestyle": "none", "markersize": 6}
        axes.barh(np.full(len(values), at), values, color=style.COLOUR[look], height=0.012 * len(looks))
        style.guide(axes.plot(values, np.full(len(values), at), **dots)[0])
        sign = "+" if values.mean() > 0 else ""
        place = {"xytext": (0, 8), "textcoords": "offset points", "ha": "center", "fontsize": style.SMALL}
        axes.annotate(f"{sign}{short(values.mean())}", (values.mean(), at), **place)
    style.guide(axes.axvline(0, color="black", linewidth=0.8))
    axes.set_yticks(range(len(looks))[::-1], looks)
    axes.set_ylim(-0.5, len(looks) - 0.3)
    axes.margins(x=0.2)
