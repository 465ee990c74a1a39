"""Colours, markers and lines of this chapter that no other has: estimators, sizes of the code, the two parts of the
gap, the weights.

What the book's grammar has a name for (:mod:`elbo.figures.style`) is not here.
"""

from __future__ import annotations

from elbo.figures import style

__all__ = ["ESTIMATORS", "GAPS", "SIZES", "WEIGHTS"]

ESTIMATORS = {
    "score function": (style.BLACK, "v", ":"),
    "score function, baseline": (style.GREY, "D", "-."),
    "A": (style.VERMILION, "s", "--"),
    "B": (style.BLUE, "o", "-"),
    "path": (style.GREEN, "^", (0, (6, 2, 1, 2, 1, 2))),
}
"""Estimators of the bound and of its gradient."""

SIZES = (
    (style.BLACK, "o", "-"),
    (style.BLUE, "s", "--"),
    (style.GREEN, "^", "-."),
    (style.VERMILION, "D", (0, (5, 1, 1, 1))),
    (style.PURPLE, "v", ":"),
)
"""Sizes, from the smallest: of the code, or of a number of draws."""

GAPS = {"encoder": (style.VERMILION, "//", "--"), "best": (style.BLUE, "", "-")}
"""The encoder's Gaussian and the best one, and what is lost to either: colour, hatching, line."""

WEIGHTS = {"MAP": (style.VERMILION, "s", "--"), "full VB": (style.BLUE, "o", "-")}
"""What is done with the decoder's weights."""
