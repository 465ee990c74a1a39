"""The signals that ask a command to end: SIGTERM, and SIGHUP where the terminal is closed. Both are one exception."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator

__all__ = ["ENDING", "Terminated", "ended_by_signals"]

ENDING = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))


class Terminated(BaseException):
    """The command was told to end; nothing that catches errors may hold it up."""


def _terminated(*_: object) -> None:
    raise Terminated


@contextlib.contextmanager
def ended_by_signals() -> Iterator[None]:
    """Raise :class:`Terminated` in the block when one of :data:`ENDING` arrives; outside the main thread do nothing."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in ENDING}
    for number, handler in before.items():
        if handler is not signal.SIG_IGN:  # nohup: whoever started us wants no end by SIGHUP
            signal.signal(number, _terminated)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
