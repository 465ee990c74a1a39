"""Figures on Higgins et al. (2017), beta-VAE: tidy table in, figure out."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from elbo.figures import style

__all__ = ["factor_responses", "over_beta", "over_training", "posterior_paths", "proxies", "scores", "traversals"]

BETA, PRIOR = style.COLOUR["beta-vae"], style.COLOUR["vae"]
SHAPES = {1: ("square", "-"), 2: ("ellipse", "--"), 3: ("heart", ":")}
SIZES = [(style.COLOUR["pca"], "^", "-."), (style.COLOUR["beta-vae"], "o", "-"), (style.COLOUR["vae"], "s", "--")]


def posterior_paths(table: pd.DataFrame) -> Figure:
    """Mean against variance of the posterior as beta moves and as the prior variance moves; a panel each weight."""
    strengths = list(dict.fromkeys(table["strength"]))
    figure, (panels,) = style.new(1, len(strengths), height=3.1)
    for axes, strength in zip(panels, strengths):
        part = table[table["strength"] == strength]
        labels = {"beta": (BETA, "-", "beta moves"), "prior variance": (PRIOR, "--", "prior variance moves")}
        for what, (colour, dash, _) in labels.items():
            line = part[part["what"] == what]
            axes.plot(line["variance"], line["mean"], color=colour, linestyle=dash)
        first = part.iloc[0]
        axes.plot(first["start_variance"], first["start_mean"], "o", color="black", markersize=5)
        axes.plot(first["target_variance"], first["target_mean"], "*", color=BETA, markersize=11)
        top = part["mean"].max()
        axes.set(xlim=(0, 1), ylim=(0, 1.12 * top))
        notes = {
            "both 1": ("start_variance", "start_mean", (9, 5) if strength > 1 else (-4, 9), "left", "black"),
            "to imitate": ("target_variance", "target_mean", (-9, -9), "right", BETA),
        }
        for text, (across, up, offset, side, colour) in notes.items():
            axes.annotate(text, (first[across], first[up]), xytext=offset, textcoords="offset points", ha=side,
                          fontsize=8, color=colour)  # fmt: skip
        for what, share, offset, side in (("beta", 0.36, (8, 2), "left"), ("prior variance", 0.3, (9, -5), "left")):
            line = part[part["what"] == what]
            point = line.iloc[(line["variance"] - share * min(1.0, line["variance"].max())).abs().argmin()]
            axes.annotate(labels[what][2], (point["variance"], point["mean"]), xytext=offset, ha=side, fontsize=8,
                          textcoords="offset points", color=labels[what][0])  # fmt: skip
        if first["needed"] > 0:
            start, end = first["target_mean"], first["target_mean"] * first["off"]
            style.guide(axes.plot([first["target_variance"]] * 2, [start, end], **style.GUIDE)[0])
            axes.annotate(f"off by {first['off']:.0f}×", (first["target_variance"], (start + end) / 2),
                          xytext=(6, 0), textcoords="offset points", fontsize=8, color=style.GREY)  # fmt: skip
        title = f"w = {strength:g}: " + ("mean off" if first["needed"] > 0 else "variance out of reach")
        style.panel(axes, title, "posterior variance", "posterior mean")
    return figure


def scores(table: pd.DataFrame) -> Figure:
    """Figure 6 (left): score of every representation, a panel each classifier, with the paper's numbers (black ticks) and
    the reference run's (small diamonds below)."""
    names = list(table.sort_values("row")["representation"].drop_duplicates())
    figure, (panels,) = style.new(1, 2, height=3.5, sharey=True)
    titles = {"softmax": "classifier fitted to the end", "adagrad": "classifier stopped early"}
    for axes, (classifier, title) in zip(panels, titles.items()):
        part = table[table["classifier"] == classifier].set_index("representation").loc[names].reset_index()
        y = part["row"]
        colours = [_representation(name) for name in names]
        axes.errorbar(part["mean"], y, xerr=2 * part["se"], fmt="none", ecolor="#444444", capsize=2, linewidth=1)
        axes.scatter(part["mean"], y, c=colours, s=34, zorder=3)
        axes.scatter(part["paper"], y, marker="|", s=150, color="black", linewidth=1.5, zorder=2)
        kept = part.dropna(subset=["reference_mean"])
        if len(kept):
            low = kept["reference_row"]
            axes.errorbar(
                kept["reference_mean"], low, xerr=2 * kept["reference_se"], fmt="none", ecolor=style.GREY, linewidth=0.8
            )
            axes.scatter(
                kept["reference_mean"],
                low,
                c="white",
                edgecolors=style.GREY,
                marker="D",
                s=14,
                linewidths=0.9,
                zorder=3,
            )
        chance = part["chance"].iloc[0]
        style.guide(axes.axvline(chance, **style.GUIDE))
        axes.annotate("chance", (chance, len(part) - 0.55), xytext=(3, 0), textcoords="offset points", fontsize=8,
                      color=style.GREY, va="center")  # fmt: skip
        axes.set_yticks(y, names)
        axes.set_xlim(0.12, 1.03)
        axes.set_ylim(-0.6, len(part) - 0.3)
        style.panel(axes, title, "score, fraction of votes")
    return figure


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
        style.panel(axes, f"score against {title}", unit, "Higgins' score" if axes is panels[0] else "")
    panels[1].legend(title="beta", loc="center left", bbox_to_anchor=(1.0, 0.5))
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
            labels.append((last["thousands"].iloc[0], last[column].mean(), f"beta = {beta:g}", colour))
        style.end_labels(axes, labels)
        style.panel(axes, title, "thousand images seen", unit)
    return figure


