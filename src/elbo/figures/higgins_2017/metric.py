"""Figures on the measure: the factors, a vote from pictures to classifier, the scores, and the rotation that no score
may see."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from elbo.figures import style
from elbo.figures.higgins_2017.cells import cells

__all__ = ["average_vote", "rotated", "scores", "sprite_sheet", "vote"]

BETA, PRIOR = style.COLOUR["beta-vae"], style.COLOUR["vae"]
CLASSIFIERS = {"softmax": "fitted to the end", "adagrad": "stopped early"}


def sprite_sheet(table: pd.DataFrame) -> Figure:
    """A row of sprites for each factor, which alone moves along it."""
    rows, steps = table["row"].nunique(), table["step"].max() + 1
    names = list(table.sort_values("row")["factor"].drop_duplicates())
    pixels = [name for name in table.columns if name.startswith("pixel_")]
    side = round(len(pixels) ** 0.5)
    tiles = np.full((rows * steps, side, side), np.nan)
    for line, values in zip(table.itertuples(), table[pixels].to_numpy()):
        tiles[line.row * steps + line.step] = values.reshape(side, side)
    figure, ((axes,),) = style.new(height=3.6)
    style.images(axes, tiles, columns=steps, gap=2, cmap="gray")
    for row, name in enumerate(names):
        axes.text(-2, row * (side + 2) + side / 2, name, ha="right", va="center", fontsize=10)
    return figure


def vote(pairs: pd.DataFrame, images: pd.DataFrame) -> Figure:
    """One vote from left to right: pairs of pictures, absolute differences of their codes, their average."""
    figure, (panels,) = style.new(1, 3, height=3.0, width_ratios=[0.75, 1.25, 1.15])
    pixels = [name for name in images.columns if name.startswith("pixel_")]
    side, count = round(len(pixels) ** 0.5), pairs["pair"].nunique()
    tiles = images.sort_values(["pair", "image"])[pixels].to_numpy().reshape(-1, side, side)
    style.images(panels[0], tiles, columns=2, gap=2, cmap="gray")
    for pair in range(count):
        panels[0].text(-1, pair * (side + 2) + side / 2, f"{pair + 1}", ha="right", va="center", fontsize=style.SMALL)
    panels[0].set_title("1  pairs", fontsize=10)
    latents = pairs.sort_values("rank").drop_duplicates("rank")
    grid = pairs.pivot(index="pair", columns="rank", values="difference").to_numpy()
    cells(panels[1], grid, [f"z{latent}" for latent in latents["latent"]], [str(k + 1) for k in range(count)], "{:.1f}")
    style.panel(panels[1], "2  differences of codes", "latent", "pair")
    panels[2].bar(latents["rank"], latents["vote"], color="#c9d7e2", edgecolor=style.GREY, width=0.7)
    panels[2].set_xticks(latents["rank"], [f"z{latent}" for latent in latents["latent"]])
    style.panel(panels[2], "3  their average: a vote", "latent", "mean difference")
    return figure


def average_vote(table: pd.DataFrame) -> Figure:
    """Votes on average, a panel a code: a row a shared factor, a column a number, relative to its average over all
    votes."""
    codes = list(dict.fromkeys(table["code"]))
    figure, (panels,) = style.new(1, len(codes), height=2.7)
    short = {"orientation": "orient.", "position x": "pos. x", "position y": "pos. y"}
    for axes, code in zip(panels, codes):
        part = table[table["code"] == code]
        grid = part.pivot(index="row", columns="rank", values="relative").to_numpy()
        labels = part.sort_values("rank").drop_duplicates("rank")["label"]
        factors = part.sort_values("row").drop_duplicates("row")["factor"] if axes is panels[0] else [""] * len(grid)
        cells(axes, grid, [short.get(name, name) for name in labels], list(factors), "{:.2f}", low_is_dark=True)
        style.panel(axes, code.replace("beta", "β"), "number in the code", "shared cause" if axes is panels[0] else "")
    return figure


def scores(table: pd.DataFrame) -> Figure:
    """Figure 6 (left): score of every representation, a panel each classifier, with the paper's numbers (black ticks)
    and the reference run's (small diamonds below)."""
    names = list(table.sort_values("row")["representation"].drop_duplicates())
    figure, (panels,) = style.new(1, 2, height=4.0, sharey=True)
    for axes, (classifier, how) in zip(panels, CLASSIFIERS.items()):
        part = table[table["classifier"] == classifier].set_index("representation").loc[names].reset_index()
        axes.errorbar(
            part["mean"], part["row"], xerr=2 * part["se"], fmt="none", ecolor="#444444", capsize=2, linewidth=1
        )
        axes.scatter(part["mean"], part["row"], c=[_representation(name) for name in names], s=34, zorder=3)
        axes.scatter(part["paper"], part["row"], marker="|", s=190, color="black", linewidth=1.8, zorder=2)
        kept = part.dropna(subset=["reference_mean"])
        if len(kept):
            at, low = kept["reference_mean"], kept["reference_row"]
            axes.errorbar(at, low, xerr=2 * kept["reference_se"], fmt="none", ecolor=style.GREY, linewidth=0.8)
            axes.scatter(at, low, c="white", edgecolors=style.GREY, marker="D", s=16, linewidths=0.9, zorder=3)
        chance = part["chance"].iloc[0]
        style.guide(axes.axvline(chance, **style.GUIDE))
        axes.annotate("chance", (chance, len(part) - 0.55), xytext=(3, 0), textcoords="offset points",
                      fontsize=style.SMALL, color=style.GREY, va="center")  # fmt: skip
        axes.set_yticks(part["row"], [name.replace("beta =", "β =").replace("beta-", "β-") for name in names])
        axes.set_xlim(0.12, 1.03)
        axes.set_ylim(-0.6, len(part) - 0.3)
        style.panel(axes, f"classifier {how}", "score, fraction of votes")
    _key(figure, panels[0], bool(table["reference_mean"].notna().any()))
    return figure


