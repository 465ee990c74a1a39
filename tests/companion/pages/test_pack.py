"""Pages ask for joined files: the same rules and scripts in the same order, and nothing that nobody uses."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from elbo.companion.pages.pack import pack_site

PAGE = """<html><head>
<link rel="stylesheet" type="text/css" href="../_static/theme.css?v=1" />
<link rel="stylesheet" href="../_static/sub/own.css" />
<link rel="preload" as="script" href="../_static/last.js" />
<script src="../_static/first.js?v=3"></script>
<script>let between = 'set';</script>
<script>DOCUMENTATION_OPTIONS.pagename = 'page';</script>
<script data-tab="x" src="../_static/second.js"></script>
<script>after = 1;</script>
<script defer="defer" src="../_static/third.js"></script>
<script src="../_static/searchtools.js"></script>
</head><body><i class="fa-solid fa-download"></i>
<script defer src="../_static/last.js?digest=2"></script></body></html>"""


@pytest.fixture
def site(tmp_path) -> Path:
    static = tmp_path / "_static"
    (static / "sub").mkdir(parents=True)
    (static / "fonts").mkdir()
    (tmp_path / "book").mkdir()
    icons = Path(__import__("matplotlib").get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"
    shutil.copy(icons, static / "fonts" / "fa-solid-900.ttf")
    face = (
        '@font-face{src:url(fonts/fa-solid-900.woff2) format("woff2"),url(fonts/fa-solid-900.ttf) format("truetype")}'
    )
    signs = 'p{--icon:"\\0043";--sign:"\uef00"}'
    rules = signs + '.fa-download:before{content:"\\0041"}.fa-ship:before,.fa-boat:before{content:"\\0042"}'
    (static / "theme.css").write_text(f'@charset "UTF-8";@import "basic.css";{face}{rules}')
    (static / "basic.css").write_text("a{background:url(file.png)}")
    (static / "sub" / "own.css").write_text("b{background:url('../pic.svg')}c{background:url(data:x)}")
    for name in ("first", "second", "third", "last", "searchtools"):
        (static / f"{name}.js").write_text(f"{name}()")
    (tmp_path / "book" / "page.html").write_text(PAGE)
    (tmp_path / "search.html").write_text(PAGE.replace("../", "").replace("<i ", '<div id="search-results"></div><i '))
    pack_site(tmp_path)
    return tmp_path


def asked(site: Path, page: str = "book/page.html") -> tuple[str, list[str], list[str]]:
    html = (site / page).read_text()
    return html, re.findall(r'rel="stylesheet" href="([^"]*)"', html), re.findall(r'<script[^>]*src="([^"]*)"', html)


def test_one_sheet_with_all_rules_in_order(site):
    _, sheets, _ = asked(site)
    text = (site / "book" / sheets[0]).read_text()
    assert len(sheets) == 1 and "@import" not in text and "@charset" not in text
    assert re.findall(r"url\(['\"]?([^'\")]*)", text)[0] == "../file.png"
    assert text.index("a{") < text.index(".fa-download") < text.index("b{")
    assert "url('../pic.svg')" in text and "url(data:x)" in text


def test_icons_that_nobody_draws_are_gone(site):
    from fontTools.ttLib import TTFont

    _, sheets, _ = asked(site)
    path = site / "book" / sheets[0]
    text = path.read_text()
    assert ".fa-download" in text and ".fa-ship" not in text and ".fa-boat" not in text
    font = path.parent / re.search(r"url\((icons-[^)]*)\)", text)[1]
    assert set(TTFont(font).getBestCmap()) == {0x41, 0x43, 0xEF00}


def test_scripts_keep_their_order_and_their_data(site):
    html, _, scripts = asked(site)
    assert len(scripts) == 2 and "preload" not in html
    early, late = ((site / "book" / name).read_text() for name in scripts)
    assert early.index("first()") < early.index("second()") and late.index("third()") < late.index("last()")
    assert html.index("between") < html.index(scripts[0]) < html.index("after = 1") < html.index(scripts[1])
    assert 'data-tab="x"' in html and f'<script defer src="{scripts[1]}"' in html


def test_an_option_is_set_after_the_script_that_makes_the_options(site):
    html, _, scripts = asked(site)
    assert html.count("DOCUMENTATION_OPTIONS.pagename") == 1
    blocking = next(address for address in scripts if "first()" in (site / "book" / address).read_text())
    assert html.index("let between") < html.index(blocking) < html.index("DOCUMENTATION_OPTIONS.pagename")


def test_only_the_page_of_results_reads_the_index(site):
    _, _, scripts = asked(site)
    assert all("searchtools" not in (site / "book" / name).read_text() for name in scripts)
    _, _, scripts = asked(site, "search.html")
    assert any("searchtools()" in (site / name).read_text() for name in scripts)


def test_pages_share_files_and_a_second_time_changes_nothing(site):
    before = {path: path.read_bytes() for path in site.rglob("*") if path.is_file()}
    assert asked(site)[1][0].rsplit("/")[-1] == asked(site, "search.html")[1][0].rsplit("/")[-1]
    pack_site(site)
    assert before == {path: path.read_bytes() for path in site.rglob("*") if path.is_file()}


def test_a_page_that_asks_for_what_is_not_there_keeps_its_list(site):
    (site / "lost.html").write_text(PAGE.replace("../", "").replace("own.css", "gone.css"))
    pack_site(site)
    assert len(asked(site, "lost.html")[1]) == 2 or "gone.css" in (site / "lost.html").read_text()
