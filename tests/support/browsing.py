"""A page opened from its file with the network cut, and the questions that the tests ask it."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

__all__ = [
    "CUT",
    "DESKTOP",
    "PAPER",
    "PHONE",
    "TAB_STOPS",
    "Visit",
    "axe",
    "broken_images",
    "channels",
    "undescribed_images",
    "unset_formulas",
]

DESKTOP, PHONE, PAPER = {"width": 1280, "height": 900}, {"width": 390, "height": 844}, {"width": 720, "height": 1000}
STANDARD = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


def axe() -> str:
    """The source of axe-core (MPL-2.0), from the package that carries it."""
    import axe_playwright_python

    return (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text(encoding="utf-8")


class Visit:
    """A page opened from its file, in a context of its own. Every request that is not for a local
    file is refused and remembered.

    Args:
        path: the file.
        query: ``?name=value``, where the page has one.
        options: of the browser's context (``java_script_enabled``, ...).
    """

    def __init__(self, browser, path: Path, *, query: str = "", **options):
        self.refused: list[str] = []
        self.complaints: list[str] = []
        self.context = browser.new_context(**{"viewport": DESKTOP, "reduced_motion": "reduce", **options})
        self.context.set_offline(True)
        self.context.route(lambda url: not url.startswith(("file:", "data:", "blob:")), self._refuse)
        self.page = self.context.new_page()
        self.page.set_default_timeout(120_000)  # a busy machine is slow, not wrong
        self.page.on("console", self._heard)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("requestfailed", lambda request: self.complaints.append(f"not loaded: {request.url}"))
        self.page.goto(path.as_uri() + query, wait_until="load")

    def close(self) -> None:
        self.context.close()

    def look(self, screen: dict = DESKTOP, theme: str = "light", media: str = "screen") -> None:
        """Look at the page on this screen (or on paper, ``media="print"``) in this theme, and wait until it has
        settled: the theme's script waits 300 ms before it sees to what scrolls.
        """
        self.page.set_viewport_size(screen)
        self.page.emulate_media(color_scheme=theme, media=media)
        self.page.evaluate("() => document.fonts.ready.then(() => 0)")
        self.page.wait_for_timeout(350)

    def _refuse(self, route) -> None:
        self.refused.append(route.request.url)
        route.abort()

    def _heard(self, message) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)

    def violations(self, **options) -> list[str]:
        """What axe-core finds: rule, place and the first line of the reason."""
        if not self.ask("typeof axe === 'object'"):
            self.page.evaluate(axe() + "; 0")
        run = {
            "preload": False,
            "resultTypes": ["violations"],
            "runOnly": {"type": "tag", "values": STANDARD},
            **options,
        }
        found = self.page.evaluate("options => axe.run(document, options)", run)
        return [
            f"{rule['id']} at {' '.join(map(str, node['target']))}: {' '.join(node['failureSummary'].split())[:240]}"
            for rule in found["violations"]
            for node in rule["nodes"]
        ]

    def ask(self, script: str):
        """The value of a JavaScript expression or function in the page."""
        return self.page.evaluate(script)


CUT = """it.checkVisibility() && (it.getBoundingClientRect().left < 0
  || it.getBoundingClientRect().right > innerWidth + 1
  || [...function* () { for (let up = it.parentElement; up; up = up.parentElement) yield up }()].some(up =>
    getComputedStyle(up).overflowX !== 'visible'
    && it.getBoundingClientRect().right > up.getBoundingClientRect().right + 1))"""
TAB_STOPS = """() => {
  const path = it => it.id ? '#' + it.id : (it.parentElement ? path(it.parentElement) : '') + '>' + it.localName
    + ':' + [...(it.parentElement?.children ?? [])].indexOf(it);
  const name = it => path(it) + ' ' + (it.textContent.trim() || it.title || it.ariaLabel || '').slice(0, 40);
  window.stops = () => [...document.querySelectorAll(
      'a[href], button, summary, input, select, textarea, [tabindex="0"]')]
    .filter(it => it.checkVisibility({visibilityProperty: true}) && it.tabIndex >= 0
      && !it.disabled && !it.closest('[inert]')
      && !(it.type === 'radio' && !it.checked))  // arrow keys reach the other choices
    .map(name);
  window.focused = () => {
    const it = document.activeElement;
    if (!it || it === document.body) return [null, true];
    const look = getComputedStyle(it);
    const outlined = look.outlineStyle !== 'none' && parseFloat(look.outlineWidth) > 0;
    return [name(it), (outlined || look.boxShadow !== 'none') && it.getBoundingClientRect().width > 0];
  };
}"""


def unset_formulas(seen: Visit) -> list[str]:
    """Formulas that are not set as HTML with MathML beside it, or that KaTeX has marked as wrong."""
    bare = "!it.querySelector('.katex-html') || !it.querySelector('math') || it.querySelector('.katex-error')"
    return seen.ask(
        f"[...document.querySelectorAll('.math')].filter(it => {bare}).map(it => it.textContent.slice(0, 80))"
    )


def broken_images(seen: Visit) -> list[str]:
    """Images that have no pixels once the lazy ones were asked for."""
    load = "Promise.allSettled([...document.images].map(it => (it.loading = 'eager', it.decode())))"
    return seen.ask(f"() => {load}.then(() => [...document.images].filter(it => !it.naturalWidth).map(it => it.src))")


def undescribed_images(seen: Visit) -> list[str]:
    """Images whose alternative text is missing, too short to be a description, or a file's name."""
    images = seen.ask("[...document.images].map(it => [it.getAttribute('src'), it.alt])")
    return [src for src, alt in images if len((alt or "").strip()) < 15 or re.search(r"\.(svg|png|jpe?g)$", alt)]


@cache
def anchors(page: Path) -> frozenset[str]:
    """The places on a page that a link may lead to."""
    return frozenset(re.findall(r'\sid="([^"]+)"', page.read_text(encoding="utf-8")))


def channels(colour: str) -> list[float]:
    """The numbers of ``rgb(...)`` or ``rgba(...)``."""
    return [float(number) for number in re.findall(r"[\d.]+", colour)]
