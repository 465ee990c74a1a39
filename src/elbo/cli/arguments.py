"""Where typer falls short: two words after ``-p``, and errors whose classes it keeps to itself."""

from __future__ import annotations

from collections.abc import Sequence

from elbo.companion.project.errors import CompanionError, shorten

__all__ = ["complaint", "paired", "pairs"]


def paired(arguments: Sequence[str]) -> list[str]:
    """``-p name value`` as typer can take it, one word: ``-p name=value`` (which is accepted as well).

    Typer has no option that takes two words and may be repeated.
    """
    words, result = list(arguments), []
    while words:
        word = words.pop(0)
        result.append(word)
        if word == "--":
            return result + words
        if word == "-p" and words and "=" not in words[0] and len(words) > 1:
            result.append(f"{words.pop(0)}={words.pop(0)}")
    return result


def pairs(given: Sequence[str] | None) -> dict[str, str]:
    """Names and values of what :func:`paired` has put together.

    Raises:
        CompanionError: a name without a value.
    """
    found = {}
    for word in given or []:
        name, separator, value = word.partition("=")
        if not separator:
            raise CompanionError(f"-p {word}: say -p NAME VALUE")
        found[name] = value
    return found


def complaint(error: Exception) -> str | None:
    """What typer has to say of a wrong command line, ``None`` where the error is none of its own.

    Typer ships click under a private name, so its errors are known by ``format_message``. A group without a verb is
    answered by the group's help, which is printed here; nothing is left to say then.
    """
    message = getattr(error, "format_message", None)
    if message is None:
        return None
    if type(error).__name__ == "NoArgsIsHelpError":
        print(message())
        return ""
    context = getattr(error, "ctx", None)
    command = context.command_path if context else "elbo"
    return f"{shorten(message().rstrip('.'), 300)}; see {command} --help"
