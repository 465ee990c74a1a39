"""Sphinx extension: what was verified when, and on what; ``{elbo-status} figures``,
``reference-tables``, ``equations`` or ``build``.

Everything is read while the book is built: the records of the runs, the reference tables (their digests are
computed again), the tests of the equations. Nothing is typed in, so that the page says what this build knows,
and of what it does not know that it does not. A reference table that is not the one in its record is a
warning (an error under ``-W``).
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, cast

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.domains.math import MathDomain
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

from elbo.companion.pages.figures import published, run_of
from elbo.companion.pages.marks import checks_of, results_of
from elbo.companion.project import settings
from elbo.companion.project.chapters import pages
from elbo.companion.project.paths import Project
from elbo.companion.record import words
from elbo.companion.record.environment import commit, lock_digest
from elbo.companion.record.fingerprint import file_digest

__all__ = ["Status", "setup"]

logger = logging.getLogger(__name__)
_PARTS = ("build", "figures", "reference-tables", "equations")
Cell = str | list[nodes.Node]


class build_status(nodes.General, nodes.Element):
    """Stands where a part of the status (attribute ``part``) will be, once all pages are read."""


class Status(SphinxDirective):
    """``{elbo-status} <part>``"""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        part = self.arguments[0]
        if part not in _PARTS:
            raise self.error(f"elbo-status: there is no part {part!r}; use one of {', '.join(_PARTS)}")
        return [build_status(part=part)]


def _fill(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    makers = {"build": _build, "figures": _figures, "reference-tables": _reference_tables, "equations": _equations}
    for placeholder in list(doctree.findall(build_status)):
        placeholder.replace_self(makers[placeholder["part"]](app, docname))


def _build(app: Sphinx, docname: str) -> list[nodes.Node]:
    state = commit()
    lock = lock_digest()
    said = f"Lock file {words.digest(lock) if lock else 'unknown'} (sha256), commit {words.commit(state)}."
    return [nodes.paragraph("", said)]


def _figures(app: Sphinx, docname: str) -> list[nodes.Node]:
    env = app.env
    chapters: dict[str, dict[str, dict[str, Any]]] = {}
    for id, about in published(env).items():
        chapters.setdefault(about["docname"], {})[id] = about
    found: list[nodes.Node] = []
    for page, figures in _in_order(app, chapters):
        uri = app.builder.get_relative_uri(docname, page)
        first = next(iter(figures.values()))["record"]
        run = run_of(env, first["chapter"])
        name = nodes.reference("", env.titles[page].astext(), refuri=uri, internal=True)
        found.append(nodes.paragraph("", "", nodes.strong("", "", name), nodes.Text(f". {_run_sentence(first, run)}")))
        rows: list[list[Cell]] = []
        for id, about in figures.items():
            link = nodes.reference("", "", nodes.literal(id, id), refuri=f"{uri}#{id}", internal=True)
            rows.append([[link], _day(run), words.digest(about["record"]["csv_sha256"])])
        found.append(_table(["figure", "verified", "table (sha256)"], rows))
    return found or [nodes.paragraph("", "This build has published no figure.")]


def _run_sentence(first: dict[str, Any], run: dict[str, Any]) -> str:
    """When and where a chapter ran, from the record of one of its figures and what else is known of the run."""
    environment = first["environment"]
    profile = f"profile {first['profile']}" if first["profile"] else "no profile"
    where = f"{profile}, on {words.device(environment)}, commit {words.commit(environment)}"
    if not run:
        return f"Executed while these pages were built ({where}); when, and how long it took, was not recorded."
    seeds = "".join(f", {name} = {json.dumps(value)}" for name, value in run.get("seeds", {}).items())
    return f"Ran to its end on {words.moment(run['finished'])} in {words.duration(run.get('seconds'))}: {where}{seeds}."


def _reference_tables(app: Sphinx, docname: str) -> list[nodes.Node]:
    root = settings.checkout()
    paths = sorted((root / "data" / "reference").glob("*/*.json")) if root else []
    rows: list[list[Cell]] = []
    for path in paths:
        about = json.loads(path.read_text(encoding="utf-8"))
        table = path.with_suffix(".csv")
        same = table.is_file() and file_digest(table) == about.get("sha256")
        name = f"{path.parent.name}/{path.stem}"
        if not same:
            logger.warning(
                "reference table %s is not the one in its record: restore it with git checkout data/reference",
                name,
                type="elbo",
                subtype="status",
            )
        when = words.moment(about["finished"]) if about.get("finished") else "date not recorded"
        measured = f"{when}, on {words.device(about)}, commit {words.commit(about)}"
        verified = f"{words.digest(about['sha256'])}, {'the same now' if same else 'CHANGED'}"
        rows.append([[nodes.literal(name, name)], measured, words.duration(about.get("seconds")), verified])
    if not rows:
        return [nodes.paragraph("", "This build has found no reference tables.")]
    return [_table(["table", "measured", "took", "sha256"], rows)]


def _equations(app: Sphinx, docname: str) -> list[nodes.Node]:
    env, known, outcomes = app.env, checks_of(app.env), results_of(app.env)
    found_on: dict[str, list[str]] = {}
    for label, (page, _) in cast(MathDomain, env.get_domain("math")).equations.items():
        found_on.setdefault(page, []).append(label)
    every = [label for labels in found_on.values() for label in labels]
    tested = [label for label in every if label in known]
    passed = [label for label in tested if outcomes.of(known[label]) == "passed"]
    said = f"{len(every)} equations are labelled and {len(tested)} of them have a test. "
    if outcomes.outcomes:
        at = f", on {words.moment(outcomes.finished)}" if outcomes.finished else ""
        said += (
            f"Of {len(passed)} the tests passed in the last run of exactly this code{at}, commit "
            f"{words.commit({'commit': outcomes.commit})}."
        )
    else:
        said += "How the tests ended is not known to this build: they were not run on exactly this code before it."
    rows: list[list[Cell]] = []
    for page, labels in _in_order(app, found_on):
        link = nodes.reference(
            "", env.titles[page].astext(), refuri=app.builder.get_relative_uri(docname, page), internal=True
        )
        found = [outcomes.of(known[label]) for label in labels if label in known]
        counts = (
            [str(found.count(outcome)) for outcome in ("passed", "failed")] if outcomes.outcomes else ["not known"] * 2
        )
        rows.append([[link], str(len(labels)), str(len(found)), *counts])
    return [
        nodes.paragraph("", said),
        *([_table(["chapter", "equations", "with a test", "passed", "failed"], rows)] if rows else []),
    ]


def _in_order(app: Sphinx, by_page: dict[str, Any]) -> list[tuple[str, Any]]:
    """What is known of pages, in the order of the book."""
    order = {page: number for number, page in enumerate(pages(Project(Path(app.srcdir))))}
    return sorted(by_page.items(), key=lambda item: order.get(item[0], len(order)))


def _table(head: list[str], rows: Iterable[list[Cell]]) -> nodes.table:
    """A table with one line of headers."""
    group = nodes.tgroup("", *(nodes.colspec(colwidth=1) for _ in head), cols=len(head))
    group += nodes.thead("", nodes.row("", *(nodes.entry("", nodes.paragraph("", title)) for title in head)))
    group += nodes.tbody("", *(nodes.row("", *(nodes.entry("", _paragraph(cell)) for cell in row)) for row in rows))
    return nodes.table("", group, classes=["elbo-status"])


def _paragraph(cell: Cell) -> nodes.paragraph:
    return nodes.paragraph("", cell) if isinstance(cell, str) else nodes.paragraph("", "", *cell)


def _day(run: dict[str, Any]) -> str:
    return words.moment(run["finished"]) if run.get("finished") else "in this build"


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the directive; what it stands for is filled in when every page has been read."""
    app.add_node(build_status)
    app.add_directive("elbo-status", Status)
    app.connect("doctree-resolved", _fill)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
