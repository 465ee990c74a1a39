"""A book of one chapter with one figure, which runs in seconds, and what it means that a part of it is whole."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from pathlib import Path

import pandas as pd

from elbo.companion.kernel.publish import bundle
from elbo.companion.kernel.session import Session
from elbo.companion.record.handover import MIME, figures_in
from elbo.figures import style
from toybook import CELL, FRONT

__all__ = ["FIGURE", "KEY", "digest", "make_book", "run_of", "site_of", "write_run"]

KEY, FIGURE = "toy-2013", "toy-2013-line"
PARAMETERS = "beta: int = 0  # generation of the run\nwait: float = 0.0  # seconds that a cell takes\n"
MIDDLE = """import json, time
from IPython.display import display
time.sleep(wait)
print("beta", beta)
shown = json.loads(open({figure!r}).read())
display(shown, metadata={{"elbo_figure": {id!r}}}, raw=True)"""
LAST = 'print("elbo: chapter {key} complete")'


def make_book(root: Path) -> Path:
    """The book, nothing run yet. Its chapter shows a figure that was drawn here once: no
    kernel imports anything heavy.
    """
    (root / "book" / "profiles").mkdir(parents=True)
    (root / "figure.json").write_text(json.dumps(figure()))
    code = MIDDLE.format(figure=str(root / "figure.json"), id=FIGURE)
    cells = [(":tags: [parameters]\n\n", PARAMETERS), ("", code), ("", LAST.format(key=KEY))]
    text = "".join(CELL.format(tags=tags, code=code) for tags, code in cells)
    (root / "book" / f"{KEY}.md").write_text(FRONT + f"# Chapter {KEY}\n\n" + text)
    (root / "book" / "index.md").write_text("# Toy book\n\nPages 0.\n")
    (root / "_config.yml").write_text(
        'title: Toy\nauthor: Nobody\nonly_build_toc_files: true\nexclude_patterns: [".*", "**/.*", _build]\n'
        "execute: {execute_notebooks: force}\n"
    )
    (root / "_toc.yml").write_text(f"format: jb-book\nroot: book/index\nchapters:\n  - file: book/{KEY}\n")
    shutil.copy(Path(__file__).resolve().parents[3] / "CITATION.cff", root)
    return root


def figure(numbers: tuple[float, ...] = (0.0, 1.0, 4.0)) -> dict[str, object]:
    """The MIME bundle of a figure as a chapter shows it."""
    data = pd.DataFrame({"x": range(len(numbers)), "y": numbers})
    fig, axes = style.new(height=1.5, width=3)
    axes[0, 0].plot(data.x, data.y)
    session = Session(KEY, "quick", {"beta": 0, "wait": 0.0})
    content = bundle(fig, id=FIGURE, caption="How?", alt="A line.", data=data, session=session)
    png = content["files"].pop("png")
    return {MIME: content, "image/png": png, "text/plain": FIGURE}


def write_run(folder: Path, generation: int, shown: dict[str, object], profile: str = "quick") -> Path:
    """An accepted run as a command would have left it, made by hand; returns its folder."""
    import nbformat

    v4 = nbformat.v4
    outputs = [
        v4.new_output("stream", name="stdout", text=f"beta {generation}\n"),
        v4.new_output("display_data", data=shown, metadata={"elbo_figure": FIGURE}),
    ]
    notebook = v4.new_notebook(cells=[v4.new_code_cell("1", outputs=outputs, execution_count=1, id="cell-000")])
    folder.mkdir(parents=True, exist_ok=True)
    text = nbformat.writes(notebook) + "\n"
    (folder / f"{KEY}.ipynb").write_text(text)
    parameters = {"beta": generation, "wait": 0.0}
    about = {"chapter": KEY, "profile": profile, "parameters": parameters, "notebook_sha256": digest(text.encode())}
    (folder / "run.json").write_text(json.dumps({**about, "finished": "2026-01-01T00:00:00+00:00", "inputs": {}}))
    return folder


def run_of(folder: Path) -> int | None:
    """The generation of a run that is whole in itself, ``None`` where there is none.

    Raises:
        ValueError: it is half of one and half of another, or cut off.
    """
    if not folder.exists():
        return None
    record = json.loads((folder / "run.json").read_text())
    content = (folder / f"{KEY}.ipynb").read_bytes()
    if digest(content) != record["notebook_sha256"]:
        raise ValueError("the notebook is not the one of run.json")
    notebook = json.loads(content)
    printed = re.search(r"beta (\d+)", json.dumps(notebook))
    if not printed or int(printed[1]) != record["parameters"]["beta"]:
        raise ValueError(f"run.json says {record['parameters']}, the notebook {printed and printed[0]}")
    if [found["id"] for found in figures_in(notebook)] != [FIGURE]:
        raise ValueError("the figure of the run is missing")
    return int(printed[1])


def site_of(html: Path) -> tuple[int, int, frozenset[str]] | None:
    """Generation of the pages, generation of the run that they show, and the names of the
    files; ``None`` without pages.

    Raises:
        ValueError: a page is missing or says neither.
    """
    if not html.exists():
        return None
    index = re.search(r"Pages (\d+)\.", (html / "book" / "index.html").read_text())
    shown = re.search(r"beta (\d+)", (html / "book" / f"{KEY}.html").read_text())
    if not index or not shown:
        raise ValueError("a page lost its text")
    names = {path.relative_to(html).as_posix() for path in html.rglob("*") if path.is_file()}
    names = {name for name in names if "_images" not in name}
    return int(index[1]), int(shown[1]), frozenset(names)


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
