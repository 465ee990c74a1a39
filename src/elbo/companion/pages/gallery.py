"""Sphinx extension: all figures on one page, ``{elbo-gallery} <chapter key>``, each a
thumbnail that leads to the figure.

What is shown is what the chapters have published in this build; nothing is listed by hand. A figure that no gallery
shows, in a book that has galleries, is a warning, and so is a gallery of a chapter without figures.
"""

from __future__ import annotations

import zipfile
from html import escape
from pathlib import Path
from typing import Any

from docutils import nodes
from PIL import Image
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

from elbo.companion.pages.figures import caption_nodes, published
from elbo.companion.pages.medium import is_web, to_root
from elbo.companion.record.citation import question

__all__ = ["Gallery", "setup", "thumbnail"]

WIDTH, COLOURS = 520, 64
"""Of a thumbnail: its width in pixels, what it is shown with and half as much again, and how many colours it keeps."""

_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest time that a zip can hold

logger = logging.getLogger(__name__)


class gallery(nodes.General, nodes.Element):
    """Stands where the thumbnails of a chapter (attribute ``chapter``) will be, once all pages are read."""


class Gallery(SphinxDirective):
    """``{elbo-gallery} <chapter key>``"""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        key = self.arguments[0]
        _galleries(self.env).setdefault(self.env.docname, []).append(key)
        placeholder = gallery(chapter=key)
        self.set_source_info(placeholder)
        return [placeholder]


def _galleries(env: BuildEnvironment) -> dict[str, list[str]]:
    kept: dict[str, list[str]] = env.__dict__.setdefault("elbo_galleries", {})
    return kept


def _of(env: BuildEnvironment, chapter: str) -> dict[str, dict[str, Any]]:
    return {id: about for id, about in published(env).items() if about["record"]["chapter"] == chapter}


