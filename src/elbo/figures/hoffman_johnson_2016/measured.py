"""The three terms of trained models: at the end, over training, over the number of data."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from elbo.figures import style
from elbo.figures.hoffman_johnson_2016.looks import KL, LOG_N, MI, log_ticks, run_title, short

__all__ = ["log_n_ceiling", "over_training", "surgery_table"]


def surgery_table(table: pd.DataFrame) -> Figure:
    """Bars of mutual information and marginal KL side by side, log N as a line; one panel a run, rows by size of
    code.
    """
    runs = list(dict.fromkeys(table["run"]))
    figure, (panels,) = style.new(1, len(runs), height=2.9)
    for axes, run in zip(panels, runs, strict=True):
        part = table[table["run"] == run].reset_index(drop=True)
        y = np.arange(len(part))[::-1]
        ends = part["mutual_information"] + part["marginal_kl"]
        axes.barh(y, part["mutual_information"], color=style.COLOUR[MI], height=0.42, label="mutual information")
        marginal = {"color": style.COLOUR[KL], "hatch": "///", "edgecolor": "white", "linewidth": 0}
        axes.barh(y, part["marginal_kl"], left=part["mutual_information"], height=0.42, label="marginal KL", **marginal)
        for at, row in zip(y, part.itertuples(), strict=True):
            error = np.nan_to_num(row.mutual_information_se)
            bar = axes.errorbar(row.mutual_information, at, xerr=error, color="black", capsize=2, fmt="none")
            style.guide(bar.lines[2][0])
            text = f"{short(row.mutual_information)} + {short(row.marginal_kl)}"
            axes.annotate(
                text, (0, at + 0.24), xytext=(1, 2), textcoords="offset points", va="bottom", fontsize=style.SMALL
            )
        style.guide(axes.axvline(part["log_n"].iloc[0], **style.GUIDE))
        axes.set_yticks(y, [f"{dim} latents" if axes is panels[0] else f"{dim}" for dim in part["latent_dim"]])
        axes.set_xlim(0, 1.08 * max(ends.max(), part["log_n"].iloc[0]))
        axes.set_ylim(-0.4, len(part) - 0.25)
        style.panel(axes, f"{run_title(part)}, log N = {part['log_n'].iloc[0]:.2f}", "nats per image")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2)
    return figure


def over_training(table: pd.DataFrame, turns: pd.DataFrame) -> Figure:
    """Rows: the three terms. Columns: this run and the reference. Lines: sizes of code. The stages are those of
    ``turns``, a row a run with ``first`` and ``second``, the epochs at which the next one begins.
    """
    runs = list(dict.fromkeys(table["run"]))
    figure, panels = style.new(3, len(runs), height=6.6, sharex="col")
    terms = {"reconstruction": "reconstruction", "mutual_information": MI, "marginal_kl": KL}
    for column, run in enumerate(runs):
        part = table[table["run"] == run]
        for row, (term, look) in enumerate(terms.items()):
            axes = panels[row, column]
            _over_epochs(axes, part, term, look)
            name = {"marginal_kl": "marginal KL"}.get(term, term.replace("_", " "))
            title = f"{run_title(part)}\n{name}" if row == 0 else name
            style.panel(axes, title, "epochs" if row == 2 else "", "nats per image" if column == 0 else "")
        _stages(panels[:, column], part["epoch"], turns[turns["run"] == run].iloc[0])
    return figure


def _over_epochs(axes: Axes, part: pd.DataFrame, term: str, look: str) -> None:
    """One term of one run over the epochs, a line a size of code."""
    labels, drawn = [], {"color": style.COLOUR[look], "linestyle": style.LINE[look], "marker": ".", "linewidth": 1.3}
    for latent_dim, line in part.groupby("latent_dim"):
        axes.plot(line["epoch"], line[term], **drawn)
        style.band(axes, line["epoch"], line[term], line[f"{term}_se"].fillna(0), color=style.COLOUR[look])
        labels.append((line["epoch"].iloc[-1], line[term].iloc[-1], f"{latent_dim} latents", style.COLOUR[look]))
    log_ticks(axes, part["epoch"])
    if term == "mutual_information":
        ceiling = part["log_n"].iloc[0]
        style.guide(axes.axhline(ceiling, **style.GUIDE))
        place = {"xytext": (0, 3), "textcoords": "offset points", "color": style.GREY, "fontsize": style.SMALL}
        axes.annotate("log N", (part["epoch"].min(), ceiling), **place)
        axes.set_ylim(0, 1.25 * ceiling)
    elif term == "marginal_kl":
        axes.set_ylim(0, None)
    style.end_labels(axes, labels, gap=0.12)


def _stages(column: np.ndarray, epochs: pd.Series, turn: pd.Series) -> None:
    """Lines between the stages in all panels of a column, numbers at the top."""
    edges = sorted({epochs.min(), turn["first"], turn["second"], epochs.max()})
    for axes in column:
        for edge in edges[1:-1]:
            style.guide(axes.axvline(edge, color=style.GUIDE["color"], linewidth=0.8, linestyle="-", zorder=0.5))
    across = column[0].get_xaxis_transform()
    circle = {"boxstyle": "circle,pad=0.15", "facecolor": "white", "edgecolor": style.GREY}
    for number, (low, high) in enumerate(zip(edges, edges[1:], strict=False), start=1):
        middle = np.sqrt(low * high)
        column[0].text(middle, 0.9, str(number), transform=across, ha="center", va="center", bbox=circle)


def log_n_ceiling(table: pd.DataFrame) -> Figure:
    """Mutual information over the number of data in the mixture, with the ceiling log N; one panel a run."""
    runs = list(dict.fromkeys(table["run"]))
    figure, (panels,) = style.new(1, len(runs), height=3.0, sharey=True)
    for axes, run in zip(panels, runs, strict=True):
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
        style.panel(axes, run_title(part), "images N in the mixture", "nats" if axes is panels[0] else "")
    return figure
