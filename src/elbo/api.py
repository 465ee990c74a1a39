"""The public face of the library: which modules others may rely on, said once.

The public names of a module are its ``__all__``. The pages of the reference in the book and the tests go through
:data:`MODULES`; whatever is not in it may change without notice.
"""

from __future__ import annotations

import importlib
from types import ModuleType

__all__ = ["ALGORITHMS", "MODULES", "public"]

ALGORITHMS = (
    "elbo.inference.advi",
    "elbo.inference.aevb",
    "elbo.inference.beta_tcvae",
    "elbo.inference.capacity",
    "elbo.inference.cavi",
    "elbo.inference.ep",
    "elbo.inference.factorvae",
    "elbo.inference.free_bits",
    "elbo.inference.full_vb",
    "elbo.inference.gibbs",
    "elbo.inference.hmc",
    "elbo.inference.iwae",
    "elbo.inference.mcem",
    "elbo.inference.svi",
    "elbo.inference.vampprior",
    "elbo.inference.wake_sleep",
)
"""Each is run by its ``fit``. The names that they were published under before are kept until version 0.2."""

MODULES = (
    "elbo.companion",
    "elbo.data",
    "elbo.densities",
    "elbo.devices",
    "elbo.disentanglement",
    "elbo.estimators",
    "elbo.estimators.bounds",
    "elbo.estimators.marginal_likelihood",
    *ALGORITHMS,
    "elbo.inference.climb",
    "elbo.inference.diagnostics",
    "elbo.inference.score_function",
    "elbo.inference.sgvb",
    "elbo.inference.stack",
    "elbo.inference.train",
    "elbo.models.gaussian_mixture",
    "elbo.models.linear_gaussian",
    "elbo.models.mixture_family",
    "elbo.models.regression",
    "elbo.models.unit_mixture",
    "elbo.models.vae",
    "elbo.training",
)


def public() -> dict[str, tuple[ModuleType, tuple[str, ...]]]:
    """Every public module, imported, with its public names."""
    modules = {name: importlib.import_module(name) for name in MODULES}
    return {name: (module, tuple(module.__all__)) for name, module in modules.items()}
