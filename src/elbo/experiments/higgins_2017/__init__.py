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
from elbo.experiments.higgins_2017.pictures import carriers, factor_responses, traversals
from elbo.experiments.higgins_2017.readings import (
    beside_other_metrics,
    contrast,
    over_beta,
    ranks,
    shape_over_beta,
    unit_readings,
)
from elbo.experiments.higgins_2017.reference import (
    REFERENCE,
    last_gap,
    reference_note,
    reference_scores,
    reference_table,
)
from elbo.experiments.higgins_2017.scores import (
    as_text,
    beside_the_paper,
    every_score,
    score_table,
    varying,
    verdict,
)
from elbo.experiments.higgins_2017.sweep import SWEEPS
from elbo.experiments.higgins_2017.training import Models, SmallSprites, beta_norm, small_sprites, train_models
from elbo.experiments.higgins_2017.twin import kl_cases, posterior_paths

__all__ = [
    "CLASSIFIERS",
    "REFERENCE",
    "SWEEPS",
    "LinearCodes",
    "Models",
    "Pixels",
    "SmallSprites",
    "as_text",
    "beside_other_metrics",
    "beside_the_paper",
    "beta_norm",
    "carriers",
    "contrast",
    "every_score",
    "factor_responses",
    "kl_cases",
    "last_gap",
    "linear_codes",
    "over_beta",
    "posterior_paths",
    "published",
    "ranks",
    "reference_note",
    "reference_scores",
    "reference_table",
    "score_table",
    "scores_without_training",
    "shape_over_beta",
    "small_sprites",
    "subgrid",
    "summary",
    "train_models",
    "traversals",
    "unit_readings",
    "varying",
    "verdict",
]
