"""The lines under a figure, as a function of its record: links only where they lead somewhere, nothing unescaped."""

from types import SimpleNamespace

import pytest
from bs4 import BeautifulSoup

from checkout import ROOT
from elbo.companion.kernel.publish import _called
from elbo.companion.pages.figures import book_of, executed
from elbo.companion.pages.legend import Place, legend
from elbo.companion.record.citation import Author, Book
from elbo.companion.record.handover import cell_lines

COMMIT = "0123456789abcdef0123456789abcdef01234567"
ABOUT = {
    "commit": COMMIT,
    "dirty": False,
    "python": "3.11.7",
    "platform": "Linux x86_64",
    "packages": {"torch": "2.13.0"},
    "cpu": "A CPU",
    "threads": 1,
    "data": {"digits/test": "1" * 64},
    "lock_sha256": "2" * 64,
}
RECORD = {
    "id": "toy-2013-line",
    "chapter": "toy-2013",
    "caption": "How?",
    "profile": "quick",
    "parameters": {"beta": 1.0, "seed": 3},
    "settings": {"seeds": [0, 1]},
    "command": "elbo run toy-2013",
    "csv_sha256": "3" * 64,
    "source": ["src/elbo/figures/toy_2013.py#L10-L20"],
    "environment": ABOUT,
}
RUN = {"finished": "2027-01-02T03:04:05+00:00", "seconds": 7200.0}
PLACE = Place("../", "notebooks/toy-2013.ipynb", "notebooks/toy-2013.md", "book/toy-2013.md#L3-L8")
BOOK = Book("Toy", (Author(name="The authors"),), "0.1.0", "2026-01-02", "", "https://example.org/code")


def shown(record=RECORD, run=RUN, place=PLACE, book=BOOK) -> BeautifulSoup:
    return BeautifulSoup(legend(record, run, place, book), "html.parser")


def facts(**changes) -> dict:
    return {term.get_text(): term.find_next_sibling("dd") for term in shown(**changes).select("dt")}


def test_what_ran_is_complete():
    said = {name: value.get_text() for name, value in facts().items()}
    assert said == {
        "chapter": "toy-2013 (text)",
        "profile": "quick",
        "parameters": "beta = 1.0, seed = 3",
        "settled on": "seeds = [0, 1]",
        "seeds": "seed = 3, seeds = [0, 1]",
        "device": "A CPU, 1 thread, Linux x86_64",
        "date": "2027-01-02 03:04 UTC",
        "duration": "2.0 h for the whole chapter",
        "commit": COMMIT,
        "source": "book/toy-2013.md, lines 3 to 8; src/elbo/figures/toy_2013.py, lines 10 to 20",
        "identifiers": f"SWHID: revision swh:1:rev:{COMMIT};origin=https://example.org/code",
        "versions": "Python 3.11.7, torch 2.13.0",
        "lock file": "222222222222…",
        "data": "digits/test 111111111111…",
        "table": "333333333333…",
        "record": "toy-2013-line.json",
    }


def test_source_lines_are_linked_where_the_repository_holds_exactly_them():
    links = [a["href"] for a in facts()["source"].select("a")]
    blob = f"https://example.org/code/blob/{COMMIT}"
    assert links == [f"{blob}/book/toy-2013.md#L3-L8", f"{blob}/src/elbo/figures/toy_2013.py#L10-L20"]
    assert facts()["commit"].a["href"] == f"https://example.org/code/commit/{COMMIT}"
    changed = facts(record=RECORD | {"environment": ABOUT | {"dirty": True}})
    assert not changed["source"].a and "not committed" in changed["commit"].get_text()
    assert changed["identifiers"].get_text() == "SWHID: none of the whole, because of the changes"
    nowhere = facts(book=Book("Toy", BOOK.authors, "0.1.0", "2026-01-02"))
    assert not nowhere["source"].a and not nowhere["commit"].a


def test_what_is_not_known_is_not_said():
    said = facts(run={}, place=Place("../"), record=RECORD | {"source": [], "environment": ABOUT | {"commit": None}})
    assert not {"date", "duration", "source"} & set(said) and said["commit"].get_text() == "unknown"
    assert not shown(book=None).select(".elbo-cite")
    assert "notebook" not in [a.get_text() for a in shown(place=Place("../")).select("a")]


