"""Figures on Hoffman & Johnson (2016), ELBO surgery: tidy table in, figure out."""

from __future__ import annotations

import matplotlib.colors
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from elbo.figures import style

__all__ = [
    "aggregate_and_prior",
    "better_prior",
    "energy_entropy",
    "estimators",
    "log_n_ceiling",
    "over_training",
    "spikes",
    "surgery_table",
    "total_and_average",
]

MI, KL, LOG_N = "mutual information", "marginal kl", "log n"
DATA = {"digits": "digits", "mnist": "MNIST"}


def energy_entropy(widths: pd.DataFrame, temperatures: pd.DataFrame) -> Figure:
    """Left: energy, entropy and free energy over the width of q at T = 1. Right: the equilibrium over the
    temperature.
    """
    figure, ((left, right),) = style.new(1, 2, height=3.0)
    lines = {"energy": style.COLOUR["marginal kl"], "entropy": style.COLOUR["q"], "free_energy": style.COLOUR["elbo"]}
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
        fontsize=8,
    )
    style.panel(left, "q wider or narrower, T = 1", "variance of q / that of the posterior", "nats")
    style.panel(right, "equilibrium at temperature T", "temperature T", "nats")
    return figure


def total_and_average(table: pd.DataFrame) -> Figure:
    """Left: L and L/N over the number of data. Right: where they are largest with a prior on the parameter."""
    figure, (axes,) = style.new(1, 3, height=2.5)
    for panel, column, title in ((axes[0], "total", "|L| grows with N"), (axes[1], "average", "L/N settles")):
        panel.plot(table["n"], table[column], color=style.COLOUR["elbo"], marker="o")
        style.panel(panel, title, "data N", "nats" if column == "total" else "nats per datum")
    looks = {
        "mean": ("without prior", style.COLOUR["p"], ":"),
        "map_total": ("with L", style.COLOUR["q"], "-"),
        "map_average": ("with L/N", style.COLOUR["marginal kl"], "--"),
    }
    for column, (_, colour, dash) in looks.items():
        axes[2].plot(table["n"], table[column], color=colour, linestyle=dash)
    last = table.iloc[-1]
    style.end_labels(
        axes[2], [(last["n"], last[column], text, colour) for column, (text, colour, _) in looks.items()], gap=0.09
    )
    style.panel(axes[2], "maximiser with a prior", "data N", "parameter")
    for panel in axes:
        panel.set_xscale("log")
    return figure


def surgery_table(table: pd.DataFrame) -> Figure:
    """Bars of mutual information and marginal KL side by side, log N as a line; one panel a run, rows by size of
    code.
    """
    runs = list(dict.fromkeys(table["run"]))
    figure, (panels,) = style.new(1, len(runs), height=2.5)
    for axes, run in zip(panels, runs):
        part = table[table["run"] == run].reset_index(drop=True)
        y = np.arange(len(part))[::-1]
        right = max((part["mutual_information"] + part["marginal_kl"]).max(), part["log_n"].iloc[0])
        axes.barh(y, part["mutual_information"], color=style.COLOUR[MI], height=0.6, label="mutual information")
        axes.barh(
            y,
            part["marginal_kl"],
            left=part["mutual_information"],
            color=style.COLOUR[KL],
            height=0.6,
            hatch="///",
            edgecolor="white",
            linewidth=0,
            label="marginal KL",
        )
        for at, row in zip(y, part.itertuples()):
            style.guide(
                axes.errorbar(
                    row.mutual_information,
                    at,
                    xerr=np.nan_to_num(row.mutual_information_se),
                    color="black",
                    capsize=2,
                    linewidth=0.9,
                    fmt="none",
                ).lines[2][0]
            )
            axes.annotate(
                f"ELBO {_short(row.elbo)}",
                (right, at),
                xytext=(6, 0),
                textcoords="offset points",
                va="center",
                fontsize=8,
            )
        _log_n(axes, part["log_n"].iloc[0], len(part) - 0.45)
        axes.set_yticks(y, [f"{dim} latents" for dim in part["latent_dim"]])
        axes.set_xlim(0, 1.4 * right)
        axes.set_ylim(-0.5, len(part) - 0.2)
        style.panel(axes, _run_title(part), "average KL (nats per image)")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2)
    return figure


def over_training(table: pd.DataFrame) -> Figure:
    """Rows: the three terms. Columns: this run and the reference. Lines: sizes of code."""
    runs = list(dict.fromkeys(table["run"]))
    figure, panels = style.new(3, len(runs), height=6.2, sharex="col")
    terms = {"reconstruction": "reconstruction", "mutual_information": MI, "marginal_kl": KL}
    for column, run in enumerate(runs):
        part = table[table["run"] == run]
        for row, (term, look) in enumerate(terms.items()):
            axes, labels = panels[row, column], []
            for latent_dim, line in part.groupby("latent_dim"):
                axes.plot(
                    line["epoch"],
                    line[term],
                    color=style.COLOUR[look],
                    linestyle=style.LINE[look],
                    marker=".",
                    linewidth=1.3,
                )
                style.band(axes, line["epoch"], line[term], line[f"{term}_se"].fillna(0), color=style.COLOUR[look])
                labels.append(
                    (line["epoch"].iloc[-1], line[term].iloc[-1], f"{latent_dim} latents", style.COLOUR[look])
                )
            _log_ticks(axes, part["epoch"])
            if term == "mutual_information":
                style.guide(axes.axhline(part["log_n"].iloc[0], **style.GUIDE))
                axes.annotate(
                    "log N",
                    (part["epoch"].min(), part["log_n"].iloc[0]),
                    xytext=(0, 3),
                    textcoords="offset points",
                    color=style.GREY,
                    fontsize=8,
                )
            if term != "reconstruction":
                axes.set_ylim(0, 1.2 * part["log_n"].iloc[0] if term == "mutual_information" else None)
            style.end_labels(axes, labels, gap=0.1)
            name = {"marginal_kl": "marginal KL"}.get(term, term.replace("_", " "))
            title = f"{_run_title(part)}\n{name}" if row == 0 else name
            style.panel(axes, title, "epochs" if row == 2 else "", "nats per image" if column == 0 else "")
    return figure


