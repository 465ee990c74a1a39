"""One look for the whole book: colours by meaning, sizes for the width of a page, labels on the lines.

Figures draw on opaque white, in the dark theme too. The series colours are four of Okabe and Ito's that keep a contrast
of 3:1 on white, a brown, a violet, black and grey. Which meaning has which is the grammar, :data:`KINDS`. Several
colours are about equally dark, so every colour comes with a marker and a line style: what shares a panel
(:data:`TOGETHER`) differs in one of these as well, and a grey print still tells the lines apart
(:mod:`elbo.figures.sight`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import matplotlib as mpl
import numpy as np
import seaborn as sns
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.transforms import blended_transform_factory

__all__ = [
    "COLOUR",
    "GUIDE",
    "KINDS",
    "LINE",
    "MARKER",
    "MARKS",
    "PAPER",
    "REFERENCE",
    "SAME",
    "SMALL",
    "TOGETHER",
    "WIDTH",
    "band",
    "end_labels",
    "guide",
    "images",
    "new",
    "panel",
    "paper_axis",
]

WIDTH = 7.4
"""Width of a figure in inches: the text column of the page at 100 %."""

SMALL = 9.2
"""Smallest text in points: a page shows a figure about 710 pixels wide, where 9 points are 12 pixels."""

BLUE, GREEN, VERMILION, PURPLE = "#0072B2", "#009E73", "#D55E00", "#CC79A7"
BROWN, VIOLET = "#6B4200", "#4B3F9E"
BLACK, GREY = "#222222", "#6b6b6b"

KINDS = {
    # told by line and marker alone, so that a split takes no colour from an algorithm
    "splits": {
        "train": (BLACK, "-", "o"),
        "test": (BLACK, "--", "s"),
    },
    # how an answer is found, and what it is: blue has KL(q || p) as its aim, green KL(p || q), the warm colours are
    # Markov chains
    "inference": {
        "p": (BLACK, "-", "o"),
        "exact": (BLACK, "-", "o"),
        "exclusive": (BLUE, "-", "o"),
        "q": (BLUE, "-", "o"),
        "vb": (BLUE, "-", "o"),
        "cavi": (BLUE, "-", "o"),
        "aevb": (BLUE, "-", "o"),
        "svi": (PURPLE, "--", "s"),
        "full-rank": (PURPLE, (0, (5, 1, 1, 1)), "P"),
        "inclusive": (GREEN, "--", "D"),
        "ep": (GREEN, "--", "D"),
        "wake-sleep": (GREEN, "--", "s"),
        "hmc": (VERMILION, "-.", "^"),
        "mcem": (VERMILION, "-.", "^"),
        "gibbs": (BROWN, (0, (7, 1.5)), "v"),
        "laplace": (GREY, ":", "v"),
    },
    # terms of the bound
    "terms": {
        "elbo": (BLACK, "-", "o"),
        "reconstruction": (GREEN, (0, (7, 1.5)), "s"),
        "mutual information": (BLUE, "-", "o"),
        "marginal kl": (VERMILION, "--", "^"),
        "average kl": (PURPLE, "-.", "D"),
        "energy": (BROWN, "--", "v"),
        "entropy": (VIOLET, "-.", "P"),
        "log n": (GREY, ":", ""),
    },
    "representations": {
        "beta-vae": (BLUE, "-", "o"),
        "iwae": (BLUE, "-", "o"),
        "vae": (VERMILION, "--", "s"),
        "pca": (GREEN, "-.", "^"),
        "ica": (PURPLE, ":", "D"),
    },
    # what training asks of the code beside the picture; beta is the objective of the beta-VAE
    "objectives": {
        "beta": (BLUE, "-", "o"),
        "beta-tcvae": (GREEN, "--", "s"),
        "factorvae": (PURPLE, "-.", "^"),
        "capacity": (BROWN, ":", "D"),
    },
}
"""The grammar: colour, line and marker of every meaning, by kind. A figure asks for a meaning, never for a colour."""

SAME = (
    ("p", "exact"),
    ("exclusive", "q", "vb", "cavi", "aevb"),
    ("svi", "full-rank"),
    ("inclusive", "ep", "wake-sleep"),
    ("hmc", "mcem"),
    ("beta-vae", "iwae"),
    ("train", "test"),
)
"""What shares a colour within its kind, and why it may: one aim, one family. All else in a kind has a colour of its
own."""

_MEANING = {name: look for kind in KINDS.values() for name, look in kind.items()}

COLOUR = {name: look[0] for name, look in _MEANING.items()}
"""Colour of an algorithm, a split, a density or a term of the bound: the same in every chapter."""
LINE = {name: look[1] for name, look in _MEANING.items()}
"""Line style that goes with :data:`COLOUR`."""
MARKER = {name: look[2] for name, look in _MEANING.items()}
"""Marker that goes with :data:`COLOUR`."""

MARKS = {"o": "●", "s": "■", "^": "▲", "v": "▼", "D": "◆", "P": "✚"}
"""Markers as characters, for a label that stands in for a legend."""

TOGETHER = (
    ("train", "test"),
    ("aevb", "wake-sleep", "mcem"),
    ("cavi", "svi", "gibbs", "hmc"),
    ("vb", "ep", "laplace", "hmc", "exact"),
    ("exact", "exclusive", "full-rank", "hmc"),
    ("p", "exclusive", "inclusive"),
    ("p", "q"),
    ("elbo", "reconstruction", "mutual information", "marginal kl", "average kl", "log n"),
    ("elbo", "energy", "entropy"),
    ("vae", "iwae"),
    ("beta-vae", "vae", "pca", "ica"),
    ("beta", "beta-tcvae", "factorvae", "capacity"),
)
"""Which meanings are drawn in one panel somewhere in the book; add to it where a new figure brings others together."""

GUIDE = {"color": "#8a8a8a", "linewidth": 0.9, "linestyle": (0, (2, 2)), "zorder": 1}
"""Keyword arguments of a line that helps to read and carries no data."""
REFERENCE = {"linewidth": 0.8, "alpha": 0.75, "zorder": 1.5}
"""Keyword arguments of a committed reference run, drawn thin under the reader's own."""

