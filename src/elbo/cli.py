"""The command ``elbo``: the reader's verbs, thin over the modules of this package.

Nothing heavy is imported here: ``elbo --help`` must answer at once. The exit codes are those of
:mod:`elbo.companion.project.errors`.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
from pathlib import Path
from typing import Annotated

import typer

from elbo.companion.project.errors import (
    DATA,
    DIFFERENT,
    INEXACT,
    INTERRUPTED,
    TERMINATED,
    UNFORESEEN,
    USAGE,
    CompanionError,
    quote,
)
from elbo.companion.project.signals import Terminated, ended_by_signals

__all__ = ["app", "main"]

_EXIT_CODES = (
    "Exit codes: 0 done; 1 something unforeseen; 2 a parameter, profile or option is wrong; "
    "3 a chapter failed; 4 busy; "
    "5 the pages did not build; 6 no data; 130 Ctrl-C; 143 terminated."
)

app = typer.Typer(
    name="elbo",
    help="Run the chapters of Carving the ELBO and build the book from them.",
    epilog=_EXIT_CODES,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

Root = Annotated[
    Path | None, typer.Option(help="The checkout; default: the one around the working directory, or ELBO_ROOT.")
]
ProfileName = Annotated[
    str,
    typer.Option(
        "--profile", help="smoke (seconds), quick (minutes), paper (as in the paper, wants a GPU), or a YAML file."
    ),
]
Device = Annotated[str | None, typer.Option(help="auto, cpu or cuda; default: what the profile says.")]
Jobs = Annotated[
    int | None,
    typer.Option(
        min=1, help="Chapters at a time; default: as many as there are, up to the cores. Each gets cores/jobs threads."
    ),
]
Timeout = Annotated[int | None, typer.Option(min=1, help="Seconds that one cell may take; default: no limit.")]
Force = Annotated[bool, typer.Option("--force", help="Also what has not changed.")]
Json = Annotated[bool, typer.Option("--json", help="Print the outcome as JSON on standard output.")]


@app.command(
    epilog="Examples: [bold]elbo run kingma-welling-2013[/] · "
    "[bold]elbo run kingma-welling-2013 --profile smoke -p latent_dim 2[/] · "
    "[bold]elbo run blei-2017 hoffman-johnson-2016 --jobs 2 --timeout 600[/]. " + _EXIT_CODES
)
def run(
    chapters: Annotated[
        list[str],
        typer.Argument(metavar="CHAPTER", help="Chapters, by key (blei-2017) or by file (book/blei-2017.md)."),
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
    from elbo.companion.project.chapters import read_chapter
    from elbo.companion.project.profiles import load_profile
    from elbo.companion.run.plans import make_plans
    from elbo.companion.run.progress import Display
    from elbo.companion.run.runner import run_plans

    project = _project(root)
    found = [read_chapter(project, key) for key in dict.fromkeys(chapters)]
    plans = make_plans(
        project, found, load_profile(project, profile), _pairs(parameter), _device(device), out and out.resolve(), force
    )
    with Display() as display:
        results = run_plans(project, plans, _jobs(jobs, len(plans)), display, timeout)
    if as_json:
        print(json.dumps({"profile": plans[0].profile, "runs": [vars(result) for result in results]}, indent=1))
    _report_failures(results)


@app.command(
    epilog="Examples: [bold]elbo build[/] · [bold]elbo build --profile smoke --jobs 2[/] · "
    "[bold]elbo build --profile paper --device cuda[/]. " + _EXIT_CODES
)
def build(
    profile: ProfileName = "quick",
    device: Device = None,
    jobs: Jobs = None,
    timeout: Timeout = None,
    force: Force = False,
    as_json: Json = False,
    root: Root = None,
) -> None:
    """Execute every chapter that has changed, then build the HTML of the book from the accepted runs."""
    from elbo.companion.pages.build import build_book
    from elbo.companion.project.chapters import chapter_keys, read_chapter
    from elbo.companion.project.profiles import load_profile
    from elbo.companion.run.plans import make_plans
    from elbo.companion.run.progress import Display
    from elbo.companion.run.runner import run_plans

    project = _project(root)
    found = [read_chapter(project, key) for key in chapter_keys(project)]
    chosen = load_profile(project, profile)
    plans = make_plans(project, found, chosen, device=_device(device), force=force)
    with Display() as display:
        results = run_plans(project, plans, _jobs(jobs, len(plans)), display, timeout)
        outcome = {"profile": chosen.name, "runs": [vars(result) for result in results], "html": None}
        if not any(result.code for result in results):
            outcome["html"] = str(build_book(project, chosen.name, plans, display, force))
    if as_json:
        print(json.dumps(outcome, indent=1))
    _report_failures(results)
    if not as_json:
        index = project.html / "index.html"
        print(f"The book is in {project.show(index)}: open {index.as_uri()}")
        print(
            f"or serve it: {_python()} -m http.server --directory {project.show(project.html)} 8000, then http://localhost:8000"
        )


@app.command(
    epilog="Examples: [bold]elbo figures --profile smoke[/] · [bold]elbo figures --format bibtex > figures.bib[/]. "
    + _EXIT_CODES
)
def figures(
    profile: ProfileName = "quick",
    format: Annotated[
        str | None,
        typer.Option(
            help="What to print: json (everything), or citations as text, bibtex, ris or csl-json; default: a list."
        ),
    ] = None,
    as_json: Json = False,
    root: Root = None,
) -> None:
    """List the figures of the accepted runs, one a line: id, and the question that the figure answers."""
    from elbo.companion.project.profiles import load_profile
    from elbo.companion.record import citation
    from elbo.companion.record.handover import published_figures

    project = _project(root)
    if format not in (None, "json", *citation.FORMATS):
        raise CompanionError(f"there is no format {format!r}; choose one of {', '.join(citation.FORMATS)}, json")
    rows = published_figures(project, load_profile(project, profile).name)
    if as_json or format == "json":
        print(json.dumps(rows, indent=1, ensure_ascii=False))
        return
    if not rows:
        raise CompanionError(
            f"no chapter has an accepted run of the profile {profile}; run `elbo build --profile {profile}` first"
        )
    if format:
        cited = [(row["record"], row["run"].get("finished", "")) for row in rows]
        print(citation.cite_all(cited, _book(project), format), end="")
        return
    width = max(len(row["id"]) for row in rows)
    for row in rows:  # one a line whatever the width of the terminal, for grep
        print(f"{row['id']:{width}}  {citation.question(row['caption'])}")


@app.command(
    epilog="Examples: [bold]elbo cite kingma-welling-2013-bound[/] · "
    "[bold]elbo cite kingma-welling-2013-bound --format bibtex[/]"
)
def cite(
    id: Annotated[str, typer.Argument(metavar="ID", help="Figure, as `elbo figures` lists it.")],
    format: Annotated[str, typer.Option(help="text, bibtex, ris or csl-json.")] = "text",
    profile: ProfileName = "quick",
    root: Root = None,
) -> None:
    """Print how to cite a figure of an accepted run."""
    from elbo.companion.project.chapters import nearest
    from elbo.companion.project.profiles import load_profile
    from elbo.companion.record import citation
    from elbo.companion.record.handover import published_figures

    project = _project(root)
    found = {row["id"]: row for row in published_figures(project, load_profile(project, profile).name)}
    if id not in found:
        raise CompanionError(
            f"no accepted run of the profile {profile} has a figure {quote(id)}{nearest(id, found)}; "
            "`elbo figures` lists them"
        )
    try:
        print(citation.cite(found[id]["record"], _book(project), format, found[id]["run"].get("finished", "")))
    except ValueError as error:
        raise CompanionError(str(error)) from None


@app.command(
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

    The chapter runs with the recorded parameters, aside of the accepted runs and the built book. Measured times are not compared.
    """
    from elbo.companion.reproduce import again, differences, verdict
    from elbo.companion.run.progress import Display

    project = _project(root)
    source = again.find(project, figure)
    plan = again.make_plan(project, source, _device(device))
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
    said = outcome.comparison.verdict if outcome else "identical"
    if said == "different" or (exact and said != "identical"):
        raise typer.Exit(DIFFERENT if said == "different" else INEXACT)


