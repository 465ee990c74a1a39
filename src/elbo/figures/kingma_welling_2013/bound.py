"""Figure 2: the bound against training samples."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from elbo.figures import style

__all__ = ["bound"]


def bound(table: pd.DataFrame, reference: pd.DataFrame | None = None) -> Figure:
    """The bound against training samples, one panel a latent size, train and test; bands are standard errors over seeds.

    Args:
        table: from :func:`elbo.experiments.kingma_welling_2013.bound`.
        reference: a table of the same form, drawn as thin lines; latent sizes that ``table`` does not have are left out.
    """
    sizes = sorted(table.latent_dim.unique())
    figure, axes = style.new(1, len(sizes), sharey=True, height=2.7)
    for axis, size in zip(axes[0], sizes):
        for split in ("train", "test"):
            colour = style.COLOUR[split]
            if reference is not None:
                past = reference.query("latent_dim == @size and split == @split")
                axis.plot(past.samples, past.bound, color=colour, **style.REFERENCE)
            rows = table.query("latent_dim == @size and split == @split")
            axis.plot(rows.samples, rows.bound, style.LINE[split], color=colour, label=split)
            style.band(axis, rows.samples, rows.bound, rows.se_seeds.fillna(0.0), color=colour)
        axis.set_xscale("log")
        style.panel(axis, f"{size} latents", "training samples")
        axis.grid(axis="y")
    axes[0, 0].set_ylabel("bound (nats per image)")
    _focus(axes[0], table)
    last = table[(table.latent_dim == sizes[-1]) & (table.samples == table.samples.max())].set_index("split")
    names = [(last.samples[split], last.bound[split], split, style.COLOUR[split]) for split in ("train", "test")]
    style.end_labels(axes[0, -1], names, gap=0.09)
    return figure


def _focus(axes, table: pd.DataFrame) -> None:
    """Leave the first, steep part of the curves below the frame: the paper's figure does the same."""
    late = table.loc[table.samples >= table.samples.max() / 30, "bound"]
    spread = late.max() - late.min()
    low = max(table.bound.min(), late.min() - 0.6 * spread)
    axes[0].set_ylim(low - 0.04 * spread, late.max() + 0.12 * spread)
