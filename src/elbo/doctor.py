"""What this machine has of what the book can use: one line a thing, with what it means.

``elbo doctor`` prints it. Nothing is installed, fetched or changed; nothing heavy is imported.
"""

from __future__ import annotations

import importlib.util
import os
import platform
import re
import shutil
import subprocess
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

from elbo.companion.project import settings

__all__ = ["BROWSERS", "NEEDED", "Line", "differences", "examine", "locked"]

NEEDED = 2 * 2**30
"""Bytes that a build from nothing takes under ``_build``, all profiles and editions together, with room to spare."""
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
"""Commands of the browsers that the tests of the pages can use."""
_EXTRAS = {
    "book": ("jupyter_book", "running chapters and building pages"),
    "sweep": ("snakemake", "`elbo sweep`"),
    "browser": ("playwright", "`make browser`"),
    "lint": ("mypy", "`make lint`"),
}


class Line(NamedTuple):
    """One line: ``mark`` is ``ok``, ``note`` (works without; what is then missing) or ``bad`` (does not work so)."""

    mark: str
    what: str
    found: str


def locked(text: str) -> dict[str, str]:
    """``{name: version}`` of a lock file's ``name==version`` lines, names as PyPI compares them (PEP 503)."""
    pins = re.findall(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", text, re.MULTILINE)
    return {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in pins}


def differences(pins: dict[str, str]) -> list[str]:
    """Installed packages that are pinned at another version, ``name installed (locked)``; a local label like
    ``+cpu`` counts as the same version.
    """
    found = []
    for name, version in sorted(pins.items()):
        try:
            here = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
        if here.partition("+")[0] != version.partition("+")[0]:
            found.append(f"{name} {here} ({version})")
    return found


def examine() -> list[Line]:
    """All lines, in the order in which they are of use."""
    return [
        _python(),
        _extras(),
        _lock(),
        _book(),
        _device(),
        _compiler(),
        *_data(),
        _space(),
        _browser(),
        _tex(),
        _git(),
    ]


def _python() -> Line:
    said = f"Python {platform.python_version()} on {platform.system()} {platform.machine()}, {os.cpu_count()} cores"
    return Line("ok", "Python", said)


def _extras() -> Line:
    absent = [name for name, (module, _) in _EXTRAS.items() if importlib.util.find_spec(module) is None]
    if not absent:
        return Line("ok", "extras", ", ".join(_EXTRAS))
    without = "; ".join(f"[{name}] is not installed: no {_EXTRAS[name][1]}" for name in absent)
    return Line("note", "extras", f"{without} (pip install 'carving-the-elbo[{','.join(absent)}]')")


def _lock() -> Line:
    book = settings.checkout()
    lock = book / "requirements.lock" if book else None
    if lock is None or not lock.is_file():
        return Line("note", "lock", "no requirements.lock here: versions are not compared")
    pins = locked(lock.read_text(encoding="utf-8"))
    apart = differences(pins)
    if not apart:
        return Line("ok", "lock", f"every installed package is at its version of the lock ({len(pins)} pinned)")
    shown = ", ".join(apart[:8]) + (f" and {len(apart) - 8} more" if len(apart) > 8 else "")
    return Line("note", "lock", f"installed (locked): {shown}; numbers may differ in their last digits")


def _book() -> Line:
    book = settings.checkout()
    if book is None:
        return Line("bad", "book", "none: say --root, set ELBO_ROOT, or install the package from a wheel")
    kind = "the one that came with the package" if settings.is_packaged(book) else str(book)
    return Line("ok", "book", kind)


def _device() -> Line:
    """Asks the driver, not torch, whose import takes seconds; whether torch can use the device is torch's to say."""
    listed = _said("nvidia-smi", "--query-gpu=name", "--format=csv,noheader")
    build = metadata.version("torch") if importlib.util.find_spec("torch") else "missing"
    if not listed:
        return Line("note", "GPU", f"none seen; chapters run on the CPU (torch {build})")
    if "cpu" in build:
        return Line("note", "GPU", f"{listed.splitlines()[0]}, but torch {build} is a build for the CPU alone")
    return Line("ok", "GPU", f"{listed.splitlines()[0]} (torch {build}); --device cuda uses it")


def _compiler() -> Line:
    found = shutil.which(os.environ.get("CXX", "g++")) or shutil.which("clang++")
    if found is None:
        return Line("note", "compiler", "no C++ compiler: long trainings run uncompiled and slower (install g++)")
    return Line("ok", "compiler", found)


def _data() -> list[Line]:
    from elbo import data

    lines = []
    for row in data.available():
        if row.present:
            continue
        lines.append(Line("note", f"data {row.name}", f"not here; `elbo data fetch {row.name}` fetches it"))
    if lines:
        return lines
    return [Line("ok", "data", "every data set is here")]


def _space() -> Line:
    book = settings.checkout()
    folder = Path.cwd() if book is None else settings.build_folder(book)
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    said = f"{free / 2**30:.1f} GiB free under {folder}"
    if not os.access(folder, os.W_OK):
        return Line("bad", "space", f"{folder} cannot be written to: work in a folder of yours")
    if free < NEEDED:
        return Line("bad", "space", f"{said}; building everything wants {NEEDED / 2**30:.0f} GiB")
    return Line("ok", "space", said)


def _browser() -> Line:
    found = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if found is None:
        return Line("note", "browser", "no Chromium: the pages are not checked in a browser (apt-get install chromium)")
    return Line("ok", "browser", found)


def _tex() -> Line:
    absent = [name for name in ("xelatex", "latexmk") if shutil.which(name) is None]
    if absent:
        return Line("note", "TeX", f"no {' and no '.join(absent)}: no PDF edition (HTML and EPUB need none)")
    return Line("ok", "TeX", str(shutil.which("xelatex")))


def _git() -> Line:
    found = _said("git", "--version")
    if not found:
        return Line("note", "git", "no git: records of runs name no commit")
    return Line("ok", "git", found)


def _said(*command: str) -> str:
    """What a command prints, empty where it is not there, fails, or does not answer in ten seconds."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()