@app.command(
    epilog="Examples: [bold]elbo sweep bound-mnist --cores 2 --budget 2h[/] · [bold]elbo sweep --dry-run[/] · "
    "[bold]elbo sweep hoffman-johnson-2016 --profile smoke -p latent_dims '[2],[10]' -p seed 0,1[/]. " + _EXIT_CODES
)
def sweep(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[TABLE ...|CHAPTER]", help="Reference tables (default: all that are measured in parts)."
        ),
    ] = None,
    parameter: Annotated[
        list[str] | None,
        typer.Option("-p", metavar="NAME VALUES", help="Values of a parameter of the chapter, separated by commas."),
    ] = None,
    profile: ProfileName = "quick",
    cluster: Annotated[
        str | None, typer.Option(help="slurm, kubernetes, or a folder with a Snakemake configuration.")
    ] = None,
    cores: Annotated[int, typer.Option(min=1, help="Jobs at a time on this machine, one thread each.")] = 1,
    budget: Annotated[
        str | None, typer.Option(help="Stop after this time (90s, 25m, 2h) and gather what is done.")
    ] = None,
    device: Annotated[str | None, typer.Option(help="cpu or cuda; on a GPU the parts are measured in stacks.")] = None,
    out: Annotated[Path | None, typer.Option(help="Directory for the runs of a chapter.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would run.")] = False,
    root: Root = None,
) -> None:
    """Measure reference tables in parts, or run a chapter at many parameters; a stopped sweep goes on where it was."""
    from elbo.sweep import command

    print(
        *command.sweep(
            _project(root),
            names or [],
            _pairs(parameter),
            profile=profile,
            cluster=cluster,
            cores=cores,
            budget=budget,
            device=_device(device),
            out=out,
            dry_run=dry_run,
        ),
        sep="\n",
    )


