"""The figures of the chapter on Kingma & Welling (2013): tables in, matplotlib figures out."""

from elbo.figures.kingma_welling_2013 import deep
from elbo.figures.kingma_welling_2013.amortisation import amortisation_gap
from elbo.figures.kingma_welling_2013.bound import bound, bound_and_lead, bound_at_scale
from elbo.figures.kingma_welling_2013.collapse import remedies, use_of_latents
from elbo.figures.kingma_welling_2013.drawing import autoencoder
from elbo.figures.kingma_welling_2013.draws import draws_and_batches
from elbo.figures.kingma_welling_2013.evidence import breakdown, estimators, evidence, evidence_at_scale
from elbo.figures.kingma_welling_2013.gradients import gradient_noise
from elbo.figures.kingma_welling_2013.importance import gradient_signal
from elbo.figures.kingma_welling_2013.noise import estimator_noise
from elbo.figures.kingma_welling_2013.pictures import manifold, prior_samples, reconstructions
from elbo.figures.kingma_welling_2013.weights import few_data

__all__ = [
    "amortisation_gap",
    "autoencoder",
    "bound",
    "bound_and_lead",
    "bound_at_scale",
    "breakdown",
    "deep",
    "draws_and_batches",
    "estimator_noise",
    "estimators",
    "evidence",
    "evidence_at_scale",
    "few_data",
    "gradient_noise",
    "gradient_signal",
    "manifold",
    "prior_samples",
    "reconstructions",
    "remedies",
    "use_of_latents",
]
