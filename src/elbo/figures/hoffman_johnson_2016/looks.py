"""What the figures of this chapter share: names of terms, titles, ticks."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from elbo.figures import style

__all__ = ["DATA", "KL", "LOG_N", "MI", "bar", "log_ticks", "run_title", "short"]

MI, KL, LOG_N = "mutual information", "marginal kl", "log n"
DATA = {"digits": "digits", "mnist": "MNIST"}


def bar(figure: Figure, shown, axes: Axes, label: str, **kwargs) -> None:
    """A colour bar, marked as decoration."""
    bar = figure.colorbar(shown, ax=axes, shrink=0.8, label=label, **kwargs)
    for artist in (*bar.ax.images, *bar.ax.lines):
        style.guide(artist)


def run_title(part: pd.DataFrame) -> str:
    """Which run, which data, how many images."""
    first = part.iloc[0]
    return f"{first['run']}: {DATA.get(first['data'], first['data'])}\nN = {int(first['images']):,}"


def short(value: float) -> str:
    """Two decimals with a proper minus sign."""
    return f"{value:.2f}".replace("-0.00", "0.00").replace("-", "−")


def log_ticks(axes: Axes, values: pd.Series) -> None:
    """A logarithmic axis with a few plain numbers."""
    axes.set_xscale("log")
    ticks = [tick for tick in (0.1, 0.3, 1, 3, 10, 30, 100, 300, 1000) if values.min() <= tick <= values.max()]
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()
