"""Tiles of images: samples, reconstructions, the manifold."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from elbo.figures import style

__all__ = ["manifold", "prior_samples", "reconstructions"]


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
