"""From an executed notebook to a page: figures with their files, mathematics without a script, nothing unescaped."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
import pytest
import yaml

from elbo.companion.publish import MIME, bundle
from elbo.companion.session import Session
from elbo.companion.sphinx_katex import render
from elbo.figures import style

ROOT = Path(__file__).resolve().parents[1]
MACROS = yaml.safe_load((ROOT / "_config.yml").read_text())["sphinx"]["config"]["katex_macros"]
CAPTION = "How does $x^2$ grow? As `x**2` & <script>alert(1)</script>."


def output(id: str, alt: str = 'A "parabola" <b>') -> nbformat.NotebookNode:
    data = pd.DataFrame({"x": np.arange(4.0), "y": np.arange(4.0) ** 2})
    fig, axes = style.new(height=1.5, width=3)
    axes[0, 0].plot(data.x, data.y)
    content = bundle(fig, id=id, caption=CAPTION, alt=alt, data=data, session=Session("toy-2013", "quick", {"beta": 1.0}))
    png = content["files"].pop("png")
    mime = {MIME: content, "image/png": png, "text/plain": id}
    return nbformat.v4.new_output("display_data", data=mime, metadata={"elbo_figure": id})


def notebook(path: Path, text: str, *outputs: nbformat.NotebookNode) -> None:
    cells = [nbformat.v4.new_markdown_cell(text)]
    cells += [nbformat.v4.new_code_cell("1 + 1", execution_count=i + 1, outputs=[o]) for i, o in enumerate(outputs)]
    about = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=about), path)


def book(folder: Path, pages: dict[str, tuple]) -> subprocess.CompletedProcess:
    config = yaml.safe_load((ROOT / "_config.yml").read_text())
    config["execute"]["execute_notebooks"] = "off"
    config["bibtex_bibfiles"] = ["book/references.bib"]
    config["sphinx"]["config"] |= {"html_static_path": [], "html_css_files": []}
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


EQUATION = "# {}\n\n$$\n\\E_q[\\log p] \\le \\KL{{q}}{{p}}\n$$ (eq-{})\n\nSee {{numref}}`toy-2013-line` and {{eq}}`eq-one`.\n"


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    folder = tmp_path_factory.mktemp("book")
    pages = {"one": (EQUATION.format("One", "one"), output("toy-2013-line")), "two": (EQUATION.format("Two", "two"),)}
    done = book(folder, pages)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "_build" / "html"


def test_files_stand_at_their_permanent_address(built):
    names = {path.name for path in (built / "figures").iterdir()}
    assert names == {f"toy-2013-line.{format}" for format in ("svg", "pdf", "png", "csv", "json")}
    assert json.loads((built / "figures" / "toy-2013-line.json").read_text())["parameters"] == {"beta": 1.0}
    assert (built / "figures" / "toy-2013-line.pdf").read_bytes().startswith(b"%PDF")


def test_the_page_shows_the_figure_under_its_id(built):
    html = (built / "book" / "one.html").read_text()
    assert '<figure class="elbo-figure align-default" id="toy-2013-line">' in html
    assert 'src="../_images/toy-2013-line.svg"' in html
    assert 'href="../figures/toy-2013-line.csv"' in html
    assert 'href="one.html#toy-2013-line"' in (built / "book" / "two.html").read_text()


def test_text_of_captions_stays_text(built):
    html = (built / "book" / "one.html").read_text()
    assert "<script>alert(1)" not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html
    assert 'alt="A &quot;parabola&quot; &lt;b&gt;"' in html


def test_the_page_says_how_to_cite_and_what_ran(built):
    html = (built / "book" / "one.html").read_text()
    assert "@misc{toy-2013-line," in html
    assert "<pre>elbo run toy-2013 --profile quick -p beta 1.0</pre>" in html
    assert "beta = 1.0" in html and "torch " in html


def test_mathematics_needs_no_script(built):
    html = (built / "book" / "one.html").read_text()
    assert not re.findall(r"<(?:script|link)[^>]*(?:src|href)=.https?:[^>]*>", html)
    assert html.count("katex-display") == 1 and "<mi>x</mi>" in html
    assert (built / "_static" / "katex" / "fonts" / "KaTeX_Main-Regular.woff2").exists()


def test_an_id_on_two_pages_fails_the_build(tmp_path):
    pages = {"one": ("# One", output("toy-2013-line")), "two": ("# Two\n\n$\\nosuchmacro$", output("toy-2013-line"))}
    done = book(tmp_path, pages)
    assert done.returncode != 0
    assert "figure toy-2013-line is published twice: in book/one and in book/two" in done.stderr
    assert "Undefined control sequence: \\nosuchmacro" in done.stderr


def test_formulas_that_katex_refuses_name_the_reason():
    with pytest.raises(ValueError, match="Undefined control sequence"):
        render(r"\nosuchmacro", False)
    with pytest.raises(ValueError, match="Unexpected end of input"):
        render(r"\frac{1}{", True)


@pytest.mark.parametrize("name", MACROS)
def test_every_macro_of_the_book_is_set(name):
    arguments = "{q}{p}" if "#2" in MACROS[name] else ""
    assert "katex-html" in render(name + arguments, True, json.dumps(MACROS))
