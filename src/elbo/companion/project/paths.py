"""Where things lie, and how a finished directory takes the place of an older one in one step."""

from __future__ import annotations

import ctypes
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from elbo.companion.project import settings
from elbo.companion.project.errors import BUSY, CompanionError, quote

__all__ = ["Project", "find_project", "given_path", "hold", "replace_directory", "staging"]


@dataclass(frozen=True)
class Project:
    """A book: ``_config.yml``, ``_toc.yml`` and ``book/``; everything that is made goes under ``_build/``, or ``made``.

    ``data_files`` names, for every data set that is fetched, its files below ``ELBO_DATA``.
    """

    root: Path
    made: Path | None = None
    data_files: Mapping[str, tuple[str, ...]] = field(default_factory=dict, hash=False)

    @property
    def book(self) -> Path:
        return self.root / "book"

    @property
    def build(self) -> Path:
        return self.made or settings.build_folder(self.root)

    @property
    def html(self) -> Path:
        return self.build / "html"

    @property
    def logs(self) -> Path:
        return self.build / "log"

    @property
    def lock_file(self) -> Path:
        return self.root / "requirements.lock"

    def runs(self, profile: str) -> Path:
        """Where the accepted runs of a profile lie, one directory a chapter."""
        return self.build / "runs" / profile

    def checkpoints(self, chapter: str, fingerprint: str) -> Path:
        """What an unfinished run with this fingerprint has saved of its long computations."""
        return self.build / "checkpoints" / chapter / fingerprint[:16]

    def failed(self, chapter: str) -> Path:
        """The notebook of the last failed run of a chapter, as far as it came."""
        return self.build / "failed" / f"{chapter}.ipynb"

    def show(self, path: Path) -> str:
        """A path as a reader would type it: relative to the working directory where that is shorter."""
        try:
            relative = os.path.relpath(path)
        except ValueError:  # another drive
            return str(path)
        return relative if len(relative) < len(str(path)) else str(path)


def find_project(root: str | Path | None = None, data_files: Mapping[str, tuple[str, ...]] | None = None) -> Project:
    """The project at ``root``, else at ``ELBO_ROOT``, else upward from the working directory, else of this package.

    A package that is installed from a checkout has that; one that is not carries its book with it (read-only: what is
    made from it goes to ``_build`` in the working directory).

    Raises:
        CompanionError: there is none.
    """
    given = root or os.environ.get("ELBO_ROOT")
    if given:
        folder = given_path(given, "--root or ELBO_ROOT").resolve()
        if not settings.is_checkout(folder):
            raise CompanionError(
                f"{quote(str(folder), marks=False)} is not a checkout of the book (no _config.yml and _toc.yml); "
                "give its path in --root or ELBO_ROOT"
            )
        return Project(folder, data_files=data_files or {})
    here = Path.cwd().resolve()
    for place in (here, *here.parents, settings.home(), settings.packaged()):
        if place and settings.is_checkout(place):
            return Project(place, data_files=data_files or {})
    raise CompanionError("there is no book here: change into the checkout, or give its path in --root or ELBO_ROOT")


def given_path(text: str | Path, what: str) -> Path:
    """A path that a person gave, ``~`` taken for a home; it need not exist.

    Raises:
        CompanionError: no file system takes it (too long, an unknown user, a null byte).
    """
    try:
        path = Path(text).expanduser()
        os.lstat(path)
    except FileNotFoundError:
        pass
    except (OSError, ValueError, RuntimeError) as error:
        if isinstance(error, (NotADirectoryError, PermissionError)):
            return path
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise CompanionError(
            f"{what} {quote(str(text))} is no path that this system takes ({reason.lower()})"
        ) from None
    return path


@contextmanager
def hold(destination: Path, what: str) -> Iterator[None]:
    """Keep other commands away from ``destination`` while the block runs.

    The lock is the operating system's, on the file ``.<name>.lock`` beside the destination: it ends with the process,
    however that ends.

    Raises:
        CompanionError: another command holds it (exit code 4).
    """
    from filelock import FileLock, Timeout

    destination.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(destination.parent / f".{destination.name}.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise CompanionError(
            f"{what} is busy: another elbo command is working on {destination}; "
            "wait for it to end, or stop it, then try again",
            BUSY,
        ) from None
    try:
        yield
    finally:
        lock.release()


@contextmanager
def staging(destination: Path) -> Iterator[Path]:
    """A fresh directory beside ``destination``, on the same file system, removed at the end of the block.

    Call it while holding the destination: what an earlier command that was killed has left over is swept away first.
    """
    prefix = f".{destination.name}.staging-"
    for left_over in destination.parent.glob(f"{prefix}*"):
        shutil.rmtree(left_over, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir=destination.parent))
    try:
        yield folder
    finally:
        try:
            shutil.rmtree(folder, ignore_errors=True)
        except BaseException:  # a signal that came meanwhile ends the command, once this is done
            shutil.rmtree(folder, ignore_errors=True)
            raise


def replace_directory(new: Path, destination: Path) -> None:
    """Put ``new`` in the place of ``destination``: there is the old directory or the new one, never half of either.

    Where the system can exchange two names in one step (Linux) it does. Elsewhere the old directory steps aside for a
    moment and comes back if the new one cannot take its place.
    """
    destination.parent.mkdir(parents=True, exist_ok=True)
    new.chmod(0o755)
    if not destination.exists():
        os.rename(new, destination)
        return
    if _exchange(new, destination):
        shutil.rmtree(new, ignore_errors=True)
        return
    aside = Path(tempfile.mkdtemp(prefix=f".{destination.name}.staging-", dir=destination.parent)) / destination.name
    os.rename(destination, aside)
    try:
        os.rename(new, destination)
    except OSError:
        os.rename(aside, destination)
        raise
    shutil.rmtree(aside.parent, ignore_errors=True)


def _exchange(one: Path, other: Path) -> bool:
    """Swap two names by Linux's ``renameat2(..., RENAME_EXCHANGE)``; ``False`` where the file system cannot."""
    if not sys.platform.startswith("linux"):
        return False
    try:
        renameat2 = ctypes.CDLL(None).renameat2
    except (OSError, AttributeError):
        return False
    here, exchange = -100, 2  # AT_FDCWD, RENAME_EXCHANGE
    return bool(renameat2(here, os.fsencode(one), here, os.fsencode(other), exchange) == 0)
