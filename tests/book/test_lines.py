"""The text of the book as it lies in the repository: lines that a diff can show."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

BOOK = Path(__file__).parents[2] / "book"
LONGEST = 120
VERBATIM = ("{code-cell}", "python", "console", "bash", "bibtex", "text", "json")


def prose(text: str) -> Iterator[tuple[int, str]]:
    """The lines of Markdown with their numbers: code, tables and lines that are one address are left out."""
    fence = ""
    for number, line in enumerate(text.splitlines(), 1):
        stripped = line.strip()
        ticks = stripped[: len(stripped) - len(stripped.lstrip("`"))]
        if fence:
            fence = "" if stripped == fence else fence
        elif len(ticks) >= 3 and stripped.removeprefix(ticks).startswith(VERBATIM):
            fence = ticks
        elif not stripped.startswith("|") and (" " in stripped or "://" not in stripped):
            yield number, line


@pytest.mark.parametrize("page", sorted(BOOK.glob("*.md")), ids=lambda page: page.stem)
def test_no_line_of_text_is_longer_than_the_code_may_be(page):
    assert [number for number, line in prose(page.read_text(encoding="utf-8")) if len(line) > LONGEST] == []


def test_what_counts_as_text():
    long = "word " * 30
    text = (
        f"{long}\n| {long} |\n```{{code-cell}} ipython3\n{long}\n```\n"
        f"https://example.org/{'a' * 130}\n````{{dropdown}} S\n{long}\n````"
    )
    assert [number for number, line in prose(text) if len(line) > LONGEST] == [1, 8]