def factor_responses(table: pd.DataFrame) -> Figure:
    """Figure 7: rows of models; maps over position, lines over scale and over orientation."""
    models = list(dict.fromkeys(table["model"]))[:2]
    figure, panels = style.new(len(models), 3, height=2.5 * len(models), width_ratios=[1.5, 1, 1.4])
    colours = [style.COLOUR[name] for name in ("beta-vae", "vae", "pca", "ica", "elbo")]
    shapes = (("o", "●"), ("s", "■"), ("^", "▲"), ("D", "◆"), ("v", "▼"))  # for those who do not see the colours
    bound = table["mean"].abs().max()
    reach = 1.08 * table.loc[table["factor"] != "position", "mean"].abs().max()
    for row, label in zip(panels, models):
        part = table[table["model"] == label]
        place = part[part["factor"] == "position"].sort_values(["rank", "y", "x"])
        side = place["y"].nunique()
        maps = place["mean"].to_numpy().reshape(-1, side, place["x"].nunique())
        style.images(row[0], maps, columns=3, gap=2, cmap="PuOr", vmin=-bound, vmax=bound)
        for rank, latent in enumerate(place.drop_duplicates("rank")["latent"]):
            where = ((rank % 3) * (side + 2) - 0.5, (rank // 3) * (side + 2) - 0.6)
            row[0].text(
                *where,
                f"z{latent} {shapes[rank % 5][1]}",
                fontsize=8,
                color=colours[rank % 5],
                va="bottom",
                fontweight="bold",
            )
        for (rank, latent), lines in part.groupby(["rank", "latent"]):
            colour, marker = colours[rank % 5], shapes[rank % 5][0]
            scale = lines[lines["factor"] == "scale"]
            row[1].plot(scale["x"], scale["mean"], color=colour, marker=marker, markersize=3.5)
            for shape, (_, dash) in SHAPES.items():
                turned = lines[(lines["factor"] == "orientation") & (lines["shape"] == shape)]
                row[2].plot(turned["x"], turned["mean"], color=colour, linestyle=dash, linewidth=1.2,
                            marker=marker, markersize=2.5, markevery=max(1, len(turned) // 8))  # fmt: skip
        row[0].set_title(f"{label}: over position", pad=16)
        style.panel(row[1], "over scale", "scale", "mean of the latent")
        style.panel(row[2], "over orientation", "radians")
        row[1].set_ylim(-reach, reach)
        row[2].set_ylim(-reach, reach)
        row[2].set_xticks([0, np.pi, 2 * np.pi], ["0", "π", "2π"])
    for shape, (name, dash) in SHAPES.items():
        style.guide(panels[0, 2].plot([], [], color="black", linestyle=dash, label=name)[0])
    panels[0, 2].legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure


def traversals(table: pd.DataFrame, side: int) -> Figure:
    """A row of decoded images for each latent, its number and KL on the left."""
    steps, latents = table["step"].nunique(), table["rank"].nunique()
    ordered = table.sort_values(["rank", "step"])
    pixels = ordered[[name for name in table.columns if name.startswith("pixel_")]].to_numpy()
    figure, axes = style.new(height=0.42 * latents + 0.5, width=5.2)
    axis = axes[0, 0]
    style.images(axis, pixels.reshape(-1, side, side), columns=steps, cmap="gray_r")
    for line in ordered.drop_duplicates("rank").itertuples():
        text = f"z{line.latent}, {line.kl:.2f} nats"
        axis.text(-1, line.rank * (side + 1) + side / 2, text, ha="right", va="center", fontsize=8)
    for line in ordered[ordered["rank"] == 0].itertuples():
        where = (line.step * (side + 1) + side / 2, latents * (side + 1) + 1)
        text = f"{line.value:+.1f}".replace("+0.0", "0").replace("-", "−")
        axis.text(*where, text, ha="center", va="top", fontsize=8)
    return figure


def _representation(name: str) -> str:
    looks = {"VAE (": "vae", "beta-VAE": "beta-vae", "PCA": "pca", "ICA": "ica"}
    return next((style.COLOUR[look] for start, look in looks.items() if name.startswith(start)), style.GREY)
