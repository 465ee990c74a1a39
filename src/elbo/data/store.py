"""The data folder: where a file lies, whether it is whole, and how it gets there."""

from __future__ import annotations

import functools
import hashlib
import os
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from elbo.data.registry import DATASETS, DataError, RemoteFile, owner

__all__ = ["Available", "available", "fetch", "need", "path", "problem", "root"]


class Available(NamedTuple):
    """One line of ``elbo data list``.

    ``present`` is True when nothing has to be fetched; ``size`` is the bytes on disk (or to fetch, if known), or None.
    """

    name: str
    title: str
    where: str
    present: bool
    size: int | None
    licence: str
    citation: str


def root(override: str | os.PathLike | None = None) -> Path:
    """The data folder: ``override``, else the environment variable ``ELBO_DATA``, else a folder of the user's cache."""
    chosen = override or os.environ.get("ELBO_DATA")
    if not chosen:
        import pooch

        chosen = pooch.os_cache("elbo")
    try:
        return Path(chosen).expanduser().absolute()
    except RuntimeError as error:  # ~nobody
        raise DataError(
            f"the data folder {str(chosen)[:200]!r} cannot be found ({error}): set ELBO_DATA anew"
        ) from None


def path(file: RemoteFile, override: str | os.PathLike | None = None) -> Path:
    """Where a file of the registry lies. It never leaves the data folder.

    Raises:
        ValueError: the registry names an absolute path or one with ``..``.
    """
    relative = PurePosixPath(file.path)
    if relative.is_absolute() or ".." in relative.parts or "\\" in file.path or ":" in file.path:
        raise ValueError(f"the registry names {file.path!r}, which leaves the data folder; give a plain relative path")
    return root(override).joinpath(*relative.parts)


def problem(file: RemoteFile, at: Path) -> str | None:
    """What is wrong with the file at ``at``, as half a sentence; None when it is as published."""
    try:
        size = at.stat().st_size
        if file.bytes is not None and size < file.bytes:
            return f"is truncated ({size:,} of {file.bytes:,} bytes)"
        if file.hash is not None:
            algorithm, expected = file.hash.split(":")
            if _digest(at, algorithm, size, at.stat().st_mtime_ns) != expected:
                return f"is altered or truncated (its {algorithm} is not the published one)"
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    if file.content is not None:
        from elbo.data import frey  # torch, which `elbo data list` does without

        try:
            frey.frames(at)
        except DataError:
            return "is truncated or altered (it does not hold the published pixels)"
    return None


@functools.cache
def _digest(at: Path, algorithm: str, size: int, changed: int) -> str:
    """The checksum of a file; size and time of change are in the cache key: a changed file is read again."""
    with at.open("rb") as stream:
        return hashlib.file_digest(stream, algorithm).hexdigest()


def need(file: RemoteFile, override: str | os.PathLike | None = None, download: bool = True) -> Path:
    """The path of a file that is there and whole, fetched first if it is missing.

    Raises:
        DataError: it is truncated or altered (never replaced behind the user's back), or missing and not to be had.
    """
    at = path(file, override)
    if not at.is_file():
        if not download:
            raise DataError(
                f"{at} is missing; run `elbo data fetch {owner(file)}`, or set ELBO_DATA to a folder that has it"
            )
        return _download(file, at)
    if (wrong := problem(file, at)) is not None:
        raise DataError(f"{at} {wrong}; run `elbo data fetch {owner(file)}` to replace it")
    return at


def fetch(name: str, root: str | os.PathLike | None = None, progress: bool = False) -> list[Path]:
    """Bring the files of a data set into the data folder, verified; those that are whole already are left alone.

    A download that was cut resumes where it stopped, mirrors are tried in turn, and a file appears under its name only
    when it is complete and verified. An embedded data set needs nothing.

    Args:
        name: a name of ``elbo.data.DATASETS``: ``mnist``, ``frey``, ``dsprites-official``, or an embedded one.
        root: the data folder, see :func:`root`.
        progress: show a progress bar.

    Raises:
        ValueError: an unknown name.
        DataError: no mirror could deliver, or the folder cannot be written to.
    """
    if name not in DATASETS:
        raise ValueError(f"no data set is called {name!r}; choose one of {', '.join(DATASETS)}")
    places = []
    for file in DATASETS[name].files:
        at = path(file, root)
        places.append(at if at.is_file() and problem(file, at) is None else _download(file, at, progress))
    return places


def _download(file: RemoteFile, at: Path, progress: bool = False) -> Path:
    from elbo.data import download

    return download.download(file, at, problem, progress)


def available(root: str | os.PathLike | None = None) -> list[Available]:
    """What there is to load, in the order of the registry; looks at the disk, never at the network."""
    lines = []
    for source in DATASETS.values():
        places = [path(file, root) for file in source.files]
        present = all(place.is_file() for place in places)
        sizes = [
            place.stat().st_size if present else file.bytes for place, file in zip(places, source.files, strict=True)
        ]
        size = None if not sizes or None in sizes else sum(sizes)
        where = str(places[0].parent) if places else source.origin
        lines.append(Available(source.name, source.title, where, present, size, source.licence, source.citation))
    return lines
