"""Sphinx extension: mathematics is set while the book is built, so that pages need no script and no network to show it.

KaTeX (MIT licence, vendored with its fonts in ``vendor/katex``) runs inside V8 through the ``mini-racer`` wheel; no
Node is needed. A formula that KaTeX cannot set is a warning with its place, hence an error under ``-W``. The macros
come from the configuration value ``katex_macros``, which is also written into the LaTeX preamble.
"""

from __future__ import annotations

import atexit
import json
from functools import cache
from pathlib import Path
from typing import Any

from docutils import nodes
from py_mini_racer import JSEvalException, MiniRacer
from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.util import logging
from sphinx.util.math import get_node_equation_number
from sphinx.writers.html5 import HTML5Translator

from elbo.companion.pages.medium import is_web

__all__ = ["render", "setup"]

logger = logging.getLogger(__name__)
HOME = Path(__file__).parent / "vendor" / "katex"


@cache
def _engine() -> MiniRacer:
    """The engine with KaTeX in it. It is closed at exit: a process that leaves one open may hang there for ever."""
    engine = MiniRacer()
    atexit.register(engine.close)
    engine.eval((HOME / "katex.min.js").read_text())
    return engine


@cache
def render(tex: str, display: bool, macros: str = "{}", output: str = "htmlAndMathml") -> str:
    """HTML and MathML of a formula.

    Args:
        tex: TeX source, without delimiters.
        display: displayed (``True``) or in the line.
        output: what KaTeX writes; ``mathml`` alone needs neither its style sheet nor its fonts.
        macros: JSON object of TeX macros, ``{"\\\\E": "\\\\mathbb{E}"}``.

    Raises:
        ValueError: KaTeX refuses the formula; the message is KaTeX's own.
    """
    options = {"displayMode": display, "throwOnError": True, "strict": "error", "output": output}
    options["macros"] = json.loads(macros)
    try:
        return str(_engine().eval(f"katex.renderToString({json.dumps(tex)}, {json.dumps(options)})"))
    except JSEvalException as error:
        lines = [line for line in str(error).splitlines() if "KaTeX parse error" in line]
        raise ValueError((lines or str(error).splitlines())[0].split("Error: ")[-1].strip()) from None


def _rendered(translator: HTML5Translator, node: nodes.Element, tex: str, display: bool) -> str:
    try:
        output = "htmlAndMathml" if is_web(translator.builder) else "mathml"
        return render(tex, display, json.dumps(translator.config.katex_macros), output)
    except ValueError as error:
        logger.warning("mathematics: %s", error, location=node, type="katex")
        return f"<code>{translator.encode(tex)}</code>"


def visit_math(translator: HTML5Translator, node: nodes.math) -> None:
    """Write a formula of the line as HTML; raises ``SkipNode``, since its text is done with."""
    html = _rendered(translator, node, node.astext(), display=False)
    translator.body.append(
        translator.starttag(node, "span", "", CLASS="math notranslate nohighlight") + html + "</span>"
    )
    raise nodes.SkipNode


def visit_math_block(translator: HTML5Translator, node: nodes.math_block) -> None:
    """Write a displayed formula as HTML, its number and permalink first; raises ``SkipNode``."""
    tex = node.astext().strip()
    if "\\\\" in tex and "\\begin" not in tex:
        tex = "\\begin{aligned}" + tex + "\\end{aligned}"
    html = _rendered(translator, node, tex, display=True)
    translator.body.append(translator.starttag(node, "div", CLASS="math notranslate nohighlight"))
    if node["number"]:
        translator.body.append(f'<span class="eqno">({get_node_equation_number(translator, node)})')
        translator.add_permalink_ref(node, "Link to this equation")
        translator.body.append(node.get("beside", ""))  # HTML that another extension wants beside the number
        translator.body.append("</span>")
    translator.body.append(html + "</div>\n")
    raise nodes.SkipNode


def _latex(app: Sphinx, config: Config) -> None:
    lines = []
    for name, body in config.katex_macros.items():
        arguments = max((int(d) for d in "123456789" if f"#{d}" in body), default=0)
        lines.append(f"\\providecommand{{{name}}}{{}}\\renewcommand{{{name}}}[{arguments}]{{{body}}}")
    elements = dict(config.latex_elements)
    elements["preamble"] = elements.get("preamble", "") + "\n" + "\n".join(lines)
    config.latex_elements = elements


def _copy(app: Sphinx, error: Exception | None) -> None:
    if error is None and is_web(app.builder):
        target = Path(app.outdir) / "_static" / "katex"
        (target / "fonts").mkdir(parents=True, exist_ok=True)
        for path in [HOME / "katex.min.css", HOME / "LICENSE", *(HOME / "fonts").glob("*.woff2")]:
            (target / path.relative_to(HOME)).write_bytes(path.read_bytes())


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the renderer ``katex`` for ``html_math_renderer``."""
    app.add_config_value("katex_macros", {}, "env", types=[dict])
    app.add_html_math_renderer("katex", (visit_math, None), (visit_math_block, None))
    app.add_css_file("katex/katex.min.css")
    app.connect("config-inited", _latex)
    app.connect("build-finished", _copy)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
