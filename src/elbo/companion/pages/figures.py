"""Sphinx extension and MyST-NB renderer: from the output of :func:`elbo.companion.figure` to a figure of the page.

The page shows the SVG with its caption under the figure's own id. The files go to ``figures/<id>.<format>`` at the root
of the built site, where they stay, with ``figures/figures.{bib,ris,json}`` for all figures together and
``notebooks/<key>.{ipynb,md}`` for the chapters as executed and as written. An id that occurs twice in the book is a
warning (an error under ``-W``).
"""

from __future__ import annotations

import json
import os
import re
import shutil
from html import escape
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util import logging

from elbo.companion.pages.dark import darkened, displayed_size
from elbo.companion.pages.legend import Place, legend
from elbo.companion.pages.medium import PAPER, WEB, is_web, to_root
from elbo.companion.pages.printed import printed_legend
from elbo.companion.pages.screen import for_screen
from elbo.companion.record import citation, works
from elbo.companion.record.handover import FORMATS, MIME, cell_lines, content_of, run_facts

__all__ = ["FigureRenderer", "book_of", "caption_nodes", "executed", "published", "run_of", "setup", "works_of"]

logger = logging.getLogger(__name__)
COLLECTIONS = {"bib": "bibtex", "ris": "ris", "json": "csl-json"}
"""Citation files, by suffix: of each figure (the first two; its ``.json`` is the
record) and of all figures together.
"""
_NOT_OURS = (
    "https://github.com/executablebooks/jupyter-book"  # jupyter-book's own, which it configures where a book has none
)
_MARKED = re.compile(r"(?<!\\)\$([^$]+)\$|`([^`]+)`")


class FigureRenderer:
    """Renders the MIME type of a published figure; the PNG beside it is stored, not shown a second time."""

    mime_priority_overrides = [("*", MIME, 1)]

    @staticmethod
    def handle_mime(renderer: Any, data: Any, inline: bool) -> list[nodes.Element] | None:
        if inline:
            return None
        env = renderer.renderer.sphinx_env
        if data.mime_type == MIME:
            return _figure(renderer, data.content, env, data.line)
        if data.mime_type == "image/png" and (id := data.output_metadata.get("elbo_figure")):
            _write(_folder(env), id, "png", content_of("png", data.content))
            return []
        return None


def _figure(renderer: Any, content: dict[str, Any], env: BuildEnvironment, line: int | None) -> list[nodes.Element]:
    id = content["id"]
    known = published(env)
    if id in known:
        logger.warning(
            "figure %s is published twice: in %s and in %s",
            id,
            known[id]["docname"],
            env.docname,
            location=(env.docname, line),
            type="elbo",
            subtype="figure",
        )
        return []
    record = json.loads(content["files"]["json"])
    known[id] = {"docname": env.docname, "caption": content["caption"], "alt": content["alt"], "record": record}
    known[id]["panels"] = content.get("panels", [])
    folder = _folder(env)
    for format, text in content["files"].items():
        _write(folder, id, format, content_of(format, text))
    images = _images(folder, id, content, _place(env, record), env)
    caption = nodes.caption(content["caption"], "", *caption_nodes(content["caption"]))
    run, book = run_of(env, record["chapter"]), book_of(env)
    folded = nodes.raw("", legend(record, run, _place(env, record), book), format="html")
    lines = [
        addnodes.only("", folded, expr=WEB),
        addnodes.only("", *printed_legend(record, run, book), expr=PAPER),
    ]
    frame = nodes.container("", *images, classes=["elbo-figure-image"])  # scrolls on a narrow screen
    figure = nodes.figure("", frame, caption, nodes.legend("", *lines), classes=["elbo-figure"], align="default")
    figure["names"].append(nodes.fully_normalize_name(id))
    renderer.renderer.document.note_explicit_target(figure, figure)
    return [figure]


def _images(folder: Path, id: str, content: dict[str, Any], place: Place, env: BuildEnvironment) -> list[nodes.Element]:
    """The drawing for the page, and the one that the dark theme shows; a browser fetches the one that is seen."""
    svg = for_screen(content["files"]["svg"])
    for theme, drawing in {"screen": svg, "dark": darkened(svg)}.items():
        _write(folder / theme, id, "svg", drawing.encode())
    pixels = displayed_size(svg)
    size = f' width="{pixels[0]}" height="{pixels[1]}"' if pixels else ""
    about = f'alt="{escape(content["alt"])}"{size} loading="lazy"'
    light, dark = (escape(f"{place.root}figures/{theme}/{id}.svg") for theme in ("screen", "dark"))
    shown = f'<img class="elbo-light" src="{light}" {about}><img class="only-dark elbo-dark" src="{dark}" {about}>'
    uri = "/" + Path(os.path.relpath(folder / f"{id}.*", env.srcdir)).as_posix()
    return [
        addnodes.only("", nodes.raw("", shown, format="html"), expr=WEB),
        addnodes.only("", nodes.image(uri=uri, alt=content["alt"]), expr=PAPER),
    ]


def caption_nodes(text: str) -> list[nodes.Node]:
    """A caption's text as nodes: ``$...$`` is mathematics, backquotes are code,
    everything else is text and stays text.
    """
    found, position = [], 0
    for match in _MARKED.finditer(text):
        if match.start() > position:
            found.append(nodes.Text(text[position : match.start()]))
        tex, code = match.groups()
        found.append(nodes.math(tex, tex) if tex else nodes.literal(code, code))
        position = match.end()
    if position < len(text):
        found.append(nodes.Text(text[position:]))
    return found


