"""Make a figure again from the record in its file, and say how close the new numbers are to the recorded ones.

The chapter runs as it stands in the checkout, with the parameters of the record, by the way of every run
(:mod:`elbo.companion.run.runner`), but under ``_build/reproduce``: the accepted runs and
the built book stay as they are.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from elbo.companion.project.chapters import chapter_keys, nearest, read_chapter
from elbo.companion.project.errors import RUN, CompanionError
from elbo.companion.project.paths import Project, given_path
from elbo.companion.project.profiles import Profile
from elbo.companion.record import embedded
from elbo.companion.record.embedded import Record, plain
from elbo.companion.record.handover import FORMATS, content_of, figures_of_run
from elbo.companion.reproduce import differences
from elbo.companion.reproduce.compare import ROUNDING, STANDARD_ERRORS, Comparison, compare, compare_summary
from elbo.companion.reproduce.differences import Difference
from elbo.companion.run.plans import Plan, make_plans
from elbo.companion.run.progress import Display

__all__ = ["Outcome", "Source", "compared", "find", "make_plan", "rerun", "write_files"]


@dataclass(frozen=True)
class Source:
    """A record, where it came from, the table it names where that is at hand, and what is wrong with the picture."""

    record: Record
    where: str
    table: str | None
    content: bytes | None = None
    damage: str | None = None


@dataclass(frozen=True)
class Outcome:
    """What came of it; ``same_file`` tells whether the new file is the given one byte for byte."""

    comparison: Comparison
    differences: tuple[Difference, ...]
    same_file: bool
    run: Path


def find(project: Project, target: str) -> Source:
    """The record behind a file or an id.

    Args:
        target: path of a PNG, SVG, PDF or JSON file, or the id of a figure in the built book or in an accepted run.

    Raises:
        CompanionError: there is no such file or figure, or the file carries no sound record.
    """
    path = given_path(target, "the figure")
    if path.is_file():
        found = embedded.read(path)
        beside = [path.parent / f"{found.id}.csv", project.html / "figures" / f"{found.id}.csv"]
        table = found.table or _with_digest(found.csv_sha256, (_small(csv) for csv in beside))
        table = table or _with_digest(
            found.csv_sha256, (files["csv"] for files in _runs(project, found.id, sound=True))
        )
        content = path.read_bytes()
        return Source(found, plain(path.name), table, content, embedded.damage(content))
    if path.suffix.lower() in (".png", ".svg", ".pdf", ".json") or "/" in target:
        raise CompanionError(f"there is no file {plain(target)}; give the path of a figure's file, or a figure's id")
    published = project.html / "figures" / f"{target}.json"
    if published.is_file():
        found = embedded.read(published)
        return Source(found, "the built book", _with_digest(found.csv_sha256, [_small(published.with_suffix(".csv"))]))
    for files in _runs(project, target):
        found = embedded.parse(files["json"])
        return Source(found, "an accepted run", _with_digest(found.csv_sha256, [files["csv"]]))
    raise CompanionError(
        f"there is no file {plain(target)!r}, and no figure of that id in the built book or in an accepted run; "
        "give a figure's file, or build the book first (`elbo figures` lists the ids)"
    )


def make_plan(project: Project, source: Source, device: str | None = None) -> Plan:
    """The run that makes the figure again, checked as any run is.

    Raises:
        CompanionError: the chapter is none of the book's, or a parameter is none of the chapter's.
    """
    found = source.record
    known = chapter_keys(project)
    if found.chapter not in known:
        raise CompanionError(
            f"the record in {source.where} names the chapter {found.chapter!r}, which is not in the "
            f"book{nearest(found.chapter, known)}"
        )
    chapter = read_chapter(project, found.chapter)
    profile = Profile(found.profile or "by-hand", {chapter.key: found.parameters}, f"the record in {source.where}")
    aside = dataclasses.replace(project, made=project.build / "reproduce")
    try:
        (plan,) = make_plans(aside, [chapter], profile, device=device, force=True)
    except CompanionError as error:
        commit = found.environment.get("commit")
        hint = f"; the chapter may have changed since: git checkout {commit}" if differences.is_sha(commit) else ""
        raise CompanionError(plain(f"{error}{hint}", 600)) from None
    return plan


def rerun(project: Project, source: Source, plan: Plan, display: Display, timeout: int | None = None) -> dict[str, Any]:
    """Run the chapter; the files of the figure by format, ``png`` and ``pdf`` in base64,
    and ``run``, the notebook's path.

    Raises:
        CompanionError: the chapter failed, or publishes no figure of this id any more.
    """
    from elbo.companion.run.runner import run_plans

    aside = dataclasses.replace(project, made=project.build / "reproduce")
    (result,) = run_plans(aside, [plan], 1, display, timeout, differences.threads(source.record))
    if result.code:
        raise CompanionError(result.message, result.code)
    made = _figures(plan.notebook)
    if source.record.id not in made:
        raise CompanionError(
            f"the chapter ran, but it publishes no figure {source.record.id!r} now{nearest(source.record.id, made)}; "
            "the commit in the record may still have it",
            RUN,
        )
    return made[source.record.id] | {"run": plan.notebook}


def compared(
    source: Source, files: dict[str, Any], standard_errors: float = STANDARD_ERRORS, rounding: float = ROUNDING
) -> Outcome:
    """Compare the new table with the recorded one: by digest, cell by cell, or by its
    summary where there is no more.
    """
    found, now = source.record, files["csv"]
    if hashlib.sha256(now.encode()).hexdigest() == found.csv_sha256:
        comparison = compare(now, now)
    elif source.table is not None:
        try:
            comparison = compare(source.table, now, standard_errors, rounding)
        except ValueError:  # a table with the right digest that is none: the record was made up
            comparison = Comparison("different", "what the record holds is not a table")
    elif found.summary is not None:
        comparison = compare_summary(found.summary, embedded.summary(now), rounding)
    else:
        comparison = Comparison(
            "different",
            f"the table has another digest; to see where, put the recorded {found.id}.csv beside the file",
        )
    unlike = tuple(differences.after(found, json.loads(files["json"])["environment"]))
    same = source.content is not None and source.content in _contents(files)
    return Outcome(comparison, unlike, same, files["run"])


def write_files(id: str, files: dict[str, Any], folder: Path) -> None:
    """Write the files of the new figure as ``<id>.<format>``."""
    folder.mkdir(parents=True, exist_ok=True)
    for format in FORMATS:
        (folder / f"{id}.{format}").write_bytes(content_of(format, files[format]))


def _figures(notebook: Path) -> dict[str, dict[str, Any]]:
    """The figures in an executed notebook: by id, their files."""
    return {content["id"]: content["files"] for content in figures_of_run(notebook)}


def _runs(project: Project, id: str, sound: bool = False) -> Iterator[dict[str, Any]]:
    """The files of a figure in the accepted runs, ``quick`` first; ``sound`` leaves out damaged runs."""
    folders = sorted((project.build / "runs").glob("[!.]*"), key=lambda folder: (folder.name != "quick", folder.name))
    for folder in folders:
        for notebook in sorted(folder.glob("[!.]*/*.ipynb")):
            if not id.startswith(notebook.stem + "-"):
                continue
            try:
                files = _figures(notebook).get(id)
            except CompanionError:
                if not sound:
                    raise
                continue
            if files:
                yield files


def _with_digest(digest: str, texts: Iterable[str | None]) -> str | None:
    return next(
        (text for text in texts if text is not None and hashlib.sha256(text.encode()).hexdigest() == digest), None
    )


def _small(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8") if path.stat().st_size <= embedded.FILE_LIMIT else None
    except (OSError, UnicodeDecodeError):
        return None


def _contents(files: dict[str, Any]) -> list[bytes]:
    return [content_of(format, files[format]) for format in FORMATS if format != "csv"]
