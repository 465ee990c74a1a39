"""A new chapter in every place that a chapter touches; it runs, its tests pass, and every
text in it waits to be replaced.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from elbo.companion.project import settings
from elbo.companion.project.errors import CompanionError
from elbo.companion.project.paths import Project

__all__ = ["new_chapter", "places"]

_TEMPLATES = Path(__file__).with_name("template")
_KEY = re.compile(r"[a-z]+(-[a-z]+)*-\d{4}[a-z]?")
_FILES = {
    "book/{key}.md": "chapter.md.txt",
    "src/elbo/experiments/{module}.py": "experiments.py.txt",
    "src/elbo/figures/{module}.py": "figures.py.txt",
    "tests/experiments/test_{module}.py": "test_experiments.py.txt",
    "tests/book/test_equations_{module}.py": "test_equations.py.txt",
}
"""Files that a chapter has of its own, and the template of each."""


def places(key: str) -> tuple[str, ...]:
    """Every file that a chapter has or stands in, relative to the checkout."""
    return (*(path.format(key=key, module=_module(key)) for path in _FILES), *_entries(key, "", ""))


def new_chapter(project: Project, key: str, title: str = "", paper: str = "") -> list[str]:
    """Write a chapter that runs, and its entries in the files that list chapters; returns :func:`places`.

    Nothing is written unless everything can be.

    Args:
        key: ``<author>-<year>``, ``rezende-2014``: citation key, name of the files, first part of the figures' ids.
        title: of the paper.
        paper: as it is cited, ``Rezende, Mohamed & Wierstra (2014)``.

    Raises:
        CompanionError: the key is malformed or taken, or a file has not the place where an entry belongs.
    """
    if settings.is_packaged(project.root):
        raise CompanionError(
            "a chapter is written into a checkout, and this book came with the installed package; "
            "clone the repository and change into it, or give its path in --root or ELBO_ROOT"
        )
    if not _KEY.fullmatch(key):
        raise CompanionError(f"a chapter is called <author>-<year> in lower case, rezende-2014, not {key!r}")
    paper = paper or " ".join([*(word.capitalize() for word in key.split("-")[:-1]), f"({key.split('-')[-1]})"])
    title = title or paper
    found: dict[Path, str] = {}
    for path, template in _FILES.items():
        target = project.root / path.format(key=key, module=_module(key))
        if target.exists():
            raise CompanionError(f"{project.show(target)} is there already; choose another key")
        found[target] = _filled(template, key, title, paper)
    for path, enter in _entries(key, title, paper).items():
        target = project.root / path
        text = target.read_text(encoding="utf-8") if target.is_file() else ""
        if (entered := enter(text)) is None:
            raise CompanionError(f"{path} has no place for a chapter that could be recognised; nothing was written")
        found[target] = entered
    _write_all(found)
    return list(places(key))


def _write_all(found: dict[Path, str]) -> None:
    """Write every file, or leave all as they were.

    Raises:
        CompanionError: the disk does not take one of them.
    """
    before = {target: target.read_bytes() if target.exists() else None for target in found}
    try:
        for target, text in found.items():
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, encoding="utf-8")
    except BaseException as error:
        for target, content in before.items():
            if content is None:
                target.unlink(missing_ok=True)
            elif target.read_bytes() != content:
                target.write_bytes(content)
        if isinstance(error, (OSError, UnicodeError)):
            reason = getattr(error, "strerror", None) or type(error).__name__
            raise CompanionError(f"the chapter was not made ({reason}); nothing was changed") from None
        raise


def _entries(key: str, title: str, paper: str) -> dict[str, Callable[[str], str | None]]:
    """How a chapter is entered into each file that lists chapters; ``None`` where that file has no place for it."""
    gallery = f"\n## {paper}\n\n```{{elbo-gallery}} {key}\n```\n"
    board = f"## {paper}\n\n{{doc}}`The chapter <{key}>`.\n\n```{{scoreboard}} {key}\n```\n\n"
    card = f"\n:::{{grid-item-card}} {paper}\n:link: {key}\n:link-type: doc\n{title}.\n:::\n"
    surname, year = paper.split(" (")[0], key.rsplit("-", 1)[1][:4]
    entry = f"\n@misc{{{key},\n  author = {{{surname}}},\n  title  = {{{title}}},\n  year   = {{{year}}}\n}}\n"
    return {
        "_toc.yml": lambda text: _at_end_of(text, r"^  - caption: The papers$", f"      - file: book/{key}\n"),
        "book/profiles/smoke.yml": lambda text: _ended(text) + f"{key}:\n  data: 20\n",
        "book/profiles/quick.yml": lambda text: _ended(text) + f"{key}: {{}}\n",
        "book/profiles/paper.yml": lambda text: _ended(text) + f"{key}: {{}}\n",
        "book/references.bib": lambda text: _ended(text) + entry,
        "book/claims.yml": lambda text: _claims(text, key, title, paper),
        "book/scoreboard.md": lambda text: _before(_ended(text), r"^## Beside|\Z", board),
        "book/figures.md": lambda text: _ended(text) + gallery,
        "book/index.md": lambda text: _before(text, r"^::::$", card),
        "README.md": lambda text: _row(text, f"| `{key}` | {paper}, *{title}* |\n"),
    }


def _module(key: str) -> str:
    return key.replace("-", "_")


def _filled(template: str, key: str, title: str, paper: str) -> str:
    text = (_TEMPLATES / template).read_text(encoding="utf-8")
    for name, value in {"KEY": key, "MODULE": _module(key), "TITLE": title, "PAPER": paper}.items():
        text = text.replace(f"@{name}@", value)
    return text


def _ended(text: str) -> str:
    return text if not text or text.endswith("\n") else text + "\n"


def _before(text: str, pattern: str, entry: str) -> str | None:
    match = re.search(pattern, text, re.MULTILINE)
    return text[: match.start()] + entry + text[match.start() :] if match else None


def _at_end_of(text: str, pattern: str, entry: str) -> str | None:
    """After the last line of the part of a table of contents that ``pattern`` begins."""
    begin = re.search(pattern, text, re.MULTILINE)
    if not begin:
        return None
    after = re.compile(r"^  - ", re.MULTILINE).search(text, begin.end())
    at = after.start() if after else len(text)
    return _ended(text[:at]) + entry + text[at:]


def _claims(text: str, key: str, title: str, paper: str) -> str | None:
    entered = _before(text, r"^  beside:|(?<=\n)\n(?=claims:)", f"  {key}: {paper}\n")
    return entered and _ended(entered) + _filled("claim.yml.txt", key, title, paper)


def _row(text: str, row: str) -> str | None:
    """After the last row of the table of chapters."""
    table = re.search(r"^\| chapter \| paper \|\n\|[-|]+\|\n(?:\| `.*\n)*", text, re.MULTILINE)
    return text[: table.end()] + row + text[table.end() :] if table else None