def published(env: BuildEnvironment) -> dict[str, dict[str, Any]]:
    """The figures of the book so far: by id, ``docname``, ``caption``, ``alt`` and ``record``."""
    kept: dict[str, dict[str, Any]] = env.__dict__.setdefault("elbo_figures", {})
    return kept


def book_of(env: BuildEnvironment) -> citation.Book | None:
    """The book as its ``CITATION.cff`` describes it, at the address that is
    configured; ``None`` without such a file.
    """
    repository = (env.config.html_theme_options or {}).get("repository_url") or ""
    try:
        return citation.Book.read(
            Path(env.srcdir), env.config.html_baseurl or "", repository if repository != _NOT_OURS else ""
        )
    except FileNotFoundError:
        return None


def works_of(env: BuildEnvironment) -> dict[str, works.Work]:
    """What the book cites, by key: of a chapter, the key of its paper."""
    return works.read(Path(env.srcdir) / "book" / "references.bib")


def run_of(env: BuildEnvironment, chapter: str) -> dict[str, Any]:
    """What is known of the run of a chapter beside its figures' records; ``elbo build`` lays it beside the pages."""
    return run_facts(Path(env.srcdir) / "runs" / chapter / "run.json")


def executed(env: BuildEnvironment, docname: str) -> dict[str, Path]:
    """The files of a chapter to offer: by address in the site, where they lie now.

    The notebook is the accepted run, byte for byte, or what MyST-NB has executed where there is none.
    """
    key = docname.rsplit("/", 1)[-1]
    folder = Path(env.srcdir) / "runs" / key
    choices = {
        f"notebooks/{key}.ipynb": [folder / f"{key}.ipynb", _folder(env).parent / f"{docname}.ipynb"],
        f"notebooks/{key}.md": [folder / f"{key}.md", Path(env.srcdir) / f"{docname}.md"],
    }
    found = {name: next((path for path in paths if path.is_file()), None) for name, paths in choices.items()}
    return {name: path for name, path in found.items() if path}


def _place(env: BuildEnvironment, record: dict[str, Any]) -> Place:
    key = env.docname.rsplit("/", 1)[-1]
    files = executed(env, env.docname)
    source = files.get(f"notebooks/{key}.md")
    lines = cell_lines(source.read_text(encoding="utf-8"), record["id"]) if source else None
    return Place(
        root=to_root(env.app.builder, env.docname),
        notebook=f"notebooks/{key}.ipynb",  # MyST-NB writes it after this page is read
        source=f"notebooks/{key}.md" if source else "",
        cell=f"{env.docname}.md#L{lines[0]}-L{lines[1]}" if lines else "",
    )


def _folder(env: BuildEnvironment) -> Path:
    return Path(env.app.outdir).parent / "jupyter_execute" / "figures"


def _write(folder: Path, id: str, format: str, content: bytes) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{id}.{format}").write_bytes(content)


def _purge(app: Sphinx, env: BuildEnvironment, docname: str) -> None:
    for id in [id for id, about in published(env).items() if about["docname"] == docname]:
        del published(env)[id]


def _merge(app: Sphinx, env: BuildEnvironment, docnames: list[str], other: BuildEnvironment) -> None:
    published(env).update(published(other))


def _copy(app: Sphinx, error: Exception | None) -> None:
    if error is not None or not is_web(app.builder):
        return
    outdir, figures = Path(app.outdir), published(app.env)
    for name in ("figures", "notebooks"):
        shutil.rmtree(outdir / name, ignore_errors=True)
    if not figures:
        return
    for theme in ("screen", "dark"):
        (outdir / "figures" / theme).mkdir(parents=True)
    (outdir / "notebooks").mkdir()
    for id in sorted(figures):
        for format in FORMATS:
            shutil.copyfile(_folder(app.env) / f"{id}.{format}", outdir / "figures" / f"{id}.{format}")
        for theme in ("screen", "dark"):
            shutil.copyfile(_folder(app.env) / theme / f"{id}.svg", outdir / "figures" / theme / f"{id}.svg")
    for docname in sorted({about["docname"] for about in figures.values()}):
        for name, path in executed(app.env, docname).items():
            shutil.copyfile(path, outdir / name)
    if book := book_of(app.env):
        _write_citations(app.env, book, outdir / "figures")


def _write_citations(env: BuildEnvironment, book: citation.Book, folder: Path) -> None:
    records = {id: about["record"] for id, about in sorted(published(env).items())}
    dated = {id: (record, run_of(env, record["chapter"]).get("finished", "")) for id, record in records.items()}
    for suffix, format in COLLECTIONS.items():
        files = {"figures": list(dated.values())} | (
            {id: [one] for id, one in dated.items()} if suffix != "json" else {}
        )
        for name, cited in files.items():
            (folder / f"{name}.{suffix}").write_text(
                citation.cite_all(cited, book, format), encoding="utf-8", newline="\n"
            )


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the bookkeeping of figures; the renderer itself is found by its entry point."""
    app.connect("env-purge-doc", _purge)
    app.connect("env-merge-info", _merge)
    app.connect("build-finished", _copy)
    return {"version": "2", "env_version": 2, "parallel_read_safe": True, "parallel_write_safe": True}
