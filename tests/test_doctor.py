"""``elbo doctor``: what is said of this machine, with each thing taken away."""

from __future__ import annotations

import json
import shutil
from importlib import metadata

import pytest

from elbo import doctor
from elbo.cli import main
from elbo.companion.project import settings


def line(what):
    return next(one for one in doctor.examine() if one.what == what)


def test_a_lock_is_read_as_names_and_versions():
    text = (
        "# words==1\nScikit_Learn==1.5.0\ntorch==2.13.0 ; python_version > '3'\nnumpy==2.1.0 \\\n  --hash=sha256:00\n"
    )
    assert doctor.locked(text) == {"scikit-learn": "1.5.0", "torch": "2.13.0", "numpy": "2.1.0"}


def test_only_another_version_of_what_is_installed_is_a_difference():
    numpy = metadata.version("numpy")
    pins = {"numpy": numpy, "torch": metadata.version("torch").partition("+")[0], "no-such-package": "1"}
    assert doctor.differences(pins) == []
    assert doctor.differences(pins | {"numpy": "0.1"}) == [f"numpy {numpy} (0.1)"]


@pytest.mark.parametrize(
    ("command", "what", "meaning"),
    [
        ("g++", "compiler", "uncompiled"),
        ("nvidia-smi", "GPU", "run on the CPU"),
        ("chromium", "browser", "not checked in a browser"),
        ("xelatex", "TeX", "no PDF edition"),
        ("git", "git", "name no commit"),
    ],
)
def test_what_is_not_there_is_said_with_what_it_means(monkeypatch, tmp_path, command, what, meaning):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    assert shutil.which(command) is None
    assert line(what).mark == "note" and meaning in line(what).found


def test_data_that_is_not_here_is_named_with_the_command_that_fetches_it(monkeypatch, tmp_path):
    monkeypatch.setenv("ELBO_DATA", str(tmp_path))
    assert "`elbo data fetch mnist`" in line("data mnist").found


def test_a_full_disk_and_a_missing_book_are_bad(monkeypatch, tmp_path, capsys):
    assert main(["doctor", "--json"]) == 0
    assert {one["what"] for one in json.loads(capsys.readouterr().out)} >= {"Python", "lock", "book", "space"}
    monkeypatch.setattr(doctor, "NEEDED", 2**60)
    assert line("space").mark == "bad" and "free under" in line("space").found
    assert main(["doctor"]) == 1
    monkeypatch.setattr(settings, "checkout", lambda: None)
    assert line("book").mark == "bad" and "--root" in line("book").found
