"""The chapter's reference tables that are measured in one go; the long ones are in
:mod:`elbo.experiments.kingma_welling_2013.sweep`."""

from __future__ import annotations

from elbo.experiments.kingma_welling_2013.deep import burda, burda_training

__all__ = ["REFERENCE"]

REFERENCE = {"burda": burda, "burda-training": burda_training}
