"""The chapter's reference tables that are measured in one go; the long ones are in
:mod:`elbo.experiments.kingma_welling_2013.sweep`."""

from __future__ import annotations

from elbo.experiments.kingma_welling_2013.appendix_d import appendix_d
from elbo.experiments.kingma_welling_2013.deep import burda, burda_training
from elbo.experiments.kingma_welling_2013.pictures_at_scale import amortisation_at_scale, pictures_at_scale
from elbo.experiments.kingma_welling_2013.remedies import remedies

__all__ = ["REFERENCE"]

REFERENCE = {
    "appendix-d": appendix_d,
    "burda": burda,
    "burda-training": burda_training,
    "pictures-mnist": pictures_at_scale,
    "amortisation-mnist": amortisation_at_scale,
    "remedies": remedies,
}
