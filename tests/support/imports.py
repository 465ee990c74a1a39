"""Which module of the package imports which, read from the sources; nothing is imported."""

from __future__ import annotations

import ast
from pathlib import Path

__all__ = ["circle", "graph", "imports"]


def imports(source: str, module: str, known: set[str], lazy: bool = True) -> set[str]:
    """The modules among ``known`` that a module's text imports; ``lazy``: those inside functions, too.

    What stands under ``if TYPE_CHECKING`` is for the type checker and does not count.
    """
    found: set[str] = set()
    for node in _statements(ast.parse(source).body, lazy):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found |= {
                f"{node.module}.{alias.name}" if f"{node.module}.{alias.name}" in known else node.module
                for alias in node.names
            }
        elif isinstance(node, ast.ImportFrom):
            raise ValueError(f"{module}, line {node.lineno}: say the whole name of the module")
    return found & known - {module}


def graph(package: Path, lazy: bool = True) -> dict[str, set[str]]:
    """Every module of a package with those it imports, by dotted names."""
    files = {_name(path, package): path for path in sorted(package.rglob("*.py"))}
    return {name: imports(path.read_text(encoding="utf-8"), name, set(files), lazy) for name, path in files.items()}


def circle(modules: dict[str, set[str]]) -> list[str]:
    """Modules that import each other in a circle, from one to itself again; empty where there is none."""
    done: set[str] = set()

    def walk(name: str, way: list[str]) -> list[str]:
        if name in way:
            return [*way[way.index(name) :], name]
        if name in done:
            return []
        for other in sorted(modules.get(name, ())):
            if found := walk(other, [*way, name]):
                return found
        done.add(name)
        return []

    return next(filter(None, (walk(name, []) for name in sorted(modules))), [])


def _name(path: Path, package: Path) -> str:
    parts = path.relative_to(package.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _statements(body: list[ast.stmt], lazy: bool):
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not lazy:
            continue
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            yield from _statements(node.orelse, lazy)
            continue
        yield node
        for field in ("body", "orelse", "finalbody"):
            yield from _statements(getattr(node, field, []), lazy)
        for handler in getattr(node, "handlers", []):
            yield from _statements(handler.body, lazy)
