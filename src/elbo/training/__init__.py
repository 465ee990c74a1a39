"""Training: one loop for every model of the book (:func:`fit`), on a stack of models, with randomness as data."""

from elbo.devices import resolve_device
from elbo.training.blocks import Block, Noise, keyed_generator
from elbo.training.checkpoint import CheckpointError, load_checkpoint, save_checkpoint
from elbo.training.loop import Fitted, fit
from elbo.training.optimisers import Adagrad, Adam, make_optimiser

__all__ = [
    "Adagrad",
    "Adam",
    "Block",
    "CheckpointError",
    "Fitted",
    "Noise",
    "fit",
    "keyed_generator",
    "load_checkpoint",
    "make_optimiser",
    "resolve_device",
    "save_checkpoint",
]
