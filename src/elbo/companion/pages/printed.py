"""The lines under a figure on paper: its name, the run that made it, how to make it again and how to cite it."""

from __future__ import annotations

from typing import Any

from docutils import nodes

from elbo.companion.record import citation, words
from elbo.companion.record.book import Book

__all__ = ["printed_legend"]


def printed_legend(record: dict[str, Any], run: dict[str, Any], book: Book | None) -> list[nodes.Node]:
    """The lines under a figure, as nodes.

    Args:
        record: of the figure.
        run: from :func:`elbo.companion.record.handover.run_facts`.
        book: from ``CITATION.cff``; without one nothing is said of citing.
    """
    id, about = record["id"], record["environment"]
    profile = f"profile {record['profile']}" if record["profile"] else "no profile"
    date = f", {words.moment(run['finished'])}" if run.get("finished") else ""
    facts = f" {profile}, on {words.device(about)}{date}, commit {words.commit(about)}"
    facts += (
        f", table sha256 {words.digest(record['csv_sha256'])}. Make it again: " if record.get("csv_sha256") else ". "
    )
    again = f"elbo reproduce {id}"
    lines: list[nodes.Node] = [
        nodes.paragraph("", "", nodes.literal(id, id), nodes.Text(facts), nodes.literal(again, again))
    ]
    if book:
        lines.append(nodes.paragraph("", f"Cite: {citation.cite(record, book, 'text', run.get('finished', ''))}"))
    return lines
