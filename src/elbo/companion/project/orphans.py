"""A child ends with the command that started it, however that ended, and takes along what both had made for the while.

The command holds a pipe to the child's standard input and writes nothing more to it: the pipe closes with the command,
which no signal can keep from happening. Whoever sees it close ends the child's processes and removes the folders.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import threading
import warnings
from collections.abc import Sequence
from typing import TextIO

__all__ = ["end_with_parent", "standard_input", "watch"]


def watch(*folders: str, session: bool = False) -> None:
    """End with the parent, from now on; standard input is taken for its pipe, and reads as empty afterwards.

    ``session``: only what runs in this session is ended here; what has one of its own looks after itself.
    """
    threading.Thread(target=end_with_parent, args=(standard_input(), folders, session), daemon=True).start()


def standard_input() -> TextIO:
    """Standard input under another number; number 0, which processes started from here inherit, is empty."""
    kept = os.fdopen(os.dup(0), "r", encoding="utf-8")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    return kept


def end_with_parent(parent: TextIO, folders: Sequence[str] = (), session: bool = False) -> None:
    """Wait for the end of the pipe; then end this process and all that it has started, and remove ``folders``."""
    while parent.readline():
        pass
    import psutil

    this = psutil.Process()
    others = [child for child in this.children(recursive=True) if not session or _is_here(child.pid)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a fork beside other threads: the child below does nothing that needs them
        remover = os.fork() if hasattr(os, "fork") else -1
    if remover > 0:  # the rest is done from outside, so that nothing is written any more while folders are removed
        os.waitpid(remover, 0)
        return
    for process in (*others, *([this] if remover == 0 else [])):
        with contextlib.suppress(psutil.Error, OSError):
            os.kill(process.pid, signal.SIGKILL if hasattr(signal, "SIGKILL") else signal.SIGTERM)
    if remover == 0:
        with contextlib.suppress(psutil.Error):
            psutil.wait_procs(others, timeout=2)
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)
    os._exit(1)


def _is_here(pid: int) -> bool:
    try:
        return os.getsid(pid) == os.getsid(0)
    except (OSError, AttributeError):
        return True
