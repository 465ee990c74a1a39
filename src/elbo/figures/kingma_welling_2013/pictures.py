"""Tiles of images: samples, reconstructions, the manifold."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from elbo.figures import style

__all__ = ["manifold", "prior_samples", "reconstructions"]


def prior_samples(table: pd.DataFrame, shape: tuple[int, int]) -> Figure:
    """Tiles of expected images, one panel a latent size."""
    sizes = sorted(table.latent_dim.unique())
    figure, axes = style.new(1, len(sizes), height=0.35 + style.WIDTH / len(sizes) * shape[0] / shape[1])
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
    figure, axes = style.new(height=0.1 + (style.WIDTH - 0.9) * len(sizes) / count * shape[0] / shape[1])
    axis = axes[0, 0]
    ordered = table.sort_values(["latent_dim", "tile"])
    style.images(axis, _pixels(ordered, shape), columns=count, cmap="gray_r")
    for row, size in enumerate(sizes):
        name = "test image" if size == 0 else f"{size} latents"
        axis.text(-0.1 * shape[1], row * (shape[0] + 1) + shape[0] / 2, name, ha="right", va="center")
    return figure


def manifold(table: pd.DataFrame, shape: tuple[int, int], before: tuple | None = None) -> Figure:
    """The decoded unit square of a model of two latents.

    Args:
        table: from :func:`elbo.experiments.kingma_welling_2013.manifold`.
        before: ``(table, shape, title, title)`` of another manifold, drawn left of it, and the titles of both.
    """
    if before is None:
        figure, axes = style.new(height=5.6 * shape[0] / shape[1] + 0.4, width=5.6)
        _square(axes[0, 0], table, shape, "")
        return figure
    other, its_shape, its_title, title = before
    figure, axes = style.new(1, 2, height=0.6 + style.WIDTH / 2)
    _square(axes[0, 0], other, its_shape, its_title)
    _square(axes[0, 1], table, shape, title)
    axes[0, 1].set_ylabel("")
    return figure


def _square(axis: Axes, table: pd.DataFrame, shape: tuple[int, int], title: str) -> None:
    side = round(len(table) ** 0.5)
    style.images(axis, _pixels(table.sort_values("tile"), shape), columns=side, gap=0, cmap="gray_r")
    axis.set_axis_on()
    for spine in axis.spines.values():
        spine.set_visible(False)
    ticks = [0, side // 2, side - 1]
    quantiles = np.sort(table.u1.unique())
    names = [f"{quantiles[t]:.2f}" for t in ticks]
    axis.set_xticks([t * shape[1] + shape[1] / 2 - 0.5 for t in ticks], names)
    axis.set_yticks([(side - 1 - t) * shape[0] + shape[0] / 2 - 0.5 for t in ticks], names)
    style.panel(axis, title, "quantile of the first latent", "quantile of the second latent")


def _pixels(table: pd.DataFrame, shape: tuple[int, int]) -> np.ndarray:
    columns = [f"pixel_{i}" for i in range(shape[0] * shape[1])]
    return table[columns].to_numpy(float).reshape(len(table), *shape)
