"""Sphinx extension: beside every labelled equation a small mark that leads to the test which evaluates it.

The tests are read from ``tests/`` in the source tree, by syntax tree, never imported. The directive ``equation-checks``
writes the page that the marks lead to, with the source of every test, so that the links hold without a network. A
labelled equation without a test is a warning (an error under ``-W``). The mark says *tested*; it says *passed* or
*failed* only where the outcome is on record for this very package and test
(:func:`elbo.companion.pages.equations.results`). A source tree without ``tests/`` gets no marks.
"""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

from elbo.companion.pages import equations
from elbo.companion.pages.equations import Check, Results
from elbo.companion.pages.figures import book_of
from elbo.companion.pages.medium import is_web
from elbo.companion.project.paths import Project
from elbo.companion.record.environment import commit

__all__ = ["EquationChecks", "checks_of", "mark", "place", "results_of", "setup"]

logger = logging.getLogger(__name__)
_PAGE = "elbo_checks_page"  # what Sphinx keeps for us: the page that shows the checks
_SAID = {
    "passed": "checked by {}, which passed",
    "failed": "checked by {}, which failed",
    "skipped": "checked by {}, which was skipped in the last run of the tests",
    None: "checked by {}",
}


def checks_of(env: BuildEnvironment) -> dict[str, list[Check]]:
    """The tests of every label, by label; read once a build."""
    known: dict[str, list[Check]] | None = env.app.__dict__.get("elbo_equation_checks")
    if known is None:
        try:
            known = equations.checks(_tests(env))
        except (SyntaxError, ValueError) as error:
            logger.warning("checks of equations: %s", error, type="elbo", subtype="equation")
            known = {}
        env.app.__dict__["elbo_equation_checks"] = known
    return known


def results_of(env: BuildEnvironment) -> Results:
    """What the last run of the tests made of them, where that is known."""
    known: Results | None = env.app.__dict__.get("elbo_equation_results")
    if known is None:
        places = [_tests(env) / equations.RESULTS, Path(env.srcdir) / "_build" / equations.RESULTS]
        path = next((path for path in places if path.is_file()), places[0])
        known = env.app.__dict__["elbo_equation_results"] = equations.results(path, _tests(env))
    return known


class EquationChecks(SphinxDirective):
    """``{equation-checks}``: a section a chapter, in it every equation with the source of its tests."""

    def run(self) -> list[nodes.Node]:
        env = self.env
        env.__dict__[_PAGE] = env.docname
        if not _tests(env).is_dir():
            return [nodes.paragraph("", "This copy of the book was built without its tests.")]
        known, outcomes = checks_of(env), results_of(env)
        book = book_of(env)
        self.repository, self.checkout = book.repository if book else "", commit()
        for file in sorted({check.file for found in known.values() for check in found}):
            env.note_dependency(str(Path(env.srcdir) / file))
        chapters: dict[str, list[str]] = {}
        for label, page in equations.labels(Project(Path(env.srcdir))).items():
            chapters.setdefault(page, []).append(label)
        shown: dict[str, str] = {}
        return [self._chapter(page, found, known, outcomes, shown) for page, found in chapters.items()]

    def _chapter(
        self, page: str, found: list[str], known: dict[str, Any], outcomes: Results, shown: dict[str, str]
    ) -> nodes.section:
        section = nodes.section(ids=[f"checks-{page.rsplit('/', 1)[-1]}"])
        title = equations.title(Project(Path(self.env.srcdir)), page)
        section += nodes.title(title, title)
        for label in found:
            section += self._equation(label, known.get(label, []), outcomes, shown)
        return section

    def _equation(self, label: str, checks: list[Check], outcomes: Results, shown: dict[str, str]) -> list[nodes.Node]:
        number = addnodes.pending_xref(
            "",
            nodes.inline(),
            refdomain="math",
            reftype="eq",
            reftarget=label,
            refdoc=self.env.docname,
            refexplicit=False,
            refwarn=True,
        )
        line = nodes.paragraph(
            "",
            "",
            nodes.strong("", "", nodes.Text("Equation "), number),
            ids=[f"check-{label}"],
            classes=["elbo-check"],
        )
        line += [nodes.Text(" "), nodes.literal(label, label)]
        blocks: list[nodes.Node] = [line]
        for check in checks:
            outcome = outcomes.of([check])
            said = nodes.Text(f" ({outcome})" if outcome else "")
            where = place(check, self.repository, self.checkout)
            name = nodes.literal(check.test, check.test)
            blocks.append(nodes.paragraph("", "", name, nodes.Text(" in "), where, said, classes=["elbo-check-place"]))
            if check.name in shown:
                link = nodes.reference("", "shown above", internal=True, refid=f"check-{shown[check.name]}")
                blocks[-1] += [nodes.Text(", "), link]
            else:
                shown[check.name] = label
                blocks.append(
                    nodes.literal_block(check.source, check.source, language="python", classes=["elbo-check-source"])
                )
        return blocks


