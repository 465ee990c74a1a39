"""The signals that ask a command to end: Ctrl-C, SIGTERM, and SIGHUP where the terminal is closed."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

__all__ = ["ENDING", "Terminated", "ended_by_signals", "handled"]

ENDING = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))
TIDYING = 3.0
"""Seconds after a first signal in which others are not heard: what it interrupted is being tidied up."""

_first: list[float] = []


class Terminated(BaseException):
    """The command was told to end; nothing that catches errors may hold it up."""


def _end(number: int, _frame: FrameType | None) -> None:
    now = time.monotonic()
    if _first and now - _first[-1] < TIDYING:
        return
    _first.append(now)
    raise KeyboardInterrupt if number == signal.SIGINT else Terminated


@contextlib.contextmanager
def handled(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """Have Ctrl-C and :data:`ENDING` handled in the block; outside the main thread, or where ignored, do nothing.

    The handlers from before are back afterwards, at no moment is there none. Where a signal has ended the block no
    further one is heard: it would meet a command on its way out.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, *ENDING)}
    heard = [number for number, one in before.items() if one not in (signal.SIG_IGN, None)]  # nohup ignores SIGHUP
    for number in heard:
        signal.signal(number, handler)
    try:
        yield
    finally:
        for number in heard:
            signal.signal(number, signal.SIG_IGN if _first else before[number])


@contextlib.contextmanager
def ended_by_signals() -> Iterator[None]:
    """Raise in the block when told to end: ``KeyboardInterrupt`` on Ctrl-C, else :class:`Terminated`; once.

    A second signal within :data:`TIDYING` seconds is not heard, so that nothing stays half removed; a later one is,
    should tidying up take that long.
    """
    if threading.current_thread() is threading.main_thread():
        _first.clear()
    hook = sys.unraisablehook
    sys.unraisablehook = _unheard(hook)
    try:
        with handled(_end):
            yield
    finally:
        sys.unraisablehook = hook


def _unheard(hook: Callable[[Any], object]) -> Callable[[Any], None]:
    """A hook for what Python ignores: a signal that fell into a destructor or a callback is sent once more."""

    def again(ignored: Any) -> None:
        if not issubclass(ignored.exc_type, (KeyboardInterrupt, Terminated)):
            hook(ignored)
            return
        _first.clear()
        number = signal.SIGINT if issubclass(ignored.exc_type, KeyboardInterrupt) else signal.SIGTERM
        threading.Timer(0.02, os.kill, (os.getpid(), number)).start()

    return again
