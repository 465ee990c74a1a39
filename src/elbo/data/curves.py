"""Curves that the papers print, read off their vector graphics: ``data/paper-curves``, see the README there.

A figure draws them as a quiet line behind our own, and the scoreboard compares at equal numbers of samples.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import pandas as pd

from elbo.companion.project.settings import data_folder
from elbo.data.registry import DataError

__all__ = ["CURVES", "directory", "paper_curves"]

CURVES = {
    "blei-2017-figure-3": "e293ce8945c19c257a11111525a6ba24f694d92cb0ab7673d4eafa745f0e45b4",
    "blei-2017-figure-6": "081bd4a7a276197468a541a1c15af26d6df9d11b2906288054384df0b311dbb4",
    "hoffman-johnson-2016-table-1": "b2f774dcb8fbbfd9a8bfd94d6a4856b655bcd127e96caa0bec71cbacb1e895b3",
    "kingma-welling-2013-figure-2": "77e4deab2ec118f8b858f071d4605eef254e5cf981d78160a033e14954182d89",
    "kingma-welling-2013-figure-3": "3704eaeae51cdf9fe1003a541f94cc638d4ad64615c9abb9357e1b5854c8cc87",
}
"""Name of a file and its sha256."""


def directory() -> Path:
    """The folder of these files in this checkout."""
    return data_folder() / "paper-curves"


def paper_curves(name: str) -> pd.DataFrame | None:
    """One printed figure as a tidy table, one of :data:`CURVES`; ``None`` where there is no checkout.

    The first point of a curve of Kingma & Welling, where it crosses the frame, is left out: it lies on the straight
    line from the first minibatch to the first evaluation and was not measured.

    Raises:
        DataError: there is no figure of that name, or the file is not the one that was read off the paper.
    """
    if name not in CURVES:
        raise DataError(f"no curves of a paper are called {name!r}; there are {', '.join(CURVES)}")
    path = directory() / f"{name}.csv"
    if not path.exists():
        return None
    if hashlib.sha256(path.read_bytes()).hexdigest() != CURVES[name]:
        raise DataError(
            f"data/paper-curves/{name}.csv is not the file that was read off the paper; "
            "restore it with `git checkout data/paper-curves`"
        )
    table = pd.read_csv(path)
    if name.startswith("kingma-welling-2013"):
        curve = [column for column in ("panel", "train_images", "latent_dim", "algorithm", "split") if column in table]
        table = table[table.groupby(curve).cumcount() > 0].reset_index(drop=True)
    return table
