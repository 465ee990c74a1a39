"""The book's colours: seen by readers who are colour-blind, printed in grey, in the light and in the dark theme."""

from __future__ import annotations

import ast
import re
from itertools import combinations
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest

from elbo.figures import sight, style

PALETTE = (
    style.BLUE,
    style.GREEN,
    style.VERMILION,
    style.PURPLE,
    style.BROWN,
    style.VIOLET,
    style.BLACK,
    style.GREY,
)
SOURCES = sorted(Path(style.__file__).parent.rglob("*.py"))
PAIRS = sorted({pair for group in style.TOGETHER for pair in combinations(sorted(group), 2)})
CAN_BE_TOLD = 10.0  # CIE L*a*b* units: four times what can just be seen
GREY_CAN_BE_TOLD = 20.0  # units of L* without any other help


@pytest.mark.parametrize("kind", [None, *sight.KINDS])
@pytest.mark.parametrize(("one", "other"), list(combinations(PALETTE, 2)))
def test_any_two_colours_differ_for_every_reader(one, other, kind):
    assert sight.difference(one, other, kind) >= CAN_BE_TOLD


@pytest.mark.parametrize(("one", "other"), PAIRS)
def test_lines_of_one_panel_differ_in_grey_or_in_their_dashes(one, other):
    darker = sight.lightness_difference(style.COLOUR[one], style.COLOUR[other]) >= GREY_CAN_BE_TOLD
    assert darker or style.LINE[one] != style.LINE[other]


@pytest.mark.parametrize(("one", "other"), PAIRS)
def test_points_of_one_panel_differ_in_grey_or_in_their_shape(one, other):
    darker = sight.lightness_difference(style.COLOUR[one], style.COLOUR[other]) >= GREY_CAN_BE_TOLD
    assert darker or style.MARKER[one] != style.MARKER[other]


@pytest.mark.parametrize("colour", PALETTE)
def test_lines_stand_out_from_the_figure_in_both_themes(colour):
    """The dark theme dims images: brightness 0.8, then contrast 1.2 about the middle. That is a map of each channel."""
    assert sight.contrast(colour, "#ffffff") >= 3
    assert sight.contrast(dimmed(colour), dimmed("#ffffff")) >= 3


@pytest.mark.parametrize("colour", [style.BLUE, style.BLACK, style.GREY])
def test_text_in_these_colours_can_be_read_at_any_size(colour):
    assert sight.contrast(colour, "#ffffff") >= 4.5


def dimmed(colour: str) -> str:
    value = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) * 0.8
    return "#" + "".join(f"{int(round(channel)):02x}" for channel in np.clip((value - 127.5) * 1.2 + 127.5, 0, 255))


GRAMMAR = {
    "black": "p exact elbo train test",
    "blue": "q exclusive vb cavi aevb; mutual information; beta-vae iwae; beta",
    "green": "inclusive ep wake-sleep; reconstruction; pca; beta-tcvae",
    "vermilion": "hmc mcem; marginal kl; vae",
    "purple": "svi full-rank; average kl; ica; factorvae",
    "brown": "gibbs; energy; capacity",
    "violet": "entropy",
    "grey": "laplace; log n",
}
"""The colours that readers have learnt, written a second time: changing one in the style alone is seen here."""


def test_a_meaning_keeps_its_colour():
    said = {}
    for colour, meanings in GRAMMAR.items():
        for part in meanings.split("; "):
            names = [part] if part in style.COLOUR else part.split()
            said |= {name: getattr(style, colour.upper()) for name in names}
    assert said == style.COLOUR


@pytest.mark.parametrize("kind", style.KINDS)
def test_within_a_kind_a_colour_means_one_thing(kind):
    """Two names share a colour exactly where the style says that they are one aim or one family."""
    same = {frozenset(pair) for group in style.SAME for pair in combinations(group, 2)}
    for one, other in combinations(style.KINDS[kind], 2):
        assert (style.COLOUR[one] == style.COLOUR[other]) == (frozenset((one, other)) in same), (one, other)


