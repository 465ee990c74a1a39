"""Sphinx extension: what a page says of itself to machines: JSON-LD (schema.org), the tags that
Google Scholar reads, RO-Crate.

Only what is known is said. Dates are those of the runs (or of the book's version, where nothing was run);
an absolute address stands only where ``html_baseurl`` or ``CITATION.cff`` has one, a repository and a DOI
only where they are configured.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from html import escape
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.config import Config

from elbo.companion.pages.figures import book_of, executed, published, run_of, works_of
from elbo.companion.pages.medium import is_web, page_file
from elbo.companion.record import swhid
from elbo.companion.record.book import LICENSE, Author, Book, doi_address
from elbo.companion.record.citation import question
from elbo.companion.record.works import Work

__all__ = ["json_ld", "scholar", "script", "setup"]


def json_ld(
    docname: str,
    title: str,
    figures: dict[str, dict[str, Any]],
    run: dict[str, Any],
    book: Book,
    papers: Iterable[Work] = (),
) -> dict[str, Any]:
    """A page as schema.org has it: a ``ScholarlyArticle`` with its figures where it was run, else a ``CreativeWork``.

    Args:
        docname: of the page, ``book/blei-2017``.
        figures: those of the page, as :func:`elbo.companion.pages.figures.published` has them.
        run: of the page, see :func:`elbo.companion.pages.figures.run_of`.
        papers: what the page is about or lists, said as ``citation``.
    """
    page, date = book.page(docname), run.get("finished", "")
    whole = {
        "@type": "Book",
        "name": book.title,
        "version": book.version,
        "datePublished": book.released,
        "url": book.url,
        "identifier": book.doi and doi_address(book.doi),
    }
    about = {
        "@context": "https://schema.org",
        "@type": "ScholarlyArticle" if figures else "CreativeWork",
        "@id": page,
        "name": _named(title, book),
        "headline": _named(title, book) if figures else "",
        "url": page,
        "inLanguage": "en",
        "author": [_author(author) for author in book.authors],
        "license": LICENSE,
        "datePublished": date,
        "isPartOf": _said(whole),
        "citation": [_paper(work) for work in papers],
        "hasPart": [_image(docname, id, figure, date, book) for id, figure in figures.items()],
    }
    return _said(about)


def _paper(work: Work) -> dict[str, Any]:
    about = {"@type": "ScholarlyArticle", "@id": work.address, "name": work.title, "url": work.address,
             "datePublished": work.year, "author": [_author(author) for author in work.authors]}  # fmt: skip
    return _said(about)


def _image(docname: str, id: str, figure: dict[str, Any], date: str, book: Book) -> dict[str, Any]:
    root = f"{book.url.rstrip('/')}/" if book.url else "../" * docname.count("/")
    files = f"{root}figures/{id}"
    commit = figure["record"]["environment"].get("commit") or ""
    identity = swhid.of(figure["record"], book.repository)
    identifiers = list(filter(None, [identity["revision"], identity["directory"], *identity["content"]]))
    code = {"@type": "SoftwareSourceCode", "codeRepository": book.repository, "version": commit,
            "identifier": identifiers}  # fmt: skip
    about = {
        "@type": "ImageObject",
        "@id": f"{book.page(docname)}#{id}",
        "identifier": id,
        "name": f"Figure {id}: {question(figure['caption'])}",
        "caption": figure["caption"],
        "description": figure["alt"],
        "contentUrl": f"{files}.svg",
        "encodingFormat": "image/svg+xml",
        "encoding": [
            {"@type": "MediaObject", "contentUrl": f"{files}.{format}", "encodingFormat": kind}
            for format, kind in (("png", "image/png"), ("pdf", "application/pdf"))
        ],
        "isBasedOn": [
            {"@type": "Dataset", "name": f"Table of figure {id}", "description": f"The numbers that figure {id} draws.",
             "license": LICENSE,
             "distribution": {"@type": "DataDownload", "contentUrl": f"{files}.csv", "encodingFormat": "text/csv"}},
            *([_said(code)] if commit else []),
        ],
        "creator": [_author(author) for author in book.authors],
        "creditText": "; ".join(map(str, book.authors)),
        "license": LICENSE,
        "dateCreated": date,
    }  # fmt: skip
    return _said(about)


def scholar(docname: str, title: str, run: dict[str, Any], book: Book) -> dict[str, list[str]]:
    """Tags of a page that was run, or of the book's first page: names and contents."""
    date = (run.get("finished") or book.released)[:10]
    tags = {
        "citation_title": [_named(title, book)],
        "citation_author": list(map(str, book.authors)),
        "citation_publication_date": [date.replace("-", "/")],
        "citation_inbook_title": [book.title] if run else [],
        "citation_language": ["en"],
        "citation_doi": [book.doi] if book.doi and not run else [],
        "citation_fulltext_html_url": [book.page(docname)] if book.url else [],
    }
    return {name: values for name, values in tags.items() if values}


