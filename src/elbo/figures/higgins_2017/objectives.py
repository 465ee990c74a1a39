"""Four objectives beside each other."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from elbo.figures import style

__all__ = ["objectives"]

NAMES = {
    "beta-vae": ("beta", "β-VAE"),
    "beta-tcvae": ("beta-tcvae", "β-TCVAE"),
    "factorvae": ("factorvae", "FactorVAE"),
    "capacity": ("capacity", "capacity"),
}
"""Of each objective its meaning in the book's grammar and its name in a label."""


def objectives(table: pd.DataFrame) -> Figure:
    """Total correlation (left) and mutual information gap (right) against the misfit, a line an objective, a point a
    strength (the first and the last are named), with two standard errors over seeds.

    Args:
        table: from :func:`elbo.experiments.higgins_2017.objective_means`.
    """
    figure, (panels,) = style.new(1, 2, height=3.3)
    titles = {
        "total_correlation": ("Are the latents independent?", "total correlation (nats per image)"),
        "mig": ("Does each name one cause?", "mutual information gap"),
    }
    for axes, (column, (title, label)) in zip(panels, titles.items()):
        for objective, own in table.groupby("objective", sort=False):
            _line(axes, own, column, *NAMES[str(objective)])
        axes.grid(axis="y")
        axes.margins(0.12)
        style.panel(axes, title, "misfit of reconstructions (nats per image)", label)
    panels[0].legend(loc="best")
    return figure


def _line(axes: Axes, own: pd.DataFrame, column: str, meaning: str, name: str) -> None:
    colour, errors = style.COLOUR[meaning], {"xerr": 2 * own["misfit_se"], "yerr": 2 * own[f"{column}_se"]}
    style_of = {"color": colour, "linestyle": style.LINE[meaning], "marker": style.MARKER[meaning], "label": name}
    axes.errorbar(own["misfit"], own[column], **errors, fmt="none", ecolor=colour, elinewidth=0.8, alpha=0.6)
    axes.plot(own["misfit"], own[column], **style_of)
    ends = own.iloc[[0, -1]] if column == "total_correlation" else own.iloc[:0]
    for row in ends.itertuples():
        text = f"{row.strength:g}"
        axes.annotate(text, (row.misfit, getattr(row, column)), xytext=(4, 4), textcoords="offset points", color=colour,
                      fontsize=style.SMALL)  # fmt: skip
