"""The experiments of Kingma & Welling (2013): bound and marginal likelihood over samples, their estimators, what the
decoder draws.

Each function answers one figure with a tidy table of exactly the numbers that are drawn.
"""

from elbo.experiments.kingma_welling_2013 import deep, words
from elbo.experiments.kingma_welling_2013.amortisation import amortisation_gap, gap_by_size, posterior_of_one
from elbo.experiments.kingma_welling_2013.bound import (
    bound,
    lead_of_aevb,
    lead_over_training,
    over_seeds,
)
from elbo.experiments.kingma_welling_2013.collapse import train_measured, use_of_latents
from elbo.experiments.kingma_welling_2013.draws import draws_and_batches
from elbo.experiments.kingma_welling_2013.draws_grid import gains_of_draws
from elbo.experiments.kingma_welling_2013.estimators import breakdown, estimators
from elbo.experiments.kingma_welling_2013.evidence import (
    EVIDENCE,
    evidence_over_seeds,
    evidence_over_training,
)
from elbo.experiments.kingma_welling_2013.gradients import at_the_posterior, gradient_noise
from elbo.experiments.kingma_welling_2013.importance import gradient_signal
from elbo.experiments.kingma_welling_2013.noise import estimator_noise
from elbo.experiments.kingma_welling_2013.pictures import manifold, prior_samples, reconstructions
from elbo.experiments.kingma_welling_2013.pictures_at_scale import gaps, one_walk, pictures
from elbo.experiments.kingma_welling_2013.reference import REFERENCE
from elbo.experiments.kingma_welling_2013.remedies import REMEDIES, remedies, remedy_means
from elbo.experiments.kingma_welling_2013.reparameterisations import reparameterisations
from elbo.experiments.kingma_welling_2013.sweep import SWEEPS
from elbo.experiments.kingma_welling_2013.training import SETTINGS, Run, Settings, describe, settings, train
from elbo.experiments.kingma_welling_2013.weights import few_data

__all__ = [
    "EVIDENCE",
    "REFERENCE",
    "REMEDIES",
    "SETTINGS",
    "SWEEPS",
    "Run",
    "Settings",
    "amortisation_gap",
    "at_the_posterior",
    "bound",
    "breakdown",
    "deep",
    "describe",
    "draws_and_batches",
    "estimator_noise",
    "estimators",
    "evidence_over_seeds",
    "evidence_over_training",
    "few_data",
    "gains_of_draws",
    "gap_by_size",
    "gaps",
    "gradient_noise",
    "gradient_signal",
    "lead_of_aevb",
    "lead_over_training",
    "manifold",
    "one_walk",
    "over_seeds",
    "pictures",
    "posterior_of_one",
    "prior_samples",
    "reconstructions",
    "remedies",
    "remedy_means",
    "reparameterisations",
    "settings",
    "train",
    "train_measured",
    "use_of_latents",
    "words",
]
