"""``elbo notebook``: chapters as notebooks for Colab, a codespace, or any Jupyter."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from elbo.cli.options import Root, chapter_names, checkout
from elbo.companion.project.errors import CompanionError

if TYPE_CHECKING:
    from elbo.companion.project.paths import Project

__all__ = ["verbs"]

verbs = typer.Typer()


@verbs.command(
    epilog="Examples: [bold]elbo notebook[/] · [bold]elbo notebook blei-2017 --out ~/notebooks[/] · "
    "[bold]elbo notebook --install --source git+https://example.org/book.git --lock requirements.lock[/]. "
    "Exit codes: 0 done; 2 a chapter or an option is wrong."
)
def notebook(
    chapters: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[CHAPTER ...]", help="As `elbo list` shows them; default: all.", autocompletion=chapter_names
        ),
    ] = None,
    out: Annotated[Path, typer.Option(help="Directory to write <chapter>.ipynb to.")] = Path("notebooks"),
    install: Annotated[
        bool, typer.Option("--install", help="With a first cell that installs the package where it is not.")
    ] = False,
    source: Annotated[
        str | None,
        typer.Option(help="What that cell installs; default: this commit of the repository in CITATION.cff."),
    ] = None,
    lock: Annotated[str | None, typer.Option(help="Path or address of the lock file for it.")] = None,
    root: Root = None,
) -> None:
    """Write chapters as notebooks without outputs, for Jupyter, or with --install for Colab and the like."""
    import nbformat

    from elbo.companion.project.chapters import chapter_keys, read_chapter
    from elbo.companion.project.launch import launched

    project = checkout(root)
    found = [read_chapter(project, key) for key in chapters or chapter_keys(project)]
    if (source or lock) and not install:
        raise CompanionError("--source and --lock say what the first cell installs: say --install, too")
    place = _place(project, source, lock) if install else None
    folder = out.expanduser()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for chapter in found:
            made = launched(chapter, *place) if place else chapter.notebook()
            path = folder / f"{chapter.key}.ipynb"
            path.with_suffix(".part").write_text(nbformat.writes(made) + "\n", encoding="utf-8")
            os.replace(path.with_suffix(".part"), path)
            print(project.show(path))
    except OSError as error:
        raise CompanionError(
            f"{project.show(folder)} does not take the notebooks ({error.strerror or error}); give another one in --out"
        ) from None


def _place(project: Project, source: str | None, lock: str | None) -> tuple[str, str]:
    """What is installed and with which lock file: as given, else this very commit of the repository."""
    from elbo.companion.project.launch import at_commit
    from elbo.companion.record.book import Book
    from elbo.companion.record.environment import commit

    if source:
        if not lock:
            raise CompanionError("--source goes with --lock, the path or address of a lock file")
        return source, lock
    state = commit(project.root)
    known = at_commit(Book.of(project.root).repository, str(state["commit"]))
    if not state["commit"] or state["dirty"]:
        raise CompanionError("this checkout has changes, or no commit: commit them, or say --source and --lock")
    return known[0], lock or known[1]
