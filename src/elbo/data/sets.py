"""``load(name)``: the one door to the data."""

from __future__ import annotations

import dataclasses
import hashlib
import os
from collections.abc import Callable

import torch
from torch import Tensor

from elbo import ledger
from elbo.data import parse, store
from elbo.data.registry import DATASETS

__all__ = ["BINARISATIONS", "Dataset", "load", "loaded", "note_loaded"]

BINARISATIONS = ("grey", "threshold", "fixed", "fresh")
_FIXED_SEED = 20130613


@dataclasses.dataclass(frozen=True)
class Dataset:
    """Images, what they are, and where they come from.

    Attributes:
        name, split: what was asked for.
        images: ``(N, rows * columns)`` float32 in [0, 1], row by row (``photos``: ``(2, 427, 640, 3)`` uint8).
        shape: ``(rows, columns)``.
        labels: ``(N,)`` int64, or None.
        binarisation: how the images stand to binary data. ``"grey"``: intensities in [0, 1], to be modelled as they
            are. ``"threshold"``: 1 where the intensity is above one half, else 0. ``"fixed"``: one Bernoulli draw a
            pixel, with the intensity as its probability, from a seed of the package: 0 or 1, the same for ever.
            ``"fresh"``: ``images`` holds the intensities, and *the training loop draws* ``x ~ Bernoulli(images)`` anew
            for each minibatch.
        sha256: of the unsigned bytes of this split as published (before scaling and binarisation), image after image.
        licence, citation, note: to be shown with whatever is made from the data; the note states the split and the
            scaling.
    """

    name: str
    split: str
    images: Tensor
    shape: tuple[int, int]
    labels: Tensor | None
    binarisation: str
    sha256: str
    licence: str
    citation: str
    note: str

    def __len__(self) -> int:
        return len(self.images)


@dataclasses.dataclass(frozen=True)
class _Kind:
    """How one data set is read: its parser, its default binarisation, the value of white, its splits."""

    read: Callable[[str, str | os.PathLike | None, bool], tuple[Tensor, Tensor | None]]
    default: str
    white: int
    splits: tuple[str, ...]
    note: str


_KINDS = {
    "digits": _Kind(
        parse.digits, "fresh", 16, ("train", "test", "all"),
        "intensities 0..16 divided by 16; within each class every fifth scan in file order is held out "
        "(1,442 train, 355 test), so the same 13 writers are on both sides",
    ),
    "mnist": _Kind(
        parse.mnist, "fresh", 255, ("train", "test", "all", "train-50000", "validation"),
        "intensities 0..255 divided by 255; the published 60,000 train and 10,000 test scans "
        "(train-50000 and validation: the first 50,000 and the last 10,000 of train)",
    ),
    "frey": _Kind(
        parse.frey, "grey", 255, ("train", "test", "all"),
        "intensities 0..255 divided by 255, so a log-density of these images is larger by "
        "560 ln 255 = 3103.1 nats than on the scale 0..255; the 1,965 frames in 15 blocks of 131 consecutive "
        "ones, every fifth block held out (1,572 train, 393 test), "
        "because neighbouring frames are nearly equal",
    ),
}  # fmt: skip


