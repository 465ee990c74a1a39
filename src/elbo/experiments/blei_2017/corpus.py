"""A free corpus that every reader has: the documentation inside Python's own standard library.

The paper's figure 7 is of newspaper articles that nobody may pass on. Here an article is what the docstrings of one
file of the standard library say (Python Software Foundation License), so that the corpus is that of the reader's own
Python.
"""

from __future__ import annotations

import ast
import re
import sysconfig
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from elbo.data.sets import note_loaded

__all__ = ["Corpus", "standard_library"]

_LEFT_OUT = {
    "test",
    "tests",
    "idlelib",
    "lib2to3",
    "site-packages",
    "dist-packages",
    "turtledemo",
    "pydoc_data",
    "ensurepip",
}
_STOP = set(
    "the and for that are not with this when can from which used may all will same only one any also its must they but "
    "using other should such these see have given there first then has than does two each either more most their where "
    "some you your into was been being were them what how over about after before between both because while would "
    "could it's don't isn't i.e. etc use uses default optional argument arguments return returns returned none true "
    "false self value values set get function method class object instance called call note raise raises raised "
    "specified otherwise like just new doesn without make makes whether out very did had his her our who why so as at "
    "be by do if in is it no of on or to up we".split()
)


class Corpus(NamedTuple):
    """Counts of words in documents."""

    counts: Tensor  # (documents, words) float64
    words: list[str]
    names: list[str]  # of the documents


def standard_library(most: int = 1000, min_words: int = 40, min_documents: int = 6, max_share: float = 0.3) -> Corpus:
    """Word counts of the docstrings of the standard library, one document a file.

    Args:
        most: documents at most, in alphabetical order of their files.
        min_words: shorter documents are left out.
        min_documents, max_share: a word is kept that occurs in at least so many documents and in at most this share.

    Raises:
        ValueError: this Python has no readable standard library (a zip file, say), or nothing is left.
    """
    home = Path(sysconfig.get_paths()["stdlib"])
    texts = {}
    for path in sorted(home.rglob("*.py")):
        if len(texts) == most:
            break
        if _LEFT_OUT.isdisjoint(path.relative_to(home).parts):
            words = _words(path)
            if len(words) >= min_words:
                texts[path.relative_to(home).as_posix()] = words
    documents = Counter(word for words in texts.values() for word in set(words))
    kept = sorted(w for w, count in documents.items() if min_documents <= count <= max_share * len(texts))
    if not kept:
        raise ValueError(
            f"no documentation to read in {home}; ask for more documents, or use a Python with its sources"
        )
    index = {word: i for i, word in enumerate(kept)}
    counts = torch.zeros(len(texts), len(kept), dtype=torch.float64)
    for row, words in enumerate(texts.values()):
        for word in words:
            if word in index:
                counts[row, index[word]] += 1
    note_loaded("standard-library/docstrings", counts.numpy().tobytes() + " ".join(kept).encode())
    return Corpus(counts, kept, list(texts))


def _words(path: Path) -> list[str]:
    """Lower-case words of three letters or more in the docstrings of a file; none where it cannot be read."""
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
    except (SyntaxError, UnicodeDecodeError, OSError, ValueError):
        return []
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    texts = (ast.get_docstring(node, clean=False) for node in ast.walk(tree) if isinstance(node, kinds))
    found = (word for text in texts if text for word in re.findall(r"[a-z]{3,}", text.lower()))
    return [word for word in found if word not in _STOP]
