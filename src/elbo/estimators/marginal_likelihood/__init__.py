"""Estimates of the log evidence, log p(x) of every datum: from below, from above, and where they stop working.

Each takes ``log_joint(z)``, ``(draws, batch, D) -> (draws, batch)`` nats of log p(x, z), say
``functools.partial(model.log_joint, params, x)``, and returns an :class:`Evidence`.

    importance          from below, needs a proposal (an encoder)
    fitted_importance   from below, its proposal is a Gaussian fitted to posterior draws by HMC
    gelfand_dey         from above in expectation; Kingma & Welling (2013), appendix D
    ais, ais_reverse    annealed importance sampling, from below, and from above on simulated data

:func:`model_evidence` runs one of them on the data of a VAE, in chunks; :func:`reciprocal_breakdown` shows where
appendix D fails.
"""

from elbo.estimators.marginal_likelihood.annealing import (
    Bracket,
    Schedule,
    ais,
    ais_reverse,
    bidirectional,
    sigmoid_temperatures,
    tune_schedule,
)
from elbo.estimators.marginal_likelihood.breakdown import Breakdown, reciprocal_breakdown
from elbo.estimators.marginal_likelihood.evidence import Evidence, Gaussian
from elbo.estimators.marginal_likelihood.of_model import model_evidence
from elbo.estimators.marginal_likelihood.posterior import fitted_importance, gelfand_dey
from elbo.estimators.marginal_likelihood.weighted import importance

__all__ = [
    "Bracket",
    "Breakdown",
    "Evidence",
    "Gaussian",
    "Schedule",
    "ais",
    "ais_reverse",
    "bidirectional",
    "fitted_importance",
    "gelfand_dey",
    "importance",
    "model_evidence",
    "reciprocal_breakdown",
    "sigmoid_temperatures",
    "tune_schedule",
]
