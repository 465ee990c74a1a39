"""The renderer of dSprites, against the naive even-odd test in exact integers, the published images and their count."""

from __future__ import annotations

import io
import os
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

import elbo.data
from elbo.data import dsprites, parse, sprites
from elbo.data.registry import DataError

SAMPLES = Path(os.environ.get("ELBO_DATA", "/nowhere"), "dsprites", "real_samples.npz")


def naive(shape, scale, orientation, pos_x, pos_y):
    """Every pixel against every edge: numpy, straight from the geometry, then integers only (units of 1/256 pixel)."""
    size, angle = np.linspace(0.5, 1, 6)[scale], np.linspace(0, 2 * np.pi, 40)[orientation]
    if shape == 0:
        x, y = np.array([-9.6, 9.6, 9.6, -9.6]), np.array([-9.6, -9.6, 9.6, 9.6])
    elif shape == 1:
        t = 2 * np.pi * np.arange(100) / 100
        x, y = 9.6 * 1.33 * np.cos(t), 9.6 / 1.33 * np.sin(t)
    else:
        t = 2 * np.pi * np.arange(150) / 150
        x = 9.6 * np.sin(t) ** 3
        y = -9.6 * ((13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t)) / 14.5 + 0.15)
    x, y = size * x, size * y
    x, y = np.cos(angle) * x + np.sin(angle) * y, -np.sin(angle) * x + np.cos(angle) * y
    x = np.floor(256 * (x + 16 + 32 * pos_x / 31) + 0.5).astype(np.int64)
    y = np.floor(256 * (y + 16 + 32 * pos_y / 31) + 0.5).astype(np.int64)
    centre = 256 * np.arange(64) + 128
    px, py = centre[None, :, None], centre[:, None, None]  # (row, column, edge)
    x0, y0, x1, y1 = x, y, np.roll(x, -1), np.roll(y, -1)
    crossed = (y0 < py) != (y1 < py)
    left = (px - x0) * np.abs(y1 - y0) < (py - y0) * (x1 - x0) * np.sign(y1 - y0)
    return ((crossed & left).sum(-1) % 2).astype(np.uint8)


def sample(count, seed=0):
    index = torch.randint(dsprites.COUNT, (count,), generator=torch.Generator().manual_seed(seed))
    corners = dsprites.flat_index(torch.cartesian_prod(*(torch.tensor([0, size - 1]) for size in dsprites.SIZES[1:])))
    return torch.cat([index, corners])


def test_equal_to_the_naive_test():
    index = sample(2000)
    images = dsprites.render(index).numpy()
    for image, (_, *factors) in zip(images, dsprites.classes(index).tolist(), strict=True):
        np.testing.assert_array_equal(image, naive(*factors), err_msg=str(factors))


def test_a_centre_on_an_edge_left_in_right_out():
    """In this published image an edge runs exactly through a centre on the heart's right, which is not set."""
    factors = (2, 4, 29, 0, 23)
    image = dsprites.render(torch.tensor([factors]))[0]
    assert image[47, 22] == 0 and image[47, 21] == 1
    np.testing.assert_array_equal(image.numpy(), naive(*factors))


@pytest.mark.skipif(
    not SAMPLES.is_file(), reason="set ELBO_DATA to a folder with dsprites/real_samples.npz, the published images"
)
def test_equal_to_the_published_images():
    real = np.load(SAMPLES, allow_pickle=False)
    wrong = (dsprites.render(torch.from_numpy(real["latents_classes"])).numpy() != real["imgs"]).sum((1, 2))
    assert (real["source"] == "gif").sum() == 320
    assert wrong.tolist() == [0] * len(wrong)


def test_the_published_count():
    """All images: the published mean pixel is 128,328,862 white of 737,280 * 4096; this geometry has two more."""
    published = round(0.042494423521889584 * dsprites.COUNT * 4096)
    white = torch.cat([
        dsprites.render(index).view(-1, 64, 64).view(torch.int64).sum(-1).view(torch.uint8).flatten(1).sum(1)
        for index in torch.arange(dsprites.COUNT).split(64)
    ])  # fmt: skip
    assert published == 128_328_862
    assert int(white.sum()) - published == 2
    assert (int(white.min()), int(white.max())) == (50, 400)
    means = white.view(3, -1).double().mean(1)
    torch.testing.assert_close(means, torch.tensor([218.15, 171.19, 132.83], dtype=torch.float64), atol=0.005, rtol=0)


def test_one_image_does_not_depend_on_its_company():
    index = sample(600, seed=1)
    images = dsprites.render(index)
    assert torch.equal(images[::7], dsprites.render(index[::7]))
    assert torch.equal(images[5:6], dsprites.render(index[5:6]))
    assert dsprites.render(index[:0]).shape == (0, 64, 64)


def test_three_ways_to_name_an_image():
    index = sample(50, seed=2)
    factors = dsprites.classes(index)
    np.testing.assert_array_equal(factors.numpy(), np.stack(np.unravel_index(index.numpy(), dsprites.SIZES), -1))
    assert torch.equal(dsprites.flat_index(factors), index) and torch.equal(dsprites.flat_index(factors[:, 1:]), index)
    images = dsprites.render(index)
    assert torch.equal(dsprites.render(factors), images) and torch.equal(dsprites.render(factors[:, 1:].int()), images)


