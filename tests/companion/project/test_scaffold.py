"""``elbo new``: a chapter in every place that a chapter touches, which runs, passes its
tests and stands in a built book.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from bs4 import BeautifulSoup

import toybook
from checkout import ROOT
from elbo.companion.project.chapters import pages
from elbo.companion.project.errors import CompanionError
from elbo.companion.project.paths import Project
from elbo.companion.project.scaffold import new_chapter, places

KEY = "rezende-2014"
PAPER = "Rezende, Mohamed & Wierstra (2014)"
TITLE = "Stochastic Backpropagation"
PAGES = {
    "index": "# A small book\n\n::::{grid} 1\n::::\n",
    "scoreboard": "# Scoreboard\n\n```{scoreboard} summary\n```\n",
    "figures": "# All figures\n",
    "checks": "# Checks\n\n```{equation-checks}\n```\n",
    "references": "# References\n\n```{bibliography}\n```\n",
}


def small(root: Path) -> Path:
    """A checkout with the real configuration and package, and no chapter."""
    (root / "book" / "profiles").mkdir(parents=True)
    for name, text in PAGES.items():
        (root / "book" / f"{name}.md").write_text(text)
    (root / "book" / "references.bib").write_text("")
    (root / "book" / "claims.yml").write_text("papers:\n\nclaims:\n")
    (root / "README.md").write_text("# Small\n\n| chapter | paper |\n|---|---|\n")
    shutil.copytree(ROOT / "book" / "_static", root / "book" / "_static")
    shutil.copy(ROOT / "CITATION.cff", root)
    shutil.copy(ROOT / "_config.yml", root)
    (root / "_toc.yml").write_text(
        "format: jb-book\nroot: book/index\nparts:\n  - caption: The papers\n    chapters:\n"
        "  - caption: After\n    chapters:\n"
        + "".join(f"      - file: book/{name}\n" for name in PAGES if name != "index")
    )
    toybook.copy_package(root / "src")
    return root


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = small(tmp_path_factory.mktemp("scaffold") / "small")
    done = toybook.elbo(root, "new", KEY, "--paper", PAPER, "--title", TITLE, package_folder=root / "src")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[:-1] == list(places(KEY))
    return root


def test_every_place_names_the_chapter(root):
    for path in places(KEY):
        assert (root / path).is_file() and (
            KEY in path or KEY in (root / path).read_text() or PAPER in (root / path).read_text()
        )
        assert "@" not in (root / path).read_text().replace("@pytest", "").replace("@misc", "")
    assert pages(Project(root))[:2] == ["book/index", f"book/{KEY}"]


def test_its_tests_pass(root):
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "ignore", "tests"]
    done = subprocess.run(
        command, cwd=root, env={**os.environ, "PYTHONPATH": str(root / "src")}, capture_output=True, text=True
    )
    assert done.returncode == 0 and "3 passed" in done.stdout, done.stdout


def test_the_book_is_built_with_it(root):
    done = toybook.elbo(root, "build", "--profile", "smoke", package_folder=root / "src")
    assert done.returncode == 0, done.stderr + (root / "_build/log/jupyter-book.log").read_text()
    html = root / "_build" / "html" / "book"
    chapter = BeautifulSoup((html / f"{KEY}.html").read_text(), "html.parser")
    assert chapter.find(id=f"{KEY}-bound") and chapter.select_one("a.elbo-check-mark")
    assert f"{KEY}-bound" in (html / "figures.html").read_text()
    board = BeautifulSoup((html / "scoreboard.html").read_text(), "html.parser")
    assert (
        "At the exact posterior the bound is the evidence." in board.find(id=f"claim-{KEY}-exact-posterior").get_text()
    )
    assert "Reproduced" in board.find(id=f"claim-{KEY}-exact-posterior").get_text()


def test_what_is_there_is_not_overwritten_and_nothing_is_half_done(root, tmp_path):
    before = toybook.contents(root / "book")
    with pytest.raises(CompanionError, match="is there already"):
        new_chapter(Project(root), KEY)
    for key in ("Rezende-2014", "rezende", "../rezende-2014", "rezende_2014"):
        with pytest.raises(CompanionError, match="a chapter is called <author>-<year>"):
            new_chapter(Project(root), key)
    (tmp_path / "_toc.yml").write_text("format: jb-book\nroot: book/index\n")
    with pytest.raises(CompanionError, match="_toc.yml has no place"):
        new_chapter(Project(tmp_path), "other-2001")
    assert [path.name for path in tmp_path.rglob("*")] == ["_toc.yml"]
    assert toybook.contents(root / "book") == before


def test_the_real_book_has_room_for_a_chapter(tmp_path):
    """Only the files that list chapters are copied; what is entered leaves them well formed."""
    for path in places(KEY):
        if (ROOT / path).is_file():
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / path, tmp_path / path)
    new_chapter(Project(tmp_path), KEY, TITLE, PAPER)
    parts = {part["caption"]: part["chapters"] for part in yaml.safe_load((tmp_path / "_toc.yml").read_text())["parts"]}
    assert parts["The papers"][-1] == {"file": f"book/{KEY}"} and len(parts["The papers"]) > 1
    claims = yaml.safe_load((tmp_path / "book" / "claims.yml").read_text())
    assert claims["papers"][KEY] == PAPER and claims["claims"][-1]["paper"] == KEY
    readme = (tmp_path / "README.md").read_text()
    assert readme.index(f"| `{KEY}` |") > readme.index("| `higgins-2017` |") and readme.index(
        f"| `{KEY}` |"
    ) < readme.index("## Build it")
