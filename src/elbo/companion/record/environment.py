"""What a result came from: commit, versions, device, threads, data. One description for figures, runs and reference tables."""

from __future__ import annotations

import hashlib
import os
import platform
import subprocess
import sys
from importlib import metadata
from pathlib import Path

from elbo.companion.project.settings import checkout

__all__ = ["PACKAGES", "commit", "environment", "lock_digest"]

PACKAGES = ("torch", "numpy", "scipy", "scikit-learn", "pandas", "matplotlib", "seaborn")
"""The packages whose versions can change a number or a line of a figure."""


def commit(folder: Path | None = None) -> dict[str, str | bool | None]:
    """``{"commit": sha or None, "dirty": True if tracked files differ from it}`` of a checkout."""
    folder = folder or checkout()
    if folder is None:
        return {"commit": None, "dirty": None}
    sha = _git(folder, "rev-parse", "HEAD")
    changed = _git(folder, "status", "--porcelain", "--untracked-files=no")
    return {"commit": sha or None, "dirty": None if changed is None else bool(changed)}


def lock_digest(folder: Path | None = None) -> str | None:
    """sha256 of the lock file of a checkout, ``None`` where there is none."""
    folder = folder or checkout()
    lock = folder / "requirements.lock" if folder else None
    return hashlib.sha256(lock.read_bytes()).hexdigest() if lock and lock.exists() else None


def environment() -> dict:
    """Everything about this process that a result may depend on, without times or host names.

    Packages that are already imported are asked for their state (torch: threads, device name; ``elbo.data``: the data sets
    this process has loaded); nothing is imported for the purpose.
    """
    described = {
        **commit(),
        "lock_sha256": lock_digest(),
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "packages": {name: _version(name) for name in PACKAGES},
        "cpu": _cpu(),
    }
    if torch := sys.modules.get("torch"):
        described["packages"]["torch"] = torch.__version__
        described["threads"] = torch.get_num_threads()
        described["matmul_precision"] = torch.get_float32_matmul_precision()
        if torch.cuda.is_initialized():
            described["gpu"] = torch.cuda.get_device_name()
    if data := sys.modules.get("elbo.data.sets"):
        described["data"] = dict(sorted(data.loaded().items()))
    if (reference := sys.modules.get("elbo.reference")) and reference.loaded():
        described["reference"] = reference.loaded()
    return described


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


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())
