"""Is one draw enough? Models trained with L draws an image and M images a minibatch, a part a model."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from elbo.data import load
from elbo.inference import aevb
from elbo.models.vae import VAE
from elbo.reference.parts import Sweep

__all__ = ["DRAWS_GRID", "draws_parts", "gains_of_draws"]


def draws_parts(stack: Sequence[dict], device: str = "cpu") -> list[pd.DataFrame]:
    """Models of digits with the paper's optimiser (Adagrad at 0.02) and start, 100 hidden units, 10 latents.

    Args:
        stack: settings ``draws`` (L), ``batch_size`` (M), ``seed`` and ``samples``, the images that a model sees.

    Returns:
        For each model one row: ``bound`` on all test images (nats per image) and its standard error ``se_images``.
    """
    draws, batch_size, samples = (stack[0][name] for name in ("draws", "batch_size", "samples"))
    train, test = load("digits", split="train"), load("digits", split="test")
    trained = aevb.fit(
        VAE(train.images.shape[1], 100, 10),
        train,
        samples=samples,
        batch_size=batch_size,
        draws=draws,
        seeds=[part["seed"] for part in stack],
        evaluate_on={"test": test},
        device=device,
        compile=False,
    )
    rows = trained.history.set_index("seed").rename(columns={"se": "se_images"})
    return [
        rows.loc[[part["seed"]], ["bound", "se_images"]].round(4).reset_index().assign(hidden=100, latent_dim=10)
        for part in stack
    ]


def gains_of_draws(table: pd.DataFrame) -> pd.DataFrame:
    """By how much the test bound with several draws is above that with one, seed by seed.

    Returns:
        Rows ``batch_size, draws, seed`` with ``gain``, nats per image.
    """
    wide = table.pivot(index=["batch_size", "seed"], columns="draws", values="bound")
    gains = wide.drop(columns=1).sub(wide[1], axis=0)
    return gains.reset_index().melt(["batch_size", "seed"], var_name="draws", value_name="gain")


def _with_gains(rows: pd.DataFrame) -> pd.DataFrame:
    table = rows.drop(columns="part")
    gains = gains_of_draws(table) if table.draws.min() == 1 else table.assign(gain=float("nan"))
    keys = ["batch_size", "draws", "seed"]
    return table.merge(gains[[*keys, "gain"]], on=keys, how="left").round(4)


DRAWS_GRID = Sweep(
    draws_parts,
    [
        {"draws": draws, "batch_size": batch_size, "seed": seed, "samples": 200_000}
        for seed in (0, 1, 2)
        for batch_size in (100, 30, 10)
        for draws in (1, 2, 5, 10)
    ],
    _with_gains,
    alike=("draws", "batch_size", "samples"),
)
"""Equal numbers of images, four numbers of draws and three sizes of a minibatch."""