def test_values_are_the_published_grids():
    factors = torch.tensor([[0, 0, 0, 0, 0, 0], [0, 1, 2, 13, 7, 30], [0, 2, 5, 39, 31, 31]])
    grids = [
        [1],
        [1, 2, 3],
        np.linspace(0.5, 1, 6),
        np.linspace(0, 2 * np.pi, 40),
        np.linspace(0, 1, 32),
        np.linspace(0, 1, 32),
    ]
    expected = [[grid[k] for grid, k in zip(grids, row, strict=True)] for row in factors.tolist()]
    torch.testing.assert_close(
        dsprites.values(factors), torch.tensor(expected, dtype=torch.float64), rtol=1e-15, atol=1e-15
    )


def test_first_and_last_orientation_are_the_same_image():
    first = torch.cartesian_prod(
        torch.arange(3), torch.arange(6), torch.tensor([0]), torch.tensor([3, 20]), torch.tensor([11])
    )
    last = first.clone()
    last[:, 2] = 39
    assert torch.equal(dsprites.render(first), dsprites.render(last))


@pytest.mark.parametrize(
    ("index", "message"),
    [
        (torch.tensor([-1]), "out of range"),
        (torch.tensor([737_280]), "out of range"),
        (torch.tensor([1.0]), "integers"),
        (torch.tensor([[0, 3, 0, 0, 0, 0]]), "out of range"),
        (torch.tensor([[0, 0, 0]]), "factors must be integers"),
        (torch.tensor(5), "flatten it"),
    ],
)
def test_wrong_indices_are_named(index, message):
    with pytest.raises(ValueError, match=message):
        dsprites.render(index)


def test_the_table_is_a_few_megabytes():
    table = dsprites._table(torch.device("cpu"))
    assert sum(field.nbytes for field in table if isinstance(field, torch.Tensor)) < 8e6


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_the_gpu_renders_the_same_images():
    index = sample(5000, seed=3)
    images = dsprites.render(index.cuda())
    assert images.device.type == "cuda" and torch.equal(images.cpu(), dsprites.render(index))


def test_the_record_renders_and_knows_its_factors():
    data = elbo.data.load("dsprites")
    index = data.sample(30, torch.Generator().manual_seed(0))
    images = data[index]
    assert images.shape == (30, 4096) and images.dtype == torch.float32
    assert torch.equal(images, dsprites.render(index).view(30, -1).float())
    assert (
        len(data) == 737_280
        and data.source == "rendered"
        and "reconstruction" in data.note
        and data.binarisation == "fixed"
    )
    assert torch.equal(data.flat_index(data.classes(index)), index)
    assert torch.equal(data[data.classes(index)], images)
    assert elbo.data.loaded()["dsprites/rendered"] == data.sha256
    for wrong in ({"source": "somewhere"}, {"binarise": "fresh"}, {"split": "test"}):
        with pytest.raises(ValueError, match="dsprites has no"):
            elbo.data.load("dsprites", **wrong)


class _Trap:
    """Unpickling this writes a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (self.path, "w"))


def write_npz(path, images, factors, trap):
    np.savez_compressed(
        path,
        imgs=images,
        latents_classes=factors,
        latents_values=factors.astype(float),
        metadata=np.array([_Trap(trap)], object),
    )


def test_the_official_file_is_read_without_unpickling(tmp_path, monkeypatch):
    monkeypatch.setattr(dsprites, "COUNT", 40)
    index = torch.arange(40)
    images = dsprites.render(index)
    trap = tmp_path / "sprung"
    write_npz(tmp_path / "a.npz", images.numpy(), dsprites.classes(index).numpy(), str(trap))
    data = sprites.official(tmp_path / "a.npz")
    assert not trap.exists() and data.source == "official"
    some = torch.tensor([3, 1, 39])
    assert torch.equal(data.render(some), images[some]) and torch.equal(
        data[dsprites.classes(some)], images[some].flatten(1).float()
    )
    with zipfile.ZipFile(tmp_path / "a.npz") as archive:  # the trap was armed
        np.lib.format.read_array(io.BytesIO(archive.read("metadata.npy")), allow_pickle=True)
    assert trap.exists()


def test_a_wrong_official_file_is_named(tmp_path):
    index = torch.arange(8)
    images, factors = dsprites.render(index).numpy(), dsprites.classes(index).numpy()
    path = tmp_path / "a.npz"
    write_npz(path, images, factors, str(tmp_path / "sprung"))
    with pytest.raises(DataError, match="does not hold the 737,280 images"):
        sprites.official(path)
    write_npz(path, images[:, :32], factors, str(tmp_path / "sprung"))
    with pytest.raises(DataError, match="images of shape"):
        parse.dsprites(path)
    write_npz(path, images, factors[1:], str(tmp_path / "sprung"))
    with pytest.raises(DataError, match="holds 8 images"):
        parse.dsprites(path)
    write_npz(path, images.astype(object), factors, str(tmp_path / "sprung"))
    with pytest.raises(DataError, match="not the npz of dSprites"):
        parse.dsprites(path)
    for bad in (path.read_bytes()[:200], b"nothing", pickle.dumps([1]), b""):
        path.write_bytes(bad)
        with pytest.raises(DataError, match="elbo data fetch dsprites-official"):
            parse.dsprites(path)
    assert not (tmp_path / "sprung").exists()