def load(
    name: str,
    *,
    split: str | None = None,
    binarise: str | None = None,
    source: str | None = None,
    device: str | torch.device | None = None,
    root: str | os.PathLike | None = None,
    download: bool = True,
):
    """Load a data set by name.

    ============  =====================  =========  =====================================  =======================
    name          images                 default    splits                                 comes from
    ============  =====================  =========  =====================================  =======================
    ``digits``    (1797, 64) in [0, 1]   fresh      train (1,442), test (355)              embedded
    ``mnist``     (70000, 784), [0, 1]   fresh      train (60,000), test (10,000),         fetched (11 MB)
                                                    train-50000, validation
    ``frey``      (1965, 560) in [0, 1]  grey       train (1,572), test (393)              fetched (1 MB)
    ``photos``    (2, 427, 640, 3)       grey       all                                    embedded
    ``dsprites``  737,280 of 64x64, 0/1  fixed      all                                    rendered (a reconstruction)
    ============  =====================  =========  =====================================  =======================

    Args:
        name: one of the names above.
        split: ``"train"`` (default where there is one), ``"test"`` or ``"all"``; see the table.
        binarise: ``"grey"`` (alias ``"none"``), ``"threshold"``, ``"fixed"`` or ``"fresh"``, see :class:`Dataset`;
            None takes the default.
        source: for ``dsprites``: ``"rendered"`` (default, a reconstruction from the factors) or ``"official"`` (the
            published file, 26 MB).
        device: where the tensors live; default the CPU.
        root: the data folder; default the environment variable ``ELBO_DATA``, else a folder of the user's cache.
        download: fetch a missing file (default); False raises instead.

    Returns:
        A :class:`Dataset`; for ``dsprites`` an :class:`elbo.data.sprites.Sprites`, which holds no image but renders (or
        looks up) those asked for.

    Raises:
        ValueError: an unknown name, split, binarisation or source.
        DataError: a file is missing, truncated, altered, or cannot be fetched.
    """
    choices = (*_KINDS, "photos", "dsprites")
    if name not in choices:
        raise ValueError(f"no data set is called {name!r}; choose one of {', '.join(choices)}")
    if source is not None and name != "dsprites":
        raise ValueError(f"only dsprites has a source to choose, {name!r} has one only; leave source out")
    if name == "photos":
        return _photos(split, binarise, device)
    if name == "dsprites":
        return _dsprites(split, binarise, source or "rendered", device, root, download)
    kind = _KINDS[name]
    split = _one_of("split", split or "train", kind.splits, name)
    binarise = _one_of("binarise", "grey" if binarise == "none" else binarise or kind.default, BINARISATIONS, name)
    pixels, labels = kind.read(split, root, download)
    sha256 = _record(name, split, pixels)
    images = (pixels.reshape(len(pixels), -1).to(torch.float32) / kind.white).to(device)
    labels = None if labels is None else labels.to(device)
    about, shape = DATASETS[name], tuple(pixels.shape[1:])
    return Dataset(
        name,
        split,
        _binarise(images, binarise),
        shape,
        labels,
        binarise,
        sha256,
        about.licence,
        about.citation,
        kind.note,
    )


def note_loaded(name: str, content: bytes) -> None:
    """Put data that came another way than through :func:`load` on the list of :func:`loaded`."""
    ledger.note("data", name, hashlib.sha256(content).hexdigest())


def loaded() -> dict[str, str]:
    """What this process has loaded so far: ``{"name/split": sha256}``; a figure records it."""
    return ledger.noted("data")


def _binarise(images: Tensor, how: str) -> Tensor:
    if how == "threshold":
        return (images > 0.5).to(images.dtype)
    if how == "fixed":  # drawn on the CPU: the same bits whatever the device
        generator = torch.Generator().manual_seed(_FIXED_SEED)
        return (torch.rand(images.shape, generator=generator) < images.cpu()).to(images)
    return images


def _record(name: str, split: str, pixels: Tensor) -> str:
    digest = hashlib.sha256(pixels.contiguous().numpy()).hexdigest()
    ledger.note("data", f"{name}/{split}", digest)
    return digest


def _one_of(argument: str, value: str, choices: tuple[str, ...], name: str) -> str:
    if value not in choices:
        raise ValueError(f"{name} has no {argument}={value!r}; choose one of {', '.join(map(repr, choices))}")
    return value


def _photos(split: str | None, binarise: str | None, device: str | torch.device | None) -> Dataset:
    _one_of("split", split or "all", ("all",), "photos")
    _one_of("binarise", binarise or "grey", ("grey", "none"), "photos")
    pixels = parse.photos()
    about = DATASETS["photos"]
    note = "two RGB photographs, 0..255 unsigned bytes, (photo, row, column, channel): a temple, a flower"
    digest = _record("photos", "all", pixels)
    return Dataset(
        "photos", "all", pixels.to(device), (427, 640), None, "grey", digest, about.licence, about.citation, note
    )


def _dsprites(split, binarise, source, device, root, download):
    from elbo.data import sprites

    _one_of("split", split or "all", ("all",), "dsprites")
    _one_of("binarise", binarise or "fixed", ("fixed", "grey", "none"), "dsprites")
    _one_of("source", source, ("rendered", "official"), "dsprites")
    if source == "rendered":
        record = sprites.rendered(device)
    else:
        record = sprites.official(store.need(DATASETS["dsprites-official"].files[0], root, download), device)
    ledger.note("data", f"dsprites/{source}", record.sha256)
    return record
