"""Sphinx extension: ``{live-gallery}`` shows every live figure of the book at its default state, and offers its files.

``live/<id>.{svg,pdf,png,csv,bib,ris}`` at the root of the built site: the picture, the numbers of the default state in
full precision, and its citation, whose address sets that state. ``live/live.{bib,ris,json}`` cites all of them.
"""

from __future__ import annotations

import csv
import io
import shutil
from html import escape
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util.docutils import SphinxDirective

from elbo import live
from elbo.companion.pages.gallery import thumbnail
from elbo.companion.pages.medium import is_web
from elbo.companion.record import citation
from elbo.companion.record.book import Book
from elbo.live.citing import record
from elbo.live.page import drawn, placed

__all__ = ["LiveGallery", "numbers", "setup"]

CITED = {"bib": "bibtex", "ris": "ris", "json": "csl-json"}


class live_gallery(nodes.General, nodes.Element):
    """Stands where the thumbnails will be, once all pages are read."""


class LiveGallery(SphinxDirective):
    """``{live-gallery}``: a card for each live figure of the book."""

    def run(self) -> list[nodes.Node]:
        self.env.elbo_live_galleries = {*getattr(self.env, "elbo_live_galleries", ()), self.env.docname}
        return [live_gallery()]


def numbers(id: str) -> str:
    """The default state of a figure and its terms as CSV, ``name,value``."""
    about, text = live.figure(id), io.StringIO()
    found = {**about.default, **about.terms(**about.default)}
    csv.writer(text, lineterminator="\n").writerows([("name", "value"), *found.items()])
    return text.getvalue()


def _fill(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    for placeholder in list(doctree.findall(live_gallery)):
        if not is_web(app.builder):  # thumbnails and files are links of the site
            placeholder.parent.remove(placeholder)
            continue
        cards = [_card(app, docname, id, page) for id, page in _ordered(app.env).items()]
        placeholder.replace_self(nodes.container("", *cards, classes=["elbo-gallery"]))


def _ordered(env: BuildEnvironment) -> dict[str, str]:
    return {id: placed(env)[id] for id in live.IDS if id in placed(env)}


def _card(app: Sphinx, docname: str, id: str, page: str) -> nodes.container:
    about, root = live.figure(id), "../" * docname.count("/")
    target = f"{app.builder.get_relative_uri(docname, page)}#{id}"
    picture = (
        f'<a class="elbo-thumbnail" href="{escape(target)}">'
        f'<img src="{root}live/thumbnails/{id}.png" alt="{escape(about.filled(about.alt))}" loading="lazy"></a>'
    )
    files = " ".join(
        f'<a href="{root}live/{id}.{suffix}" download aria-label="{word} of {id}">{word}</a>'
        for suffix, word in (("png", "PNG"), ("pdf", "PDF"), ("csv", "data"), ("bib", "BibTeX"))
    )
    link = nodes.reference("", "", nodes.literal(id, id), refuri=target, internal=True)
    return nodes.container(
        "",
        nodes.raw("", picture, format="html"),
        nodes.paragraph("", about.question),
        nodes.paragraph("", "", link, classes=["elbo-gallery-id"]),
        nodes.raw("", f'<p class="elbo-gallery-files">{files}</p>', format="html"),
    )


def _files(app: Sphinx, error: Exception | None) -> None:
    """The files of every live figure, where the book has a gallery that offers them."""
    folder, found = Path(app.outdir) / "live", _ordered(app.env)
    if error is not None or not is_web(app.builder) or not _galleries(app, app.env):
        return
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "thumbnails").mkdir(parents=True)
    for id in found:
        for suffix in ("svg", "pdf", "png"):
            shutil.copyfile(drawn(app) / f"{id}.{suffix}", folder / f"{id}.{suffix}")
        thumbnail(folder / f"{id}.png", folder / "thumbnails" / f"{id}.png")
        (folder / f"{id}.csv").write_text(numbers(id), encoding="utf-8", newline="\n")
    if not (Path(app.srcdir) / "CITATION.cff").is_file():
        return
    book = Book.read(Path(app.srcdir), app.config.html_baseurl or "")
    records = {id: record(id, page.rpartition("/")[2]) for id, page in found.items()}
    for suffix, format in CITED.items():
        for name, cited in {"live": list(records.values()), **{id: [one] for id, one in records.items()}}.items():
            text = citation.cite_all([(one, "") for one in cited], book, format)
            (folder / f"{name}.{suffix}").write_text(text, encoding="utf-8", newline="\n")


def _galleries(app: Sphinx, env: BuildEnvironment) -> list[str]:
    """The pages with a gallery; they are written whenever something is, since what they show stands on other pages."""
    return sorted(getattr(env, "elbo_live_galleries", ()))


def _purge(app: Sphinx, env: BuildEnvironment, docname: str) -> None:
    env.elbo_live_galleries = {*getattr(env, "elbo_live_galleries", ())} - {docname}


def _merge(app: Sphinx, env: BuildEnvironment, docnames: list[str], other: BuildEnvironment) -> None:
    env.elbo_live_galleries = {*_galleries(app, env), *_galleries(app, other)}


def setup(app: Sphinx) -> dict:
    """Register the directive ``live-gallery``."""
    app.setup_extension("elbo.live.page")
    app.add_node(live_gallery)
    app.add_directive("live-gallery", LiveGallery)
    app.connect("doctree-resolved", _fill)
    app.connect("env-updated", _galleries)
    app.connect("env-purge-doc", _purge)
    app.connect("env-merge-info", _merge)
    app.connect("build-finished", _files)
    return {"version": "1", "env_version": 1, "parallel_read_safe": True, "parallel_write_safe": True}