def place(check: Check, repository: str, state: dict[str, Any]) -> nodes.Node:
    """Where a test stands, in words; a link where the repository is known and held exactly these lines."""
    said = f"{check.file}, lines {check.first} to {check.last}"
    if repository and state["commit"] and state["dirty"] is False:
        lines = f"{check.file}#L{check.first}-L{check.last}"
        return nodes.reference("", said, refuri=f"{repository}/blob/{state['commit']}/{lines}", internal=False)
    return nodes.Text(said)


def mark(checks: list[Check], outcome: str | None, href: str, number: str) -> str:
    """The mark beside an equation, as HTML: a quiet sign (a loud word where a test failed), and for a screen reader
    which test checks which equation.
    """
    tests = " and ".join(f"{check.test} in {check.file}" for check in checks)
    said = escape(_SAID[outcome].format(tests))
    aside = f'<span class="elbo-aside">tested (equation {escape(number)} is {said})</span>'
    if outcome == "failed":
        return f'<a class="elbo-check-mark" href="{escape(href)}" title="{said}">✗ test failed{aside}</a>'
    return f'<a class="elbo-check-mark elbo-info" href="{escape(href)}" title="{said}">{aside}</a>'


def _tests(env: BuildEnvironment) -> Path:
    return Path(env.srcdir) / "tests"


def _read(app: Sphinx, doctree: nodes.document) -> None:
    if not _tests(app.env).is_dir():
        return
    for node in doctree.findall(nodes.math_block):
        if (label := node.get("label")) and label not in checks_of(app.env):
            logger.warning('equation %s has no check: write a test marked @pytest.mark.equation("%s")', label, label,
                           location=node, type="elbo", subtype="equation")  # fmt: skip


def _resolved(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    page = getattr(app.env, _PAGE, None)
    if not is_web(app.builder) or not page or not _tests(app.env).is_dir():
        return
    numbers = app.env.toc_fignumbers.get(docname, {}).get("displaymath", {})
    for node in doctree.findall(nodes.math_block):
        label = node.get("label")
        if label and (checks := checks_of(app.env).get(label)):
            href = f"{app.builder.get_relative_uri(docname, page)}#check-{label}"
            number = ".".join(map(str, numbers.get(node["ids"][0], ()))) if node["ids"] else ""
            node["beside"] = mark(
                checks, results_of(app.env).of(checks), href, number or str(node.get("number") or label)
            )


def _purge(app: Sphinx, env: BuildEnvironment, docname: str) -> None:
    if getattr(env, _PAGE, None) == docname:
        del env.__dict__[_PAGE]


def _merge(app: Sphinx, env: BuildEnvironment, docnames: list[str], other: BuildEnvironment) -> None:
    if hasattr(other, _PAGE):
        env.__dict__[_PAGE] = getattr(other, _PAGE)


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the directive and the marks; :mod:`elbo.companion.pages.katex` writes what it finds as ``beside``."""
    app.add_directive("equation-checks", EquationChecks)
    app.connect("doctree-read", _read)
    app.connect("doctree-resolved", _resolved)
    app.connect("env-purge-doc", _purge)
    app.connect("env-merge-info", _merge)
    return {"version": "1", "env_version": 1, "parallel_read_safe": True, "parallel_write_safe": True}
