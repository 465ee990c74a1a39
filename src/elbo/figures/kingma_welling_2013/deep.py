"""The check from outside: bounds by the number of draws, of an autoencoder and an importance-weighted one."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from elbo.figures import style

__all__ = ["nll_by_draws"]

NAMES = {1: "vae"}


def nll_by_draws(table: pd.DataFrame, reference: pd.DataFrame | None = None) -> Figure:
    """Minus the importance-weighted bound against its number of draws, one line a model; the reader's run, and the
    reference.

    Args:
        table: from :func:`elbo.experiments.kingma_welling_2013.importance_pair`.
        reference: from ``burda``, in a panel of its own, with what was published as hollow markers; ``None``: no such
            panel.
    """
    tables = [("digits", table)] + ([] if reference is None else [("MNIST, 784-200-200-50 (reference run)", reference)])
    figure, axes = style.new(1, len(tables), height=2.9)
    for axis, (title, rows) in zip(axes[0], tables):
        labels = []
        for k, own in rows.groupby("trained_with"):
            look = NAMES.get(k, "iwae")
            colour = style.COLOUR[look]
            axis.plot(own.draws, own.nll, style.LINE[look], color=colour, marker=style.MARKER[look], markersize=3)
            style.band(axis, own.draws, own.nll, own.se_images, color=colour)
            labels.append((own.draws.iloc[-1], own.nll.iloc[-1], "VAE" if k == 1 else f"IWAE, k = {k}", colour))
            if "published" in own and own.published.notna().any():
                known = own.dropna(subset="published")
                axis.plot(
                    known.draws, known.published, style.MARKER[look], color=colour, markerfacecolor="none", markersize=7
                )
                labels.append((known.draws.iloc[-1], known.published.iloc[-1], "published", colour))
        axis.set_xscale("log")
        style.panel(axis, title, "draws of the bound")
        axis.grid(axis="y")
        style.end_labels(axis, labels, gap=0.08)
    axes[0, 0].set_ylabel("minus the bound (nats per image)")
    return figure
