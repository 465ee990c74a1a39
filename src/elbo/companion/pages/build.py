"""The book from accepted runs: a source tree of executed notebooks, then jupyter-book, then one step into place.

jupyter-book executes nothing here (its cache does not see that the package has changed, and it would publish a notebook
whose kernel died). Every warning is an error, and the build starts from nothing, because Sphinx does not repeat the
warnings of pages that it does not read again.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from elbo.companion.pages.equations import RESULTS
from elbo.companion.pages.parameters import show_parameters
from elbo.companion.project.errors import BUILD, TERMINATED, CompanionError
from elbo.companion.project.paths import Project, hold, replace_directory, staging
from elbo.companion.project.signals import Terminated, ended_by_signals
from elbo.companion.record import fingerprint
from elbo.companion.record.environment import lock_digest
from elbo.companion.run.plans import Plan
from elbo.companion.run.progress import Display

__all__ = ["build_book", "stage"]

_TOP_LEVEL = ("README.md", "CITATION.cff", "LICENSE*")
"""Files beside ``book/`` that a page may include."""


def build_book(project: Project, profile: str, plans: list[Plan], display: Display, force: bool = False) -> Path:
    """Build ``_build/html`` from the accepted runs of ``plans``; returns its directory.

    Nothing is built where neither the pages nor the package nor the lock have changed since the last build.

    Raises:
        CompanionError: another build is under way (exit code 4), or jupyter-book found errors or warnings (5); the HTML
            that was there before stays.
    """
    source, stamp = project.build / "book-src", project.build / "html.json"
    try:
        with hold(project.html, "the book"):
            with staging(source) as folder:
                stage(project, profile, plans, folder / "tree")
                replace_directory(folder / "tree", source)
            state = {
                "profile": profile,
                "source": fingerprint.directory_digest(source),
                "package": fingerprint.package_digest(),
                "reference": fingerprint.directory_digest(project.root / "data" / "reference"),
                "lock": lock_digest(project.root),
            }
            if not force and _stamp(stamp) == {**state, "html": _html_marker(project.html)}:
                display.say("pages: up to date")
                return project.html
            with staging(project.html) as folder:
                _jupyter_book(project, source, folder, display)
                stamp.unlink(missing_ok=True)
                replace_directory(folder / "_build" / "html", project.html)
                marked = {**state, "html": _html_marker(project.html)}
                stamp.write_text(json.dumps(marked, indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        where = error.filename or project.build
        raise CompanionError(
            f"the pages were not built: {error.strerror or error} ({where}); put that right and build again. "
            f"{_what_stands(project)}",
            BUILD,
        ) from None
    return project.html


def _what_stands(project: Project) -> str:
    """What a reader has after a build that failed: the runs are put in place one by one, the pages all at once."""
    runs = "The runs of the chapters are in place"
    return (
        f"{runs}; the book is still the one of before" if project.html.exists() else f"{runs}; there are no pages yet"
    )


def stage(project: Project, profile: str, plans: list[Plan], tree: Path) -> None:
    """Write the source tree of the book into ``tree``: the pages as they are, each chapter as its executed notebook.

    The notebook is listed in ``_toc.yml`` with its extension, so that the page's download and launch buttons offer a
    notebook, and the configuration is the project's own with execution switched off. What the pages use (bibliography,
    style sheets, images) must lie under ``book/``. Under ``runs/<key>/`` are the accepted run as it is, its
    ``run.json`` and the text of the chapter, for the pages to offer and to quote.
    """
    import nbformat

    keys = {plan.key for plan in plans}
    unwanted = shutil.ignore_patterns("*.ipynb", ".*", "__pycache__", "profiles", *(f"{key}.md" for key in keys))
    shutil.copytree(project.book, tree / "book", ignore=unwanted)
    for pattern in _TOP_LEVEL:
        for path in project.root.glob(pattern):
            shutil.copy2(path, tree / path.name)
    _stage_checks(project, tree / "tests")
    for plan in plans:
        notebook = nbformat.read(plan.notebook, as_version=4)
        show_parameters(notebook, plan.chapter, plan.parameters, profile)
        nbformat.write(notebook, tree / "book" / f"{plan.key}.ipynb")
        run = tree / "runs" / plan.key
        run.mkdir(parents=True)
        for path in (plan.notebook, plan.destination / "run.json"):
            shutil.copy2(path, run / path.name)
        (run / f"{plan.key}.md").write_text(plan.chapter.source, encoding="utf-8")
    toc = _with_extension(yaml.safe_load((project.root / "_toc.yml").read_text(encoding="utf-8")), keys)
    _write_yaml(tree / "_toc.yml", toc)
    _write_yaml(
        tree / "_config.yml", _config(yaml.safe_load((project.root / "_config.yml").read_text(encoding="utf-8")))
    )


def _stage_checks(project: Project, folder: Path) -> None:
    """The tests that evaluate equations, for the pages to show, and what their last run
    made of them where that is known.
    """
    for path in sorted((project.root / "tests").rglob("test_*.py")):
        if "mark.equation" in (text := path.read_text(encoding="utf-8")):
            target = folder / path.relative_to(project.root / "tests")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, encoding="utf-8")
    outcomes = project.build / RESULTS
    if folder.is_dir() and outcomes.is_file():
        shutil.copy2(outcomes, folder / RESULTS)


def _config(config: dict[str, Any]) -> dict[str, Any]:
    """The project's configuration with execution off; ``ELBO_BASEURL`` is the address that the book is published at."""
    execute = {**(config.get("execute") or {}), "execute_notebooks": "off"}
    html = dict(config.get("html") or {})
    if address := os.environ.get("ELBO_BASEURL"):
        html["baseurl"] = address.rstrip("/") + "/"
    excluded = [*(config.get("exclude_patterns") or []), "runs"]
    return {**config, "only_build_toc_files": True, "exclude_patterns": excluded, "execute": execute, "html": html}


