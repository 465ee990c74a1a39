"""Every algorithm is run by ``fit``; what was published under another name keeps it for one release."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

__all__ = ["former_name"]

P = ParamSpec("P")
R = TypeVar("R")


def former_name(function: Callable[P, R], name: str) -> Callable[P, R]:
    """The same function under the name that it had before, with a docstring that says so."""

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        return function(*args, **kwargs)

    call.__name__ = call.__qualname__ = name
    call.__doc__ = f"Former name of :func:`{function.__module__}.{function.__name__}`, kept until version 0.2."
    return call
