"""Experiments on Higgins et al. (2017), beta-VAE: parameters in, tidy tables out. Scores are fractions, not percent."""

from elbo.experiments.higgins_2017.baselines import (
    CLASSIFIERS,
    LinearCodes,
    Pixels,
    linear_codes,
    published,
    published_table,
    scores_without_training,
    subgrid,
    summary,
)
from elbo.experiments.higgins_2017.exchange import exchange, measured_trade, tempered_posteriors, water_filling
from elbo.experiments.higgins_2017.objectives import (
    OBJECTIVES,
    objective_means,
    objectives_table,
    objectives_text,
)
from elbo.experiments.higgins_2017.pictures import carriers, factor_responses, response_spread, traversals
from elbo.experiments.higgins_2017.readings import (
    beside_other_metrics,
    over_beta,
    ranks,
    scores_by_use,
    unit_readings,
)
from elbo.experiments.higgins_2017.reference import (
    REFERENCE,
    reference_scores,
    reference_table,
)
from elbo.experiments.higgins_2017.rotation import rotated_codes
from elbo.experiments.higgins_2017.scores import (
    as_text,
    beside_the_paper,
    score_table,
    varying,
)
from elbo.experiments.higgins_2017.steps import STEPS, step_table
from elbo.experiments.higgins_2017.sweep import SWEEPS
from elbo.experiments.higgins_2017.training import Models, SmallSprites, beta_norm, small_sprites, train_models
from elbo.experiments.higgins_2017.twin import kl_cases, posterior_paths
from elbo.experiments.higgins_2017.votes import average_votes, one_vote, sprite_sheet, vote_images
from elbo.experiments.higgins_2017.words import (
    comparison,
    first_and_last,
    said_of_exchange,
    said_of_pca,
    said_of_use,
    settings_table,
    shape_table,
)

__all__ = [
    "CLASSIFIERS",
    "OBJECTIVES",
    "REFERENCE",
    "STEPS",
    "SWEEPS",
    "LinearCodes",
    "Models",
    "Pixels",
    "SmallSprites",
    "as_text",
    "average_votes",
    "beside_other_metrics",
    "beside_the_paper",
    "beta_norm",
    "carriers",
    "comparison",
    "exchange",
    "factor_responses",
    "first_and_last",
    "kl_cases",
    "linear_codes",
    "measured_trade",
    "objective_means",
    "objectives_table",
    "objectives_text",
    "one_vote",
    "over_beta",
    "posterior_paths",
    "published",
    "published_table",
    "ranks",
    "reference_scores",
    "reference_table",
    "response_spread",
    "rotated_codes",
    "said_of_exchange",
    "said_of_pca",
    "said_of_use",
    "score_table",
    "scores_by_use",
    "scores_without_training",
    "settings_table",
    "shape_table",
    "small_sprites",
    "sprite_sheet",
    "step_table",
    "subgrid",
    "summary",
    "tempered_posteriors",
    "train_models",
    "traversals",
    "unit_readings",
    "varying",
    "vote_images",
    "water_filling",
]
