"""The book from accepted runs: a source tree of executed notebooks, then its editions, each in one step into place.

Nothing is executed here (jupyter-book's cache does not see that the package has changed, and it would
publish a notebook whose kernel died). Every warning is an error, and the build starts from nothing, because
Sphinx does not repeat the warnings of pages that it does not read again.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from elbo.companion.pages import editions, strict
from elbo.companion.pages.equations import RESULTS
from elbo.companion.pages.parameters import show_parameters
from elbo.companion.project.errors import BUILD, CompanionError
from elbo.companion.project.paths import Project, hold, replace_directory, staging
from elbo.companion.record import fingerprint
from elbo.companion.record.environment import lock_digest
from elbo.companion.run.plans import Plan
from elbo.companion.run.progress import Display

__all__ = ["build_book", "stage"]

_TOP_LEVEL = ("README.md", "CITATION.cff", "LICENSE*")
"""Files beside ``book/`` that a page may include."""


def build_book(
    project: Project,
    profile: str,
    plans: list[Plan],
    display: Display,
    force: bool = False,
    wanted: Sequence[str] = ("html",),
    way: str = "jupyter-book",
) -> dict[str, Path]:
    """Build editions of the book from the accepted runs of ``plans``; returns for each its directory under ``_build/``.

    Nothing is built where neither the pages nor the package nor the lock have changed since the last build.

    Args:
        wanted: some of :data:`elbo.companion.pages.editions.EDITIONS`.
        way: what makes the HTML, one of :data:`elbo.companion.pages.editions.WAYS`.

    Raises:
        CompanionError: another build is under way (exit code 4), or errors or warnings were found (5); what was there
            before stays.
    """
    source = project.build / "book-src"
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
            return {name: _build(project, source, state, display, force, name, way) for name in wanted}
    except OSError as error:
        where = error.filename or project.build
        raise CompanionError(
            f"the pages were not built: {error.strerror or error} ({where}); put that right and build again. "
            f"{strict.what_stands(project)}",
            BUILD,
        ) from None


def _build(
    project: Project, source: Path, state: dict[str, Any], display: Display, force: bool, edition: str, way: str
) -> Path:
    """One edition, unless what is there was made from the same; returns its directory."""
    target, stamp = project.build / edition, project.build / f"{edition}.json"
    inputs = {**state, "way": way}
    said = "pages" if edition == "html" else edition
    if not force and _stamp(stamp) == {**inputs, "html": _html_marker(target)}:
        display.say(f"{said}: up to date")
        return target
    with staging(target) as folder:
        made = editions.make(edition, way, project, source, folder, display)
        stamp.unlink(missing_ok=True)
        replace_directory(made, target)
        marked = {**inputs, "html": _html_marker(target)}
        stamp.write_text(json.dumps(marked, indent=1) + "\n", encoding="utf-8")
    return target


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
