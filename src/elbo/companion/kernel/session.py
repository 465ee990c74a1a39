"""One execution of a chapter in one kernel: which chapter, with which parameters, and what it has published so far."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from elbo import ledger
from elbo.companion.record.environment import environment
from elbo.companion.record.handover import NO_DATA, sentinel

if TYPE_CHECKING:
    from IPython.core.interactiveshell import ExecutionResult

__all__ = ["Session", "begin", "checkpoint", "current", "end", "settled"]

_NOT_PARAMETERS = {"In", "Out", "exit", "quit", "open", "get_ipython"}


@dataclass
class Session:
    """A chapter under execution.

    Attributes:
        chapter: citation key of the paper.
        profile: name of the profile, ``None`` where the notebook was started by hand.
        parameters: every parameter of the chapter with the value in force.
        overrides: the parameters that were changed against the profile, ``None`` where that is not known.
        settings: values that the chapter has settled on where a parameter left the choice to it.
        published: ids of the figures so far, each with the cell that made it.
    """

    chapter: str
    profile: str | None
    parameters: dict[str, Any]
    overrides: dict[str, Any] | None = None
    settings: dict[str, Any] = field(default_factory=dict[str, Any])
    published: dict[str, tuple[Any, ...]] = field(default_factory=dict)

    def command(self) -> str:
        """The command that runs this chapter with these parameters again."""
        words = ["elbo", "run", self.chapter]
        if self.profile:
            words += ["--profile", self.profile]
        changed = self.parameters if self.overrides is None else self.overrides
        for name, value in changed.items():
            words += ["-p", name, _word(value)]
        return " ".join(words)

    def environment(self) -> dict[str, Any]:
        return environment()


_current: Session | None = None


def begin(chapter: str, names: dict[str, Any]) -> None:
    """Start a chapter; the cell right after the parameters calls ``companion.begin("<key>", globals())``.

    Args:
        chapter: citation key of the paper, the file name of the chapter.
        names: ``globals()`` of the notebook. Every plain value in it (number, text, truth value, ``None``, or a list of
            such) is taken for a parameter, which is why the call stands before any other definition.
    """
    global _current
    given = json.loads(os.environ.get("ELBO_RUN", "{}"))
    if given.get("chapter") != chapter:
        given = {}
    parameters = {
        name: value
        for name, value in names.items()
        if not name.startswith("_") and name not in _NOT_PARAMETERS and _plain(value)
    }
    _current = Session(chapter, given.get("profile"), parameters, given.get("overrides"))
    _listen_for_missing_data()


def settled(**values: Any) -> None:
    """Record the values that the chapter has settled on where a parameter left the choice
    to it (an empty list, a zero).

    They stand in the record of every figure published afterwards, beside the parameters as they were given.
    """
    current().settings |= {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}


def checkpoint(name: str) -> Path | None:
    """Where a long computation of the chapter keeps its state: pass it to what it calls as ``checkpoint``.

    The file lies under ``_build/checkpoints/<chapter>/``, in a directory for exactly this run: another parameter,
    another text, package or data set has another directory. It survives whatever ends the run early, so that the same
    command goes on where it was, and is removed when the chapter has ended well.

    Args:
        name: one for each computation of the chapter, letters, digits, hyphens and underscores.

    Returns:
        The path, whose directory exists; ``None`` where the chapter was not started by ``elbo run`` or ``elbo build``
        (a notebook run by hand has no run to go on with).

    Raises:
        ValueError: a name that is not a plain one.
    """
    if not name or not all(c.isalnum() or c in "-_" for c in name):
        raise ValueError(f"a checkpoint is called by letters, digits, hyphens and underscores, got {name!r}")
    given = json.loads(os.environ.get("ELBO_RUN", "{}"))
    if given.get("chapter") != current().chapter or "checkpoints" not in given:
        return None
    folder = Path(given["checkpoints"])
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{name}.ckpt"


def current() -> Session:
    """The session that :func:`begin` started.

    Raises:
        RuntimeError: there is none.
    """
    if _current is None:
        raise RuntimeError(
            'no chapter has begun: call companion.begin("<chapter key>", globals()) after the parameters cell'
        )
    return _current


def end() -> None:
    """Close the chapter: the last cell calls it, and a run counts only if it was reached."""
    print(sentinel(current().chapter))


def _listen_for_missing_data() -> None:
    """From now on an error that is an :class:`elbo.ledger.NoData` leaves a note of its
    kind in the outputs of its cell.
    """
    try:
        from IPython import get_ipython
    except ImportError:
        return
    if (shell := get_ipython()) is not None:
        shell.events.register("post_run_cell", _note_missing_data)


def _note_missing_data(result: ExecutionResult) -> None:
    from IPython.display import display

    if isinstance(result.error_in_exec, ledger.NoData):
        display({NO_DATA: {"message": str(result.error_in_exec)}}, raw=True)


def _plain(value: object) -> bool:
    if isinstance(value, (list, tuple)):
        return all(_plain(item) for item in value)
    return value is None or isinstance(value, (bool, int, float, str))


def _word(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text if text and all(c.isalnum() or c in "._-+" for c in text) else "'" + text.replace("'", "'\\''") + "'"
