"""Panels of a figure: each alone shows what belongs to it."""

from __future__ import annotations

import io

import matplotlib.pyplot as plt
import numpy as np
import pytest
from PIL import Image

from elbo.companion.kernel.panels import boxes

COLOURS = ((1.0, 0.0, 0.0), (0.0, 0.0, 1.0), (0.0, 0.5, 0.0), (0.5, 0.0, 0.5))


def cut(fig) -> list[np.ndarray]:
    """The pixels of every panel, from the picture as it is published."""
    stream = io.BytesIO()
    fig.savefig(stream, format="png", bbox_inches="tight", pad_inches=0.05, dpi=100)
    picture = Image.open(stream).convert("RGB")
    width, height = picture.size
    return [
        np.asarray(picture.crop((round(a * width), round(b * height), round(c * width), round(d * height))))
        for a, b, c, d in boxes(fig)
    ]


def has(pixels: np.ndarray, colour) -> bool:
    return bool((np.abs(pixels / 255 - np.array(colour)).max(-1) < 0.02).any())


@pytest.mark.parametrize("rows, cols", [(1, 2), (2, 2)])
def test_every_panel_alone_and_in_reading_order(rows, cols):
    fig, axes = plt.subplots(rows, cols, figsize=(3 * cols, 2 * rows), layout="constrained")
    for panel, colour in zip(axes.flat, COLOURS):
        panel.fill_between([0, 1], 0, 1, color=colour)
        panel.set_title("a title")
    found = cut(fig)
    plt.close(fig)
    assert len(found) == rows * cols
    for pixels, own in zip(found, COLOURS):
        assert has(pixels, own) and not any(has(pixels, other) for other in COLOURS if other != own)


def test_a_colour_bar_and_a_second_axis_belong_to_their_panel():
    fig, (left, right) = plt.subplots(1, 2, figsize=(8, 3), layout="constrained")
    fig.colorbar(left.imshow(np.eye(3), cmap="gray"), ax=left).outline.set_edgecolor(COLOURS[0])
    right.plot([0, 1], [0, 1])
    right.twinx().plot([0, 1], [5, 1], color=COLOURS[1])
    first, second = cut(fig)
    plt.close(fig)
    assert has(first, COLOURS[0]) and has(second, COLOURS[1])
    assert not has(first, COLOURS[1]) and not has(second, COLOURS[0])


@pytest.mark.parametrize("count", [1, 8])
def test_one_panel_and_tiles_have_no_single_ones(count):
    fig, _ = plt.subplots(1, count, figsize=(8, 2))
    assert boxes(fig) == []
    plt.close(fig)
