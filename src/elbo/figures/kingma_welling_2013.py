"""The figures of the chapter on Kingma & Welling (2013): tables in, matplotlib figures out."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from elbo.figures import style

__all__ = ["bound", "estimator_noise", "manifold", "prior_samples", "reconstructions"]


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


def estimator_noise(table: pd.DataFrame) -> Figure:
    """Standard deviations of the estimators A and B: of one image's bound (left), of a minibatch's gradient (right)."""
    figure, axes = style.new(1, 2, height=2.7)
    looks = {"A": ("#D55E00", "s", "--"), "B": ("#0072B2", "o", "-")}
    panels = [
        ("value_sd", "One image, one draw", "sd of the bound (nats)"),
        ("gradient_sd", "A minibatch of images, one draw each", "sd of the encoder's gradient\n(nats per unit weight)"),
    ]
    for axis, (column, title, ylabel) in zip(axes[0], panels):
        for name, (colour, marker, line) in looks.items():
            rows = table[table.estimator == name]
            axis.errorbar(rows.latent_dim, rows[column], yerr=rows[f"{column}_se"].fillna(0.0), color=colour, marker=marker,
                          linestyle=line, capsize=2)
        axis.set_xticks(sorted(table.latent_dim.unique()))
        axis.set_ylim(0, None)
        axis.grid(axis="y")
        style.panel(axis, title, "latents", ylabel)
        last = table[table.latent_dim == table.latent_dim.max()].set_index("estimator")
        style.end_labels(axis, [(last.latent_dim[n], last[column][n], n, looks[n][0]) for n in looks], gap=0.09)
    return figure


def prior_samples(table: pd.DataFrame, shape: tuple[int, int]) -> Figure:
    """Tiles of expected images, one panel a latent size."""
    sizes = sorted(table.latent_dim.unique())
    figure, axes = style.new(1, len(sizes), height=0.35 + style.WIDTH / len(sizes))
    figure.get_layout_engine().set(wspace=0.08)
    for axis, size in zip(axes[0], sizes):
        tiles = _pixels(table[table.latent_dim == size], shape)
        style.images(axis, tiles, columns=int(np.ceil(np.sqrt(len(tiles)))), cmap="gray_r")
        style.panel(axis, f"{size} latents")
    return figure


def reconstructions(table: pd.DataFrame, shape: tuple[int, int]) -> Figure:
    """Rows of tiles: the test images first, below them what each latent size gives back."""
    sizes = sorted(table.latent_dim.unique())
    count = table.tile.nunique()
    figure, axes = style.new(height=0.1 + (style.WIDTH - 0.9) * len(sizes) / count)
    axis = axes[0, 0]
    ordered = table.sort_values(["latent_dim", "tile"])
    style.images(axis, _pixels(ordered, shape), columns=count, cmap="gray_r")
    for row, size in enumerate(sizes):
        name = "test image" if size == 0 else f"{size} latents"
        axis.text(-0.8, row * (shape[0] + 1) + shape[0] / 2, name, ha="right", va="center", fontsize=9)
    return figure


def manifold(table: pd.DataFrame, shape: tuple[int, int]) -> Figure:
    """The decoded unit square of a model of two latents."""
    side = round(len(table) ** 0.5)
    size = 5.6
    figure, axes = style.new(height=size * shape[0] / shape[1] + 0.4, width=size)
    axis = axes[0, 0]
    style.images(axis, _pixels(table.sort_values("tile"), shape), columns=side, cmap="gray_r")
    axis.set_axis_on()
    for spine in axis.spines.values():
        spine.set_visible(False)
    ticks = [0, side // 2, side - 1]
    quantiles = np.sort(table.u1.unique())
    names = [f"{quantiles[t]:.2f}" for t in ticks]
    axis.set_xticks([t * (shape[1] + 1) + shape[1] / 2 - 0.5 for t in ticks], names)
    axis.set_yticks([(side - 1 - t) * (shape[0] + 1) + shape[0] / 2 - 0.5 for t in ticks], names)
    style.panel(axis, "", "quantile of the first latent", "quantile of the second latent")
    return figure


def _pixels(table: pd.DataFrame, shape: tuple[int, int]) -> np.ndarray:
    columns = [name for name in table if name.startswith("pixel_")]
    return table[columns].to_numpy(float).reshape(len(table), *shape)
