"""The chapters of the book: which there are, and what parameters each of them declares."""

from __future__ import annotations

import ast
import difflib
import io
import re
import tokenize
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from elbo.companion.project.errors import CompanionError, quote
from elbo.companion.project.paths import Project, given_path
from elbo.companion.project.plain import load_plain, parse_plain

if TYPE_CHECKING:
    from nbformat import NotebookNode

__all__ = ["Chapter", "Parameter", "chapter_keys", "nearest", "pages", "read_chapter"]


@dataclass(frozen=True)
class Parameter:
    """One line of the cell tagged ``parameters``: ``name: annotation = default  # help``."""

    name: str
    annotation: str
    default: Any
    help: str


@dataclass(frozen=True)
class Chapter:
    """A chapter as it stands in ``book/<key>.md``.

    Attributes:
        key: citation key of the paper, the file's name.
        source: the file's text.
        parameters: by name, in the order of the cell.
    """

    key: str
    source: str
    parameters: dict[str, Parameter]

    @property
    def title(self) -> str:
        """The first heading, by house rule the title of the paper."""
        match = re.search(r"^# +(.+?) *$", self.source, re.MULTILINE)
        return match[1] if match else self.key

    def notebook(self) -> NotebookNode:
        """The chapter as a notebook without outputs; the same text gives the same bytes (cell ids are numbered)."""
        import jupytext

        notebook: NotebookNode = jupytext.reads(self.source, fmt="md:myst")
        for number, cell in enumerate(notebook.cells):
            cell["id"] = f"cell-{number:03d}"
        notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
        return notebook


def pages(project: Project) -> list[str]:
    """Every file that ``_toc.yml`` lists, in reading order, without extension: ``["book/index", ...]``."""
    found: list[str] = []

    def walk(node: Any) -> None:
        if isinstance(node, dict):
            for name, value in node.items():
                if name in ("root", "file"):
                    found.append(str(value).removesuffix(".md").removesuffix(".ipynb"))
                else:
                    walk(value)
        elif isinstance(node, list):
            for item in node:
                walk(item)

    walk(_yaml(project.root / "_toc.yml"))
    return found


def chapter_keys(project: Project) -> list[str]:
    """Keys of the executable chapters in reading order: pages under ``book/`` whose front matter names a kernel."""
    return [Path(page).name for page in pages(project) if _is_chapter(project.root / f"{page}.md", project.book)]


def read_chapter(project: Project, key: str) -> Chapter:
    """Read ``book/<key>.md``; the path of the file is taken for its key.

    Raises:
        CompanionError: there is no such chapter, or its parameters cell cannot be understood.
    """
    key = Path(key).name.removesuffix(".md") if key.endswith(".md") else key
    path = given_path(project.book / f"{key}.md", "the chapter")
    known = chapter_keys(project)
    if key not in known and not _is_chapter(path, project.book):  # one that is not in the table of contents yet may run
        raise CompanionError(
            f"there is no chapter {quote(key)}{nearest(key, known)}; the chapters are: {', '.join(known) or 'none'}"
        )
    source = path.read_text(encoding="utf-8")
    return Chapter(key, source, _parameters(key, source))


def nearest(name: str, known: Iterable[str]) -> str:
    """``" (did you mean 'latent_dim'?)"`` where one of ``known`` is close to ``name``, else nothing."""
    close = difflib.get_close_matches(name[:200], list(known), n=1, cutoff=0.5)
    return f" (did you mean {close[0]!r}?)" if close else ""


def _is_chapter(path: Path, book: Path) -> bool:
    if path.parent != book or not path.is_file():
        return False
    text = path.read_text(encoding="utf-8")
    if not text.startswith("---\n") or "\n---" not in text[4:]:
        return False
    front = parse_plain(text[4 : text.index("\n---", 4)], f"the head of {path.name}")
    return isinstance(front, dict) and "kernelspec" in front


def _parameters(key: str, source: str) -> dict[str, Parameter]:
    notebook = Chapter(key, source, {}).notebook()
    cells = [
        cell for cell in notebook.cells if cell.cell_type == "code" and "parameters" in cell.metadata.get("tags", [])
    ]
    if not cells:
        return {}
    if len(cells) > 1:
        raise CompanionError(f"book/{key}.md has {len(cells)} cells tagged `parameters`; keep one")
    return {parameter.name: parameter for parameter in _declared(key, cells[0].source)}


def _declared(key: str, code: str) -> list[Parameter]:
    """The annotated assignments of a parameters cell, read from its syntax tree: nothing is executed."""
    try:
        body = ast.parse(code).body
    except SyntaxError as error:
        raise CompanionError(
            f"the parameters cell of book/{key}.md is not Python: {error.msg} in its line {error.lineno}"
        ) from None
    comments = {
        token.start[0]: token.string.lstrip("# ").strip()
        for token in tokenize.generate_tokens(io.StringIO(code).readline)
        if token.type == tokenize.COMMENT
    }
    declared = []
    for statement in body:
        try:
            if not (isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name)):
                raise ValueError
            if statement.value is None:
                raise ValueError
            default = ast.literal_eval(statement.value)
        except (ValueError, TypeError):
            line = code.splitlines()[statement.lineno - 1].strip()
            raise CompanionError(
                f"the parameters cell of book/{key}.md may hold only lines like "
                f"`beta: float = 1.0  # weight of the KL`; found `{line}`"
            ) from None
        declared.append(
            Parameter(
                statement.target.id,
                ast.unparse(statement.annotation),
                default,
                comments.get(statement.end_lineno or statement.lineno, ""),
            )
        )
    return declared


def _yaml(path: Path) -> Any:
    return load_plain(path, path.name)
