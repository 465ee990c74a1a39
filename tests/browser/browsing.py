"""A page opened from its file with the network cut, and the questions that the tests ask it."""

from __future__ import annotations

from pathlib import Path

__all__ = ["DESKTOP", "PAPER", "PHONE", "Visit", "axe"]

DESKTOP, PHONE, PAPER = {"width": 1280, "height": 900}, {"width": 390, "height": 844}, {"width": 720, "height": 1000}
STANDARD = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


def axe() -> str:
    """The source of axe-core (MPL-2.0), from the package that carries it."""
    import axe_playwright_python

    return (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text(encoding="utf-8")


class Visit:
    """A page opened from its file, in a context of its own. Every request that is not for a local file is refused and remembered.

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
        """Look at the page on this screen (or on paper, ``media="print"``) in this theme, and wait until it has settled:
        the theme's script waits 300 ms before it sees to what scrolls."""
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
