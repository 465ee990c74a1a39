"""The table that Hoffman & Johnson (2016) print, and ours beside it."""

from __future__ import annotations

import math

import pandas as pd

from elbo.experiments.hoffman_johnson_2016.measured import over_seeds
from elbo.experiments.hoffman_johnson_2016.reference import reference_table

__all__ = ["beside_the_paper", "paper_table", "their_network"]

IMAGES = 60_000
TABLE = {
    # latents: ELBO, average KL, mutual information, marginal KL
    2: (-129.63, 7.41, 7.20, 0.21),
    10: (-88.95, 19.17, 10.82, 8.35),
    20: (-87.45, 20.20, 10.67, 9.53),
}
"""Hoffman & Johnson (2016), table 1 (page 4), nats per image: binarised MNIST, one model of each size."""


def paper_table() -> pd.DataFrame:
    """Their table 1: rows ``latent_dim`` with ``elbo, average_kl, mutual_information, marginal_kl, log_n``, nats per
    image; ``reconstruction`` is the sum of the first two. The marginal KL is their estimate, the information what it
    leaves of the average KL. They print no errors."""
    names = ["elbo", "average_kl", "mutual_information", "marginal_kl"]
    table = pd.DataFrame([{"latent_dim": dim} | dict(zip(names, row, strict=True)) for dim, row in TABLE.items()])
    return table.assign(reconstruction=table["elbo"] + table["average_kl"], log_n=math.log(IMAGES))


def their_network() -> pd.DataFrame | None:
    """Our runs with their network: mean over training seeds on the training images, at the last age that all models of
    a binarisation have reached; rows ``binarise, epoch, latent_dim``, columns as :func:`over_seeds`. ``None`` where
    the table has not been measured."""
    kept = reference_table("surgery-paper")
    if kept is None:
        return None
    kept = kept[kept["split"] == "train"]
    parts = []
    for _, part in kept.groupby("binarise"):
        age = part.groupby(["latent_dim", "seed"])["epoch"].max().min()
        parts.append(part[part["epoch"] == age])
    terms = ["reconstruction", "mutual_information", "marginal_kl", "average_kl", "elbo", "log_n"]
    columns = ["binarise", "epoch", "latent_dim", "seed", *terms, *(f"{term}_se" for term in terms)]
    found = pd.concat(parts).reindex(columns=columns)
    return over_seeds(found, ["binarise", "epoch", "latent_dim"])


def beside_the_paper(own: pd.DataFrame, *, data: str, images: int) -> pd.DataFrame:
    """The paper's table, ours at its scale, and the reader's run; told apart by ``run, data, images``.

    Args:
        own: as :func:`over_seeds` gives it.

    Ours at its scale is :func:`their_network` with pixels binarised once where all three sizes have been measured, else
    the smaller reference run.
    """
    parts = [paper_table().assign(run="the paper", data="mnist", images=IMAGES)]
    large = their_network()
    fixed = large[large["binarise"] == "fixed"] if large is not None else None
    if fixed is not None and set(TABLE) <= set(fixed["latent_dim"]):
        parts.append(fixed.assign(run="ours", data="mnist", images=IMAGES))
    else:
        kept = reference_table("surgery-table")
        if kept is not None:
            means = over_seeds(kept, ["data", "images", "epochs", "latent_dim"]).rename(columns={"epochs": "epoch"})
            parts.append(means.assign(run="ours"))
    parts.append(own.assign(run="this run", data=data, images=images))
    return pd.concat(parts, ignore_index=True)
