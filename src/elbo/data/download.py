"""Fetching one file with pooch, and the one thing that pooch lacks: going on where a cut download stopped.

pooch brings the temporary file, the checksum and the placing. It asks a *downloader* for the bytes; ours keeps them in
``<name>.part`` until they are complete, so that what has arrived survives a cut connection and a stopped process.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import threading
import time
import urllib.parse
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from elbo.data.registry import DataError, RemoteFile, owner

__all__ = ["Resume", "Unavailable", "download"]

_TIMEOUT = (10, 60)  # seconds to connect, seconds without a byte
_PIECE = 1 << 18
_HEADERS = 90.0  # seconds until the body begins, however the headers trickle in
_SLOWEST = 2_000.0  # bytes a second, on average after the first half minute
_GRACE = 30.0
_MOST = 1 << 26  # bytes of a file whose size the registry does not know
_TRIES = 4  # for one mirror: cut connections, and joined pieces that do not fit, say little about it


class Unavailable(Exception):
    """This mirror will not deliver: try the next one (no use asking again)."""


class Resume(NamedTuple):
    """A pooch downloader for HTTP that resumes: ``Resume(part)(url, output_file, pooch)``.

    What arrives is appended to ``part``; a later call asks for the rest only (a Range request) and starts again from
    the first byte where the server cannot do that. When all has arrived, ``part`` becomes ``output_file``. A server
    that sends more than ``most`` bytes, or fewer than 2,000 a second, is left.

    Raises:
        Unavailable: no connection, or an answer that is an error, too long or too slow.
        requests.ConnectionError: the connection was cut; what has arrived is kept for the next call.
    """

    part: Path
    progress: bool = False
    most: int = _MOST

    def __call__(self, url: str, output_file: str, pooch, check_only: bool = False) -> None:
        import requests

        have = self.part.stat().st_size if self.part.exists() else 0
        headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
        try:
            response = _answer(url, headers)
        except requests.RequestException as error:
            raise Unavailable(f"{_host(url)}: {_reason(error)}") from error
        with response:
            if response.status_code == 416:  # nothing after what we have: it is complete, or it belongs to another file
                if response.headers.get("Content-Range") != f"bytes */{have}":
                    self.part.unlink()
                    raise requests.ConnectionError(
                        f"{_host(url)}: the partial file did not belong to it; starting again"
                    )
            elif not response.ok:
                raise Unavailable(f"{_host(url)}: answered {response.status_code} {response.reason}")
            else:
                resumed = response.status_code == 206 and response.headers.get("Content-Range", "").startswith(
                    f"bytes {have}-"
                )
                if response.status_code == 206 and not resumed:
                    raise Unavailable(f"{_host(url)}: answered with another part of the file than was asked for")
                self._append(response, url, have if resumed else 0)
        os.replace(self.part, output_file)

    def _append(self, response, url: str, have: int) -> None:
        import requests
        import urllib3

        length = response.headers.get("Content-Length")
        if length is not None and not (length.isascii() and length.isdigit()):
            raise Unavailable(f"{_host(url)}: announced a length that is no number")
        total = have + int(length) if length else None
        if max(total or 0, have) > self.most:
            raise self._too_long(url)
        started, arrived = time.monotonic(), 0
        with (
            self.part.open("r+b" if have else "wb") as stream,
            _bar(self.progress, self.part.stem, have, total) as advance,
        ):
            stream.seek(have)
            try:
                while piece := response.raw.read1(_PIECE, decode_content=False):  # a .gz stays a .gz
                    stream.write(piece)
                    advance(len(piece))
                    arrived += len(piece)
                    if stream.tell() > self.most:
                        break
                    spent = time.monotonic() - started
                    if spent > _GRACE and arrived < _SLOWEST * spent:
                        raise Unavailable(f"{_host(url)}: sends fewer than {_SLOWEST:,.0f} bytes a second")
            except urllib3.exceptions.HTTPError as error:
                raise requests.ConnectionError(
                    f"{_host(url)}: the connection was cut after {stream.tell():,} bytes"
                ) from error
            stream.flush()
            os.fsync(stream.fileno())
            here = stream.tell()
            if here <= self.most and total is not None and here < total:
                raise requests.ConnectionError(
                    f"{_host(url)}: the connection was cut after {here:,} of {total:,} bytes"
                )
        if here > self.most:
            self.part.unlink()
            raise self._too_long(url)

    def _too_long(self, url: str) -> Unavailable:
        return Unavailable(f"{_host(url)}: sends more than the {self.most:,} bytes that the file has at most")


def _answer(url: str, headers: dict[str, str]):
    """The answer of a server, its body still to come; whatever it does, within ``_HEADERS`` seconds.

    A time-out of the connection starts anew with every byte, so that headers in slow motion would hold us for ever.

    Raises:
        requests.RequestException: no answer, in time or at all.
    """
    import requests

    found: dict[str, Any] = {}

    def ask() -> None:
        try:
            found["answer"] = requests.get(url, headers=headers, stream=True, timeout=_TIMEOUT)
        except (requests.RequestException, ValueError) as error:
            found["error"] = error

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(_HEADERS)
    if isinstance(error := found.get("error"), requests.RequestException):
        raise error
    if "answer" not in found:
        raise requests.Timeout("no answer in time") if thread.is_alive() else requests.ConnectionError("no answer")
    return found["answer"]


def download(
    file: RemoteFile, at: Path, problem: Callable[[RemoteFile, Path], str | None], progress: bool = False
) -> Path:
    """Bring ``file`` to the path ``at``: mirrors in turn, resumed, verified, and placed in one step.

    Args:
        file: its URLs and checksum.
        at: where it goes; a file that is there is replaced, but only by a good one.
        problem: what is wrong with a file, or None, where the registry pins its content rather than its checksum.
        progress: show a progress bar.

    Raises:
        DataError: the folder cannot be written to, or no mirror delivered a good file.
    """
    import filelock

    try:
        at.parent.mkdir(parents=True, exist_ok=True)
        with filelock.FileLock(at.with_name(at.name + ".lock"), timeout=3600):
            if at.is_file() and problem(file, at) is None:
                return at  # another process was quicker
            tried = []
            for url in file.urls:
                if (complaint := _try(url, file, at, problem, progress)) is None:
                    return at
                tried.append(complaint)
    except OSError as error:
        raise DataError(
            f"cannot write {at} ({error.strerror or error}); set ELBO_DATA to a folder that you can write to"
        ) from error
    raise DataError(
        f"{at.name} could not be fetched ({'; '.join(tried)}): check the network connection and run "
        f"`elbo data fetch {owner(file)}` again "
        f"(it goes on where it stopped), or put the file at {at} yourself"
    )


def _try(url: str, file: RemoteFile, at: Path, problem, progress: bool) -> str | None:
    """One mirror: the reason why not, or None when the file is in place."""
    import pooch
    import requests

    part, fresh = at.with_name(at.name + ".part"), at.with_name(at.name + ".new")
    pooch.get_logger().setLevel("WARNING")
    complaint = ""
    for _ in range(_TRIES):
        joined = part.exists()
        try:
            store = pooch.create(at.parent, "", registry={fresh.name: file.hash}, urls={fresh.name: url})
            fresh.unlink(missing_ok=True)
            store.fetch(fresh.name, downloader=Resume(part, progress, file.bytes or _MOST))
        except Unavailable as error:
            return str(error)
        except requests.ConnectionError as error:
            complaint = str(error)
            continue
        except ValueError:  # pooch's word for a wrong checksum
            complaint = f"{_host(url)}: delivered a file with another checksum"
        else:
            wrong = problem(file, fresh)
            if wrong is None:
                os.replace(fresh, at)
                return None
            fresh.unlink()
            complaint = f"{_host(url)}: delivered a file that {wrong}"
        if not joined:
            return complaint
    return complaint


def _host(url: str) -> str:
    return urllib.parse.urlsplit(url).netloc


def _reason(error: Exception) -> str:
    import requests

    if isinstance(error, requests.Timeout):
        return "no answer in time"
    text = str(error)
    if "NameResolution" in text or "getaddrinfo" in text or "Name or service" in text:
        return "its address cannot be looked up"
    return "connection refused" if "refused" in text else "no connection"


@contextlib.contextmanager
def _bar(show: bool, name: str, have: int, total: int | None):
    """A function to be called with the number of bytes that arrived."""
    if not show or importlib.util.find_spec("rich") is None:  # the library alone has no bar
        yield lambda count: None
        return
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns) as progress:
        task = progress.add_task(name, total=total, completed=have)
        yield lambda count: progress.advance(task, count)
