"""The drawing that a page shows beside the one that is published: fewer bytes, the same picture."""

from __future__ import annotations

import base64
import gzip
import re
from io import BytesIO

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest
from PIL import Image

from elbo.companion.pages.screen import for_screen


@pytest.fixture(scope="module")
def drawn() -> str:
    with matplotlib.rc_context({"svg.hashsalt": "x"}):
        figure, (left, right) = plt.subplots(1, 2, figsize=(6, 3))
        left.plot(np.linspace(0, 1, 50), np.sin(np.linspace(0, 9, 50)))
        left.set_title("Every letter 0123")
        right.imshow(np.kron(np.arange(16.0).reshape(4, 4), np.ones((9, 9))), cmap="gray")
        stream = BytesIO()
        figure.savefig(stream, format="svg", metadata={"Description": "the record " * 200})
        plt.close(figure)
    return stream.getvalue().decode()


def numbers(text: str) -> np.ndarray:
    return np.array([float(number) for number in re.findall(r"-?\d+\.?\d*", text)])


def lines(svg: str) -> np.ndarray:
    return numbers("".join(re.findall(r'<g id="line2d_\d+">\s*<path d="([^"]*)"', svg)))


def test_lines_stay_where_they_are(drawn):
    before, after = lines(drawn), lines(for_screen(drawn))
    assert len(before) == len(after) > 90 and np.abs(before - after).max() <= 0.01


def test_letters_keep_their_size_and_shape(drawn):
    pattern = r'<path id="DejaVuSans[^"]*" d="([^"]*)"\s+transform="scale\(([\d.]+)\)'
    before, after = re.findall(pattern, drawn), re.findall(pattern, for_screen(drawn))
    assert len(before) == len(after) > 10
    for (old, old_scale), (new, new_scale) in zip(before, after):
        assert (
            np.abs(numbers(old) * float(old_scale) - numbers(new) * float(new_scale)).max() <= 0.126
        )  # of 64 to the em


def test_pictures_show_the_same_pixels(drawn):
    found = re.search(r'data:image/(?:png|webp);base64,\s*([^"]*)', for_screen(drawn))
    with Image.open(BytesIO(base64.b64decode(found[1]))) as picture:
        shown = np.asarray(picture.convert("L"), float)
    assert sorted({round(value) for value in np.unique(shown)}) == [17 * k for k in range(16)]


def test_what_nobody_sees_is_left_to_the_file(drawn):
    lean = for_screen(drawn)
    assert "<metadata" not in lean and "the record" not in lean
    assert len(gzip.compress(lean.encode())) < 0.8 * len(gzip.compress(drawn.encode()))


def test_a_photograph_becomes_smaller_and_stays_close():
    generator = np.random.default_rng(0)
    rough = np.cumsum(np.cumsum(generator.normal(size=(120, 160, 3)), 0), 1)
    pixels = (255 * (rough - rough.min()) / np.ptp(rough)).astype(np.uint8)
    stream = BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    pixels64 = base64.b64encode(stream.getvalue()).decode()
    image = f'<image width="100" xlink:href="data:image/png;base64,{pixels64}"/>'
    svg = f'<svg width="150pt" height="120pt">{image}</svg>'
    lean = for_screen(svg)
    found = re.search(r'data:image/webp;base64,([^"]*)', lean)
    with Image.open(BytesIO(base64.b64decode(found[1]))) as picture:
        error = np.asarray(picture.convert("RGB"), float) - pixels
    assert len(lean) < 0.75 * len(svg) and np.sqrt(np.mean(error**2)) < 6


def test_no_svg_no_change():
    assert for_screen("<p>no drawing</p>") == "<p>no drawing</p>"
