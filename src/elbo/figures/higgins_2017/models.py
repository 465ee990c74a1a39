"""Figures on trained models: over beta, over training, proxies, latents against factors, traversals."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from elbo.figures import style
from elbo.figures.higgins_2017.cells import cells

__all__ = ["by_use", "factor_spread", "over_beta", "over_training", "proxies", "traversals"]

BETA, PRIOR = style.COLOUR["beta-vae"], style.COLOUR["vae"]
SIZES = [(style.COLOUR["pca"], "^", "-."), (style.COLOUR["beta-vae"], "o", "-"), (style.COLOUR["vae"], "s", "--")]


def over_beta(table: pd.DataFrame) -> Figure:
    """Figure 6 (right) and what goes with it: score, gap of information, misfit and total correlation over beta."""
    figure, panels = style.new(2, 2, height=4.7, sharex=True)
    columns = {
        "score": ("Higgins' score", "fraction"),
        "mig": ("mutual information gap", "fraction"),
        "misfit": ("misfit of reconstructions", "nats per image"),
        "total_correlation": ("total correlation", "nats per image"),
    }
    for axes, (column, (title, unit)) in zip(panels.flat, columns.items()):
        for (size, line), (colour, marker, dash) in zip(table.groupby("latent_dim"), SIZES):
            axes.plot(line["beta_norm"], line[column], color=colour, marker=marker, linestyle=dash,
                      label=f"{size} latents")  # fmt: skip
            style.band(axes, line["beta_norm"], line[column], line[f"{column}_se"].fillna(0), color=colour)
            if f"reference_{column}" in line and column != "misfit":  # of larger, sharper images: another scale
                kept = line.dropna(subset=[f"reference_{column}"])
                axes.plot(kept["beta_norm"], kept[f"reference_{column}"], color=colour, marker="D", markersize=3.5,
                          markerfacecolor="white", **style.REFERENCE)  # fmt: skip
        axes.set_xscale("log")
        style.panel(axes, title, r"$\beta_\mathrm{norm}$" if column in ("misfit", "total_correlation") else "", unit)
    panels[1, 1].legend()
    return figure


def proxies(readings: pd.DataFrame) -> Figure:
    """Score against misfit (left) and against total correlation (right), a point a model, coloured by beta."""
    figure, (panels,) = style.new(1, 2, height=2.9, sharey=True)
    titles = {"misfit": "reconstruction", "total_correlation": "total correlation"}
    betas = sorted(readings["beta"].unique())
    shades = np.linspace(0.15, 0.85, len(betas))
    markers = "osD^vP*Xhd"
    for axes, (column, title) in zip(panels, titles.items()):
        for i, (beta, shade) in enumerate(zip(betas, shades)):
            part = readings[readings["beta"] == beta]
            colour = mpl.colormaps["viridis"](shade)
            axes.scatter(part[column], part["score"], color=colour, marker=markers[i % 10], s=24, label=f"{beta:g}")
        unit = "misfit (nats per image)" if column == "misfit" else "nats per image"
        style.panel(axes, f"against {title}", unit, "Higgins' score" if axes is panels[0] else "")
    panels[1].legend(title="β", loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure


def over_training(table: pd.DataFrame) -> Figure:
    """Score and mutual information gap of every model of the reference run over the images it has seen."""
    figure, (panels,) = style.new(1, 2, height=2.8, gridspec_kw={"wspace": 0.12})
    titles = {
        "score": ("Higgins' score, fitted classifier", "fraction of votes"),
        "mig": ("mutual information gap", "fraction"),
    }
    looks = {
        low: look for low, look in zip(sorted(table["beta"].unique()), ((PRIOR, "--"), (BETA, "-"), ("#444444", ":")))
    }
    for axes, (column, (title, unit)) in zip(panels, titles.items()):
        labels = []
        for (beta, _), line in table.groupby(["beta", "seed"]):
            colour, dash = looks[beta]
            axes.plot(
                line["thousands"], line[column], color=colour, linestyle=dash, linewidth=1, marker=".", markersize=4
            )
        for beta, (colour, _) in looks.items():
            last = table[(table["beta"] == beta) & (table["samples"] == table["samples"].max())]
            labels.append((last["thousands"].iloc[0], last[column].mean(), f"β = {beta:g}", colour))
        style.end_labels(axes, labels, gap=0.08)
        style.panel(axes, title, "thousand images seen", unit)
    return figure


def by_use(table: pd.DataFrame) -> Figure:
    """Score of all latents, of those in use and of the others: a row each, a dot a model, a panel a beta."""
    names = ["all", "in use", "not in use"]
    betas = sorted(table["beta"].unique())
    figure, (panels,) = style.new(1, len(betas), height=1.9, sharey=True, sharex=True)
    for axes, beta in zip(panels, betas):
        part = table[table["beta"] == beta]
        for row, name in enumerate(reversed(names)):
            found = part.loc[part["latents"] == name, "score"]
            colour, marker = (BETA, "o") if beta == 4 else (PRIOR, "s") if beta == 1 else (style.GREY, "D")
            axes.scatter(found, [row] * len(found), marker=marker, color=colour, alpha=0.8, s=30)
            if found.notna().any():
                style.guide(axes.plot([found.mean()] * 2, [row - 0.3, row + 0.3], color="black", linewidth=1.4)[0])
        style.guide(axes.axvline(table["chance"].iloc[0], **style.GUIDE))
        axes.set_yticks(range(len(names)), reversed(names))
        axes.set_ylim(-0.5, len(names) - 0.5)
        used = f"{part.drop_duplicates('seed')['used'].mean():.1f}"
        style.panel(axes, f"β = {beta:g}: {used} in use", "score", "latents" if axes is panels[0] else "")
    return figure


def factor_spread(table: pd.DataFrame) -> Figure:
    """Figure 7 in numbers: a panel a model, a row a latent, a column a factor."""
    models = list(dict.fromkeys(table["model"]))[:2]
    figure, (panels,) = style.new(1, len(models), height=0.9 + 0.34 * table["rank"].nunique())
    top = table["spread"].max()
    for axes, label in zip(panels, models):
        part = table[table["model"] == label]
        grid = part.pivot(index="rank", columns="column", values="spread").to_numpy()
        factors = part.sort_values("column").drop_duplicates("column")["factor"]
        latents = part.sort_values("rank").drop_duplicates("rank")
        short = {"orientation": "orient.", "position x": "pos. x", "position y": "pos. y"}
        names = [f"z{row.latent}  {row.kl:.1f}" for row in latents.itertuples()]
        cells(axes, grid, [short.get(name, name) for name in factors], names, "{:.1f}", top=top)
        style.panel(
            axes, label.replace("beta", "β"), "cause that moves", "latent, and its nats" if axes is panels[0] else ""
        )
    return figure


def traversals(table: pd.DataFrame, side: int) -> Figure:
    """A panel a model; in it a row of decoded images for each latent, its number and KL on the left."""
    models = list(dict.fromkeys(table["model"]))[:2]
    figure, (panels,) = style.new(1, len(models), height=0.75 + 0.48 * table["rank"].nunique())
    for axes, label in zip(panels, models):
        ordered = table[table["model"] == label].sort_values(["rank", "step"])
        steps, latents = ordered["step"].nunique(), ordered["rank"].nunique()
        pixels = ordered[[name for name in table.columns if name.startswith("pixel_")]].to_numpy()
        style.images(axes, pixels.reshape(-1, side, side), columns=steps, cmap="gray")
        for line in ordered.drop_duplicates("rank").itertuples():
            axes.text(-2, line.rank * (side + 1) + side / 2, f"z{line.latent}  {line.kl:.1f}", ha="right", va="center",
                      fontsize=style.SMALL)  # fmt: skip
        for line in ordered[(ordered["rank"] == 0) & ordered["step"].isin([0, steps // 2, steps - 1])].itertuples():
            text = f"{line.value:+.1f}".replace("+0.0", "0").replace("-", "−")
            where = (line.step * (side + 1) + side / 2, latents * (side + 1) + 1)
            axes.text(*where, text, ha="center", va="top", fontsize=style.SMALL)
        axes.set_title(label.replace("beta", "β"))
    return figure
