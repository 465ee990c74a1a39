"""What passes from a chapter's kernel to the run and to the pages, said once: MIME types, sentinel, files of a figure.

The kernel writes these into the outputs of cells; whoever reads an executed notebook reads them here.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from elbo.companion.project.chapters import nearest
from elbo.companion.project.errors import CompanionError, quote
from elbo.companion.project.paths import Project

__all__ = [
    "FORMATS",
    "MIME",
    "NO_DATA",
    "cell_lines",
    "content_of",
    "figures_in",
    "published_figure",
    "published_figures",
    "published_files",
    "run_facts",
    "sentinel",
    "without_data",
]

MIME = "application/vnd.elbo.figure+json"
"""MIME type of the output that carries a figure through a notebook into the book."""
NO_DATA = "application/vnd.elbo.no-data+json"
"""MIME type of the output that says, beside the error, that data could not be had (:class:`elbo.ledger.NoData`)."""
FORMATS = ("svg", "pdf", "png", "csv", "json")
"""The files of a figure, ``figures/<id>.<format>`` in the built site."""

_PACKED = ("pdf", "png")
_FACTS = ("finished", "seconds", "seeds", "device", "threads", "notebook_sha256")


def sentinel(chapter: str) -> str:
    """What the last cell of a chapter prints; a run without it is not accepted."""
    return f"elbo: chapter {chapter} complete"


def figures_in(notebook: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The figures of an executed notebook, in its order: ``id, chapter, caption, alt,
    files``, the PNG among the files.
    """
    for data in _outputs(notebook):
        if content := data.get(MIME):
            yield {**content, "files": {**content["files"], "png": data.get("image/png", "")}}


def without_data(notebook: dict[str, Any]) -> bool:
    """Whether a cell of an executed notebook ended because data could not be had."""
    return any(NO_DATA in data for data in _outputs(notebook))


def content_of(format: str, text: str) -> bytes:
    """The bytes of a figure's file from the text in which a notebook carries it."""
    return base64.b64decode(text) if format in _PACKED else text.encode()


def published_figures(project: Project, profile: str) -> list[dict[str, Any]]:
    """``id, chapter, caption, alt, notebook, record, run`` of every figure in the accepted runs of a profile."""
    rows = []
    for path in sorted(project.runs(profile).glob("[!.]*/*.ipynb")):
        run = run_facts(path.with_name("run.json"))
        for content in figures_in(json.loads(path.read_text(encoding="utf-8"))):
            rows.append(
                {
                    **{name: content[name] for name in ("id", "chapter", "caption", "alt")},
                    "notebook": project.show(path),
                    "record": json.loads(content["files"]["json"]),
                    "run": run,
                }
            )
    return rows


def published_files(project: Project, profile: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Id and files, as :func:`figures_in` has them, of every figure in the accepted runs of a profile."""
    for path in sorted(project.runs(profile).glob("[!.]*/*.ipynb")):
        for content in figures_in(json.loads(path.read_text(encoding="utf-8"))):
            yield content["id"], content["files"]


def published_figure(project: Project, profile: str, id: str) -> dict[str, Any]:
    """One of :func:`published_figures`.

    Raises:
        CompanionError: no accepted run of the profile has it.
    """
    found = {row["id"]: row for row in published_figures(project, profile)}
    if id not in found:
        raise CompanionError(
            f"no accepted run of the profile {profile} has a figure {quote(id)}{nearest(id, found)}; "
            "`elbo figures` lists them"
        )
    return found[id]


def cell_lines(source: str, id: str) -> tuple[int, int] | None:
    """First and last line of the code cell of a chapter that publishes the figure ``id``; ``None`` without one."""
    lines = source.splitlines()
    wanted = re.compile(rf"""\bid\s*=\s*["']{re.escape(id)}["']""")
    hit = next((number for number, line in enumerate(lines) if wanted.search(line)), None)
    if hit is None:
        return None
    first = next((n for n in range(hit, -1, -1) if lines[n].startswith("```{code-cell}")), None)
    last = next((n for n in range(hit, len(lines)) if lines[n].strip() == "```"), None)
    return None if first is None or last is None else (first + 1, last + 1)


def run_facts(path: Path) -> dict[str, Any]:
    """What ``run.json`` knows of a run that the records of its figures leave out: when it ended, how long it took, its
    seeds and device. Empty where there is no such file, as in a book that ``jupyter-book build .`` makes.
    """
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return {name: record[name] for name in _FACTS if name in record}


def _outputs(notebook: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for cell in notebook["cells"]:
        for output in cell.get("outputs", []):
            yield output.get("data", {})
