"""Figure 2: the bound against training samples."""

from __future__ import annotations

import pandas as pd

from elbo.experiments.kingma_welling_2013.training import Run

__all__ = [
    "bound",
    "common_end",
    "lead_of_aevb",
    "lead_over_training",
    "over_seeds",
]


def bound(*runs: Run) -> pd.DataFrame:
    """Figure 2: the bound against the number of training samples, mean over seeds.

    Args:
        runs: one for each algorithm.

    Returns:
        One row an algorithm, latent size, split and number of samples: ``bound`` (nats per image),
        ``se_seeds`` (standard error over seeds, missing for one seed), ``se_images`` (standard error over the
        images of the split), ``seeds`` (how many).
    """
    history = pd.concat([run.trained.history.assign(algorithm=run.algorithm) for run in runs], ignore_index=True)
    grouped = history.groupby(["algorithm", "latent_dim", "split", "samples"], sort=True)
    table = grouped.agg(
        bound=("bound", "mean"), se_seeds=("bound", "sem"), se_images=("se", "mean"), seeds=("bound", "size")
    )
    return table.reset_index()


def lead_of_aevb(table: pd.DataFrame) -> pd.DataFrame:
    """By how much the test bound of AEVB is above that of wake-sleep: at the end, and over the course of training.

    The error of a difference is over seeds, which are paired: both algorithms start from the same
    weights and see the same minibatches.

    Args:
        table: histories of both, one row an ``algorithm, latent_dim, seed, split, samples`` with its ``bound``.

    Returns:
        One row a latent size: ``lead`` at the end (nats per image), ``se`` over seeds (missing for one), ``ahead``, the
        share of the points of the curve, averaged over seeds, at which AEVB is ahead, and ``seeds``.
    """
    test = table[table.split == "test"].pivot_table(
        index=["latent_dim", "seed", "samples"], columns="algorithm", values="bound"
    )
    lead = (test["aevb"] - test["wake-sleep"]).rename("lead").reset_index()
    ahead = lead.groupby("latent_dim").lead.agg(lambda values: (values > 0).mean())
    last = lead[lead.samples == lead.samples.max()].groupby("latent_dim").lead
    return pd.DataFrame({"lead": last.mean(), "se": last.sem(), "ahead": ahead, "seeds": last.size()}).reset_index()


def lead_over_training(table: pd.DataFrame) -> pd.DataFrame:
    """The difference of the test bounds of AEVB and wake-sleep as samples go by:
    ``latent_dim, samples, lead, lead_se``.

    ``lead_se`` is the standard error over seeds, which are paired (missing for one seed).
    ``table`` as in :func:`lead_of_aevb`.
    """
    test = table[table.split == "test"].pivot_table(
        index=["latent_dim", "samples", "seed"], columns="algorithm", values="bound"
    )
    lead = (test["aevb"] - test["wake-sleep"]).groupby(["latent_dim", "samples"])
    return pd.DataFrame({"lead": lead.mean(), "lead_se": lead.sem()}).reset_index()


def over_seeds(table: pd.DataFrame) -> pd.DataFrame:
    """A kept table of figure 2 averaged over its training seeds: ``bound``,
    ``se_seeds`` (missing for one), ``seeds``.
    """
    grouped = table.groupby(["algorithm", "latent_dim", "split", "samples"], sort=True).bound
    return pd.DataFrame({"bound": grouped.mean(), "se_seeds": grouped.sem(), "seeds": grouped.size()}).reset_index()


def common_end(table: pd.DataFrame) -> int:
    """The largest number of samples that every curve of a kept table has reached."""
    return int(table.groupby(["algorithm", "latent_dim", "seed"]).samples.max().min())
