"""Put an accepted run into its place, with its record beside it; keep what is left of one that failed."""

from __future__ import annotations

import datetime
import errno
import json
import os
import platform
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from elbo.companion.project.paths import Project, replace_directory
from elbo.companion.record import fingerprint
from elbo.companion.record.environment import versions
from elbo.companion.record.handover import figures_in
from elbo.companion.run import accept

if TYPE_CHECKING:
    from elbo.companion.run.plans import Plan

if TYPE_CHECKING:
    from nbformat import NotebookNode

__all__ = ["keep_failed", "place"]


def place(
    project: Project, plan: Plan, notebook: NotebookNode, commit: dict[str, Any], threads: int, folder: Path
) -> float:
    """Write the notebook and ``run.json`` into ``folder``, then put it in the place of ``plan.destination``.

    Returns:
        The seconds that the run took.

    Raises:
        OSError: the disk is full; the destination is as it was.
    """
    import nbformat

    seconds = float(notebook.metadata["papermill"].get("duration") or 0.0)
    cells = accept.durations(notebook)
    accept.clean(notebook)
    path = folder / plan.notebook.name
    _write(path, nbformat.writes(notebook) + "\n")
    # the chapter may have fetched its data itself: what lies there now is what it ran on
    inputs = {**plan.inputs, "data": fingerprint.data_marker(plan.parameters, project.data_files)}
    figures = [json.loads(figure["files"]["json"]) for figure in figures_in(notebook)]
    figure = figures[-1] if figures else {}  # by then everything is loaded
    settings = figure.get("settings", {})
    record = {
        "chapter": plan.key,
        "profile": plan.profile,
        "parameters": plan.parameters,
        "given": plan.given,
        "settings": settings,
        "seeds": {name: value for name, value in {**plan.parameters, **settings}.items() if "seed" in name},
        **commit,
        "device": plan.device,
        "threads": threads,
        "packages": {"python": platform.python_version(), **versions()},
        "lock_sha256": plan.inputs["lock"],
        "data": figure.get("environment", {}).get("data", {}),
        "finished": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "seconds": round(seconds, 3),
        "cell_seconds": cells,
        "notebook_sha256": fingerprint.file_digest(path),
        "fingerprint": fingerprint.digest(inputs),
        "inputs": inputs,
    }
    _write(folder / "run.json", json.dumps(record, indent=1, ensure_ascii=False) + "\n")
    replace_directory(folder, plan.destination)
    return seconds


def keep_failed(notebook: Path, kept: Path) -> Path | None:
    """Move what a failed run has left of its notebook to ``kept``; ``None`` where nothing is left that opens."""
    try:
        json.loads(notebook.read_text(encoding="utf-8"))
        kept.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.replace(notebook, kept)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            shutil.copyfile(notebook, kept)
    except (OSError, ValueError):
        return None
    return kept


def _write(path: Path, text: str) -> None:
    """Write a file through to the disk: it is about to replace one that was."""
    with path.open("w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
