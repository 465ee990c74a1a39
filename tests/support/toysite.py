"""Small books with real figures, made with the project's own configuration and built by jupyter-book."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
import yaml

from checkout import ROOT
from elbo.companion.kernel.publish import bundle
from elbo.companion.kernel.session import Session
from elbo.companion.record.handover import MIME
from elbo.figures import style

__all__ = ["CAPTION", "MACROS", "book", "notebook", "output"]

MACROS = yaml.safe_load((ROOT / "_config.yml").read_text())["sphinx"]["config"]["katex_macros"]
CAPTION = "How does $x^2$ grow? As `x**2` & <script>alert(1)</script>."


def output(id: str, alt: str = 'A "parabola" <b>') -> nbformat.NotebookNode:
    data = pd.DataFrame({"x": np.arange(4.0), "y": np.arange(4.0) ** 2})
    fig, axes = style.new(height=1.5, width=3)
    axes[0, 0].plot(data.x, data.y)
    content = bundle(
        fig, id=id, caption=CAPTION, alt=alt, data=data, session=Session("toy-2013", "quick", {"beta": 1.0})
    )
    png = content["files"].pop("png")
    mime = {MIME: content, "image/png": png, "text/plain": id}
    return nbformat.v4.new_output("display_data", data=mime, metadata={"elbo_figure": id})


def notebook(path: Path, text: str, *outputs: nbformat.NotebookNode) -> None:
    cells = [nbformat.v4.new_markdown_cell(text)]
    cells += [nbformat.v4.new_code_cell("1 + 1", execution_count=i + 1, outputs=[o]) for i, o in enumerate(outputs)]
    about = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=about), path)


def book(folder: Path, pages: dict[str, tuple], **html) -> subprocess.CompletedProcess:
    config = yaml.safe_load((ROOT / "_config.yml").read_text())
    config["html"] |= html
    config["execute"]["execute_notebooks"] = "off"
    config["bibtex_bibfiles"] = ["book/references.bib"]
    config["sphinx"]["config"] |= {"html_static_path": [], "html_css_files": [], "html_js_files": []}
    (folder / "book").mkdir()
    (folder / "CITATION.cff").write_text((ROOT / "CITATION.cff").read_text())
    (folder / "_config.yml").write_text(yaml.safe_dump(config))
    (folder / "book" / "references.bib").write_text("")
    names = list(pages)
    chapters = [{"file": f"book/{name}.ipynb"} for name in names[1:]]
    toc = {"format": "jb-book", "root": f"book/{names[0]}.ipynb", "chapters": chapters}
    (folder / "_toc.yml").write_text(yaml.safe_dump(toc))
    for name, (text, *outputs) in pages.items():
        notebook(folder / "book" / f"{name}.ipynb", text, *outputs)
    command = [Path(sys.prefix) / "bin" / "jupyter-book", "build", folder, "-n", "-W", "--keep-going", "--all"]
    return subprocess.run(command, capture_output=True, text=True, env=os.environ | {"NO_COLOR": "1"})
