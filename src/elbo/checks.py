"""What the library asks of its arguments, said in one way: the sentence names the argument and what it should be."""

from __future__ import annotations

import math
from numbers import Real

from torch import Tensor

__all__ = ["floating", "natural", "positive"]


def floating(**named: Tensor) -> None:
    """Every argument is a tensor of floating point: whole numbers would be rounded on the way, silently.

    Raises:
        TypeError: one is not; the sentence names it.
    """
    for name, value in named.items():
        if not isinstance(value, Tensor):
            raise TypeError(f"{name} must be a tensor of floating point, got {type(value).__name__}")
        if not value.is_floating_point():
            raise TypeError(f"{name} must be a tensor of floating point, got {value.dtype}: convert it with .float()")


def natural(**named: int) -> None:
    """Every argument is a whole number, one at least.

    Raises:
        ValueError: one is not; the sentence names it.
    """
    for name, value in named.items():
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise ValueError(f"{name} must be at least 1, a whole number, got {value!r}")


def positive(**named: float) -> None:
    """Every argument is a number above zero, neither infinite nor NaN.

    Raises:
        ValueError: one is not; the sentence names it.
    """
    for name, value in named.items():
        if isinstance(value, bool) or not isinstance(value, Real) or not 0 < value < math.inf:
            raise ValueError(f"{name} must be positive and finite, got {value!r}")
