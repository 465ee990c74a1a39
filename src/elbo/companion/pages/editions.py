"""The editions of the book, all from one source tree: pages for a browser, a PDF for paper, an EPUB for readers.

``html`` is made by jupyter-book or, the second way, by Sphinx alone; every other edition is made by Sphinx alone,
with the configuration that :mod:`elbo.companion.pages.configuration` reads from ``_config.yml``.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

import yaml

from elbo.companion.pages import epub, pdf, strict
from elbo.companion.pages.configuration import paper_values, sphinx_values, write_conf
from elbo.companion.project.errors import CompanionError, quote
from elbo.companion.project.paths import Project
from elbo.companion.run.progress import Display

__all__ = ["EDITIONS", "WAYS", "chosen", "make", "result"]

EDITIONS = ("html", "pdf", "epub", "dirhtml", "singlehtml")
"""``dirhtml`` is a directory a page (addresses without ``.html``), ``singlehtml`` the whole book as one page."""
WAYS = ("jupyter-book", "sphinx")


def chosen(text: str, way: str = "jupyter-book") -> tuple[str, ...]:
    """The editions that a comma-separated text names, each once.

    Raises:
        CompanionError: one that does not exist (exit code 2), or a PDF where there is no TeX (5).
    """
    names = tuple(dict.fromkeys(filter(None, (name.strip() for name in text.split(",")))))
    for name in names:
        if name not in EDITIONS:
            raise CompanionError(f"--to: there is no edition {quote(name)}; choose from {', '.join(EDITIONS)}")
    if not names:
        raise CompanionError(f"--to names no edition; choose from {', '.join(EDITIONS)}")
    if way not in WAYS:
        raise CompanionError(f"--with: the pages are built with {' or '.join(WAYS)}, not with {quote(way)}")
    if "pdf" in names:
        pdf.require_tex()
    return names


def make(edition: str, way: str, project: Project, source: Path, folder: Path, display: Display) -> Path:
    """Make one edition of ``source`` below ``folder``; returns the directory of what was made.

    Raises:
        CompanionError: see :mod:`elbo.companion.pages.strict`.
    """
    if edition == "html" and way == "jupyter-book":
        return strict.jupyter_book(project, source, folder, display)
    config = yaml.safe_load((source / "_config.yml").read_text(encoding="utf-8"))
    values = sphinx_values(config)
    tree = folder / "tree"  # a copy, because conf.py in the tree would be in the way of jupyter-book
    shutil.copytree(source, tree)
    if edition not in ("pdf", "epub"):
        write_conf(tree, values)
        return strict.sphinx(project, tree, folder, edition, display)
    write_conf(tree, paper_values(values, tree))
    out = folder / "made"
    out.mkdir()
    if edition == "pdf":
        pdf.compiled(project, strict.sphinx(project, tree, folder, "latex", display), out, display)
    else:
        epub.packed(strict.sphinx(project, tree, folder, "epub", display), out)
    return out


def result(made: Path) -> Path:
    """What to open of an edition's directory: its first page, or the one file in it."""
    index = made / "index.html"
    return index if index.is_file() else next(iter(sorted(_books(made))), made)


def _books(made: Path) -> Iterable[Path]:
    return (path for path in made.iterdir() if path.suffix in (".pdf", ".epub"))
