"""Citations of figures: complete, escaped, and read back by an independent parser of BibTeX."""

from pathlib import Path

import pytest
from pybtex.database import parse_string

from elbo.companion.citation import Book, cite

ROOT = Path(__file__).resolve().parents[1]
RECORD = {
    "id": "toy-2013-line",
    "chapter": "toy-2013",
    "caption": "How does 100 % of $x_1^2$ & {y} grow? It grows. A lot.",
    "environment": {"commit": "0123456789abcdef0123", "dirty": False},
}
BOOK = Book("Carving", "The authors", "0.1.0", "2026", "https://example.org/book-site/")


def test_the_book_is_described_by_its_citation_file():
    book = Book.read(ROOT)
    assert book.title.startswith("Carving the ELBO") and book.version == "0.1.0" and book.year == "2026" and book.url == ""


def test_text():
    said = cite(RECORD, BOOK)
    assert said == (
        "The authors (2026). Figure toy-2013-line: How does 100 % of $x_1^2$ & {y} grow? In: Carving, version 0.1.0, "
        "commit 0123456789ab. https://example.org/book-site/book/toy-2013.html#toy-2013-line"
    )
    assert "with changes" in cite(RECORD | {"environment": {"commit": "0" * 40, "dirty": True}}, BOOK)


def test_bibtex_is_read_back():
    entry = parse_string(cite(RECORD, BOOK, "bibtex"), "bibtex").entries["toy-2013-line"]
    assert entry.type == "misc"
    assert entry.fields["title"] == r"{Figure toy-2013-line: How does 100 \% of $x_1^2$ \& \{y\} grow?}"
    assert entry.fields["url"].endswith("#toy-2013-line") and entry.fields["note"] == "commit 0123456789ab"
    assert [str(person) for person in entry.persons["author"]] == ["{The authors}"]


def test_ris_has_a_type_an_end_and_no_empty_fields():
    lines = cite(RECORD, Book("Carving", "The authors", "0.1.0", "2026"), "ris").splitlines()
    assert lines[0] == "TY  - FIGURE" and lines[-1] == "ER  - "
    assert "UR" not in {line[:2] for line in lines}


def test_unknown_format():
    with pytest.raises(ValueError, match="text, bibtex, ris"):
        cite(RECORD, BOOK, "endnote")


def test_the_command_cites_a_figure_of_an_accepted_run(tmp_path, capsys, monkeypatch):
    import json

    from elbo.companion import cli

    for name in ("_config.yml", "_toc.yml", "CITATION.cff"):
        (tmp_path / name).write_text((ROOT / name).read_text())
    profiles = tmp_path / "book" / "profiles"
    profiles.mkdir(parents=True)
    (profiles / "quick.yml").write_text("{}")
    run = tmp_path / "_build" / "runs" / "quick" / "toy-2013"
    run.mkdir(parents=True)
    content = {"id": "toy-2013-line", "chapter": "toy-2013", "caption": "How?", "alt": "A line", "files": {"json": json.dumps(RECORD)}}
    cell = {"outputs": [{"data": {"application/vnd.elbo.figure+json": content}}]}
    (run / "toy-2013.ipynb").write_text(json.dumps({"cells": [cell]}))

    def elbo(*words):
        monkeypatch.setattr("sys.argv", ["elbo", *words, "--root", str(tmp_path)])
        try:
            code = cli.main() or 0
        except SystemExit as ended:
            code = ended.code or 0
        return code, *capsys.readouterr()

    code, out, _ = elbo("cite", "toy-2013-line", "--format", "bibtex")
    assert code == 0 and out.startswith("@misc{toy-2013-line,")
    code, _, err = elbo("cite", "toy-2013-lines")
    assert code == 2 and "did you mean 'toy-2013-line'?" in err and "Traceback" not in err
    code, _, err = elbo("cite", "toy-2013-line", "--format", "endnote")
    assert code == 2 and "choose one of text, bibtex, ris" in err
