"""A figure for the dark theme: the same SVG with its lightness turned about, on the page's own ground.

Every colour keeps its hue; light becomes dark and dark light, so that what stood out stands out and what was a
pale filling is a faint one. Pixels (photographs, sprites) stay as they are. Runs where pages are built; knows
nothing of how figures are drawn.
"""

from __future__ import annotations

import math
import re

__all__ = ["GROUND", "INK", "darkened", "displayed_size", "in_the_dark"]

GROUND = 0.20
"""Lightness (OKLab) of the dark theme's page, which white becomes."""
INK = 0.93
"""Lightness that black becomes."""
VIVID = 0.70
"""Lightness that a saturated colour of middle lightness has at least: a line has to be seen on the dark page."""

_HEX = re.compile(r"#[0-9a-fA-F]{6}\b")
_METADATA = re.compile(r"<metadata>.*?</metadata>", re.DOTALL)
_BACKGROUND = re.compile(r'(<g id="patch_\d+">\s*<path d="[^"]*"\s+(?:clip-path="[^"]*"\s+)?style=")fill: #ffffff(")')
_STYLED = re.compile(r'(?:style|fill|stroke)="[^"]*"')
_ROOT = re.compile(r"<svg ")
_SIZE = re.compile(r'<svg [^>]*?\b(width|height)="([0-9.]+)pt"[^>]*?\b(width|height)="([0-9.]+)pt"', re.DOTALL)


def darkened(svg: str) -> str:
    """The SVG of a figure as it is shown on a dark page.

    White grounds of figure and panels become transparent, every other colour of a style or attribute goes through
    :func:`in_the_dark`, and what has no colour of its own (black in SVG) gets :data:`INK`. The metadata, which hold the
    record, are left to the file that is downloaded.
    """
    text = _METADATA.sub("", svg)
    text = _BACKGROUND.sub(r"\1fill: none\2", text)
    text = _STYLED.sub(lambda style: _HEX.sub(lambda found: in_the_dark(found[0]), style[0]), text)
    return _ROOT.sub(f'<svg fill="{in_the_dark("#000000")}" ', text, count=1)


def displayed_size(svg: str) -> tuple[int, int] | None:
    """Width and height of an SVG in pixels at 100 %, ``None`` where its root does not say them in points."""
    if not (found := _SIZE.search(svg[:5000])):
        return None
    size = {found[1]: float(found[2]), found[3]: float(found[4])}
    return round(size["width"] * 96 / 72), round(size["height"] * 96 / 72)


def in_the_dark(colour: str) -> str:
    """``#rrggbb`` with the same hue and the lightness turned about between :data:`INK`
    (black) and :data:`GROUND` (white).
    """
    lightness, a, b = _to_oklab(colour)
    turned = GROUND + (1 - lightness) ** 0.75 * (INK - GROUND)  # bent, so that a grey for text stays one
    colourful = math.hypot(a, b)
    if colourful > 0.13 or (colourful > 0.06 and lightness < 0.8):  # a pale filling is neither
        turned = max(turned, VIVID)
    return _from_oklab(turned, a, b)


def _to_oklab(colour: str) -> tuple[float, float, float]:
    """Ottosson's OKLab (2020): lightness in [0, 1] and two opponent axes."""
    red, green, blue = (_linear(int(colour[k : k + 2], 16) / 255) for k in (1, 3, 5))
    long = (0.4122214708 * red + 0.5363325363 * green + 0.0514459929 * blue) ** (1 / 3)
    medium = (0.2119034982 * red + 0.6806995451 * green + 0.1073969566 * blue) ** (1 / 3)
    short = (0.0883024619 * red + 0.2817188376 * green + 0.6299787005 * blue) ** (1 / 3)
    return (
        0.2104542553 * long + 0.7936177850 * medium - 0.0040720468 * short,
        1.9779984951 * long - 2.4285922050 * medium + 0.4505937099 * short,
        0.0259040371 * long + 0.7827717662 * medium - 0.8086757660 * short,
    )


def _from_oklab(lightness: float, a: float, b: float) -> str:
    """Back to ``#rrggbb``; a colour that no screen has loses saturation until one has it."""
    for share in (1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1, 0.0):
        long = (lightness + share * (0.3963377774 * a + 0.2158037573 * b)) ** 3
        medium = (lightness - share * (0.1055613458 * a + 0.0638541728 * b)) ** 3
        short = (lightness - share * (0.0894841775 * a + 1.2914855480 * b)) ** 3
        channels = (
            4.0767416621 * long - 3.3077115913 * medium + 0.2309699292 * short,
            -1.2684380046 * long + 2.6097574011 * medium - 0.3413193965 * short,
            -0.0041960863 * long - 0.7034186147 * medium + 1.7076147010 * short,
        )
        if share == 0 or all(-1e-4 <= channel <= 1 + 1e-4 for channel in channels):
            return "#" + "".join(f"{round(255 * _encoded(channel)):02x}" for channel in channels)
    raise AssertionError("a grey is on every screen")


def _linear(value: float) -> float:
    return value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4


def _encoded(value: float) -> float:
    value = min(max(value, 0.0), 1.0)
    return 12.92 * value if value <= 0.0031308 else 1.055 * value ** (1 / 2.4) - 0.055
