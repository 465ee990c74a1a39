"""Reference tables: made by one command, recorded, and refused when they are not what their record says."""

import datetime
import hashlib
import json

import pandas as pd
import pytest

from elbo import reference


@pytest.fixture
def folder(tmp_path, monkeypatch):
    table = pd.DataFrame({"x": [1, 2], "y": [0.1, 1 / 3]})
    monkeypatch.setattr(reference, "directory", lambda: tmp_path / "data" / "reference")
    monkeypatch.setattr(reference, "tables", lambda chapter: {"one": lambda: table, "two": lambda: table.tail(1)})
    monkeypatch.setattr(reference, "_loaded", {})
    return tmp_path / "data" / "reference" / "toy-2013", table


def test_a_table_is_written_with_its_record_and_read_back(folder):
    path, table = folder
    assert reference.main(["toy-2013", "one", "two"]) == 0
    pd.testing.assert_frame_equal(reference.load("toy-2013", "one"), table)
    about = json.loads((path / "one.json").read_text())
    assert about["sha256"] == hashlib.sha256((path / "one.csv").read_bytes()).hexdigest()
    assert about["command"] == "python -m elbo.reference toy-2013 one" and about["rows"] == 2
    assert datetime.datetime.fromisoformat(about["finished"]).tzinfo is not None
    two = json.loads((path / "two.json").read_text())
    assert (about["commit"], about["dirty"]) == (two["commit"], two["dirty"])
    assert reference.loaded() == {"toy-2013/one": about["sha256"]}
    assert not list(path.glob(".*"))


def test_a_changed_table_is_refused(folder):
    path, _ = folder
    reference.main(["toy-2013", "one"])
    (path / "one.csv").write_text("x,y\n1,2\n")
    with pytest.raises(reference.ReferenceError, match="git checkout data/reference"):
        reference.load("toy-2013", "one")


def test_what_does_not_exist(folder, capsys):
    assert reference.load("toy-2013", "three") is None
    assert reference.main(["toy-2013", "ones"]) == 2
    assert "did you mean one" in capsys.readouterr().err


def test_every_committed_table_is_the_one_that_was_measured():
    records = list(reference.directory().glob("*/*.json"))
    assert records
    for record in records:
        assert reference.load(record.parent.name, record.stem) is not None
