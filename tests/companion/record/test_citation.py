"""Citations of figures: complete, escaped, and read back by independent parsers; CITATION.cff against its schema."""

import json

import jsonschema
import pytest
import yaml
from pybtex.database import parse_string

from checkout import ROOT
from elbo.companion.record.citation import FORMATS, LICENSE, Author, Book, cite, cite_all

RECORD = {
    "id": "toy-2013-line",
    "chapter": "toy-2013",
    "caption": "How does 100 % of $x_1^2$ & {y} grow? It grows. A lot.",
    "environment": {"commit": "0123456789abcdef0123", "dirty": False},
}
GROUP = (Author(name="The authors"),)
BOOK = Book("Carving", GROUP, "0.1.0", "2026-01-02", "https://example.org/book-site/")
PEOPLE = (Author(family="Kingma", given="Diederik P."), Author(family="Welling", given="Max"))
HOSTILE = "Why\nER  - \nTY  - BOOK\n@misc{x} \\input{y} ~ ^ $}$ </pre><script>alert(1)</script>"


def test_the_book_is_described_by_its_citation_file():
    book = Book.read(ROOT)
    assert book.title.startswith("Carving the ELBO") and book.version == "0.1.0" and book.url == book.repository == ""
    said = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert book.released == str(said["date-released"]) and list(map(str, book.authors)) == [said["authors"][0]["name"]]


def test_the_citation_file_follows_the_schema_of_its_format():
    """The schema is that of Citation File Format 1.2.0 (CC BY 4.0), kept here so that no network is needed."""
    schema = json.loads((ROOT / "tests" / "cff-1.2.0.schema.json").read_text())
    said = json.loads(json.dumps(yaml.safe_load((ROOT / "CITATION.cff").read_text()), default=str))
    check = jsonschema.Draft7Validator(schema, format_checker=jsonschema.FormatChecker())
    assert not [f"{error.json_path}: {error.message}" for error in check.iter_errors(said)]
    assert list(check.iter_errors(said | {"date-released": "yesterday"}))
    assert list(check.iter_errors({name: value for name, value in said.items() if name != "authors"}))


def test_the_licence_of_figures_is_the_books():
    assert LICENSE in (ROOT / "book" / "LICENSE.txt").read_text() + (ROOT / "book" / "index.md").read_text()


def test_text():
    said = cite(RECORD, BOOK)
    assert said == (
        "The authors (2026). Figure toy-2013-line: How does 100 % of $x_1^2$ & {y} grow? In: Carving, version 0.1.0, "
        "commit 0123456789ab. https://example.org/book-site/book/toy-2013.html#toy-2013-line"
    )
    assert "with changes" in cite(RECORD | {"environment": {"commit": "0" * 40, "dirty": True}}, BOOK)


def test_the_date_is_that_of_the_run_or_else_of_the_version():
    assert "DA  - 2026/01/02" in cite(RECORD, BOOK, "ris")
    assert "DA  - 2027/11/23\n" in cite(RECORD, BOOK, "ris", "2027-11-23T06:06:06+00:00")
    assert "(2027)" in cite(RECORD, BOOK, "text", "2027-11-23")


def test_bibtex_is_read_back():
    entry = parse_string(cite(RECORD, BOOK, "bibtex"), "bibtex").entries["toy-2013-line"]
    assert entry.type == "misc" and entry.fields["year"] == "2026" and entry.fields["date"] == "2026-01-02"
    assert entry.fields["title"] == r"{Figure toy-2013-line: How does 100 \% of $x_1^2$ \& \{y\} grow?}"
    assert entry.fields["url"].endswith("#toy-2013-line") and entry.fields["note"] == "commit 0123456789ab"
    assert [str(person) for person in entry.persons["author"]] == ["{The authors}"]
    people = Book("Carving", PEOPLE, "0.1.0", "2026-01-02")
    entry = parse_string(cite(RECORD, people, "bibtex"), "bibtex").entries["toy-2013-line"]
    assert [person.last_names for person in entry.persons["author"]] == [["Kingma"], ["Welling"]]


def ris(text: str) -> list[list[tuple[str, str]]]:
    """The records of an RIS file, by the letter of the format: a tag of two characters,
    two blanks, a hyphen, a blank.
    """
    records = [[]]
    for line in text.splitlines():
        if not line:
            continue
        assert line[2:6] == "  - " and line[:2].isalnum() and line[:2].isupper(), line
        records[-1].append((line[:2], line[6:]))
        if line[:2] == "ER":
            records.append([])
    assert records.pop() == []
    return records


def test_ris_is_read_back():
    (record,) = ris(cite(RECORD, Book("Carving", PEOPLE, "0.1.0", "2026-01-02"), "ris"))
    assert record[0] == ("TY", "FIGURE") and record[-1] == ("ER", "")
    assert [value for tag, value in record if tag == "AU"] == ["Kingma, Diederik P.", "Welling, Max"]
    assert "UR" not in dict(record) and all(value for tag, value in record[:-1])


def test_csl_json_is_read_back():
    item = json.loads(cite(RECORD, BOOK, "csl-json"))
    assert (
        item["id"] == "toy-2013-line" and item["type"] == "figure" and item["issued"] == {"date-parts": [[2026, 1, 2]]}
    )
    assert item["author"] == [{"literal": "The authors"}] and item["URL"].endswith("#toy-2013-line")
    item = json.loads(cite(RECORD, Book("Carving", PEOPLE, "0.1.0", "2026-01-02"), "csl-json"))
    assert item["author"][1] == {"family": "Welling", "given": "Max"} and "URL" not in item