@app.command(epilog="Example: [bold]elbo gather _build/sweeps/higgins-2017[/]")
def gather(folder: Annotated[Path, typer.Argument(metavar="DIR", help="A folder with runs, at any depth.")]) -> None:
    """One tidy table of each figure from all accepted runs below a folder, with where every row comes from."""
    from elbo.sweep import command

    print(*command.gather(folder), sep="\n")


@app.command(
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

    for path in new_chapter(_project(root), key, title, paper):
        print(path)
    print(f"now replace what is in them; elbo run {key} --profile smoke runs the chapter")


data_app = typer.Typer(
    help="Data sets: which there are, and fetching those that are not embedded.", no_args_is_help=True
)
app.add_typer(data_app, name="data")


@data_app.command("list", epilog="Example: [bold]elbo data list --json[/]")
def data_list(as_json: Json = False) -> None:
    """List the data sets, and whether each can be loaded without a download."""
    from elbo import data

    rows = [row._asdict() for row in data.available()]
    if as_json:
        print(json.dumps(rows, indent=1, ensure_ascii=False, default=str))
        return
    _table(
        ["name", "what", "here", "where", "licence"],
        [[row["name"], row["title"], "yes" if row["present"] else "no", row["where"], row["licence"]] for row in rows],
    )


@data_app.command("fetch", epilog="Example: [bold]elbo data fetch mnist frey[/]")
def data_fetch(
    names: Annotated[list[str], typer.Argument(metavar="NAME", help="Names that `elbo data list` shows.")],
) -> None:
    """Download data sets into the folder ELBO_DATA (or the user's cache), verified against their checksums."""
    from elbo import data

    for name in names:
        try:
            places = data.fetch(name, progress=sys.stderr.isatty())
        except ValueError as error:
            raise CompanionError(str(error)) from None
        except (data.DataError, OSError) as error:
            raise CompanionError(str(error), DATA) from None
        print(f"{name}: {', '.join(str(place) for place in places) or 'embedded, nothing to fetch'}")


def main(arguments: list[str] | None = None) -> int:
    """Entry point: a reader's mistake is one sentence on standard error, without a traceback."""
    words = _paired(sys.argv[1:] if arguments is None else arguments)
    try:
        with ended_by_signals():
            code = app(args=words, prog_name="elbo", standalone_mode=False) or 0
    except CompanionError as error:
        return _say(str(error), error.code)
    except Terminated:
        return _say("terminated: what was there before is untouched", TERMINATED)
    except (KeyboardInterrupt, typer.Abort):
        code = INTERRUPTED
    except BrokenPipeError:  # whoever read what we print has stopped reading
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return UNFORESEEN
    except Exception as error:
        if not hasattr(error, "format_message"):  # click's own errors have it; typer ships click under a private name
            return _say(_unforeseen(error), UNFORESEEN)
        if type(error).__name__ == "NoArgsIsHelpError":
            print(error.format_message())
            return USAGE
        context = getattr(error, "ctx", None)
        command = context.command_path if context else "elbo"
        return _say(f"{error.format_message().rstrip('.')}; see {command} --help", USAGE)
    if code == INTERRUPTED:  # typer turns Ctrl-C into this code
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second one would meet the interpreter on its way out
        return _say("interrupted: the chapters that were running were stopped, the accepted runs are untouched", code)
    return code


def _unforeseen(error: Exception) -> str:
    """The last line of defence: the traceback into a file, and a sentence for the person."""
    import tempfile
    import traceback

    from elbo.companion.project.paths import find_project

    text = "".join(traceback.format_exception(error))
    try:
        folder = find_project().logs
        folder.mkdir(parents=True, exist_ok=True)
    except (CompanionError, OSError):
        folder = Path(tempfile.gettempdir())
    said = f"something unforeseen happened ({type(error).__name__}: {quote(str(error), marks=False)})"
    try:
        path = folder / f"traceback-{os.getpid()}.txt"
        path.write_text(text, encoding="utf-8", errors="backslashreplace")
    except OSError:
        return f"{said}; please report it with the command that you gave"
    return f"{said}; please report it with {path}"


def _project(root: Path | None):
    """The checkout of the command, told which files of the data sets are fetched."""
    from elbo.companion.project.paths import find_project
    from elbo.data.registry import DATASETS

    return find_project(root, {name: tuple(file.path for file in source.files) for name, source in DATASETS.items()})


def _book(project):
    """The book as ``CITATION.cff`` has it, at the address of ELBO_BASEURL or of ``_config.yml``."""
    import yaml

    from elbo.companion.record import citation

    config = yaml.safe_load((project.root / "_config.yml").read_text(encoding="utf-8")) or {}
    address = os.environ.get("ELBO_BASEURL") or (config.get("html") or {}).get("baseurl") or ""
    return citation.Book.read(project.root, address)


def _say(sentence: str, code: int) -> int:
    """The sentence on standard error, in letters that its encoding has."""
    with contextlib.suppress(OSError):
        encoding = sys.stderr.encoding or "ascii"
        print(f"elbo: {sentence}".encode(encoding, "backslashreplace").decode(encoding), file=sys.stderr)
    return code


def _paired(arguments: list[str]) -> list[str]:
    """``-p name value`` as click can take it, one word: ``-p name=value`` (which is accepted as well)."""
    words, result = list(arguments), []
    while words:
        word = words.pop(0)
        result.append(word)
        if word == "--":
            return result + words
        if word == "-p" and words and "=" not in words[0] and len(words) > 1:
            result.append(f"{words.pop(0)}={words.pop(0)}")
    return result


def _pairs(given: list[str] | None) -> dict[str, str]:
    pairs = {}
    for word in given or []:
        name, separator, value = word.partition("=")
        if not separator:
            raise CompanionError(f"-p {word}: say -p NAME VALUE")
        pairs[name] = value
    return pairs


def _device(device: str | None) -> str | None:
    if device not in (None, "auto", "cpu", "cuda"):
        raise CompanionError(f"--device {device}: use auto, cpu or cuda")
    return device


def _jobs(jobs: int | None, chapters: int) -> int:
    from elbo.companion.run.runner import cores

    return max(1, min(jobs or cores(), chapters))


def _report_failures(results) -> None:
    """Raise for runs that failed; where there are several, all but the last sentence are printed here."""
    failures = [result for result in results if result.code]
    for failure in failures[:-1]:
        print(f"elbo: {failure.message}", file=sys.stderr)
    if failures:
        raise CompanionError(failures[-1].message, min(failure.code for failure in failures))


def _table(columns: list[str], rows: list[list[str]]) -> None:
    """Print a table whose first column, the name to type, is never cut."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    for number, column in enumerate(columns):
        table.add_column(
            column, no_wrap=number == 0, min_width=max((len(row[0]) for row in rows), default=0) * (not number)
        )
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    Console().print(table)


def _python() -> str:
    return Path(sys.executable).name


if __name__ == "__main__":
    sys.exit(main())
