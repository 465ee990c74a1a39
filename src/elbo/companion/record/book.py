"""The book as its ``CITATION.cff`` describes it: the one place of title, authors,
version, DOI, address and repository.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

__all__ = ["LICENSE", "Author", "Book", "doi_address"]

LICENSE = "https://creativecommons.org/licenses/by/4.0/"
"""Licence of prose and figures, as ``book/LICENSE.txt`` has it (the code is MIT, see ``CITATION.cff``)."""


@dataclass(frozen=True)
class Author:
    """An author: a group has a ``name``, a person ``family`` and ``given`` names, either
    perhaps an ``orcid`` (an address).
    """

    name: str = ""
    family: str = ""
    given: str = ""
    orcid: str = ""

    def __str__(self) -> str:
        return self.name or ", ".join(filter(None, [self.family, self.given]))

    @classmethod
    def read(cls, said: dict[str, Any]) -> Author:
        """From an entry of ``authors`` in a ``CITATION.cff``."""
        return cls(*(said.get(name, "") for name in ("name", "family-names", "given-names", "orcid")))


@dataclass(frozen=True)
class Book:
    """What ``CITATION.cff`` says of the book, and where it is published (``url`` is empty for a local build).

    Attributes:
        released: date of the version, ``YYYY-MM-DD``.
        repository: address of the source code, empty where none is configured.
        doi: ``10.5281/zenodo.1234``, without an address before it; empty where the book has none.
    """

    title: str
    authors: tuple[Author, ...]
    version: str
    released: str
    url: str = ""
    repository: str = ""
    doi: str = ""

    @classmethod
    def read(cls, folder: Path, url: str = "", repository: str = "") -> Book:
        """From the ``CITATION.cff`` of a checkout; ``url`` and ``repository`` go before what it says of them.

        Raises:
            FileNotFoundError: there is none.
        """
        said = yaml.safe_load((folder / "CITATION.cff").read_text(encoding="utf-8"))
        return cls(
            said["title"],
            tuple(map(Author.read, said["authors"])),
            str(said["version"]),
            str(said["date-released"]),
            url or said.get("url", ""),
            (repository or said.get("repository-code", "")).rstrip("/"),
            re.sub(r"^https?://(dx\.)?doi\.org/", "", said.get("doi", "")),
        )

    @classmethod
    def of(cls, folder: Path) -> Book:
        """The book of a checkout at the address of ``ELBO_BASEURL``, or of ``_config.yml``."""
        config = yaml.safe_load((folder / "_config.yml").read_text(encoding="utf-8")) or {}
        return cls.read(folder, os.environ.get("ELBO_BASEURL") or (config.get("html") or {}).get("baseurl") or "")

    def page(self, docname: str) -> str:
        """Permanent address of a page (``book/blei-2017``), empty where the book has none."""
        return f"{self.url.rstrip('/')}/{docname}.html" if self.url else ""

    def address(self, record: dict[str, Any]) -> str:
        """Permanent address of a figure, empty where the book has none; a record's
        ``query`` sets a live figure's state.
        """
        page = self.page(f"book/{record['chapter']}")
        return page and f"{page}{record.get('query', '')}#{record['id']}"


def doi_address(doi: str) -> str:
    """A DOI as an address."""
    return f"https://doi.org/{doi}"
