"""Weight and speed of the built chapters: requests, bytes as sent, paint, load and shift at 4x CPU throttle.

``python -m benchmarks pages`` looks at ``_build/html`` (or at the directory in ``ELBO_HTML``) in the Chromium of the
system. Bytes are those of every file that the page asks for, once it has been scrolled to its end, each compressed by
gzip where that makes it smaller. Paint, load and shift are of the first screen, without a network's delays.
"""

from __future__ import annotations

import functools
import gzip
import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

CHAPTERS = ("blei-2017", "kingma-welling-2013", "hoffman-johnson-2016", "higgins-2017")
THROTTLE = 4.0
SHIFT = """window.shifted = 0;
new PerformanceObserver(list => list.getEntries().forEach(it => window.shifted += it.value))
  .observe({type: 'layout-shift', buffered: true})"""
LOADED = "[...document.images].every(it => it.complete || !it.checkVisibility())"
TIMES = """() => ({paint: performance.getEntriesByName('first-contentful-paint')[0].startTime / 1000,
  load: performance.getEntriesByType('navigation')[0].loadEventEnd / 1000, shift: window.shifted})"""


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format, *args):
        pass


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The address of ``folder`` on this machine while the block runs."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def sent(path: Path) -> int:
    """Bytes of a file as a server sends it: compressed where that helps."""
    content = path.read_bytes()
    return min(len(content), len(gzip.compress(content, 6)))


def measure(browser, address: str, folder: Path, page: str, throttle: float = THROTTLE) -> dict:
    """One page: what it asks for down to its end, and how soon its first screen stands."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    seen, asked = context.new_page(), []
    seen.set_default_timeout(120_000)
    seen.on("request", lambda request: asked.append(urlsplit(request.url).path) if "http" in request.url[:4] else None)
    seen.add_init_script(SHIFT)
    context.new_cdp_session(seen).send("Emulation.setCPUThrottlingRate", {"rate": throttle})
    seen.goto(f"{address}/{page}", wait_until="load")
    seen.wait_for_timeout(500)
    times, first = seen.evaluate(TIMES), len(asked)
    seen.evaluate(
        "document.querySelectorAll('img[loading=lazy]').forEach(it => it.checkVisibility() && (it.loading = 'eager'))"
    )
    seen.wait_for_function(LOADED)  # not for a silent network: a request that was called off is waited for in vain
    seen.wait_for_timeout(600)
    files = {path: sent(folder / unquote(path).lstrip("/")) for path in asked}
    context.close()
    return {
        "page": Path(page).stem,
        "requests": len(asked),
        "at once": first,
        "kB": sum(files.values()) / 1000,
        "kB of images": sum(size for path, size in files.items() if "_images" in path) / 1000,
        "paint s": times["paint"],
        "load s": times["load"],
        "shift": times["shift"],
        "heaviest": sorted(files, key=lambda path: -files[path])[0].rsplit("/", 1)[-1],
    }


def run() -> list[dict]:
    """One row a chapter."""
    from playwright.sync_api import sync_playwright

    folder = Path(os.environ.get("ELBO_HTML", "_build/html")).resolve()
    pages = [page for key in CHAPTERS if (folder / (page := f"book/{key}.html")).exists()]
    with sync_playwright() as playwright, served(folder) as address:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        rows = [measure(browser, address, folder, page) for page in pages]
        browser.close()
    return rows
