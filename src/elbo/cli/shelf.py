"""``elbo list`` and ``elbo params``: which chapters there are, how long they take, and what can be set in them."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from elbo.cli.options import Json, Root, chapter_names, checkout
from elbo.cli.tables import table
from elbo.companion.project.errors import UNFORESEEN

if TYPE_CHECKING:
    from elbo.companion.project.paths import Project
    from elbo.companion.run.durations import Duration

__all__ = ["verbs"]

verbs = typer.Typer()


@verbs.command("list", epilog="Examples: [bold]elbo list[/] · [bold]elbo list --json[/]")
def list_chapters(as_json: Json = False, root: Root = None) -> None:
    """List the chapters: key, title, the data that they read, and how long they take in each profile.

    Durations are those of accepted runs here, else of runs that are recorded with the book.
    """
    from elbo.companion.project.chapters import chapter_keys, read_chapter
    from elbo.companion.project.profiles import profile_names
    from elbo.companion.record import words
    from elbo.companion.run.durations import known

    project = checkout(root)
    profiles = profile_names(project)
    durations = known(project, profiles)
    chapters = [read_chapter(project, key) for key in chapter_keys(project)]
    if as_json:
        print(json.dumps([_about(chapter, profiles, durations) for chapter in chapters], indent=1, ensure_ascii=False))
        return
    rows = []
    for chapter in chapters:
        taken = [durations.get((profile, chapter.key)) for profile in profiles]
        data = sorted({name.partition("/")[0] for one in taken if one for name in one.data})
        took = [words.duration(one.seconds) if one else "-" for one in taken]
        rows.append([chapter.key, *took, ", ".join(data) or "-", chapter.title])
    table(["chapter", *profiles, "data", "title"], rows)
    for line in _machines(project, durations):
        print(line)


@verbs.command(epilog="Examples: [bold]elbo params kingma-welling-2013[/] · [bold]elbo params blei-2017 --json[/]")
def params(
    chapter: Annotated[
        str, typer.Argument(metavar="CHAPTER", help="As `elbo list` shows it.", autocompletion=chapter_names)
    ],
    as_json: Json = False,
    root: Root = None,
) -> None:
    """List the parameters of a chapter: name, type, default, the value in each profile, and what it is.

    `elbo run CHAPTER -p NAME VALUE` sets one.
    """
    from elbo.companion.project.chapters import read_chapter
    from elbo.companion.project.profiles import load_profile, profile_names, resolve

    project = checkout(root)
    found = read_chapter(project, chapter)
    values = {name: resolve(found, load_profile(project, name)) for name in profile_names(project)}
    if as_json:
        described = [{**asdict(one), "profiles": {name: values[name][one.name] for name in values}}
                for one in found.parameters.values()]  # fmt: skip
        print(json.dumps(described, indent=1, ensure_ascii=False))
        return
    columns = [
        name for name in values if any(values[name][one.name] != one.default for one in found.parameters.values())
    ]
    rows = []
    for one in found.parameters.values():
        others = [values[name][one.name] for name in columns]
        shown = ["" if value == one.default else _word(value) for value in others]
        rows.append([one.name, one.annotation, _word(one.default), *shown, one.help])
    table(["name", "type", "default", *columns, "what it is"], rows)


def _about(chapter: Any, profiles: list[str], durations: dict[tuple[str, str], Duration]) -> dict[str, Any]:
    taken = {name: asdict(durations[name, chapter.key]) for name in profiles if (name, chapter.key) in durations}
    return {"chapter": chapter.key, "title": chapter.title, "parameters": len(chapter.parameters), "runs": taken}


def _machines(project: Project, durations: dict[tuple[str, str], Duration]) -> list[str]:
    """Which runs the durations are of, a line for each profile and machine."""
    said: dict[str, None] = {}
    for (profile, _), one in durations.items():
        day, place = one.finished[:10], "run here" if one.here else "recorded with the book"
        said[f"{profile}: {place}, {one.machine}, {day}, commit {one.commit[:12] or 'unknown'}"] = None
    return list(said)


def _word(value: Any) -> str:
    return value or "''" if isinstance(value, str) else json.dumps(value)


@verbs.command(epilog="Examples: [bold]elbo doctor[/] · [bold]elbo doctor --json[/]")
def doctor(as_json: Json = False) -> int:
    """Say what this machine has of what the book can use, a line each: packages, GPU, compiler, data, space, TeX.

    The exit code is 1 where something is there that no chapter runs with.
    """
    from elbo.doctor import examine

    lines = examine()
    if as_json:
        print(json.dumps([line._asdict() for line in lines], indent=1, ensure_ascii=False))
    else:
        table(["", "what", "found"], [list(line) for line in lines], whole=2)
    return UNFORESEEN if any(line.mark == "bad" for line in lines) else 0
