"""A small book with every live figure on a page of its own, built with the real configuration, theme and extensions."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import yaml

from checkout import ROOT
from elbo import live

__all__ = ["build", "page"]


def page(id: str) -> str:
    """The text of the page of a figure: prose before and after, a link to a state, a reference by number."""
    first = live.figure(id).controls[-1]
    value = first.corners()[0]
    filler = "A paragraph of prose, so that there is something to scroll past. " * 12
    return (
        f"# Page of {id}\n\nSee {{numref}}`{id}` at {{live}}`its edge <{id}: {first.name}={value:g}>`.\n\n"
        f"```{{live}} {id}\n```\n\n{filler}\n\n{filler}\n"
    )


def build(root: Path) -> Path:
    """Build the book below ``root``; returns the directory of its pages.

    Raises:
        RuntimeError: jupyter-book found an error or a warning; the message is its output.
    """
    book = root / "book"
    shutil.copytree(ROOT / "book" / "_static", book / "_static")
    shutil.copy(ROOT / "CITATION.cff", root)
    shutil.copy(ROOT / "book" / "live.md", book)
    config = yaml.safe_load((ROOT / "_config.yml").read_text())
    config["execute"]["execute_notebooks"] = "off"
    (root / "_config.yml").write_text(yaml.safe_dump(config))
    chapters = [{"file": f"book/{id}.md"} for id in live.IDS] + [{"file": "book/live.md"}]
    (root / "_toc.yml").write_text(yaml.safe_dump({"format": "jb-book", "root": "book/index.md", "chapters": chapters}))
    (book / "index.md").write_text("# Live figures\n\nOne a page.\n")
    (book / "references.bib").write_text("")
    for id in live.IDS:
        (book / f"{id}.md").write_text(page(id))
    command = [Path(sys.prefix) / "bin" / "jupyter-book", "build", root, "-n", "-W", "--keep-going", "--all"]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"NO_COLOR": "1"})
    if done.returncode:
        raise RuntimeError(f"the book of live figures was not built:\n{done.stdout}\n{done.stderr}")
    return root / "_build" / "html"


if __name__ == "__main__":
    print(build(Path(sys.argv[1])))
