"""The published figures as drawn: lines that share a panel are told apart by every reader and on a grey print."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

import matplotlib.pyplot as plt
import pytest

from elbo.figures import sight, style

SVG, LINK = "{http://www.w3.org/2000/svg}", "{http://www.w3.org/1999/xlink}href"
PALETTE = {
    colour.lower() for colour in (style.BLUE, style.GREEN, style.VERMILION, style.PURPLE, style.BLACK, style.GREY)
}


class Line(NamedTuple):
    """How a line looks: colour, dashes in units of its width, shape of its markers."""

    colour: str
    dashes: tuple[float, ...] | None
    marker: str


def panels(svg: Path) -> list[tuple[set[Line], set[str]]]:
    """For each panel of a figure its lines (guides left out) and the colours of its texts."""
    root = ET.parse(svg).getroot()
    shapes = {path.get("id"): path.get("d") for path in root.iter(f"{SVG}path") if path.get("id")}
    groups = [group for group in root.iter(f"{SVG}g") if re.fullmatch(r"axes_\d+", group.get("id", ""))]
    return [(set(lines(group, shapes)), set(texts(group))) for group in groups]


def lines(group: ET.Element, shapes: dict[str, str]):
    for inner in group:
        name = inner.get("id", "")
        if name.startswith("line2d"):
            yield from line(inner, shapes)
        elif not re.match(r"matplotlib\.axis|text|legend|.*guide", name):
            yield from lines(inner, shapes)


def line(group: ET.Element, shapes: dict[str, str]):
    marker = next((shapes.get(use.get(LINK, "")[1:], "") for use in group.iter(f"{SVG}use")), "")
    for path in group.findall(f"{SVG}path"):
        look = css(path)
        if look.get("stroke", "none") != "none":
            dashes = look.get("stroke-dasharray", "none")
            width = float(look.get("stroke-width", "1"))
            yield Line(
                look["stroke"],
                None if dashes == "none" else tuple(round(float(d) / width, 1) for d in dashes.split(",")),
                marker,
            )


def texts(group: ET.Element):
    for inner in group.iter(f"{SVG}g"):
        if inner.get("id", "").startswith("text"):
            yield from (css(element)["fill"] for element in inner.iter() if "fill" in css(element))


def css(element: ET.Element) -> dict[str, str]:
    pairs = (item.split(":", 1) for item in element.get("style", "").split(";") if ":" in item)
    return {name.strip(): value.strip() for name, value in pairs}


def confused(svg: Path) -> list[str]:
    """Pairs of lines of one panel that some reader cannot tell apart.

    A blend of two colours of the palette stands for a number between two others and is not judged. On a grey print a
    name beside each line, in the line's own colour, is help enough.
    """
    found = []
    for number, (drawn, labels) in enumerate(panels(svg), start=1):
        for one, other in combinations(sorted(drawn, key=str), 2):
            if one.colour == other.colour or one[1:] != other[1:] or not {one.colour, other.colour} <= PALETTE:
                continue
            in_grey = sight.lightness_difference(one.colour, other.colour) >= 20 or {one.colour, other.colour} <= labels
            if not in_grey or min(sight.difference(one.colour, other.colour, kind) for kind in sight.KINDS) < 10:
                found.append(f"panel {number}: {one.colour} and {other.colour}")
    return found


def faint(svg: Path) -> list[str]:
    """Colours of lines with less contrast to white than 3:1."""
    return sorted(
        {one.colour for drawn, _ in panels(svg) for one in drawn if sight.contrast(one.colour, "#ffffff") < 3}
    )


def test_lines_of_a_panel_are_told_apart_by_everybody(book):
    published = sorted((book / "figures").glob("*.svg"))
    assert published
    assert {svg.stem: pairs for svg in published if (pairs := confused(svg))} == {}


def test_lines_stand_out_from_the_ground(book):
    assert {svg.stem: colours for svg in sorted((book / "figures").glob("*.svg")) if (colours := faint(svg))} == {}


@pytest.mark.parametrize(
    ("looks", "found"),
    [
        ([(style.BLUE, "-", ""), (style.VERMILION, "-", "")], 1),
        ([(style.BLUE, "-", ""), (style.VERMILION, "--", "")], 0),
        ([(style.BLUE, "-", "o"), (style.VERMILION, "-", "s")], 0),
        ([(style.BLUE, "-", "o"), (style.VERMILION, "-", "o")], 1),
        ([(style.BLUE, "-", ""), (style.BLACK, "-", "")], 0),
        ([(style.BLUE, "--", ""), (style.GREEN, "--", ""), (style.VERMILION, "--", "")], 3),
    ],
)
def test_lines_that_look_alike_in_grey_are_found(tmp_path, looks, found):
    figure, axes = style.new(height=2)
    for i, (colour, dashes, marker) in enumerate(looks):
        axes[0, 0].plot([0, 1], [i, i + 1], color=colour, linestyle=dashes, marker=marker)
    style.guide(axes[0, 0].plot([0, 1], [0, 0], color=style.GREEN)[0])
    figure.savefig(tmp_path / "figure.svg")
    assert len(confused(tmp_path / "figure.svg")) == found
    style.end_labels(axes[0, 0], [(1, i + 1, f"line {i}", colour) for i, (colour, *_) in enumerate(looks)])
    figure.savefig(tmp_path / "figure.svg")
    assert confused(tmp_path / "figure.svg") == []
    plt.close(figure)


def test_a_faint_line_is_found(tmp_path):
    figure, axes = style.new(height=2)
    axes[0, 0].plot([0, 1], [0, 1], color="#f0e442")
    figure.savefig(tmp_path / "figure.svg")
    assert faint(tmp_path / "figure.svg") == ["#f0e442"]
    plt.close(figure)
