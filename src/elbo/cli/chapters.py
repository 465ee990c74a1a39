"""``elbo run``, ``elbo build`` and ``elbo new``: the verbs that make chapters, runs and pages."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from elbo.cli.arguments import pairs
from elbo.cli.options import (
    EXIT_CODES,
    Device,
    Force,
    Jobs,
    Json,
    ProfileName,
    Root,
    Timeout,
    chapter_names,
    checked_device,
    checkout,
    processes,
)
from elbo.companion.project.errors import CompanionError

if TYPE_CHECKING:
    from elbo.companion.project.paths import Project
    from elbo.companion.run.plans import Plan
    from elbo.companion.run.runner import Result

__all__ = ["verbs"]

verbs = typer.Typer()


@verbs.command(
    epilog="Examples: [bold]elbo run kingma-welling-2013[/] · "
    "[bold]elbo run kingma-welling-2013 --profile smoke -p latent_dims '[2]'[/] · "
    "[bold]elbo run blei-2017 hoffman-johnson-2016 --jobs 2 --timeout 600[/]. " + EXIT_CODES
)
def run(
    chapters: Annotated[
        list[str],
        typer.Argument(
            metavar="CHAPTER",
            help="Chapters, by key (blei-2017) or by file (book/blei-2017.md).",
            autocompletion=chapter_names,
        ),
    ],
    profile: ProfileName = "quick",
    parameter: Annotated[
        list[str] | None,
        typer.Option(
            "-p",
            metavar="NAME VALUE",
            help="A parameter, in place of the profile's; may be repeated. --out keeps the profile's own run.",
        ),
    ] = None,
    device: Device = None,
    jobs: Jobs = None,
    out: Annotated[Path | None, typer.Option(help="Directory for the runs; default: _build/runs/<profile>.")] = None,
    timeout: Timeout = None,
    force: Force = False,
    as_json: Json = False,
    root: Root = None,
) -> None:
    """Execute chapters with a profile's parameters; only a run that reached its end replaces the one before."""
    from elbo.companion.run.progress import Display
    from elbo.companion.run.runner import run_plans

    project = checkout(root)
    named, plans = _plans(
        project, dict.fromkeys(chapters), profile, device, force, pairs(parameter), out and out.resolve()
    )
    with Display() as display:
        results = run_plans(project, plans, processes(jobs, len(plans)), display, timeout)
    if as_json:
        print(json.dumps({"profile": named, "runs": [vars(one) for one in results]}, indent=1))
    _report_failures(results)


@verbs.command(
    epilog="Examples: [bold]elbo build[/] · [bold]elbo build --profile smoke --jobs 2[/] · "
    "[bold]elbo build --profile paper --device cuda[/] · "
    "[bold]elbo build --to html,pdf,epub[/]. " + EXIT_CODES
)
def build(
    profile: ProfileName = "quick",
    to: Annotated[
        str,
        typer.Option(metavar="EDITION,...", help="What to make: html, pdf (with XeLaTeX), epub, dirhtml, singlehtml."),
    ] = "html",
    way: Annotated[
        str, typer.Option("--with", help="What makes the HTML: jupyter-book, or sphinx alone.")
    ] = "jupyter-book",
    device: Device = None,
    jobs: Jobs = None,
    timeout: Timeout = None,
    force: Force = False,
    as_json: Json = False,
    root: Root = None,
) -> None:
    """Execute every chapter that has changed, then build the book from the accepted runs."""
    from elbo.companion.pages import ready
    from elbo.companion.pages.build import build_book
    from elbo.companion.pages.editions import chosen, result
    from elbo.companion.project.chapters import chapter_keys
    from elbo.companion.run.progress import Display
    from elbo.companion.run.runner import run_plans

    project = checkout(root)
    editions = chosen(to, way)
    named, plans = _plans(project, chapter_keys(project), profile, device, force)
    ready.require(project)
    with Display() as display:
        results = run_plans(project, plans, processes(jobs, len(plans)), display, timeout)
        outcome: dict[str, Any] = {"profile": named, "runs": [vars(one) for one in results], "html": None}
        made: dict[str, Path] = {}
        if not any(one.code for one in results):
            made = build_book(project, named, plans, display, force, editions, way)
            outcome["html"] = str(made["html"]) if "html" in made else None
            outcome["editions"] = {name: str(result(folder)) for name, folder in made.items()}
    if as_json:
        print(json.dumps(outcome, indent=1))
    _report_failures(results)
    for name, folder in made.items() if not as_json else ():
        book = result(folder)
        print(f"The book is in {project.show(book)}: open {book.as_uri()}")
        if name == "html":
            serve = f"{Path(sys.executable).name} -m http.server --directory {project.show(folder)} 8000"
            print(f"or serve it: {serve}, then http://localhost:8000")


@verbs.command(
    epilog="Example: [bold]elbo new rezende-2014 --paper 'Rezende, Mohamed & Wierstra (2014)' "
    "--title 'Stochastic Backpropagation'[/]. Exit codes: 0 done; 2 the key is taken or malformed."
)
def new(
    key: Annotated[str, typer.Argument(metavar="KEY", help="Citation key of the paper, <author>-<year>.")],
    title: Annotated[str, typer.Option(help="Title of the paper.")] = "",
    paper: Annotated[str, typer.Option(help="The paper as it is cited, 'Authors (Year)'.")] = "",
    root: Root = None,
) -> None:
    """Make a new chapter that runs, in every place that a chapter touches."""
    from elbo.companion.project.scaffold import new_chapter

    for path in new_chapter(checkout(root), key, title, paper):
        print(path)
    print(f"now replace what is in them; elbo run {key} --profile smoke runs the chapter")


def _plans(
    project: Project,
    keys: Iterable[str],
    profile: str,
    device: str | None,
    force: bool,
    given: dict[str, str] | None = None,
    out: Path | None = None,
) -> tuple[str, list[Plan]]:
    """The name of the profile, and what the two verbs that execute chapters would run."""
    from elbo.companion.project.chapters import read_chapter
    from elbo.companion.project.profiles import load_profile
    from elbo.companion.run.plans import make_plans

    found = [read_chapter(project, key) for key in keys]
    chosen = load_profile(project, profile)
    return chosen.name, make_plans(project, found, chosen, given, checked_device(device), out, force)


def _report_failures(results: Sequence[Result]) -> None:
    """Raise for runs that failed; where there are several, all but the last sentence are printed here."""
    failures = [result for result in results if result.code]
    for failure in failures[:-1]:
        print(f"elbo: {failure.message}", file=sys.stderr)
    if failures:
        raise CompanionError(failures[-1].message, min(failure.code for failure in failures))
