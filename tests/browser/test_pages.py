"""Every page: without network, without complaint, with its mathematics and figures, for keyboard,
screen reader, phone and paper.
"""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote

import pytest

from browsing import (
    CUT,
    DESKTOP,
    PAPER,
    PHONE,
    TAB_STOPS,
    anchors,
    broken_images,
    channels,
    undescribed_images,
    unset_formulas,
)

pytestmark = pytest.mark.timeout(900)  # axe-core takes seconds on a long page, minutes where the machine is shared
SCREENS = {"desktop": DESKTOP, "phone": PHONE}


LOOKS = (("light", "desktop"), ("dark", "phone"))
OTHERS = (("dark", "desktop"), ("light", "phone"))
KINDS = {
    "book/index.html",
    "book/hoffman-johnson-2016.html",
    "book/figures.html",
    "book/scoreboard.html",
    "book/api/densities.html",
    "genindex.html",
    "search.html",
    "book/toy-2013.html",
}
"""A page of each kind, which axe sees in every look; it takes seconds a look on a long page."""


NEAR = """[...document.querySelectorAll('elbo-live:not(.elbo-live-on):not([data-failed])')].filter(it =>
  it.getBoundingClientRect().top < 1.5 * innerHeight && it.getBoundingClientRect().bottom > -0.5 * innerHeight)"""
"""Live figures that are in sight, or about to be, and have not started yet."""


def test_axe_finds_no_violation(seen, address):
    found = {}
    for theme, screen in LOOKS + (OTHERS if address in KINDS else ()):
        seen.look(SCREENS[screen], theme)
        assert seen.ask("document.documentElement.dataset.theme") == theme
        found[theme, screen] = seen.violations()
    assert {look: violations for look, violations in found.items() if violations} == {}


def test_formulas_are_set(seen):
    assert unset_formulas(seen) == []


def test_images_are_loaded_and_described(seen):
    assert broken_images(seen) == []
    assert undescribed_images(seen) == []


def test_fonts_and_icons_are_there(seen):
    assert seen.ask("[...document.fonts].filter(font => font.status === 'error').map(font => font.family)") == []
    empty = "it.checkVisibility() && it.getBoundingClientRect().width === 0"
    assert (
        seen.ask(f"[...document.querySelectorAll('[class*=fa-]')].filter(it => {empty}).map(it => it.className)") == []
    )


def test_formulas_and_figures_need_no_script(visit, book, address):
    bare = visit(book / address, java_script_enabled=False)
    assert unset_formulas(bare) == []
    for image in bare.page.locator("article img[loading=lazy]:not(.only-dark)").all():
        image.scroll_into_view_if_needed()
    assert bare.ask("[...document.images].filter(it => it.complete && !it.naturalWidth).map(it => it.src)") == []


def test_a_phone_does_not_scroll_sideways(seen):
    seen.look(PHONE)
    assert seen.ask("document.documentElement.scrollWidth") <= PHONE["width"]


def test_what_goes_on_beyond_the_edge_of_a_phone_says_so(seen):
    seen.look(PHONE)
    seen.page.wait_for_timeout(200)  # the script looks again in the frame after the fonts
    wide = (
        "[...document.querySelectorAll('.bd-article .katex-display')].filter(it => it.scrollWidth > it.clientWidth + 1)"
    )
    assert seen.ask(f"{wide}.filter(it => !it.matches('.elbo-scrolls')).map(it => it.textContent.slice(0, 60))") == []
    sign = (
        "[it.parentElement, it.parentElement.querySelector('.eqno')].filter(Boolean).map(of => "
        "getComputedStyle(of, '::before').content)"
    )
    assert all("swipe" in str(found) for found in seen.ask(f"{wide}.map(it => {sign})"))


def test_links_lead_somewhere(seen):
    lost = []
    for href in seen.ask("[...document.links].map(link => link.href)"):
        path, _, fragment = href.removeprefix("file://").partition("#")
        target = Path(unquote(path.partition("?")[0]))
        if href.startswith("file:") and not target.is_file():
            lost.append(href)
        elif (
            href.startswith("file:")
            and fragment
            and target.suffix == ".html"
            and unquote(fragment) not in anchors(target)
        ):
            lost.append(href)
    assert lost == []


def test_the_tab_key_reaches_everything_and_shows_where_it_is(seen):
    seen.ask(TAB_STOPS)
    wanted, met, unseen = set(seen.ask("window.stops()")), [], []
    for _ in range(len(wanted) + 200):  # a live figure starts when it comes near, and brings its controls
        seen.page.keyboard.press("Tab")
        seen.page.wait_for_function(f"!({NEAR}).length")  # a busy machine is slower than this hand
        name, visible = seen.ask("window.focused()")
        if name is None or name in met:
            break
        met.append(name)
        if not visible:
            unseen.append(name)
    assert met[0].startswith("#pst-skip-link"), "the first stop is the link to the article"
    assert (wanted | set(seen.ask("window.stops()"))) - set(met) == set()
    assert unseen == []


def test_what_is_folded_opens_with_the_enter_key(seen):
    folded = seen.page.locator("article details:not([open]) > summary")
    for left in reversed(range(folded.count())):
        summary = folded.first  # the one before is open and no longer among them
        summary.focus()
        seen.page.keyboard.press("Enter")
        assert folded.count() == left, f"{summary.inner_text()!r} does not open"


def test_on_paper_there_is_no_navigation_and_no_figure_is_cut(seen, address):
    seen.look(PAPER, "dark")
    seen.look(PAPER, "dark", "print")
    furniture = (
        "nav.bd-docs-nav, #pst-secondary-sidebar, .bd-header-article, .prev-next-footer, .copybtn, .elbo-copy button"
    )
    visible = (
        f"[...document.querySelectorAll('{furniture}')].filter(it => it.checkVisibility()).map(it => it.className)"
    )
    assert seen.ask(visible) == []
    assert seen.ask(f"[...document.images].filter(it => {CUT}).map(it => it.src)") == []
    folded = "article details:not([open]):not(.elbo-figure-legend *)"
    assert seen.ask(f"document.querySelectorAll('{folded}').length") == 0
    assert max(channels(seen.ask("getComputedStyle(document.body).color"))[:3]) < 100
    if address in KINDS:
        assert seen.violations(runOnly={"type": "rule", "values": ["color-contrast"]}) == []
    seen.look(DESKTOP, "dark")
    assert seen.ask(
        "[document.documentElement.dataset.theme, document.querySelectorAll('[data-opened-to-print]').length]"
    ) == ["dark", 0]


def test_nothing_was_asked_of_the_network_and_nothing_complained(seen):
    """Last of the tests of a page: what they all have done to it counts."""
    assert seen.refused == []
    assert seen.complaints == []
