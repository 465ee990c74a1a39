"""The record inside a figure's file: everything that it takes to make the figure again and to compare.

The record of a figure (:func:`elbo.companion.kernel.publish.bundle`) stands in its PNG (text chunk ``elbo:record``),
its SVG (Dublin Core ``source``) and its PDF (``Keywords`` of the document information) as JSON, there with the table of
the figure packed into it. A file may come from anywhere, so that nothing in it is trusted: sizes are bounded, nothing
is unpickled, an XML entity is refused, and a table that is not the one its digest names is an error.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import io
import json
import lzma
import re
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from elbo.companion.project.errors import CompanionError

__all__ = ["FILE_LIMIT", "PACKED_LIMIT", "Record", "damage", "pack", "parse", "plain", "read", "summary"]

FILE_LIMIT = 64 * 2**20
"""Bytes that a figure's file, or its table once unpacked, may have."""
PACKED_LIMIT = 64 * 2**10
"""Characters that a packed table may add to a file; of a larger one the file carries a summary."""

_MEMORY = 64 * 2**20
_ID = re.compile(r"[a-z0-9]+(-[a-z0-9]+)+")
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,80}")
_FIELDS = {"parameters": dict, "settings": dict, "environment": dict}


@dataclass(frozen=True)
class Record:
    """What a file says of the run that made its figure, its form checked, its content not.

    Attributes:
        id, chapter: of the figure.
        profile: name of the profile, ``None`` for a run by hand.
        parameters: every parameter of the chapter with its value.
        environment: commit, versions, device, data (:func:`elbo.companion.record.environment.environment`).
        csv_sha256: digest of the figure's table.
        table: the table as CSV, ``None`` where the file has no room for it.
        summary: of the table (:func:`summary`), ``None`` where the file has none.
    """

    id: str
    chapter: str
    profile: str | None
    parameters: dict[str, Any]
    environment: dict[str, Any]
    csv_sha256: str
    settings: dict[str, Any] = field(default_factory=dict)
    table: str | None = None
    summary: dict[str, Any] | None = None


def pack(table: str) -> dict[str, Any]:
    """A table as it goes into the record: ``{"xz": CSV, compressed, in base64}``, or where that is
    too long ``{"summary": ...}``.
    """
    packed = base64.b64encode(lzma.compress(table.encode(), preset=6)).decode()
    return {"xz": packed} if len(packed) <= PACKED_LIMIT else {"summary": summary(table)}


def summary(table: str) -> dict[str, Any]:
    """``rows`` and for every column ``count`` of values and, where all are numbers, ``min``, ``max`` and ``mean``."""
    from elbo.companion.record.columns import columns

    rows, found = columns(table)
    return {"rows": rows, "columns": {name: column.summary() for name, column in found.items()}}


def read(path: Path) -> Record:
    """The record in a PNG, SVG, PDF or JSON file of a figure; the format is told from the content.

    Raises:
        CompanionError: the file cannot be read, is none of these, carries no record, or a record that is damaged.
    """
    name = plain(path.name)
    try:
        if path.stat().st_size > FILE_LIMIT:
            raise CompanionError(f"{name} has more than {FILE_LIMIT // 2**20} MiB; that is not a figure of this book")
        content = path.read_bytes()
    except OSError as error:
        raise CompanionError(f"{name} cannot be read: {error.strerror or error}") from None
    text = _text(content)
    if text is None:
        raise CompanionError(
            f"{name} carries no record of a figure; take the PNG, SVG, PDF or JSON as the book offers it under the "
            "figure (a screenshot or a file that another program has saved again has lost it)"
        )
    try:
        return parse(text)
    except ValueError as error:
        raise CompanionError(f"the record in {name} is damaged: {error}; download the file again") from None


def parse(text: str) -> Record:
    """A record from its JSON text.

    Raises:
        ValueError: it has not the form of a record; the message says where.
    """
    try:
        raw = json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError("it is not JSON") from None
    if not isinstance(raw, dict):
        raise ValueError("it is not a JSON object")
    for name, pattern in (("id", _ID), ("chapter", _ID), ("csv_sha256", re.compile("[0-9a-f]{64}"))):
        if not isinstance(raw.get(name), str) or not pattern.fullmatch(raw[name]):
            raise ValueError(f"its {name} is missing or malformed")
    if not raw["id"].startswith(raw["chapter"] + "-"):
        raise ValueError("its id belongs to another chapter")
    for name, kind in _FIELDS.items():
        if not isinstance(raw.get(name, {}), kind):
            raise ValueError(f"its {name} is not a JSON object")
    profile = raw.get("profile")
    if profile is not None and not (isinstance(profile, str) and _NAME.fullmatch(profile) and profile.strip(".")):
        raise ValueError("its profile is malformed")
    packed = raw.get("table", {})
    if not isinstance(packed, dict):
        raise ValueError("its table is malformed")
    return Record(
        raw["id"],
        raw["chapter"],
        profile,
        raw.get("parameters", {}),
        raw.get("environment", {}),
        raw["csv_sha256"],
        raw.get("settings", {}),
        _unpack(packed["xz"], raw["csv_sha256"]) if "xz" in packed else None,
        _summary(packed.get("summary")),
    )


