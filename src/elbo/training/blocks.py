"""Randomness as data: every minibatch index and every noise of a block of steps, a pure function of (seed, block).

The step that trains draws nothing. So there is no generator state to save or to restore, a run resumed at a block
boundary is the run that was never interrupted, and a model of a sweep can be trained again alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Literal

import torch
from torch import Tensor

__all__ = ["Block", "Noise", "keyed_generator"]


def keyed_generator(device: torch.device | str, *key: int | str) -> torch.Generator:
    """A generator seeded with the blake2b hash of a key, for example ``(seed, "block", 7)``.

    The CPU generator of torch uses the low 32 bits of its seed: among n keys two share a stream with probability about
    n^2 / 2^33, harmless for training.
    """
    digest = blake2b("/".join(map(str, key)).encode(), digest_size=8).digest()
    return torch.Generator(device).manual_seed(int.from_bytes(digest, "big"))


@dataclass(frozen=True)
class Noise:
    """What one model needs at one step.

    Attributes:
        kind: ``"normal"``, standard, or ``"uniform"`` on [0, 1); ``"steps"`` is no noise: the number of steps taken
            before this one, for what changes as training goes on.
        shape: of one step, for example ``(batch, latent_dim)``.
        widths: how much of the last axis each member draws; the rest stays zero. So a member with fewer latents than
            the stack has sees the noise that it would see alone. ``None``: all of it.
    """

    kind: Literal["normal", "uniform", "steps"]
    shape: tuple[int, ...]
    widths: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        if self.kind not in ("normal", "uniform", "steps"):
            raise ValueError(f"noise must be 'normal', 'uniform' or 'steps', got {self.kind!r}")

    def draw(self, out: Tensor, member: int, generator: torch.Generator) -> None:
        """Fill ``out``, ``(steps, *shape)`` and contiguous, for one member."""
        width = self.shape[-1] if self.widths is None else self.widths[member]
        drawn = out if width == self.shape[-1] else out.new_empty(*out.shape[:-1], width)
        if self.kind == "normal":  # only a contiguous tensor gets the same numbers from the same seed
            drawn.normal_(generator=generator)
        else:
            drawn.uniform_(generator=generator)
        if drawn is not out:
            out[..., :width] = drawn


class Block:
    """Buffers for the minibatches and the noise of ``steps`` steps of every member; their addresses never change."""

    def __init__(
        self,
        seeds: Sequence[int],
        steps: int,
        batch_size: int,
        count: int,
        noise: Mapping[str, Noise],
        like: Tensor,
    ) -> None:
        """``count`` is the number of data, ``like`` a tensor whose device and dtype the noise takes."""
        self.seeds, self.count, self.spec, self.device = list(seeds), count, dict(noise), like.device
        lead = (len(self.seeds), steps)
        self.index = torch.zeros(*lead, batch_size, dtype=torch.long, device=like.device)
        self.noise = {name: like.new_zeros(*lead, *n.shape) for name, n in self.spec.items()}

    def fill(self, number: int) -> None:
        """Draw block ``number``: for each member the indices, with replacement, then each noise in its order."""
        for member, seed in enumerate(self.seeds):
            generator = keyed_generator(self.device, seed, "block", number)
            self.index[member].random_(self.count, generator=generator)
            for name, noise in self.spec.items():
                out = self.noise[name][member]
                if noise.kind == "steps":
                    taken = torch.arange(number * len(out), (number + 1) * len(out), device=self.device)
                    out.copy_(taken.view(-1, *[1] * len(noise.shape)).expand_as(out))
                else:
                    noise.draw(out, member, generator)

    def at(self, step: int) -> tuple[Tensor, dict[str, Tensor]]:
        """Indices ``(members, batch)`` and noise ``(members, ...)`` of one step of the block."""
        return self.index[:, step], {name: buffer[:, step] for name, buffer in self.noise.items()}
