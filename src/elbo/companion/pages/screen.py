"""The drawing of a figure as a page shows it: what the file to download has, without what no eye can see.

The published SVG carries the record and the numbers in its metadata, six decimals a coordinate and pixels for slides.
On a page none of this shows, and it is a third to nine tenths of the bytes.
"""

from __future__ import annotations

import base64
import re
from io import BytesIO
from typing import Any

__all__ = ["for_screen"]

WIDEST = 1500
"""Pixels across of a drawing on a page: twice the width of the article's column, for screens of two dots a pixel."""
COLOURS = 128
"""Colours that stand for those of an embedded picture where nobody sees a difference."""
OFF = {"opaque": 12, "clear": 48}
"""The largest difference, of 255, that may be made so: in pictures, and in points on a ground that shows through."""

QUALITY, MUCH = 80, 0.75
"""Of WebP that loses something, and its size at most beside the smallest that does not."""

_METADATA = re.compile(r"\s*<metadata>.*?</metadata>", re.DOTALL)
_PLACES = re.compile(r'(?:\b(?:d|x|y|points)="[^"]*"|\btranslate\([^)]*\))')
_DECIMALS = re.compile(r"(\d+\.\d\d)\d+")
_GLYPH = re.compile(r'(<path id="DejaVuSans[^"]*" d=")([^"]*)("\s+transform=")scale\(0\.015625\)')
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
_ROOT = re.compile(r"<svg [^>]*>")
_PICTURE = re.compile(r"<image\b[^>]*>")
_PIXELS = re.compile(r'data:image/png;base64,\s*([A-Za-z0-9+/=\s]+)(?=")')
_WIDTH = re.compile(r'\bwidth="([0-9.]+)"')


def for_screen(svg: str) -> str:
    """The SVG without metadata, with coordinates to a hundredth of a point and pictures as large as they are seen."""
    root = _ROOT.search(svg)
    if not root:
        return svg
    head, text = svg[: root.end()], _METADATA.sub("", svg[root.end() :])
    width = _WIDTH.search(root[0].replace("pt", ""))
    scale = WIDEST / float(width[1]) if width else 2.0
    parts = re.split(r"(<image\b[^>]*>)", text)
    parts[::2] = [_PLACES.sub(lambda place: _DECIMALS.sub(r"\1", place[0]), part) for part in parts[::2]]
    parts[1::2] = [_lighter(part, scale) for part in parts[1::2]]
    return head + _GLYPH.sub(_coarser, "".join(parts))


def _coarser(glyph: re.Match[str]) -> str:
    """The outline of a letter on a grid of 256 to the em rather than 4,096; at 12 pixels that is a twentieth of one."""
    outline = _NUMBER.sub(lambda number: str(round(float(number[0]) / 16)), glyph[2])
    return f"{glyph[1]}{re.sub(chr(10), ' ', outline).strip()}{glyph[3]}scale(0.25)"


def _lighter(image: str, scale: float) -> str:
    across = _WIDTH.search(image)
    pixels = None if across is None else max(1, round(float(across[1]) * scale))
    return _PIXELS.sub(lambda found: _smaller(found[1], pixels), image)


def _smaller(encoded: str, across: int | None) -> str:
    """The address of a picture, from a PNG in base64: at most ``across`` pixels wide, as a PNG of :data:`COLOURS`
    colours or as WebP, whichever is smaller; WebP that loses something only where it is much smaller (photographs).
    """
    from PIL import Image

    content = base64.b64decode(encoded)
    with Image.open(BytesIO(content)) as picture:
        shown = whole = picture.convert("RGBA")
    if across is not None and shown.width > 1.5 * across:
        shown = shown.resize((across, max(1, round(shown.height * across / shown.width))), Image.Resampling.LANCZOS)
    found = {"png": content, **{kind: _written(shown, kind) for kind in ("few", "exact", "photo")}}
    found["exact"] = min(
        found["exact"], _written(whole, "exact"), key=len
    )  # enlarged pixels take less than smoothed ones
    best = min(("png", "few", "exact"), key=lambda kind: len(found[kind]))
    best = "photo" if len(found["photo"]) < MUCH * len(found[best]) else best
    kind, content = "webp" if best in ("exact", "photo") else "png", found[best]
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def _written(picture: Any, kind: str) -> bytes:
    """The file of a picture; its bare pixels, which are never the smallest, where few colours would show."""
    from PIL import Image, ImageChops

    stream = BytesIO()
    if kind == "few":
        few = picture.quantize(COLOURS, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
        off = ImageChops.difference(picture.convert("RGBa"), few.convert("RGBA").convert("RGBa"))
        ground = "opaque" if picture.getchannel("A").getextrema()[0] == 255 else "clear"
        highs: list[int] = [band.getextrema()[1] for band in off.split()]  # type: ignore[misc]  # bands have one range
        if max(highs) > OFF[ground]:
            return bytes(picture.tobytes())
        few.save(stream, "PNG", optimize=True)
    else:
        picture.save(stream, "WEBP", lossless=kind == "exact", quality=QUALITY, method=4)
    return stream.getvalue()