def test_a_name_has_one_meaning():
    names = [name for kind in style.KINDS.values() for name in kind]
    assert len(names) == len(set(names))
    assert {name for group in (*style.TOGETHER, *style.SAME) for name in group} <= set(names)


RAW = {
    "blei_2017/images.py",  # red, green and blue of a photograph
    "blei_2017/mixtures.py",  # five clusters, five colours
    "kingma_welling_2013/looks.py",
}
"""Modules that may name colours: what they draw has no meaning in the grammar, or an order of its own."""


TINT = 0x20  # between the channels of a grey with a tint, such as a pale fill; the series colours have 0x30 or more


def test_figures_ask_for_a_meaning_and_not_for_a_colour():
    """No series colour by name or number outside the style, apart from greys and the modules in ``RAW``."""
    assert RAW <= {path.relative_to(Path(style.__file__).parent).as_posix() for path in SOURCES}
    for colour in PALETTE[:-2]:
        channels = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
        assert max(channels) - min(channels) > TINT
    for path in SOURCES:
        name = path.relative_to(Path(style.__file__).parent).as_posix()
        if name in {"style.py", "sight.py"} | RAW:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute):
                assert node.attr not in {"BLUE", "GREEN", "VERMILION", "PURPLE", "BROWN", "VIOLET"}, name
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                for red, green, blue in re.findall(r"^#(..)(..)(..)$", node.value):
                    channels = [int(channel, 16) for channel in (red, green, blue)]
                    assert max(channels) - min(channels) <= TINT, f"{name}: {node.value}"


def test_text_is_large_enough_on_the_page():
    """Twelve pixels where the page shows 7.4 inches 710 pixels wide."""
    style.apply()
    pixels = 710 / style.WIDTH / 72
    sizes = ["font.size", "axes.titlesize", "axes.labelsize", "xtick.labelsize", "ytick.labelsize", "legend.fontsize"]
    assert min(mpl.rcParams[size] for size in sizes) * pixels >= 12
    assert style.SMALL * pixels >= 12


def test_pictures_are_large_enough_for_a_slide():
    style.apply()
    assert mpl.rcParams["savefig.dpi"] * style.WIDTH >= 2400


@pytest.mark.parametrize("kind", sight.KINDS)
def test_simulated_sight_keeps_greys(kind):
    np.testing.assert_allclose(np.sum(sight.KINDS[kind], axis=1), 1.0, atol=2e-6)
    assert sight.difference("#777777", "#777777", kind) == 0


def test_red_and_green_that_are_confused_are_reported_as_confused():
    """A red and a green: far apart, except for a reader without M-cones."""
    red, green = "#c04040", "#688038"
    assert sight.difference(red, green) > 40
    assert sight.difference(red, green, "deuteranopia") < 15
    assert sight.difference("#0072B2", "#009E73", "tritanopia") < sight.difference("#0072B2", "#009E73")


def test_lightness_and_contrast_at_known_values():
    assert sight.lightness("#ffffff") == pytest.approx(100, abs=1e-4)
    assert sight.lightness("#777777") == pytest.approx(50.03, abs=0.01)  # CSS Color 4: lab(50.034% 0 0)
    assert sight.contrast("#000000", "#ffffff") == pytest.approx(21, abs=1e-4)
    assert sight.contrast("#767676", "#ffffff") == pytest.approx(
        4.54, abs=0.01
    )  # the lightest grey that passes for text
    assert sight.difference("#ff0000", "#ff0000") == 0
    lab = sight._lab(sight._linear("#ff0000"))
    np.testing.assert_allclose(lab, [53.24, 80.09, 67.20], atol=0.02)  # sRGB red, D65


def test_a_colour_by_name_is_refused():
    with pytest.raises(ValueError, match="to_hex"):
        sight.lightness("red")
