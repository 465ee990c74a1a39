"""What is measured: the forms of the ELBO, the exact aggregated posterior, and ELBO surgery."""

from elbo.estimators.aggregate_posterior import draw_codes, log_aggregate_posterior, log_dimension_marginals
from elbo.estimators.minibatch import batch_terms
from elbo.estimators.surgery import Dependence, Estimate, Surgery, code_terms, dependence, surgery

__all__ = [
    "Dependence",
    "Estimate",
    "Surgery",
    "batch_terms",
    "code_terms",
    "dependence",
    "draw_codes",
    "log_aggregate_posterior",
    "log_dimension_marginals",
    "surgery",
]
