"""Parameters of a run: a profile's, then the command line's, each checked against what the chapter declares.

A profile is a YAML file of parameters per chapter (``book/profiles/quick.yml``)::

    kingma-welling-2013:
      latent_dim: 10
      learning_rates: [0.01, 0.02]

papermill injects an unknown name with a warning nobody reads, and a number that YAML takes for text (``1e-3``, which
lacks the point that YAML 1.1 asks for) as text. Here the first is an error and the second is converted.
"""

from __future__ import annotations

import ast
import types
import typing
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from elbo.companion.project.chapters import Chapter, Parameter, chapter_keys, nearest
from elbo.companion.project.errors import CompanionError, quote
from elbo.companion.project.paths import Project, given_path
from elbo.companion.project.plain import load_plain
from elbo.companion.project.sense import senseless

__all__ = ["Profile", "convert", "load_profile", "profile_names", "resolve"]

_TYPES = {
    **{kind.__name__: kind for kind in (bool, int, float, str, list, dict, tuple)},
    "None": None,
    "Any": Any,
    "Literal": typing.Literal,
    "Optional": typing.Optional,
    "Union": typing.Union,
}


@dataclass(frozen=True)
class Profile:
    """A named set of parameters: ``parameters[chapter][name]``, as the file has them."""

    name: str
    parameters: dict[str, dict[str, Any]]
    where: str


def profile_names(project: Project) -> list[str]:
    """The book's own profiles, ``quick`` among them, from the shortest to the longest as far as that is known."""
    order = ("smoke", "quick", "paper")
    own = {path.stem for path in (project.book / "profiles").glob("*.yml")} | {"quick"}
    return [name for name in order if name in own] + sorted(own - set(order))


def load_profile(project: Project, name: str) -> Profile:
    """A profile by its name (a file of ``book/profiles/``) or by the path of a YAML file.

    ``quick`` needs no file: it is the defaults of the chapters, where the file does not say otherwise.

    Raises:
        CompanionError: there is none, or it is not a mapping of chapters to mappings, or it names an unknown chapter.
    """
    folder = project.book / "profiles"
    own = sorted(path.stem for path in folder.glob("*.yml"))
    is_path = name.endswith((".yml", ".yaml")) or "/" in name
    path = given_path(name if is_path else folder / f"{name}.yml", "the profile")
    if not path.is_file():
        if name == "quick":
            return Profile("quick", {}, "the defaults")
        raise CompanionError(
            f"there is no profile {quote(name)}{nearest(name, own)}; "
            f"use one of {', '.join(own) or 'quick'}, or the path of a YAML file"
        )
    if is_path and path.stem in own and path.resolve() != (folder / f"{path.stem}.yml").resolve():
        raise CompanionError(
            f"{name} has the name of the book's own profile {path.stem!r} and would replace its runs; rename the file"
        )
    where = project.show(path)
    content = load_plain(path, where) or {}
    if not isinstance(content, dict) or not all(isinstance(value, dict | None) for value in content.values()):
        raise CompanionError(f"{where} must hold chapters and, indented below each, `parameter: value` lines")
    known = chapter_keys(project)
    for key in content:
        if key not in known and not given_path(project.book / f"{key}.md", "the chapter").is_file():
            raise CompanionError(
                f"{where} names the chapter {quote(key)}, which is not in the book{nearest(str(key), known)}"
            )
    return Profile(path.stem, {key: dict(value or {}) for key, value in content.items()}, where)


def resolve(
    chapter: Chapter, profile: Profile, given: dict[str, str] | None = None, device: str | None = None
) -> dict[str, Any]:
    """Every parameter of a chapter with the value in force: the default, over it the profile's, then the command's.

    Args:
        chapter: what declares the parameters.
        profile: the profile.
        given: ``-p name value`` pairs, still text; a value is read by the annotation of its parameter.
        device: the value of the parameter ``device``, ``None`` to leave it.

    Raises:
        CompanionError: a name that the chapter does not declare (with the nearest that it does), or a value of another
            type.
    """
    values = {name: parameter.default for name, parameter in chapter.parameters.items()}
    sources: list[tuple[str, dict[str, Any], bool]] = [
        (profile.where, profile.parameters.get(chapter.key, {}), False),
        ("-p", given or {}, True),
    ]
    if device is not None:
        if "device" not in chapter.parameters:
            raise CompanionError(f"{chapter.key} has no parameter `device`; leave --device out for this chapter")
        sources.append(("--device", {"device": device}, False))
    for where, settings, is_text in sources:
        for name, value in settings.items():
            if name not in chapter.parameters:
                raise CompanionError(
                    f"{where}: {chapter.key} has no parameter {quote(name)}{nearest(str(name), chapter.parameters)};"
                    f" it has {', '.join(chapter.parameters) or 'none'}"
                )
            values[name] = convert(chapter, chapter.parameters[name], value, where, is_text)
    return values


