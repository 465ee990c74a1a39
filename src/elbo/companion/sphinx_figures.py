"""Sphinx extension and MyST-NB renderer: from the output of :func:`elbo.companion.figure` to a figure of the page.

The page shows the SVG with its caption under the figure's own id; the files go to ``figures/<id>.<format>`` at the root of the
built site, where they stay. An id that occurs twice in the book is a warning (an error under ``-W``).
"""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
from html import escape
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util import logging

from elbo.companion import citation
from elbo.companion.publish import FORMATS, MIME

__all__ = ["FigureRenderer", "caption_nodes", "setup"]

logger = logging.getLogger(__name__)
_LABEL = {"svg": "SVG", "pdf": "PDF", "png": "PNG", "csv": "data (CSV)", "json": "record (JSON)"}
_MARKED = re.compile(r"(?<!\\)\$([^$]+)\$|`([^`]+)`")


class FigureRenderer:
    """Renders the MIME type of a published figure; the PNG beside it is stored, not shown a second time."""

    mime_priority_overrides = [("*", MIME, 1)]

    @staticmethod
    def handle_mime(renderer, data, inline: bool) -> list[nodes.Element] | None:
        if inline:
            return None
        env = renderer.renderer.sphinx_env
        if data.mime_type == MIME:
            return _figure(renderer, data.content, env, data.line)
        if data.mime_type == "image/png" and (id := data.output_metadata.get("elbo_figure")):
            _write(_folder(env), id, "png", base64.b64decode(data.content))
            return []
        return None


def _figure(renderer, content: dict, env: BuildEnvironment, line: int | None) -> list[nodes.Element]:
    id = content["id"]
    published = _published(env)
    if id in published:
        logger.warning("figure %s is published twice: in %s and in %s", id, published[id]["docname"], env.docname,
                       location=(env.docname, line), type="elbo", subtype="figure")
        return []
    published[id] = {"docname": env.docname, "caption": content["caption"], "alt": content["alt"]}
    folder = _folder(env)
    for format, text in content["files"].items():
        _write(folder, id, format, base64.b64decode(text) if format in ("pdf", "png") else text.encode())
    image = nodes.image(uri="/" + Path(os.path.relpath(folder / f"{id}.*", env.srcdir)).as_posix(), alt=content["alt"])
    caption = nodes.caption(content["caption"], "", *caption_nodes(content["caption"]))
    record = json.loads(content["files"]["json"])
    frame = nodes.container("", image, classes=["elbo-figure-image"])  # scrolls on a narrow screen
    figure = nodes.figure("", frame, caption, nodes.legend("", _legend(record, env)), classes=["elbo-figure"], align="default")
    figure["names"].append(nodes.fully_normalize_name(id))
    renderer.renderer.document.note_explicit_target(figure, figure)
    return [figure]


def caption_nodes(text: str) -> list[nodes.Node]:
    """A caption's text as nodes: ``$...$`` is mathematics, backquotes are code, everything else is text and stays text."""
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


def _legend(record: dict, env: BuildEnvironment) -> nodes.raw:
    """The quiet lines under a caption: the id, the files, how to cite, which run. Everything in it is escaped."""
    id, to_root = record["id"], "../" * env.docname.count("/")
    links = " · ".join(f'<a href="{to_root}figures/{id}.{format}" download>{_LABEL[format]}</a>' for format in FORMATS)
    parts = [f'<p class="elbo-figure-files"><a class="elbo-figure-id" href="#{id}"><code>{id}</code></a> · {links}</p>']
    if (Path(env.srcdir) / "CITATION.cff").exists():
        book = citation.Book.read(Path(env.srcdir), env.config.html_baseurl or "")
        blocks = (citation.cite(record, book, format) for format in ("text", "bibtex"))
        parts.append(_details("Cite", "".join(f"<pre>{escape(block)}</pre>" for block in blocks)))
    parts.append(_details("Run", f"<pre>{escape(record['command'])}</pre>" + _table(_facts(record))))
    return nodes.raw("", f'<div class="elbo-figure-legend">{"".join(parts)}</div>', format="html")


def _facts(record: dict) -> dict[str, str]:
    about = record["environment"]
    return {
        "profile": record["profile"] or "none (run by hand)",
        "parameters": ", ".join(f"{name} = {json.dumps(value)}" for name, value in record["parameters"].items()),
        "settled on": ", ".join(f"{name} = {json.dumps(value)}" for name, value in record.get("settings", {}).items()),
        "commit": (about.get("commit") or "unknown") + (", with changes that were not committed" if about.get("dirty") else ""),
        "ran on": ", ".join(filter(None, [about.get("gpu"), about.get("cpu"), f"{about.get('threads', '?')} thread(s)", about["platform"]])),
        "versions": ", ".join(f"{name} {version}" for name, version in {"Python": about["python"], **about["packages"]}.items()),
        "reference runs": ", ".join(f"{name} (sha256 {digest[:12]}…)" for name, digest in about.get("reference", {}).items()),
        "data": ", ".join(f"{name} (sha256 {digest[:12]}…)" for name, digest in about.get("data", {}).items()) or "none loaded",
        "table": f"sha256 {record['csv_sha256'][:12]}…",
    }


def _details(summary: str, inner: str) -> str:
    return f"<details><summary>{summary}</summary>{inner}</details>"


def _table(facts: dict[str, str]) -> str:
    return "<dl>" + "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in facts.items() if value) + "</dl>"


def _published(env: BuildEnvironment) -> dict[str, dict]:
    if not hasattr(env, "elbo_figures"):
        env.elbo_figures = {}
    return env.elbo_figures


def _folder(env: BuildEnvironment) -> Path:
    return Path(env.app.outdir).parent / "jupyter_execute" / "figures"


def _write(folder: Path, id: str, format: str, content: bytes) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{id}.{format}").write_bytes(content)


def _purge(app: Sphinx, env: BuildEnvironment, docname: str) -> None:
    for id in [id for id, about in _published(env).items() if about["docname"] == docname]:
        del _published(env)[id]


def _merge(app: Sphinx, env: BuildEnvironment, docnames: list[str], other: BuildEnvironment) -> None:
    _published(env).update(_published(other))


def _copy(app: Sphinx, error: Exception | None) -> None:
    if error is not None or app.builder.format != "html":
        return
    target = Path(app.outdir) / "figures"
    shutil.rmtree(target, ignore_errors=True)
    for id in sorted(_published(app.env)):
        target.mkdir(exist_ok=True)
        for format in FORMATS:
            shutil.copyfile(_folder(app.env) / f"{id}.{format}", target / f"{id}.{format}")


def setup(app: Sphinx) -> dict:
    """Register the bookkeeping of figures; the renderer itself is found by its entry point."""
    app.connect("env-purge-doc", _purge)
    app.connect("env-merge-info", _merge)
    app.connect("build-finished", _copy)
    return {"version": "1", "env_version": 1, "parallel_read_safe": True, "parallel_write_safe": True}
