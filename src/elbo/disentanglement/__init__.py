"""Scores of a code against known factors: Higgins' metric, and the ones it is read beside.

Every score is a pure function of codes ``(N, D)`` and integer factors ``(N, K)`` and returns a frozen record.
"""

from elbo.disentanglement.dci import Dci, dci, dci_from_importance
from elbo.disentanglement.factorvae import FactorVae, factorvae_score
from elbo.disentanglement.higgins import (
    VARIANTS,
    Higgins,
    HigginsSettings,
    Scores,
    draw_votes,
    higgins_score,
    higgins_scores,
    upper_half,
)
from elbo.disentanglement.linear import Adagrad, Softmax
from elbo.disentanglement.mig import Mig, mig, mig_posterior
from elbo.disentanglement.modularity import Modularity, modularity
from elbo.disentanglement.sap import Sap, sap
from elbo.disentanglement.table import CodeSource, FactorIndex, factor_index, mutual_information

__all__ = [
    "VARIANTS",
    "Adagrad",
    "CodeSource",
    "Dci",
    "FactorIndex",
    "FactorVae",
    "Higgins",
    "HigginsSettings",
    "Mig",
    "Modularity",
    "Sap",
    "Scores",
    "Softmax",
    "dci",
    "dci_from_importance",
    "draw_votes",
    "factor_index",
    "factorvae_score",
    "higgins_score",
    "higgins_scores",
    "mig",
    "mig_posterior",
    "modularity",
    "mutual_information",
    "sap",
    "upper_half",
]
