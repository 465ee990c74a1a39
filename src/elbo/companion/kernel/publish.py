"""Publish a figure: a caption, an alternative text, a permanent id, the data behind it, and the run that made it."""

from __future__ import annotations

import ast
import base64
import hashlib
import inspect
import io
import json
import re
from collections.abc import Callable
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from elbo.companion.kernel import excerpt, panels
from elbo.companion.kernel.drawn import mismatch
from elbo.companion.kernel.session import Session, current
from elbo.companion.project.errors import quote
from elbo.companion.project.settings import checkout, home, packaged
from elbo.companion.record import embedded, swhid
from elbo.companion.record.handover import MIME, cell_lines

__all__ = ["FigureError", "bundle", "figure"]

_ID = re.compile(r"[a-z0-9]+(-[a-z0-9]+)+")
_MAKERS = ("elbo.experiments.", "elbo.figures.")


class FigureError(ValueError):
    """A figure that may not be published; the message says why and what to do."""


def figure(fig: Figure, *, id: str, caption: str, alt: str, data: pd.DataFrame) -> None:
    """Show ``fig`` in the page as a numbered, captioned figure and publish its files with the record of the run.

    The output of the cell carries everything (SVG, PDF, PNG, CSV, record), so that an executed notebook is complete by
    itself; building the book writes ``figures/<id>.{svg,pdf,png,csv,json}``. SVG, PDF and PNG also hold the record and,
    packed, the table (:mod:`elbo.companion.record.embedded`), so that ``elbo reproduce`` needs no other file. Equal
    parameters on the same machine and commit give equal bytes: the writing adds no time of its own.

    Args:
        fig: the figure, drawn from ``data``.
        id: permanent name, ``<chapter key>-<slug>`` in lower case and hyphens; anchor, file
            stem and citation key at once.
        caption: which question the figure answers and what the answer is. ``$mathematics$``
            and ```code``` are set as such.
        alt: what a reader who cannot see the figure should know.
        data: tidy table of exactly the numbers that are drawn.

    Raises:
        FigureError: the id is malformed, of another chapter, or taken; caption, alt or data is missing; or the figure
            shows a value that ``data`` does not hold.
        RuntimeError: no chapter has begun.
    """
    from IPython.display import display

    session = current()
    _check(fig, id, caption, alt, data, session)
    content = bundle(
        fig, id=id, caption=caption, alt=alt, data=data, session=session, source=_called(), cell=_shown(id, session)
    )
    png = content["files"].pop("png")
    shown = {MIME: content, "image/png": png, "text/plain": f"{id}: {alt}"}
    display(shown, metadata={"elbo_figure": id}, raw=True)
    session.published[id] = _cell()


def bundle(
    fig: Figure,
    *,
    id: str,
    caption: str,
    alt: str,
    data: pd.DataFrame,
    session: Session,
    source: tuple[str, ...] = (),
    cell: str = "",
) -> dict[str, Any]:
    """The figure as one JSON object: its texts, its record and its files (SVG, CSV, JSON as text; PDF, PNG in base64).

    ``source`` says where the functions stand that made the figure, ``("src/elbo/figures/....py#L10-L20", ...)``, and
    ``cell`` the same of the cell that shows it; what is known of both goes into the record as identifiers
    (:mod:`elbo.companion.record.swhid`).
    """
    table = data.to_csv(index=False, lineterminator="\n")
    environment = session.environment()
    record = {
        "id": id,
        "chapter": session.chapter,
        "caption": caption,
        "alt": alt,
        "profile": session.profile,
        "parameters": session.parameters,
        "settings": session.settings,
        "command": session.command(),
        "source": list(source),
        "csv_sha256": hashlib.sha256(table.encode()).hexdigest(),
        "environment": environment,
        "swhid": _identity(environment, source, cell),
    }
    text = json.dumps(record, indent=1, sort_keys=True, ensure_ascii=False)
    inside = json.dumps(
        {**record, "table": embedded.pack(table)}, sort_keys=True
    )  # ASCII: a PDF doubles any other text
    about = {"Title": id, "Creator": "Carving the ELBO"}
    files = {
        "svg": _save(
            fig, "svg", {**about, "Date": None, "Identifier": id, "Description": caption, "Source": inside}
        ).decode(),
        "pdf": _base64(_save(fig, "pdf", {**about, "CreationDate": None, "Subject": caption, "Keywords": inside})),
        "png": _base64(_save(fig, "png", {**about, "Software": None, "Description": caption, "elbo:record": inside})),
        "csv": table,
        "json": text + "\n",
    }
    place = {"id": id, "chapter": session.chapter, "caption": caption, "alt": alt}
    return {**place, "files": files, "panels": panels.boxes(fig)}


def _check(fig: Figure, id: str, caption: str, alt: str, data: pd.DataFrame, session: Session) -> None:
    if not _ID.fullmatch(id) or not id.startswith(session.chapter + "-"):
        raise FigureError(
            f"figure id {quote(id)}: use {session.chapter}-<slug> in lower-case letters, digits and single hyphens"
        )
    if not alt.strip():
        raise FigureError(f"figure {id}: alt is empty; say in a sentence what a reader should see")
    if not caption.strip():
        raise FigureError(
            f"figure {id}: caption is empty; say which question the figure answers and what the answer is"
        )
    if not isinstance(data, pd.DataFrame) or data.empty:
        raise FigureError(
            f"figure {id}: data must be a pandas DataFrame with at least one row: the numbers that are drawn"
        )
    for what, text in {"caption": caption, "alt": alt}.items():
        if (strange := _not_text(text)) is not None:
            raise FigureError(f"figure {id}: {what} holds {strange}, half a character that no file can; write it anew")
    if problem := _not_tidy(data):
        raise FigureError(f"figure {id}: {problem}")
    if id in session.published and not _again(session.published[id], _cell()):
        raise FigureError(
            f"figure {id}: this id was published before in this chapter; an id belongs to one figure, choose another"
        )
    if problem := mismatch(fig, data):
        raise FigureError(f"figure {id}: {problem}")


