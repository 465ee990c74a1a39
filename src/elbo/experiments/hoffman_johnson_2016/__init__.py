"""Experiments on Hoffman & Johnson (2016), ELBO surgery: parameters in, tidy tables out."""

from elbo.experiments.hoffman_johnson_2016.measured import (
    aggregate_on_grid,
    compare_estimators,
    information_against_n,
    over_seeds,
    surgery_table,
    terms_over_training,
)
from elbo.experiments.hoffman_johnson_2016.priors import better_priors
from elbo.experiments.hoffman_johnson_2016.reference import REFERENCE
from elbo.experiments.hoffman_johnson_2016.training import Runs, train_models

__all__ = [
    "REFERENCE",
    "Runs",
    "aggregate_on_grid",
    "better_priors",
    "compare_estimators",
    "information_against_n",
    "over_seeds",
    "surgery_table",
    "terms_over_training",
    "train_models",
]
