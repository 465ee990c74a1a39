"""Figure 3 and what stands behind it: the marginal likelihood, its estimators, and where one of them breaks down."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from elbo.data.curves import paper_curves
from elbo.figures import style
from elbo.figures.kingma_welling_2013.bound import TRAIN, behind, sample_ticks

__all__ = ["breakdown", "estimators", "evidence", "evidence_at_scale"]

NAME = {"aevb": "AEVB", "wake-sleep": "wake-sleep", "mcem": "MCEM"}
SIDES = {"lower": style.COLOUR["aevb"], "upper": style.COLOUR["mcem"]}


def evidence(table: pd.DataFrame) -> Figure:
    """The marginal likelihood against training samples, one panel a size of the training set; bands are standard errors over seeds.

    Args:
        table: from :func:`elbo.experiments.kingma_welling_2013.evidence_over_training`. Test images thick, training images thin.
    """
    sizes = sorted(table.train_images.unique())
    figure, axes = style.new(1, len(sizes), sharey=True, height=3.0, width=style.WIDTH if len(sizes) > 1 else 5.0)
    for axis, size in zip(axes[0], sizes):
        own = table[table.train_images == size]
        for (name, split), rows in own.groupby(["algorithm", "split"]):
            look = TRAIN if split == "train" else {"marker": style.MARKER[name], "markersize": 3}
            axis.plot(rows.samples, rows.log_evidence, style.LINE[name], color=style.COLOUR[name], **look)
            if split == "test":
                style.band(axis, rows.samples, rows.log_evidence, rows.se_seeds.fillna(0.0), color=style.COLOUR[name])
        axis.set_xscale("log")
        sample_ticks(axis, own.samples)
        axis.grid(axis="y")
        style.panel(axis, f"N = {size:,}", "training samples")
        last = own[own.samples == own.samples.max()]
        labels = [
            (row.samples, row.log_evidence, f"{NAME[row.algorithm]}, {row.split}", style.COLOUR[row.algorithm])
            for row in last.itertuples()
        ]
        style.end_labels(axis, labels, gap=0.065)
    late = table[table.samples >= table.samples.max() / 30].log_evidence
    spread = late.max() - late.min()
    axes[0, 0].set_ylim(
        max(table.log_evidence.min(), late.min() - 0.25 * spread) - 0.04 * spread, late.max() + 0.08 * spread
    )
    axes[0, 0].set_ylabel("log marginal likelihood\n(nats per image)")
    return figure


def evidence_at_scale(table: pd.DataFrame) -> Figure:
    """The reference tables of figure 3, by quadrature; before the end by importance sampling where a table has nothing else; one
    seed. Behind them, broad and pale, the test curves that the paper prints."""
    keys = ["train_images", "algorithm", "split", "samples"]
    shown = table[table.estimator.isin(["quadrature", "importance"])].sort_values(keys + ["estimator"])
    figure = evidence(shown.drop_duplicates(keys, keep="last").assign(se_seeds=float("nan")))
    printed = paper_curves("kingma-welling-2013-figure-3")
    if printed is not None:
        printed, sizes = printed[printed.split == "test"], sorted(table.train_images.unique())
        curves = [printed[printed.train_images == size] for size in sizes]
        behind(figure.axes, curves, "log_likelihood", table.samples.max())
    return figure


def estimators(table: pd.DataFrame) -> Figure:
    """Estimate minus exact value, one panel a model; error bars are two standard errors over data, the axis is linear near zero.

    Args:
        table: from :func:`elbo.experiments.kingma_welling_2013.estimators`.
    """
    models = list(dict.fromkeys(table.model))
    names = list(dict.fromkeys(table.estimator))[::-1]
    figure, axes = style.new(1, len(models), sharey=True, height=0.9 + 0.3 * len(names))
    for axis, model in zip(axes[0], models):
        style.guide(axis.axvline(0, **style.GUIDE))
        for row in table[table.model == model].itertuples():
            colour, height = SIDES[row.side], names.index(row.estimator)
            style.guide(
                axis.plot([row.error - 2 * row.se, row.error + 2 * row.se], [height] * 2, color=colour, linewidth=1.1)[
                    0
                ]
            )
            axis.barh(height, row.error, height=0.45, color=colour, alpha=0.55)
        axis.set_xscale("symlog", linthresh=0.01, linscale=0.6)
        reach = 10 ** math.ceil(math.log10(table.error.abs().add(2 * table.se).max()))
        axis.set_xlim(-reach, reach)
        ticks = [tick for tick in (0.01, 0.1, 1.0, 10.0, 100.0) if tick <= reach]
        axis.set_xticks([-tick for tick in ticks[::2][::-1]] + [0] + ticks[::2])
        axis.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
        axis.minorticks_off()
        axis.grid(axis="x")
        style.panel(axis, model[0].upper() + model[1:], "estimate minus exact (nats per datum)")
    axes[0, 0].set_yticks(np.arange(len(names)), names)
    for place, colour, text in (
        (0.28, SIDES["lower"], "below in expectation"),
        (0.62, SIDES["upper"], "above in expectation"),
    ):
        figure.text(place, 0.005, f"■ {text}", color=colour, fontsize=8, va="bottom")
    figure.get_layout_engine().set(rect=(0, 0.05, 1, 0.95))
    return figure


def breakdown(table: pd.DataFrame) -> Figure:
    """Appendix D by dimension: what it is off and what it claims to be off (left), and how many of its fits have no variance (right).

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
