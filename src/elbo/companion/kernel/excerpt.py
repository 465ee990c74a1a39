"""Show a function as it stands in the installed package, so that what is printed is what ran."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

from elbo.companion.project.settings import PACKAGE

__all__ = ["source", "text"]


def source(*functions: Callable[..., Any], docstring: bool = False) -> None:
    """Display the source of functions, highlighted, with the file and the lines where they stand.

    Args:
        functions: functions, methods or classes of this package.
        docstring: keep the documentation strings (they are long, and the page says the same in prose).
    """
    from IPython.display import display

    blocks = [text(function, docstring=docstring) for function in functions]
    fences = [f"```python\n{code}\n```\n*{place}*" for code, place in blocks]
    plain = "\n\n".join(f"# {place}\n{code}" for code, place in blocks)
    display({"text/markdown": "\n\n".join(fences), "text/plain": plain}, raw=True)


def text(function: Callable[..., Any], *, docstring: bool = False) -> tuple[str, str]:
    """``(source code, place)``, the place as ``src/elbo/....py, lines 10 to 19``."""
    function = inspect.unwrap(function)
    lines, first = inspect.getsourcelines(function)
    code = textwrap.dedent("".join(lines)).rstrip()
    if not docstring:
        code = _without_docstring(code)
    path = Path(inspect.getsourcefile(function) or inspect.getfile(function))
    base = PACKAGE.parent
    shown = f"src/{path.relative_to(base).as_posix()}" if path.is_relative_to(base) else path.name
    return code, f"{shown}, lines {first} to {first + len(lines) - 1}"


def _without_docstring(code: str) -> str:
    node = ast.parse(code).body[0]
    if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) or ast.get_docstring(node) is None:
        return code
    string = node.body[0]
    lines = code.splitlines()
    return "\n".join(lines[: string.lineno - 1] + lines[string.end_lineno :])
