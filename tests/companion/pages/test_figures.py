"""From an executed notebook to a page: figures with their files, mathematics without a script, nothing unescaped."""

import hashlib
import json
import re
import zipfile

import numpy as np
import pytest
from bs4 import BeautifulSoup
from PIL import Image
from pybtex.database import parse_string

from checkout import ROOT
from elbo.companion.pages.katex import render
from elbo.companion.pages.meta import json_ld, scholar, script
from elbo.companion.record.citation import LICENSE, Author, Book
from toysite import CAPTION, MACROS, book, output

EQUATION = (
    "# {}\n\n$$\n\\E_q[\\log p] \\le \\KL{{q}}{{p}}\n$$ (eq-{})\n\nSee {{numref}}`toy-2013-line` and {{eq}}`eq-one`.\n"
)
GALLERY = "\n```{elbo-gallery} toy-2013\n```\n"
SOURCE = '# Toy\n\n```{code-cell} ipython3\ncompanion.figure(\n    draw(table),\n    id="toy-2013-line",\n)\n```\n'
RUN = {"finished": "2027-01-02T03:04:05+00:00", "seconds": 75.2, "seeds": {"seed": 3}, "notebook_sha256": "0" * 64}


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A page with a figure, beside it what `elbo build` lays there of its run, and a page with a gallery."""
    folder = tmp_path_factory.mktemp("book")
    run = folder / "runs" / "toy-2013"
    run.mkdir(parents=True)
    (run / "run.json").write_text(json.dumps(RUN))
    (run / "toy-2013.md").write_text(SOURCE)
    (run / "toy-2013.ipynb").write_text("{}")
    pages = {
        "toy-2013": (EQUATION.format("One <i>&", "one"), output("toy-2013-line"), output("toy-2013-other")),
        "two": (EQUATION.format("Two", "two") + GALLERY,),
    }
    done = book(folder, pages)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "_build" / "html"


@pytest.fixture(scope="module")
def page(built):
    return BeautifulSoup((built / "book" / "toy-2013.html").read_text(), "html.parser")


def test_files_stand_at_their_permanent_address(built):
    names = {path.name for path in (built / "figures").iterdir() if path.is_file()}
    ids, formats = ("toy-2013-line", "toy-2013-other"), ("svg", "pdf", "png", "csv", "json", "bib", "ris")
    assert names == {f"{id}.{format}" for id in ids for format in formats} | {
        "figures.bib",
        "figures.ris",
        "figures.json",
        "toy-2013.zip",
    }
    assert json.loads((built / "figures" / "toy-2013-line.json").read_text())["parameters"] == {"beta": 1.0}
    assert (built / "figures" / "toy-2013-line.pdf").read_bytes().startswith(b"%PDF")
    assert (built / "notebooks" / "toy-2013.md").read_text() == SOURCE
    assert (built / "notebooks" / "toy-2013.ipynb").read_text() == "{}"  # the accepted run, as it is
    entries = parse_string((built / "figures" / "figures.bib").read_text(), "bibtex").entries
    assert list(entries) == list(ids) and {entry.fields["date"] for entry in entries.values()} == {"2027-01-02"}


def test_the_page_shows_the_figure_under_its_id(built):
    html = (built / "book" / "toy-2013.html").read_text()
    assert '<figure class="elbo-figure align-default" id="toy-2013-line">' in html
    page = BeautifulSoup(html, "html.parser")
    light, dark = page.select("#toy-2013-line .elbo-figure-image img")
    assert light["src"] == "../figures/screen/toy-2013-line.svg" and light["loading"] == dark["loading"] == "lazy"
    assert (light["width"], light["height"]) == (dark["width"], dark["height"]) and int(light["width"]) > 100
    assert dark["alt"] == light["alt"] and (built / "book" / dark["src"]).resolve().is_file()
    assert 'href="toy-2013.html#toy-2013-line"' in (built / "book" / "two.html").read_text()


def test_under_a_figure_stands_all_that_is_needed_to_cite_it(built, page):
    figure = page.select_one("figure#toy-2013-line .elbo-figure-legend")
    line = figure.select(".elbo-figure-files a")
    assert [a.get_text() for a in line] == ["toy-2013-line", "SVG", "PDF", "PNG", "CSV", "notebook"]
    assert line[0]["href"] == "#toy-2013-line"
    for a in [*line[1:], *figure.select(".elbo-cite a")]:
        assert a.has_attr("download") and (built / "book" / a["href"]).resolve().is_file(), a
    assert all(a["aria-label"].startswith(a.get_text()) and "toy-2013-line" in a["aria-label"] for a in line)
    assert [details.summary.get_text() for details in figure.select("details")] == [
        "cite toy-2013-line",
        "run toy-2013-line",
    ]
    assert not figure.select("details[open]")
    cited = {block["data-copy"]: block.pre.get_text() for block in figure.select(".elbo-cite .elbo-copy")}
    assert list(cited) == ["Text", "BibTeX", "RIS"]
    assert "(2027). Figure toy-2013-line: How does" in cited["Text"]
    assert cited["BibTeX"] + "\n" == (built / "figures" / "toy-2013-line.bib").read_text()
    assert cited["RIS"] + "\n" == (built / "figures" / "toy-2013-line.ris").read_text()


def test_under_a_figure_stands_which_run_made_it(built, page):
    run = page.select_one("figure#toy-2013-line .elbo-run")
    commands = [pre.get_text() for pre in run.select("pre")]
    assert commands == ["elbo run toy-2013 --profile quick -p beta 1.0", "elbo reproduce toy-2013-line"]
    said = {term.get_text(): term.find_next_sibling("dd") for term in run.select("dt")}
    assert said["parameters"].get_text() == "beta = 1.0" and said["chapter"].a["href"] == "../notebooks/toy-2013.md"
    assert (
        said["date"].get_text() == "2027-01-02 03:04 UTC"
        and said["duration"].get_text() == "75 s for the whole chapter"
    )
    assert said["source"].get_text() == "book/toy-2013.md, lines 3 to 8" and not said["source"].a
    assert not said["commit"].a  # no repository is configured
    assert "torch " in said["versions"].get_text() and said["record"].a["href"] == "../figures/toy-2013-line.json"
    table = hashlib.sha256((built / "figures" / "toy-2013-line.csv").read_bytes()).hexdigest()
    assert said["table"].code["title"] == f"sha256 {table}"


def test_text_of_captions_stays_text(built):
    for path in sorted((built / "book").glob("*.html")):
        html = path.read_text()
        assert "<script>alert(1)" not in html and "</script>." not in html
    html = (built / "book" / "toy-2013.html").read_text()
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html
    assert 'alt="A &quot;parabola&quot; &lt;b&gt;"' in html


def test_no_event_handler_stands_in_the_page(page):
    handlers = [name for element in page.select("article *") for name in element.attrs if name.startswith("on")]
    assert not handlers


def linked(html: BeautifulSoup) -> dict:
    (element,) = html.select('script[type="application/ld+json"]')
    return json.loads(element.string)


def test_a_page_describes_itself_and_its_figures_to_machines(built, page):
    about = linked(page)
    assert (
        about["@type"] == "ScholarlyArticle"
        and about["name"] == "One <i>& (in Carving the ELBO)"
        and about["license"] == LICENSE
    )
    assert about["datePublished"] == RUN["finished"] and "url" not in about and "@id" not in about
    image, other = about["hasPart"]
    assert (image["@id"], other["@id"]) == ("#toy-2013-line", "#toy-2013-other")
    assert image["@type"] == "ImageObject" and image["caption"] == CAPTION and image["license"] == LICENSE
    addresses = [image["contentUrl"], image["isBasedOn"][0]["distribution"]["contentUrl"]]
    for address in [*addresses, *(part["contentUrl"] for part in image["encoding"])]:
        assert (built / "book" / address).resolve().is_file(), address
    about = linked(BeautifulSoup((built / "book" / "two.html").read_text(), "html.parser"))
    assert about["@type"] == "CreativeWork" and "hasPart" not in about and "datePublished" not in about


def test_scholar_is_told_what_is_known_and_no_more(built, page):
    tags = {meta["name"]: meta["content"] for meta in page.select('meta[name^="citation_"]')}
    author = str(Book.read(ROOT).authors[0])
    assert tags.pop("citation_inbook_title").startswith("Carving the ELBO")
    assert tags == {"citation_title": "One <i>& (in Carving the ELBO)", "citation_author": author,
                    "citation_publication_date": "2027/01/02", "citation_language": "en"}  # fmt: skip
    assert "citation_" not in (built / "book" / "two.html").read_text()


def test_addresses_are_absolute_where_the_book_is_published():
    book = Book(
        "Carving: it",
        (Author(family="Welling", given="Max"),),
        "0.1.0",
        "2026-01-02",
        "https://example.org/elbo/",
        "https://example.org/code",
    )
    record = {"id": "toy-2013-line", "chapter": "toy-2013", "environment": {"commit": "0" * 40}}
    figures = {"toy-2013-line": {"docname": "book/toy-2013", "caption": "Why? So.", "alt": "A line.", "record": record}}
    about = json_ld("book/toy-2013", "Toy", figures, {}, book)
    assert (
        about["url"] == about["@id"] == "https://example.org/elbo/book/toy-2013.html" and "datePublished" not in about
    )
    (image,) = about["hasPart"]
    assert (
        image["@id"] == about["url"] + "#toy-2013-line"
        and image["contentUrl"] == "https://example.org/elbo/figures/toy-2013-line.svg"
    )
    code = {"@type": "SoftwareSourceCode", "codeRepository": "https://example.org/code", "version": "0" * 40}
    assert image["isBasedOn"][1] == code and image["name"] == "Figure toy-2013-line: Why?"
    assert image["creator"] == [{"@type": "Person", "name": "Max Welling", "givenName": "Max", "familyName": "Welling"}]
    assert scholar("book/toy-2013", "Toy", {}, book)["citation_fulltext_html_url"] == [about["url"]]
    assert scholar("book/index", "Carving", {}, book)["citation_title"] == ["Carving: it"]


def test_no_text_ends_the_element_that_holds_json_ld():
    text = "</script><script>alert(1)</script><!-- & \u2028"
    said = script({"name": text})
    assert said.count("<") == 2 and "\u2028" not in said
    assert json.loads(BeautifulSoup(said, "html.parser").script.string) == {"name": text}


def test_the_gallery_offers_pictures_and_data_for_slides_alone_and_all_in_one(built):
    html, folder = BeautifulSoup((built / "book" / "two.html").read_text(), "html.parser"), built / "book"
    for card in html.select(".elbo-gallery > div"):
        links = {link.get_text(): folder / link["href"] for link in card.select(".elbo-gallery-files a")}
        assert list(links) == ["PNG", "PDF", "data"] and all(path.is_file() for path in links.values())
    (whole,) = html.select('a[href$="toy-2013.zip"]')
    with zipfile.ZipFile(folder / whole["href"]) as archive:
        assert archive.testzip() is None
        names = archive.namelist()
        for name in names:
            assert archive.read(name) == (built / "figures" / name.partition("/")[2]).read_bytes()
    assert len(names) == 3 * len(html.select(".elbo-gallery > div"))


def test_the_gallery_shows_every_figure_of_the_chapter(built):
    html = BeautifulSoup((built / "book" / "two.html").read_text(), "html.parser")
    cards = html.select(".elbo-gallery > div")
    assert [card.select_one("code").get_text() for card in cards] == ["toy-2013-line", "toy-2013-other"]
    for card, id in zip(cards, ("toy-2013-line", "toy-2013-other"), strict=True):
        assert {a["href"] for a in card.select("a:not([download])")} == {f"toy-2013.html#{id}"}
        assert card.img["alt"] == 'A "parabola" <b>' and card.select_one("p .katex") and "alert" not in card.get_text()
        with Image.open((built / "book" / card.img["src"]).resolve()) as image:
            assert image.width <= 640 and image.getextrema() != ((255, 255),) * 3


def test_the_crate_of_the_site_names_files_that_exist(built):
    graph = json.loads((built / "ro-crate-metadata.json").read_text())["@graph"]
    files = {entity["@id"]: entity for entity in graph if "File" in np.atleast_1d(entity["@type"])}
    assert {"book/toy-2013.html", "book/two.html", "notebooks/toy-2013.md", "figures/toy-2013-line.csv"} <= set(files)
    for name, file in files.items():
        assert hashlib.sha256((built / name).read_bytes()).hexdigest() == file["sha256"], name
    (run,) = [entity for entity in graph if entity["@type"] == "CreateAction"]
    assert run["endTime"] == RUN["finished"] and run["instrument"] == {"@id": "notebooks/toy-2013.md"}


def test_mathematics_needs_no_script(built):
    html = (built / "book" / "toy-2013.html").read_text()
    assert not re.findall(r"<(?:script|link)[^>]*(?:src|href)=.https?:[^>]*>", html)
    assert html.count('class="katex-display"') == 1 and "<mi>x</mi>" in html
    assert (built / "_static" / "katex" / "fonts" / "KaTeX_Main-Regular.woff2").exists()


def test_an_id_on_two_pages_fails_the_build(tmp_path):
    gallery = "\n```{elbo-gallery} other-2014\n```\n"
    pages = {
        "one": ("# One", output("toy-2013-line")),
        "two": ("# Two\n\n$\\nosuchmacro$\n" + gallery, output("toy-2013-line")),
    }
    done = book(tmp_path, pages)
    assert done.returncode != 0
    assert "figure toy-2013-line is published twice: in book/one and in book/two" in done.stderr
    assert "Undefined control sequence: \\nosuchmacro" in done.stderr
    assert "no figure of other-2014 was published, so its gallery is empty" in done.stderr
    assert "the figures of toy-2013 are in no gallery; add `{elbo-gallery} toy-2013` to book/two" in done.stderr


def test_formulas_that_katex_refuses_name_the_reason():
    with pytest.raises(ValueError, match="Undefined control sequence"):
        render(r"\nosuchmacro", False)
    with pytest.raises(ValueError, match="Unexpected end of input"):
        render(r"\frac{1}{", True)


@pytest.mark.parametrize("name", MACROS)
def test_every_macro_of_the_book_is_set(name):
    arguments = "{q}{p}" if "#2" in MACROS[name] else ""
    assert "katex-html" in render(name + arguments, True, json.dumps(MACROS))
