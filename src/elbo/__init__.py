"""Carving the ELBO: variational inference as four papers tell it, in one notation.

The way of the data is one direction: ``data -> models -> inference -> estimators -> experiments -> figures``.
``elbo.companion`` publishes what comes out and knows nothing of the mathematics.

Conventions, stated once: every quantity is in nats per datum, functions of a batch return ``(batch,)`` and never
reduce, normalising constants are kept, and whatever draws takes an explicit ``torch.Generator``.
"""

from __future__ import annotations

from importlib import metadata as _metadata

__all__ = ["__version__"]


def __getattr__(name: str) -> str:
    """``__version__``, from the metadata of the installed package, when it is asked for.

    ``0.2.0`` is a release, ``0.2.1.dev12+g0123456789`` twelve commits after it, with the commit; ``0+unknown`` is a
    package that nobody has installed.
    """
    if name == "__version__":
        try:
            return _metadata.version("carving-the-elbo")
        except _metadata.PackageNotFoundError:
            return "0+unknown"
    raise AttributeError(f"module 'elbo' has no attribute {name!r}")
