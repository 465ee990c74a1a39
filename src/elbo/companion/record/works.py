"""The works that the book cites, from its bibliography: title, authors, year, and one permanent address for each."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from elbo.companion.record.book import Author, doi_address

__all__ = ["PERMANENT", "Work", "read"]

PERMANENT = ("https://doi.org/", "https://arxiv.org/abs/", "https://openreview.net/forum")
"""Where an address that is meant to stay begins."""


@dataclass(frozen=True)
class Work:
    """An entry of the bibliography.

    Attributes:
        key: under which the book cites it.
        doi, arxiv: identifiers, empty where there are none.
        address: the DOI's, else arXiv's, else the one that the entry gives; empty where there is none.
    """

    key: str
    title: str
    authors: tuple[Author, ...]
    year: str
    doi: str
    arxiv: str
    address: str


def read(path: Path) -> dict[str, Work]:
    """Every entry of a BibTeX file, by key; nothing where the file is not there.

    A field ``eprint`` is arXiv's.
    """
    from pybtex.database import parse_file

    if not path.is_file():
        return {}
    return {key: _work(key, entry) for key, entry in parse_file(str(path)).entries.items()}


def _work(key: str, entry: Any) -> Work:
    fields = entry.fields
    doi, arxiv = fields.get("doi", ""), fields.get("eprint", "")
    given = fields.get("url") or "".join(re.findall(r"\\url\{([^}]*)\}", fields.get("howpublished", ""))[:1])
    address = doi_address(doi) if doi else f"https://arxiv.org/abs/{arxiv}" if arxiv else given
    authors = tuple(_author(person) for person in entry.persons.get("author", []))
    return Work(key, _plain(fields.get("title", "")), authors, fields.get("year", ""), doi, arxiv, address)


def _author(person: Any) -> Author:
    family = _plain(" ".join(person.prelast_names + person.last_names))
    given = _plain(" ".join(person.first_names + person.middle_names))
    return Author(family=family, given=given) if given else Author(name=family)


def _plain(tex: str) -> str:
    """A field without the braces and letters of LaTeX."""
    from pybtex.richtext import Text

    return str(Text.from_latex(tex))
