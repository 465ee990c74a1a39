"""One papermill execution in a process of its own: ``python -m elbo.companion.run.worker``.

The parent (:mod:`elbo.companion.run.runner`) writes one JSON line to standard input::

    {
        "input": path,
        "output": path,
        "parameters": {...},
        "timeout": seconds or null,
        "cwd": path,
        "scratch": path,
        "staging": path,
    }

(paths relative to the working directory: papermill takes braces in a path for placeholders) and reads JSON lines from
standard output: ``{"event": "cell", "cell": k, "line": text}`` before each code cell, and at the end
``{"event": "done"}`` or ``{"event": "failed", "kind": ..., ...}``. Standard error is papermill's and the kernel's, and
goes to a log. Standard input stays open as long as the parent lives: at its end the kernel is killed, and both folders
are removed (:mod:`elbo.companion.project.orphans`).
"""

from __future__ import annotations

import json
import os
import re
import sys
import threading
from collections.abc import Callable
from typing import IO, TYPE_CHECKING, Any

from elbo.companion.project.orphans import end_with_parent, standard_input
from elbo.companion.record.handover import without_data

if TYPE_CHECKING:
    from nbformat import NotebookNode

__all__ = ["main"]


def main() -> int:
    """Execute the one job on standard input; 0 if every cell ran, 1 if not."""
    commands, events = _take_standard_streams()
    job = json.loads(commands.readline())
    made = (job["scratch"], job["staging"])
    threading.Thread(target=end_with_parent, args=(commands, made), daemon=True).start()

    def emit(event: str, **fields: Any) -> None:
        events.write(json.dumps({"event": event, **fields}) + "\n")
        events.flush()

    position = {"cell": 0}
    try:
        _execute(job, position, emit)
    except BaseException as error:  # reported, whatever it is: the parent must learn how it ended
        emit("failed", **position, **_describe(error, job["output"]))
        return 1
    emit("done")
    return 0


def _execute(job: dict[str, Any], position: dict[str, int], emit: Callable[..., None]) -> None:
    import papermill
    from traitlets.config import Config

    def before_cell(cell: NotebookNode, cell_index: int) -> None:
        position["cell"] += 1
        emit("cell", cell=position["cell"], line=first_line(cell.source))

    papermill.execute_notebook(
        job["input"],
        job["output"],
        parameters=job["parameters"],
        kernel_name="python3",
        progress_bar=False,
        cwd=job["cwd"],
        execution_timeout=job["timeout"],
        on_cell_execute=before_cell,
        iopub_timeout=60,
        # sockets in the run's own scratch directory instead of TCP ports, for which kernels that start together race
        config=Config({"KernelManager": {"transport": "ipc", "ip": os.path.join(job["scratch"], "k")}}),
    )


def first_line(source: str) -> str:
    """The first line of a cell that is neither blank nor a comment, for people to recognise the cell by."""
    lines = [line.strip() for line in source.splitlines()]
    line = next(
        (line for line in lines if line and not line.startswith("#")), next((line for line in lines if line), "")
    )
    return line if len(line) <= 72 else line[:69] + "..."


def _describe(error: BaseException, notebook: str) -> dict[str, Any]:
    """What the parent's sentence needs to know of an exception of papermill's or nbclient's."""
    from nbclient.exceptions import CellTimeoutError, DeadKernelError
    from papermill.exceptions import PapermillExecutionError

    if isinstance(error, PapermillExecutionError):
        with open(notebook, encoding="utf-8") as file:
            if without_data(json.load(file)):
                return {"kind": "no data", "message": _plain(error.evalue)}
        text = f"{error.ename}: {error.evalue}".strip().splitlines()
        return {
            "kind": "exception",
            "line": first_line(error.source),
            "message": _plain(text[0] if len(text) == 1 else f"{text[0]} ... {text[-1]}"),
        }
    if isinstance(error, CellTimeoutError):
        return {"kind": "timeout", "message": ""}
    if isinstance(error, DeadKernelError):
        return {"kind": "dead", "message": ""}
    message = f"{type(error).__name__}: {error}".strip().splitlines()[0]
    return {"kind": "system", "errno": getattr(error, "errno", None), "message": _plain(message)}


def _plain(text: str) -> str:
    """Without the colours that IPython adds, and not endless."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", text)
    return text if len(text) <= 1200 else text[:1197] + "..."


def _take_standard_streams() -> tuple[IO[str], IO[str]]:
    """Keep standard input and output for the parent; the kernel, which inherits 0 to 2, gets nothing and the log."""
    commands = standard_input()
    events = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return commands, events


if __name__ == "__main__":
    sys.exit(main())