def _unpack(packed: Any, digest: str) -> str:
    try:
        engine = lzma.LZMADecompressor(memlimit=_MEMORY)
        content = engine.decompress(base64.b64decode(packed, validate=True), max_length=FILE_LIMIT)
    except (TypeError, ValueError, binascii.Error, lzma.LZMAError, EOFError):
        raise ValueError("its table cannot be unpacked") from None
    if not engine.eof:
        raise ValueError("its table is cut off or too large")
    if hashlib.sha256(content).hexdigest() != digest:
        raise ValueError("its table is not the one that its digest names")
    return content.decode()


def _summary(raw: Any) -> dict[str, Any] | None:
    if raw is None:
        return None
    if not (isinstance(raw, dict) and isinstance(raw.get("rows"), int) and isinstance(raw.get("columns"), dict)):
        raise ValueError("the summary of its table is malformed")
    for column in raw["columns"].values():
        if not isinstance(column, dict) or not all(type(value) in (int, float) for value in column.values()):
            raise ValueError("the summary of its table is malformed")
    return raw


def _text(content: bytes) -> str | None:
    """The JSON text of the record in a file, ``None`` where there is none to be found."""
    start = content[:1024].lstrip()
    for sign, reader in ((b"\x89PNG\r\n", _from_png), (b"%PDF-", _from_pdf), (b"{", bytes.decode), (b"<", _from_svg)):
        if start.startswith(sign):
            try:
                return reader(content)
            except Exception:  # a damaged or hostile file may fail anywhere in the library that reads it
                return None
    return None


def damage(content: bytes) -> str | None:
    """What is wrong with the picture in a PNG or PDF file, in a few words; ``None`` where nothing can be seen.

    Every chunk and its checksum are read, and every packed stream is unpacked, piece by piece, to no more than 256 MiB.
    """
    if content.startswith(b"\x89PNG\r\n\x1a\n"):
        return _damage_of_png(content)
    if content.lstrip()[:5] == b"%PDF-":
        return _damage_of_pdf(content)
    return None


def _damage_of_png(content: bytes) -> str | None:
    at, packed, last = 8, [], b""
    while at + 12 <= len(content):
        size, last = int.from_bytes(content[at : at + 4]), content[at + 4 : at + 8]
        body, told = content[at + 8 : at + 8 + size], content[at + 8 + size : at + 12 + size]
        if len(body) < size or len(told) < 4:
            return "it is cut off"
        if zlib.crc32(last + body) != int.from_bytes(told):
            return f"the checksum of its part {plain(last.decode('latin-1'))} is wrong"
        packed += [body] * (last == b"IDAT")
        at += 12 + size
    if last != b"IEND":
        return "it is cut off"
    return _unpacked(b"".join(packed))


def _damage_of_pdf(content: bytes) -> str | None:
    if b"%%EOF" not in content[-1024:] or b"startxref" not in content[-1024:]:
        return "it is cut off"
    for found in re.finditer(rb"stream\r?\n", content):
        if content[found.start() - 3 : found.start()] == b"end":
            continue
        end = content.find(b"endstream", found.end())
        if end < 0:
            return "it is cut off"
        if b"/FlateDecode" in content[content.rfind(b"obj", 0, found.start()) : found.start()]:
            if wrong := _unpacked(content[found.end() : end]):
                return wrong
    return None


def _unpacked(packed: bytes) -> str | None:
    """What is wrong with data that zlib has packed; what comes out is counted and let go."""
    engine, size, rest = zlib.decompressobj(), 0, packed
    try:
        while rest and not engine.eof:
            size += len(engine.decompress(rest, 2**20))
            rest = engine.unconsumed_tail
            if size > 4 * FILE_LIMIT:
                return "it unpacks to more than a picture has"
    except zlib.error:
        return "its pixels or lines cannot be unpacked"
    return None if engine.eof else "it is cut off"


def _from_png(content: bytes) -> str | None:
    from PIL import Image

    with Image.open(io.BytesIO(content), formats=["PNG"]) as image:  # reads up to the pixels, which stay packed
        return image.info.get("elbo:record")


def _from_pdf(content: bytes) -> str | None:
    import logging

    from pypdf import PdfReader

    logging.getLogger("pypdf").setLevel(logging.CRITICAL)  # what it thinks of a file is not for the reader
    about = PdfReader(io.BytesIO(content)).metadata
    text = about.get("/Keywords") if about else None
    return None if text is None else str(text)


def _from_svg(content: bytes) -> str | None:
    """Text of the first ``dc:source``; a file that declares an entity is not read on
    (entities can expand without end).
    """
    from xml.parsers import expat

    found: list[str] = []
    depth = 0

    def start(name: str, _attributes: dict[str, Any]) -> None:
        nonlocal depth
        if depth or (not found and name == "http://purl.org/dc/elements/1.1/ source"):
            depth += 1

    def end(_name: str) -> None:
        nonlocal depth
        depth = max(0, depth - 1)

    def refuse(*_arguments: object) -> None:
        raise ValueError("an entity is declared")

    def data(text: str) -> None:
        if depth:
            found.append(text)

    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True
    parser.StartElementHandler, parser.EndElementHandler, parser.CharacterDataHandler = start, end, data
    parser.EntityDeclHandler = refuse
    parser.Parse(content, True)
    return "".join(found) or None


def plain(text: str, limit: int = 200) -> str:
    """Text from outside, fit for a terminal: no control characters, not endless."""
    text = "".join(c if c.isprintable() else "?" for c in text)
    return text if len(text) <= limit else text[: limit - 3] + "..."
