"""How many latents are used."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from elbo.figures import style
from elbo.figures.kingma_welling_2013.looks import SIZES

__all__ = ["remedies", "use_of_latents"]


def use_of_latents(table: pd.DataFrame, threshold: float = 0.01) -> Figure:
    """Divergence of every latent at the end, largest first (left), and active units over training (right).

    Args:
        table: from :func:`elbo.experiments.kingma_welling_2013.use_of_latents`.
        threshold: above it a latent counts as active.
    """
    figure, axes = style.new(1, 2, height=3.0)
    left, right = axes[0]
    sizes = sorted(table.latent_dim.unique())
    names = []
    for number, size in enumerate(sizes):
        colour, marker, line = SIZES[number % len(SIZES)]
        own = table[table.latent_dim == size]
        ranks = own[own.panel == "rank"].sort_values("rank")
        left.plot(ranks["rank"], ranks.kl, linestyle=line, color=colour, marker=marker, markersize=3)
        style.band(left, ranks["rank"], ranks.kl, ranks.kl_se.fillna(0.0), color=colour)
        time = own[own.panel == "time"].sort_values("samples")
        right.plot(time.samples, time.active, linestyle=line, color=colour, marker=marker)
        style.band(right, time.samples, time.active, time.active_se.fillna(0.0), color=colour)
        names.append((time.samples.iloc[-1], time.active.iloc[-1], f"{size} latents", colour))
    left.set_yscale("log")
    left.set_ylim(min(threshold / 20, table.kl[table.panel == "rank"].clip(lower=1e-5).min() / 1.5), None)
    style.guide(left.axhline(threshold, **style.GUIDE))
    left.annotate(
        f"{threshold:g} nats",
        (1, threshold),
        xycoords=("axes fraction", "data"),
        xytext=(0, 3),
        textcoords="offset points",
        color=style.GUIDE["color"],
        ha="right",
    )
    right.set_xscale("log")
    right.set_ylim(0, 1.05 * max(sizes))
    for axis in (left, right):
        axis.grid(axis="y")
    style.panel(
        left,
        "Divergence of each latent at the end",
        "latent, largest first",
        "divergence from the prior\n(nats per image)",
    )
    style.panel(right, "Active latents over training", "samples seen", "active latents")
    style.end_labels(right, names, gap=0.08)
    return figure


def remedies(table: pd.DataFrame) -> Figure:
    """Latents with more than 0.01 nats (left) and the test bound (right) over training, a line a remedy.

    Args:
        table: from :func:`elbo.experiments.kingma_welling_2013.remedy_means`.
    """
    figure, axes = style.new(1, 2, height=3.0)
    titles = {
        "active_kl": ("Latents above 0.01 nats", "latents"),
        "bound": ("Bound on test images", "nats per image"),
    }
    for axis, (column, (title, unit)) in zip(axes[0], titles.items()):
        names = []
        for (colour, marker, line), (remedy, own) in zip(SIZES, table.groupby("remedy", sort=False)):
            axis.plot(own.samples, own[column], linestyle=line, color=colour, marker=marker)
            style.band(axis, own.samples, own[column], own[f"{column}_se"].fillna(0.0), color=colour)
            names.append((own.samples.iloc[-1], own[column].iloc[-1], remedy, colour))
        axis.set_xscale("log")
        axis.grid(axis="y")
        if column == "bound":
            axis.set_ylim(table[column].quantile(0.2), table[column].max() + 0.5)
        style.panel(axis, title, "samples seen", unit)
        style.end_labels(axis, names, gap=0.08)
    return figure
