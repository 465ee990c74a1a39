"""Profiles, parameters and paths that no honest person writes: one short sentence each, and never a traceback."""

from __future__ import annotations

import contextlib
import io
import signal
import subprocess
import sys

import pytest

from elbo.cli import entry
from elbo.companion.project.errors import CompanionError, quote, shorten
from elbo.companion.project.plain import parse_plain
from toybook import write_book

BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{new}: &{new} [{','.join([f'*{old}'] * 9)}]\n" for old, new in zip("abcdefgh", "bcdefghi")
)
PROFILES = {
    "alias bomb": (BOMB, "line 2.*aliases"),
    "recursive alias": ("toy-2013: &x {beta: *x}", "aliases"),
    "merge key": ("a: &a {b: 1}\ntoy-2013: {<<: *a}", "aliases"),
    "deep list": ("toy-2013: " + "[" * 5000 + "]" * 5000, "20 levels"),
    "deep map": ("toy-2013: " + "{a: " * 3000 + "1" + "}" * 3000, "20 levels"),
    "many values": ("toy-2013: [" + "1," * 100_001 + "]", "100,000 values"),
    "long": ("x" * 1_000_001, "longer than 1,000,000|is larger than"),
    "python object": ("toy-2013: !!python/object/apply:os.system [ls]", "without the tag"),
    "int of words": ("toy-2013: {latent_dim: !!int abc}", "without the tag"),
    "float of words": ("toy-2013: {beta: !!float x}", "without the tag"),
    "bool of words": ("toy-2013: {fail: !!bool maybe}", "without the tag"),
    "own tag": ("toy-2013: !mine {}", "without the tag"),
    "bad date": ("toy-2013: {latent_dim: 2013-99-99}", "must be int, not '2013-99-99'"),
    "huge integer": (f"toy-2013: {{latent_dim: {'9' * 5000}}}", "cannot be read"),
    "huge for a float": (f"toy-2013: {{beta: {'9' * 400}}}", "must be float"),
    "key twice": ("toy-2013: {beta: 1.0, beta: 2.0}", "line 1 says 'beta' a second time"),
    "chapter twice": ("toy-2013: {}\ntoy-2013: {}", "line 2 says 'toy-2013' a second time"),
    "key a list": ("? [1, 2]\n: 3", "a name must be a word"),
    "long key": (f"toy-2013: {{{'k' * 100_000}: 1}}", "has no parameter|not valid YAML"),
    "long chapter": (f"? {'k' * 100_000}\n: {{}}", "names the chapter|not valid YAML|no path"),
    "not a mapping": ("[1, 2]", "must hold chapters|mapping"),
    "half": ("toy-2013: {beta: [1", "not valid YAML"),
    "tabs": ("toy-2013:\n\tbeta: 1", "line 2 is not valid YAML"),
    "control characters": ("toy-2013: {name: \x01}", "not valid YAML"),
}
VALUES = {
    "beta": [
        "{[1]: 2}",
        "-" * 100_000,
        "9" * 400,
        "(" * 500,
        "1e999x",
        "[" * 5000,
        "{" * 100,
        "0x" + "f" * 10_000,
        "\x00",
    ],
    "latent_dim": ["9" * 5000, "1.5", "True", "None", "{1: 2}", "lambda: 0", "__import__('os')", "1" * 200_000],
    "rates": ["[1, 'a']", "{}", "[[1]]", "range(3)", "[" + "1," * 3 + "{[]: 1}]", "[" + "9" * 400 + "]"],
}


@pytest.fixture(scope="module")
def book(tmp_path_factory):
    """A book whose chapter is never run here: all of this is refused before."""
    return write_book(tmp_path_factory.mktemp("book"), "toy-2013")


def said(*words):
    """Exit code and sentence of a command, in this process."""
    err = io.StringIO()
    with contextlib.redirect_stderr(err), contextlib.redirect_stdout(io.StringIO()):
        code = entry.main([str(word) for word in words])
    lines = err.getvalue().strip().splitlines()
    assert len(lines) == 1 and lines[0].startswith("elbo: ") and len(lines[0]) < 1500, (code, lines[:3])
    assert "Traceback" not in lines[0] and "unforeseen" not in lines[0], lines[0]
    return code, lines[0]


@pytest.mark.parametrize("name", PROFILES)
def test_a_profile_that_is_no_plain_yaml_is_refused_with_its_line(name, book, tmp_path):
    text, expected = PROFILES[name]
    path = tmp_path / "mine.yml"
    path.write_text(text)
    with pytest.raises(CompanionError, match=expected):
        raise CompanionError(said("run", "toy-2013", "--profile", path, "--root", book)[1])


def test_bytes_that_are_no_text_and_files_that_are_none(book, tmp_path):
    path = tmp_path / "mine.yml"
    path.write_bytes(b"toy-2013: \xff\xfe")
    assert "not text in UTF-8" in said("run", "toy-2013", "--profile", path, "--root", book)[1]
    path.unlink()
    path.mkdir()
    assert said("run", "toy-2013", "--profile", path, "--root", book)[0] == 2


