"""The labelled equations of the book and the tests that evaluate them, both read from
their sources; nothing is executed.

A page labels an equation ``$$ ... $$ (eq-<chapter>-<slug>)``; a test says which equations it evaluates by
``@pytest.mark.equation("eq-<chapter>-<slug>")``. What the last run of the tests made of them stands in
``_build/equations.json`` (written by ``tests/conftest.py``) and counts only for the very
package and test that were run.
"""

from __future__ import annotations

import ast
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TypeGuard

from elbo.companion.project.chapters import pages
from elbo.companion.project.paths import Project
from elbo.companion.record import fingerprint

__all__ = ["RESULTS", "Check", "Results", "checks", "labels", "results", "title"]

RESULTS = "equations.json"
"""Name of the file with the outcomes, in ``_build`` and in the source tree of a build."""
_LABEL = re.compile(r"^\$\$\s*\((eq-[^)]+)\)\s*$|^:label:\s*(\S+)\s*$", re.MULTILINE)


@dataclass(frozen=True)
class Check:
    """A test that evaluates equations.

    Attributes:
        labels: of the equations.
        test: name of the function.
        file: of the test, relative to the checkout (``tests/inference/test_cavi.py``).
        first, last: its lines, decorators included.
        source: those lines.
    """

    labels: tuple[str, ...]
    test: str
    file: str
    first: int
    last: int
    source: str

    @property
    def name(self) -> str:
        return f"{self.file}::{self.test}"


@dataclass(frozen=True)
class Results:
    """Outcomes of a run of the tests: by :attr:`Check.name`, ``passed``, ``failed`` or ``skipped``."""

    outcomes: dict[str, str]
    finished: str = ""
    commit: str | None = None

    def of(self, checks: list[Check]) -> str | None:
        """One outcome for several tests of an equation: the worst that is known, ``None`` if one is not known."""
        found = [self.outcomes.get(check.name) for check in checks]
        return next((outcome for outcome in ("failed", None, "skipped", "passed") if outcome in found), None)


def labels(project: Project) -> dict[str, str]:
    """Label of every numbered equation with its page (``book/blei-2017``), in the order of the book."""
    found: dict[str, str] = {}
    for page in pages(project):
        for match in _LABEL.finditer(_page(project.root / page)):
            found.setdefault(match[1] or match[2], page)
    return found


def title(project: Project, page: str) -> str:
    """The first heading of a page."""
    match = re.search(r"^# +(.+?) *$", _page(project.root / page), re.MULTILINE)
    return match[1] if match else page


def checks(tests: Path) -> dict[str, list[Check]]:
    """The tests of every label, by label, from the ``test_*.py`` files of a directory.

    Raises:
        ValueError: a mark does not hold plain labels, or does not stand at a function.
    """
    found: dict[str, list[Check]] = {}
    for path in sorted(tests.rglob("test_*.py")):
        for check in _module(path, f"tests/{path.relative_to(tests).as_posix()}"):
            for label in check.labels:
                found.setdefault(label, []).append(check)
    return found


def results(path: Path, tests: Path) -> Results:
    """The outcomes in ``path`` that belong to the installed package and to the tests as they
    are now; none without the file.
    """
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        package = fingerprint.package_digest()
        digests = {
            f"tests/{file.relative_to(tests).as_posix()}": fingerprint.file_digest(file)
            for file in tests.rglob("test_*.py")
        }
        valid = {
            name: one["outcome"]
            for name, one in told["tests"].items()
            if one["package"] == package and one["module"] == digests.get(name.partition("::")[0])
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return Results({})
    return Results(valid, str(told.get("finished", "")), told.get("commit")) if valid else Results({})


def _page(path: Path) -> str:
    """Text of a page without its suffix: Markdown, or the Markdown cells of a notebook."""
    notebook = path.with_name(path.name + ".ipynb")
    if notebook.is_file():
        cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
        return "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")
    return path.with_name(path.name + ".md").read_text(encoding="utf-8")


def _module(path: Path, name: str) -> list[Check]:
    text = path.read_text(encoding="utf-8")
    if "mark.equation" not in text:
        return []
    lines, tree = text.splitlines(), ast.parse(text)
    seen: set[int] = set()
    found: list[Check] = []
    for node in ast.walk(tree):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        marks = [mark for decorator in node.decorator_list for mark in ast.walk(decorator) if _is_mark(mark)]
        seen.update(map(id, marks))
        if given := tuple(dict.fromkeys(label for mark in marks for label in _labels_of(mark, name))):
            first = min(decorator.lineno for decorator in node.decorator_list)
            source = "\n".join(lines[first - 1 : node.end_lineno])
            found.append(Check(given, node.name, name, first, node.end_lineno or first, source))
    for mark in filter(_is_mark, ast.walk(tree)):
        if id(mark) in seen:
            continue
        raise ValueError(f"{name}, line {mark.lineno}: put @pytest.mark.equation(...) at the test function itself")
    return sorted(found, key=lambda check: check.first)


def _is_mark(node: ast.AST) -> TypeGuard[ast.Call]:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "equation"


def _labels_of(mark: ast.Call, name: str) -> list[str]:
    given = [argument.value if isinstance(argument, ast.Constant) else None for argument in mark.args]
    values = [value for value in given if isinstance(value, str)]
    if not values or mark.keywords or len(values) < len(given):
        raise ValueError(
            f'{name}, line {mark.lineno}: say @pytest.mark.equation("eq-<chapter>-<slug>"), labels in quotes'
        )
    return values
