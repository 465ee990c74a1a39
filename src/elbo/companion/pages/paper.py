"""Sphinx extension: what PDF and EPUB need and a browser does not.

In both, links written as HTML become links of the book, tables written as HTML become tables, and other raw HTML,
which these editions cannot show, is left out. In the PDF the first page is a chapter of its own, the parts have their
titles, and only those chapters are numbered that are numbered in the pages, so that a figure or an equation has the
same number everywhere.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable
from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.transforms.post_transforms import SphinxPostTransform

from elbo.companion.pages.medium import is_web
from elbo.companion.pages.tables import tables_of

__all__ = ["anchored", "chapters", "linked", "measured", "setup", "tabulated"]

_OPEN, _CLOSE = re.compile(r'<a\b[^>]*\bhref="([^"]*)"[^>]*>'), "</a>"
_WEB_FILES = ("katex.min.css", "live.css", "copybutton", "togglebutton", "design-tabs", "mystnb")
_PASSED_OVER = ("container", "paragraph", "folded")
_NARROW, _WIDE = 6, 45
"""Characters that a column of a table is taken to hold at least, and at most."""
FRONT = "About this book"
"""Title of the chapter that the first page becomes in the PDF."""
_COUNTERS = ("figure", "table", "equation", "literalblock")
_KEPT = "".join(rf"\setcounter{{elbo{name}}}{{\value{{{name}}}}}" for name in _COUNTERS)
_GIVEN = "".join(rf"\setcounter{{{name}}}{{\value{{elbo{name}}}}}" for name in _COUNTERS)
_NUMBERED = rf"\setcounter{{secnumdepth}}{{3}}\ifnum\value{{chapter}}>0\else{_KEPT}\fi"
_UNNUMBERED = rf"\setcounter{{secnumdepth}}{{-2}}\ifnum\value{{chapter}}>0\setcounter{{chapter}}{{0}}{_GIVEN}\fi"
_PREAMBLE = r"""
\usepackage{etoolbox}
\AtBeginEnvironment{sphinxlegend}{\footnotesize\raggedright}
\emergencystretch=3em
\hfuzz=1pt
\setcounter{tocdepth}{1}
"""
PREAMBLE = _PREAMBLE + "".join(rf"\newcounter{{elbo{name}}}" for name in _COUNTERS) + "\n"
"""What the PDF needs beside Sphinx's own; the counters keep the numbers of the chapters without a number."""


class FoldedCode(SphinxPostTransform):
    """Code that the pages fold away is left out on paper, output that they fold away is shown; before MyST-NB folds."""

    default_priority = 150

    def run(self, **kwargs: object) -> None:
        if is_web(self.app.builder):
            return
        for cell in self.document.findall(nodes.container):
            mode = cell.attributes.pop("hide_mode", None) or ""
            for code in [one for one in cell.children if one.get("nb_element") == "cell_code_source"]:
                if "input" in mode or mode == "all":
                    cell.remove(code)


def linked(tree: nodes.Element, docname: str, builder: Any, env: BuildEnvironment) -> None:
    """Turn ``<a href="...">words</a>`` in raw HTML into a reference where it leads somewhere, else into its words."""
    page = _pages(tree, docname)
    for start in [node for node in tree.findall(nodes.raw) if _OPEN.fullmatch(node.astext())]:
        opening = _OPEN.fullmatch(start.astext())
        assert opening is not None, "only such nodes are found"
        address = opening[1]
        siblings = start.parent.children
        first = siblings.index(start)
        last = next((i for i in range(first, len(siblings)) if siblings[i].astext() == _CLOSE), None)
        if last is None:
            continue
        words = siblings[first + 1 : last]
        uri = _address(address, page(start), builder, env)
        start.parent[first : last + 1] = [nodes.reference("", "", *words, refuri=uri, internal=False)] if uri else words


def _pages(tree: nodes.Element, docname: str) -> Callable[[nodes.Node], str]:
    """The page that a node comes from, also where the builder has put all pages into one tree (without parents)."""
    pages = {id(node): file["docname"] for file in tree.findall(addnodes.start_of_file) for node in file.findall()}
    return lambda node: pages.get(id(node), docname)


def _address(address: str, docname: str, builder: Any, env: BuildEnvironment) -> str:
    if ":" in address:
        return address
    path, _, anchor = address.partition("#")
    target = (
        posixpath.normpath(posixpath.join(posixpath.dirname(docname), path)).removesuffix(".html") if path else docname
    )
    if target not in env.all_docs:
        return ""
    return str(builder.get_relative_uri(docname, target)) + (f"#{anchor}" if anchor else "")


