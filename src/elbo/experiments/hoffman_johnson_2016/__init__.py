"""Experiments on Hoffman & Johnson (2016), ELBO surgery: parameters in, tidy tables out."""

from elbo.experiments.hoffman_johnson_2016.exact import (
    forms_on_autoencoder,
    forms_on_twin,
    spike_densities,
    spikes,
    temperatures,
    total_and_average,
    widths,
)
from elbo.experiments.hoffman_johnson_2016.joint import gains, joint_prior
from elbo.experiments.hoffman_johnson_2016.measured import (
    aggregate_on_grid,
    as_text,
    compare_estimators,
    estimator_errors,
    information_against_n,
    over_seeds,
    surgery_table,
    terms_over_training,
    turning_points,
)
from elbo.experiments.hoffman_johnson_2016.priors import better_priors
from elbo.experiments.hoffman_johnson_2016.reference import (
    MIDDLE,
    REFERENCE,
    reference_note,
    reference_table,
    with_reference,
)
from elbo.experiments.hoffman_johnson_2016.sweep import SWEEPS
from elbo.experiments.hoffman_johnson_2016.theirs import beside_the_paper, paper_table, their_network
from elbo.experiments.hoffman_johnson_2016.training import Runs, train_models

__all__ = [
    "MIDDLE",
    "REFERENCE",
    "SWEEPS",
    "Runs",
    "aggregate_on_grid",
    "as_text",
    "beside_the_paper",
    "better_priors",
    "compare_estimators",
    "estimator_errors",
    "forms_on_autoencoder",
    "forms_on_twin",
    "gains",
    "information_against_n",
    "joint_prior",
    "over_seeds",
    "paper_table",
    "reference_note",
    "reference_table",
    "spike_densities",
    "spikes",
    "surgery_table",
    "temperatures",
    "terms_over_training",
    "their_network",
    "total_and_average",
    "train_models",
    "turning_points",
    "widths",
    "with_reference",
]
