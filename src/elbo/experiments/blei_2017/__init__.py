"""The experiments of the chapter on Blei, Kucukelbir & McAuliffe (2017): parameters to tidy tables, one function a
figure."""

from elbo.experiments.blei_2017.elbows import elbows

__all__ = ["REFERENCE"]

REFERENCE = {"elbows": elbows}
