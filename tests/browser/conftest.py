"""Checks of the built pages in a real browser: Chromium of the system, driven by Playwright,
with axe-core inside the page.

``pytest tests/browser --book _build/html`` checks every page of that book. Without ``--book`` a small book is built
with the real configuration, theme and extensions, so that a plain test run checks something too. Where there is no
browser the tests are skipped with one sentence; with ``ELBO_BROWSER=required`` in the environment they fail instead.
"""

from __future__ import annotations

import os
import shutil
from importlib.util import find_spec
from pathlib import Path

import pytest

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
MISSING = ", ".join(
    name
    for name, there in {
        "the Python packages of the extra 'browser'": find_spec("playwright") and find_spec("axe_playwright_python"),
        "Chromium": CHROMIUM,
    }.items()
    if not there
)
SMALL_BOOK = ("book/index.html", "book/toy-2013.html", "book/references.html", "genindex.html", "search.html")


def pytest_addoption(parser):
    parser.addoption("--book", type=Path, default=None, help="directory of the built book whose pages are checked")


def pages_of(book: Path) -> list[str]:
    """Every page of a built book, except addresses that only forward to another page."""
    found = (path for path in book.rglob("*.html") if "_static" not in path.relative_to(book).parts)
    return sorted(
        str(path.relative_to(book)) for path in found if 'http-equiv="Refresh"' not in path.read_text("utf-8")
    )


def pytest_generate_tests(metafunc):
    if "address" in metafunc.fixturenames:
        book = metafunc.config.getoption("--book", None)
        pages = pages_of(book) if book else SMALL_BOOK
        if book and not pages:
            raise pytest.UsageError(f"no pages in {book}: build the book first")
        biggest_first = sorted(pages, key=lambda page: -(book / page).stat().st_size) if book else pages
        parameters = [pytest.param(page, marks=pytest.mark.xdist_group(page)) for page in biggest_first]
        metafunc.parametrize("address", parameters, scope="module")


@pytest.fixture(scope="session")
def chromium():
    """The browser, one a worker."""
    if MISSING:
        text = (
            f"the pages are not checked in a browser: missing {MISSING} (on Debian: apt-get install chromium; then "
            "make browser)"
        )
        (pytest.fail if os.environ.get("ELBO_BROWSER") == "required" else pytest.skip)(text)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def book(request, chromium, tmp_path_factory) -> Path:
    """The directory of the built book."""
    if given := request.config.getoption("--book", None):
        return given.resolve()
    from filelock import FileLock

    from small_book import build

    shared = (
        tmp_path_factory.getbasetemp().parent
        if os.environ.get("PYTEST_XDIST_WORKER")
        else tmp_path_factory.getbasetemp()
    )
    with FileLock(shared / "small-book.lock"):
        html = shared / "small-book" / "_build" / "html"
        if not html.exists():
            build(shared / "small-book")
    return html


@pytest.fixture(scope="module")
def opened(chromium, book, address):
    """The page at ``address``, opened once for all tests of it."""
    from browsing import Visit

    seen = Visit(chromium, book / address)
    yield seen
    seen.close()


@pytest.fixture
def seen(opened):
    """The page at ``address`` as on a desktop in the light theme, whatever the test before has done to it."""
    opened.look()
    return opened


@pytest.fixture
def visit(chromium):
    """``visit(path, **options)``: another :class:`browsing.Visit`, closed at the end."""
    from browsing import Visit

    visits = []

    def go(path: Path, **options) -> Visit:
        visits.append(Visit(chromium, path, **options))
        return visits[-1]

    yield go
    for one in visits:
        one.close()
