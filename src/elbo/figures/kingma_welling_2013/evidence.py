"""Figure 3 and what stands behind it: the marginal likelihood, its estimators, and where one of them breaks down."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from elbo.data.curves import paper_curves
from elbo.figures import style
from elbo.figures.kingma_welling_2013.bound import NAME, behind, sample_ticks

__all__ = ["breakdown", "estimators", "evidence", "evidence_at_scale"]

SIDES = {"lower": style.COLOUR["aevb"], "upper": style.COLOUR["mcem"]}
MARKS = {"lower": "o", "upper": "^"}


def evidence(table: pd.DataFrame) -> Figure:
    """The marginal likelihood of test images against training samples, a panel a training set; bands are standard
    errors over seeds.

    Args:
        table: from :func:`elbo.experiments.kingma_welling_2013.evidence_over_training`; its training images are not
            drawn.
    """
    table = table[table.split == "test"]
    sizes = sorted(table.train_images.unique())
    figure, axes = style.new(1, len(sizes), sharey=True, height=3.1, width=style.WIDTH if len(sizes) > 1 else 5.0)
    for axis, size in zip(axes[0], sizes):
        own = table[table.train_images == size]
        labels = []
        for name, rows in own.groupby("algorithm"):
            colour = style.COLOUR[name]
            axis.plot(rows.samples, rows.log_evidence, style.LINE[name], color=colour, marker=style.MARKER[name])
            style.band(axis, rows.samples, rows.log_evidence, rows.se_seeds.fillna(0.0), color=colour)
            labels.append((rows.samples.iloc[-1], rows.log_evidence.iloc[-1], NAME[name], colour))
        axis.set_xscale("log")
        sample_ticks(axis, own.samples)
        axis.grid(axis="y")
        style.panel(axis, f"trained on {size:,} images", "training samples")
        style.end_labels(axis, labels, gap=0.09)
    late = table[table.samples >= table.samples.max() / 30].log_evidence
    spread = late.max() - late.min()
    axes[0, 0].set_ylim(
        max(table.log_evidence.min(), late.min() - 0.25 * spread) - 0.04 * spread, late.max() + 0.08 * spread
    )
    axes[0, 0].set_ylabel("log marginal likelihood\n(nats per test image)")
    return figure


def evidence_at_scale(table: pd.DataFrame) -> Figure:
    """The reference tables of figure 3; behind them, broad and pale, the test curves that the paper prints.

    Args:
        table: from :func:`elbo.experiments.kingma_welling_2013.evidence_over_seeds`, or the kept table of a single seed
            itself.
    """
    if "se_seeds" not in table:
        keys = ["train_images", "algorithm", "split", "samples"]
        table = table[table.estimator.isin(["quadrature", "importance"])].sort_values(keys + ["estimator"])
        table = table.drop_duplicates(keys, keep="last").assign(se_seeds=float("nan"))
    figure = evidence(table)
    printed = paper_curves("kingma-welling-2013-figure-3")
    if printed is not None:
        printed, sizes = printed[printed.split == "test"], sorted(table.train_images.unique())
        curves = [printed[printed.train_images == size] for size in sizes]
        behind(figure.axes, curves, "log_likelihood", table.samples.max())
        handle = Line2D([], [], color=style.GREY, label="the paper's test curve", **style.PAPER)
        figure.axes[0].legend(handles=[handle], loc="lower right")
    return figure


def estimators(table: pd.DataFrame) -> Figure:
    """Estimate minus exact value as dots on two scales, whole (left) and near zero (right); a row a model.

    Bars are two standard errors over data. What lies outside the narrow scale is an arrow at its edge.

    Args:
        table: from :func:`elbo.experiments.kingma_welling_2013.estimators`.
    """
    models = list(dict.fromkeys(table.model))
    names = list(table.drop_duplicates("place").sort_values("place").estimator)
    figure, axes = style.new(len(models), 2, sharey=True, height=0.5 + (0.7 + 0.23 * len(names)) * len(models))
    widest = 1.15 * (table.error.abs() + 2 * table.se).max()
    for row, model in enumerate(models):
        own = table[table.model == model]
        for axis, reach in zip(axes[row], (widest, 0.1)):
            style.guide(axis.axvline(0, **style.GUIDE))
            for point in own.itertuples():
                _dot(axis, point, point.place, reach)
            axis.set_xlim(-reach, reach)
            if reach < widest:
                axis.set_xticks([-reach, 0, reach])
            axis.grid(axis="x")
            axis.set_ylim(-0.6, len(names) - 0.4)
        title = model[0].upper() + model[1:]
        last = row == len(models) - 1
        unit = "estimate minus exact (nats per datum)" if last else ""
        style.panel(axes[row, 0], title, unit)
        style.panel(axes[row, 1], "The same, near zero", unit)
        axes[row, 0].set_yticks(np.arange(len(names)), names)
    handles = [
        Line2D([], [], color=SIDES[side], marker=MARKS[side], linestyle="none", label=f"{word} in expectation")
        for side, word in (("lower", "below"), ("upper", "above"))
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=2)
    return figure


def _dot(axis: Axes, point, height: int, reach: float) -> None:
    """One estimate with its bar, or an arrow at the edge that it lies beyond."""
    colour = SIDES[point.side]
    if abs(point.error) > reach:
        edge = 0.97 * reach * (1 if point.error > 0 else -1)
        style.guide(axis.plot([edge], [height], marker=">" if edge > 0 else "<", color=colour, linestyle="none")[0])
        return
    bar = [point.error - 2 * point.se, point.error + 2 * point.se]
    style.guide(axis.plot(bar, [height] * 2, color=colour, linewidth=1.2)[0])
    axis.scatter([point.error], [height], color=colour, marker=MARKS[point.side], s=22, zorder=3)


def breakdown(table: pd.DataFrame) -> Figure:
    """Appendix D by dimension: what it is off and what it claims to be off (left), and how many of its fits have no
    variance (right).

    Args:
        table: from :func:`elbo.experiments.kingma_welling_2013.breakdown`.
    """
    figure, axes = style.new(1, 2, height=2.8)
    left, right = axes[0]
    looks = {
        "rms": (style.COLOUR["mcem"], "s", "-", "true error"),
        "claimed": (style.COLOUR["aevb"], "o", "--", "claimed"),
    }
    labels = []
    for column, (colour, marker, line, name) in looks.items():
        error = table.rms_se if column == "rms" else None
        left.errorbar(table.dim, table[column], yerr=error, color=colour, marker=marker, linestyle=line, capsize=2)
        labels.append((table.dim.iloc[-1], table[column].iloc[-1], name, colour))
    left.set_yscale("log")
    left.grid(axis="y")
    style.panel(left, "Error of one estimate", "latents", "nats")
    style.end_labels(left, labels, gap=0.09)
    right.errorbar(
        table.dim, table.infinite, yerr=table.infinite_se, color=style.COLOUR["exact"], marker="o", capsize=2
    )
    right.set_ylim(-0.03, 1.03)
    right.grid(axis="y")
    style.panel(right, "Fits whose weights have infinite variance", "latents", "share of all fits")
    return figure
