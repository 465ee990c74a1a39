"""Training: one loop for every model of the book (:func:`fit`), on a stack of models, with randomness as data."""

from elbo.devices import resolve_device
from elbo.training.blocks import Block, Noise, keyed_generator
from elbo.training.checkpoint import CheckpointError, load_checkpoint, require_same_settings, save_checkpoint
from elbo.training.loop import Fitted, fit
from elbo.training.optimisers import Adagrad, Adam, make_optimiser
from elbo.training.resume import fingerprint
from elbo.training.step import make_step

__all__ = [
    "Adagrad",
    "Adam",
    "Block",
    "CheckpointError",
    "Fitted",
    "Noise",
    "fingerprint",
    "fit",
    "keyed_generator",
    "load_checkpoint",
    "make_optimiser",
    "make_step",
    "require_same_settings",
    "resolve_device",
    "save_checkpoint",
]
