"""What the accepted runs have published."""

from __future__ import annotations

import json

from elbo.companion.paths import Project
from elbo.companion.place import FIGURE

__all__ = ["published_figures"]


def published_figures(project: Project, profile: str) -> list[dict]:
    """``id, chapter, caption, alt, notebook, record`` of every figure in the accepted runs of a profile."""
    rows = []
    for path in sorted(project.runs(profile).glob("[!.]*/*.ipynb")):
        notebook = json.loads(path.read_text(encoding="utf-8"))
        for cell in notebook["cells"]:
            for output in cell.get("outputs", []):
                if content := output.get("data", {}).get(FIGURE):
                    rows.append(
                        {
                            **{name: content[name] for name in ("id", "chapter", "caption", "alt")},
                            "notebook": project.show(path),
                            "record": json.loads(content["files"]["json"]),
                        }
                    )
    return rows
