"""``elbo.data.load``: shapes, ranges, splits, binarisation; the real files where ``ELBO_DATA`` has them."""

from __future__ import annotations

import gzip
import hashlib
import importlib
import os
import subprocess
import sys
import types
from pathlib import Path

import numpy as np
import pytest
import scipy.io
import torch
from sklearn.datasets import load_digits, load_sample_images

import elbo.data
from elbo.data import _torchvision, frey, parse
from elbo.data.registry import DataError

REAL = Path(os.environ.get("ELBO_DATA", "/nowhere"))
needs_mnist = pytest.mark.skipif(
    not (REAL / "MNIST" / "raw").is_dir(), reason="set ELBO_DATA to a folder with the real MNIST files"
)
needs_frey = pytest.mark.skipif(
    not (REAL / "frey").is_dir(), reason="set ELBO_DATA to a folder with the real Frey Face file"
)


def test_digits_are_scikit_learns():
    theirs, ours = load_digits(), elbo.data.load("digits", split="all")
    assert ours.images.dtype == torch.float32 and ours.shape == (8, 8) and ours.binarisation == "fresh"
    np.testing.assert_array_equal(ours.images.numpy() * 16, theirs.data)  # sixteenths are exact
    np.testing.assert_array_equal(ours.labels.numpy(), theirs.target)


def test_digits_split_is_stratified_and_complete():
    whole, train, test = (elbo.data.load("digits", split=split) for split in ("all", "train", "test"))
    rows = sorted(map(bytes, (16 * torch.cat([train.images, test.images])).byte().numpy()))
    assert rows == sorted(map(bytes, (16 * whole.images).byte().numpy()))
    assert len(train) == 1442 and len(test) == 355
    assert torch.equal(test.labels.bincount(), whole.labels.bincount() // 5)
    nines = whole.images[whole.labels == 9]
    assert torch.equal(test.images[test.labels == 9], nines[4::5])


def test_binarisations():
    grey = elbo.data.load("digits", binarise="grey").images
    assert torch.equal(elbo.data.load("digits", binarise="none").images, grey)
    fresh = elbo.data.load("digits", binarise="fresh")
    assert torch.equal(fresh.images, grey) and fresh.binarisation == "fresh"
    assert torch.equal(elbo.data.load("digits", binarise="threshold").images, (grey > 0.5).float())
    fixed = elbo.data.load("digits", binarise="fixed").images
    assert torch.equal(fixed, elbo.data.load("digits", binarise="fixed").images)
    assert set(fixed.unique().tolist()) == {0.0, 1.0}
    surprise = (fixed - grey).double().sum(0) / (grey * (1 - grey)).double().sum(0).clamp(min=1e-12).sqrt()
    varies = (grey * (1 - grey)).sum(0) > 20  # 64 pixels at most: 4.5 standard errors leave 4e-4 to chance, once
    assert surprise[varies].abs().max() < 4.5 and 0.5 < surprise[varies].std() < 1.5
    assert torch.equal(fixed[grey == 0], grey[grey == 0]) and torch.equal(fixed[grey == 1], grey[grey == 1])


def test_loaded_records_the_bytes():
    test = elbo.data.load("digits", split="test")
    digest = hashlib.sha256((16 * test.images).byte().numpy()).hexdigest()
    assert test.sha256 == digest == elbo.data.loaded()["digits/test"]


def test_photos():
    ours = elbo.data.load("photos")
    np.testing.assert_array_equal(ours.images.numpy(), np.stack(load_sample_images().images))
    assert ours.images.shape == (2, 427, 640, 3) and ours.images.dtype == torch.uint8


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("mnits", {}, "choose one of digits, mnist"),
        ("digits", {"split": "validation"}, "digits has no split='validation'; choose one of 'train'"),
        ("digits", {"binarise": "binary"}, "digits has no binarise='binary'; choose one of 'grey'"),
        ("digits", {"source": "official"}, "leave source out"),
        ("photos", {"split": "train"}, "photos has no split"),
        ("photos", {"binarise": "fixed"}, "photos has no binarise"),
    ],
)
def test_wrong_words_are_answered_with_the_right_ones(name, arguments, message):
    with pytest.raises(ValueError, match=message):
        elbo.data.load(name, **arguments)


@needs_mnist
def test_mnist():
    train, test, whole = (elbo.data.load("mnist", split=split, download=False) for split in ("train", "test", "all"))
    assert train.images.shape == (60_000, 784) and test.images.shape == (10_000, 784) and train.shape == (28, 28)
    assert train.binarisation == "fresh" and train.images.min() == 0 and train.images.max() == 1
    assert train.labels.bincount().tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert test.labels.bincount().tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert torch.equal(whole.images[60_000:], test.images) and torch.equal(whole.labels[:60_000], train.labels)
    assert train.labels[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]  # the well-known first ten
    fit, validation = elbo.data.load("mnist", split="train-50000"), elbo.data.load("mnist", split="validation")
    assert torch.equal(torch.cat([fit.images, validation.images]), train.images) and len(validation) == 10_000
    raw = gzip.decompress((REAL / "MNIST/raw/t10k-images-idx3-ubyte.gz").read_bytes())
    pixels = np.frombuffer(raw, np.uint8, offset=16)  # the format: a header of four integers, then the bytes
    np.testing.assert_array_equal((255 * test.images).round().byte().numpy().ravel(), pixels)


