"""The parameters of a run as a reader sees them in the page: a table instead of two cells of assignments."""

from __future__ import annotations

import html
import re
from typing import TYPE_CHECKING, Any

from elbo.companion.project.chapters import Chapter

if TYPE_CHECKING:
    from nbformat import NotebookNode

__all__ = ["parameter_table", "show_parameters"]

_HEADING = re.compile(r"^## Run it yourself$", re.MULTILINE)


def show_parameters(notebook: NotebookNode, chapter: Chapter, parameters: dict[str, Any], profile: str) -> None:
    """Insert the table below the heading *Run it yourself*, or, in a chapter without one, before the cell tagged
    ``parameters``; the page shows neither that cell nor papermill's.

    They stay in the notebook, because a reader who downloads it wants to run it.
    """
    import nbformat

    place = None
    for index, cell in enumerate(notebook.cells):
        tags = cell.metadata.get("tags", [])
        if "parameters" in tags or "injected-parameters" in tags:
            cell.metadata["tags"] = [*tags, "remove-cell"]
            place = index if place is None else place
    if place is None:
        return
    table = parameter_table(chapter, parameters, profile)
    for cell in reversed(notebook.cells):
        if cell.cell_type == "markdown" and (heading := _HEADING.search(cell.source)):
            cell.source = f"{cell.source[: heading.end()]}\n\n{table}\n{cell.source[heading.end() :]}"
            return
    notebook.cells.insert(place, nbformat.v4.new_markdown_cell(table, id="parameter-table"))


def parameter_table(chapter: Chapter, parameters: dict[str, Any], profile: str) -> str:
    """Name, value, default and description of every parameter, as one HTML block (JupyterLab shows it as well)."""
    head = "".join(f"<th>{title}</th>" for title in ("Parameter", "Value", "Default", "What it is"))
    rows = "".join(
        _row(name, parameters[name], parameter.default, parameter.help)
        for name, parameter in chapter.parameters.items()
    )
    return (
        f'<details class="elbo-parameters"><summary>Parameters of this run (profile {_text(profile)})</summary>\n'
        f'<div class="pst-scrollable-table-container"><table class="table"><thead><tr>{head}</tr></thead>\n'
        f"<tbody>{rows}</tbody></table></div></details>"
    )


def _row(name: str, value: Any, default: Any, description: str) -> str:
    shown = f"<code>{_text(repr(value))}</code>"
    if value != default:
        shown = f"<strong>{shown}</strong>"
    cells = (f"<code>{_text(name)}</code>", shown, f"<code>{_text(repr(default))}</code>", _text(description))
    return "<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>\n"


def _text(value: str) -> str:
    return html.escape(value).replace("\n", "&#10;")