def tabulated(tree: nodes.Element) -> None:
    """Turn tables in raw HTML into tables of the document; what stood above one in a fold becomes a line above it."""
    for node in [one for one in tree.findall(nodes.raw) if "<table" in one.astext()]:
        node.replace_self(tables_of(node.astext()))


def chapters(tree: nodes.document, env: BuildEnvironment) -> None:
    """Give the PDF's one tree its parts, and its first page a title."""
    root = env.get_doctree(env.config.root_doc)
    parts = [node for node in root.findall(addnodes.toctree) if node.get("caption")]
    heads = {str(node["includefiles"][0]): node for node in parts if node["includefiles"]}
    for file in list(tree.findall(addnodes.start_of_file)):
        if file["docname"] in heads:
            part = heads[file["docname"]]
            count = _NUMBERED if part.get("numbered") else _UNNUMBERED
            title = part["caption"].translate({ord(c): f"\\{c}" for c in "&%#_{}$"})
            file.insert(0, nodes.raw("", f"{count}\\part{{{title}}}\n", format="latex"))
    first = next(tree.findall(nodes.section), None)
    if first is not None:
        own = [one for one in first.children if not _holds_files(one) and not isinstance(one, nodes.title)]
        for one in own:
            first.remove(one)
        front = nodes.section("", nodes.title("", FRONT), *own, ids=["about-this-book"])
        first.insert(1, [nodes.raw("", _UNNUMBERED, format="latex"), front])


def anchored(tree: nodes.document, docname: str) -> None:
    """Give the places that Sphinx's LaTeX writer passes over (containers, paragraphs, folds) a label to link to."""
    page = _pages(tree, docname)
    for node in [one for one in tree.findall(nodes.Element) if one.get("ids") and one.tagname in _PASSED_OVER]:
        labels = "".join(rf"\phantomsection\label{{\detokenize{{{page(node)}:{id}}}}}" for id in node["ids"])
        label = nodes.raw("", labels, format="latex")
        if isinstance(node, nodes.paragraph):
            node.insert(0, label)
        else:
            node.parent.insert(node.parent.index(node), label)


def measured(tree: nodes.document) -> None:
    """Give every table columns in proportion to what they hold, so that long cells break inside the page."""
    for table in tree.findall(nodes.table):
        columns = list(table.findall(nodes.colspec))
        widths = [_NARROW] * len(columns)
        for row in table.findall(nodes.row):
            for i, cell in enumerate(row.children[: len(columns)]):
                if not cell.get("morecols"):
                    widths[i] = min(max(widths[i], len(cell.astext())), _WIDE)
        for column, width in zip(columns, widths, strict=True):
            column["colwidth"] = width
        table["classes"].append("colwidths-given")


def _holds_files(node: nodes.Node) -> bool:
    return isinstance(node, nodes.Element) and (
        isinstance(node, addnodes.start_of_file) or next(node.findall(addnodes.start_of_file), None) is not None
    )


def _printed(app: Sphinx, tree: nodes.document, docname: str) -> None:
    builder = app.builder
    if is_web(builder) or builder.format not in ("html", "latex"):
        return
    linked(tree, docname, builder, app.env)
    tabulated(tree)
    if builder.format == "latex":
        anchored(tree, docname)
        measured(tree)
        chapters(tree, app.env)
    for node in list(tree.findall(nodes.raw)):
        if "html" in node.get("format", "").split():
            node.parent.remove(node)


def _files(
    app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: nodes.document | None
) -> None:
    """An EPUB takes no script, and no style sheet that only a browser needs."""
    if app.builder.name == "epub":
        context["script_files"] = []
        styles = context.get("css_files", [])
        context["css_files"] = [one for one in styles if not any(name in str(one) for name in _WEB_FILES)]


def _configure(app: Sphinx, config: Any) -> None:
    own = {
        "papersize": "a4paper",
        "extraclassoptions": "openany,oneside",
        "fncychap": "",
        "makeindex": "",
        "printindex": "",
        "fvset": r"\fvset{fontsize=\footnotesize}",
        "preamble": PREAMBLE,
    }
    given = config.latex_elements
    config.latex_elements = {**own, **given, "preamble": own["preamble"] + given.get("preamble", "")}


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the changes for paper, after every other extension has filled in what it has to say."""
    app.add_post_transform(FoldedCode)
    app.connect("config-inited", _configure)
    app.connect("html-page-context", _files, priority=990)
    app.connect("doctree-resolved", _printed, priority=900)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
