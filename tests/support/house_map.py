"""The map of the house in CONTRIBUTING.md, from the first lines of the docstrings; run it to write the map anew."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from checkout import ROOT

__all__ = ["SECTIONS", "named", "with_map"]

PACKAGE = ROOT / "src" / "elbo"
_ORDER = (
    "ledger checks densities devices data models training inference estimators disentanglement reference experiments "
    "figures errata scoreboard live sweep"
).split()
_WING = ["project", "record", "kernel", "run", "reproduce", "pages", "release"]
SECTIONS = ("mathematics", "wing", "above")


def _first(path: Path) -> str:
    """The first sentence of a module's docstring."""
    said = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    sentence = re.split(r"(?<=[.;])\s", " ".join(said.split()), maxsplit=1)[0].rstrip(".;")
    if not sentence:
        raise ValueError(f"{path} has no docstring: say in its first sentence what it is")
    return re.sub(r":\w+:`([^`]+)`", r"`\1`", sentence.replace("``", "`")).replace("|", r"\|")


def _modules(folder: Path) -> str:
    names = [path.stem for path in sorted(folder.glob("*.py")) if path.stem not in ("__init__", "__main__")]
    names += [f"{path.parent.name}/" for path in sorted(folder.glob("*/__init__.py"))]
    return ", ".join(f"`{name}`" for name in names)


def _rows(places: list[Path]) -> str:
    rows = []
    for path in places:
        shown = path.relative_to(ROOT).as_posix()
        if path.is_dir():
            rows.append(f"| `{shown}/` | {_first(path / '__init__.py')} | {_modules(path)} |")
        else:
            rows.append(f"| `{shown}` | {_first(path)} | |")
    return "| Where | What | Modules |\n|---|---|---|\n" + "\n".join(rows) + "\n"


def _sections() -> dict[str, str]:
    top = {path.stem: path for path in PACKAGE.iterdir() if path.suffix in ("", ".py") and path.name[0] not in "_."}
    above = [top[name] for name in sorted(top) if name not in _ORDER and name != "companion"]
    wing = [PACKAGE / "companion" / name for name in _WING]
    return {
        "mathematics": _rows([top[name] for name in _ORDER if name in top]),
        "wing": _rows(wing),
        "above": _rows(above),
    }


def with_map(text: str) -> str:
    """The text of CONTRIBUTING.md with its map as the tree is now."""
    for name, rows in _sections().items():
        text = re.sub(
            rf"(<!-- map: {name} -->\n).*?(<!-- end -->)",
            lambda m, rows=rows: f"{m[1]}\n{rows}\n{m[2]}",
            text,
            flags=re.DOTALL,
        )
    return text


def named(text: str) -> set[str]:
    """Every file and folder of the checkout that a text names in backquotes."""
    return {
        name
        for name in re.findall(r"`([\w./-]+/[\w./-]*)`", text)
        if name.split("/")[0] in ("src", "book", "tests", "data", ".ci")
    }


if __name__ == "__main__":
    page = ROOT / "CONTRIBUTING.md"
    page.write_text(with_map(page.read_text(encoding="utf-8")), encoding="utf-8")