@pytest.mark.parametrize(("parameter", "value"), [(name, value) for name, values in VALUES.items() for value in values])
def test_a_value_of_no_sense_is_refused(parameter, value, book):
    code, sentence = said("run", "toy-2013", "-p", parameter, value, "--root", book)
    assert code == 2 and f"{parameter} of toy-2013 must be" in sentence and len(sentence) < 600


STRANGE = [
    "x" * 100_000,
    "/" + "y" * 5000,
    "~nosuchuser/x",
    "a\x00b",
    "../../../etc/passwd",
    "",
    "\ud800",
    "💥" * 100,
    "-",
]


@pytest.mark.parametrize("word", STRANGE, ids=range(len(STRANGE)))
@pytest.mark.parametrize("place", ["chapter", "--profile", "--root", "reproduce", "cite", "--out"])
def test_names_and_paths_that_no_system_takes(place, word, book):
    root = ("--root", book)
    words = {
        "chapter": ("run", word, *root),
        "--profile": ("run", "toy-2013", "--profile", word, *root),
        "--root": ("run", "toy-2013", "--root", word),
        "reproduce": ("reproduce", word, *root),
        "cite": ("cite", word, *root),
        "--out": ("run", "toy-2013", "-p", "latent_dim", "x", "--out", word, *root),
    }[place]
    if place == "--root" and word == "":
        pytest.skip("an empty --root is no --root")
    assert said(*words)[0] in (2, 6)


def test_the_last_line_of_defence_writes_the_traceback_to_a_file(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("ELBO_ROOT", str(write_book(tmp_path / "book")))
    monkeypatch.setattr(entry, "app", lambda **words: {}[("x" * 10_000)])
    assert entry.main(["list"]) == 1
    sentence = capsys.readouterr().err
    assert (
        "something unforeseen happened (KeyError: " in sentence and len(sentence) < 1000 and "Traceback" not in sentence
    )
    written = list((tmp_path / "book" / "_build" / "log").glob("traceback-*.txt"))
    assert len(written) == 1 and "KeyError" in written[0].read_text() and str(written[0]) in sentence


def test_a_sentence_is_said_in_the_letters_that_a_terminal_has(monkeypatch):
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stderr", io.TextIOWrapper(raw, encoding="ascii"))
    assert entry.say("no chapter 'ß💥'", 2) == 2
    sys.stderr.flush()
    assert raw.getvalue() == b"elbo: no chapter '\\xdf\\U0001f4a5'\n"


def test_plain_yaml_is_read_as_it_stands():
    assert parse_plain("a: [1, 2.5, true, null, x, '2', 2013-12-20]\nb: {c: [[1], {d: e}]}\n", "here") == {
        "a": [1, 2.5, True, None, "x", "2", "2013-12-20"],
        "b": {"c": [[1], {"d": "e"}]},
    }
    assert parse_plain("", "here") is None


def test_what_is_quoted_is_cut():
    assert quote("abc") == "'abc'" and quote([1, 2]) == "'[1, 2]'"
    assert len(quote("x" * 10**6)) <= 200 and shorten("x" * 199, 200) == "x" * 199
    assert len(str(CompanionError("y " * 10**5))) <= 4000


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_that_falls_into_a_destructor_is_heard_all_the_same(number):
    """Python ignores what a destructor raises; so would be the order to end, had it come at that moment."""
    code = (
        "import os, signal, sys, time\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)  # heard under nohup, too\n"
        "from elbo.companion.project.signals import Terminated, ended_by_signals\n"
        "class Late:\n"
        f"    def __del__(self): os.kill(os.getpid(), {int(number)}); time.sleep(0.01)\n"
        "try:\n"
        "    with ended_by_signals():\n"
        "        late = Late(); del late; time.sleep(20)\n"
        "except (Terminated, KeyboardInterrupt) as error:\n"
        "    print(type(error).__name__)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=15)
    assert done.returncode == 0 and done.stderr == ""
    assert done.stdout.split() == ["KeyboardInterrupt" if number == signal.SIGINT else "Terminated"]


def test_a_signal_while_a_folder_is_removed_does_not_keep_it(tmp_path, monkeypatch):
    from elbo.companion.project import paths

    remove, calls = paths.shutil.rmtree, []

    def interrupted(folder, **words):
        calls.append(folder)
        if len(calls) == 1:
            raise KeyboardInterrupt
        remove(folder, **words)

    monkeypatch.setattr(paths.shutil, "rmtree", interrupted)
    with pytest.raises(KeyboardInterrupt), paths.staging(tmp_path / "x") as folder:
        (folder / "half").write_text("")
    assert len(calls) == 2 and not list(tmp_path.iterdir())
