"""Where the package and its book are. No other module counts the folders above its file.

A book is a checkout, or the copy that a package carries which was installed without one (``setup.py`` puts it there).
"""

from __future__ import annotations

import os
from pathlib import Path

__all__ = [
    "PACKAGE",
    "PACKAGED",
    "build_folder",
    "checkout",
    "data_folder",
    "home",
    "is_checkout",
    "is_packaged",
    "packaged",
    "source_file",
]

PACKAGE = Path(__file__).resolve().parents[2]
"""The folder of the package ``elbo``: what a fingerprint covers, :data:`PACKAGED` excepted."""
PACKAGED = PACKAGE / "_book"
"""Where a wheel puts its book; there is none in a checkout."""


def home() -> Path | None:
    """The checkout that this package is installed from, ``None`` for a package installed without one."""
    folder = PACKAGE.parents[1]
    return folder if is_checkout(folder) else None


def packaged() -> Path | None:
    """The book that came with this package, ``None`` for one that is installed from a
    checkout. Nothing writes into it.
    """
    return PACKAGED if is_checkout(PACKAGED) else None


def is_packaged(folder: Path) -> bool:
    """Whether a folder is the book that came with this package."""
    return folder == PACKAGED


def checkout() -> Path | None:
    """The book in force: ``ELBO_ROOT``, which a command sets for the kernels and builds that it starts, else
    :func:`home`, else :func:`packaged`.
    """
    given = os.environ.get("ELBO_ROOT")
    folder = Path(given).expanduser().resolve() if given else None
    return folder if folder and is_checkout(folder) else home() or packaged()


def source_file(root: Path, name: str) -> Path:
    """A file by its place in the checkout, ``src/elbo/....py``; of a packaged book the modules lie around it."""
    inside = name.removeprefix("src/elbo/")
    return PACKAGE / inside if is_packaged(root) and inside != name else root / name


def build_folder(root: Path) -> Path:
    """``_build``, where everything that is made from a book goes: beside its pages, in the
    working folder for a packaged one.
    """
    return (Path.cwd() if is_packaged(root) else root) / "_build"


def data_folder() -> Path:
    """The folder ``data`` of the book in force: reference tables and what was read off the papers."""
    return (checkout() or PACKAGE.parents[1]) / "data"


def is_checkout(folder: Path) -> bool:
    """Whether a folder holds a book: ``_config.yml`` and ``_toc.yml``."""
    return (folder / "_config.yml").is_file() and (folder / "_toc.yml").is_file()