def _with_extension(node: Any, keys: set[str]) -> Any:
    """The table of contents with ``book/<key>.ipynb`` for every executed chapter."""
    if isinstance(node, dict):
        return {
            name: _notebook(value, keys) if name in ("file", "root") else _with_extension(value, keys)
            for name, value in node.items()
        }
    if isinstance(node, list):
        return [_with_extension(item, keys) for item in node]
    return node


def _notebook(page: str, keys: set[str]) -> str:
    stem = page.removesuffix(".md").removesuffix(".ipynb")
    return f"{stem}.ipynb" if stem.removeprefix("book/") in keys else page


def _jupyter_book(project: Project, source: Path, folder: Path, display: Display) -> None:
    """Run jupyter-book on ``source`` with everything strict, its noise in a log, its warnings shown."""
    display.say("pages: building with jupyter-book")
    project.logs.mkdir(parents=True, exist_ok=True)
    log = project.logs / "jupyter-book.log"
    # the package has no __main__; what it makes goes with this command
    start = f"from elbo.companion.project.orphans import watch; watch({str(folder)!r})\n"
    start += "from jupyter_book.cli.main import main; main()"
    strict = ("-n", "-W", "--keep-going", "--all")
    command = [sys.executable, "-c", start, "build", str(source), "--path-output", str(folder), *strict]
    own = {"ELBO_ROOT": str(project.root.resolve()), "PYTHONHASHSEED": "0", "NO_COLOR": "1", "MPLBACKEND": "agg"}
    environment = {**os.environ, **own}
    with log.open("wb") as stream:
        process = subprocess.Popen(
            command,
            cwd=source,
            stdin=subprocess.PIPE,
            stdout=stream,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,
        )
        try:
            with ended_by_signals():
                status = process.wait()
        except Terminated:
            raise CompanionError(
                "terminated: the pages were not built, those that were there before are untouched", TERMINATED
            ) from None
        finally:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    if status == 0 and (folder / "_build" / "html" / "index.html").is_file():
        return
    problems = _problems(log, source)
    for problem in problems:
        display.say(f"pages: {problem}")
    count = f"{len(problems)} {'problem' if len(problems) == 1 else 'problems'} (above)" if problems else "an error"
    raise CompanionError(
        f"the pages were not built: jupyter-book ended with {count}; "
        f"mend what {project.show(log)} names and build again. {_what_stands(project)}",
        BUILD,
    )


def _problems(log: Path, source: Path) -> list[str]:
    """The warnings and errors of a build, once each, with paths as the author knows them."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", log.read_text(encoding="utf-8", errors="replace"))
    found = [
        line.replace(f"{source}{os.sep}", "")
        for line in text.splitlines()
        if re.search(r"\b(WARNING|ERROR|CRITICAL|SEVERE)\b|Error:", line)
    ]
    return list(dict.fromkeys(found))


def _stamp(path: Path) -> dict[str, Any] | None:
    try:
        kept: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return kept
    except (OSError, ValueError):
        return None


def _html_marker(html: Path) -> str:
    """Tells whether ``html`` is still what was put there: names, sizes and times of all its files.

    A page may have been lost, and ``jupyter-book build .`` writes there, too.
    """
    states = [(path.relative_to(html).as_posix(), path.stat()) for path in sorted(html.rglob("*")) if path.is_file()]
    return fingerprint.digest({name: [state.st_mtime_ns, state.st_size] for name, state in states})


def _write_yaml(path: Path, content: Any) -> None:
    path.write_text(yaml.safe_dump(content, sort_keys=False, allow_unicode=True), encoding="utf-8")