def test_nothing_breaks_out_of_the_lines():
    evil = '"></pre><script>alert(1)</script><b onclick="x">'
    about = ABOUT | {
        "cpu": evil,
        "gpu": evil,
        "data": {evil: evil},
        "packages": {evil: evil},
        "commit": evil,
        "platform": evil,
    }
    record = RECORD | {
        "caption": evil,
        "profile": evil,
        "parameters": {evil: evil},
        "settings": {"seed": evil},
        "command": evil,
        "csv_sha256": evil,
        "source": [evil],
        "environment": about,
    }
    book = Book(evil, (Author(name=evil),), evil, "2026-01-02", "", "https://example.org/" + evil)
    html = shown(record, {"finished": evil}, PLACE, book)
    assert not html.select("script, b, [onclick]") and html.get_text().count("alert(1)") > 10


CHAPTER = """# Toy

```{code-cell} ipython3
companion.figure(fig, id="toy-2013-a", caption="")
```

```{code-cell} ipython3
:tags: [hide-input]

companion.figure(
    fig,
    id = 'toy-2013-ab',
)
```
"""


def test_the_cell_of_a_figure_is_found_in_the_chapter():
    assert cell_lines(CHAPTER, "toy-2013-a") == (3, 5)
    assert cell_lines(CHAPTER, "toy-2013-ab") == (7, 14)
    assert cell_lines(CHAPTER, "toy-2013-b") is None
    assert cell_lines('id="toy-2013-a"', "toy-2013-a") is None


def test_the_record_names_the_functions_that_drew(monkeypatch):
    from elbo.companion.kernel import publish
    from elbo.figures import hoffman_johnson_2016, style

    names = {"figures": hoffman_johnson_2016, "style": style, "fig": object(), "print": print}
    drawer = next(name for name in hoffman_johnson_2016.__all__)
    monkeypatch.setattr("IPython.get_ipython", lambda: SimpleNamespace(user_ns=names))
    for code, found in [
        (f"companion.figure(figures.{drawer}(table), id='x')\nprint(fig.nothing(), figures.gone())", 1),
        (f"%time figures.{drawer}(table)", 0),
        ("companion.figure(fig, id='x')", 0),
    ]:
        monkeypatch.setattr(publish, "_cell", lambda code=code: (1, code))
        said = _called()
        assert len(said) == found, code
        for place in said:
            file, _, lines = place.partition("#L")
            first, last = map(int, lines.split("-L"))
            text = (ROOT / file).read_text().splitlines()
            assert f"def {drawer}(" in text[first - 1] and last > first


def test_outside_a_notebook_no_function_is_named():
    assert _called() == ()


@pytest.fixture
def env(tmp_path):
    config = SimpleNamespace(
        html_theme_options={"repository_url": "https://github.com/executablebooks/jupyter-book"}, html_baseurl=""
    )
    (tmp_path / "src" / "book").mkdir(parents=True)
    (tmp_path / "build" / "jupyter_execute" / "book").mkdir(parents=True)
    return SimpleNamespace(
        srcdir=tmp_path / "src", app=SimpleNamespace(outdir=tmp_path / "build" / "html"), config=config
    )


def test_plain_jupyter_book_offers_what_it_has_executed(env, tmp_path):
    assert executed(env, "book/toy-2013") == {}
    source, ran = (
        tmp_path / "src" / "book" / "toy-2013.md",
        tmp_path / "build" / "jupyter_execute" / "book" / "toy-2013.ipynb",
    )
    source.write_text("")
    ran.write_text("")
    assert executed(env, "book/toy-2013") == {"notebooks/toy-2013.ipynb": ran, "notebooks/toy-2013.md": source}


def test_jupyter_books_own_repository_is_not_taken_for_the_books(env, tmp_path):
    assert book_of(env) is None
    (tmp_path / "src" / "CITATION.cff").write_text((ROOT / "CITATION.cff").read_text())
    assert book_of(env).repository == ""
    env.config.html_theme_options = {"repository_url": "https://example.org/code/"}
    assert book_of(env).repository == "https://example.org/code"
