"""Live figures outside the browser: every builder gets the static figure, gallery, files, list and
citations name the first state.
"""

from __future__ import annotations

import csv
import io
import json
import re
import zipfile

import pytest
import yaml
from sphinx.application import Sphinx
from sphinx.util.docutils import docutils_namespace, patch_docutils

from checkout import ROOT
from elbo import live
from elbo.companion.record import citation
from elbo.companion.record.book import Book
from elbo.live import citing, decoder, gallery

ID = "elbo-four-cuts"
STATE = "mean:1,sd:0.4,cut:0"
TEXT = f"""# A page

See {{numref}}`{ID}`; with {{live}}`a wider code <{ID}: sd=0.8>` it changes.

```{{live}} {ID}
```

Lost: {{live-decoder}}`loss_in_nats .4f` nats of {{live-decoder}}`test_bound_float .2f`.
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """``built(builder)``: the folder that a builder of Sphinx makes of a book with one live
    figure; a warning is an error.
    """
    root = tmp_path_factory.mktemp("pages")
    source = root / "source"
    (source / "book").mkdir(parents=True)
    (source / "index.md").write_text("# A book\n\n```{toctree}\nbook/page\nbook/all\n```\n")
    (source / "book" / "page.md").write_text(TEXT)
    (source / "book" / "all.md").write_text("# All\n\n```{live-gallery}\n```\n")
    (source / "CITATION.cff").write_bytes((ROOT / "CITATION.cff").read_bytes())
    macros = yaml.safe_load((ROOT / "_config.yml").read_text())["sphinx"]["config"]["katex_macros"]
    settings = {
        "extensions": ["myst_parser", "sphinx.ext.mathjax", "elbo.companion.pages.gallery", "elbo.live.gallery"],
        "mathjax3_config": {"tex": {"macros": macros}},
        "myst_enable_extensions": ["dollarmath"],
        "root_doc": "index",
        "project": "A book",
        "version": "1",
        "copyright": "2026",
        "numfig": True,
        "html_baseurl": "https://example.org/",
        "suppress_warnings": ["epub.unknown_project_files", "epub.duplicated_toc_entry"],
        "epub_show_urls": "no",
        "epub_exclude_files": [".nojekyll"],
    }

    def build(builder):
        said = io.StringIO()
        with patch_docutils(), docutils_namespace():
            app = Sphinx(
                source, None, root / builder / "out", root / builder / "doctrees", builder, settings, None, said
            )
            app.build(force_all=True)
        assert said.getvalue() == ""
        return root / builder / "out"

    return build


def test_pages_have_the_script_over_the_static_figure_and_a_gallery_of_first_states(built):
    folder = built("html")
    page = (folder / "book" / "page.html").read_text(encoding="utf-8")
    assert "<elbo-live" in page and f"live/{ID}.js" in page and live.figure(ID).question in page
    assert f'href="?{ID}=mean:1,sd:0.8,cut:0#{ID}"' in page.replace("%3A", ":").replace("%2C", ",")
    shown = (folder / "book" / "all.html").read_text(encoding="utf-8")
    assert f'href="page.html#{ID}"' in shown and f"../live/thumbnails/{ID}.png" in shown
    files = {path.name for path in (folder / "live").iterdir()}
    assert {f"{ID}.{suffix}" for suffix in ("svg", "pdf", "png", "csv", "bib", "ris", "json")} | {"live.bib"} <= files
    rows = list(csv.DictReader((folder / "live" / f"{ID}.csv").read_text().splitlines()))
    expected = {**live.figure(ID).default, **live.figure(ID).terms(**live.figure(ID).default)}
    assert {row["name"]: float(row["value"]) for row in rows} == expected
    cited = json.loads((folder / "live" / f"{ID}.json").read_text())
    assert [one["URL"] for one in cited] == [f"https://example.org/book/page.html?{ID}={STATE}#{ID}"]


@pytest.mark.parametrize(
    "builder, name, figure, caption",
    [
        ("latex", "abook.tex", rf"\sphinxincludegraphics{{{{{ID}}}.pdf}}", r"\caption{What changes"),
        ("text", "book/page.txt", "Left, four narrow blue bells", "What changes when"),
    ],
)
def test_on_paper_stands_the_static_figure_with_its_caption(built, builder, name, figure, caption):
    folder = built(builder)
    text = " ".join((folder / name).read_text(encoding="utf-8").split())
    assert figure in text and caption in text and "a wider code" in text and "−1.862 nats" in text
    loss = json.loads(decoder.RECORD.read_text(encoding="utf-8"))
    assert f"Lost: {loss['loss_in_nats']:.4f} nats of {loss['test_bound_float']:.2f}.".replace("-", "−") in text
    assert "elbo-live" not in text and "data-spec" not in text
    assert text.count("What changes when the same bound is cut another way?") == 1
    assert builder != "latex" or (folder / f"{ID}.pdf").read_bytes().startswith(b"%PDF")


def test_an_ebook_has_the_static_figure_and_no_script(built):
    with zipfile.ZipFile(next(built("epub").glob("*.epub"))) as book:
        page = book.read("book/page.xhtml").decode()
        assert any(name.endswith(f"{ID}.svg") for name in book.namelist())
    assert f"{ID}.svg" in page and "What changes when" in page and "a wider code" in page
    assert "<elbo-live" not in page and f"live/{ID}.js" not in page


def test_the_list_names_where_each_stands():
    assert list(citing.places(ROOT / "book")) == list(live.IDS)
    assert citing.places(ROOT / "book")[ID] == "index"


@pytest.mark.parametrize("id", live.IDS)
def test_the_prose_sets_at_least_three_states_of_each_and_its_page_has_them(id):
    page = ROOT / "book" / f"{citing.places(ROOT / 'book')[id]}.md"
    states = re.findall(rf"\{{live\}}`[^`<]+<{id}:([^>]+)>`", page.read_text(encoding="utf-8"))
    assert len({" ".join(state.split()) for state in states}) >= 3


def test_a_citation_holds_the_address_of_the_state():
    book = Book.read(ROOT, "https://example.org")
    for format in citation.FORMATS:
        said = citation.cite(citing.record(ID, "index", sd=0.8), book, format)
        assert f"https://example.org/book/index.html?{ID}=mean:1,sd:0.8,cut:0#{ID}" in said
        assert live.figure(ID).question in said.replace("\\", "")


def test_the_numbers_of_the_first_state_are_in_full_precision():
    found = dict(csv.reader(io.StringIO(gallery.numbers("blei-2017-live-jensen"))))
    assert float(found["bound"]) == live.figure("blei-2017-live-jensen").terms(spread=1.2, skew=0.0, k=4)["bound"]
