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
    """``__version__``, from the metadata of the installed package, when it is asked for."""
    if name == "__version__":
        return _metadata.version("carving-the-elbo")
    raise AttributeError(f"module 'elbo' has no attribute {name!r}")
