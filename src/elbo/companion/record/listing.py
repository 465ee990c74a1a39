"""What the accepted runs have published."""

from __future__ import annotations

import json
from pathlib import Path

from elbo.companion.project.paths import Project
from elbo.companion.run.place import FIGURE

__all__ = ["published_figures", "run_facts"]

_FACTS = ("finished", "seconds", "seeds", "device", "threads", "notebook_sha256")


def published_figures(project: Project, profile: str) -> list[dict]:
    """``id, chapter, caption, alt, notebook, record, run`` of every figure in the accepted runs of a profile."""
    rows = []
    for path in sorted(project.runs(profile).glob("[!.]*/*.ipynb")):
        notebook = json.loads(path.read_text(encoding="utf-8"))
        run = run_facts(path.with_name("run.json"))
        for cell in notebook["cells"]:
            for output in cell.get("outputs", []):
                if content := output.get("data", {}).get(FIGURE):
                    rows.append(
                        {
                            **{name: content[name] for name in ("id", "chapter", "caption", "alt")},
                            "notebook": project.show(path),
                            "record": json.loads(content["files"]["json"]),
                            "run": run,
                        }
                    )
    return rows


def run_facts(path: Path) -> dict:
    """What ``run.json`` knows of a run that the records of its figures leave out: when it ended, how long it took, its
    seeds and device. Empty where there is no such file, as in a book that ``jupyter-book build .`` makes.
    """
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return {name: record[name] for name in _FACTS if name in record}
