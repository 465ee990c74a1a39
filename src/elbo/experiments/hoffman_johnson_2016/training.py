"""The variational autoencoders on which the chapter operates, trained once and kept at several moments of their
training.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from elbo.data import load
from elbo.inference import aevb
from elbo.inference.stack import Trained
from elbo.models.vae import VAE, Params

__all__ = ["Runs", "evaluation_epochs", "train_models"]


@dataclass(frozen=True)
class Runs:
    """A stack of autoencoders at growing ages.

    Attributes:
        images, held_out: ``(N, pixels)`` black and white training images, and those not trained on.
        epochs: ages, in passes over the training set.
        trained: the stack at each age.
    """

    images: Tensor
    held_out: Tensor
    epochs: tuple[float, ...]
    trained: tuple[Trained, ...]

    @property
    def members(self) -> list[tuple[int, int, int]]:
        """``(member, latent_dim, seed)`` of the stack."""
        last = self.trained[-1]
        return list(zip(range(len(last)), last.latent_dims, last.seeds))

    def member(self, latent_dim: int, seed: int | None = None) -> int:
        """Number of the first member with this size of code (and seed).

        Raises:
            ValueError: there is none.
        """
        for member, dim, own in self.members:
            if dim == latent_dim and seed in (None, own):
                return member
        raise ValueError(
            f"no model with {latent_dim} latents was trained; there are {sorted({d for _, d, _ in self.members})}"
        )

    def model(self, member: int, age: int = -1) -> tuple[VAE, Params]:
        """Shapes and parameters of one member at one age."""
        return self.trained[age].member_model(member), self.trained[age].member(member)

    def encodings(
        self, member: int, age: int = -1, images: Tensor | None = None, chunk: int = 5000
    ) -> tuple[Tensor, Tensor]:
        """Mean and log-variance of the encodings of the training set (or of other images), ``(N, D)`` each."""
        model, params = self.model(member, age)
        with torch.no_grad():
            parts = [model.encode(params, part) for part in (self.images if images is None else images).split(chunk)]
        mean, log_var = (torch.cat(column) for column in zip(*parts))
        return mean, log_var


def train_models(
    data: str,
    latent_dims: Sequence[int],
    seeds: Sequence[int],
    *,
    hidden: int,
    epochs: float,
    batch_size: int,
    learning_rate: float,
    ages: int = 1,
    split: str = "train",
    device: str = "auto",
) -> Runs:
    """Train one autoencoder for each size of code and seed, with AEVB and Adam on binary images; keep ``ages`` moments.

    Pixels are drawn once from the grey levels (``binarise="fixed"``): the aggregated posterior is a mixture over
    ``N`` given images. There is no prior on the weights. All ages are moments of one training.

    Raises:
        ValueError: as :func:`elbo.inference.aevb.fit`.
    """
    train = load(data, split=split, binarise="fixed")
    held_out = load(data, split="test", binarise="fixed")
    stack = [(dim, seed) for dim in latent_dims for seed in seeds]
    block = 20
    steps = evaluation_epochs(max(1, round(epochs * len(train) / batch_size / block)), ages)
    moments = [blocks * block * batch_size for blocks in steps]
    trained: list[Trained] = []
    aevb.fit(
        VAE(train.images.shape[1], hidden=hidden),
        train,
        samples=moments[-1],
        batch_size=batch_size,
        seeds=[seed for _, seed in stack],
        latent_dims=[dim for dim, _ in stack],
        weight_prior=False,
        optimiser="adam",
        learning_rate=learning_rate,
        block=block,
        device=device,
        compile=False,
        snapshot=trained.append,
        snapshot_at=moments,
    )
    device = next(iter(trained[-1].params.values())).device
    return Runs(
        train.images.to(device),
        held_out.images.to(device),
        tuple(moment / len(train) for moment in moments),
        tuple(trained),
    )


def evaluation_epochs(last: int, count: int) -> list[int]:
    """At most ``count`` whole numbers up to ``last``, about evenly spaced in the logarithm, ``last`` among them."""
    return sorted({max(1, round(last ** ((k + 1) / count))) for k in range(count)})
