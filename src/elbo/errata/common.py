"""What the checks share: a row of numbers, and Gaussians on a grid."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

__all__ = ["GRID", "Row", "integrate", "log_normal", "normal"]

GRID = np.linspace(-15.0, 15.0, 30_001)
"""Points of all one-dimensional integrals; the trapezoid rule on it is exact to rounding for the densities of the
checks."""


class Row(NamedTuple):
    """One comparison.

    Attributes:
        case: which quantity, for which numbers.
        exact: its value by a route that uses neither formula (quadrature, enumeration, optimisation).
        printed: what the text as printed gives: a number, or a word for a statement without one; ``None`` where the
            slip leaves nothing to evaluate.
        corrected: what the correction gives.
    """

    case: str
    exact: float
    printed: float | str | None
    corrected: float


def integrate(values: np.ndarray) -> float:
    """Integral over the grid by the trapezoid rule."""
    return float(np.trapezoid(values, GRID))


def log_normal(x: np.ndarray | float, mean: np.ndarray | float, variance: np.ndarray | float) -> np.ndarray:
    """Log-density of a Gaussian."""
    return -0.5 * ((x - mean) ** 2 / variance + np.log(2 * np.pi * variance))


def normal(x: np.ndarray | float, mean: np.ndarray | float, variance: np.ndarray | float) -> np.ndarray:
    """Density of a Gaussian."""
    return np.exp(log_normal(x, mean, variance))
