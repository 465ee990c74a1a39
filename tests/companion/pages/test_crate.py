"""The crate of the built site, judged by the validator of the RO-Crate community, without a network."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from checkout import ROOT
from crates import cached, issues
from elbo.companion.pages import crate
from elbo.companion.record import works
from elbo.companion.record.citation import Author, Book

BOOK = Book("Toy", (Author(name="The authors"),), "0.1.0", "2026-01-02")
RECORD = {
    "id": "toy-2013-line",
    "chapter": "toy-2013",
    "caption": 'How does $x^2$ grow? "Fast" </script>.',
    "parameters": {"beta": 1.0, "seeds": [0, 1], "name": "a </b> & c"},
    "settings": {"hidden": 100},
    "command": "elbo run toy-2013",
    "environment": {
        "commit": "0" * 40,
        "dirty": False,
        "python": "3.11.7",
        "packages": {"torch": "2.13.0", "numpy": "2.4.6", "seaborn": None},
        "data": {"digits/test": "1" * 64},
        "reference": {"toy-2013/table": "2" * 64},
    },
}
FIGURE = {"docname": "book/toy-2013", "caption": RECORD["caption"], "alt": "A line.", "record": RECORD}
PAPER = works.Work(
    "toy-2013", "Toys", (Author(family="Toy", given="T."),), "2013", "10.1/2", "", "https://doi.org/10.1/2"
)
RUN = {"finished": "2027-01-02T03:04:05+00:00"}


pytestmark = pytest.mark.timeout(900)  # seconds of work, but many minutes on a machine that is busy


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return cached(tmp_path_factory.mktemp("cache") / "http")


def site(folder: Path, book: Book = BOOK, **changes) -> Path:
    """A site of one page and one figure, with its crate."""
    files = [f"figures/toy-2013-line.{format}" for format in ("svg", "pdf", "png", "csv", "json")]
    for name in [*files, "figures/figures.bib", "notebooks/toy-2013.ipynb", "notebooks/toy-2013.md",
                 "book/toy-2013.html", "reference/toy-2013/table.csv"]:  # fmt: skip
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    what = {
        "pages": {"book/toy-2013": ("book/toy-2013.html", "Toy <i>")},
        "figures": {"toy-2013-line": FIGURE},
        "runs": {"toy-2013": RUN},
        "notebooks": {"toy-2013": ["notebooks/toy-2013.ipynb", "notebooks/toy-2013.md"]},
        "works": {"toy-2013": PAPER},
    }
    crate.write(folder, book, **what | changes)
    return folder


def test_it_follows_the_specification_as_far_as_it_is_known(tmp_path, cache, monkeypatch):
    """Recommended as well as required; the authors' group has no address to give."""
    found = issues(site(tmp_path), "ro-crate-1.3", "RECOMMENDED", cache, monkeypatch)
    assert found and all("rganization" in issue for issue in found), found


def test_it_follows_the_profile_of_runs(tmp_path, cache, monkeypatch):
    """The profile builds on RO-Crate 1.1, so the validator asks for that version of the
    format; nothing else is missing.
    """
    address = Book("Toy", BOOK.authors, "0.1.0", "2026-01-02", "https://example.org/", "https://example.org/code")
    found = issues(site(tmp_path, address), "process-run-crate-0.5", "REQUIRED", cache, monkeypatch)
    assert len(found) == 1 and "`conformsTo` property with the RO-Crate specification version" in found.pop()


def test_the_validator_sees_what_is_wrong(tmp_path, cache, monkeypatch):
    path = site(tmp_path) / crate.NAME
    content = json.loads(path.read_text())
    for entity in content["@graph"]:
        if entity["@type"] == "CreateAction":
            del entity["instrument"]
        if entity["@id"] == "./":
            del entity["license"]
    path.write_text(json.dumps(content))
    (tmp_path / "figures" / "toy-2013-line.csv").unlink()
    found = issues(tmp_path, "ro-crate-1.3", "REQUIRED", cache, monkeypatch)
    assert any("license" in issue for issue in found) and any("toy-2013-line.csv" in issue for issue in found), found
    found = issues(tmp_path, "process-run-crate-0.5", "REQUIRED", cache, monkeypatch)
    assert any("instrument" in issue for issue in found), found


def graph(folder: Path) -> dict[str, dict]:
    return {entity["@id"]: entity for entity in json.loads((folder / crate.NAME).read_text())["@graph"]}


def test_a_run_says_what_went_in_and_what_came_out(tmp_path):
    found = graph(site(tmp_path))
    run = found["#run-toy-2013"]
    assert run["endTime"] == RUN["finished"] and "startTime" not in run and "agent" not in run  # not known, not said
    values = {found[item["@id"]]["name"]: found[item["@id"]]["value"] for item in run["object"]}
    assert values == {"beta": "1.0", "seeds": "[0, 1]", "name": '"a </b> & c"', "hidden": "100",
                      "data: digits/test": "1" * 64, "reference: toy-2013/table": "2" * 64}  # fmt: skip
    results = {item["@id"] for item in run["result"]}
    assert results == {f"figures/toy-2013-line.{f}" for f in ("svg", "pdf", "png", "csv", "json")} | {
        "notebooks/toy-2013.ipynb"
    }
    text = found[run["instrument"]["@id"]]
    assert text["version"] == "0" * 40 and {"#elbo"} < {item["@id"] for item in text["softwareRequirements"]}
    assert found["figures/toy-2013-line.svg"]["isBasedOn"] == {"@id": "figures/toy-2013-line.csv"}
    assert found["reference/toy-2013/table.csv"]["encodingFormat"] == "text/csv"
    assert found["figures/toy-2013-line.svg"]["caption"] == RECORD["caption"]


def test_it_names_every_work_that_the_book_cites_and_the_paper_of_a_chapter(tmp_path):
    listed = {"toy-2013": PAPER} | works.read(ROOT / "book" / "references.bib")
    found = graph(site(tmp_path, replace(BOOK, doi="10.5281/zenodo.1"), works=listed))
    cited = {item["@id"] for item in found["./"]["citation"]}
    assert cited == {work.address for work in listed.values()} and len(cited) > 40
    assert all(found[address]["@type"] == "ScholarlyArticle" and found[address]["name"] for address in cited)
    assert found["notebooks/toy-2013.md"]["citation"] == {"@id": PAPER.address}
    assert found["./"]["identifier"] == "https://doi.org/10.5281/zenodo.1"
    assert found["figures/toy-2013-line.json"]["identifier"] == f"swh:1:rev:{'0' * 40}"


def test_dates_are_those_of_the_runs_and_equal_sites_give_equal_bytes(tmp_path):
    first, second = site(tmp_path / "a"), site(tmp_path / "b")
    assert (first / crate.NAME).read_bytes() == (second / crate.NAME).read_bytes()
    assert graph(first)["./"]["datePublished"] == RUN["finished"]
    assert graph(site(tmp_path / "c", runs={"toy-2013": {}}))["./"]["datePublished"] == BOOK.released


def test_a_book_without_figures_has_a_crate_too(tmp_path):
    found = graph(site(tmp_path, figures={}, runs={}, notebooks={}))
    assert "book/toy-2013.html" in found and not [name for name in found if name.startswith("#run")]
