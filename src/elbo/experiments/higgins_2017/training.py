"""Sprites that are small enough for a processor, and beta-VAEs trained on them in one stack."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from elbo.data import Sprites
from elbo.devices import resolve_device
from elbo.experiments.higgins_2017.baselines import subgrid
from elbo.inference.aevb import objective
from elbo.inference.stack import Trained
from elbo.inference.train import How, Objective, Plan, train
from elbo.models.vae import VAE, Params
from elbo.training import keyed_generator

__all__ = ["INIT", "PIXELS", "Models", "SmallSprites", "beta_norm", "network", "small_sprites", "train_models"]

PIXELS = 64 * 64  # of dSprites
INIT = "glorot"


@dataclass(frozen=True)
class SmallSprites:
    """A full grid of sprites, rendered once; ``sprites[index]`` are grey levels in [0, 1], ``(..., side * side)``
    float32.

    Attributes:
        counts: ``(N, side * side)`` integers, how many of the pixels of a block are white: a byte each as a rule, so
            that the whole of dSprites takes 3 GB.
        levels: pixels in a block; 1 for sprites as they are.
        factors, values: ``(N, 6)`` indices, and values as published.
        side: pixels on a side.
    """

    counts: Tensor
    levels: int
    factors: Tensor
    values: Tensor
    side: int

    def __len__(self) -> int:
        return len(self.counts)

    def __getitem__(self, index: Tensor | slice) -> Tensor:
        found = self.counts[index].to(torch.float32)
        return found if self.levels == 1 else found.div_(self.levels)

    @property
    def device(self) -> torch.device:
        return self.counts.device

    def parts(self, size: int = 4096) -> Iterator[Tensor]:
        """All images in order, ``size`` at a time."""
        return (self[start : start + size] for start in range(0, len(self), size))


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
    whole = torch.uint8 if block**2 < 256 else torch.int16
    counts = torch.empty(len(rows), side * side, dtype=whole, device=target)
    for part, into in zip(rows.split(4096), counts.split(4096)):
        blocks = images.render(part).view(len(part), side, block, side, block)
        into.copy_(blocks.sum((2, 4), dtype=whole).flatten(1) if block > 1 else blocks.flatten(1))
    return SmallSprites(counts, block**2, factors.to(target), images.values(factors).to(target), side)


def beta_norm(beta: float, latent_dim: int, pixels: int = PIXELS) -> float:
    r"""The weight of the KL for one latent and one pixel, :math:`\beta_{norm} = \beta M / N`; Higgins et al. (2017)."""
    return beta * latent_dim / pixels


def network(sprites: SmallSprites, hidden: int, latent_dim: int = 20) -> VAE:
    """The network of the first row of the paper's table 1 (there of 1200 units), on sprites of this size."""
    layers = {"encoder_layers": 2, "decoder_layers": 3}
    return VAE(sprites.side**2, hidden, latent_dim, activation="relu", decoder_activation="tanh", **layers)


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
        generator = keyed_generator(self.sprites.device, self.trained.seeds[member], "start")
        return shapes, shapes.init(generator, self.init_scale)

    def on(self, sprites: SmallSprites) -> Models:
        """The same models, to be read on other sprites of the same size.

        Raises:
            ValueError: another size.
        """
        if sprites.side != self.sprites.side:
            raise ValueError(f"the models see {self.sprites.side} pixels on a side, these sprites have {sprites.side}")
        return replace(self, sprites=sprites)

    def alone(self, member: int) -> Models:
        """One member as a stack of its own."""
        of, pick = self.trained, slice(member, member + 1)
        own = replace(
            of,
            params={name: param[pick] for name, param in of.params.items()},
            seeds=of.seeds[pick],
            latent_dims=of.latent_dims[pick],
            betas=of.betas[pick],
        )
        return replace(self, trained=own, betas=self.betas[pick])

    def encodings(self, member: int, trained: bool = True) -> tuple[Tensor, Tensor]:
        """Mean and log-variance of the encodings of all sprites, ``(N, D)`` each."""
        shapes, params = self.model(member, trained)
        with torch.no_grad():
            parts = [shapes.encode(params, part) for part in self.sprites.parts()]
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
    checkpoint_seconds: float = 300.0,
    record=None,
    record_at: Sequence[int] = (),
    progress=None,
) -> Models:
    """Train every combination of beta, latent size and seed as one stack, on the device of the sprites.

    Two layers of ReLU units in the encoder, three of tanh units in the decoder and Bernoulli pixels, as in the first
    row of the paper's table 1 (appendix A.1; there ``hidden`` is 1200, the optimiser Adagrad at 1e-2).

    Args:
        betas: as at 64 x 64 pixels; the loss of a smaller image takes ``beta * side**2 / 4096``, which leaves
            :func:`beta_norm` as it is.
        samples: images that each model sees.
        optimiser, learning_rate: as :func:`elbo.training.make_optimiser` takes them.
        record: ``record(models) -> rows``, called with the models as they are after each of the ``record_at`` numbers
            of images; the rows, with a column ``samples``, become the history of the trained stack.
        compile, checkpoint, checkpoint_seconds, progress: as :func:`elbo.training.fit` takes them.

    Raises:
        ValueError: an empty sweep, or what ``fit`` raises.
        CheckpointError: the checkpoint is damaged or of another sweep.
        FloatingPointError: a loss that is not finite.
    """
    sweep = [(beta, size, seed) for size in latent_dims for beta in betas for seed in seeds]
    if not sweep:
        raise ValueError("nothing to train: betas, latent_dims and seeds need one value each at least")
    weights, sizes, starts = zip(*sweep)
    pixels = sprites.side**2

    def build(plan: Plan) -> Objective:
        loss, terms = objective(plan.model, plan.count, weight_prior=False)
        return Objective(loss, terms, plan.noise(), settings={"side": sprites.side})

    def models(trained: Trained) -> Models:
        return Models(sprites, trained, tuple(float(beta) for beta in weights), INIT)

    how = How(
        samples=samples,
        batch_size=batch_size,
        seeds=starts,
        latent_dims=sizes,
        beta=[beta * pixels / PIXELS for beta in weights],
        optimiser=optimiser,
        learning_rate=learning_rate,
        init_scale=INIT,
        snapshot=(lambda trained: record(models(trained))) if record else None,
        snapshot_at=tuple(record_at) if record else (),
        device=sprites.device.type,
        compile=compile,
        checkpoint=checkpoint,
        checkpoint_seconds=checkpoint_seconds,
        progress=progress,
    )
    return models(train(network(sprites, hidden), sprites, build, how))
