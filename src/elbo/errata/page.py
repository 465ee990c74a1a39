"""Sphinx extension: the directive ``{erratum-check} <name>``, numbers that are computed when the page is built.

The functions come from the module that ``elbo_errata`` in the configuration names (it has a mapping ``CHECKS``), so
that this package keeps knowing nothing of the mathematics. A check whose correction does not give the exact value stops
the build.
"""

from __future__ import annotations

import importlib
import math

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from elbo.companion.kernel import excerpt

__all__ = ["Check", "setup", "table", "wrong"]

_HEAD = ("quantity", "exact", "as printed", "corrected")


class Check(SphinxDirective):
    """``{erratum-check} <name>``: a table of exact, printed and corrected values, with the source of the function
    behind it."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        checks = importlib.import_module(self.config.elbo_errata).CHECKS
        name = self.arguments[0]
        if name not in checks:
            raise self.error(f"there is no check {name!r}; there are {', '.join(checks)}")
        rows = checks[name]()
        if failed := wrong(rows):
            raise self.error(
                f"check {name}: the correction does not give the exact value of {failed}; mend the page or the check"
            )
        code, place = excerpt.text(checks[name])
        source = nodes.literal_block(code, code, language="python")
        frame = nodes.container("", table(rows), classes=["elbo-erratum"], ids=[f"erratum-{name}"])
        frame += [
            nodes.raw("", "<details><summary>How these numbers were computed</summary>", format="html"),
            source,
            nodes.paragraph("", "", nodes.emphasis("", place)),
            nodes.raw("", "</details>", format="html"),
        ]
        return [frame]


def wrong(rows: list, tolerance: float = 1e-6) -> str:
    """The first row whose corrected value is not the exact one up to rounding; empty if there is none."""
    for row in rows:
        if not math.isclose(row.exact, row.corrected, rel_tol=tolerance, abs_tol=tolerance):
            return row.case
    return ""


def table(rows: list) -> nodes.table:
    """Quantity, exact, printed and corrected value of every row."""
    group = nodes.tgroup("", *(nodes.colspec(colwidth=width) for width in (40, 20, 20, 20)), cols=4)
    group += nodes.thead("", _row(_HEAD))
    group += nodes.tbody(
        "", *(_row((row.case, _number(row.exact), _number(row.printed), _number(row.corrected))) for row in rows)
    )
    return nodes.table("", group, classes=["elbo-erratum-table"])


def _row(texts: tuple[str, ...]) -> nodes.row:
    return nodes.row("", *(nodes.entry("", nodes.paragraph("", text)) for text in texts))


def _number(value: float | str | None) -> str:
    if value is None:
        return "\N{EN DASH}"
    return value if isinstance(value, str) else f"{value + 0.0:.5g}".replace("-", "\N{MINUS SIGN}")


def setup(app: Sphinx) -> dict:
    """Register the directive ``erratum-check`` and the configuration value ``elbo_errata``."""
    app.add_config_value("elbo_errata", "elbo.errata", "env", types=[str])
    app.add_directive("erratum-check", Check)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
