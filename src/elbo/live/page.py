"""Sphinx extension: the directive ``{live}`` puts a live figure on the page, the role
``{live}`` links to a state of it.

::

    ```{live} elbo-four-cuts
    ```
    {live}`too wide a code <elbo-four-cuts: sd=1.3>`

The page holds the static figure, drawn by the Python twin while the book is built; its script replaces it where scripts
run. PDF, print and readers without scripts keep it. Wrong names and values are warnings, hence errors under ``-W``.
"""

from __future__ import annotations

import json
import os
import re
from html import escape
from pathlib import Path

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective, SphinxRole

from elbo import live
from elbo.companion.pages.medium import is_web, to_root
from elbo.companion.record import citation
from elbo.companion.record.book import Book
from elbo.live.citing import record
from elbo.live.spec import Figure

__all__ = ["Live", "LiveState", "drawn", "placed", "setup"]

logger = logging.getLogger(__name__)
STATIC = Path(__file__).parent / "static"
CHECKED = "book/live"
"""The page that says how live figures are checked; linked from each where the book has it."""
_MATHS = re.compile(r"\$([^$]+)\$")
_LINK = re.compile(r"(.+?)\s*<([\w-]+)\s*:\s*([^<>]*)>$", re.DOTALL)


class live_stage(nodes.General, nodes.Element):
    """The element that a script takes over; its child is the static figure."""


class live_legend(nodes.General, nodes.Element):
    """The line under a live figure."""


