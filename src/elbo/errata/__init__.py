"""Errata: each correction of the page with the numbers that show it, computed when the page is built.

``CHECKS`` maps the name of an erratum to a function without arguments that returns :class:`Row` s: the exact value by
an independent route, the value of the text as printed, and that of the correction.
"""

from elbo.errata import beta, bound, data_set, papers
from elbo.errata.common import Row

__all__ = ["CHECKS", "Row"]

CHECKS = {
    name.replace("_", "-"): getattr(module, name)
    for module in (bound, data_set, beta, papers)
    for name in module.__all__
}
"""Name of an erratum to its check."""
