"""The entry point: every group of verbs registered, and every way in which a command can end."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from typing import Annotated, Any

import typer

from elbo.cli import chapters, data, figures, launch, releases, shelf, sweeps
from elbo.cli.arguments import complaint, paired
from elbo.cli.options import EXIT_CODES
from elbo.cli.version import described
from elbo.companion.project.errors import INTERRUPTED, TERMINATED, UNFORESEEN, USAGE, CompanionError
from elbo.companion.project.signals import Terminated, ended_by_signals
from elbo.companion.project.unforeseen import keep

__all__ = ["app", "main", "say"]

app = typer.Typer(
    name="elbo",
    help="Run the chapters of Carving the ELBO and build the book from them.",
    epilog=EXIT_CODES,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
for _group in (shelf.verbs, chapters.verbs, launch.verbs, figures.verbs, sweeps.verbs, releases.verbs, data.verbs):
    app.add_typer(_group)


@app.callback()
def _top(
    version: Annotated[
        bool,
        typer.Option(
            "--version", is_eager=True, callback=lambda asked: _version() if asked else None, help="Version and commit."
        ),
    ] = False,
) -> None:
    """Run the chapters of Carving the ELBO and build the book from them."""


def _version() -> None:
    """Print the version, the commit, and which book a command would take here."""
    print(*described(), sep="\n")
    raise typer.Exit


def main(arguments: list[str] | None = None) -> int:
    """Run a command and return its exit code; a reader's mistake is one sentence on standard error, no traceback."""
    streams: tuple[Any, ...] = (sys.stdout, sys.stderr)
    for stream in streams:
        with contextlib.suppress(AttributeError, ValueError, OSError):  # a terminal without these letters gets escapes
            stream.reconfigure(errors="backslashreplace")
    return _delivered(_run(paired(sys.argv[1:] if arguments is None else arguments)))


def _run(words: list[str]) -> int:
    try:
        with ended_by_signals():
            code: int = app(args=words, prog_name="elbo", standalone_mode=False) or 0
    except CompanionError as error:
        return say(str(error), error.code)
    except Terminated:
        return say("terminated: what was there before is untouched", TERMINATED)
    except (KeyboardInterrupt, typer.Abort):
        code = INTERRUPTED
    except Exception as error:
        if isinstance(error, OSError) and error.filename is None:  # files have names: it came from printing
            return _said_nowhere(error)
        sentence = complaint(error)
        if sentence is None:
            return say(keep(error), UNFORESEEN)
        return say(sentence, USAGE) if sentence else USAGE
    if code == INTERRUPTED:  # typer turns Ctrl-C into this code
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second one would meet the interpreter on its way out
        return say("interrupted: the chapters that were running were stopped, the accepted runs are untouched", code)
    return code


def _delivered(code: int) -> int:
    """The code, or another where what was printed could not be written, which is then said."""
    error = _undelivered()
    if error is None:
        return code
    return code or _said_nowhere(error)


def _said_nowhere(error: OSError) -> int:
    """Standard output takes no more; nothing is to be said of a pipe whose reader has gone."""
    _to_nowhere()
    if isinstance(error, BrokenPipeError):
        return UNFORESEEN
    return say(
        f"what was to be printed could not be written ({error.strerror or error}): see where it goes", UNFORESEEN
    )


def _undelivered() -> OSError | None:
    try:
        sys.stdout.flush()
    except OSError as error:
        return error
    except (ValueError, AttributeError):  # closed, or there is none
        pass
    return None


def _to_nowhere() -> None:
    """The interpreter flushes standard output once more on its way out."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def say(sentence: str, code: int) -> int:
    """The sentence on standard error, in letters that its encoding has; returns the code."""
    with contextlib.suppress(OSError):
        encoding = sys.stderr.encoding or "ascii"
        print(f"elbo: {sentence}".encode(encoding, "backslashreplace").decode(encoding), file=sys.stderr)
    return code
