"""What the extension ``reading`` mends in the pages, rule by rule; ``tests/browser`` checks the result."""

from types import SimpleNamespace

import pytest

from elbo.companion.pages.reading import _context, mend_body, mend_page


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('<th class="blank level0">&nbsp;</th><th>a</th>', '<td class="blank level0"></td><th>a</th>'),
        ("<thead><tr><th></th></tr></thead>", "<thead><tr><td></td></tr></thead>"),
        ('<th class="head"><p></p></th>', '<td class="head"></td>'),
        ("<th>a</th>", "<th>a</th>"),
        ('<div class="citation" id="a" role="doc-biblioentry">', '<div class="citation" id="a">'),
        ('<div role="list" class="citation-list">', '<div class="citation-list">'),
        ("a\n <script type=\"text/x-thebe-config\">\n{}\n</script>\n<script>kernelName = 'python3'</script>b", "ab"),
    ],
)
def test_body(before, after):
    assert mend_body(before) == after
    assert mend_body(after) == after


def test_page():
    script = '<script defer src="../_static/scripts/fontawesome.js?digest=1"></script>'
    other = '<script src="../_static/doctools.js"></script>'
    assert mend_page(f"<head>\n{script}{other}</head>") == f"<head>{other}</head>"
    sidebar = mend_page('<div id="pst-primary-sidebar" class="bd-sidebar">')
    assert sidebar == '<div id="pst-primary-sidebar" role="navigation" aria-label="Book" class="bd-sidebar">'
    assert mend_page(sidebar) == sidebar


def test_scripts_that_load_from_elsewhere_are_dropped():
    thebe = SimpleNamespace(filename="", attributes={"body": 'const THEBE_JS_URL = "https://example.org"'})
    start = SimpleNamespace(filename="sphinx-thebe.js", attributes={})
    kept = SimpleNamespace(filename="doctools.js", attributes={})
    context = {"body": "<th></th>", "script_files": [thebe, start, kept]}
    _context(None, "index", "page.html", context, None)
    assert context == {"body": "<td></td>", "script_files": [kept]}
