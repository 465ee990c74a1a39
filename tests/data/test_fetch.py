"""Fetching, against a mirror on this machine that cuts, alters, refuses and forgets."""

from __future__ import annotations

import concurrent.futures
import contextlib
import gzip
import hashlib
import os
import random
import socket
import time
from pathlib import Path

import pytest

from data_server import mirror
from elbo.data import download as downloading
from elbo.data import registry, store
from elbo.data.registry import DataError, RemoteFile

BODY = random.Random(0).randbytes(1_000_003)
NAME = "toy.bin"


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture
def server():
    with mirror({NAME: BODY}) as running:
        yield running


def remote(server, *ways: str, body: bytes = BODY) -> RemoteFile:
    urls = tuple(f"{server.url}/{way}/{NAME}" for way in ways)
    return RemoteFile(f"toy/{NAME}", urls, "sha256:" + hashlib.sha256(body).hexdigest(), len(body))


def part(folder: Path) -> Path:
    return folder / "toy" / f"{NAME}.part"


def only_the_file(folder: Path) -> bool:
    return {path.name for path in (folder / "toy").iterdir()} <= {NAME, f"{NAME}.lock"}


def test_a_whole_file_arrives_once(server, tmp_path):
    file = remote(server, "good")
    at = store.need(file, tmp_path)
    assert at == tmp_path / "toy" / NAME and at.read_bytes() == BODY and only_the_file(tmp_path)
    store.need(file, tmp_path)
    assert len(server.asked) == 1  # the second call found it


def test_a_cut_connection_resumes_where_it_stopped(server, tmp_path):
    at = store.need(remote(server, "cut-once"), tmp_path)
    half = len(BODY) // 2
    assert at.read_bytes() == BODY
    assert [(wanted, sent) for _, wanted, sent in server.asked] == [(None, half), (f"bytes={half}-", len(BODY) - half)]


def test_what_arrived_survives_a_failed_call(server, tmp_path):
    with pytest.raises(DataError, match="connection was cut"):
        store.need(remote(server, "cut"), tmp_path)
    assert not (tmp_path / "toy" / NAME).exists()
    have = part(tmp_path).stat().st_size
    assert 0 < have < len(BODY) and part(tmp_path).read_bytes() == BODY[:have]
    at = store.need(remote(server, "good"), tmp_path)
    assert at.read_bytes() == BODY and server.asked[-1][1:] == (f"bytes={have}-", len(BODY) - have)


def test_a_server_without_ranges_starts_again(server, tmp_path):
    part(tmp_path).parent.mkdir()
    part(tmp_path).write_bytes(BODY[:1000])
    assert store.need(remote(server, "norange"), tmp_path).read_bytes() == BODY
    assert server.asked[0][1:] == ("bytes=1000-", len(BODY))


@pytest.mark.parametrize("rest", [BODY, BODY + b"too long", b"another file", b"x" * (len(BODY) + 5)])
def test_a_partial_file_of_any_kind_ends_well(server, tmp_path, rest):
    part(tmp_path).parent.mkdir()
    part(tmp_path).write_bytes(rest)
    assert store.need(remote(server, "good"), tmp_path).read_bytes() == BODY
    assert only_the_file(tmp_path)
    if rest == BODY:
        assert [sent for *_, sent in server.asked] == [0]  # complete already: nothing sent twice


def test_another_part_than_asked_for_is_refused(server, tmp_path):
    part(tmp_path).parent.mkdir()
    part(tmp_path).write_bytes(BODY[:1000])
    with pytest.raises(DataError, match="another part of the file"):
        store.need(remote(server, "other"), tmp_path)


@pytest.mark.parametrize("bad", ["altered", "missing", "cut"])
def test_the_second_mirror_takes_over(server, tmp_path, bad):
    assert store.need(remote(server, bad, "good"), tmp_path).read_bytes() == BODY


def test_every_mirror_wrong_is_one_sentence_and_no_file(server, tmp_path):
    with pytest.raises(DataError) as caught:
        store.need(remote(server, "altered", "missing"), tmp_path)
    text = str(caught.value)
    assert "another checksum" in text and "404" in text and "check the network" in text and str(tmp_path) in text
    assert not (tmp_path / "toy" / NAME).exists() and only_the_file(tmp_path)
    assert len(server.asked) == 2  # an altered file is not fetched over and over


