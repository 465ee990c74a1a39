"""Accepted runs that were damaged, disks without room, variables and terminals of no sense: what a reader is told."""

from __future__ import annotations

import base64
import io
import json
import os
import shutil
import subprocess
import sys
from collections import namedtuple

import pytest

from elbo.cli import entry
from elbo.companion.pages import ready
from elbo.companion.project.errors import CompanionError
from elbo.companion.project.paths import find_project
from elbo.companion.record import embedded
from faults.book import FIGURE, KEY, figure, make_book, write_run

SHOWN = figure()
CONTENT = next(value for value in SHOWN.values() if isinstance(value, dict))
PICTURES = {"png": base64.b64decode(SHOWN["image/png"]), "pdf": base64.b64decode(CONTENT["files"]["pdf"])}


def zeroed(content: bytes) -> bytes:
    """Some bytes of the packed lines or pixels are gone."""
    png = b"IDAT" in content
    at = 40 + (content.rindex(b"IDAT") if png else content.index(b"stream", content.index(b"/FlateDecode")))
    return content[:at] + b"\0" * 30 + content[at + 30 :]


NOTEBOOKS = {
    "cut": lambda text: text[: len(text) // 2],
    "empty": lambda text: "",
    "binary": lambda text: "\x00\x01\x02",
    "deep": lambda text: "[" * 100_000,
    "a list": lambda text: "[]",
    "no cells": lambda text: "{}",
    "altered": lambda text: text.replace("beta 1", "beta 7"),
    "a record that is none": lambda text: text,
}


@pytest.fixture(scope="module")
def book(tmp_path_factory):
    return make_book(tmp_path_factory.mktemp("damaged") / "book")


@pytest.fixture
def run(book):
    shutil.rmtree(book / "_build", ignore_errors=True)
    return write_run(book / "_build" / "runs" / "quick" / KEY, 1, SHOWN)


def said(capsys, book, *words):
    code = entry.main([*words, "--root", str(book)])
    told = capsys.readouterr()
    lines = [line for line in told.err.splitlines() if line.startswith("elbo: ")]
    assert "Traceback" not in told.err and "unforeseen" not in told.err and len(lines) == (code != 0), told.err
    return code, " ".join(lines), told.out


def test_a_sound_run_is_listed_and_cited(book, run, capsys):
    assert FIGURE in said(capsys, book, "figures")[2]
    assert said(capsys, book, "cite", FIGURE)[0] == 0
    assert said(capsys, book, "reproduce", FIGURE, "--dry-run")[0] == 0


@pytest.mark.parametrize("how", [*NOTEBOOKS, "a folder", "a deep run.json", "a run.json of words"])
def test_a_damaged_run_is_said_and_how_to_get_a_good_one(how, book, run, capsys):
    notebook, record = run / f"{KEY}.ipynb", run / "run.json"
    if how == "a folder":
        notebook.unlink()
        notebook.mkdir()
    elif how.startswith("a deep"):
        record.write_text('{"a":' * 50_000)
    elif how.startswith("a run.json"):
        record.write_text("[1, 2]")
    else:
        text = notebook.read_text()
        if how == "a record that is none":
            record.unlink()
            text = text.replace(json.dumps(CONTENT["files"]["json"]), '"[]"')
        notebook.write_text(NOTEBOOKS[how](text))
    for words in (("figures",), ("cite", FIGURE), ("reproduce", FIGURE, "--dry-run")):
        code, sentence, _ = said(capsys, book, *words)
        assert code == 3 and "is damaged" in sentence, (words, sentence)
        assert f"elbo run {KEY} --profile quick --force" in sentence and len(sentence) < 600


@pytest.mark.parametrize("format", PICTURES)
@pytest.mark.parametrize("how", ["whole", "cut", "zeroed"])
def test_damage_to_a_picture_is_said_though_its_record_survived(format, how, book, run, tmp_path, capsys):
    content = PICTURES[format]
    path = tmp_path / f"mine.{format}"
    path.write_bytes({"whole": content, "cut": content[:-40], "zeroed": zeroed(content)}[how])
    assert (embedded.damage(path.read_bytes()) is None) == (how == "whole")
    code, sentence, out = said(capsys, book, "reproduce", str(path), "--dry-run")
    assert ("the picture in" in out and "is damaged" in out) == (how != "whole") or "carries no record" in sentence
    assert code == 0 or how == "cut"


def test_a_disk_without_room_is_seen_before_anything_runs(book, run, monkeypatch, capsys):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(ready.shutil, "disk_usage", lambda path: usage(10**9, 10**9, 1000))
    code, sentence, _ = said(capsys, book, "build", "--force")
    assert code == 5 and "0.0 MiB free" in sentence and "nothing was run" in sentence
    assert json.loads((run / "run.json").read_text())["parameters"]["beta"] == 1


def test_what_a_reader_has_after_a_build_that_failed(book, run, monkeypatch):
    from elbo.companion.pages import build

    def full(*_words):
        raise OSError(28, "No space left on device", "x")

    monkeypatch.setattr(build, "stage", full)
    project = find_project(book)
    with pytest.raises(CompanionError, match="The runs of the chapters are in place; there are no pages yet"):
        build.build_book(project, "quick", [], display=None)
    project.html.mkdir(parents=True)
    with pytest.raises(CompanionError, match="are in place; the book is still the one of before"):
        build.build_book(project, "quick", [], display=None)


@pytest.mark.parametrize("value", ["abc", "-1", "1.5", "", "9" * 30, "١"])
def test_a_time_of_no_sense_names_its_variable(value, book, monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", value)
    with pytest.raises(CompanionError, match="SOURCE_DATE_EPOCH is"):
        ready.require(find_project(book))
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "0")
    ready.require(find_project(book))


def test_a_full_standard_output_is_said(book, run):
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "elbo", "figures", "--root", str(book)],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
        )
    assert done.returncode == 1
    assert done.stderr.startswith("elbo: what was to be printed could not be written (No space left on device)")
    assert len(done.stderr.splitlines()) == 1


def test_a_terminal_of_ascii_gets_escapes(book, run, tmp_path):
    home = tmp_path / "βιβλίο"
    shutil.copytree(book, home)
    place = home / "_build" / "runs" / "quick" / KEY
    text = (place / f"{KEY}.ipynb").read_text().replace('"caption": "How?"', '"caption": "Wie groß ist β?"')
    (place / f"{KEY}.ipynb").write_text(text)
    (place / "run.json").unlink()
    ascii_only = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    words = [sys.executable, "-m", "elbo", "figures", "--root", str(home)]
    done = subprocess.run(words, capture_output=True, env={**os.environ, **ascii_only})
    assert done.returncode == 0 and done.stderr == b"", done.stderr
    assert rb"gro\xdf ist \u03b2?" in done.stdout


def test_streams_that_are_none_do_no_harm(book, run, monkeypatch):
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    assert entry.main(["figures", "--root", str(book)]) == 0
