"""The experiments of Kingma & Welling (2013): the bound over samples, the noise of the estimators, what the decoder draws.

Each function answers one figure with a tidy table of exactly the numbers that are drawn.
"""

from elbo.experiments.kingma_welling_2013 import deep
from elbo.experiments.kingma_welling_2013.bound import bound, final_bound, signs_of_overfitting
from elbo.experiments.kingma_welling_2013.gradients import at_the_posterior, gradient_noise
from elbo.experiments.kingma_welling_2013.noise import estimator_noise
from elbo.experiments.kingma_welling_2013.pictures import manifold, prior_samples, reconstructions
from elbo.experiments.kingma_welling_2013.reference import REFERENCE
from elbo.experiments.kingma_welling_2013.training import SETTINGS, Run, Settings, describe, settings, train

__all__ = [
    "REFERENCE",
    "SETTINGS",
    "Run",
    "Settings",
    "at_the_posterior",
    "bound",
    "deep",
    "describe",
    "estimator_noise",
    "final_bound",
    "gradient_noise",
    "manifold",
    "prior_samples",
    "reconstructions",
    "settings",
    "signs_of_overfitting",
    "train",
]
