"""Figures on Higgins et al. (2017), beta-VAE: tidy table in, figure out."""

from elbo.figures.higgins_2017.metric import average_vote, rotated, scores, sprite_sheet, vote
from elbo.figures.higgins_2017.models import by_use, factor_spread, over_beta, over_training, proxies, traversals
from elbo.figures.higgins_2017.objectives import objectives
from elbo.figures.higgins_2017.price import posterior_paths, tempered, trade, water

__all__ = [
    "average_vote",
    "by_use",
    "factor_spread",
    "objectives",
    "over_beta",
    "over_training",
    "posterior_paths",
    "proxies",
    "rotated",
    "scores",
    "sprite_sheet",
    "tempered",
    "trade",
    "traversals",
    "vote",
    "water",
]