def script(about: dict[str, Any]) -> str:
    """JSON-LD as an element of a page; no text in it can end the element or start another."""
    text = json.dumps(about, ensure_ascii=False)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return f'<script type="application/ld+json">{text}</script>'


def _named(title: str, book: Book) -> str:
    """A page's title, with the book's: a chapter bears the title of its paper, and must not be taken for the paper."""
    short = book.title.split(":")[0]
    return book.title if title == short else f"{title} (in {short})"


def _author(author: Author) -> dict[str, Any]:
    if author.name:
        return {"@type": "Organization", "name": author.name}
    name = " ".join(filter(None, [author.given, author.family]))
    return _said({"@type": "Person", "name": name, "givenName": author.given, "familyName": author.family})


def _said(about: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in about.items() if value}


def _add(
    app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: nodes.document | None
) -> None:
    book = book_of(app.env)
    if doctree is None or book is None or not is_web(app.builder):
        return
    figures = {id: about for id, about in published(app.env).items() if about["docname"] == pagename}
    run = run_of(app.env, pagename.rsplit("/", 1)[-1])
    title = app.env.titles[pagename].astext()
    works = works_of(app.env)
    papers = list(works.values()) if pagename == "book/references" else filter(None, [works.get(Path(pagename).name)])
    head = [script(json_ld(pagename, title, figures, run, book, papers))]
    if run or figures or pagename == app.config.root_doc:
        for name, values in scholar(pagename, title, run, book).items():
            head += [f'<meta name="{name}" content="{escape(value)}">' for value in values]
    context["metatags"] = context.get("metatags", "") + "\n" + "\n".join(head) + "\n"


def _crate(app: Sphinx, error: Exception | None) -> None:
    if error is not None or not is_web(app.builder) or (book := book_of(app.env)) is None:
        return
    from elbo.companion.pages import crate

    figures = published(app.env)
    chapters = {about["record"]["chapter"]: about["docname"] for about in figures.values()}
    crate.write(
        Path(app.outdir),
        book,
        pages={
            docname: (page_file(app.builder, docname), app.env.titles[docname].astext())
            for docname in sorted(app.env.found_docs)
        },
        figures=figures,
        runs={chapter: run_of(app.env, chapter) for chapter in chapters},
        works=works_of(app.env),
        notebooks={chapter: sorted(executed(app.env, docname)) for chapter, docname in chapters.items()},
    )


def _address(app: Sphinx, config: Config) -> None:
    """Where no address is configured, the one of ``CITATION.cff`` is the book's."""
    if not config.html_baseurl and (Path(app.srcdir) / "CITATION.cff").is_file():
        config.html_baseurl = Book.read(Path(app.srcdir)).url


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the tags of the pages and the description of the site."""
    app.setup_extension("elbo.companion.pages.figures")
    app.connect("config-inited", _address)
    app.connect("html-page-context", _add)
    app.connect("build-finished", _crate, priority=999)  # when every other file of the site is there
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
