"""Sprites that are small enough for a processor, and beta-VAEs trained on them in one stack."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from elbo.data import Sprites
from elbo.devices import resolve_device
from elbo.experiments.higgins_2017.baselines import subgrid
from elbo.inference.aevb import Trained, aevb
from elbo.models.vae import VAE, Params
from elbo.training import keyed_generator

__all__ = ["Models", "SmallSprites", "beta_norm", "small_sprites", "train_models"]

PIXELS = 64 * 64  # of dSprites


@dataclass(frozen=True)
class SmallSprites:
    """A full grid of sprites, rendered once: ``images (N, side * side)`` grey levels in [0, 1], ``factors (N, 6)``
    indices and ``values (N, 6)`` as published, and ``side``. All on one device.
    """

    images: Tensor
    factors: Tensor
    values: Tensor
    side: int

    def __len__(self) -> int:
        return len(self.images)


def small_sprites(
    images: Sprites, side: int = 16, every: Sequence[int] = (1, 1, 1, 1, 1), device: str = "cpu"
) -> SmallSprites:
    """Every so-manieth sprite, each block of pixels averaged to one: ``64 / side`` pixels on a side.

    Args:
        images: ``elbo.data.load("dsprites")``.
        every: as for :func:`elbo.experiments.higgins_2017.subgrid`.

    Raises:
        ValueError: a side that does not divide 64, or what :func:`subgrid` raises.
    """
    if not 1 <= side <= 64 or 64 % side:
        raise ValueError(f"side must divide 64, got {side}; take 16, 32 or 64")
    target = resolve_device(device)
    rows, factors = subgrid(images, every)
    block = 64 // side
    pictures = [avg_pool2d(images.render(part).float().unsqueeze(1), block).flatten(1) for part in rows.split(4096)]
    return SmallSprites(torch.cat(pictures).to(target), factors.to(target), images.values(factors).to(target), side)


def beta_norm(beta: float, latent_dim: int, pixels: int = PIXELS) -> float:
    r"""The weight of the KL for one latent and one pixel, :math:`\beta_{norm} = \beta M / N`; Higgins et al. (2017)."""
    return beta * latent_dim / pixels


@dataclass(frozen=True)
class Models:
    """Trained models of a sweep.

    Attributes:
        sprites: what they were trained on.
        trained: the stack, whose own ``betas`` are the weights in the loss of these images.
        betas: the weights at 64 x 64 pixels, one a member; equal ``beta_norm`` for equal latent sizes.
        init_scale: of the start, so that it can be made again.
    """

    sprites: SmallSprites
    trained: Trained
    betas: tuple[float, ...]
    init_scale: float | str

    def members(self, beta: float | None = None, latent_dim: int | None = None) -> list[int]:
        """Members with this beta and this number of latents, in the order of their seeds.

        Raises:
            ValueError: there is none.
        """
        about = zip(self.betas, self.trained.latent_dims)
        found = [i for i, (b, d) in enumerate(about) if beta in (None, b) and latent_dim in (None, d)]
        if not found:
            known = f"betas {sorted(set(self.betas))}, latents {sorted(set(self.trained.latent_dims))}"
            raise ValueError(f"no model has beta {beta} and {latent_dim} latents; trained were {known}")
        return found

    def model(self, member: int, trained: bool = True) -> tuple[VAE, Params]:
        """Shapes and parameters of a member, after training or as it started."""
        shapes = self.trained.member_model(member)
        if trained:
            return shapes, self.trained.member(member)
        images = self.sprites.images
        generator = keyed_generator(images.device, self.trained.seeds[member], "start")
        return shapes, shapes.init(generator, self.init_scale, images.dtype)

    def encodings(self, member: int, trained: bool = True) -> tuple[Tensor, Tensor]:
        """Mean and log-variance of the encodings of all sprites, ``(N, D)`` each."""
        shapes, params = self.model(member, trained)
        with torch.no_grad():
            parts = [shapes.encode(params, part) for part in self.sprites.images.split(5000)]
        means, log_vars = zip(*parts)
        return torch.cat(means), torch.cat(log_vars)


def train_models(
    sprites: SmallSprites,
    betas: Sequence[float],
    latent_dims: Sequence[int],
    seeds: Sequence[int],
    *,
    hidden: int = 1200,
    samples: int = 1_000_000,
    batch_size: int = 64,
    optimiser: str = "adagrad",
    learning_rate: float = 1e-2,
    compile: bool | str = "auto",
    checkpoint=None,
    progress=None,
) -> Models:
    """Train every combination of beta, latent size and seed as one stack, on the device of the sprites.

    Two layers of ReLU units in the encoder, three of tanh units in the decoder and Bernoulli pixels, as in the first
    row of the paper's table 1, by secondary sources (there ``hidden`` is 1200, the optimiser Adagrad at 1e-2).

    Args:
        betas: as at 64 x 64 pixels; the loss of a smaller image takes ``beta * side**2 / 4096``, which leaves
            :func:`beta_norm` as it is.
        samples: images that each model sees.
        optimiser, learning_rate, compile, checkpoint, progress: as :func:`elbo.inference.aevb.aevb` takes them.

    Raises:
        ValueError: an empty sweep, or what ``aevb`` raises.
    """
    sweep = [(beta, size, seed) for size in latent_dims for beta in betas for seed in seeds]
    if not sweep:
        raise ValueError("nothing to train: betas, latent_dims and seeds need one value each at least")
    pixels = sprites.images.shape[1]
    shapes = VAE(pixels, hidden, activation="relu", decoder_activation="tanh", encoder_layers=2, decoder_layers=3)
    weights, sizes, starts = zip(*sweep)
    scale = "glorot"
    trained = aevb(
        shapes,
        sprites.images,
        samples=samples,
        batch_size=batch_size,
        seeds=starts,
        latent_dims=sizes,
        beta=[beta * pixels / PIXELS for beta in weights],
        weight_prior=False,
        optimiser=optimiser,
        learning_rate=learning_rate,
        init_scale=scale,
        binarisation="grey",
        device=sprites.images.device.type,
        compile=compile,
        checkpoint=checkpoint,
        progress=progress,
    )
    return Models(sprites, trained, tuple(float(beta) for beta in weights), scale)
