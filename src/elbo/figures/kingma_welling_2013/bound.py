"""Figure 2: the bound against training samples."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullFormatter, NullLocator

from elbo.data.curves import paper_curves
from elbo.figures import style
from elbo.figures.kingma_welling_2013.looks import SIZES

__all__ = ["NAME", "TRAIN", "behind", "bound", "bound_and_lead", "bound_at_scale", "sample_ticks"]

TRAIN = {"linewidth": 0.9, "alpha": 0.75}
"""Training curves are thinner than those of the test images, in the colour of their algorithm."""
NAME = {"aevb": "AEVB", "wake-sleep": "wake-sleep", "mcem": "MCEM"}
"""How an algorithm is called on a figure."""


def bound_and_lead(table: pd.DataFrame, lead: pd.DataFrame) -> Figure:
    """AEVB's bound against training samples (left), and by how much it is ahead of wake-sleep (right); a line a latent
    size.

    Args:
        table: from :func:`elbo.experiments.kingma_welling_2013.bound`. Test images thick, training images thin.
        lead: from :func:`elbo.experiments.kingma_welling_2013.lead_over_training`; bands are one standard error over
            seeds.
    """
    figure, (left, right) = _pair()
    own = table[table.algorithm == "aevb"]
    labels: list[list] = [[], []]
    for (colour, marker, line), size in zip(SIZES, sorted(own.latent_dim.unique())):
        curve, ahead = own[own.latent_dim == size], lead[lead.latent_dim == size]
        test, train = (curve[curve.split == split] for split in ("test", "train"))
        left.plot(test.samples, test.bound, linestyle=line, color=colour)
        left.plot(train.samples, train.bound, linestyle=line, color=colour, **TRAIN)
        right.plot(ahead.samples, ahead.lead, linestyle=line, color=colour, marker=marker)
        style.band(right, ahead.samples, ahead.lead, ahead.lead_se.fillna(0.0), color=colour)
        for known, drawn, column in zip(labels, (test, ahead), ("bound", "lead")):
            known.append((drawn.samples.iloc[-1], drawn[column].iloc[-1], f"{size} latents", colour))
    style.guide(right.axhline(0, **style.GUIDE))
    late = lead[lead.samples >= lead.samples.max() / 60]
    reach = 1.3 * max(0.05, (late.lead.abs() + late.lead_se.fillna(0.0)).max())
    right.set_ylim(-reach, reach)
    for height, text, place in ((0.97, "AEVB ahead", "top"), (0.03, "wake-sleep ahead", "bottom")):
        right.text(0.3, height, text, transform=right.transAxes, va=place, color=style.GREY)
    for axis, names, title, unit in (
        (left, labels[0], "AEVB", "bound (nats per image)"),
        (right, labels[1], "AEVB minus wake-sleep, test images", "difference (nats per image)"),
    ):
        axis.set_xscale("log")
        sample_ticks(axis, table.samples)
        axis.grid(axis="y")
        style.panel(axis, title, "training samples", unit)
        style.end_labels(axis, names, gap=0.09)
    return figure


def _pair() -> tuple[Figure, tuple[Axes, Axes]]:
    figure, axes = style.new(1, 2, height=3.2)
    return figure, (axes[0, 0], axes[0, 1])


def bound(table: pd.DataFrame, *, paper: bool = False) -> Figure:
    """The bound against training samples, one panel a latent size; bands are standard errors over seeds.

    Args:
        table: from :func:`elbo.experiments.kingma_welling_2013.bound`. Test images are drawn thick, training images
            thin.
        paper: the legend also names the paper's curve, which :func:`behind` draws.
    """
    sizes = sorted(table.latent_dim.unique())[:6]
    columns = len(sizes) if len(sizes) <= 2 else 2 if len(sizes) == 4 else 3
    rows = -(-len(sizes) // columns)
    figure, axes = style.new(rows, columns, sharex=True, sharey=True, height=2.5 * rows + 0.2)
    for place, (axis, size) in enumerate(zip(axes.flat, sizes)):
        _curves(axis, table[table.latent_dim == size])
        lowest = place + columns >= len(sizes)
        axis.tick_params(labelbottom=lowest)
        style.panel(axis, f"{size} latents", "training samples" if lowest else "")
    for axis in axes[:, 0]:
        axis.set_ylabel("bound (nats per image)")
    low = _focus(axes.flat, table[table.latent_dim.isin(sizes)])
    for axis, size in zip(axes.flat, sizes):
        _below(axis, table[table.latent_dim == size], low)
    free = list(axes.flat[len(sizes) :])
    for axis in free:
        axis.set_axis_off()
    _legend(figure, free[0] if free else None, list(dict.fromkeys(table.algorithm)), paper)
    return figure


def bound_at_scale(table: pd.DataFrame) -> Figure:
    """A kept table of figure 2 in panels of its own; behind them, broad and pale, the test curves that the paper
    prints.

    Args:
        table: from :func:`elbo.experiments.kingma_welling_2013.sweep.bound_parts`; bands are one standard error over
            its seeds.
    """
    grouped = table.groupby(["algorithm", "latent_dim", "split", "samples"], sort=True).bound
    mean = pd.DataFrame({"bound": grouped.mean(), "se_seeds": grouped.sem()}).reset_index()
    printed = paper_curves("kingma-welling-2013-figure-2") if "data" in table else None
    figure = bound(mean, paper=printed is not None)
    if printed is not None:
        printed = printed[(printed.panel == table.data.iloc[0]) & (printed.split == "test")]
        sizes = sorted(table.latent_dim.unique())[:6]
        behind(figure.axes, [printed[printed.latent_dim == size] for size in sizes], "bound", table.samples.max())
    return figure


def behind(axes: Sequence[Axes], curves: Sequence[pd.DataFrame], column: str, samples: float) -> None:
    """Draw the paper's curves up to so many ``samples`` behind ours, one table a panel; the frame grows with them
    upwards."""
    tops = []
    for axis, table in zip(axes, curves):
        for name, rows in table[table.samples <= samples].groupby("algorithm"):
            style.guide(axis.plot(rows.samples, rows[column], "-", color=style.COLOUR[name], **style.PAPER)[0])
            tops.append(rows[column].max())
    if tops:
        low, high = axes[0].get_ylim()
        axes[0].set_ylim(low, max(high, max(tops) + 0.04 * (high - low)))


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


def _legend(figure: Figure, free: Axes | None, algorithms: list[str], paper: bool) -> None:
    """Which line is which, in the free cell of the grid or, where there is none, below it."""
    handles = [
        Line2D(
            [],
            [],
            linestyle=style.LINE[name],
            color=style.COLOUR[name],
            label=f"{NAME[name]}, {split}",
            **(TRAIN if split == "train" else {}),
        )
        for name in algorithms
        for split in ("test", "train")
    ]
    if paper:
        handles.append(Line2D([], [], color=style.GREY, label="the paper's test curve", **style.PAPER))
    if free is not None:
        free.legend(handles=handles, loc="center", handlelength=3)
    else:
        figure.legend(handles=handles, loc="outside lower center", ncols=min(len(handles), 3), handlelength=2.5)


def sample_ticks(axis: Axes, samples: pd.Series) -> None:
    """Labels of a logarithmic axis at powers of ten, or at both ends where it spans less than a decade."""
    axis.xaxis.set_minor_formatter(NullFormatter())
    if samples.max() < 10 * samples.min():
        ends = sorted({samples.min(), samples.max()})
        axis.xaxis.set_minor_locator(NullLocator())
        axis.set_xticks(ends, [f"{end:,.0f}" for end in ends])


def _focus(axes, table: pd.DataFrame) -> float:
    """Leave the first, steep part of AEVB's curves below the frame, as the paper's figure does; returns where the frame
    ends."""
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
        text = f"{NAME[row.algorithm]} ends\nbelow, at {row.bound:.0f}"
        axis.text(
            0.97, 0.03 + 0.2 * number, text, transform=axis.transAxes, color=style.COLOUR[row.algorithm], ha="right"
        )
