"""A mirror on this machine that misbehaves on request; each first folder of a URL is one way to fail."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple


class Mirror(NamedTuple):
    url: str  # no slash at the end
    asked: list[tuple[str, str | None, int]]  # path, Range header, bytes sent


@contextlib.contextmanager
def mirror(files: dict[str, bytes], keep: float = 0.5) -> Iterator[Mirror]:
    """Serve ``/<how>/<name>``.

    ``good``: with Range. ``norange``: always the whole. ``cut``: closes after ``keep`` of what was asked for, always;
        ``cut-once``: the first
    time only. ``altered``: the byte in the middle changed. ``missing``: 404. ``gzip``: says Content-Encoding gzip of
        bytes that are a .gz file. ``other``:
    answers a Range request with another part.
    """
    asked: list[tuple[str, str | None, int]] = []

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_):
            pass

        def do_GET(self):
            _, how, name = self.path.split("/", 2)
            wanted = self.headers.get("Range")
            if how == "missing" or name not in files:
                asked.append((self.path, wanted, 0))
                return self.send_error(404)
            body = files[name]
            if how == "altered":
                middle = len(body) // 2
                body = body[:middle] + bytes([body[middle] ^ 1]) + body[middle + 1 :]
            start = 0
            if wanted and how != "norange":
                start = int(wanted.removeprefix("bytes=").removesuffix("-"))
                if start >= len(body):
                    self.send_response(416)
                    self.send_header("Content-Range", f"bytes */{len(body)}")
                    self.send_header("Content-Length", "0")
                    asked.append((self.path, wanted, 0))
                    return self.end_headers()
                start = 0 if how == "other" else start
                self.send_response(206)
                self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
            else:
                self.send_response(200)
            rest = body[start:]
            self.send_header("Content-Length", str(len(rest)))
            if how == "gzip":
                self.send_header("Content-Encoding", "gzip")
            self.end_headers()
            first = not any(path == self.path for path, _, _ in asked)
            if how == "cut" or (how == "cut-once" and first):
                rest = rest[: int(len(rest) * keep)]
            asked.append((self.path, wanted, len(rest)))
            self.wfile.write(rest)
            self.close_connection = True

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield Mirror(f"http://127.0.0.1:{server.server_port}", asked)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
