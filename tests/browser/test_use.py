"""What a reader does with the book: search it, change the theme, copy, open it from a folder and from a server."""

from __future__ import annotations

import functools
import http.server
import threading

import pytest

from browsing import DESKTOP, Visit

NO_SNIPPETS = "Access to fetch at 'file:"
"""Opened from a folder, the search page lists what it finds but may not fetch the pages to
quote from them; Chromium says so.
"""


@pytest.fixture(scope="module")
def served(book):
    """The address of the book on a server of this machine."""
    handler = functools.partial(Quiet, directory=book)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves files; knows that browsers ask for an icon that no page has mentioned."""

    def do_GET(self) -> None:
        if self.path == "/favicon.ico":
            self.send_response(204)
            self.end_headers()
        else:
            super().do_GET()

    def log_message(self, *args) -> None:
        pass


@pytest.fixture
def chapter(book):
    """A page with figures, formulas and code."""
    with_figures = (path for path in (book / "book").glob("*.html") if 'class="elbo-figure ' in path.read_text("utf-8"))
    return min(with_figures, key=lambda path: path.stat().st_size)


def found(page) -> list[str]:
    page.locator("#search-results li a").first.wait_for()
    page.wait_for_function("document.querySelector('#search-results h2').textContent.startsWith('Search Results')")
    return page.locator("#search-results li a").all_inner_texts()


def test_search_works_from_a_folder(book, visit):
    seen = visit(book / "search.html", query="?q=inequality+bound")
    assert found(visit(book / "search.html", query="?q=references").page)
    assert "?q=inequality+bound" in seen.page.url
    assert seen.refused == []
    assert [
        said
        for said in seen.complaints
        if not said.startswith((NO_SNIPPETS, "not loaded: file:", "Failed to load", "Failed to fetch"))
    ] == []


def test_search_works_from_a_server_and_quotes(served, chromium):
    context = chromium.new_context(viewport=DESKTOP)
    away, complaints = [], []
    context.on(
        "request", lambda request: away.append(request.url) if not request.url.startswith((served, "data:")) else None
    )
    page = context.new_page()
    page.on(
        "console", lambda message: complaints.append(message.text) if message.type in ("error", "warning") else None
    )
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("response", lambda response: complaints.append(response.url) if response.status >= 400 else None)
    page.goto(f"{served}/book/index.html")
    page.keyboard.press("Control+k")
    page.locator("#pst-search-dialog input").fill("references")
    page.keyboard.press("Enter")
    assert found(page)
    page.locator("#search-results p.context").first.wait_for()
    assert away == []
    assert complaints == []
    context.close()


def test_the_theme_is_chosen_with_a_button_and_remembered(book, visit, chapter):
    seen = visit(chapter, color_scheme="light")
    button = seen.page.locator("article >> xpath=//preceding::button[contains(@class,'theme-switch-button')]").first
    themes = []
    for _ in range(3):
        button.press("Enter")
        themes.append(seen.ask("document.documentElement.dataset.theme"))
    assert {"light", "dark"} <= set(themes)
    while seen.ask("document.documentElement.dataset.mode") != "dark":
        button.press("Enter")
    seen.page.goto((book / "book" / "index.html").as_uri())
    assert seen.ask("document.documentElement.dataset.theme") == "dark"
    assert seen.complaints == []


def copied(seen: Visit, press) -> str:
    """What is on the clipboard after ``press()``; the clipboard is watched where the page hands the text over."""
    seen.ask(
        "() => { window.copied = null; document.addEventListener('copy', () => "
        "{ window.copied = document.activeElement.value || getSelection().toString(); }, {capture: true, once: true}); "
        "}"
    )
    press()
    seen.page.wait_for_function("window.copied !== null")
    return seen.ask("window.copied")


def test_code_is_copied(visit, chapter):
    seen = visit(chapter)
    button = seen.page.locator("button.copybtn").first
    source = seen.page.locator("button.copybtn").first.locator("xpath=../pre").text_content()
    seen.ask("() => document.querySelectorAll('article details').forEach(details => { details.open = true; })")
    assert copied(seen, lambda: button.press("Enter")).strip() == source.strip()


def test_a_citation_is_copied(visit, chapter):
    seen = visit(chapter)
    seen.ask("() => { window.copied = null; navigator.clipboard.writeText = async text => { window.copied = text; }; }")
    cite = seen.page.locator("details.elbo-cite").first
    cite.locator("summary").press("Enter")
    for block in cite.locator(".elbo-copy").all():
        block.locator("button").press("Enter")
        seen.page.wait_for_function("window.copied !== null")
        assert seen.ask("window.copied") == block.locator("pre").text_content()
        assert "copied" in block.locator("button").inner_text()
    assert cite.locator(".elbo-copy").count() >= 3


def test_folded_code_unfolds(visit, chapter):
    seen = visit(chapter)
    folded = seen.page.locator("details.hide:not([open])").first
    code = folded.locator("pre").first
    assert not code.is_visible()
    folded = folded.element_handle()
    folded.query_selector("summary").press("Enter")
    assert folded.query_selector("pre").is_visible()
