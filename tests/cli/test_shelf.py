"""What a reader finds out by asking: chapters, durations, parameters, versions, files, words for the shell."""

from __future__ import annotations

import base64
import json
import re

import pytest

import toybook
from checkout import ROOT
from elbo.cli import main
from elbo.companion.project import settings
from elbo.companion.project.paths import Project
from elbo.companion.record.environment import commit
from elbo.companion.record.handover import FORMATS, MIME
from elbo.companion.run import durations

KEY = "alpha-2001"
RECORD = {"id": f"{KEY}-line", "environment": {"cpu": "A processor"}}
FILES = {"svg": "<svg/>", "csv": "x\n1\n", "json": json.dumps(RECORD), "pdf": base64.b64encode(b"%PDF").decode()}


@pytest.fixture
def book(tmp_path, monkeypatch):
    """A book of two chapters, one of them with an accepted run."""
    root = toybook.write_book(tmp_path / "book", KEY, "beta-2002")
    (root / "book" / "profiles").mkdir()
    (root / "book" / "profiles" / "smoke.yml").write_text(f"{KEY}: {{rates: [0.5], beta: 1.0}}\n")
    monkeypatch.setenv("ELBO_ROOT", str(root))
    accepted(root, "smoke", seconds=75.0, dirty=False)
    return root


def accepted(root, profile, **more):
    run = root / "_build" / "runs" / profile / KEY
    run.mkdir(parents=True, exist_ok=True)
    png = base64.b64encode(b"\x89PNG").decode()
    content = {"id": f"{KEY}-line", "chapter": KEY, "caption": "Why? So.", "alt": "A line", "files": FILES}
    cells = [{"outputs": [{"data": {MIME: content, "image/png": png}}]}]
    (run / f"{KEY}.ipynb").write_text(json.dumps({"cells": cells}))
    about = {"chapter": KEY, "threads": 2, "commit": "0" * 40, "finished": "2027-01-02T03:04:05+00:00"}
    (run / "run.json").write_text(json.dumps({**about, "data": {"digits/train": "", "digits/test": ""}, **more}))


def asked(capsys, *words, code=0):
    assert main(list(words)) == code
    return capsys.readouterr().out


def test_list_takes_durations_from_records(book, capsys):
    lines = asked(capsys, "list").splitlines()
    assert lines[0].split() == ["chapter", "smoke", "quick", "data", "title"]
    assert re.fullmatch(rf"{KEY} +75 s +- +digits +Chapter {KEY}", lines[1])
    assert re.fullmatch(r"beta-2002 +- +- +- +Chapter beta-2002", lines[2])
    assert lines[3] == "smoke: run here, A processor, 2 threads, 2027-01-02, commit 000000000000"
    (one, other) = json.loads(asked(capsys, "list", "--json"))
    assert one["runs"]["smoke"]["seconds"] == 75.0 and other["runs"] == {}


def test_durations_are_kept_with_the_book_for_those_who_have_run_nothing(book, capsys, tmp_path):
    (book / "data").mkdir()
    accepted(book, "quick", seconds=600.0, dirty=True)
    project = Project(book)
    assert durations.keep(project, ["smoke", "quick"]) == [f"smoke {KEY}"]  # a run with changes is nobody else's
    elsewhere = Project(book, made=tmp_path / "nothing yet")
    (kept,) = durations.known(elsewhere, ["smoke", "quick"]).items()
    assert kept[0] == ("smoke", KEY) and kept[1].seconds == 75.0 and not kept[1].here
    accepted(book, "smoke", seconds=80.0, dirty=True)
    assert durations.known(project, ["smoke"])["smoke", KEY].seconds == 80.0  # what was run here goes first
    (book / durations.FILE).write_text("[]")
    assert durations.known(elsewhere, ["smoke"]) == {}


def test_the_books_own_durations_are_of_its_chapters():
    known = durations.known(Project(ROOT, made=ROOT / "no-such-folder"), [])
    quick = {chapter: one for (profile, chapter), one in known.items() if profile == "quick"}
    assert set(quick) == {"blei-2017", "higgins-2017", "hoffman-johnson-2016", "kingma-welling-2013"}
    assert all(len(one.commit) == 40 and one.seconds > 10 and one.data for one in quick.values())


