"""A book of toy chapters in a temporary directory, for the tests of the pipeline. Its kernels import nothing heavy."""

from __future__ import annotations

import atexit
import functools
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import elbo as package

FRONT = """---
jupytext:
  text_representation:
    extension: .md
    format_name: myst
kernelspec:
  display_name: Python 3
  language: python
  name: python3
---

"""

CELL = "```{{code-cell}} ipython3\n{tags}{code}\n```\n\n"

PARAMETERS = """beta: float = 1.0  # weight of the <KL>
latent_dim: int = 2  # size of the code
rates: list[float] = [0.1, 0.2]  # learning rates
name: str = "plain"  # any text
fail: str = ""  # how to fail
trace: str = ""  # where to write the kernel's process id
seed: int = 0  # seed
device: str = "auto"  # device"""

MIDDLE = """import os, signal, time
if trace:
    with open(trace + ".part", "w") as file:
        file.write(str(os.getpid()))
    os.rename(trace + ".part", trace)
if fail == "exception":
    raise ValueError(f"beta is {beta}, which will not do")
if fail == "killed":
    os.kill(os.getpid(), signal.SIGKILL)
if fail == "slow":
    time.sleep(120)
if fail == "papermill":
    os.kill(os.getppid(), signal.SIGTERM)
    time.sleep(120)
if fail == "big":
    print("x" * 4_000_000)
print("beta", beta)"""

LAST = """if fail == "killed last":
    os.kill(os.getpid(), signal.SIGKILL)
if fail != "silent":
    print("elbo: chapter {key} complete")"""


def chapter(key: str) -> str:
    """The text of a chapter that does what its parameter ``fail`` says."""
    cells = [(":tags: [parameters]\n\n", PARAMETERS), ("", MIDDLE), (":tags: [remove-input]\n\n", LAST.format(key=key))]
    return FRONT + f"# Chapter {key}\n\n" + "".join(CELL.format(tags=tags, code=code) for tags, code in cells)


def write_book(root: Path, *keys: str) -> Path:
    """A project at ``root`` with these chapters, an index, and nothing run yet."""
    (root / "book").mkdir(parents=True)
    (root / "book" / "index.md").write_text("# Toy book\n\nA page without code.\n")
    for key in keys:
        (root / "book" / f"{key}.md").write_text(chapter(key))
    (root / "_config.yml").write_text(
        'title: Toy\nauthor: Nobody\nonly_build_toc_files: true\nexclude_patterns: [".*", "**/.*", _build]\n'
        "execute: {execute_notebooks: force}\n"
    )
    listed = "".join(f"  - file: book/{key}\n" for key in keys)
    (root / "_toc.yml").write_text("format: jb-book\nroot: book/index\n" + (f"chapters:\n{listed}" if keys else ""))
    return root


def copy_package(folder: str | Path) -> Path:
    """A copy of the package under ``folder``, to be put on ``PYTHONPATH``; returns the copy."""
    target = Path(folder) / "elbo"
    return shutil.copytree(Path(package.__file__).parent, target, ignore=shutil.ignore_patterns("__pycache__"))


@functools.cache
def frozen_package() -> str:
    """A copy of the package to run the commands with: editing the package while the tests run makes no run stale."""
    folder = tempfile.mkdtemp(prefix="elbo-tests-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    copy_package(folder)
    return folder


def start(root: Path, *arguments: str, package_folder: Path | None = None, **options) -> subprocess.Popen:
    """Start the command ``elbo`` in a process group of its own, with Ctrl-C heard even where
    the tests run in the background.

    ``package_folder`` holds the copy of the package to run, :func:`frozen_package` unless it is given.
    """
    options.setdefault("preexec_fn", _heard)
    return subprocess.Popen(
        [sys.executable, "-m", "elbo", *arguments],
        cwd=root,
        env={**os.environ, "ELBO_ROOT": str(root), "PYTHONPATH": str(package_folder or frozen_package())},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        **options,
    )


def _heard() -> None:
    """Ctrl-C and a closed terminal are heard, also where the tests run in the background or under nohup."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


def elbo(root: Path, *arguments: str, **options) -> subprocess.CompletedProcess:
    """Run the command ``elbo`` to its end."""
    process = start(root, *arguments, **options)
    out, err = process.communicate(timeout=240)
    return subprocess.CompletedProcess(arguments, process.returncode, out, err)


def sentences(err: str) -> list[str]:
    """The lines on standard error that report failures, progress left out."""
    return [line for line in err.splitlines() if line.startswith("elbo: ")]


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a directory, locks left out (they are empty and stay)."""
    files = [path for path in folder.rglob("*") if path.is_file() and path.suffix != ".lock"]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def left_over(root: Path) -> list[str]:
    """Staging directories and other half-finished things below ``root``."""
    return [str(path) for path in root.rglob("*staging*")]


def wait_for(path: Path, seconds: float = 60) -> str:
    """Wait until a file is there; its text."""
    return wait_until(lambda: path.exists() and (path.read_text() or " "), seconds)


def wait_until(condition, seconds: float = 60):
    """Wait until ``condition()`` is true; its value."""
    end = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)
    return value


def alive(pid: str | int) -> bool:
    """Whether a process runs."""
    import psutil

    try:
        return psutil.Process(int(pid)).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


__all__ = [
    "alive",
    "chapter",
    "contents",
    "copy_package",
    "elbo",
    "left_over",
    "sentences",
    "signal",
    "start",
    "wait_for",
    "wait_until",
    "write_book",
]
