"""A book of one chapter with the real configuration, theme and extensions: a figure, an equation, a
table, folded code, a citation.
"""

from __future__ import annotations

import os
import shutil
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

__all__ = ["build", "write"]

TEXT = r"""# A toy chapter

After {cite:t}`toy-2013`, with $\E_q[\log p] \le \log p(x)$:

$$
\ELBO(q) = \E_q[\log p(x, z)] - \E_q[\log q(z)] = \log p(x) - \KL{q}{p}
\le \log p(x) \quad\text{for every } q \text{ whatsoever, with a long line}
$$ (eq-toy-2013-bound)

## Results

See {eq}`eq-toy-2013-bound` and {numref}`toy-2013-line`, [the index](index.md), and a site: <https://example.org>.
"""
TABLE = pd.DataFrame({f"a rather long name {i}": [1.0, 2.0] for i in range(9)}, index=["one", "two"])
REFERENCES = """@misc{toy-2013,
  author = {Toy, Tom}, title = {A toy}, year = {2013}
}
"""


def build(root: Path) -> Path:
    """Build the book below ``root``; returns the directory of its pages.

    Raises:
        RuntimeError: jupyter-book found an error or a warning; the message is its output.
    """
    write(root)
    command = [Path(sys.prefix) / "bin" / "jupyter-book", "build", root, "-n", "-W", "--keep-going", "--all"]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"NO_COLOR": "1"})
    if done.returncode:
        raise RuntimeError(f"the small book was not built:\n{done.stdout}\n{done.stderr}")
    return root / "_build" / "html"


def write(root: Path) -> None:
    """Write the source of the book to ``root``: its chapter is a notebook that has run."""
    book = root / "book"
    shutil.copytree(ROOT / "book" / "_static", book / "_static")
    shutil.copy(ROOT / "CITATION.cff", root)
    config = yaml.safe_load((ROOT / "_config.yml").read_text())
    config["execute"]["execute_notebooks"] = "off"
    (root / "_config.yml").write_text(yaml.safe_dump(config))
    chapters = [{"file": "book/toy-2013.ipynb"}, {"file": "book/references.md"}]
    (root / "_toc.yml").write_text(yaml.safe_dump({"format": "jb-book", "root": "book/index.md", "chapters": chapters}))
    (book / "index.md").write_text("# A small book\n\nAn inequality, $\\KL{q}{p} \\ge 0$.\n\n```{note}\nA note.\n```\n")
    (book / "references.md").write_text("# References\n\n```{bibliography}\n```\n")
    (book / "references.bib").write_text(REFERENCES)
    _chapter(book / "toy-2013.ipynb")


def _chapter(path: Path) -> None:
    v4 = nbformat.v4
    table = v4.new_output(
        "execute_result", data={"text/html": TABLE.to_html(), "text/plain": str(TABLE)}, execution_count=1
    )
    cells = [
        v4.new_markdown_cell(TEXT),
        v4.new_code_cell("table = 1  # folded", execution_count=1, outputs=[table], metadata={"tags": ["hide-input"]}),
        v4.new_code_cell(
            "print('a very long line' * 20)",
            execution_count=2,
            outputs=[v4.new_output("stream", name="stdout", text="a very long line" * 20 + "\n")],
        ),
        v4.new_code_cell("figure()", execution_count=3, outputs=[_figure()], metadata={"tags": ["hide-input"]}),
    ]
    about = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    nbformat.write(v4.new_notebook(cells=cells, metadata=about), path)


def _figure() -> nbformat.NotebookNode:
    data = pd.DataFrame({"x": np.arange(4.0), "y": np.arange(4.0) ** 2})
    fig, axes = style.new(height=2)
    axes[0, 0].plot(data.x, data.y, color=style.COLOUR["q"])
    style.panel(axes[0, 0], "A parabola", "x", "y (nats)")
    session = Session("toy-2013", "quick", {"beta": 1.0})
    text = {"caption": "How does $x^2$ grow? As `x**2`.", "alt": "A parabola that rises to the right."}
    content = bundle(fig, id="toy-2013-line", data=data, session=session, **text)
    mime = {MIME: content, "image/png": content["files"].pop("png"), "text/plain": "toy-2013-line"}
    return nbformat.v4.new_output("display_data", data=mime, metadata={"elbo_figure": "toy-2013-line"})


if __name__ == "__main__":
    print(build(Path(sys.argv[1])))
