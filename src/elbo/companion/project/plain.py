"""YAML that a person may hand us: plain values only, of a size that a person writes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from elbo.companion.project.errors import CompanionError, quote

__all__ = ["LARGEST", "MOST_NODES", "DEEPEST", "load_plain", "parse_plain"]

LARGEST = 1_000_000  # characters
MOST_NODES = 100_000
DEEPEST = 20
_PLAIN = {f"tag:yaml.org,2002:{name}" for name in ("null", "bool", "int", "float", "str", "seq", "map")}


class _Plain(yaml.SafeLoader):
    """The safe loader without dates: ``2013-12-20`` is text."""


_Plain.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in rules if tag in _PLAIN]
    for first, rules in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def load_plain(path: Path, where: str) -> Any:
    """The content of a YAML file; ``None`` for an empty one.

    Args:
        where: what the file is called in a sentence.

    Raises:
        CompanionError: it cannot be read, is not YAML, or is not plain: aliases, tags, more than 20 levels or 100,000
            values, more than a million characters, a key twice. The sentence names the file and the line.
    """
    try:
        if path.stat().st_size > 4 * LARGEST:
            raise CompanionError(f"{where} is larger than {LARGEST:,} characters: that is no profile")
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise CompanionError(f"{where} is not text in UTF-8 (byte {error.start:,})") from None
    except OSError as error:
        raise CompanionError(f"{where} cannot be read: {error.strerror or type(error).__name__}") from None
    return parse_plain(text, where)


def parse_plain(text: str, where: str) -> Any:
    """As :func:`load_plain`, of text."""
    if len(text) > LARGEST:
        raise CompanionError(f"{where} is longer than {LARGEST:,} characters")
    try:
        _check(text, where)
        return yaml.load(text, Loader=_Plain)  # a safe loader
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or str(error)
        raise CompanionError(f"{where}{line} is not valid YAML: {quote(problem, marks=False)}") from None
    except (ValueError, OverflowError, TypeError, RecursionError) as error:
        raise CompanionError(f"{where} holds a value that cannot be read: {quote(str(error), marks=False)}") from None


def _check(text: str, where: str) -> None:
    """Refuse what plain YAML has no use for, before anything is built from it."""
    depth = nodes = 0
    keys: list[set[str] | None] = []  # of each open mapping the keys so far; None for a list
    wanted: list[bool] = []  # whether the next node of a mapping is a key
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        line = event.start_mark.line + 1
        if isinstance(event, yaml.AliasEvent):
            raise CompanionError(
                f"{where}, line {line}: write the value out, aliases (*{quote(event.anchor)}) are not taken"
            )
        if isinstance(event, (yaml.MappingEndEvent, yaml.SequenceEndEvent)):
            depth -= 1
            keys.pop(), wanted.pop()
        if isinstance(event, yaml.NodeEvent):
            nodes += 1
            if event.tag is not None:
                raise CompanionError(f"{where}, line {line}: write plain values, without the tag {quote(event.tag)}")
            names = keys[-1] if wanted and wanted[-1] else None
            if names is not None:
                if not isinstance(event, yaml.ScalarEvent):
                    raise CompanionError(f"{where}, line {line}: a name must be a word, not a list or a mapping")
                if event.value in names:
                    raise CompanionError(f"{where}, line {line} says {quote(event.value)} a second time: keep one")
                names.add(event.value)
            if wanted:
                wanted[-1] = not wanted[-1]
        if isinstance(event, (yaml.MappingStartEvent, yaml.SequenceStartEvent)):
            depth += 1
            keys.append(set() if isinstance(event, yaml.MappingStartEvent) else None)
            wanted.append(True)
        if depth > DEEPEST or nodes > MOST_NODES:
            raise CompanionError(f"{where}, line {line}: more than {DEEPEST} levels or {MOST_NODES:,} values")
