"""Experiments on Higgins et al. (2017), beta-VAE: parameters in, tidy tables out. Scores are fractions, not percent."""

from elbo.experiments.higgins_2017.baselines import (
    CLASSIFIERS,
    LinearCodes,
    Pixels,
    linear_codes,
    published,
    scores_without_training,
    subgrid,
    summary,
)
from elbo.experiments.higgins_2017.readings import (
    as_text,
    beside_other_metrics,
    beside_the_paper,
    factor_responses,
    over_beta,
    score_table,
    traversals,
    unit_readings,
    verdict,
)
from elbo.experiments.higgins_2017.reference import REFERENCE, reference_table
from elbo.experiments.higgins_2017.training import Models, SmallSprites, beta_norm, small_sprites, train_models
from elbo.experiments.higgins_2017.twin import kl_cases, posterior_paths

__all__ = [
    "CLASSIFIERS",
    "REFERENCE",
    "LinearCodes",
    "Models",
    "Pixels",
    "SmallSprites",
    "as_text",
    "beside_other_metrics",
    "beside_the_paper",
    "beta_norm",
    "factor_responses",
    "kl_cases",
    "linear_codes",
    "over_beta",
    "posterior_paths",
    "published",
    "reference_table",
    "score_table",
    "scores_without_training",
    "small_sprites",
    "subgrid",
    "summary",
    "train_models",
    "traversals",
    "unit_readings",
    "verdict",
]
