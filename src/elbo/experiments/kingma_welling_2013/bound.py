"""Figure 2: the bound against training samples."""

from __future__ import annotations

import numpy as np
import pandas as pd

from elbo.experiments.kingma_welling_2013.training import Run

__all__ = [
    "bound",
    "common_end",
    "final_bound",
    "lead_of_aevb",
    "lead_over_training",
    "over_seeds",
    "order",
    "reference_caption",
    "signs_of_overfitting",
]


def bound(*runs: Run) -> pd.DataFrame:
    """Figure 2: the bound against the number of training samples, mean over seeds.

    Args:
        runs: one for each algorithm.

    Returns:
        One row an algorithm, latent size, split and number of samples: ``bound`` (nats per image), ``se_seeds`` (standard error over
        seeds, missing for one seed), ``se_images`` (standard error over the images of the split), ``seeds`` (how many).
    """
    history = pd.concat([run.trained.history.assign(algorithm=run.algorithm) for run in runs], ignore_index=True)
    grouped = history.groupby(["algorithm", "latent_dim", "split", "samples"], sort=True)
    table = grouped.agg(
        bound=("bound", "mean"), se_seeds=("bound", "sem"), se_images=("se", "mean"), seeds=("bound", "size")
    )
    return table.reset_index()


def final_bound(*runs: Run) -> pd.DataFrame:
    """The bound at the end of training: one row an algorithm and latent size, train and test side by side, nats per image, and errors."""
    last = bound(*runs).query("samples == samples.max()").set_index(["algorithm", "latent_dim", "split"])
    last["se"] = np.hypot(last.se_images, last.se_seeds.fillna(0.0))
    return last[["bound", "se"]].unstack("split").swaplevel(axis=1).sort_index(axis=1, ascending=[False, True])


def signs_of_overfitting(run: Run) -> list[str]:
    """One sentence a latent size: how far its test bound is from its own best, and from that of the next smaller size."""
    test = bound(run).query("split == 'test'").pivot(index="samples", columns="latent_dim", values="bound")
    error = bound(run).query("split == 'test' and samples == samples.max()").set_index("latent_dim").se_images
    lines, smaller = [], None
    for size, curve in test.items():
        line = f"{size:3d} latents: test bound {curve.iloc[-1]:.2f} ± {error[size]:.2f}, {curve.max() - curve.iloc[-1]:.2f} below its best"
        lines.append(line if smaller is None else f"{line}, {curve.iloc[-1] - smaller:+.2f} against the size before")
        smaller = curve.iloc[-1]
    return lines


def lead_of_aevb(table: pd.DataFrame) -> pd.DataFrame:
    """By how much the test bound of AEVB is above that of wake-sleep: at the end, and over the course of training.

    The error of a difference is over seeds, which are paired: both algorithms start from the same weights and see the same minibatches.

    Args:
        table: histories of both, one row an ``algorithm, latent_dim, seed, split, samples`` with its ``bound``.

    Returns:
        One row a latent size: ``lead`` at the end (nats per image), ``se`` over seeds (missing for one), ``ahead``, the share of the
        points of the curve, averaged over seeds, at which AEVB is ahead, and ``seeds``.
    """
    test = table[table.split == "test"].pivot_table(
        index=["latent_dim", "seed", "samples"], columns="algorithm", values="bound"
    )
    lead = (test["aevb"] - test["wake-sleep"]).rename("lead").reset_index()
    ahead = lead.groupby("latent_dim").lead.agg(lambda values: (values > 0).mean())
    last = lead[lead.samples == lead.samples.max()].groupby("latent_dim").lead
    return pd.DataFrame({"lead": last.mean(), "se": last.sem(), "ahead": ahead, "seeds": last.size()}).reset_index()


def lead_over_training(table: pd.DataFrame) -> pd.DataFrame:
    """The difference of the test bounds of AEVB and wake-sleep as samples go by: ``latent_dim, samples, lead, lead_se``.

    ``lead_se`` is the standard error over seeds, which are paired (missing for one seed). ``table`` as in :func:`lead_of_aevb`.
    """
    test = table[table.split == "test"].pivot_table(
        index=["latent_dim", "samples", "seed"], columns="algorithm", values="bound"
    )
    lead = (test["aevb"] - test["wake-sleep"]).groupby(["latent_dim", "samples"])
    return pd.DataFrame({"lead": lead.mean(), "lead_se": lead.sem()}).reset_index()


def over_seeds(table: pd.DataFrame) -> pd.DataFrame:
    """A kept table of figure 2 averaged over its training seeds: ``bound``, ``se_seeds`` (missing for one), ``seeds``."""
    grouped = table.groupby(["algorithm", "latent_dim", "split", "samples"], sort=True).bound
    return pd.DataFrame({"bound": grouped.mean(), "se_seeds": grouped.sem(), "seeds": grouped.size()}).reset_index()


def common_end(table: pd.DataFrame) -> int:
    """The largest number of samples that every curve of a kept table has reached."""
    return int(table.groupby(["algorithm", "latent_dim", "seed"]).samples.max().min())


def order(table: pd.DataFrame) -> str:
    """Half a sentence: for how many latent sizes AEVB ends above wake-sleep on test images, and by how much.

    Args:
        table: from :func:`lead_of_aevb`.
    """
    above, count = int((table.lead > 0).sum()), len(table)
    how_many = "every number of latents" if above == count else f"{above} of {count} numbers of latents"
    if above == 0:
        how_many = "no number of latents"
    return (
        f"on test images AEVB ends above wake-sleep for {how_many} (leads of {table.lead.min():.2f} to {table.lead.max():.2f} nats) "
        f"and is ahead at {100 * table.ahead.mean():.0f} % of the points of the curves"
    )


def reference_caption(table: pd.DataFrame, train_images: int) -> str:
    """What a reference table of figure 2 shows, in words that are read off it.

    Args:
        table: from :func:`elbo.experiments.kingma_welling_2013.sweep.bound_parts`.
    """
    last = table[table.samples == table.samples.max()]
    test = last[(last.split == "test") & (last.algorithm == "aevb")].set_index("latent_dim").bound
    gap = last[last.algorithm == "aevb"].pivot(index="latent_dim", columns="split", values="bound")
    gap = (gap["train"] - gap["test"]).round(1)
    rates = ", ".join(_rates(name, rows) for name, rows in table.groupby("algorithm"))
    widest, best = test.index.max(), test.idxmax()
    loss = (
        "the widest code is the best on test images"
        if best == widest
        else (
            f"on test images the best of AEVB's codes has {best} latents, {test[best] - test[widest]:.1f} nats above the one of {widest}"
        )
    )
    return (
        f"The paper's Figure 2 with its networks ({table.hidden.iloc[0]} hidden units) on {train_images:,} training images, measured once and "
        f"kept with the book: {table.samples.max() / 1e6:g} million samples a curve where the paper goes to 100 million, one seed, step "
        f"sizes chosen as in the paper ({rates}). Does AEVB learn faster and end higher, and do more latents overfit? Here "
        f"{order(lead_of_aevb(table))}; {loss}; its bound on training images minus that on test images is {gap.min():g} to {gap.max():g} nats. Thick "
        "lines are test images, thin ones training images."
    )


def _rates(name: str, rows: pd.DataFrame) -> str:
    """An algorithm's step size, with the latent sizes that have another in brackets."""
    chosen = rows.groupby("latent_dim").learning_rate.first()
    usual = chosen.mode().iloc[0]
    others = ", ".join(f"{rate:g} with {size} latents" for size, rate in chosen.items() if rate != usual)
    return f"{name} {usual:g}" + (f" ({others})" if others else "")
