"""What passes from a chapter's kernel to the run and to the pages, said once: MIME types, sentinel, files of a figure.

The kernel writes these into the outputs of cells; whoever reads an executed notebook reads them here.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from elbo.companion.project.chapters import nearest
from elbo.companion.project.errors import RUN, CompanionError, quote
from elbo.companion.project.paths import Project

__all__ = [
    "FORMATS",
    "MIME",
    "NO_DATA",
    "cell_lines",
    "content_of",
    "figures_in",
    "figures_of_run",
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


def figures_of_run(notebook: Path) -> list[dict[str, Any]]:
    """The figures of an accepted run, as :func:`figures_in`, each with its record read: ``record``.

    Raises:
        CompanionError: the run is damaged, its notebook or its ``run.json``; the sentence says how to get a good one.
    """
    try:
        content = notebook.read_bytes()
        record = notebook.with_name("run.json")
        known = json.loads(record.read_text(encoding="utf-8")).get("notebook_sha256") if record.exists() else None
        if known is not None and known != hashlib.sha256(content).hexdigest():
            raise ValueError("its notebook is not the one of its run.json")
        found = []
        for figure in figures_in(json.loads(content)):
            if not all(isinstance(figure[name], str) for name in ("id", "chapter", "caption", "alt")):
                raise TypeError("a figure without its texts")
            found.append({**figure, "record": _object(json.loads(figure["files"]["json"]))})
        return found
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        what = error.strerror if isinstance(error, OSError) else str(error)
        key, profile = notebook.stem, notebook.parent.parent.name
        raise CompanionError(
            f"the accepted run {notebook.parent} is damaged ({quote(what or type(error).__name__, 100, marks=False)}); "
            f"make a good one: elbo run {key} --profile {profile} --force",
            RUN,
        ) from None


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise TypeError("a record that is none")
    return value


def published_figures(project: Project, profile: str) -> list[dict[str, Any]]:
    """``id, chapter, caption, alt, notebook, record, run`` of every figure in the accepted runs of a profile.

    Raises:
        CompanionError: a run is damaged (:func:`figures_of_run`).
    """
    rows = []
    for path in sorted(project.runs(profile).glob("[!.]*/*.ipynb")):
        run = run_facts(path.with_name("run.json"))
        for content in figures_of_run(path):
            rows.append(
                {
                    **{name: content[name] for name in ("id", "chapter", "caption", "alt")},
                    "notebook": project.show(path),
                    "record": content["record"],
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
    except (OSError, ValueError, RecursionError):
        return {}
    return {name: record[name] for name in _FACTS if name in record} if isinstance(record, dict) else {}


def _outputs(notebook: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for cell in notebook["cells"]:
        for output in cell.get("outputs", []):
            yield output.get("data", {})
