"""A chapter as a notebook that runs elsewhere: its first cell installs the package, at the lock file's versions."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from elbo.companion.project.chapters import Chapter
from elbo.companion.project.errors import CompanionError

if TYPE_CHECKING:
    from nbformat import NotebookNode

__all__ = ["at_commit", "launched"]

_CELL = """# Installs this book's package and the versions of its lock file; the first time takes some minutes.
# If something it replaces was loaded already, restart the kernel afterwards and run all cells again.
import importlib.util
import subprocess
import sys

if importlib.util.find_spec("elbo") is None:
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet",
                    "--constraint", {lock!r}, {source!r}], check=True)
    importlib.invalidate_caches()"""
"""No plain value may be left behind: the chapter takes those for its parameters."""


def launched(chapter: Chapter, source: str, lock: str) -> NotebookNode:
    """The chapter as a notebook without outputs, with a cell before its first that installs what it needs.

    Args:
        source: what pip installs, a requirement, an address or the path of a wheel.
        lock: path or address of the lock file.
    """
    import nbformat

    notebook = chapter.notebook()
    cell = nbformat.v4.new_code_cell(_CELL.format(source=source, lock=lock), id="install")
    cell.metadata["tags"] = ["remove-cell"]
    first = next(index for index, one in enumerate(notebook.cells) if one.cell_type == "code")
    notebook.cells.insert(first, cell)
    return notebook


def at_commit(repository: str, commit: str) -> tuple[str, str]:
    """``source`` and ``lock`` of :func:`launched` for a commit of a repository on GitHub.

    Raises:
        CompanionError: there is no repository, or it lies elsewhere, where the address of a file is not known.
    """
    parts = urlsplit(repository)
    owner_and_name = parts.path.strip("/").removesuffix(".git")
    if parts.hostname != "github.com" or owner_and_name.count("/") != 1:
        where = (
            f"the repository {repository} is not on GitHub" if repository else "CITATION.cff names no repository-code"
        )
        raise CompanionError(f"{where}: say what to install with --source, and the lock file with --lock")
    return (
        f"carving-the-elbo[book] @ git+https://github.com/{owner_and_name}@{commit}",
        f"https://raw.githubusercontent.com/{owner_and_name}/{commit}/requirements.lock",
    )
