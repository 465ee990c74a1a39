"""Every labelled equation of the book is evaluated by a test, and no test claims an
equation that the book does not have.

A test says which equation it checks by ``@pytest.mark.equation("eq-<chapter>-<slug>")``; the label in the book is the
same word. Pages and tests are read here by plain expressions, apart from :mod:`elbo.companion.pages.equations`, which
builds the page of checks: the two must agree.
"""

import ast
import re

import pytest

from checkout import ROOT, TESTS
from elbo.companion.pages import equations
from elbo.companion.project.paths import Project

BOOK = ROOT / "book"
LABEL = re.compile(r"^\$\$\s*\((eq-[^)]+)\)\s*$", re.MULTILINE)
DIRECTIVE = re.compile(r"^:label:\s*(\S+)\s*$", re.MULTILINE)
REFERENCE = re.compile(r"\{eq\}`([^`]+)`")


def labels() -> dict[str, str]:
    """Label of every numbered equation, with the page where it stands."""
    found = {}
    for page in sorted(BOOK.glob("*.md")):
        text = page.read_text()
        for label in LABEL.findall(text) + DIRECTIVE.findall(text):
            assert label not in found, f"{label} labels two equations, in {found[label]} and in {page.name}"
            found[label] = page.name
    return found


def checks() -> dict[str, str]:
    """Label of every ``pytest.mark.equation(...)`` in the test sources, with the module;
    a skipped test counts as well.
    """
    found = {}
    for module in sorted(TESTS.rglob("test_*.py")):
        for node in ast.walk(ast.parse(module.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "equation":
                found |= {argument.value: module.name for argument in node.args}
    return found


def test_every_labelled_equation_is_checked():
    checked = checks()
    unchecked = {label: page for label, page in labels().items() if label not in checked}
    assert not unchecked, f"no test evaluates {unchecked}; write one marked @pytest.mark.equation(<label>)"


def test_every_check_belongs_to_an_equation_of_the_book():
    known = labels()
    stale = {label: test for label, test in checks().items() if label not in known}
    assert not stale, f"the book has no such equations: {stale}"


def test_the_page_of_checks_shows_the_same_equations_and_tests():
    found = equations.labels(Project(ROOT))
    assert {label: f"{page.removeprefix('book/')}.md" for label, page in found.items()} == labels()
    shown = equations.checks(TESTS)
    assert set(shown) == set(checks()) and labels()
    for label, tests in shown.items():
        for check in tests:
            assert (
                check.source.startswith("@") and f'"{label}"' in check.source and f"def {check.test}(" in check.source
            )


@pytest.mark.parametrize("page", sorted(path.name for path in BOOK.glob("*.md")))
def test_labels_follow_the_page_and_references_resolve(page):
    text = (BOOK / page).read_text()
    for label in LABEL.findall(text):
        assert label.startswith(f"eq-{page.removesuffix('.md')}-"), label
    assert set(REFERENCE.findall(text)) <= set(labels())
