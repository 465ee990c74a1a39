"""When an executed notebook counts as a run.

papermill reports every cell as completed when the kernel has died (papermill 2.7), and a kernel that dies in the last
cell leaves nothing in the notebook that says so. A run is accepted only if all of this holds: the process that executed
it ended well (the caller's part), papermill closed the notebook, every code cell was executed, none printed an error,
and the last cell said its sentence, which only a living kernel can do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from elbo.companion.record.handover import sentinel

if TYPE_CHECKING:
    from nbformat import NotebookNode

__all__ = ["clean", "code_cells", "durations", "refusal"]


def code_cells(notebook: NotebookNode) -> list[NotebookNode]:
    """The cells that are executed: code, and not empty."""
    return [cell for cell in notebook.cells if cell.cell_type == "code" and cell.source.strip()]


def refusal(notebook: NotebookNode, chapter: str) -> str | None:
    """Why an executed notebook does not count as a run of ``chapter``, or ``None`` where it does.

    Args:
        notebook: as papermill has left it, its metadata not yet cleaned.
        chapter: key of the chapter.
    """
    cells = code_cells(notebook)
    if not cells:
        return "it has no code cell"
    if not notebook.metadata.get("papermill", {}).get("end_time"):
        return "papermill did not finish it"
    for number, cell in enumerate(cells, 1):
        if any(output.output_type == "error" for output in cell.outputs):
            return f"cell {number} of {len(cells)} ended with an error"
        if cell.execution_count is None or not cell.metadata.get("papermill", {}).get("end_time"):
            return f"cell {number} of {len(cells)} was not executed"
    if sentinel(chapter) not in _printed(cells[-1]):
        return f"its last cell did not print `{sentinel(chapter)}` (it should call companion.end())"
    return None


def durations(notebook: NotebookNode) -> list[float | None]:
    """Seconds that each code cell took, as papermill measured them."""
    return [cell.metadata.get("papermill", {}).get("duration") for cell in code_cells(notebook)]


def clean(notebook: NotebookNode) -> None:
    """Take out, in place, what changes from run to run: papermill's paths, every time, the random ids of cells."""
    given: dict[str, Any] = notebook.metadata.pop("papermill", {}).get("parameters", {})
    notebook.metadata["papermill"] = {"parameters": given}
    for number, cell in enumerate(notebook.cells):
        cell.metadata.pop("papermill", None)
        cell.metadata.pop("execution", None)
        cell["id"] = f"cell-{number:03d}"


def _printed(cell: NotebookNode) -> list[str]:
    """Lines that a cell wrote to its standard output."""
    text = "".join(output.text for output in cell.outputs if output.output_type == "stream" and output.name == "stdout")
    return text.splitlines()
