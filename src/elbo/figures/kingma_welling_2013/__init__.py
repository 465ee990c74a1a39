"""The figures of the chapter on Kingma & Welling (2013): tables in, matplotlib figures out."""

from elbo.figures.kingma_welling_2013 import deep
from elbo.figures.kingma_welling_2013.bound import bound
from elbo.figures.kingma_welling_2013.gradients import gradient_noise
from elbo.figures.kingma_welling_2013.noise import estimator_noise
from elbo.figures.kingma_welling_2013.pictures import manifold, prior_samples, reconstructions

__all__ = ["bound", "deep", "estimator_noise", "gradient_noise", "manifold", "prior_samples", "reconstructions"]
