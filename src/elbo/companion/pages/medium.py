"""What the builder at work makes, as far as a page must know: for a browser or for paper, and where its files lie."""

from __future__ import annotations

from typing import Any

__all__ = ["PAPER", "WEB", "is_web", "page_file", "to_root"]

WEB, PAPER = "html and not epub", "not html or epub"
"""Expressions of the directive ``only``: an EPUB is written as HTML, and read like paper."""


def is_web(builder: Any) -> bool:
    """Whether the builder makes pages for a browser, with the files of the figures beside them."""
    return bool(builder.format == "html" and builder.name != "epub")


def page_file(builder: Any, docname: str) -> str:
    """The file of a page, as a path from the root of the site."""
    if builder.name == "dirhtml":
        stem = docname.removesuffix("index").rstrip("/")
        return f"{stem}/index.html" if stem else "index.html"
    return f"{builder.config.root_doc if builder.name == 'singlehtml' else docname}.html"


def to_root(builder: Any, docname: str) -> str:
    """The way from a page to the root of the site: ``../`` for each directory that its file lies in."""
    return "../" * page_file(builder, docname).count("/")
