"""Editions of a small book from one source: EPUB, PDF, a directory a page; Sphinx as the second way."""

from __future__ import annotations

import re
import shutil
import subprocess
import zipfile
from pathlib import Path
from types import SimpleNamespace
from xml.etree import ElementTree

import pytest
import yaml

from checkout import ROOT
from elbo.companion.pages import editions, epub, pdf
from elbo.companion.pages.configuration import EXTENSIONS, sphinx_values
from elbo.companion.pages.medium import page_file, to_root
from elbo.companion.pages.tables import tables_of
from elbo.companion.project.errors import BUILD, USAGE, CompanionError
from elbo.companion.project.paths import Project
from elbo.companion.run.progress import Display
from small_book import write

ID = "toy-2013-line"
EPUBCHECK = next(filter(Path.is_file, map(Path, ("/usr/bin/epubcheck", "/usr/share/java/epubcheck.jar"))), None)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """``made(edition)``: the directory of an edition of the small book, made once."""
    root = tmp_path_factory.mktemp("editions")
    write(root / "source")
    done: dict[str, Path] = {}

    def go(edition: str) -> Path:
        if edition not in done:
            folder = root / edition
            folder.mkdir()
            with Display() as display:
                done[edition] = editions.make(
                    edition, "sphinx", Project(root / "source"), root / "source", folder, display
                )
        return done[edition]

    return go


@pytest.fixture(scope="module")
def book(made) -> dict[str, bytes]:
    """The files of the EPUB, in their order."""
    with zipfile.ZipFile(editions.result(made("epub"))) as archive:
        assert archive.testzip() is None
        first = archive.infolist()[0]
        assert (first.filename, first.compress_type) == ("mimetype", zipfile.ZIP_STORED)
        return {name: archive.read(name) for name in archive.namelist()}


def pages(book: dict[str, bytes]) -> dict[str, ElementTree.Element]:
    return {name: ElementTree.fromstring(text) for name, text in book.items() if name.endswith(".xhtml")}


def test_epub_is_sound(book):
    """Manifest and archive agree, every page is well-formed, no id occurs twice in one, every link leads somewhere."""
    assert book["mimetype"] == b"application/epub+zip"
    package = ElementTree.fromstring(book["content.opf"])
    items = {item.get("href"): item for item in package.iter("{http://www.idpf.org/2007/opf}item")}
    assert set(items) == set(book) - {"mimetype", "content.opf", "META-INF/container.xml"}
    ids = {name: [one.get("id") for one in page.iter() if one.get("id")] for name, page in pages(book).items()}
    for name, found in ids.items():
        assert len(found) == len(set(found)), name
    for name, page in pages(book).items():
        for one in page.iter():
            for address in filter(None, (one.get("href"), one.get("src"))):
                if re.match(r"[a-z]+:", address):
                    continue
                path, _, anchor = address.partition("#")
                target = str((Path("/") / name).parent.joinpath(path).resolve())[1:] if path else name
                assert target in book, (name, address)
                assert not anchor or anchor in ids[target], (name, address)
        assert ("mathml" in (items[name].get("properties") or "")) == (b"<math" in book[name]), name
        assert b"<script" not in book[name] and b"onclick" not in book[name]


def test_epub_holds_figure_citation_and_formulas(book):
    page = book["book/toy-2013.xhtml"].decode()
    assert f'id="{ID}"' in page and "A parabola that rises to the right." in page
    said = " ".join("".join(pages(book)["book/toy-2013.xhtml"].itertext()).split())
    assert f"_images/{ID}.svg" in page and f"elbo reproduce {ID}" in said and "Cite: " in said
    assert "<math" in page and "katex-html" not in page
    assert "table = 1  # folded" not in page and "a rather long name 8" in page  # the code is folded, its table is not
    drawing = book[f"_images/{ID}.svg"].decode()
    ElementTree.fromstring(drawing)
    assert "<!DOCTYPE" not in drawing and "csv_sha256" in drawing  # the record travels in the figure


def test_equal_books_have_equal_bytes(made, tmp_path):
    """Packed again, the same file; packed from other times, the same file."""
    given = editions.result(made("epub"))
    (tmp_path / "in").mkdir()
    (tmp_path / "out").mkdir()
    with zipfile.ZipFile(given) as old, zipfile.ZipFile(tmp_path / "in" / given.name, "w") as new:
        for name in reversed(old.namelist()):
            new.writestr(zipfile.ZipInfo(name, (2001, 2, 3, 4, 5, 6)), old.read(name))
    assert epub.packed(tmp_path / "in", tmp_path / "out").read_bytes() == given.read_bytes()


@pytest.mark.skipif(
    not (EPUBCHECK and shutil.which("java")), reason="epubcheck is not here (apt-get install epubcheck)"
)
def test_epubcheck_finds_nothing(made):
    command = ["java", "-jar", str(EPUBCHECK), str(editions.result(made("epub")))]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0 and "No errors or warnings" in done.stdout, done.stdout + done.stderr


