"""Figure 2: the bound against training samples."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter, NullLocator

from elbo.data.curves import paper_curves
from elbo.figures import style

__all__ = ["TRAIN", "behind", "bound", "bound_at_scale", "sample_ticks"]

TRAIN = {"linewidth": 0.9, "alpha": 0.75}
"""Training curves are thinner than those of the test images, in the colour of their algorithm."""


def bound(table: pd.DataFrame) -> Figure:
    """The bound against training samples, one panel a latent size; bands are standard errors over seeds.

    Args:
        table: from :func:`elbo.experiments.kingma_welling_2013.bound`. Test images are drawn thick, training images thin.
    """
    sizes = sorted(table.latent_dim.unique())[:6]
    rows = 1 if len(sizes) <= 4 else 2
    columns = -(-len(sizes) // rows)
    figure, axes = style.new(rows, columns, sharey=True, height=2.7 * rows)
    for axis in axes.flat[len(sizes) :]:
        axis.set_visible(False)
    for axis, size in zip(axes.flat, sizes):
        _curves(axis, table[table.latent_dim == size])
        style.panel(axis, f"{size} latents", "training samples")
    for axis in axes[:, 0]:
        axis.set_ylabel("bound (nats per image)")
    low = _focus(axes.flat, table[table.latent_dim.isin(sizes)])
    for axis, size in zip(axes.flat, sizes):
        _below(axis, table[table.latent_dim == size], low)
    _names(axes[0, -1], table[(table.latent_dim == sizes[columns - 1]) & (table.bound >= low)])
    return figure


def bound_at_scale(table: pd.DataFrame) -> Figure:
    """A reference table of figure 2 in panels of its own; behind them, broad and pale, the test curves that the paper prints.

    Args:
        table: from :func:`elbo.experiments.kingma_welling_2013.sweep.bound_parts`, one seed.
    """
    figure = bound(table.assign(se_seeds=float("nan")))
    printed = paper_curves("kingma-welling-2013-figure-2")
    if printed is not None:
        printed = printed[(printed.panel == table.data.iloc[0]) & (printed.split == "test")]
        sizes = sorted(table.latent_dim.unique())[:6]
        behind(figure.axes, [printed[printed.latent_dim == size] for size in sizes], "bound", table.samples.max())
    return figure


def behind(axes: Sequence[Axes], curves: Sequence[pd.DataFrame], column: str, samples: float) -> None:
    """Draw the paper's curves up to so many ``samples`` behind ours, one table a panel; the frame grows with them upwards."""
    tops = []
    for axis, table in zip(axes, curves):
        for name, rows in table[table.samples <= samples].groupby("algorithm"):
            style.guide(axis.plot(rows.samples, rows[column], "-", color=style.COLOUR[name], **style.PAPER)[0])
            tops.append(rows[column].max())
    if not tops:
        return
    low, high = axes[0].get_ylim()
    axes[0].set_ylim(low, max(high, max(tops) + 0.04 * (high - low)))
    note = axes[0].text(0.03, 0.97, "broad and pale: the\npaper's test curve", transform=axes[0].transAxes, va="top")
    note.set(fontsize=7.5, color=style.GREY, in_layout=False)


def _curves(axis: Axes, table: pd.DataFrame) -> None:
    for (name, split), rows in table.groupby(["algorithm", "split"]):
        look = TRAIN if split == "train" else {}
        axis.plot(
            rows.samples, rows.bound, style.LINE[name], color=style.COLOUR[name], label=f"{name}, {split}", **look
        )
        if split == "test":
            style.band(axis, rows.samples, rows.bound, rows.se_seeds.fillna(0.0), color=style.COLOUR[name])
    axis.set_xscale("log")
    sample_ticks(axis, table.samples)
    axis.grid(axis="y")


def sample_ticks(axis: Axes, samples: pd.Series) -> None:
    """Labels of a logarithmic axis at powers of ten, or at both ends where it spans less than a decade."""
    axis.xaxis.set_minor_formatter(NullFormatter())
    if samples.max() < 10 * samples.min():
        ends = sorted({samples.min(), samples.max()})
        axis.xaxis.set_minor_locator(NullLocator())
        axis.set_xticks(ends, [f"{end:,.0f}" for end in ends])


def _names(axis: Axes, table: pd.DataFrame) -> None:
    last = table[table.samples == table.samples.max()]
    labels = [
        (row.samples, row.bound, f"{_SHORT[row.algorithm]}, {row.split}", style.COLOUR[row.algorithm])
        for row in last.itertuples()
    ]
    style.end_labels(axis, labels, gap=0.085)


_SHORT = {"aevb": "AEVB", "wake-sleep": "wake-sleep", "mcem": "MCEM"}


def _focus(axes, table: pd.DataFrame) -> float:
    """Leave the first, steep part of AEVB's curves below the frame, as the paper's figure does; returns where the frame ends."""
    late = table[table.samples >= table.samples.max() / 30]
    own = late[late.algorithm == "aevb"].bound if "aevb" in set(late.algorithm) else late.bound
    spread = own.max() - own.min()
    low = max(table.bound.min(), own.min() - 0.6 * spread) - 0.04 * spread
    axes[0].set_ylim(low, late.bound.max() + 0.12 * spread)
    return low


def _below(axis: Axes, table: pd.DataFrame, low: float) -> None:
    """Say of an algorithm whose curves end below the frame where they do."""
    last = table[(table.samples == table.samples.max()) & (table.split == "test") & (table.bound < low)]
    for number, row in enumerate(last.itertuples()):
        text = f"{_SHORT[row.algorithm]} ends\nbelow, at {row.bound:.0f}"
        axis.text(
            0.97,
            0.03 + 0.2 * number,
            text,
            transform=axis.transAxes,
            color=style.COLOUR[row.algorithm],
            fontsize=8,
            ha="right",
        )
