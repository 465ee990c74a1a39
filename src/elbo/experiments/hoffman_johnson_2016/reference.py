"""The chapter's reference tables: MNIST, three seeds, on one core in about twenty minutes."""

from __future__ import annotations

import math
from functools import lru_cache

import pandas as pd

from elbo import reference
from elbo.experiments.hoffman_johnson_2016.joint import joint_prior
from elbo.experiments.hoffman_johnson_2016.measured import (
    compare_estimators,
    information_against_n,
    surgery_table,
    terms_over_training,
)
from elbo.experiments.hoffman_johnson_2016.priors import better_priors
from elbo.experiments.hoffman_johnson_2016.quadrature import split_by_quadrature
from elbo.experiments.hoffman_johnson_2016.training import Runs, train_models

__all__ = ["MIDDLE", "REFERENCE", "SETTINGS", "reference_note", "reference_table", "with_reference"]

SETTINGS = {
    "data": "mnist",
    "split": "train-50000",
    "latent_dims": (2, 10, 20),
    "seeds": (0, 1, 2),
    "hidden": 500,
    "epochs": 30,
    "batch_size": 250,
    "learning_rate": 1e-3,
    "ages": 8,
    "device": "cpu",
}
IMAGES = 50_000  # in that split
MIDDLE = 10  # latents of the model whose estimators and priors are compared
SIZES = (3, 10, 30, 100, 300, 1_000, 3_000, 10_000, 50_000)


@lru_cache(maxsize=1)
def _runs() -> Runs:
    return train_models(**SETTINGS)


@lru_cache(maxsize=1)
def _middle_runs() -> Runs:
    """The models of the middle size alone; a model trained in less company is the same model."""
    return train_models(**(SETTINGS | {"latent_dims": (MIDDLE,), "ages": 1}))


def _described(table: pd.DataFrame) -> pd.DataFrame:
    """The table with the settings that a reader of the CSV has to know."""
    return table.assign(data=SETTINGS["data"], images=IMAGES, epochs=SETTINGS["epochs"], hidden=SETTINGS["hidden"])


REFERENCE = {
    "surgery-table": lambda: _described(surgery_table(_runs(), codes=10_000, seed=0)),
    "over-training": lambda: _described(terms_over_training(_runs(), codes=2_000, seed=0)),
    "against-n": lambda: _described(information_against_n(_runs(), SIZES, codes=4_000, seed=0)),
    "estimators": lambda: _described(
        compare_estimators(_runs(), MIDDLE, batch_size=128, batches=50, codes=10_000, seed=0)
    ),
    "better-prior": lambda: _described(
        better_priors(
            _runs(), MIDDLE, components=(10, 50, 100), pseudo_inputs=(100, 1_000, 10_000), codes=40_000, seed=0
        )
    ),
    "joint-prior": lambda: _described(
        joint_prior(
            _middle_runs(),
            MIDDLE,
            components=100,
            batch_size=SETTINGS["batch_size"],
            learning_rate=SETTINGS["learning_rate"],
            codes=20_000,
            seed=0,
        )
    ),
}


REFERENCE["split-by-quadrature"] = split_by_quadrature


def reference_table(name: str) -> pd.DataFrame | None:
    """A committed table, or ``None`` where the checkout has none."""
    return reference.load("hoffman-johnson-2016", name)


def reference_note() -> str:
    """What the reference run was, in a line."""
    table = reference_table("surgery-table")
    if table is None:
        return "none in this checkout"
    first = table.iloc[0]
    return (
        f"{first.data.upper()}, N = {first.images:,}, log N = {math.log(first.images):.4f} nats; {first.hidden} hidden "
        f"units, {first.epochs} epochs, {table.seed.nunique()} seeds"
    )


def with_reference(table: pd.DataFrame, name: str, *, data: str, images: int) -> pd.DataFrame:
    """The reader's table above the committed reference table of that name, told apart by the columns ``run, data,
    images``.
    """
    own = table.assign(run="this run", data=data, images=images)
    kept = reference_table(name)
    return own if kept is None else pd.concat([own, kept.assign(run="reference")], ignore_index=True)