def test_a_refused_connection(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/{NAME}"  # bound but not listening
        with pytest.raises(DataError, match="connection refused"):
            store.need(RemoteFile(f"toy/{NAME}", (url,), "sha256:00", None), tmp_path)


def test_a_name_that_no_one_knows(tmp_path):
    with pytest.raises(DataError, match="could not be fetched .*check the network"):
        store.need(RemoteFile(f"toy/{NAME}", (f"http://no-such-host.invalid/{NAME}",), "sha256:00", None), tmp_path)


def test_compressed_in_transit_stays_a_gz(tmp_path):
    packed = gzip.compress(BODY, mtime=0)
    with mirror({NAME: packed}) as server:
        assert store.need(remote(server, "gzip", body=packed), tmp_path).read_bytes() == packed


def test_md5_is_checked_where_it_is_all_there_is(server, tmp_path):
    file = remote(server, "altered", "good")._replace(hash="md5:" + hashlib.md5(BODY).hexdigest(), bytes=None)
    assert store.need(file, tmp_path).read_bytes() == BODY and len(server.asked) == 2


def test_two_at_once_fetch_one_file(server, tmp_path):
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        places = list(pool.map(lambda _: store.need(remote(server, "good"), tmp_path), range(4)))
    assert len(set(places)) == 1 and places[0].read_bytes() == BODY and len(server.asked) == 1


def test_missing_truncated_and_altered_files_are_named(server, tmp_path):
    file = remote(server, "good")
    with pytest.raises(DataError, match="is missing; run .*ELBO_DATA"):
        store.need(file, tmp_path, download=False)
    at = store.need(file, tmp_path)
    at.write_bytes(BODY[:-1])
    with pytest.raises(DataError, match=r"is truncated \(1,000,002 of 1,000,003 bytes\); run"):
        store.need(file, tmp_path)
    at.write_bytes(b"x" + BODY[1:])
    with pytest.raises(DataError, match="is altered or truncated .*; run"):
        store.need(file, tmp_path)
    assert at.read_bytes() == b"x" + BODY[1:]  # never replaced behind the reader's back


def test_fetch_replaces_a_bad_file_but_only_by_a_good_one(server, tmp_path, monkeypatch):
    def offer(*ways):
        source = registry.DATASETS["mnist"]._replace(name="toy", files=(remote(server, *ways),))
        monkeypatch.setitem(registry.DATASETS, "toy", source)

    at = tmp_path / "toy" / NAME
    at.parent.mkdir()
    at.write_bytes(b"old")
    offer("altered")
    with pytest.raises(DataError, match="elbo data fetch toy"):
        store.fetch("toy", tmp_path)
    assert at.read_bytes() == b"old"
    offer("good")
    assert store.fetch("toy", tmp_path) == [at] and at.read_bytes() == BODY
    line = next(line for line in store.available(tmp_path) if line.name == "toy")
    assert line.present and line.size == len(BODY)


def test_a_folder_that_cannot_be_written(server, tmp_path):
    (tmp_path / "toy").write_text("a file, not a folder")
    with pytest.raises(DataError, match="cannot write .*ELBO_DATA"):
        store.need(remote(server, "good"), tmp_path)


@pytest.mark.parametrize("path", ["../x", "/etc/x", "a/../../x", "a\\..\\x", "c:/x"])
def test_no_path_leaves_the_data_folder(path, tmp_path):
    with pytest.raises(ValueError, match="leaves the data folder"):
        store.path(RemoteFile(path, (), None, None), tmp_path)


def test_the_folder_follows_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("ELBO_DATA", str(tmp_path))
    assert store.root() == tmp_path and store.root(tmp_path / "a") == tmp_path / "a"
    monkeypatch.delenv("ELBO_DATA")
    assert store.root().is_absolute() and store.root().name == "elbo"


def test_every_file_of_the_registry_is_pinned_and_said_whose_it_is():
    for source in registry.DATASETS.values():
        assert source.licence and source.citation
        for file in source.files:
            assert file.hash or file.content
            assert len(file.urls) >= 2 and all(url.startswith(("https://", "http://")) for url in file.urls)
            store.path(file)


@pytest.mark.skipif(
    not Path(os.environ.get("ELBO_DATA", "/nowhere"), "frey").is_dir(),
    reason="set ELBO_DATA to a folder with the real files",
)
@pytest.mark.parametrize("name", ["frey", "mnist"])
def test_real_files_pass_through_a_mirror(name, tmp_path, monkeypatch):
    real = {file.path: Path(os.environ["ELBO_DATA"], file.path).read_bytes() for file in registry.DATASETS[name].files}
    with mirror(real) as server:
        files = tuple(
            file._replace(urls=(f"{server.url}/altered/{file.path}", f"{server.url}/cut-once/{file.path}"))
            for file in registry.DATASETS[name].files
        )
        monkeypatch.setitem(registry.DATASETS, name, registry.DATASETS[name]._replace(files=files))
        for place, file in zip(store.fetch(name, tmp_path), files, strict=True):
            assert place.read_bytes() == real[file.path]


OK, LONG = b"HTTP/1.1 200 OK\r\n", b"x" * 65536
TOO_LONG, NO_NUMBER = "sends more than the 1,000,003 bytes", "announced a length that is no number"
LIES = {  # what comes first, what comes after it (again and again, with pauses, or once), what is said
    "endless": (OK + b"\r\n", LONG, 0.0, TOO_LONG),
    "endless after a length": (OK + b"Content-Length: 99999999\r\n\r\n", LONG, 0.0, TOO_LONG),
    "endless in chunks": (
        OK + b"Transfer-Encoding: chunked\r\n\r\n",
        b"10000\r\n" + LONG + b"\r\n",
        0.0,
        TOO_LONG,
    ),
    "a byte at a time": (OK + b"Content-Length: 1000003\r\n\r\n", b"x", 0.05, "sends fewer than 2,000 bytes"),
    "headers for ever": (OK, b"X-More: yes\r\n", 0.05, "no answer in time"),
    "a negative length": (OK + b"Content-Length: -5\r\n\r\n", b"x" * 9, None, NO_NUMBER),
    "a length of words": (OK + b"Content-Length: many\r\n\r\n", b"x" * 9, None, NO_NUMBER),
    "not HTTP": (b"220 mail server here\r\n", b"", None, "no connection|cut"),
    "nothing": (b"", b"", None, "no connection|cut"),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_server_that_lies_or_dawdles_is_left_with_a_sentence_and_nothing_stays(lie, tmp_path, monkeypatch):
    """Bytes straight from a socket: every answer that no honest server gives."""
    head, rest, pause, expected = LIES[lie]
    monkeypatch.setattr(downloading, "_HEADERS", 1.0)
    monkeypatch.setattr(downloading, "_GRACE", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as listening, concurrent.futures.ThreadPoolExecutor() as threads:

        def serve():
            while True:
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return
                threads.submit(answer, connection)

        def answer(connection):
            sent, end = 0, time.monotonic() + 20
            with connection, contextlib.suppress(OSError):
                connection.recv(65536)
                connection.sendall(head)
                if pause is None:
                    connection.sendall(rest)
                while pause is not None and sent < 100_000_000 and time.monotonic() < end:
                    connection.sendall(rest)
                    sent += len(rest)
                    time.sleep(pause)

        threads.submit(serve)
        url = f"http://127.0.0.1:{listening.getsockname()[1]}/{NAME}"
        file = RemoteFile(f"toy/{NAME}", (url,), "sha256:" + hashlib.sha256(BODY).hexdigest(), len(BODY))
        with pytest.raises(DataError, match=expected) as caught:
            store.need(file, tmp_path)
        listening.shutdown(socket.SHUT_RDWR)
    assert len(str(caught.value)) < 700 and "\n" not in str(caught.value)
    left = [path for path in (tmp_path / "toy").iterdir() if path.suffix != ".lock"]
    assert sum(path.stat().st_size for path in left) <= 10_000, (
        "of a dawdler, a few bytes to go on from; of a liar nothing"
    )
    assert not (tmp_path / "toy" / NAME).exists()


def test_a_file_of_unknown_size_has_a_ceiling_too(server, tmp_path, monkeypatch):
    monkeypatch.setattr(downloading, "_MOST", 1000)
    with pytest.raises(DataError, match="sends more than the 1,000 bytes"):
        store.need(remote(server, "good")._replace(bytes=None), tmp_path)
    monkeypatch.setattr(downloading, "_MOST", 1 << 21)
    assert store.need(remote(server, "good")._replace(bytes=None), tmp_path).read_bytes() == BODY