@pytest.mark.skipif(not shutil.which("xelatex"), reason=f"there is no XeLaTeX here (apt-get install {pdf.PACKAGES})")
def test_pdf_holds_text_figure_and_record(made):
    from pypdf import PdfReader

    reader = PdfReader(editions.result(made("pdf")))
    text = "\n".join(page.extract_text() for page in reader.pages)
    assert f"elbo reproduce {ID}" in text and "Cite:" in text and "About this book" in text
    assert "a rather long name 8" in " ".join(text.split())
    assert b'"csv_sha256"' in reader.attachments[f"{ID}.json"][0] and f"{ID}.csv" in reader.attachments
    assert not any("/XObject" in one and one.get("/Subtype") == "/Image" for one in reader.pages[0].values())
    assert not any(image for page in reader.pages for image in page.images)  # vectors, no pixels


def test_a_directory_a_page_finds_its_files(made):
    site, page = made("dirhtml"), "book/toy-2013/index.html"
    html = (site / page).read_text()
    assert f'src="../../figures/screen/{ID}.svg"' in html and (site / "figures" / f"{ID}.svg").is_file()
    assert f'"{page}"' in (site / "ro-crate-metadata.json").read_text()


@pytest.mark.parametrize(
    ("builder", "docname", "file", "root"),
    [
        ("html", "book/a", "book/a.html", "../"),
        ("html", "index", "index.html", ""),
        ("dirhtml", "book/a", "book/a/index.html", "../../"),
        ("dirhtml", "book/index", "book/index.html", "../"),
        ("dirhtml", "index", "index.html", ""),
        ("singlehtml", "book/a", "book/index.html", "../"),
    ],
)
def test_where_a_page_lies(builder, docname, file, root):
    this = SimpleNamespace(name=builder, format="html", config=SimpleNamespace(root_doc="book/index"))
    assert (page_file(this, docname), to_root(this, docname)) == (file, root)


def test_without_tex_one_sentence_says_what_to_install(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(CompanionError, match="apt-get install latexmk texlive-xetex") as refused:
        editions.chosen("html,pdf")
    assert refused.value.code == BUILD
    assert editions.chosen("epub, html,epub") == ("epub", "html")


@pytest.mark.parametrize(("text", "way"), [("docx", "sphinx"), (",", "sphinx"), ("html", "mystmd")])
def test_unknown_editions_and_ways(text, way):
    with pytest.raises(CompanionError) as refused:
        editions.chosen(text, way)
    assert refused.value.code == USAGE


def test_configuration_is_jupyter_books():
    """For every key that this book sets, jupyter-book and our own reading of ``_config.yml`` agree."""
    from jupyter_book.config import get_final_config

    path = ROOT / "_config.yml"
    theirs, _ = get_final_config(user_yaml=path, cli_config={"latex_individualpages": False})
    ours = sphinx_values(yaml.safe_load(path.read_text(encoding="utf-8")))
    theme = ours.pop("html_theme_options")
    known = {"launch_buttons": {"thebe": False, "notebook_interface": "jupyterlab"}}
    for name, value in {**theme, **known}.items():
        held = theirs["html_theme_options"][name]
        assert held == value if not isinstance(value, dict) else held.items() >= value.items(), name
    left_out = {"jupyter_book", "sphinx_thebe", "sphinx_comments", "sphinx.ext.intersphinx", "sphinx_jupyterbook_latex"}
    assert set(theirs["extensions"]) - set(ours.pop("extensions")) == left_out
    assert set(EXTENSIONS) <= set(theirs["extensions"])
    for name, value in ours.items():
        held = theirs.get(name)
        if name in ("external_toc_path", "external_toc_exclude_missing"):  # jupyter-book's command line sets these
            continue
        assert (set(held) >= set(value)) if name == "exclude_patterns" else held == value, name


def test_a_key_that_only_jupyter_book_knows_is_refused():
    with pytest.raises(CompanionError, match="repository, html.google_analytics_id"):
        sphinx_values({"title": "T", "repository": {"url": "x"}, "html": {"google_analytics_id": "1"}})


def test_tables_written_as_html_become_tables():
    html = (
        "<details><summary>Parameters</summary><table><thead><tr><th>a</th><th></th></tr></thead>"
        "<tbody><tr><th>1 &lt; 2</th><td>x</td></tr><tr><td>only</td></tr></tbody></table></details>"
    )
    line, table = tables_of(html)
    assert line.astext() == "Parameters"
    rows = [[cell.astext() for cell in row.children] for row in table.findall(lambda node: node.tagname == "row")]
    assert rows == [["a", ""], ["1 < 2", "x"], ["only", ""]]


def test_complaints_of_tex():
    log = (
        "Missing character: There is no ≪ (U+226A) in font FreeSerif/OT:script=latn;language=dflt;!\n"
        "LaTeX Warning: Hyper reference `book/x:y' on page 3 undefined on input line 5.\n"
        "Overfull \\hbox (3.2pt too wide) in paragraph at lines 1--2\n"
        "Overfull \\hbox (40.5pt too wide) in paragraph at lines 3--4\n"
    )
    found = pdf.complaints(log)
    assert len(found) == 2 and "≪" in found[0] and "book/x:y" in found[1]
    assert pdf.too_wide(log) == ["40.5 pt too wide in paragraph at lines 3--4"]
