"""A table of numbers on shades of blue, as a panel of a figure."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

from elbo.figures import style

__all__ = ["cells"]


def cells(
    axes: Axes,
    grid: np.ndarray,
    columns: Sequence[str],
    rows: Sequence[str],
    text: str,
    *,
    top: float | None = None,
    low_is_dark: bool = False,
) -> None:
    """Draw ``grid`` ``(rows, columns)`` with its numbers, the first row at the top.

    Cells are surfaces, not pixels, so that the dark theme can turn their colours together with those of the numbers on
    them.

    Args:
        text: format of a number, ``"{:.1f}"``.
        top: the number with the darkest shade, by default the largest.
        low_is_dark: the smallest numbers are the ones to look at.
    """
    top = np.nanmax(grid) if top is None else top
    axes.pcolormesh(grid, cmap="Blues_r" if low_is_dark else "Blues", vmin=0, vmax=1.25 * top, edgecolors="white")
    for (row, column), value in np.ndenumerate(grid):
        dark = value < 0.45 * top if low_is_dark else value > 0.75 * top
        axes.text(column + 0.5, row + 0.5, text.format(value), ha="center", va="center", fontsize=style.SMALL,
                  color="white" if dark else "black")  # fmt: skip
    axes.set_xticks(np.arange(len(columns)) + 0.5, columns)
    axes.set_yticks(np.arange(len(rows)) + 0.5, rows)
    axes.invert_yaxis()
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
