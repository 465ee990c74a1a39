"""What a run depends on, as hashes: the same fingerprint, the same run."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from elbo.companion.project import settings
from elbo.companion.project.chapters import Chapter
from elbo.companion.project.errors import CompanionError
from elbo.companion.project.paths import Project
from elbo.companion.record.environment import lock_digest

__all__ = [
    "changed",
    "data_marker",
    "device_in_force",
    "digest",
    "directory_digest",
    "file_digest",
    "inputs",
    "package_digest",
]


def inputs(project: Project, chapter: Chapter, profile: str, parameters: dict[str, Any], device: str) -> dict[str, Any]:
    """Everything that a run depends on, by name; its :func:`digest` is the run's fingerprint.

    The chapter's text, its parameters with their values, the profile's name, the source of the installed package
    (modules and the tables it ships), the reference tables under ``data/reference/<key>``, the lock file, Python's
    version, the device, and the data (:func:`data_marker`). Not the commit: a commit that changes none of these
    changes no number.
    """
    return {
        "chapter": hashlib.sha256(chapter.source.encode()).hexdigest(),
        "parameters": parameters,
        "profile": profile,
        "package": package_digest(),
        "reference": directory_digest(project.root / "data" / "reference" / chapter.key),
        "lock": lock_digest(project.root),
        "python": platform.python_version(),
        "device": device,
        "data": data_marker(parameters, project.data_files),
    }


def digest(described: dict[str, Any]) -> str:
    """sha256 of the canonical JSON of ``described``."""
    return hashlib.sha256(json.dumps(described, sort_keys=True, default=str).encode()).hexdigest()


def changed(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """The names under which two :func:`inputs` differ."""
    return [name for name in now if name not in before or digest({"": before[name]}) != digest({"": now[name]})]


def file_digest(path: Path) -> str:
    """sha256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def package_digest() -> str:
    """:func:`directory_digest` of the package ``elbo`` without the book that an installed one carries."""
    digest = directory_digest(settings.PACKAGE, without=settings.PACKAGED.name)
    assert digest is not None, "the package is a directory"
    return digest


def directory_digest(folder: Path, without: str | None = None) -> str | None:
    """sha256 over names and contents of a directory's files, hidden ones and caches left out; ``None`` without one.

    ``without`` names an entry of the directory that does not count.
    """
    if not folder.is_dir():
        return None
    total = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        if name.parts[0] == without:
            continue
        if path.is_file() and not any(part.startswith(".") or part == "__pycache__" for part in name.parts):
            total.update(name.as_posix().encode() + b"\0")
            total.update(hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()


def data_marker(parameters: dict[str, Any], files: Mapping[str, tuple[str, ...]]) -> str | None:
    """A hash of the sizes of the files in ``ELBO_DATA`` that belong to data sets named by
    a parameter; ``None`` without.

    Contents need not be read here: fetched files are verified against checksums when they are loaded,
    and the checksums stand in the package, whose source is another of the inputs. Nor does the user's cache count,
    which ``elbo data fetch`` fills: that a file is there changes no number, only whether a chapter can run.
    """
    folder = os.environ.get("ELBO_DATA")
    named = {value for value in parameters.values() if isinstance(value, str)} & set(files)
    paths = [Path(path) for name in sorted(named) for path in files[name]]
    if not folder or not paths:
        return None
    return digest({path.as_posix(): _size(Path(folder) / path) for path in paths})


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None


def device_in_force(requested: str) -> str:
    """What ``device`` comes down to on this machine: ``cpu``, or ``cuda (<name of the device>)``.

    torch is asked in a process of its own, and only where an NVIDIA driver is present or ``cuda`` is asked for.

    Raises:
        CompanionError: ``cuda`` was asked for and torch finds none.
    """
    wants_cuda = requested.startswith("cuda")
    if not wants_cuda and not (requested == "auto" and _has_driver()):
        return "cpu" if requested == "auto" else requested
    question = "import torch; print(torch.cuda.get_device_name() if torch.cuda.is_available() else '')"
    answer = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", question], capture_output=True, text=True, check=False
    )
    name = answer.stdout.strip()
    if name:
        return f"cuda ({name})"
    if wants_cuda:
        raise CompanionError(
            "--device cuda: torch finds no CUDA device on this machine; "
            "use --device cpu or auto, or run it where there is a GPU"
        )
    return "cpu"


def _has_driver() -> bool:
    return any(Path("/dev").glob("nvidia[0-9]*")) or Path("/proc/driver/nvidia").exists() or Path("/dev/dxg").exists()