def test_params_shows_what_a_profile_changes(book, capsys):
    lines = asked(capsys, "params", KEY).splitlines()
    assert lines[0].split() == ["name", "type", "default", "smoke", "what", "it", "is"]
    assert re.fullmatch(r"beta +float +1\.0 +weight of the <KL>", lines[1])  # the profile says the default
    assert re.fullmatch(r"rates +list\[float\] +\[0\.1, 0\.2\] +\[0\.5\] +learning rates", lines[3])
    rows = {row["name"]: row for row in json.loads(asked(capsys, "params", KEY, "--json"))}
    assert rows["rates"]["profiles"] == {"smoke": [0.5], "quick": [0.1, 0.2]}
    asked(capsys, "params", "gamma", code=2)


def test_a_row_is_one_line_in_a_pipe(book, capsys, monkeypatch):
    text = (book / "book" / f"{KEY}.md").read_text()
    (book / "book" / f"{KEY}.md").write_text(text.replace("# weight of the <KL>", "# " + "many words " * 60))
    monkeypatch.setenv("COLUMNS", "60")
    (row,) = (line for line in asked(capsys, "params", KEY).splitlines() if line.startswith("beta"))
    assert row.count("many words") == 60
    assert all(line.count("  CC BY") <= 1 for line in asked(capsys, "data", "list").splitlines())


def test_version_and_commit(capsys, monkeypatch):
    monkeypatch.setenv("ELBO_ROOT", str(ROOT))
    said = asked(capsys, "--version")
    assert said.startswith("elbo ") and f"book: {ROOT}" in said
    if home := settings.home():
        assert f"commit {str(commit(home)['commit'])[:12]}" in said


def test_figures_as_files(book, capsys, tmp_path):
    said = asked(capsys, "figures", "--profile", "smoke", "--out", str(tmp_path / "made"))
    assert said.startswith("1 figures in ")
    assert {path.name for path in (tmp_path / "made").iterdir()} == {f"{KEY}-line.{format}" for format in FORMATS}
    assert (tmp_path / "made" / f"{KEY}-line.pdf").read_bytes() == b"%PDF"
    (tmp_path / "taken").write_text("")
    asked(capsys, "figures", "--profile", "smoke", "--out", str(tmp_path / "taken"), code=2)


def test_the_shell_completes_chapters_and_profiles(book, monkeypatch, capfd):
    for line, expected in (
        ("elbo run al", [KEY]),
        ("elbo params ", [KEY, "beta-2002"]),
        ("elbo build --profile s", ["smoke"]),
    ):
        monkeypatch.setenv("_ELBO_COMPLETE", "complete_bash")
        monkeypatch.setenv("COMP_WORDS", line)
        monkeypatch.setenv("COMP_CWORD", str(len(line.split(" ")) - 1))
        with pytest.raises(SystemExit):
            main([])
        assert capfd.readouterr().out.split() == expected


def test_a_packaged_book_says_so(book, capsys, monkeypatch, tmp_path):
    monkeypatch.setattr(settings, "PACKAGED", book)
    monkeypatch.setattr(settings, "home", lambda: None)
    monkeypatch.delenv("ELBO_ROOT")
    monkeypatch.chdir(tmp_path)
    assert main(["list"]) == 0
    said = capsys.readouterr()
    assert "using the book that came with the package" in said.err and "goes to _build" in said.err
    assert said.out.startswith("chapter")


def test_fetch_wants_names_or_all(capsys, monkeypatch):
    from elbo import data

    tried = []

    def fetch(name, progress):
        tried.append(name)
        if name == "frey":
            raise data.DataError("frey cannot be had today")
        return []

    monkeypatch.setattr(data, "fetch", fetch)
    assert main(["data", "fetch"]) == main(["data", "fetch", "mnist", "--all"]) == 2 and not tried
    assert main(["data", "fetch", "--all"]) == 6
    assert set(tried) == {"mnist", "frey", "dsprites-official"}
    assert "frey cannot be had today" in capsys.readouterr().err
