"""What a page costs its reader: requests and bytes down to its end, and how far it jumps while it loads."""

from __future__ import annotations

import pytest
from benchmarks.pages import SHIFT, measure, served

from browsing import Visit

REQUESTS = 40
BYTES = {"blei-2017": 800_000, "kingma-welling-2013": 700_000, "figures": 1_600_000}
"""Of pages with more figures than others: the review and Kingma & Welling have twenty-eight and twenty-three, the
gallery all of them, and the live ones.
"""


def test_requests_and_bytes(chromium, book, address):
    with served(book) as root:
        found = measure(chromium, root, book, address, throttle=1.0)
    page = found["page"]
    assert found["requests"] <= (REQUESTS if page != "figures" else 120)
    assert 1000 * found["kB"] <= BYTES.get(page, 600_000)


@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_jumps(chromium, book, address, width):
    seen = Visit(chromium, book / address, viewport={"width": width, "height": 850})
    try:
        seen.page.add_init_script(SHIFT)
        seen.page.reload(wait_until="load")
        seen.page.wait_for_timeout(400)
        assert seen.ask("window.shifted") <= 0.02
    finally:
        seen.close()
