"""A short part of the campaign of faults (``make faults`` runs all of it), and things that unpack without end."""

from __future__ import annotations

import base64
import gzip
import io
import json
import lzma
import tracemalloc
import zipfile
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from elbo.companion.project.errors import CompanionError
from elbo.companion.project.plain import parse_plain
from elbo.companion.record import embedded
from elbo.companion.reproduce.compare import compare
from elbo.data import DataError, parse
from faults.inputs import bad_inputs
from faults.tally import Tally

quick = settings(max_examples=40, derandomize=True, deadline=None, database=None)
RECORD = {"id": "toy-2013-line", "chapter": "toy-2013", "csv_sha256": "0" * 64}


def test_a_short_part_of_the_campaign_finds_nothing(tmp_path):
    tally = Tally()
    bad_inputs(tally, 150, 0, tmp_path / "bench")
    assert tally.wrong == [] and tally.tried.total() == 150 and len(tally.tried) == 11


def png(kind: bytes, body: bytes) -> bytes:
    def chunk(name, content):
        return len(content).to_bytes(4) + name + content + zlib.crc32(name + content).to_bytes(4)

    head = chunk(b"IHDR", (1).to_bytes(4) + (1).to_bytes(4) + b"\x08\x00\x00\x00\x00")
    pixels = chunk(b"IDAT", zlib.compress(b"\0\0"))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(kind, body) + pixels + chunk(b"IEND", b"")


HUGE = b"x" * 180_000_000
BOMBS = {
    "zTXt": ("png", lambda: png(b"zTXt", b"elbo:record\0\0" + zlib.compress(HUGE, 9))),
    "iTXt": ("png", lambda: png(b"iTXt", b"elbo:record\0\1\0\0\0" + zlib.compress(HUGE, 9))),
    "IDAT": ("png", lambda: png(b"IDAT", zlib.compress(HUGE, 9))),
    "xz": (
        "json",
        lambda: json.dumps(
            {**RECORD, "table": {"xz": base64.b64encode(lzma.compress(HUGE, preset=0)).decode()}}
        ).encode(),
    ),
    "entities": (
        "svg",
        lambda: (
            b'<?xml version="1.0"?><!DOCTYPE s [<!ENTITY a "aaaaaaaaaa">'
            + b"".join(b'<!ENTITY %c "%s">' % (98 + i, b"&%c;" % (97 + i) * 10) for i in range(9))
            + b']><svg xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:source>&j;</dc:source></svg>'
        ),
    ),
    "a file outside": (
        "svg",
        lambda: (
            b'<!DOCTYPE s [<!ENTITY x SYSTEM "file:///etc/passwd">]>'
            b'<svg xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:source>&x;</dc:source></svg>'
        ),
    ),
}


@pytest.mark.parametrize("name", BOMBS)
def test_nothing_in_a_figure_unpacks_without_end(name, tmp_path):
    """180 MB in a few hundred kB; what is held at any time stays below the ceiling of a figure's file twice over."""
    format, make = BOMBS[name]
    path = tmp_path / f"bomb.{format}"
    path.write_bytes(make())
    tracemalloc.start()
    try:
        with pytest.raises(CompanionError, match="carries no record|is damaged"):
            embedded.read(path)
        embedded.damage(path.read_bytes())
        assert tracemalloc.get_traced_memory()[1] < 2.5 * embedded.FILE_LIMIT
    finally:
        tracemalloc.stop()


def test_nothing_in_a_data_set_unpacks_without_end(tmp_path):
    path = tmp_path / "train-images-idx3-ubyte.gz"
    path.write_bytes(gzip.compress(HUGE, 1))
    with pytest.raises(DataError, match="unpacks to more than"):
        parse.idx(path)
    path = tmp_path / "dsprites.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr("latents_classes.npy", HUGE)
    with pytest.raises(DataError, match="unpack to more than"):
        parse.dsprites(path)
    head = io.BytesIO()
    np.lib.format.write_array_header_1_0(head, {"descr": "|u1", "fortran_order": False, "shape": (10**12, 64, 64)})
    factors = io.BytesIO()
    np.save(factors, np.zeros((2, 6), np.int64))
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("latents_classes.npy", factors.getvalue())
        archive.writestr("imgs.npy", head.getvalue())
    with pytest.raises(DataError, match="images of shape"):
        parse.dsprites(path)


plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="ascii", categories=["L", "N"])),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("abc", min_size=1, max_size=3), inner, max_size=3)
    ),
    max_leaves=8,
)


@quick
@given(st.dictionaries(st.text("abcdefgh", min_size=1, max_size=8), plain, max_size=4))
def test_plain_yaml_comes_back_as_it_was_written(content):
    import yaml

    assert parse_plain(yaml.safe_dump(content), "here") == content


@quick
@given(st.text(max_size=60))
def test_any_text_is_plain_yaml_or_one_sentence(text):
    try:
        parse_plain(text, "here")
    except CompanionError as error:
        assert "\n" not in str(error) and len(str(error)) < 1000


@quick
@given(st.dictionaries(st.sampled_from([*RECORD, "profile", "parameters", "settings", "environment", "table"]), plain))
def test_any_object_is_a_record_or_a_value_error(changes):
    try:
        found = embedded.parse(json.dumps({**RECORD, **changes}))
    except ValueError as error:
        assert len(str(error)) < 300
    else:
        assert found.id.startswith(found.chapter + "-") and isinstance(found.parameters, dict)


@quick
@given(st.lists(st.tuples(st.integers(-9, 9), st.floats(-1e6, 1e6)), min_size=1, max_size=6), st.data())
def test_a_table_equals_itself_and_no_table_with_another_number(rows, data):
    text = "x,y\n" + "".join(f"{x},{y!r}\n" for x, y in rows)
    assert compare(text, text).verdict == "identical"
    at = data.draw(st.integers(0, len(rows) - 1))
    other = "x,y\n" + "".join(f"{x + (i == at)},{y!r}\n" for i, (x, y) in enumerate(rows))
    found = compare(text, other)
    assert found.verdict == "different" and found.cells[0].row == at + 1
    assert compare(other, text).verdict == "different"


@quick
@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=300))
def test_a_packed_table_comes_back_whole(table):
    packed = embedded.pack("x\n" + table)
    record = {**RECORD, "csv_sha256": embedded.hashlib.sha256(("x\n" + table).encode()).hexdigest(), "table": packed}
    assert embedded.parse(json.dumps(record)).table == "x\n" + table
