"""How to cite a figure: plain text, BibTeX, RIS, CSL-JSON, from the figure's record and the book's ``CITATION.cff``."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from elbo.companion.record import swhid, words
from elbo.companion.record.book import LICENSE, Author, Book, doi_address

__all__ = ["FORMATS", "LICENSE", "Author", "Book", "cite", "cite_all", "csl_item", "question"]

FORMATS = ("text", "bibtex", "ris", "csl-json")

_TEX = {c: "\\" + c for c in "&%#_{}$"} | {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
}


def cite(record: dict[str, Any], book: Book, format: str = "text", published: str = "") -> str:
    """The citation of a figure.

    Args:
        record: of the figure, as its JSON file holds it.
        book: from :meth:`Book.read`.
        format: one of :data:`FORMATS`.
        published: date of the run that made the figure (``YYYY-MM-DD``, a time may follow); empty for the date of the
            book's version.

    Raises:
        ValueError: an unknown format.
    """
    if format not in FORMATS:
        raise ValueError(f"there is no citation format {format!r}; choose one of {', '.join(FORMATS)}")
    about = _Citation.of(record, book, (published or book.released)[:10])
    if format == "csl-json":
        return _json(_csl(about))
    return {"text": _text, "bibtex": _bibtex, "ris": _ris}[format](about)


def csl_item(record: dict[str, Any], book: Book, published: str = "") -> dict[str, Any]:
    """The citation of a figure as one item of CSL-JSON, for a processor of citation styles."""
    return _csl(_Citation.of(record, book, (published or book.released)[:10]))


def cite_all(figures: Iterable[tuple[dict[str, Any], str]], book: Book, format: str) -> str:
    """One file with the citations of many figures, given as ``(record, published)``."""
    if format == "csl-json":
        return _json([json.loads(cite(record, book, format, published)) for record, published in figures]) + "\n"
    gap = "\n" if format == "text" else "\n\n"
    return gap.join(cite(record, book, format, published) for record, published in figures) + "\n"


def question(caption: str) -> str:
    """The first sentence of a caption, by house rule the question that the figure answers."""
    return re.split(r"(?<=[.?!])\s", caption.strip(), maxsplit=1)[0]


@dataclass(frozen=True)
class _Citation:
    """The parts of a citation, each on one line: a line break in a caption must not start a new field anywhere."""

    id: str
    authors: tuple[Author, ...]
    date: str
    title: str
    book: str
    version: str
    note: str
    swhid: str
    doi: str
    address: str

    @classmethod
    def of(cls, record: dict[str, Any], book: Book, date: str) -> _Citation:
        note = f"commit {words.commit(record['environment'])}"
        title = _line(f"Figure {record['id']}: {question(record['caption'])}")
        identity = _line(swhid.cited(record, book.repository))
        return cls(
            record["id"],
            book.authors,
            date,
            title,
            _line(book.title),
            book.version,
            note,
            identity,
            book.doi,
            book.address(record),
        )


def _text(about: _Citation) -> str:
    authors = "; ".join(map(str, about.authors))
    where = f"In: {about.book}, version {about.version}, {about.note}."
    doi = about.doi and doi_address(about.doi)
    return " ".join(
        filter(None, [f"{authors} ({about.date[:4]}).", about.title, where, doi, about.address, about.swhid])
    )


def _bibtex(about: _Citation) -> str:
    names = (f"{{{_tex(a.name)}}}" if a.name else _tex(str(a)) for a in about.authors)
    fields = {
        "author": " and ".join(names),
        "title": "{" + _tex(about.title) + "}",
        "howpublished": f"In: {_tex(about.book)}",
        "version": about.version,
        "year": about.date[:4],
        "date": about.date,
        "note": about.note,
        "doi": about.doi,
        "url": about.address,
        "swhid": _tex(about.swhid),
    }
    body = ",\n".join(f"  {name} = {{{value}}}" for name, value in fields.items() if value)
    return f"@misc{{{about.id},\n{body}\n}}"


def _ris(about: _Citation) -> str:
    lines = [("TY", "FIGURE"), ("ID", about.id), *(("AU", str(author)) for author in about.authors),
             ("PY", about.date[:4]), ("DA", about.date.replace("-", "/")), ("TI", about.title), ("T2", about.book),
             ("ET", about.version), ("N1", about.note), ("N1", about.swhid),
             ("DO", about.doi), ("UR", about.address)]  # fmt: skip
    return "\n".join(f"{tag}  - {value}" for tag, value in lines if value) + "\nER  - "


def _csl(about: _Citation) -> dict[str, Any]:
    authors = [{"literal": a.name} if a.name else {"family": a.family, "given": a.given} for a in about.authors]
    item = {
        "id": about.id,
        "type": "figure",
        "title": about.title,
        "author": authors,
        "issued": {"date-parts": [[int(part) for part in about.date.split("-")]]},
        "container-title": about.book,
        "version": about.version,
        "note": about.note,
        "DOI": about.doi,
        "URL": about.address,
        "custom": {"swhid": about.swhid} if about.swhid else None,
    }
    return {name: value for name, value in item.items() if value}


def _json(value: object) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False)


def _line(text: str) -> str:
    return " ".join(text.split())


def _tex(text: str) -> str:
    """Text for BibTeX: special characters escaped, ``$mathematics$`` kept where its dollars and braces are in pairs."""
    parts = text.split("$")
    if len(parts) % 2 == 0 or not all(map(_balanced, parts[1::2])):
        parts = [text]
    return "$".join(part if i % 2 else "".join(_TEX.get(c, c) for c in part) for i, part in enumerate(parts))


def _balanced(tex: str) -> bool:
    depth = 0
    for brace in re.findall(r"[{}]", tex):
        depth += 1 if brace == "{" else -1
        if depth < 0:
            return False
    return depth == 0
