"""How to cite a figure: plain text, BibTeX, RIS, from the figure's record and the book's ``CITATION.cff``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import yaml

__all__ = ["FORMATS", "Book", "cite"]

FORMATS = ("text", "bibtex", "ris")
_SPECIAL = re.compile(r"([&%#_{}])")


@dataclass(frozen=True)
class Book:
    """What ``CITATION.cff`` says of the book, and where it is published (``url`` is empty for a local build)."""

    title: str
    author: str
    version: str
    year: str
    url: str = ""

    @classmethod
    def read(cls, folder: Path, url: str = "") -> Book:
        """From the ``CITATION.cff`` of a checkout.

        Raises:
            FileNotFoundError: there is none.
        """
        text = (folder / "CITATION.cff").read_text(encoding="utf-8")
        said = yaml.safe_load(text)
        names = [a.get("name") or f"{a['family-names']}, {a['given-names']}" for a in said["authors"]]
        return cls(said["title"], " and ".join(names), str(said["version"]), str(said["date-released"])[:4], url)

    def address(self, record: dict) -> str:
        """Permanent address of a figure, empty where the book has none."""
        return f"{self.url.rstrip('/')}/book/{record['chapter']}.html#{record['id']}" if self.url else ""


def cite(record: dict, book: Book, format: str = "text") -> str:
    """The citation of a figure.

    Args:
        record: of the figure, as its JSON file holds it.
        book: from :meth:`Book.read`.
        format: one of :data:`FORMATS`.

    Raises:
        ValueError: an unknown format.
    """
    if format not in FORMATS:
        raise ValueError(f"there is no citation format {format!r}; choose one of {', '.join(FORMATS)}")
    commit = (record["environment"].get("commit") or "unknown")[:12]
    note = f"commit {commit}{' with changes' if record['environment'].get('dirty') else ''}"
    title, address = f"Figure {record['id']}: {_question(record['caption'])}", book.address(record)
    if format == "text":
        return f"{book.author} ({book.year}). {title} In: {book.title}, version {book.version}, {note}.{' ' + address if address else ''}"
    if format == "ris":
        lines = [("TY", "FIGURE"), ("ID", record["id"]), ("AU", book.author), ("PY", book.year), ("TI", title), ("T2", book.title),
                 ("ET", book.version), ("N1", note), ("UR", address)]  # fmt: skip
        return "\n".join(f"{tag}  - {value}" for tag, value in lines if value) + "\nER  - "
    fields = {
        "author": "{" + _tex(book.author) + "}",
        "title": "{" + _tex(title) + "}",
        "howpublished": f"In: {_tex(book.title)}",
        "version": book.version,
        "year": book.year,
        "note": note,
        "url": address,
    }
    body = ",\n".join(f"  {name} = {{{value}}}" for name, value in fields.items() if value)
    return f"@misc{{{record['id']},\n{body}\n}}"


def _question(caption: str) -> str:
    """The first sentence of a caption, by house rule the question that the figure answers."""
    return re.split(r"(?<=[.?!])\s", caption.strip(), maxsplit=1)[0]


def _tex(text: str) -> str:
    """Text for BibTeX: special characters escaped, ``$mathematics$`` kept."""
    parts = text.split("$")
    return "$".join(part if i % 2 else _SPECIAL.sub(r"\\\1", part) for i, part in enumerate(parts))
