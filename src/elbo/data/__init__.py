"""Data sets: ``load(name)`` gives tensors with documented shapes, ranges, splits and binarisation.

Embedded: ``digits``, ``photos`` (scikit-learn) and ``dsprites`` (rendered, a reconstruction). Fetched, verified and
cached: ``mnist``, ``frey`` and the official dSprites file. The cache is the folder named by the environment variable
``ELBO_DATA``, or a folder of the user's cache. Importing this module loads neither torch nor torchvision.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from elbo.data.registry import DATASETS, DataError

if TYPE_CHECKING:
    from elbo.data import dsprites
    from elbo.data.curves import paper_curves
    from elbo.data.sets import Dataset, load, loaded
    from elbo.data.sprites import Sprites
    from elbo.data.store import Available, available, fetch, path, root

__all__ = [
    "DATASETS",
    "Available",
    "DataError",
    "Dataset",
    "Sprites",
    "available",
    "dsprites",
    "fetch",
    "load",
    "loaded",
    "paper_curves",
    "path",
    "root",
]

_HOME = {
    "Dataset": "sets", "load": "sets", "loaded": "sets", "Sprites": "sprites", "paper_curves": "curves",
    "Available": "store", "available": "store", "fetch": "store", "path": "store", "root": "store",
}  # fmt: skip


def __getattr__(name: str):
    """Import on first use (PEP 562), so that the command line can list data sets without importing torch."""
    if name == "dsprites":
        return importlib.import_module("elbo.data.dsprites")
    if name in _HOME:
        return getattr(importlib.import_module(f"elbo.data.{_HOME[name]}"), name)
    raise AttributeError(f"module 'elbo.data' has no attribute {name!r}")
