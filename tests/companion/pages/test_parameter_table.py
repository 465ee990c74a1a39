"""Where the table of parameters stands in a page."""

from types import SimpleNamespace

import nbformat
import pytest

from elbo.companion.pages.parameters import show_parameters

CHAPTER = SimpleNamespace(parameters={"beta": SimpleNamespace(default=1, help="a <weight>")})


def page(*cells):
    notebook = nbformat.v4.new_notebook()
    code = nbformat.v4.new_code_cell("beta: int = 1", metadata={"tags": ["parameters"]})
    notebook.cells = [code, *(nbformat.v4.new_markdown_cell(text) for text in cells)]
    show_parameters(notebook, CHAPTER, {"beta": 4}, "quick")
    return notebook.cells


def test_it_stands_below_the_heading_of_the_last_section():
    cells = page("# One", "text\n\n## Run it yourself\n\nCommands.")
    assert len(cells) == 3 and "remove-cell" in cells[0].metadata["tags"]
    before, _, after = cells[2].source.partition("## Run it yourself\n\n<details")
    assert before == "text\n\n" and after.endswith("</details>\n\n\nCommands.")
    assert "a &lt;weight&gt;" in after and "<strong><code>4</code></strong>" in after


@pytest.mark.parametrize("text", ["# One", "A sentence on ## Run it yourself\n"])
def test_without_that_heading_it_stands_first(text):
    cells = page(text)
    assert cells[0].source.startswith("<details") and cells[2].source == text
