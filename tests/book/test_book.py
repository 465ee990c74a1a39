"""The conventions that every chapter keeps, read from its source: parameters, begin and end, profiles, citations."""

import ast
import re

import jupytext
import pytest
import yaml

from checkout import ROOT
from elbo.companion.project.chapters import pages
from elbo.companion.project.paths import Project

BOOK = ROOT / "book"
PAGES = pages(Project(ROOT))
CHAPTERS = [page.removeprefix("book/") for page in PAGES if "kernelspec:" in (ROOT / f"{page}.md").read_text()]
PROFILES = {path.stem: yaml.safe_load(path.read_text()) or {} for path in sorted((BOOK / "profiles").glob("*.yml"))}


def cells(chapter: str):
    notebook = jupytext.read(BOOK / f"{chapter}.md")
    assert notebook.metadata["kernelspec"]["name"] == "python3"
    return [cell for cell in notebook.cells if cell.cell_type == "code" and cell.source.strip()]


def parameters(chapter: str) -> dict[str, ast.AnnAssign]:
    (cell,) = [cell for cell in cells(chapter) if "parameters" in cell.metadata.get("tags", [])]
    statements = ast.parse(cell.source).body
    assert all(isinstance(statement, ast.AnnAssign) for statement in statements), f"{chapter}: annotate every parameter"
    return {statement.target.id: statement for statement in statements}


def test_every_page_of_the_contents_exists_and_every_page_is_in_the_contents():
    on_disk = {path.relative_to(ROOT).with_suffix("").as_posix() for path in BOOK.rglob("*.md")}
    assert set(PAGES) == on_disk
    assert CHAPTERS


def test_the_page_of_the_build_is_not_among_the_readers_pages():
    """It is a maintainer's: reachable, below the checks, and not in the first row of the contents."""
    contents = yaml.safe_load((ROOT / "_toc.yml").read_text())["parts"]
    first_row = [chapter["file"] for part in contents for chapter in part["chapters"]]
    assert "book/status" in PAGES and "book/status" not in first_row and "book/timeline" in first_row


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_a_chapter_begins_and_ends(chapter):
    found = cells(chapter)
    assert "parameters" in found[0].metadata.get("tags", [])
    assert found[1].source.split() == f'from elbo import companion companion.begin("{chapter}", globals())'.split()
    assert found[-1].source.strip() == "companion.end()"
    assert "remove-cell" in found[-1].metadata["tags"]


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_every_parameter_is_explained(chapter):
    (cell,) = [cell for cell in cells(chapter) if "parameters" in cell.metadata.get("tags", [])]
    for name in parameters(chapter):
        (line,) = [line for line in cell.source.splitlines() if line.startswith(f"{name}:")]
        assert "#" in line, f"{chapter}: say in a comment what {name} is"
    assert "device" in parameters(chapter)


@pytest.mark.parametrize("profile", PROFILES)
def test_profiles_name_chapters_and_parameters_that_exist(profile):
    for chapter, values in PROFILES[profile].items():
        assert chapter in CHAPTERS
        assert set(values or {}) <= set(parameters(chapter)), f"{profile}: {chapter}"


def test_the_three_profiles_cover_every_chapter():
    assert {"smoke", "quick", "paper"} <= set(PROFILES)
    for name in ("smoke", "quick", "paper"):
        assert set(PROFILES[name]) == set(CHAPTERS)


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_no_algorithm_lives_in_a_notebook(chapter):
    for cell in cells(chapter):
        for node in ast.walk(ast.parse(cell.source)):
            assert not isinstance(node, (ast.FunctionDef, ast.ClassDef, ast.While)), (
                f"{chapter}: move it to src/elbo\n{cell.source}"
            )


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_figure_ids_are_the_chapters_own(chapter):
    ids = re.findall(r'id="([^"]+)"', (BOOK / f"{chapter}.md").read_text())
    assert ids and len(ids) == len(set(ids))
    assert all(id.startswith(f"{chapter}-") for id in ids)


def test_citations_have_an_entry():
    entries = set(re.findall(r"^@\w+\{([^,]+),", (BOOK / "references.bib").read_text(), re.MULTILINE))
    for page in BOOK.glob("*.md"):
        for keys in re.findall(r"\{cite(?::\w+)?\}`([^`]+)`", page.read_text()):
            assert {key.strip() for key in keys.split(",")} <= entries, page.name
