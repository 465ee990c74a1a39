"""Where the package and its checkout are. No other module counts the folders above its file."""

from __future__ import annotations

from pathlib import Path

__all__ = ["PACKAGE", "checkout", "is_checkout"]

PACKAGE = Path(__file__).resolve().parents[2]
"""The folder of the package ``elbo``: what a fingerprint covers."""


def checkout() -> Path | None:
    """The checkout that this package is installed from, ``None`` for a package installed without one."""
    folder = PACKAGE.parents[1]
    return folder if is_checkout(folder) else None


def is_checkout(folder: Path) -> bool:
    """Whether a folder holds a book: ``_config.yml`` and ``_toc.yml``."""
    return (folder / "_config.yml").is_file() and (folder / "_toc.yml").is_file()
