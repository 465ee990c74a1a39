"""One run of a program that makes pages: every warning an error, its noise in a log, nothing left running."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

from elbo.companion.project.errors import BUILD, TERMINATED, CompanionError
from elbo.companion.project.paths import Project
from elbo.companion.project.signals import Terminated, ended_by_signals
from elbo.companion.run.progress import Display

__all__ = ["failed", "jupyter_book", "sphinx", "watched", "what_stands"]

_STRICT = ("-n", "-W", "--keep-going")


def jupyter_book(project: Project, source: Path, folder: Path, display: Display) -> Path:
    """The HTML of ``source`` by jupyter-book, below ``folder``; returns its directory.

    Raises:
        CompanionError: jupyter-book found errors or warnings (exit code 5), or the command was terminated (143).
    """
    display.say("pages: building with jupyter-book")
    log = project.logs / "jupyter-book.log"
    start = "from jupyter_book.cli.main import main; main()"  # the package has no __main__
    arguments = ("build", str(source), "--path-output", str(folder), *_STRICT, "--all")
    status = watched(project, _python(start, folder), arguments, log, source)
    html = folder / "_build" / "html"
    if status or not (html / "index.html").is_file():
        raise failed(project, display, "jupyter-book", log, source)
    return html


def sphinx(project: Project, source: Path, folder: Path, builder: str, display: Display) -> Path:
    """The output of one of Sphinx's builders for ``source``, which holds a ``conf.py``; returns its directory.

    Raises:
        CompanionError: as for :func:`jupyter_book`.
    """
    display.say(f"pages: building with Sphinx ({builder})")
    log, out = project.logs / f"sphinx-{builder}.log", folder / builder
    start = "import sys; from sphinx.cmd.build import main; sys.exit(main(sys.argv[1:]))"
    arguments = ("-b", builder, "-d", str(folder / "doctrees"), *_STRICT, "-E", str(source), str(out))
    if watched(project, _python(start, folder), arguments, log, source):
        raise failed(project, display, "Sphinx", log, source)
    return out


def _python(start: str, folder: Path) -> list[str]:
    """An interpreter that ends with this command, and takes ``folder`` along."""
    watch = f"from elbo.companion.project.orphans import watch; watch({str(folder)!r})\n"
    return [sys.executable, "-c", watch + start]


def watched(
    project: Project, program: list[str], arguments: tuple[str, ...], log: Path, cwd: Path, **variables: str
) -> int:
    """Run a program to its end in a session of its own, its output in ``log``; returns its exit status.

    Raises:
        CompanionError: this command was told to end (exit code 143); the program is gone.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    fixed = {"ELBO_ROOT": str(project.root.resolve()), "PYTHONHASHSEED": "0", "NO_COLOR": "1", "MPLBACKEND": "agg"}
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [*program, *arguments],
            cwd=cwd,
            stdin=subprocess.PIPE,
            stdout=stream,
            stderr=subprocess.STDOUT,
            env={**os.environ, **fixed, **variables},
            start_new_session=True,
        )
        try:
            with ended_by_signals():
                return process.wait()
        except Terminated:
            raise CompanionError(
                "terminated: the pages were not built, those that were there before are untouched", TERMINATED
            ) from None
        finally:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def failed(project: Project, display: Display, name: str, log: Path, source: Path) -> CompanionError:
    """Show what a program complained of; returns the error that ends the build."""
    problems = _problems(log, source)
    for problem in problems:
        display.say(f"pages: {problem}")
    count = f"{len(problems)} {'problem' if len(problems) == 1 else 'problems'} (above)" if problems else "an error"
    return CompanionError(
        f"the pages were not built: {name} ended with {count}; mend what {project.show(log)} names and build again",
        BUILD,
    )


def what_stands(project: Project) -> str:
    """What a reader has after a build that failed: the runs are put in place one by one, the pages all at once."""
    runs = "The runs of the chapters are in place"
    return (
        f"{runs}; the book is still the one of before" if project.html.exists() else f"{runs}; there are no pages yet"
    )


def _problems(log: Path, source: Path) -> list[str]:
    """The warnings and errors of a build, once each, with paths as the author knows them."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", log.read_text(encoding="utf-8", errors="replace"))
    found = [
        line.replace(f"{source}{os.sep}", "")
        for line in text.splitlines()
        if re.search(r"\b(WARNING|ERROR|CRITICAL|SEVERE)\b|Error:|^! ", line)
    ]
    return list(dict.fromkeys(found))