@needs_frey
def test_frey():
    whole, train, test = (elbo.data.load("frey", split=split, download=False) for split in ("all", "train", "test"))
    assert (
        whole.images.shape == (1965, 560)
        and whole.shape == (28, 20)
        and whole.labels is None
        and whole.binarisation == "grey"
    )
    assert whole.sha256 == "2438ba4f0d2a6bd8bac43de756141eaa33c8d248dd613d464bdb1210d9b7af78"
    assert len(train) == 1572 and len(test) == 393
    blocks = whole.images.view(15, 131, 560)
    assert torch.equal(test.images, blocks[4::5].reshape(-1, 560))
    kept = [k for k in range(15) if k % 5 != 4]
    assert torch.equal(train.images, blocks[kept].reshape(-1, 560))
    face = whole.images[0].view(28, 20)
    across, down = face.diff(dim=1).abs().mean(), face.diff(dim=0).abs().mean()
    assert max(across, down) < 0.1  # neighbours are alike both ways: rows and columns are not swapped


@pytest.mark.parametrize(
    "bytes_",
    [b"", b"nothing", gzip.compress(b"\0\0\x08\x03short", mtime=0), gzip.compress(b"x" * 100, mtime=0)[:-9]],
    ids=["empty", "not packed", "short", "cut off"],  # the same names in every process that collects them
)
def test_a_broken_idx_file_is_named(tmp_path, bytes_):
    path = tmp_path / "train-images-idx3-ubyte.gz"
    path.write_bytes(bytes_)
    with pytest.raises(DataError, match="not a gzipped IDX file .*elbo data fetch mnist"):
        parse.idx(path)


def test_idx_against_bytes_written_by_hand(tmp_path):
    pixels = np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 4)
    images, labels = tmp_path / "a-idx3-ubyte.gz", tmp_path / "a-idx1-ubyte.gz"
    images.write_bytes(gzip.compress(bytes([0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4]) + pixels.tobytes()))
    labels.write_bytes(gzip.compress(bytes([0, 0, 8, 1, 0, 0, 0, 2, 7, 9])))
    np.testing.assert_array_equal(parse.idx(images).numpy(), pixels)
    assert parse.idx(labels).tolist() == [7, 9] and parse.idx(labels).dtype == torch.int64


def test_a_wrong_frey_file_is_named(tmp_path):
    path = tmp_path / "frey_rawface.mat"
    for content, message in [
        ({"ff": np.zeros((560, 1965), np.uint8)}, "other pixels"),
        ({"ff": np.zeros((20, 30))}, "instead of"),
        ({"gg": np.zeros(3)}, "KeyError"),
    ]:
        scipy.io.savemat(path, content)
        with pytest.raises(DataError, match=f"{message}.*elbo data fetch frey"):
            frey.frames(path)
    for bad in (path.read_bytes()[:150], b"", b"nothing like it"):
        path.write_bytes(bad)
        with pytest.raises(DataError, match="elbo data fetch frey"):
            frey.frames(path)


def test_listing_needs_no_torch_and_no_network(tmp_path):
    code = (
        "import sys, elbo.data; lines = elbo.data.available(); "
        "assert not {'torch', 'torchvision', 'requests', 'sklearn'} & set(sys.modules); "
        "print(*[f'{line.name}={line.present}' for line in lines])"
    )
    environment = os.environ | {"ELBO_DATA": str(tmp_path)}
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False)
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.split() == [
        "digits=True", "photos=True", "dsprites=True", "dsprites-official=False", "mnist=False", "frey=False",
    ]  # fmt: skip
    assert not any(tmp_path.iterdir())


def test_torchvision_works_and_keeps_its_grid():
    grid = _torchvision.torchvision("utils").make_grid(torch.arange(8.0).view(2, 1, 2, 2), nrow=2, padding=1)
    assert (
        grid.shape == (3, 4, 7)
        and grid[0, 1:3, 1:3].tolist() == [[0, 1], [2, 3]]
        and grid[0, 1:3, 4:6].tolist() == [[4, 5], [6, 7]]
    )


def test_a_torchvision_that_imports_is_left_alone(monkeypatch):
    fake = types.ModuleType("torchvision")
    before = list(_torchvision._declared)
    monkeypatch.setitem(sys.modules, "torchvision", fake)
    assert _torchvision.torchvision.__wrapped__() is fake and _torchvision._declared == before


def test_another_failure_of_torchvision_is_passed_on(monkeypatch):
    def fail(name):
        raise RuntimeError("something else")

    monkeypatch.setattr(importlib, "import_module", fail)
    with pytest.raises(RuntimeError, match="something else"):
        _torchvision.torchvision.__wrapped__()
