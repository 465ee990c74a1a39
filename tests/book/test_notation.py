"""The page of notation against the chapters: each symbol of a chapter has a row, each row is used."""

from __future__ import annotations

import ast
import re
from collections import Counter

import jupytext
import pytest
import yaml

from checkout import ROOT

BOOK = ROOT / "book"
PAPERS = ("blei-2017", "kingma-welling-2013", "hoffman-johnson-2016", "higgins-2017")
PENDING = ()
MACROS = yaml.safe_load((ROOT / "_config.yml").read_text())["sphinx"]["config"]["katex_macros"]
SYMBOLS = {
    rf"\{name}"
    for name in (
        "alpha beta gamma delta epsilon varepsilon zeta eta theta vartheta iota kappa lambda mu nu xi varpi rho varrho "
        "sigma tau upsilon phi varphi chi psi omega ell Gamma Delta Theta Lambda Xi Pi Sigma Upsilon Phi Psi Omega"
    ).split()
} | set(MACROS) - {r"\given"}
NUMBERS = {"e"}  # Euler's number; \pi is no symbol of its own either
TOKEN = re.compile(r"\\(?:bar|boldsymbol|mathcal)\s*\{\s*(?:[A-Za-z]|\\[A-Za-z]+)\s*\}|\\bar\s+\w|\\[A-Za-z]+|[A-Za-z]")
WORDS = re.compile(r"\\(?:text|mathrm|operatorname|begin|end|label)\s*\{[^}]*\}")
FACES = {r"\mathcal{L}": r"\ELBO", r"\mathcal{N}": r"\N"}  # as captions write them, which are read without macros too
RAW = re.compile(r"\\mathcal\{[LN]\}|\\mathbb\{[EHI]\}|\\mathrm\{KL\}\s*\\?[!,(\[]|\\mid\b|\bKL\(")


def formulas(text: str) -> list[str]:
    """What stands between dollar signs."""
    shown = re.findall(r"\$\$(.+?)\$\$", text, re.DOTALL)
    return shown + re.findall(r"(?<!\\)\$([^$]+?)\$", re.sub(r"\$\$.+?\$\$", "", text, flags=re.DOTALL))


def strings(code: str) -> list[str]:
    """Texts in a cell, the pieces of an f-string joined."""
    found, inside = [], set()
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.JoinedStr):
            inside |= {id(part) for part in node.values}
            found.append("".join(part.value if isinstance(part, ast.Constant) else "0" for part in node.values))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in inside:
            found.append(node.value)
    return found


def mathematics(page: str, captions: bool = True) -> list[str]:
    """Formulas of a chapter, in its prose and in the captions of its figures."""
    found = []
    for cell in jupytext.read(BOOK / f"{page}.md").cells:
        if cell.cell_type == "markdown":
            found += formulas(re.sub(r"^(`{3,}).*?^\1", "", cell.source, flags=re.DOTALL | re.MULTILINE))
        elif cell.cell_type == "code" and captions:
            found += [formula for text in strings(cell.source) if text.count("$") > 1 for formula in formulas(text)]
    return found


def symbols(formula: str) -> set[str]:
    """Letters of a formula, each with its bar, bold or calligraphic face; hats, tildes, stars and indices taken off."""
    found = set()
    for token in TOKEN.findall(WORDS.sub(" ", formula)):
        plain = re.sub(r"\s", "", token)
        if (
            plain[0] != "\\"
            or plain in SYMBOLS
            or re.match(r"\\(bar|boldsymbol|mathcal)\W?", plain)
            and plain[-1] == "}"
        ):
            found.add(FACES.get(plain, plain))
        elif token.startswith("\\bar "):
            found.add(rf"\bar{{{token[-1]}}}")
    return found - NUMBERS


def rows() -> list[tuple[str, str | None, str]]:
    """``(symbol, chapter or None, meaning)`` of every row of the two tables."""
    found = []
    for line in (BOOK / "notation.md").read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if not line.startswith("| $") or len(cells) != 3:
            continue
        (symbol,) = symbols(re.sub(r"\{\\cdot\}", "", cells[0]))
        found.append((symbol, cells[1], cells[2]) if cells[1] in PAPERS else (symbol, None, cells[1]))
    return found


def test_one_symbol_has_one_meaning():
    common = [symbol for symbol, chapter, _ in rows() if chapter is None]
    assert len(common) > 20 and max(Counter(common).values()) == 1
    own = Counter((symbol, chapter) for symbol, chapter, _ in rows() if chapter)
    assert not {key for key, count in own.items() if count > 1}
    assert not {symbol for symbol, _ in own} & set(common), (
        "a symbol of the whole book may not mean something else in a chapter"
    )


@pytest.mark.parametrize("page", [page for page in PAPERS if page not in PENDING])
def test_the_symbols_of_a_chapter_are_in_the_table(page):
    known = {symbol for symbol, chapter, _ in rows() if chapter in (None, page)}
    unknown = {(symbol, formula) for formula in mathematics(page) for symbol in symbols(formula) - known}
    assert not unknown, f"{page}: not in book/notation.md: {sorted(unknown)[:8]}"


@pytest.mark.parametrize("page", [page for page in PAPERS if page not in PENDING])
def test_the_symbols_of_the_table_are_used(page):
    used = set().union(*map(symbols, mathematics(page)))
    unused = {symbol for symbol, chapter, _ in rows() if chapter == page} - used
    assert not unused, f"book/notation.md gives {page} symbols that it does not use: {unused}"


def test_the_symbols_of_the_whole_book_are_used_in_more_than_one_chapter():
    pages = {page: set().union(*map(symbols, mathematics(page))) for page in PAPERS}
    for symbol, chapter, _ in rows():
        if chapter is None and not PENDING:
            assert sum(symbol in used for used in pages.values()) > 1, symbol


@pytest.mark.parametrize("page", [page for page in PAPERS if page not in PENDING])
def test_what_has_a_macro_is_written_with_it(page):
    raw = [formula for formula in mathematics(page, captions=False) if RAW.search(formula)]
    assert not raw, f"{page}: use {', '.join(MACROS)}: {raw[:5]}"


def test_what_this_module_takes_for_a_symbol():
    assert symbols(r"\KL{q_\phi(z \given x_n)}{\bar q(z)} + \tfrac1N \sum_{n=1}^{N} \widehat{\ELBO}") == {
        r"\KL", "q", r"\phi", "z", "x", "n", r"\bar{q}", "N", r"\ELBO",
    }  # fmt: skip
    assert symbols(r"\boldsymbol{z} \in \mathcal{Q}, \text{ where } e^{-U/T}") == {
        r"\boldsymbol{z}",
        r"\mathcal{Q}",
        "U",
        "T",
    }
    assert formulas("a $b$ and $$c$$ (eq) $d$") == ["c", "b", "d"]
