"""The description of the software in the forms that others read, made from ``CITATION.cff`` and from nothing else.

``codemeta.json`` follows CodeMeta 3.0, ``.zenodo.json`` the deposit metadata of Zenodo. Both are committed;
``elbo metadata`` writes them anew, and a test holds them against the citation file.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

from elbo.companion.record.book import Author, Book, doi_address

__all__ = ["codemeta", "files", "zenodo"]

_SPDX = "https://spdx.org/licenses/"
_KINDS = {"article": "ScholarlyArticle", "conference-paper": "ScholarlyArticle", "website": "WebSite"}


def files(folder: Path) -> dict[str, str]:
    """What belongs into each file, by its name, from the ``CITATION.cff`` of a checkout.

    Raises:
        FileNotFoundError: there is none.
    """
    said = yaml.safe_load((folder / "CITATION.cff").read_text(encoding="utf-8"))
    book = Book.read(folder)
    made = {"codemeta.json": codemeta(said, book), ".zenodo.json": zenodo(said, book)}
    return {name: json.dumps(about, indent=2, ensure_ascii=False) + "\n" for name, about in made.items()}


def codemeta(said: dict[str, Any], book: Book) -> dict[str, Any]:
    """The software as CodeMeta 3.0 has it, its papers as ``referencePublication``."""
    about = {
        "@context": "https://w3id.org/codemeta/3.0",
        "@type": "SoftwareSourceCode",
        "name": book.title,
        "description": said.get("abstract"),
        "identifier": book.doi and doi_address(book.doi),
        "version": book.version,
        "softwareVersion": book.version,
        "datePublished": book.released,
        "dateModified": book.released,
        "license": _SPDX + said["license"],
        "keywords": said.get("keywords"),
        "author": [_agent(author) for author in book.authors],
        "url": book.url,
        "codeRepository": book.repository,
        "programmingLanguage": "Python",
        "referencePublication": [_publication(work) for work in said.get("references", [])],
    }
    return {name: value for name, value in about.items() if value}


def zenodo(said: dict[str, Any], book: Book) -> dict[str, Any]:
    """The deposit as Zenodo has it. Its DOI is given there, so that none is asked for."""
    related = [_related("references", work) for work in said.get("references", [])]
    related += [("isSupplementTo", address, "url") for address in (book.repository, book.url) if address]
    about = {
        "title": book.title,
        "description": said.get("abstract"),
        "upload_type": "software",
        "access_right": "open",
        "license": said["license"],
        "version": book.version,
        "publication_date": book.released,
        "language": "eng",
        "keywords": said.get("keywords"),
        "creators": [_creator(author) for author in book.authors],
        "related_identifiers": [dict(zip(("relation", "identifier", "scheme"), one)) for one in related if one],
    }
    return {name: value for name, value in about.items() if value}


def _agent(author: Author) -> dict[str, str]:
    about = {"@type": "Organization", "@id": author.orcid, "name": author.name}
    if not author.name:
        about = {"@type": "Person", "@id": author.orcid, "givenName": author.given, "familyName": author.family}
    return {name: value for name, value in about.items() if value}


def _creator(author: Author) -> dict[str, str]:
    orcid = author.orcid.rsplit("/", 1)[-1]
    return {"name": str(author)} | ({"orcid": orcid} if orcid else {})


def _publication(work: dict[str, Any]) -> dict[str, Any]:
    address = doi_address(work["doi"]) if work.get("doi") else work.get("url")
    about = {"@type": _KINDS.get(work["type"], "CreativeWork"), "@id": address, "name": work["title"], "url": address,
             "author": [_agent(Author.read(author)) for author in work["authors"]],
             "datePublished": str(work.get("year", ""))}  # fmt: skip
    return {name: value for name, value in about.items() if value}


def _related(relation: str, work: dict[str, Any]) -> tuple[str, str, str] | None:
    """A reference by its DOI, else by its number at arXiv, else by its address."""
    if work.get("doi"):
        return relation, work["doi"], "doi"
    numbers = [other["value"] for other in work.get("identifiers", []) if other["value"].startswith("arXiv:")]
    if numbers:
        return relation, numbers[0], "arxiv"
    return (relation, work["url"], "url") if work.get("url") else None
