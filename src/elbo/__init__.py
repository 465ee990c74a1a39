"""Carving the ELBO: variational inference as four papers tell it, in one notation.

The way of the data is one direction: ``data -> models -> inference -> estimators -> experiments -> figures``.
``elbo.companion`` publishes what comes out and knows nothing of the mathematics.

Conventions, stated once: every quantity is in nats per datum, functions of a batch return ``(batch,)`` and never
reduce, normalising constants are kept, and whatever draws takes an explicit ``torch.Generator``.
"""

__version__ = "0.1.0"
