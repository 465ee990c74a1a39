"""The one Sphinx extension that a book lists: it registers all others, those of the scoreboard and the errata too.

The parts whose directives judge numbers live with what they judge and are named here as text; this package imports
nothing of the mathematics.
"""

from __future__ import annotations

from typing import Any

from sphinx.application import Sphinx

__all__ = ["PARTS", "setup"]

PARTS = (
    "elbo.companion.pages.katex",
    "elbo.companion.pages.figures",
    "elbo.companion.pages.gallery",
    "elbo.companion.pages.meta",
    "elbo.companion.pages.reading",
    "elbo.scoreboard.page",
    "elbo.errata.page",
    "elbo.companion.pages.marks",
    "elbo.companion.pages.verified",
    "elbo.companion.pages.api",
    "elbo.live.page",
    "elbo.live.gallery",
    "elbo.companion.pages.pack",
    "elbo.companion.pages.paper",
)
"""In the order in which they are set up; where two listen to one event, the earlier is called first."""


def setup(app: Sphinx) -> dict[str, Any]:
    """Set up every one of :data:`PARTS`."""
    for part in PARTS:
        app.setup_extension(part)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
