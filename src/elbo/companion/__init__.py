"""The publishing wing: run a chapter, accept or refuse the run, build the book, publish a figure with its record.

It knows nothing of the mathematics. A chapter uses these names: :func:`begin`, :func:`settled`, :func:`figure`,
:func:`source`, :func:`checkpoint`, :func:`end`.
"""

from importlib import import_module
from typing import Any

__all__ = ["begin", "checkpoint", "end", "figure", "settled", "source"]

_HOME = {
    "begin": "kernel.session",
    "checkpoint": "kernel.session",
    "end": "kernel.session",
    "settled": "kernel.session",
    "figure": "kernel.publish",
    "source": "kernel.excerpt",
}


def __getattr__(name: str) -> Any:
    # Loaded on first use: the command line imports this package and must answer before matplotlib could be imported.
    if name in _HOME:
        return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
