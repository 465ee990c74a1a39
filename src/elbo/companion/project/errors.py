"""What can go wrong for a reader, each with one sentence and an exit code that a script can use."""

from __future__ import annotations

__all__ = [
    "BUILD",
    "BUSY",
    "DATA",
    "DIFFERENT",
    "INEXACT",
    "INTERRUPTED",
    "RUN",
    "TERMINATED",
    "UNFORESEEN",
    "USAGE",
    "CompanionError",
    "quote",
    "shorten",
]

UNFORESEEN = 1
"""A fault of ours: its traceback lies in a file."""
USAGE = 2
"""The command, a parameter or a profile is wrong; nothing was run."""
RUN = 3
"""A chapter did not run to an accepted end."""
BUSY = 4
"""Another command is working on the same destination."""
BUILD = 5
"""The chapters ran, the pages did not build."""
DATA = 6
"""A data set could not be had."""
DIFFERENT = 7
"""A figure was made again and its numbers are not the recorded ones."""
INEXACT = 8
"""They are within tolerance, and the command was told to take nothing but the same numbers."""
INTERRUPTED = 130
"""Ctrl-C."""
TERMINATED = 143
"""SIGTERM."""


class CompanionError(Exception):
    """A failure that a reader can do something about.

    Args:
        sentence: what happened and what to do, in one sentence without a newline.
        code: exit code of the command, one of this module's constants.
    """

    def __init__(self, sentence: str, code: int = USAGE):
        super().__init__(shorten(" ".join(sentence.split()), LONGEST))
        self.code = code


LONGEST = 4_000
"""Characters of a sentence at most, whatever was quoted in it."""


def quote(value: object, most: int = 200, marks: bool = True) -> str:
    """What a person gave, to be repeated in a sentence: ``most`` characters of it at
    most, in quotation marks or bare.
    """
    text = value if isinstance(value, str) else repr(value)
    text = shorten(text, most)
    return repr(text) if marks else " ".join(text.split())


def shorten(text: str, most: int) -> str:
    """The text, its middle left out where it is longer than ``most``."""
    if len(text) <= most:
        return text
    return f"{text[: most * 2 // 3]} … {text[-(most // 4) :]}"
