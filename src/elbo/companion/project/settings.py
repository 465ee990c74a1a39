"""Where the package and its checkout are. No other module counts the folders above its file."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["PACKAGE", "checkout", "data_folder", "home", "is_checkout"]

PACKAGE = Path(__file__).resolve().parents[2]
"""The folder of the package ``elbo``: what a fingerprint covers."""


def home() -> Path | None:
    """The checkout that this package is installed from, ``None`` for a package installed without one."""
    folder = PACKAGE.parents[1]
    return folder if is_checkout(folder) else None


def checkout() -> Path | None:
    """The checkout in force: ``ELBO_ROOT``, which a command sets for the kernels and builds that it starts, else :func:`home`."""
    given = os.environ.get("ELBO_ROOT")
    folder = Path(given).expanduser().resolve() if given else None
    return folder if folder and is_checkout(folder) else home()


def data_folder() -> Path:
    """The folder ``data`` of the checkout in force: reference tables and what was read off the papers."""
    return (checkout() or PACKAGE.parents[1]) / "data"


def is_checkout(folder: Path) -> bool:
    """Whether a folder holds a book: ``_config.yml`` and ``_toc.yml``."""
    return (folder / "_config.yml").is_file() and (folder / "_toc.yml").is_file()