def rotated(table: pd.DataFrame) -> Figure:
    """Mutual information gap and Higgins' score of a perfect code that is turned."""
    figure, ((axes,),) = style.new(height=2.7)
    axes.plot(table["degrees"], table["score"], color=BETA, marker="o", markersize=4)
    axes.plot(table["degrees"], table["mig"], color=PRIOR, marker="s", markersize=4, linestyle="--")
    third = table.iloc[len(table) // 3]
    axes.annotate("Higgins' score", (third["degrees"], third["score"]), xytext=(0, -14), textcoords="offset points",
                  color=BETA, fontsize=style.SMALL)  # fmt: skip
    axes.annotate("mutual information gap", (third["degrees"], third["mig"]), xytext=(8, 8), textcoords="offset points",
                  color=PRIOR, fontsize=style.SMALL)  # fmt: skip
    axes.set_xticks([0, 15, 30, 45])
    axes.set_ylim(-0.03, 1.05)
    style.panel(axes, "", "angle of the rotation, degrees", "fraction")
    return figure


def _key(figure: Figure, axes: Axes, reference: bool) -> None:
    """What dots, ticks and diamonds are, above the panels."""
    marks = [style.guide(axes.plot([], [], "o", color=style.GREY, markersize=6, label="small models, this build")[0])]
    if reference:
        look = {"color": style.GREY, "markerfacecolor": "white", "markersize": 5}
        marks.append(style.guide(axes.plot([], [], "D", label="the paper's network, shorter training", **look)[0]))
    marks.append(
        style.guide(axes.plot([], [], "|", color="black", markersize=11, markeredgewidth=1.8, label="the paper")[0])
    )
    figure.legend(handles=marks, loc="outside upper center", ncols=len(marks))


def _representation(name: str) -> str:
    looks = {"VAE (": "vae", "beta-VAE": "beta-vae", "PCA": "pca", "ICA": "ica"}
    return next((style.COLOUR[look] for start, look in looks.items() if name.startswith(start)), style.GREY)
