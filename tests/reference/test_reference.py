"""Reference tables: made by one command, recorded, and refused when they are not what their record says."""

import datetime
import hashlib
import json

import filelock
import pandas as pd
import pytest

from elbo import ledger, reference
from elbo.reference import parts


@pytest.fixture
def folder(tmp_path, monkeypatch):
    table = pd.DataFrame({"x": [1, 2], "y": [0.1, 1 / 3]})
    monkeypatch.setattr(reference, "directory", lambda: tmp_path / "data" / "reference")
    monkeypatch.setattr(reference, "tables", lambda chapter: {"one": lambda: table, "two": lambda: table.tail(1)})
    monkeypatch.setattr(reference, "sweeps", lambda chapter: {})
    monkeypatch.setattr(ledger, "_noted", {})
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


@pytest.fixture
def swept(folder, monkeypatch):
    """A table of three parts whose measuring is counted."""
    calls = []

    def measure(stack, device):
        calls.extend((part["beta"], part["seed"]) for part in stack)
        return [pd.DataFrame({"score": [part["beta"] * 10 + part["seed"]]}) for part in stack]

    grid = [{"beta": beta, "seed": seed} for seed in (0, 1) for beta in (1.0, 4.0)][:3]
    monkeypatch.setattr(reference, "sweeps", lambda chapter: {"scores": parts.Sweep(measure, grid, alike=("seed",))})
    return folder[0], calls


def test_a_table_is_gathered_from_the_parts_that_are_there_and_only_what_is_missing_is_measured(swept):
    path, calls = swept
    assert reference.main(["toy-2013", "scores", "--part", "beta=4.0,seed=0"]) == 0
    assert reference.main(["toy-2013", "scores", "--gather"]) == 0
    assert reference.load("toy-2013", "scores").to_dict("records") == [{"score": 40.0, "beta": 4.0, "seed": 0}]
    assert reference.record("toy-2013", "scores")["parts_asked"] == 3
    assert reference.main(["toy-2013", "scores"]) == 0
    assert calls == [(4.0, 0), (1.0, 0), (1.0, 1)], "the part that was there is not measured again"
    table = reference.load("toy-2013", "scores")
    assert list(table.score) == [10.0, 40.0, 11.0], "rows stand in the order of the sweep"
    about = reference.record("toy-2013", "scores")
    folder = reference.parts_folder("toy-2013", "scores")
    for part, key in zip(about["parts"], ["beta=1.0,seed=0", "beta=4.0,seed=0", "beta=1.0,seed=1"]):
        assert part["sha256"] == hashlib.sha256((folder / f"{key}.csv").read_bytes()).hexdigest()


def test_committed_parts_are_not_measured_again_and_must_be_what_their_records_say(swept, capsys):
    path, calls = swept
    reference.main(["toy-2013", "scores", "--part", "beta=4.0,seed=0"])
    folder, committed = reference.parts_folder("toy-2013", "scores"), path / "parts" / "scores"
    committed.mkdir(parents=True)
    for kept in folder.glob("beta=4.0,seed=0.*"):
        kept.rename(committed / kept.name)
    assert reference.main(["toy-2013", "scores", "--parts"]) == 0
    assert "done   beta=4.0,seed=0" in capsys.readouterr().out
    assert reference.main(["toy-2013", "scores"]) == 0
    assert calls == [(4.0, 0), (1.0, 0), (1.0, 1)]
    for kept in folder.glob("beta=4.0,seed=0.*"):
        kept.unlink()
    (committed / "beta=4.0,seed=0.csv").write_text("score\n41\n")
    assert reference.main(["toy-2013", "scores", "--gather"]) == 2
    assert "not what its record says" in capsys.readouterr().err


def test_a_fuller_table_is_not_replaced_by_fewer_parts(swept, capsys):
    path, _ = swept
    reference.main(["toy-2013", "scores"])
    whole = (path / "scores.csv").read_bytes()
    folder = reference.parts_folder("toy-2013", "scores")
    for kept in folder.glob("beta=1.0,seed=1.*"):
        kept.unlink()
    assert reference.main(["toy-2013", "scores", "--gather"]) == 2
    assert "1 parts that are not here, the first beta=1.0, seed=1" in capsys.readouterr().err
    about = json.loads((path / "scores.json").read_text())
    del about["parts"]  # as of a table that was measured in one piece
    (path / "scores.json").write_text(json.dumps(about))
    assert reference.main(["toy-2013", "scores", "--gather"]) == 2
    assert "holds 3 rows, the parts here 2" in capsys.readouterr().err
    assert (path / "scores.csv").read_bytes() == whole


def test_a_damaged_part_an_unknown_one_and_one_that_is_held_are_refused(swept, capsys):
    folder = reference.parts_folder("toy-2013", "scores")
    assert reference.main(["toy-2013", "scores", "--gather"]) == 2
    assert "no part has been measured yet" in capsys.readouterr().err
    assert reference.main(["toy-2013", "scores", "--part", "beta=4.0,seed=7"]) == 2
    assert "did you mean beta=4.0,seed=0" in capsys.readouterr().err
    with filelock.FileLock(folder / ".beta=1.0,seed=0.lock"):
        assert reference.main(["toy-2013", "scores", "--part", "beta=1.0,seed=0"]) == 4
    assert "another process is measuring beta=1.0,seed=0" in capsys.readouterr().err
    reference.main(["toy-2013", "scores", "--part", "beta=1.0,seed=0"])
    (folder / "beta=1.0,seed=0.csv").write_text("score\n11\n")
    assert reference.main(["toy-2013", "scores", "--gather"]) == 2
    assert "measure the part again" in capsys.readouterr().err


def test_parts_of_one_stack_are_measured_together_and_must_have_in_common_what_a_stack_has(swept, capsys):
    _, calls = swept
    both = ["--part", "beta=4.0,seed=0", "--part", "beta=1.0,seed=0"]
    reference.main(["toy-2013", "scores", "--part", "beta=1.0,seed=0"])
    assert reference.main(["toy-2013", "scores", *both]) == 0
    assert calls == [(1.0, 0), (4.0, 0)]
    about = json.loads((reference.parts_folder("toy-2013", "scores") / "beta=4.0,seed=0.json").read_text())
    assert about["stacked_with"] == 0 and about["part"] == {"beta": 4.0, "seed": 0}
    assert reference.main(["toy-2013", "scores", "--part", "beta=4.0,seed=0", "--part", "beta=1.0,seed=1"]) == 2
    assert "must have seed in common" in capsys.readouterr().err
    sweep = reference.sweeps("toy-2013")["scores"]
    assert [[part.key for part in stack] for stack in sweep.stacks(sweep.parts(), 9)] == [
        ["beta=1.0,seed=0", "beta=4.0,seed=0"],
        ["beta=1.0,seed=1"],
    ]
    assert [len(stack) for stack in sweep.stacks(sweep.parts(), 1)] == [1, 1, 1]