PAPER = {"linewidth": 4.0, "alpha": 0.28, "zorder": 1.2, "solid_capstyle": "butt"}
"""Keyword arguments of a curve that a paper prints, read off its figure: broad and pale behind our own."""

Drawn = TypeVar("Drawn", bound=Artist)

_RC = {
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "axes.titlesize": 10,
    "axes.labelsize": 9.5,
    "xtick.labelsize": SMALL,
    "ytick.labelsize": SMALL,
    "legend.fontsize": SMALL,
    "legend.frameon": False,
    "axes.titlelocation": "left",
    "axes.titleweight": "bold",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.8,
    "axes.edgecolor": "#444444",
    "lines.linewidth": 1.6,
    "lines.markersize": 4,
    "grid.linewidth": 0.5,
    "grid.color": "#e4e4e4",
    "image.cmap": "gray_r",
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "savefig.dpi": 330,
    "svg.fonttype": "path",
    "svg.hashsalt": "carving-the-elbo",
    "pdf.fonttype": 42,
}


def new(
    rows: int = 1, cols: int = 1, *, height: float | None = None, width: float = WIDTH, **subplots
) -> tuple[Figure, np.ndarray]:
    """A figure in the book's look and its ``(rows, cols)`` array of axes.

    Args:
        rows, cols: panels; six at most keep a figure readable.
        height: inches; 2.6 a row where it is not given.
        subplots: passed to ``Figure.subplots`` (``sharex``, ``width_ratios``, ...).

    Raises:
        ValueError: more than six panels were asked for (pass images to :func:`images` instead).
    """
    if rows * cols > 6:
        raise ValueError(
            f"{rows} x {cols} panels: a figure answers one question in at most six; use style.images for tiles"
        )
    apply()
    figure = Figure(figsize=(width, height or 2.6 * rows), layout="constrained")
    return figure, figure.subplots(rows, cols, squeeze=False, **subplots)


def apply() -> None:
    """Set the book's look in matplotlib's defaults, for figures that are not made by :func:`new`."""
    sns.set_theme(context="paper", style="ticks", rc=_RC)
    mpl.rcParams.update(_RC)