def convert(chapter: Chapter, parameter: Parameter, value: Any, where: str = "-p", is_text: bool = False) -> Any:
    """``value`` as the parameter's annotation wants it; an integer passes for a ``float``, a truth value never does.

    Raises:
        CompanionError: the value is of another type, or the annotation cannot be understood.
    """
    try:
        annotation = eval(parameter.annotation, {"__builtins__": {}}, _TYPES)
    except Exception:
        raise CompanionError(
            f"book/{chapter.key}.md annotates {parameter.name} as {parameter.annotation!r}; "
            "use int, float, bool, str, list[...], dict[...], Literal[...] or `... | None`"
        ) from None
    raw = value
    if is_text and not _fits_text(annotation, value):
        value = _literal(value)
    try:
        found = _coerce(annotation, value)
    except (TypeError, ValueError, OverflowError, RecursionError):
        raise CompanionError(
            f"{where}: {parameter.name} of {chapter.key} must be {parameter.annotation}, not {quote(raw)}; "
            f"its default is {parameter.default!r}"
        ) from None
    if wrong := senseless(parameter.name, parameter.default, found, parameter.help):
        raise CompanionError(
            f"{where}: {parameter.name} of {chapter.key} must {wrong}, not {quote(raw)}; "
            f"its default is {quote(parameter.default, marks=False)}"
        )
    return found


def _fits_text(annotation: Any, value: str) -> bool:
    """Whether text from the command line is meant as text (``none`` is nothing where nothing is allowed)."""
    if value.lower() in ("none", "null") and types.NoneType in typing.get_args(annotation):
        return False
    try:
        return isinstance(_coerce(annotation, value, read_numbers=False), str)
    except (TypeError, ValueError, OverflowError, RecursionError):
        return False


_LONGEST = 100_000  # characters of a value that is read as Python


def _literal(text: str) -> Any:
    if len(text) > _LONGEST:
        return text
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        words = {
            "true": True,
            "false": False,
            "null": None,
            "none": None,
            "inf": float("inf"),
            "-inf": float("-inf"),
            "nan": float("nan"),
        }
        return words.get(text.lower(), text)


def _coerce(annotation: Any, value: Any, read_numbers: bool = True) -> Any:
    """Return ``value`` as ``annotation``, or raise TypeError or ValueError."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if annotation is Any:
        return value
    if annotation is None or annotation is types.NoneType:
        return _require(value is None, value)
    if origin is typing.Literal:
        return _require(any(value == option and type(value) is type(option) for option in arguments), value)
    if origin in (typing.Union, types.UnionType):
        return _first_fit(arguments, value, read_numbers)
    if annotation is float:
        if isinstance(value, str) and read_numbers:
            return float(value)  # YAML reads 1e-3 as text
        return float(_require(isinstance(value, int | float) and not isinstance(value, bool), value))
    if annotation in (bool, str):
        return _require(type(value) is annotation, value)
    if annotation is int:
        return _require(isinstance(value, int) and not isinstance(value, bool), value)
    if (origin or annotation) in (list, tuple):
        _require(isinstance(value, list | tuple), value)
        kinds = [kind for kind in arguments if kind is not Ellipsis] or [Any]
        if (origin is tuple and Ellipsis not in arguments and arguments) and len(value) != len(kinds):
            raise ValueError
        return [_coerce(kinds[min(i, len(kinds) - 1)], item, read_numbers) for i, item in enumerate(value)]
    if (origin or annotation) is dict:
        _require(isinstance(value, dict), value)
        key, item = arguments or (Any, Any)
        return {_coerce(key, k, read_numbers): _coerce(item, v, read_numbers) for k, v in value.items()}
    raise TypeError


def _first_fit(options: Iterable[Any], value: Any, read_numbers: bool) -> Any:
    """The first member of a union that takes the value as it is, else the first that takes it converted."""
    for convert_numbers in (False, True) if read_numbers else (False,):
        for option in sorted(options, key=lambda kind: kind is float):  # `int | float` keeps an integer
            try:
                return _coerce(option, value, convert_numbers)
            except (TypeError, ValueError, OverflowError):
                continue
    raise TypeError


def _require(condition: bool, value: Any) -> Any:
    if not condition:
        raise TypeError
    return value
