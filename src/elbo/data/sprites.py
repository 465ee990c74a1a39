"""dSprites as a data set: 737,280 images that are made (or looked up) when asked for."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from elbo.data import dsprites, parse
from elbo.data.registry import DATASETS, OFFICIAL_DSPRITES, DataError

__all__ = ["Sprites", "official", "rendered"]


@dataclasses.dataclass(frozen=True)
class Sprites:
    """The 737,280 images of dSprites, indexed by their factors; ``sprites[index]`` gives images to train on.

    Attributes:
        source: ``"rendered"`` (a reconstruction) or ``"official"`` (the published file).
        shape: ``(64, 64)``.
        factors, sizes: the names of the six factors and how many values each has; posY runs fastest in the flat index.
        render: flat ``(batch,)`` or factor indices ``(batch, 6)`` (or ``(batch, 5)``, without the color) to ``(batch,
            64, 64)`` uint8 of 0 and 1.
        binarisation: ``"fixed"``: the images are binary as they are.
        sha256: rendered: of 720 images as unsigned bytes, every shape, scale and orientation at posX = posY = 16;
            official: of the file.
    """

    name: str
    source: str
    shape: tuple[int, int]
    factors: tuple[str, ...]
    sizes: tuple[int, ...]
    render: Callable[[Tensor], Tensor]
    device: torch.device
    binarisation: str
    sha256: str
    licence: str
    citation: str
    note: str

    def __len__(self) -> int:
        return dsprites.COUNT

    def __getitem__(self, index: Tensor) -> Tensor:
        """Images ``(batch, 4096)`` float32 of 0 and 1, on the device of ``index`` (official: of the data set)."""
        return self.render(index).flatten(1).to(torch.float32)

    def classes(self, index: Tensor) -> Tensor:
        """Factor indices ``(..., 6)`` of flat indices ``(...)``."""
        return dsprites.classes(index)

    def values(self, factors: Tensor) -> Tensor:
        """Factor values ``(..., 6)`` of factor indices ``(..., 6)``; see :func:`elbo.data.dsprites.values`."""
        return dsprites.values(factors)

    def flat_index(self, factors: Tensor) -> Tensor:
        """Flat indices ``(...)`` of factor indices ``(..., 6)`` or ``(..., 5)``."""
        return dsprites.flat_index(factors)

    def sample(self, count: int, generator: torch.Generator) -> Tensor:
        """Flat indices ``(count,)`` drawn uniformly with replacement, on the data set's device."""
        return torch.randint(len(self), (count,), generator=generator, device=generator.device).to(self.device)


def rendered(device: torch.device | str | None = None) -> Sprites:
    """The reconstruction: a table of a few megabytes; :func:`elbo.data.dsprites.render` does the work."""
    middle = torch.arange(720) * 1024 + 16 * 32 + 16
    sha256 = hashlib.sha256(dsprites.render(middle).numpy()).hexdigest()
    note = (
        "a reconstruction: rendered from the factors by a geometry fitted to published images, "
        "not the published file itself; load('dsprites', source='official') reads that one"
    )
    return _sprites("rendered", dsprites.render, device, sha256, DATASETS["dsprites"].licence, note)


def official(path: Path, device: torch.device | str | None = None) -> Sprites:
    """The published file, read without its pickled part; 377 MB in memory (a bit a pixel).

    Raises:
        DataError: the file is damaged, or its images are not all there, in the order of the factors.
    """
    rows, factors = parse.dsprites(path)
    if len(rows) != dsprites.COUNT or not torch.equal(factors, dsprites.classes(torch.arange(len(rows)))):
        name = Path(OFFICIAL_DSPRITES.path).name
        raise DataError(f"{path} does not hold the 737,280 images of dSprites in order; put the published {name} there")
    rows = rows.to(device)
    with path.open("rb") as stream:
        sha256 = hashlib.file_digest(stream, "sha256").hexdigest()

    def look_up(index: Tensor) -> Tensor:
        """Look up published images, ``(batch,)`` or ``(batch, 6)`` indices to ``(batch, 64, 64)`` uint8."""
        flat = dsprites.flat_index(index) if index.dim() == 2 else index
        return dsprites.unpack(rows[flat.to(rows.device)])

    note = "the published file, bit by bit; its pickled metadata is not read"
    return _sprites("official", look_up, device, sha256, DATASETS["dsprites-official"].licence, note)


def _sprites(source: str, render, device, sha256: str, licence: str, note: str) -> Sprites:
    names, sizes, citation = dsprites.FACTORS, dsprites.SIZES, DATASETS["dsprites"].citation
    device = torch.device(device or "cpu")
    return Sprites("dsprites", source, (64, 64), names, sizes, render, device, "fixed", sha256, licence, citation, note)
