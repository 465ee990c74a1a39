"""Figures for the dark theme: white grounds go, every colour stays apart from the page, pixels stay as they are."""

import io
import re

import matplotlib as mpl
import numpy as np
import pytest

from elbo.companion.pages.dark import darkened, displayed_size, in_the_dark
from elbo.figures import sight, style

PAGE = "#14181e"  # the theme's dark ground


def drawn() -> str:
    figure, ((axes, pixels),) = style.new(1, 2, height=2)
    axes.plot([0, 1], [0, 1], color=style.COLOUR["vae"], marker="o", markerfacecolor="white")
    axes.fill_between([0, 1], [0, 1], [1, 2], color=style.COLOUR["beta-vae"], alpha=0.2)
    axes.text(0.5, 0.5, "black", color="black")
    style.images(pixels, np.eye(4)[None], columns=1)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None, "Description": "#ffffff"})
    return buffer.getvalue().decode()


def test_white_becomes_the_page_and_black_the_ink():
    assert sight.contrast(in_the_dark("#ffffff"), PAGE) < 1.2
    assert sight.contrast(in_the_dark("#000000"), PAGE) > 12
    greys = [in_the_dark(f"#{k:02x}{k:02x}{k:02x}") for k in range(0, 256, 15)]
    assert all(re.fullmatch(r"#([0-9a-f]{2})\1\1", grey) for grey in greys)
    assert greys == sorted(greys, reverse=True) and len(set(greys)) == len(greys)


@pytest.mark.parametrize("colour", sorted(set(style.COLOUR.values())))
def test_a_colour_of_the_book_is_seen_on_the_dark_page_and_keeps_its_hue(colour):
    found = in_the_dark(colour)
    assert sight.contrast(found, PAGE) >= 4.5
    before, after = (mpl.colors.rgb_to_hsv(mpl.colors.to_rgb(it)) for it in (colour, found))
    turn = abs(before[0] - after[0])
    assert before[1] < 0.1 or min(turn, 1 - turn) < 0.07


def test_a_figure_has_no_white_ground_and_no_metadata_in_the_dark():
    svg = drawn()
    found = darkened(svg)
    assert "<metadata>" in svg and "<metadata>" not in found
    grounds = re.findall(r'<g id="patch_\d+">\s*<path d="[^"]*"\s*style="([^"]*)"', found)
    assert grounds.count("fill: none") == 2  # the figure and the panel with axes
    assert "#ffffff" not in found and style.COLOUR["vae"].lower() not in found.lower()
    assert found.count(in_the_dark(style.COLOUR["vae"])) == svg.lower().count(style.COLOUR["vae"].lower()) > 0
    assert re.search(r"<svg fill=\"#[0-9a-f]{6}\" ", found)


def test_pixels_stay_as_they_are():
    svg = drawn()
    (before,), (after,) = (re.findall(r'href="(data:image/png;base64,[^"]+)"', text) for text in (svg, darkened(svg)))
    assert before == after


def test_size_is_read_in_pixels():
    assert displayed_size('<svg xmlns="x" width="540pt" height="225.6pt" viewBox="0 0 1 1">') == (720, 301)
    assert displayed_size('<svg viewBox="0 0 1 1">') is None


def test_a_bright_colour_of_a_mark_stays_bright():
    for colour in ("#addc30", "#fde725"):  # the light end of viridis
        shown = in_the_dark(colour)
        assert sum(int(shown[k : k + 2], 16) for k in (1, 3, 5)) > 300, shown
