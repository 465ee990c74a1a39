"""What a result came from: commit, versions, device, threads, data. One description for
figures, runs and reference tables.
"""

from __future__ import annotations

import hashlib
import os
import platform
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

from elbo import ledger
from elbo.companion.project.settings import checkout

__all__ = ["ARCHIVED", "PACKAGES", "commit", "environment", "lock_digest", "versions"]

ARCHIVED = ".git_archival.txt"
"""The file in which git, on making an archive, and the build of a wheel write the commit down."""
PACKAGES = (
    "torch",
    "torchvision",
    "numpy",
    "scipy",
    "scikit-learn",
    "pandas",
    "matplotlib",
    "seaborn",
    "papermill",
    "jupytext",
)
"""The packages whose versions can change a number, a line of a figure, or how a chapter is run."""


def commit(folder: Path | None = None) -> dict[str, str | bool | None]:
    """``{"commit": sha or None, "dirty": True if tracked files differ from it}`` of a book.

    A packaged book and an unpacked archive have no git: :data:`ARCHIVED` says what they were made of, and
    counts before the git of a repository that they happen to lie in. Whether an archive's files were changed
    afterwards is not known (``None``).
    """
    folder = folder or checkout()
    if folder is None:
        return {"commit": None, "dirty": None}
    if (written := _written_down(folder / ARCHIVED)) is not None:
        return written
    sha = _git(folder, "rev-parse", "HEAD")
    changed = _git(folder, "status", "--porcelain", "--untracked-files=no")
    return {"commit": sha or None, "dirty": None if changed is None else bool(changed)}


def lock_digest(folder: Path | None = None) -> str | None:
    """sha256 of the lock file of a checkout, ``None`` where there is none."""
    folder = folder or checkout()
    lock = folder / "requirements.lock" if folder else None
    return hashlib.sha256(lock.read_bytes()).hexdigest() if lock and lock.exists() else None


def environment(folder: Path | None = None) -> dict[str, Any]:
    """Everything about this process that a result may depend on, without times or host names.

    ``folder`` is the checkout whose commit and lock file count, the one in force unless it is given.

    Packages that are already imported are asked for their state (torch: threads, device name); nothing is imported for
    the purpose. What this process has loaded stands in the ledger.
    """
    described: dict[str, Any] = {
        **commit(folder),
        "lock_sha256": lock_digest(folder),
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "packages": versions(),
        "cpu": _cpu(),
    }
    if torch := sys.modules.get("torch"):
        described["packages"]["torch"] = torch.__version__
        described["threads"] = torch.get_num_threads()
        described["matmul_precision"] = torch.get_float32_matmul_precision()
        if torch.cuda.is_initialized():
            described["gpu"] = torch.cuda.get_device_name()
    described |= {kind: found for kind in ("data", "reference") if (found := ledger.noted(kind))}
    return described


def versions() -> dict[str, str | None]:
    """Versions of :data:`PACKAGES`, ``None`` for one that is not installed."""
    found: dict[str, str | None] = {}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = None
    return found


def _written_down(path: Path) -> dict[str, str | bool | None] | None:
    """What :data:`ARCHIVED` says; ``None`` where there is none or git has not filled it in, as in a checkout."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None
    said = dict(re.findall(r"^([a-z-]+): *(.*)$", text, re.MULTILINE))
    if "$Format" in said.get("node", "$Format"):
        return None
    sha = said["node"] if re.fullmatch(r"[0-9a-f]{40}", said["node"]) else None
    return {"commit": sha, "dirty": {"true": True, "false": False}.get(said.get("dirty", ""))}


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "LC_ALL": "C"},
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())