def log_n_ceiling(table: pd.DataFrame) -> Figure:
    """Mutual information over the number of data in the mixture, with the ceiling log N; one panel a run."""
    runs = list(dict.fromkeys(table["run"]))
    figure, (panels,) = style.new(1, len(runs), height=3.0, sharey=True)
    for axes, run in zip(panels, runs):
        part, labels = table[table["run"] == run], []
        ceiling = part.drop_duplicates("n").sort_values("n")
        axes.plot(ceiling["n"], ceiling["log_n"], color=style.COLOUR[LOG_N], linestyle=style.LINE[LOG_N])
        labels.append((ceiling["n"].iloc[-1], ceiling["log_n"].iloc[-1], "log N", style.COLOUR[LOG_N]))
        for latent_dim, line in part.groupby("latent_dim"):
            axes.plot(line["n"], line["mutual_information"], color=style.COLOUR[MI], marker=".", linewidth=1.3)
            labels.append(
                (line["n"].iloc[-1], line["mutual_information"].iloc[-1], f"{latent_dim} latents", style.COLOUR[MI])
            )
        axes.set_xscale("log")
        axes.set_ylim(0, 1.18 * table["log_n"].max())  # the panels share the axis
        style.end_labels(axes, labels, gap=0.07)
        style.panel(axes, _run_title(part), "images N in the mixture", "nats" if axes is panels[0] else "")
    return figure


def spikes(densities: pd.DataFrame, table: pd.DataFrame) -> Figure:
    """Left: aggregated posteriors of few data on a line, from wide to narrow. Right: the terms over the width."""
    figure, ((left, right),) = style.new(1, 2, height=3.2, width_ratios=[1, 1.25])
    colours = (style.GREY, style.COLOUR["q"], style.COLOUR[KL])
    for (scale, line), colour in zip(densities.groupby("scale", sort=False), colours):
        left.plot(line["z"], line["density"], color=colour, linewidth=1.1, label=f"s = {scale:g}")
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
        fontsize=8,
    )
    style.end_labels(right, labels, gap=0.07)
    style.panel(right, "narrower posteriors, same prior", "standard deviation s of every posterior", "nats per datum")
    return figure


def aggregate_and_prior(grid: pd.DataFrame) -> Figure:
    """Left: density of the aggregated posterior. Right: its logarithm minus that of the prior. Circles: the prior."""
    figure, ((left, right),) = style.new(1, 2, height=3.5)
    density, ratio = (grid.pivot(index="z2", columns="z1", values=name) for name in ("q", "log_ratio"))
    low, high = density.columns.min(), density.columns.max()
    place = {"origin": "lower", "extent": (low, high, low, high), "interpolation": "nearest"}
    shown = left.imshow(density.to_numpy(), cmap="Blues", **place)
    _bar(figure, shown, left, "density")
    shown = right.imshow(ratio.to_numpy(), cmap="RdBu", norm=matplotlib.colors.Normalize(-3, 3), **place)
    _bar(figure, shown, right, "log q(z) − log p(z) (nats)", extend="both")
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
                _short(row.value),
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
                    _short(value),
                    (max(value, 0), at),
                    xytext=(4, 0),
                    textcoords="offset points",
                    va="center",
                    fontsize=8,
                )
            axes.set_yticks(y, part["prior"] if column == 0 else [])
            style.guide(axes.axvline(0, color="black", linewidth=0.6))
            axes.margins(x=0.15)
            style.panel(axes, f"{_run_title(part)}\n{text}" if column == 0 else f"\n{text}", "nats per image")
    return figure


def _bar(figure: Figure, shown, axes: Axes, label: str, **kwargs) -> None:
    bar = figure.colorbar(shown, ax=axes, shrink=0.8, label=label, **kwargs)
    for artist in (*bar.ax.images, *bar.ax.lines):
        style.guide(artist)


def _run_title(part: pd.DataFrame) -> str:
    first = part.iloc[0]
    return f"{first['run']}: {DATA.get(first['data'], first['data'])}, N = {int(first['images']):,}"


def _short(value: float) -> str:
    return f"{value:.2f}".replace("-0.00", "0.00").replace("-", "−")


def _log_ticks(axes: Axes, values: pd.Series) -> None:
    """A logarithmic axis with a few plain numbers."""
    axes.set_xscale("log")
    ticks = [tick for tick in (0.1, 0.3, 1, 3, 10, 30, 100, 300, 1000) if values.min() <= tick <= values.max()]
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()


def _log_n(axes: Axes, value: float, height: float) -> None:
    style.guide(axes.axvline(value, **style.GUIDE))
    axes.annotate(
        f"log N = {value:.2f}",
        (value, height),
        xytext=(3, -2),
        textcoords="offset points",
        color=style.GREY,
        fontsize=8,
    )
