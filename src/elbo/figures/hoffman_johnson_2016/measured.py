"""The three terms of trained models: at the end, over training, over the number of data."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from elbo.figures import style
from elbo.figures.hoffman_johnson_2016.looks import KL, LOG_N, MI, log_n_line, log_ticks, run_title, short

__all__ = ["log_n_ceiling", "over_training", "surgery_table"]


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
                f"ELBO {short(row.elbo)}",
                (right, at),
                xytext=(6, 0),
                textcoords="offset points",
                va="center",
                fontsize=8,
            )
        log_n_line(axes, part["log_n"].iloc[0], len(part) - 0.45)
        axes.set_yticks(y, [f"{dim} latents" for dim in part["latent_dim"]])
        axes.set_xlim(0, 1.4 * right)
        axes.set_ylim(-0.5, len(part) - 0.2)
        style.panel(axes, run_title(part), "average KL (nats per image)")
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
            log_ticks(axes, part["epoch"])
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
            title = f"{run_title(part)}\n{name}" if row == 0 else name
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
        style.panel(axes, run_title(part), "images N in the mixture", "nats" if axes is panels[0] else "")
    return figure
