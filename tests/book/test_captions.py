"""Captions and letters of all figures, read from the sources: a caption is at most sixty words, no text
is smaller than twelve pixels.

Numbers in a caption are computed; each counts as one word here, and so does the text of a function.
"""

import ast
import re
from pathlib import Path

import jupytext
import matplotlib as mpl
import pytest

from elbo.figures import style

ROOT = Path(__file__).resolve().parents[2]
CHAPTERS = sorted(path.stem for path in (ROOT / "book").glob("*.md") if "kernelspec:" in path.read_text())
FIGURES = sorted((ROOT / "src" / "elbo" / "figures").rglob("*.py"))
LONGEST = 60
PIXELS = 12
SIZES = ("font.size", "axes.titlesize", "axes.labelsize", "xtick.labelsize", "ytick.labelsize", "legend.fontsize")


def text_of(node: ast.expr) -> str:
    """The text of an expression, ``0`` for every part that is computed."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(text_of(part) for part in node.values)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return text_of(node.left) + text_of(node.right)
    if isinstance(node, ast.IfExp):
        return max(text_of(node.body), text_of(node.orelse), key=len)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "replace":
        return text_of(node.func.value)
    return "0"


def captions(chapter: str) -> dict[str, str]:
    """Caption of every figure of a chapter, by id."""
    found = {}
    for cell in jupytext.read(ROOT / "book" / f"{chapter}.md").cells:
        if cell.cell_type != "code":
            continue
        for node in ast.walk(ast.parse(cell.source)):
            named = {keyword.arg: keyword.value for keyword in getattr(node, "keywords", [])}
            if isinstance(node, ast.Call) and {"id", "caption"} <= set(named):
                found[text_of(named["id"])] = text_of(named["caption"])
    return found


def words(caption: str) -> int:
    return len(re.sub(r"\$[^$]*\$", "0", caption).split())


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_captions_are_short(chapter):
    found = captions(chapter)
    assert found
    long = {id: words(caption) for id, caption in found.items() if words(caption) > LONGEST}
    assert not long, (
        f"{chapter}: say question, answer and marks in {LONGEST} words; settings stand under the sign beside: {long}"
    )


@pytest.mark.parametrize(
    "file", FIGURES, ids=lambda path: path.relative_to(ROOT / "src" / "elbo" / "figures").as_posix()
)
def test_no_text_of_a_figure_is_set_smaller_than_the_book_reads(file):
    """A page shows a figure at 96 pixels an inch, so that a point is 4/3 of a pixel."""
    small = []
    for node in ast.walk(ast.parse(file.read_text())):
        for keyword in getattr(node, "keywords", []):
            size = keyword.value.value if isinstance(keyword.value, ast.Constant) else None
            too_small = isinstance(size, int | float) and size * 96 / 72 < PIXELS
            if keyword.arg in ("fontsize", "title_fontsize", "labelsize") and (too_small or isinstance(size, str)):
                small.append((node.lineno, keyword.arg, size))
    assert not small, f"use style.SMALL: {small}"


def test_the_look_of_the_book_is_large_enough():
    style.apply()
    assert style.SMALL * 96 / 72 >= PIXELS
    assert {name: mpl.rcParams[name] for name in SIZES if mpl.rcParams[name] < style.SMALL} == {}


def test_how_words_are_counted():
    call = ast.parse(
        'f(id="a-b", caption=f"Does it? {x:.2f} of $a + b$ nats. " + say(y) + ("one two" if z else "one"))'
    )
    (named,) = [node.keywords for node in ast.walk(call) if isinstance(node, ast.Call) and node.keywords]
    caption = text_of(named[1].value)
    assert caption == "Does it? 0 of $a + b$ nats. 0one two" and words(caption) == 8
