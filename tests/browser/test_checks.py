"""The checks themselves: a page with one fault of each kind, and each check must find its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from browsing import CUT, PAPER, PHONE, TAB_STOPS, broken_images, channels, undescribed_images, unset_formulas

PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>A page</title><style>{style}</style></head><body><main><h1>A page</h1>{body}</main></body></html>"""
PIXEL = "data:image/gif;base64,R0lGODlhAQABAAAAACwAAAAAAQABAAA="


@pytest.fixture
def page(tmp_path, visit):
    """``page(body, style)``: a visit to a page with this body."""

    def write(body: str, style: str = ""):
        path = Path(tmp_path) / "page.html"
        path.write_text(PAGE.format(body=body, style=style), encoding="utf-8")
        return visit(path)

    return write


def test_a_page_without_fault_passes(page):
    seen = page(f'<p>Text.</p><img src="{PIXEL}" alt="A picture of a single pixel">')
    assert seen.violations() == []
    assert (seen.refused, seen.complaints) == ([], [])
    assert (broken_images(seen), undescribed_images(seen), unset_formulas(seen)) == ([], [], [])


@pytest.mark.parametrize(
    ("body", "rule"),
    [
        ('<p style="color:#bbb">Pale.</p>', "color-contrast"),
        (f'<img src="{PIXEL}">', "image-alt"),
        ("<button></button>", "button-name"),
        ("<table><tr><th></th><th>a</th></tr><tr><td>1</td><td>2</td></tr></table>", "empty-table-header"),
    ],
)
def test_axe_names_the_rule(page, body, rule):
    (found,) = page(body).violations()
    assert found.startswith(rule)


def test_a_request_to_the_network_is_refused_and_remembered(page):
    seen = page(
        '<img src="https://example.org/x.png" alt="A picture from elsewhere"><script '
        'src="https://example.org/x.js"></script>'
    )
    assert sorted(seen.refused) == ["https://example.org/x.js", "https://example.org/x.png"]
    assert broken_images(seen) == ["https://example.org/x.png"]
    assert seen.complaints


def test_an_error_of_a_script_is_a_complaint(page):
    assert "nowhere is not defined" in page("<script>nowhere()</script>").complaints[0]


def test_an_image_needs_a_description(page):
    seen = page(
        f'<img src="{PIXEL}" alt=""><img src="{PIXEL}" alt="../_images/a-long-name.svg"><img src="{PIXEL}" alt="A '
        'figure">'
    )
    assert len(undescribed_images(seen)) == 3


def test_a_formula_that_is_not_set_is_found(page):
    assert unset_formulas(page('<span class="math">$x^2$</span>')) == ["$x^2$"]


def test_a_focus_that_cannot_be_seen_is_found(page):
    seen = page(
        '<p><a href="#a">seen</a> <a href="#b" class="quiet">unseen</a></p>', ".quiet:focus-visible{outline:none}"
    )
    seen.ask(TAB_STOPS)
    shown = []
    for _ in seen.ask("window.stops()"):
        seen.page.keyboard.press("Tab")
        shown.append(seen.ask("window.focused()")[1])
    assert shown == [True, False]


@pytest.mark.parametrize("box", ["width:200px;overflow:hidden", "margin-left:-80px"])
def test_a_figure_that_is_cut_is_found(page, box):
    seen = page(f'<div style="{box}"><img src="{PIXEL}" width="400" height="30" alt="A wide picture"></div>')
    seen.look(PAPER, media="print")
    assert len(seen.ask(f"[...document.images].filter(it => {CUT})")) == 1


def test_a_page_that_is_too_wide_is_found(page):
    seen = page('<p style="width:700px">wide</p>')
    seen.look(PHONE)
    assert seen.ask("document.documentElement.scrollWidth") > PHONE["width"]


def test_colours_are_read():
    assert channels("rgba(0, 10, 255, 0.5)") == [0.0, 10.0, 255.0, 0.5]
