"""V8 inside Python, for checking the scripts of the live figures: closed before the interpreter ends.

A process that leaves an engine open may hang at exit (12 of 25 did); ``atexit`` runs before that,
and closing twice is harmless.
"""

from __future__ import annotations

import atexit
import json
from functools import cache
from pathlib import Path
from typing import Any

from py_mini_racer import MiniRacer

__all__ = ["STATIC", "evaluate", "sentence", "terms"]

STATIC = Path(__file__).parent / "static" / "live"
_STUB = """
var elboLive = {
  figures: {}, sent: {},
  define(id, figure) { this.figures[id] = figure; },
  payload(id, text) { this.sent[id] = elboMaths.bytes(text); },
};
"""


@cache
def _engine() -> MiniRacer:
    engine = MiniRacer()
    atexit.register(engine.close)
    engine.eval(_STUB)
    engine.eval((STATIC / "maths.js").read_text(encoding="utf-8"))
    return engine


@cache
def _load(id: str) -> None:
    _engine().eval((STATIC / f"{id}.js").read_text(encoding="utf-8"))


@cache
def _payload(name: str) -> str:
    """Read a payload into the engine; returns the JavaScript that names it."""
    _engine().eval((STATIC / name).read_text(encoding="utf-8"))
    return f"elboLive.sent[{json.dumps(name.split('.')[0])}]"


def evaluate(script: str) -> Any:
    """The value of a script in the engine, after whatever was computed there last."""
    return _engine().eval(script)


def sentence(template: str, values: dict[str, Any]) -> str:
    """A template filled in by the script."""
    return _engine().eval(f"elboMaths.fill({json.dumps(template)}, {json.dumps(values)})")


def terms(figure, state: dict[str, float]) -> dict[str, Any]:
    """The terms of a figure as its script computes them, without a browser and without a page.

    Args:
        figure: :class:`elbo.live.Figure`.
        state: a clean state of it.
    """
    _load(figure.id)
    sent = _payload(figure.payload) if figure.payload else "null"
    constants = json.dumps(dict(figure.constants))
    call = f"elboLive.figures[{json.dumps(figure.id)}].terms({json.dumps(state)}, {constants}, {sent})"
    numbers = "(key, value) => typeof value === 'number' && !Number.isFinite(value) ? String(value) : value"
    found = json.loads(_engine().eval(f"JSON.stringify({call}, {numbers})"))
    return {k: float(v) if v in ("Infinity", "-Infinity", "NaN") else v for k, v in found.items() if _scalar(v)}


def _scalar(value: Any) -> bool:
    return isinstance(value, int | float | str)