def _identity(environment: dict[str, Any], source: tuple[str, ...], cell: str) -> dict[str, Any]:
    """Identifiers of the checkout and the lines; functions count where the package is the one of that checkout."""
    folder = checkout()
    functions = source if (home() or packaged()) == folder else ()
    return swhid.identity(folder, environment, [*filter(None, [cell]), *functions])


def _shown(id: str, session: Session) -> str:
    """``book/<key>.md#L10-L20``, the cell of the chapter's text that shows the figure; empty where the text on the disk
    is not what this kernel has executed.
    """
    _, code = _cell()
    folder = checkout()
    text = folder and folder / "book" / f"{session.chapter}.md"
    if not code or not text or not text.is_file():
        return ""
    source = text.read_text(encoding="utf-8")
    lines = cell_lines(source, id)
    inside = "\n".join(source.splitlines()[lines[0] : lines[1] - 1]) if lines else ""
    return f"book/{session.chapter}.md#L{lines[0]}-L{lines[1]}" if lines and inside.endswith(code.strip("\n")) else ""


def _not_text(text: str) -> str | None:
    """The first character that is half of one (a lone surrogate), as it is typed; ``None`` where all are whole."""
    return next((ascii(c) for c in text if "\ud800" <= c <= "\udfff"), None)


def _not_tidy(data: pd.DataFrame) -> str | None:
    """Why a table is not one that a reader can take numbers from, or ``None``; a NaN is an empty cell, and allowed."""
    names = [name if isinstance(name, str) else "" for name in data.columns]
    if nameless := [place for place, name in enumerate(names, 1) if not name.strip() or _not_text(name)]:
        return f"column {nameless[0]} of `data` has no name; every column is called by a word"
    if len(set(names)) < len(names):
        return f"two columns of `data` are called {quote(max(names, key=names.count))}; give each a name of its own"
    numbers = data.select_dtypes("number")
    for name in numbers:
        values = data[name].to_numpy()
        if values.dtype.kind == "c":
            return f"column {quote(name)} of `data` holds complex numbers; give real and imaginary part a column each"
        if values.dtype.kind == "f" and np.isinf(values).any():
            return f"column {quote(name)} of `data` is infinite somewhere; leave the cell empty (NaN) and say why"
    if len(numbers.columns) and not numbers.notna().to_numpy().any():
        return "every number of `data` is NaN: there is nothing to show"
    for name in data.columns.difference(numbers.columns):
        if any(_not_text(word) for word in data[name] if isinstance(word, str)):
            return f"column {quote(name)} of `data` holds half a character (a lone surrogate); write it anew"
    return None


def _cell() -> tuple[Any, ...]:
    """Which execution of which cell this is: ``(execution count, source)``."""
    try:
        from IPython import get_ipython
    except ImportError:
        return (None, None)
    shell = get_ipython()
    if shell is None:
        return (None, None)
    return (shell.execution_count, shell.history_manager.input_hist_raw[-1] if shell.history_manager else None)


def _called() -> tuple[str, ...]:
    """Where the functions of this package stand that the cell calls, ``file#Lfirst-Llast``; the cell's own text is not
    asked for more than their names.
    """
    _, code = _cell()
    if not code:
        return ()
    from IPython import get_ipython

    names = get_ipython().user_ns
    try:
        calls = [node.func for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Call)]
    except SyntaxError:  # a magic of IPython's
        return ()
    found = [_resolved(node, names) for node in calls]
    own = [it for it in found if inspect.isroutine(it) and (getattr(it, "__module__", "") or "").startswith(_MAKERS)]
    return tuple(dict.fromkeys(_lines(function) for function in own))


def _resolved(node: ast.expr, names: dict[str, Any]) -> Any:
    """The object that ``a.b.c`` names, ``None`` for any other expression."""
    if isinstance(node, ast.Name):
        return names.get(node.id)
    return getattr(_resolved(node.value, names), node.attr, None) if isinstance(node, ast.Attribute) else None


def _lines(function: Callable[..., Any]) -> str:
    _, place = excerpt.text(function, docstring=True)
    file, _, lines = place.partition(", lines ")
    first, _, last = lines.partition(" to ")
    return f"{file}#L{first}-L{last}"


def _again(before: tuple[Any, ...], now: tuple[Any, ...]) -> bool:
    """Whether ``now`` is a later execution of the same cell, which a reader at the keyboard may well ask for."""
    return None not in (before[0], now[0]) and before[0] != now[0] and before[1] == now[1]


def _save(fig: Figure, format: str, metadata: dict[str, Any]) -> bytes:
    buffer = io.BytesIO()
    with mpl.rc_context({"svg.hashsalt": "carving-the-elbo"}):
        fig.savefig(buffer, format=format, metadata=metadata, bbox_inches="tight", pad_inches=0.05)
    return buffer.getvalue()


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()