class Live(SphinxDirective):
    """``{live} <id>``: a live figure, numbered, captioned and named by its id."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        try:
            about = live.figure(self.arguments[0])
        except KeyError as error:
            raise self.error(error.args[0]) from None
        found = placed(self.env)
        if found.setdefault(about.id, self.env.docname) != self.env.docname:
            raise self.error(f"live figure {about.id} stands on two pages: {found[about.id]} and {self.env.docname}")
        folder = _draw(self.env.app, about)
        where = "/" + Path(os.path.relpath(folder / f"{about.id}.*", self.env.srcdir)).as_posix()
        image = nodes.image(uri=where, alt=about.filled(about.alt))
        frame = nodes.container("", image, classes=["elbo-figure-image"])
        caption = about.filled(about.caption)
        words = nodes.caption(caption, "", *_words(caption))
        over = nodes.paragraph("", about.question, classes=["elbo-live-question"])
        question = addnodes.only("", over, expr="html")  # elsewhere the caption, which opens with it, is enough
        figure = nodes.figure(
            "", question, live_stage("", frame, figure=about.id), words, live_legend(), align="default"
        )
        figure["classes"] += ["elbo-live-figure", "elbo-figure"]
        figure["names"].append(nodes.fully_normalize_name(about.id))
        self.set_source_info(figure)
        self.state.document.note_explicit_target(figure, figure)
        return [figure]


class LiveState(SphinxRole):
    """``{live}`words <id: name=value, ...>```: a link that sets a live figure to a state."""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        match = _LINK.match(self.text)
        try:
            if not match:
                raise ValueError("write {live}`words <id: name=value, ...>`")
            words, id, given = match.groups()
            state = _state(live.figure(id), given)
        except (KeyError, ValueError) as error:
            message = self.inliner.reporter.error(f"live: {error.args[0]}", line=self.lineno)
            return [self.inliner.problematic(self.rawtext, self.rawtext, message)], [message]
        link = state_link(words, words, id=id, state=state)
        return [link], []


class DecoderNumber(SphinxRole):
    """``{live-decoder}`name .4f```: a number from the record of the quantised decoder, as it was measured."""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        name, _, form = self.text.partition(" ")
        said = json.loads((Path(__file__).parent / "decoder.json").read_text(encoding="utf-8"))
        if not isinstance(said.get(name), int | float):
            message = self.inliner.reporter.error(
                f"live: the decoder's record has no number {name!r}", line=self.lineno
            )
            return [self.inliner.problematic(self.rawtext, self.rawtext, message)], [message]
        return [nodes.Text(format(said[name], form).replace("-", "−"))], []


class state_link(nodes.Inline, nodes.TextElement):
    """A link to a state of a live figure, which may stand on another page."""


def _state(about: Figure, given: str) -> str:
    """``name:value,...`` in the address, every control named; refuses what the figure would not take as it is."""
    state = about.default
    for part in filter(None, map(str.strip, given.split(","))):
        name, _, value = part.partition("=")
        if name not in state:
            raise ValueError(f"{about.id} has no control {name!r}; there are {', '.join(state)}")
        control = next(one for one in about.controls if one.name == name)
        state[name] = control.clean(value)
        if abs(state[name] - float(value)) > 1e-9:
            raise ValueError(f"{about.id} does not take {name}={value}; the nearest value is {state[name]:g}")
    return ",".join(f"{name}:{value:g}" for name, value in state.items())


def _words(text: str) -> list[nodes.Node]:
    parts = _MATHS.split(text)
    return [nodes.math(part, part) if i % 2 else nodes.Text(part) for i, part in enumerate(parts) if part]


def drawn(app: Sphinx) -> Path:
    """The folder below the build directory that holds the static figures."""
    return Path(app.outdir).parent / "jupyter_execute" / "live"


def _draw(app: Sphinx, about: Figure) -> Path:
    """The static figure as SVG, PDF and PNG; returns the folder."""
    folder, figure = drawn(app), live.show(about.id)
    folder.mkdir(parents=True, exist_ok=True)
    for suffix, about_file in (("svg", {"Date": None}), ("pdf", {"CreationDate": None}), ("png", {})):
        figure.savefig(folder / f"{about.id}.{suffix}", dpi=300, metadata={**about_file, "Title": about.question})
    return folder


def placed(env) -> dict[str, str]:
    """Where each live figure stands: page by id."""
    if not hasattr(env, "elbo_live"):
        env.elbo_live = {}
    return env.elbo_live


def _purge(app: Sphinx, env, docname: str) -> None:
    env.elbo_live = {id: page for id, page in placed(env).items() if page != docname}


def _merge(app: Sphinx, env, docnames: list[str], other) -> None:
    placed(env).update(placed(other))


def _cite(app: Sphinx, about: Figure) -> str:
    """BibTeX of a state; ``@URL@`` is where the script writes the address. Empty for a book
    that does not say how it is cited.
    """
    if not (Path(app.srcdir) / "CITATION.cff").is_file():
        return ""
    book, said = Book.read(Path(app.srcdir), "https://book.invalid"), record(about.id, "page")
    return citation.cite(said, book, "bibtex").replace(book.address(said), "@URL@")


def _visit_stage(translator, node) -> None:
    if not is_web(translator.builder):
        return
    about = live.figure(node["figure"])
    record = escape(json.dumps(about.record(), ensure_ascii=False), quote=True)
    base = to_root(translator.builder, translator.builder.current_docname) + "_static/live/"
    cite = escape(_cite(translator.builder.app, about), quote=True)
    rows = len([one for one in about.controls if one.tab in (None, 0)])
    wide = about.height[0] + 112 + 50 * -(-rows // 2)
    narrow = about.height[1] + 135 + 54 * rows
    narrow += 34 * sum(len("".join(one.options)) > 31 for one in about.controls)
    longest = max(len(about.say(**about.default)), 60)
    wide += 24 * max(0, -(-longest // 78) - 2)
    narrow += 24 * max(0, -(-longest // 37) - 2)
    translator.body.append(
        f'<elbo-live class="elbo-live" data-id="{about.id}" data-base="{base}" data-cite="{cite}" data-spec="{record}" '
        f'style="--live-wide:{wide}px;--live-narrow:{narrow}px">'
        "<script>document.currentScript.parentNode.classList.add('elbo-live-wait')</script>"
    )


def _depart_stage(translator, node) -> None:
    if is_web(translator.builder):
        translator.body.append("</elbo-live>\n")


def _visit_legend(translator, node) -> None:
    builder = translator.builder
    if is_web(builder) and CHECKED in builder.env.found_docs and builder.current_docname != CHECKED:
        address = builder.get_relative_uri(builder.current_docname, CHECKED)
        translator.body.append(
            f'<div class="legend"><p><a href="{address}">How these numbers are checked</a></p></div>'
        )
    raise nodes.SkipNode


def _visit_link(translator, node) -> None:
    builder, id, state = translator.builder, node["id"], node["state"]
    if not is_web(builder):
        return
    page = placed(builder.env).get(id)
    if page is None:
        logger.warning("live: a link leads to %s, which stands on no page", id, location=node, type="elbo")
        page = builder.current_docname
    address = builder.get_relative_uri(builder.current_docname, page) or "#"
    address = f"{address.partition('#')[0]}?{id}={state}#{id}"
    translator.body.append(
        f'<a class="elbo-live-set reference internal" href="{address}" data-figure="{id}" data-state="{state}">'
    )


def _depart_link(translator, node) -> None:
    if is_web(translator.builder):
        translator.body.append("</a>")


def _nothing(translator, node) -> None:
    pass


def _skip(translator, node) -> None:
    raise nodes.SkipNode


def _scripts(app: Sphinx, pagename: str, templatename: str, context: dict, doctree) -> None:
    """The runtime and the figures' own scripts, on the pages where they stand."""
    ids = [id for id, page in sorted(placed(app.env).items()) if page == pagename]
    if not ids or not is_web(app.builder):
        return
    app.add_css_file("live/live.css")
    for name in ("maths", "live", *ids):
        app.add_js_file(f"live/{name}.js", loading_method="defer")


def _static(app: Sphinx, config) -> None:
    config.html_static_path = [*config.html_static_path, str(STATIC)]


def setup(app: Sphinx) -> dict:
    """Register the directive and the role ``live``."""
    paper = (_nothing, _nothing)
    others = {"epub": paper, "latex": paper, "text": paper, "man": paper, "texinfo": paper}
    none = {name: (_skip, None) for name in others}
    app.add_node(live_stage, html=(_visit_stage, _depart_stage), **others)
    app.add_node(live_legend, html=(_visit_legend, None), **none)
    app.add_node(state_link, html=(_visit_link, _depart_link), **others)
    app.add_directive("live", Live)
    app.add_role("live", LiveState())
    app.add_role("live-decoder", DecoderNumber())
    app.connect("config-inited", _static)
    app.connect("html-page-context", _scripts)
    app.connect("env-purge-doc", _purge)
    app.connect("env-merge-info", _merge)
    return {"version": "1", "env_version": 1, "parallel_read_safe": True, "parallel_write_safe": True}
