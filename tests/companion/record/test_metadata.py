"""What is made from CITATION.cff, against that file read on its own; DOI and address wherever they belong."""

import json
import re

import pytest
import yaml

from checkout import ROOT
from elbo.companion.pages.meta import json_ld, scholar
from elbo.companion.record import metadata, styles, works
from elbo.companion.record.book import Author, Book
from elbo.companion.record.citation import FORMATS, cite

SAID = yaml.safe_load((ROOT / "CITATION.cff").read_text())
WORKS = works.read(ROOT / "book" / "references.bib")
CHAPTERS = ("blei-2017", "kingma-welling-2013", "hoffman-johnson-2016", "higgins-2017")
ELSEWHERE = {"hoffman-johnson-2016", "krapu-elbo-timeline", "minka-2004", "minka-2005", "blei-ng-jordan-2003"}
"""Works without a DOI or a place at arXiv or OpenReview that is known: they keep their publisher's address."""
DOI, ADDRESS, CODE = "10.5281/zenodo.1234567", "https://example.org/elbo", "https://example.org/code"
RECORD = {"id": "toy-2013-line", "chapter": "toy-2013", "caption": "How does $x_1$ grow? It does.",
          "environment": {"commit": "0" * 40, "dirty": False}}  # fmt: skip
PEOPLE = (Author(family="Kingma", given="Diederik P."), Author(family="Welling", given="Max"))
BOOK = Book("Carving: it", PEOPLE, "0.1.0", "2026-01-02", ADDRESS + "/", CODE, DOI)


@pytest.mark.parametrize("name", ["codemeta.json", ".zenodo.json"])
def test_the_committed_file_is_what_the_citation_file_makes(name):
    assert (ROOT / name).read_text() == metadata.files(ROOT)[name], "run elbo metadata"


def test_they_say_what_the_citation_file_says():
    code, zenodo = (json.loads(metadata.files(ROOT)[name]) for name in ("codemeta.json", ".zenodo.json"))
    assert (
        code["name"] == zenodo["title"] == SAID["title"] and code["keywords"] == zenodo["keywords"] == SAID["keywords"]
    )
    assert code["version"] == zenodo["version"] == str(SAID["version"])
    assert code["datePublished"] == zenodo["publication_date"] == str(SAID["date-released"])
    assert code["license"].endswith("/" + zenodo["license"]) and zenodo["license"] == SAID["license"]
    assert [work["name"] for work in code["referencePublication"]] == [work["title"] for work in SAID["references"]]
    assert len(zenodo["related_identifiers"]) == len(SAID["references"])
    assert not {"identifier", "url", "codeRepository"} & set(code)  # none is configured


def test_the_citation_file_lists_the_four_papers_at_the_addresses_of_the_bibliography():
    listed = {re.sub(r"\W", "", work["title"]).lower(): work for work in SAID["references"]}
    for key in CHAPTERS:
        work = listed[re.sub(r"\W", "", WORKS[key].title).lower()]
        assert WORKS[key].address in (work.get("url"), f"https://doi.org/{work.get('doi')}")
        assert [author["family-names"] for author in work["authors"]] == [a.family for a in WORKS[key].authors]


def test_every_work_has_an_address_that_is_meant_to_stay():
    elsewhere = {key for key, work in WORKS.items() if not work.address.startswith(works.PERMANENT)}
    assert elsewhere == ELSEWHERE and all(WORKS[key].address.startswith("http") for key in elsewhere)
    addresses = [work.address for work in WORKS.values()]
    assert len(set(addresses)) == len(addresses)


@pytest.mark.parametrize("key", CHAPTERS)
def test_a_chapter_begins_with_a_link_to_its_paper(key):
    start = (ROOT / "book" / f"{key}.md").read_text().partition("\n# ")[2].partition("```")[0]
    assert f"]({WORKS[key].address})" in start


@pytest.fixture
def configured(tmp_path):
    lines = f"doi: https://doi.org/{DOI}\nurl: {ADDRESS}\nrepository-code: {CODE}/\n"
    (tmp_path / "CITATION.cff").write_text((ROOT / "CITATION.cff").read_text() + lines)
    return tmp_path


def test_what_is_configured_in_one_place_stands_everywhere(configured):
    book = Book.read(configured)
    assert (book.doi, book.url, book.repository) == (DOI, ADDRESS, CODE)
    for format in FORMATS:
        said = cite(RECORD, book, format)
        assert DOI in said and f"{ADDRESS}/book/toy-2013.html#toy-2013-line" in said, format
    about = json_ld("book/toy-2013", "Toy", {}, {}, book)
    assert about["isPartOf"]["identifier"] == f"https://doi.org/{DOI}" and about["url"].startswith(ADDRESS)
    assert scholar("book/index", "Carving", {}, book)["citation_doi"] == [DOI]
    code, zenodo = (json.loads(metadata.files(configured)[name]) for name in ("codemeta.json", ".zenodo.json"))
    assert (code["identifier"], code["url"], code["codeRepository"]) == (f"https://doi.org/{DOI}", ADDRESS, CODE)
    assert {one["identifier"] for one in zenodo["related_identifiers"]} > {ADDRESS, CODE}


def test_a_chapter_names_its_paper_to_machines():
    (paper,) = json_ld("book/blei-2017", "Toy", {}, {}, BOOK, [WORKS["blei-2017"]])["citation"]
    assert paper["@id"] == WORKS["blei-2017"].address and paper["author"][0]["familyName"] == "Blei"


def test_persons_are_described_as_persons():
    said = SAID | {"authors": [{"family-names": "Doe", "given-names": "J.", "orcid": "https://orcid.org/0000-0001"}]}
    book = Book("T", (Author.read(said["authors"][0]),), "1", "2026-01-02")
    assert metadata.zenodo(said, book)["creators"] == [{"name": "Doe, J.", "orcid": "0000-0001"}]
    assert metadata.codemeta(said, book)["author"] == [
        {"@type": "Person", "@id": "https://orcid.org/0000-0001", "givenName": "J.", "familyName": "Doe"}
    ]


@pytest.mark.parametrize("style", styles.COMMON)
def test_a_style_names_authors_year_figure_book_and_doi(style):
    (said,) = styles.styled([(RECORD, "2027-11-23T06:06:06+00:00")], BOOK, style)
    for part in ("Kingma", "Welling", "2027", "toy-2013-line", "$x_1$", "Carving", DOI):
        assert part in said, (part, said)
    (said,) = styles.styled([(RECORD, "")], Book("Carving", PEOPLE, "0.1.0", "2026-01-02"), style)
    assert "2026" in said and "doi" not in said.lower()


def test_apa_and_chicago_differ_as_their_manuals_do():
    """Authors and date as the manuals print them: Chicago inverts the first author only."""
    apa, chicago = (styles.styled([(RECORD, "")], BOOK, name)[0] for name in ("apa", "chicago-author-date"))
    assert apa.startswith("Kingma, D. P., & Welling, M. (2026). Figure toy-2013-line: How does $x_1$ grow? [Figure].")
    assert chicago.startswith("Kingma, D. P., and M. Welling. 2026. “Figure toy-2013-line:")


def test_an_unknown_style_is_refused_and_one_beyond_the_processor_too():
    for style in ("no-such-style", "../apa", "review-of-international-studies"):
        with pytest.raises(ValueError, match=style.replace(".", r"\.")):
            styles.styled([(RECORD, "")], BOOK, style)
    assert {"apa", "ieee"} < styles.available()
