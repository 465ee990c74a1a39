"""The experiments of Kingma & Welling (2013): bound and marginal likelihood over samples, their estimators, what the decoder draws.

Each function answers one figure with a tidy table of exactly the numbers that are drawn.
"""

from elbo.experiments.kingma_welling_2013 import deep, words
from elbo.experiments.kingma_welling_2013.amortisation import amortisation_gap, gap_by_size, posterior_of_one
from elbo.experiments.kingma_welling_2013.bound import (
    bound,
    final_bound,
    lead_of_aevb,
    lead_over_training,
    order,
    over_seeds,
    reference_caption,
    signs_of_overfitting,
)
from elbo.experiments.kingma_welling_2013.collapse import answer_of_use, said_of_use, train_measured, use_of_latents
from elbo.experiments.kingma_welling_2013.draws import draws_and_batches
from elbo.experiments.kingma_welling_2013.estimators import breakdown, estimators, sandwich, verdict
from elbo.experiments.kingma_welling_2013.evidence import (
    EVIDENCE,
    estimator_agreement,
    evidence_caption,
    evidence_over_seeds,
    evidence_over_training,
    final_evidence,
)
from elbo.experiments.kingma_welling_2013.gradients import at_the_posterior, gradient_noise, said_of_gradients
from elbo.experiments.kingma_welling_2013.noise import estimator_noise
from elbo.experiments.kingma_welling_2013.pictures import manifold, prior_samples, reconstructions
from elbo.experiments.kingma_welling_2013.pictures_at_scale import gaps, one_walk, pictures
from elbo.experiments.kingma_welling_2013.reference import REFERENCE
from elbo.experiments.kingma_welling_2013.reparameterisations import reparameterisations
from elbo.experiments.kingma_welling_2013.sweep import SWEEPS
from elbo.experiments.kingma_welling_2013.training import SETTINGS, Run, Settings, describe, settings, train
from elbo.experiments.kingma_welling_2013.weights import answer_of_weights, few_data, said_of_weights

__all__ = [
    "EVIDENCE",
    "REFERENCE",
    "SETTINGS",
    "SWEEPS",
    "Run",
    "Settings",
    "amortisation_gap",
    "answer_of_use",
    "answer_of_weights",
    "at_the_posterior",
    "bound",
    "breakdown",
    "deep",
    "describe",
    "draws_and_batches",
    "estimator_agreement",
    "estimator_noise",
    "estimators",
    "evidence_caption",
    "evidence_over_seeds",
    "evidence_over_training",
    "few_data",
    "final_bound",
    "final_evidence",
    "gap_by_size",
    "gaps",
    "gradient_noise",
    "lead_of_aevb",
    "lead_over_training",
    "manifold",
    "one_walk",
    "order",
    "over_seeds",
    "pictures",
    "posterior_of_one",
    "prior_samples",
    "reconstructions",
    "reference_caption",
    "reparameterisations",
    "said_of_gradients",
    "said_of_use",
    "said_of_weights",
    "sandwich",
    "settings",
    "signs_of_overfitting",
    "train",
    "train_measured",
    "use_of_latents",
    "verdict",
    "words",
]
