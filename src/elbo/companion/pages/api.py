"""Sphinx extension: the reference of the library, ``.. elbo-api:: <module or package>``,
made from docstrings by autodoc.

A page names a package; its public modules follow, each with what its ``__all__`` lists, so that names are listed once,
in the code. Formulas in docstrings are set like those of the chapters. An excerpt of code in a chapter, which names its
file and lines, leads to the module on the page where it is described.
"""

from __future__ import annotations

import importlib
import pkgutil
import re
from typing import Any, cast

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.domains.python import PythonDomain
from sphinx.environment import BuildEnvironment
from sphinx.util.docutils import SphinxDirective
from sphinx.util.nodes import make_refnode, nested_parse_with_titles

__all__ = ["Reference", "modules", "own", "setup"]

_EXCERPT = re.compile(r"src/(elbo/[\w/]+)\.py, lines \d+ to \d+")
_FIELD = re.compile(r"Alias for field number \d+")
_OUTSIDE = r"(?!elbo\.).*|elbo\.(companion|figures|experiments)\b.*"
"""Types of other packages, and parts that these pages do not describe; any other
reference to the package must resolve.
"""


def modules(name: str) -> list[str]:
    """A module, or a package and its public modules, that list public names."""
    found = importlib.import_module(name)
    below = pkgutil.iter_modules(getattr(found, "__path__", []))
    listed = [one for part in below if part.name[0] != "_" for one in modules(f"{name}.{part.name}")]
    return [name, *listed] if hasattr(found, "__all__") or listed else listed


def own(name: str) -> list[str]:
    """The public names of a module that it defines itself; one that it passes on is described where it is defined."""
    found = importlib.import_module(name)
    return [one for one in getattr(found, "__all__", []) if getattr(getattr(found, one), "__module__", name) == name]


class Reference(SphinxDirective):
    """``.. elbo-api:: <name> ...`` in reStructuredText: a section a module, those that ``:but:`` names left out."""

    required_arguments = 1
    final_argument_whitespace = True
    option_spec = {"but": str.split}

    def run(self) -> list[nodes.Node]:
        lines: list[str] = []
        shown = [one for package in self.arguments[0].split() for one in modules(package)]
        for name in (one for one in shown if one not in self.options.get("but", [])):
            lines += [name, "-" * len(name), "", f".. automodule:: {name}"]
            lines += [f"   :members: {', '.join(members)}"] if (members := own(name)) else []
            lines.append("")
        frame = nodes.section()
        frame.document = self.state.document
        nested_parse_with_titles(self.state, StringList(lines, source=self.get_location()), frame, self.content_offset)
        return list(frame.children)


def _configure(app: Sphinx, config: Any) -> None:
    config.add_module_names = False
    config.autodoc_member_order = "bysource"
    config.autodoc_typehints_format = "short"
    config.autodoc_inherit_docstrings = False
    config.napoleon_use_ivar = True
    config.napoleon_use_rtype = False
    config.suppress_warnings = [*config.suppress_warnings, "ref.python"]  # one name in two modules, in a signature
    config.nitpick_ignore_regex = [*config.nitpick_ignore_regex, ("py:.*", _OUTSIDE)]


def _skip(app: Sphinx, what: str, name: str, obj: Any, skip: bool, options: Any) -> bool | None:
    """A field of a named tuple says nothing of itself; the text of its class does."""
    return True if _FIELD.match(getattr(obj, "__doc__", None) or "") else None


def _passed_on(app: Sphinx, env: BuildEnvironment, node: Any, contnode: nodes.Element) -> nodes.Element | None:
    """A reference to a name where a package passes it on, ``elbo.training.fit``, leads to where it is defined."""
    package, _, name = node.get("reftarget", "").rpartition(".")
    if node.get("refdomain") != "py" or not package.startswith("elbo."):
        return None
    try:
        found = getattr(importlib.import_module(package), name)
        target = f"{found.__module__}.{found.__qualname__}"
    except (ImportError, AttributeError):
        return None
    entry = _python(env).objects.get(target)
    return entry and make_refnode(app.builder, node["refdoc"], entry.docname, entry.node_id, contnode, target)


def _python(env: BuildEnvironment) -> PythonDomain:
    return cast(PythonDomain, env.get_domain("py"))


def _link(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    known = _python(app.env).modules
    for node in doctree.findall(nodes.emphasis):
        match = _EXCERPT.fullmatch(node.astext())
        name = match[1].replace("/", ".").removesuffix(".__init__") if match else ""
        if name in known:
            entry = known[name]
            reference = make_refnode(app.builder, docname, entry.docname, entry.node_id, node.deepcopy(), name)
            node.replace_self(reference)


def _quiet(app: Sphinx, env: BuildEnvironment) -> None:
    """Full text of these pages stays out of the search, which finds their objects by name nevertheless."""
    for docname in {entry.docname for entry in _python(env).modules.values()}:
        env.metadata[docname]["nosearch"] = True


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the directive, autodoc and napoleon behind it, and the links from excerpts."""
    app.setup_extension("sphinx.ext.autodoc")
    app.setup_extension("sphinx.ext.napoleon")
    app.add_directive("elbo-api", Reference)
    app.connect("config-inited", _configure)
    app.connect("autodoc-skip-member", _skip)
    app.connect("env-updated", _quiet)
    app.connect("missing-reference", _passed_on)
    app.connect("doctree-resolved", _link)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
