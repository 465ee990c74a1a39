"""The noise of the estimators."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from elbo.figures import style
from elbo.figures.kingma_welling_2013.looks import ESTIMATORS

__all__ = ["estimator_noise"]


def estimator_noise(table: pd.DataFrame) -> Figure:
    """Standard deviations of the estimators A and B: of one image's bound (left), of a minibatch's gradient (right)."""
    figure, axes = style.new(1, 2, height=2.7)
    looks = {name: ESTIMATORS[name] for name in ("A", "B")}
    panels = [
        ("value_sd", "One image, one draw", "sd of the bound (nats)"),
        ("gradient_sd", "A minibatch of images, one draw each", "sd of the encoder's gradient\n(nats per unit weight)"),
    ]
    for axis, (column, title, ylabel) in zip(axes[0], panels):
        for name, (colour, marker, line) in looks.items():
            rows = table[table.estimator == name]
            axis.errorbar(
                rows.latent_dim,
                rows[column],
                yerr=rows[f"{column}_se"].fillna(0.0),
                color=colour,
                marker=marker,
                linestyle=line,
                capsize=2,
            )
        axis.set_xticks(sorted(table.latent_dim.unique()))
        axis.set_ylim(0, None)
        axis.grid(axis="y")
        style.panel(axis, title, "latents", ylabel)
        last = table[table.latent_dim == table.latent_dim.max()].set_index("estimator")
        style.end_labels(axis, [(last.latent_dim[n], last[column][n], n, looks[n][0]) for n in looks], gap=0.09)
    return figure
