"""Figures on Hoffman & Johnson (2016), ELBO surgery: tidy table in, figure out."""

from elbo.figures.hoffman_johnson_2016.exact import energy_entropy, spikes, total_and_average
from elbo.figures.hoffman_johnson_2016.measured import log_n_ceiling, over_training, surgery_table
from elbo.figures.hoffman_johnson_2016.priors import aggregate_and_prior, better_prior, estimators, joint_prior

__all__ = [
    "aggregate_and_prior",
    "better_prior",
    "energy_entropy",
    "estimators",
    "joint_prior",
    "log_n_ceiling",
    "over_training",
    "spikes",
    "surgery_table",
    "total_and_average",
]
