"""The last line of defence: a fault of ours leaves its traceback in a file, and one sentence for the person."""

from __future__ import annotations

import os
import tempfile
import traceback
from pathlib import Path

from elbo.companion.project.errors import CompanionError, quote
from elbo.companion.project.paths import find_project

__all__ = ["keep"]


def keep(error: Exception) -> str:
    """Write the traceback to the checkout's logs, or where there is none to the system's temporary files.

    Returns:
        A sentence that names the error and the file.
    """
    try:
        folder = find_project().logs
        folder.mkdir(parents=True, exist_ok=True)
    except (CompanionError, OSError):
        folder = Path(tempfile.gettempdir())
    said = f"something unforeseen happened ({type(error).__name__}: {quote(str(error), marks=False)})"
    try:
        path = folder / f"traceback-{os.getpid()}.txt"
        text = "".join(traceback.format_exception(error))
        path.write_text(text, encoding="utf-8", errors="backslashreplace")
    except OSError:
        return f"{said}; please report it with the command that you gave"
    return f"{said}; please report it with {path}"
