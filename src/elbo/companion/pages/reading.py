"""Sphinx extension: what the theme leaves undone for readers with a keyboard, a screen reader, or no network.

It drops scripts that only load things from elsewhere (thebe) or draw a second time what the icon font draws
already (1.5 MB a page), gives the sidebar its landmark, and mends table headers and citation lists that
assistive technology cannot make sense of. Every rule here answers a finding of the checks in ``tests/browser``,
which say when one is no longer enough.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx

from elbo.companion.pages.medium import is_web

__all__ = ["mend_body", "mend_page", "setup"]

_BODY = [
    # pandas writes the corner of a table as a header without words
    (re.compile(r"<th\b([^>]*)>(?:\s|&nbsp;|&#160;|\xa0|<p></p>)*</th>"), r"<td\1></td>"),
    # a role that ARIA has withdrawn, and a list whose children are no list items
    (re.compile(r' role="doc-biblioentry"'), ""),
    (re.compile(r'<div role="list" class="citation-list">'), '<div class="citation-list">'),
    (
        re.compile(
            r'\s*<script type="text/x-thebe-config">.*?</script>\s*<script>kernelName = [^<]*</script>', re.DOTALL
        ),
        "",
    ),
]
_PAGE = [
    (re.compile(r'\s*<script [^>]*src="[^"]*scripts/fontawesome\.js[^"]*"></script>'), ""),
    (
        re.compile(r'<div id="pst-primary-sidebar" class'),
        '<div id="pst-primary-sidebar" role="navigation" aria-label="Book" class',
    ),
]


def mend_body(html: str) -> str:
    """The HTML of a page's article, with table corners, citations and configuration blocks put right."""
    return _all(_BODY, html)


def mend_page(html: str) -> str:
    """The HTML of a whole page, with the frame that the theme puts around the article put right."""
    return _all(_PAGE, html)


def _all(rules: list[tuple[re.Pattern[str], str]], html: str) -> str:
    for pattern, replacement in rules:
        html = pattern.sub(replacement, html)
    return html


def _context(
    app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: nodes.document | None
) -> None:
    if "body" in context:
        context["body"] = mend_body(context["body"])
    if "script_files" in context:
        context["script_files"] = [script for script in context["script_files"] if not _thebe(script)]


def _thebe(script: object) -> bool:
    body = getattr(script, "attributes", {}).get("body") or ""
    return "THEBE_JS_URL" in body or "sphinx-thebe.js" in str(getattr(script, "filename", script) or "")


def _finish(app: Sphinx, error: Exception | None) -> None:
    if error is not None or not is_web(app.builder):
        return
    for path in sorted(Path(app.outdir).rglob("*.html")):
        before = path.read_text(encoding="utf-8")
        if (after := mend_page(before)) != before:
            path.write_text(after, encoding="utf-8")


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the repairs: after everything else has written its part of a page, before
    anything counts or packs the files.
    """
    app.connect("html-page-context", _context, priority=990)
    app.connect("build-finished", _finish, priority=10)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
