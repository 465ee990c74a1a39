"""Notebooks for elsewhere: what they install, and that nothing of it is taken for a parameter."""

from __future__ import annotations

import json

import pytest

import toybook
from elbo.cli import main
from elbo.companion.project.chapters import read_chapter
from elbo.companion.project.errors import CompanionError
from elbo.companion.project.launch import at_commit, launched
from elbo.companion.project.paths import Project

SHA = "0123456789abcdef0123456789abcdef01234567"


@pytest.mark.parametrize("address", ["https://github.com/someone/book", "https://github.com/someone/book.git"])
def test_what_is_installed_is_one_commit_and_its_lock(address):
    source, lock = at_commit(address, SHA)
    assert source == f"carving-the-elbo[book] @ git+https://github.com/someone/book@{SHA}"
    assert lock == f"https://raw.githubusercontent.com/someone/book/{SHA}/requirements.lock"


@pytest.mark.parametrize("address", ["", "https://example.org/someone/book", "https://github.com/someone"])
def test_an_address_that_is_not_known_has_to_be_given(address):
    with pytest.raises(CompanionError, match="--source"):
        at_commit(address, SHA)


def test_the_first_cell_installs_and_leaves_no_plain_value(tmp_path):
    project = Project(toybook.write_book(tmp_path, "alpha-2001"))
    notebook = launched(read_chapter(project, "alpha-2001"), 'a "source"', "a 'lock'")
    first, second = (cell for cell in notebook.cells[:3] if cell.cell_type == "code")
    assert second.metadata.tags == ["parameters"]
    names: dict = {}
    exec(first.source, names)  # the package is here, so that nothing is installed
    assert not any(isinstance(value, (int, float, str, list)) for name, value in names.items() if name[0] != "_")


def test_the_command_writes_all_chapters_or_those_named(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("ELBO_ROOT", str(toybook.write_book(tmp_path / "book", "alpha-2001", "beta-2002")))
    out = tmp_path / "made"
    assert main(["notebook", "--out", str(out)]) == 0
    assert {path.name for path in out.iterdir()} == {"alpha-2001.ipynb", "beta-2002.ipynb"}
    words = ["notebook", "beta-2002", "--out", str(out), "--install", "--source", "x.whl"]
    assert main(words) == 2 and "--lock" in capsys.readouterr().err
    assert main([*words, "--lock", "requirements.lock"]) == 0
    cells = json.loads((out / "beta-2002.ipynb").read_text())["cells"]
    assert any("'x.whl'" in "".join(cell["source"]) for cell in cells)
    assert main(["notebook", "--source", "x.whl", "--out", str(out)]) == 2