def _fill(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    for placeholder in list(doctree.findall(gallery)):
        figures = _of(app.env, placeholder["chapter"])
        if not figures:
            logger.warning(
                "no figure of %s was published, so its gallery is empty",
                placeholder["chapter"],
                location=placeholder,
                type="elbo",
                subtype="gallery",
            )
        cards = [_card(app, docname, id, about) for id, about in figures.items()]
        every = [_archive(to_root(app.builder, docname), placeholder["chapter"], len(figures))] if figures else []
        placeholder.replace_self([*every, nodes.container("", *cards, classes=["elbo-gallery"])])


def _card(app: Sphinx, docname: str, id: str, about: dict[str, Any]) -> nodes.container:
    target = f"{app.builder.get_relative_uri(docname, about['docname'])}#{id}"
    root = to_root(app.builder, docname)
    image = f"{root}figures/thumbnails/{id}.png"
    picture = (
        f'<a class="elbo-thumbnail" href="{escape(target)}">'
        f'<img src="{escape(image)}" alt="{escape(about["alt"])}" loading="lazy"></a>'
    )
    link = nodes.reference("", "", nodes.literal(id, id), refuri=target, internal=True)
    return nodes.container(
        "",
        nodes.raw("", picture, format="html"),
        nodes.paragraph("", "", *caption_nodes(question(about["caption"]))),
        nodes.paragraph("", "", link, classes=["elbo-gallery-id"]),
        nodes.raw("", _files(root, id, len(about.get("panels", []))), format="html"),
    )


def _files(root: str, id: str, panels: int = 0) -> str:
    """For a slide: the large picture, the same as vector graphics, the numbers, and each panel, a click each."""
    folder = f"{root}figures/"
    links = (
        f'<a href="{escape(folder + id)}.{format}" download aria-label="{text} of {id}">{text}</a>'
        for format, text in (("png", "PNG"), ("pdf", "PDF"), ("csv", "data"))
    )
    single = (
        f'<a href="{escape(folder)}panels/{escape(id)}-{n}.png" download aria-label="Panel {n} of {id}">{n}</a>'
        for n in range(1, panels + 1)
    )
    alone = f"<span>panels {' '.join(single)}</span>" if panels else ""
    return f'<p class="elbo-gallery-files">{" ".join(links)} {alone}</p>'


def _archive(root: str, key: str, count: int) -> nodes.raw:
    href = f"{root}figures/{key}.zip"
    text = f"{count} {'figure' if count == 1 else 'figures'}: PNG, PDF and data in one file"
    return nodes.raw("", f'<p><a href="{escape(href)}" download>{text}</a></p>', format="html")


def _again(app: Sphinx, env: BuildEnvironment) -> list[str]:
    """The pages with galleries are written whenever something is: what they show stands on other pages."""
    return sorted(_galleries(env))


def _check(app: Sphinx, env: BuildEnvironment) -> None:
    shown = {key for keys in _galleries(env).values() for key in keys}
    missing = sorted({about["record"]["chapter"] for about in published(env).values()} - shown)
    for key in missing if shown else []:
        logger.warning(
            "the figures of %s are in no gallery; add `{elbo-gallery} %s` to %s",
            key,
            key,
            ", ".join(sorted(_galleries(env))),
            type="elbo",
            subtype="gallery",
        )


def _purge(app: Sphinx, env: BuildEnvironment, docname: str) -> None:
    _galleries(env).pop(docname, None)


def _merge(app: Sphinx, env: BuildEnvironment, docnames: list[str], other: BuildEnvironment) -> None:
    _galleries(env).update(_galleries(other))


def thumbnail(source: Path, target: Path) -> None:
    """A small PNG of a picture."""
    with Image.open(source) as image:
        small = image.convert("RGB")
        small.thumbnail((WIDTH, WIDTH), Image.Resampling.LANCZOS)
        small.quantize(COLOURS, dither=Image.Dither.NONE).save(target, optimize=True)


def _thumbnails(app: Sphinx, error: Exception | None) -> None:
    if error is not None or not is_web(app.builder) or not _galleries(app.env):
        return
    folder = Path(app.outdir) / "figures"
    for id in published(app.env):
        target = folder / "thumbnails" / f"{id}.png"
        target.parent.mkdir(exist_ok=True)
        thumbnail(folder / f"{id}.png", target)


def _panels(app: Sphinx, error: Exception | None) -> None:
    """``figures/panels/<id>-<n>.png``: the panels cut out of the large picture."""
    if error is not None or app.builder.format != "html" or not _galleries(app.env):
        return
    folder = Path(app.outdir) / "figures"
    for id, about in published(app.env).items():
        for number, (left, top, right, bottom) in enumerate(about.get("panels", []), 1):
            (folder / "panels").mkdir(exist_ok=True)
            with Image.open(folder / f"{id}.png") as image:
                across, down = image.size
                edges = (round(left * across), round(top * down), round(right * across), round(bottom * down))
                image.crop(edges).convert("RGB").save(folder / "panels" / f"{id}-{number}.png", optimize=True)


def _archives(app: Sphinx, error: Exception | None) -> None:
    """``figures/<chapter>.zip`` with the picture, the vector graphics and the data of each
    figure; equal input, equal bytes.
    """
    if error is not None or not is_web(app.builder):
        return
    folder = Path(app.outdir) / "figures"
    for key in sorted({key for keys in _galleries(app.env).values() for key in keys}):
        figures = _of(app.env, key)
        if not figures:
            continue
        with zipfile.ZipFile(folder / f"{key}.zip", "w") as archive:
            whole = [f"{id}.{format}" for id in sorted(figures) for format in ("png", "pdf", "csv")]
            single = [
                f"panels/{id}-{n}.png"
                for id in sorted(figures)
                for n in range(1, len(figures[id].get("panels", [])) + 1)
            ]
            for name in [*whole, *single]:
                entry = zipfile.ZipInfo(f"{key}/{name}", _EPOCH)
                archive.writestr(entry, (folder / name).read_bytes(), zipfile.ZIP_DEFLATED)


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the directive ``elbo-gallery``."""
    app.setup_extension("elbo.companion.pages.figures")
    app.add_node(gallery)
    app.add_directive("elbo-gallery", Gallery)
    app.connect("doctree-resolved", _fill)
    app.connect("env-updated", _again)
    app.connect("env-check-consistency", _check)
    app.connect("env-purge-doc", _purge)
    app.connect("env-merge-info", _merge)
    app.connect("build-finished", _thumbnails, priority=600)  # after the figures are in their place
    app.connect("build-finished", _panels, priority=600)
    app.connect("build-finished", _archives, priority=610)
    return {"version": "1", "env_version": 1, "parallel_read_safe": True, "parallel_write_safe": True}
