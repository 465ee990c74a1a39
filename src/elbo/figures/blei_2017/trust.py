"""Figures on whether a fit can be trusted: the Pareto shape over the correlation, and beside every fit."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from elbo.figures import style

__all__ = ["shapes"]

_LIMIT = 0.7
_NAMES = {"exclusive": "best ELBO", "ep": "EP", "inclusive": "moments"}


def shapes(correlated: pd.DataFrame, fitted: pd.DataFrame) -> Figure:
    """From :func:`elbo.experiments.blei_2017.trust.over_correlation` and ``fits``: estimates over the exact shape, and
    the shape of every fit."""
    figure, axes = style.new(1, 2, height=3.3, width_ratios=(1, 1.1))
    left, right = axes[0]
    left.plot(correlated["correlation"], correlated["exact"], color=style.COLOUR["exact"])
    left.errorbar(
        correlated["correlation"], correlated["shape"], correlated["sd"], color=style.COLOUR["exclusive"],
        marker=style.MARKER["exclusive"], linestyle="", capsize=2,
    )  # fmt: skip
    left.annotate("line: exact, ρ", (0.97, 0.05), xycoords="axes fraction", fontsize=style.SMALL, ha="right")
    style.panel(left, "Mean field on a Gaussian", "correlation ρ of the target", "Pareto shape")
    for row in fitted.itertuples():
        place = row.place
        right.errorbar(
            row.shape, place, xerr=2 * row.se, color=style.COLOUR[row.law], marker=style.MARKER[row.law], markersize=6
        )
        right.annotate(
            f"{100 * row.effective:.0f} %", (1.0, place), xycoords=right.get_yaxis_transform(), xytext=(4, 0),
            textcoords="offset points", fontsize=style.SMALL, va="center", annotation_clip=False,
        )  # fmt: skip
    right.annotate(
        "effective", (1.0, -0.75), xycoords=right.get_yaxis_transform(), xytext=(4, 0), textcoords="offset points",
        fontsize=style.SMALL, va="center", annotation_clip=False,
    )  # fmt: skip
    right.set_yticks(range(len(fitted)), [f"{row.target}: {_NAMES[row.law]}" for row in fitted.itertuples()])
    right.set_ylim(len(fitted) - 0.5, -0.5)
    style.panel(right, "Every fit of the chapter", "Pareto shape")
    for line in (left.axhline, right.axvline):
        style.guide(line(_LIMIT, **style.GUIDE))
    left.annotate(
        "0.7", (0.1, _LIMIT), xytext=(0, 3), textcoords="offset points", fontsize=style.SMALL, color=style.GREY
    )
    return figure
