"""``elbo figures``, ``elbo cite`` and ``elbo reproduce``: the verbs of figures that are there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from elbo.cli.options import EXIT_CODES, Json, ProfileName, Root, Timeout, checked_device, checkout
from elbo.companion.project.errors import CompanionError

if TYPE_CHECKING:
    from elbo.companion.project.paths import Project

__all__ = ["verbs"]

verbs = typer.Typer()


@verbs.command(
    epilog="Examples: [bold]elbo figures --profile smoke[/] · [bold]elbo figures --format bibtex > figures.bib[/] · "
    "[bold]elbo figures --out figures[/]. " + EXIT_CODES
)
def figures(
    profile: ProfileName = "quick",
    format: Annotated[
        str | None,
        typer.Option(
            help="What to print: json (everything), or citations as text, bibtex, ris or csl-json; default: a list."
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Directory to write the files of every figure to: SVG, PDF, PNG, CSV and JSON.")
    ] = None,
    as_json: Json = False,
    root: Root = None,
) -> None:
    """List the figures of the accepted runs, then the live ones: a line each, id and the question that it answers.

    With --out the files of the accepted runs' figures are written, `<id>.svg` and so on, each picture with its record.
    """
    from elbo.companion.project.profiles import load_profile
    from elbo.companion.record import citation
    from elbo.companion.record.handover import published_figures
    from elbo.live.citing import rows as live_rows

    project = checkout(root)
    if format not in (None, "json", *citation.FORMATS):
        raise CompanionError(f"there is no format {format!r}; choose one of {', '.join(citation.FORMATS)}, json")
    rows = published_figures(project, load_profile(project, profile).name)
    rows += live_rows(project.root) if rows else []
    if as_json or format == "json":
        print(json.dumps(rows, indent=1, ensure_ascii=False))
        return
    if not rows:
        raise CompanionError(
            f"no chapter has an accepted run of the profile {profile}; run `elbo build --profile {profile}` first"
        )
    if out:
        print(_write(project, load_profile(project, profile).name, out))
        return
    if format:
        cited = [(row["record"], row["run"].get("finished", "")) for row in rows]
        print(citation.cite_all(cited, citation.Book.of(project.root), format), end="")
        return
    width = max(len(row["id"]) for row in rows)
    for row in rows:  # one a line whatever the width of the terminal, for grep
        print(f"{row['id']:{width}}  {citation.question(row['caption'])}")


@verbs.command(
    epilog="Examples: [bold]elbo cite kingma-welling-2013-bound[/] · "
    "[bold]elbo cite kingma-welling-2013-bound --format bibtex[/] · "
    "[bold]elbo cite kingma-welling-2013-bound --style apa[/]"
)
def cite(
    id: Annotated[str, typer.Argument(metavar="ID", help="Figure, as `elbo figures` lists it.")],
    format: Annotated[str, typer.Option(help="text, bibtex, ris or csl-json.")] = "text",
    style: Annotated[
        str | None, typer.Option(help="A style of the Citation Style Language: apa, chicago-author-date, ieee, nature.")
    ] = None,
    profile: ProfileName = "quick",
    root: Root = None,
) -> None:
    """Print how to cite a figure of an accepted run, or the first state of a live figure."""
    from elbo.companion.project.profiles import load_profile
    from elbo.companion.record import citation, styles
    from elbo.companion.record.handover import published_figure
    from elbo.live.citing import places, row

    project = checkout(root)
    name, on_page = load_profile(project, profile).name, places(project.root / "book")
    found = row(id, on_page[id]) if id in on_page else published_figure(project, name, id)
    book = citation.Book.of(project.root)
    published = found["run"].get("finished", "")
    try:
        if style:
            print(*styles.styled([(found["record"], published)], book, style), sep="\n")
        else:
            print(citation.cite(found["record"], book, format, published))
    except ValueError as error:
        raise CompanionError(str(error)) from None


@verbs.command(
    epilog="Examples: [bold]elbo reproduce kingma-welling-2013-bound.png[/] · "
    "[bold]elbo reproduce blei-2017-hmc --dry-run[/] · "
    "[bold]elbo reproduce ~/Downloads/figure.svg --root ~/carving-the-elbo --exact[/]. "
    "Exit codes: 0 the same numbers, or within tolerance (the output says which); 7 different; "
    "8 within tolerance where --exact was asked for; 2 no sound record, or not a figure of this book; "
    "3 the chapter failed; 4 busy; 6 no data; 130 Ctrl-C; 143 terminated."
)
def reproduce(
    figure: Annotated[
        str, typer.Argument(metavar="FILE|ID", help="A figure's PNG, SVG, PDF or JSON file, from anywhere, or its id.")
    ],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the record and what differs here; run nothing.")
    ] = False,
    tolerance: Annotated[
        float, typer.Option(min=0, help="Standard errors that a number may be off, where its table has any.")
    ] = 4.0,
    rounding: Annotated[
        float, typer.Option(min=0, help="Fraction of its column's largest value that any other number may be off.")
    ] = 1e-5,
    exact: Annotated[
        bool, typer.Option("--exact", help="Only the same numbers count: exit code 8 where they are close.")
    ] = False,
    device: Annotated[str | None, typer.Option(help="auto, cpu or cuda; default: what the record says.")] = None,
    out: Annotated[Path | None, typer.Option(help="Directory to write the files of the new figure to.")] = None,
    timeout: Timeout = None,
    as_json: Json = False,
    root: Root = None,
) -> None:
    """Make a figure again from the record in its file, and compare the numbers.

    The chapter runs with the recorded parameters, aside of the accepted runs and the built book.
    Measured times are not compared.
    """
    from elbo.companion.reproduce import again, differences, verdict
    from elbo.companion.run.progress import Display

    project = checkout(root)
    source = again.find(project, figure)
    plan = again.make_plan(project, source, checked_device(device))
    before = differences.before(project, source.record, plan)
    if not as_json:
        print("\n".join(verdict.describe(source, plan, before)))
    outcome = None
    if not dry_run:
        with Display() as display:
            files = again.rerun(project, source, plan, display, timeout)
        outcome = again.compared(source, files, tolerance, rounding)
        if out:
            again.write_files(source.record.id, files, out)
    if as_json:
        print(json.dumps(verdict.as_json(source, plan, before, outcome), indent=1, ensure_ascii=False))
    elif outcome:
        print("\n".join(verdict.verdict(project, source, outcome)))
    raise typer.Exit(verdict.exit_code(outcome, exact))


def _write(project: Project, profile: str, folder: Path) -> str:
    """Write the files of every figure of a profile; the sentence that says how many there are."""
    from elbo.companion.record.handover import published_files
    from elbo.companion.reproduce.again import write_files

    count = 0
    try:
        for id, files in published_files(project, profile):
            write_files(id, files, folder)
            count += 1
    except OSError as error:
        raise CompanionError(
            f"{project.show(folder)} does not take the files ({error.strerror or error}); give another one in --out"
        ) from None
    return f"{count} figures in {project.show(folder)}, each as SVG, PDF, PNG, CSV and JSON"