def test_a_caption_cannot_break_out_of_its_field():
    record = RECORD | {"caption": HOSTILE}
    (only,) = ris(cite(record, BOOK, "ris"))
    assert [tag for tag, _ in only].count("TY") == 1 and "Why ER - TY - BOOK" in dict(only)["TI"]
    database = parse_string(cite(record, BOOK, "bibtex"), "bibtex")
    assert list(database.entries) == ["toy-2013-line"]
    title = database.entries["toy-2013-line"].fields["title"]
    assert r"@misc\{x\} \textbackslash{}input\{y\} \textasciitilde{} \textasciicircum{} \$\}\$" in title
    assert len(cite(record, BOOK).splitlines()) == 1


def test_all_figures_in_one_file():
    other = RECORD | {"id": "toy-2013-other"}
    both = [(RECORD, "2027-11-23"), (other, "")]
    assert list(parse_string(cite_all(both, BOOK, "bibtex"), "bibtex").entries) == ["toy-2013-line", "toy-2013-other"]
    assert [dict(record)["ID"] for record in ris(cite_all(both, BOOK, "ris"))] == ["toy-2013-line", "toy-2013-other"]
    items = json.loads(cite_all(both, BOOK, "csl-json"))
    assert [item["issued"]["date-parts"][0][0] for item in items] == [2027, 2026]
    assert len(cite_all(both, BOOK, "text").splitlines()) == 2


def test_unknown_format():
    with pytest.raises(ValueError, match=", ".join(FORMATS)):
        cite(RECORD, BOOK, "endnote")


@pytest.fixture
def elbo(tmp_path, capsys, monkeypatch):
    """The command, in a checkout with one accepted run of one figure."""
    from elbo.cli import main

    for name in ("_config.yml", "_toc.yml", "CITATION.cff"):
        (tmp_path / name).write_text((ROOT / name).read_text())
    profiles = tmp_path / "book" / "profiles"
    profiles.mkdir(parents=True)
    (profiles / "quick.yml").write_text("{}")
    run = tmp_path / "_build" / "runs" / "quick" / "toy-2013"
    run.mkdir(parents=True)
    caption = RECORD["caption"]
    content = {
        "id": "toy-2013-line",
        "chapter": "toy-2013",
        "caption": caption,
        "alt": "A line",
        "files": {"json": json.dumps(RECORD)},
    }
    cell = {"outputs": [{"data": {"application/vnd.elbo.figure+json": content}}]}
    (run / "toy-2013.ipynb").write_text(json.dumps({"cells": [cell]}))
    (run / "run.json").write_text(json.dumps({"finished": "2027-11-23T06:06:06+00:00", "seconds": 12.5}))

    def command(*words):
        monkeypatch.setattr("sys.argv", ["elbo", *words, "--root", str(tmp_path)])
        try:
            code = main() or 0
        except SystemExit as ended:
            code = ended.code or 0
        return code, *capsys.readouterr()

    return command


def test_the_command_cites_a_figure_of_an_accepted_run(elbo, monkeypatch):
    code, out, _ = elbo("cite", "toy-2013-line", "--format", "bibtex")
    assert code == 0 and out.startswith("@misc{toy-2013-line,") and "year = {2027}" in out and "url" not in out
    code, out, _ = elbo("cite", "toy-2013-line", "--format", "csl-json")
    assert code == 0 and json.loads(out)["issued"] == {"date-parts": [[2027, 11, 23]]}
    monkeypatch.setenv("ELBO_BASEURL", "https://example.org/elbo")
    code, out, _ = elbo("cite", "toy-2013-line")
    assert code == 0 and out.strip().endswith("https://example.org/elbo/book/toy-2013.html#toy-2013-line")
    code, out, _ = elbo("cite", "toy-2013-line", "--style", "apa")
    assert code == 0 and "(2027). Figure toy-2013-line: How does" in out and "[Figure]" in out
    code, _, err = elbo("cite", "toy-2013-line", "--style", "appa")
    assert code == 2 and "there is no citation style 'appa'" in err
    code, _, err = elbo("cite", "toy-2013-lines")
    assert code == 2 and "did you mean 'toy-2013-line'?" in err and "Traceback" not in err
    code, _, err = elbo("cite", "toy-2013-line", "--format", "endnote")
    assert code == 2 and "choose one of text, bibtex, ris, csl-json" in err


def test_the_command_lists_figures_one_a_line_without_cutting_them(elbo, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    code, out, _ = elbo("figures")
    assert code == 0 and out.splitlines() == ["toy-2013-line  How does 100 % of $x_1^2$ & {y} grow?"]
    code, out, _ = elbo("figures", "--format", "bibtex")
    assert code == 0 and list(parse_string(out, "bibtex").entries) == ["toy-2013-line"]
    for word in (["--format", "json"], ["--json"]):
        code, out, _ = elbo("figures", *word)
        (row,) = json.loads(out)
        assert code == 0 and row["run"] == {"finished": "2027-11-23T06:06:06+00:00", "seconds": 12.5}
    code, _, err = elbo("figures", "--format", "word")
    assert code == 2 and "text, bibtex, ris, csl-json, json" in err
