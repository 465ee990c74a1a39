"""Files to tensors: unsigned bytes ``(N, rows, columns)`` and labels, exactly as published. Nothing here unpickles."""

from __future__ import annotations

import gzip
import os
import tempfile
import zipfile
import zlib
from pathlib import Path
from typing import IO

import numpy as np
import torch
from torch import Tensor

from elbo.data import store
from elbo.data.frey import frames
from elbo.data.registry import DATASETS, DataError

__all__ = ["digits", "dsprites", "frey", "idx", "mnist", "photos"]

_Root = str | os.PathLike | None


_MOST = 1 << 26  # bytes that a packed file of a data set may unpack to, images of dSprites excepted


def digits(split: str, root: _Root = None, download: bool = True) -> tuple[Tensor, Tensor]:
    """scikit-learn's 8x8 scans: ``(N, 8, 8)`` uint8 in 0..16 and ``(N,)`` int64.

    The test split: scans 4, 9, 14, ... (from 0) of each class, in file order.
    """
    from sklearn.datasets import load_digits

    bunch = load_digits()
    pixels, labels = torch.from_numpy(bunch.images).to(torch.uint8), torch.from_numpy(bunch.target).to(torch.int64)
    if split == "all":
        return pixels, labels
    one_hot = torch.nn.functional.one_hot(labels)
    rank = one_hot.cumsum(0)[torch.arange(len(labels)), labels] - 1  # how many of its class came before
    rows = (rank % 5 == 4) == (split == "test")
    return pixels[rows], labels[rows]


def photos() -> Tensor:
    """scikit-learn's two sample photographs, ``(2, 427, 640, 3)`` uint8."""
    from sklearn.datasets import load_sample_images

    return torch.from_numpy(np.stack(load_sample_images().images))


def mnist(split: str, root: _Root = None, download: bool = True) -> tuple[Tensor, Tensor]:
    """MNIST: ``(N, 28, 28)`` uint8 and ``(N,)`` int64; splits train, test, all, train-50000, validation."""
    if split == "all":
        train, test = mnist("train", root, download), mnist("test", root, download)
        return torch.cat([train[0], test[0]]), torch.cat([train[1], test[1]])
    files = DATASETS["mnist"].files[2:] if split == "test" else DATASETS["mnist"].files[:2]
    pixels, labels = (idx(store.need(file, root, download)) for file in files)
    if len(pixels) != len(labels):
        raise DataError(
            f"mnist has {len(pixels)} images and {len(labels)} labels; run `elbo data fetch mnist` to replace the files"
        )
    rows = {"train-50000": slice(0, 50_000), "validation": slice(50_000, None)}.get(split, slice(None))
    return pixels[rows], labels[rows]


def idx(path: Path) -> Tensor:
    """Read a gzipped IDX file with torchvision's own reader: images ``(N, rows, columns)`` uint8, labels ``(N,)``.

    Raises:
        DataError: the file is not gzipped IDX.
    """
    from elbo.data._torchvision import torchvision

    reader = torchvision("datasets.mnist")
    read = reader.read_image_file if "idx3" in path.name else reader.read_label_file
    try:
        plain = _gunzipped(path)
        with tempfile.TemporaryDirectory() as folder:  # the reader wants a plain file; the data folder may be read-only
            file = Path(folder, path.stem)
            file.write_bytes(plain)
            return read(str(file))
    except (OSError, EOFError, zlib.error, ValueError, KeyError, TypeError, AssertionError, RuntimeError) as error:
        raise DataError(
            f"{path} is not a gzipped IDX file ({error}); run `elbo data fetch mnist` to replace it"
        ) from error


def _gunzipped(path: Path) -> bytes:
    """The content of a .gz file, to 64 MiB; the largest of MNIST's has 47,040,016 bytes.

    Raises:
        ValueError: it holds more.
    """
    with gzip.open(path) as stream:
        plain = stream.read(_MOST + 1)
    if len(plain) > _MOST:
        raise ValueError(f"it unpacks to more than {_MOST:,} bytes")
    return plain


def frey(split: str, root: _Root = None, download: bool = True) -> tuple[Tensor, None]:
    """Frey Face: ``(N, 28, 20)`` uint8; of 15 blocks of 131 frames, blocks 4, 9, 14 (from 0) are the test split."""
    pixels = frames(store.need(DATASETS["frey"].files[0], root, download))
    block = torch.arange(len(pixels)) // 131
    rows = torch.full_like(block, True, dtype=torch.bool) if split == "all" else (block % 5 == 4) == (split == "test")
    return pixels[rows], None


def dsprites(path: Path) -> tuple[Tensor, Tensor]:
    """The official npz: images as rows of 64 bits, ``(N, 64)`` int64 (bit = column), and factor indices ``(N, 6)``.

    The pixels (3 GB as bytes) are read piece by piece and packed (377 MB). Nothing is unpickled: the member
    ``metadata``, a pickle, is never opened, and no array of objects is accepted.

    Raises:
        DataError: not such an npz.
    """
    fix = "run `elbo data fetch dsprites-official` to replace it"
    try:
        with zipfile.ZipFile(path) as archive:
            if archive.getinfo("latents_classes.npy").file_size > _MOST:
                raise ValueError(f"its factors unpack to more than {_MOST:,} bytes")
            with archive.open("latents_classes.npy") as stream:
                factors = np.lib.format.read_array(stream, allow_pickle=False)
            with archive.open("imgs.npy") as stream:
                rows = _packed(stream)
    except (OSError, EOFError, KeyError, ValueError, NotImplementedError, zlib.error, zipfile.BadZipFile) as error:
        raise DataError(f"{path} is not the npz of dSprites ({error}); {fix}") from error
    if factors.shape != (len(rows), 6):
        raise DataError(f"{path} holds {len(rows)} images and factors of shape {factors.shape}; {fix}")
    return torch.from_numpy(rows), torch.from_numpy(factors.astype(np.int64))


def _packed(stream: IO[bytes]) -> np.ndarray:
    """The array of an npy stream, ``(N, 64, 64)`` unsigned bytes of 0 and 1, packed to ``(N, 64)`` int64."""
    version = np.lib.format.read_magic(stream)
    header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, fortran, dtype = header(stream)
    if dtype != np.uint8 or len(shape) != 3 or shape[1:] != (64, 64) or fortran or shape[0] > _MOST // 64:
        raise ValueError(f"images of shape {shape}, {dtype}")
    rows = np.empty((shape[0], 64), np.int64)
    for start in range(0, len(rows), 4096):
        pixels = np.frombuffer(stream.read(4096 * len(rows[start : start + 4096])), np.uint8)
        bits = np.packbits(pixels.reshape(-1, 64), axis=1, bitorder="little")
        rows[start : start + 4096] = bits.view(np.int64).reshape(-1, 64)
    return rows