def guide(artist: Drawn) -> Drawn:
    """Mark an artist as decoration: it shows no number of the figure's data frame. Returns it."""
    artist.set_gid(f"{artist.get_gid() or ''}guide")
    return artist


def band(axes: Axes, x, mean, error, *, color, k: float = 1.0, **fill) -> None:
    """A band of ``mean ± k * error``; the caption says what the error is."""
    mean, error = np.asarray(mean, float), np.asarray(error, float)
    guide(axes.fill_between(x, mean - k * error, mean + k * error, color=color, alpha=0.18, linewidth=0, **fill))


def end_labels(axes: Axes, labels: Sequence[tuple[float, float, str, str]], *, gap: float = 0.055) -> None:
    """Write each label ``(x, y, text, colour)`` right of its point, moved apart where they would overlap.

    Args:
        gap: smallest distance between two labels, as a share of the height of the axes.
    """
    if not labels:
        return
    low, high = axes.get_ylim()  # also settles a pending autoscale, on which the next line depends
    to_axes = axes.transData + axes.transAxes.inverted()
    placed = sorted((to_axes.transform((x, y))[1], x, text, colour) for x, y, text, colour in labels)
    heights = [height for height, *_ in placed]
    for i in range(1, len(heights)):
        heights[i] = max(heights[i], heights[i - 1] + gap)
    heights[-1] = min(heights[-1], 0.98)
    for i in reversed(range(len(heights) - 1)):
        heights[i] = min(heights[i], heights[i + 1] - gap)
    beside = blended_transform_factory(axes.transData, axes.transAxes)
    for height, (_, x, text, colour) in zip(heights, placed):
        axes.annotate(
            text,
            (x, height),
            xycoords=beside,
            xytext=(5, 0),
            textcoords="offset points",
            color=colour,
            va="center",
            fontsize=SMALL,
            annotation_clip=False,
        )
    axes.set_ylim(low, high)


def panel(axes: Axes, title: str, xlabel: str = "", ylabel: str = "") -> Axes:
    """Title and axis labels (with units) of one panel; returns the axes."""
    axes.set(title=title, xlabel=xlabel, ylabel=ylabel)
    return axes


def paper_axis(axes: Axes, curves: Sequence[tuple], label: str) -> None:
    """Curves that a paper prints of other data, ``(x, y, line style)`` each: behind ours, on an axis at the right.

    Args:
        label: of that axis.
    """
    twin = axes.twinx()
    twin.set_zorder(axes.get_zorder() - 1)
    axes.patch.set_visible(False)
    for x, y, line in curves:
        guide(twin.plot(x, y, linestyle=line, color=GREY, **PAPER)[0])
    twin.spines["right"].set(visible=True, color=GREY, alpha=0.5)
    twin.tick_params(axis="y", colors=GREY)
    twin.set_ylabel(label, color=GREY, fontsize=SMALL)


def images(
    axes: Axes, tiles: np.ndarray, *, columns: int, gap: int = 1, cmap: str = "gray", vmin: float = 0, vmax: float = 1
) -> None:
    """Show ``tiles`` of shape ``(count, rows, cols)`` or ``(count, rows, cols, 3)`` in a grid, row by row, on one
    image.

    The gap between tiles shows the ground (of colour images: white). Values outside ``[vmin, vmax]``
    are clipped by the colour map.
    """
    tiles = np.asarray(tiles, float)
    count, height, width, *channels = tiles.shape
    grid_rows = -(-count // columns)
    canvas = np.full((grid_rows * (height + gap) - gap, columns * (width + gap) - gap, *channels), np.nan)
    for i, tile in enumerate(tiles):
        top, left = (i // columns) * (height + gap), (i % columns) * (width + gap)
        canvas[top : top + height, left : left + width] = tile
    if channels:
        canvas = np.where(np.isnan(canvas), vmax, canvas)
        axes.imshow((canvas - vmin) / (vmax - vmin), interpolation="nearest")
    else:
        colours = mpl.colormaps[cmap].with_extremes(bad=(1, 1, 1, 0))  # the ground, light or dark
        axes.imshow(np.ma.masked_invalid(canvas), cmap=colours, vmin=vmin, vmax=vmax, interpolation="nearest")
    axes.set_axis_off()
