"""A chapter at many parameters: every combination once, with its own log, and the tables gathered with provenance."""

import hashlib
import json

import pandas as pd
import pytest

from elbo.companion.record.handover import MIME
from elbo.sweep.plan import SweepError
from elbo.sweep.runs import choices, combinations, folder_name, gather_runs
from toybook import elbo, sentences, write_book


def test_values_are_split_where_yaml_splits_them():
    assert choices("1,2, 3") == ["1", "2", "3"]
    assert choices("[2],[10, 20]") == ["[2]", "[10, 20]"]
    assert choices("digits,'a, b'") == ["digits", "a, b"]
    assert choices("1e-3,0.5,true") == ["1e-3", "0.5", "true"]
    for bad in ("", "[2", "{", "[" * 10_000):
        with pytest.raises(SweepError, match="separated by commas") as caught:
            choices(bad)
        assert len(str(caught.value)) < 250


def test_combinations_are_the_product_and_not_too_many():
    assert combinations({"a": "1,2", "b": "x,y"}) == [
        {"a": "1", "b": "x"}, {"a": "1", "b": "y"}, {"a": "2", "b": "x"}, {"a": "2", "b": "y"}
    ]  # fmt: skip
    many = ",".join(map(str, range(200)))
    with pytest.raises(SweepError, match="40,000 combinations are more than 20,000"):
        combinations({"a": many, "b": many})


def test_folders_are_told_apart_and_stay_where_they_belong():
    names = [folder_name({"a": value}) for value in ("1", "[2, 3]", "x/y", "../../etc", "x?y", "x" * 500, "x" * 501)]
    assert names[:2] == ["a=1", "a=[2,3]"] and len(set(names)) == len(names)
    assert all("/" not in name and len(name) < 130 for name in names)


def publish(folder, parameters, values, chapter="toy-2013", broken=False):
    """A run as `elbo run --out` leaves it: one figure, whose table repeats a reference row."""
    folder = folder / chapter
    folder.mkdir(parents=True)
    rows = [f"this run,{value}" for value in values] + ["reference,100"]
    table = "\n".join(["run,value", *rows]) + "\n"
    content = {"id": "toy-2013-line", "files": {"csv": table, "json": "{}"}}
    notebook = json.dumps({"cells": [{"outputs": [{"data": {MIME: content}}]}, {"source": "no outputs"}]})
    (folder / f"{chapter}.ipynb").write_text(notebook)
    digest = hashlib.sha256(notebook.encode()).hexdigest()
    record = {"chapter": chapter, "parameters": parameters, "commit": "abc", "notebook_sha256": digest}
    (folder / "run.json").write_text(json.dumps(record))
    if broken:
        (folder / f"{chapter}.ipynb").write_text(notebook[:-20])


def test_tables_are_gathered_with_the_parameters_that_differ_and_without_reference_rows(tmp_path):
    publish(tmp_path / "one", {"beta": 1.0, "dims": [2], "same": 3}, [1, 2])
    publish(tmp_path / "deep" / "two", {"beta": 4.0, "dims": [2, 10], "same": 3}, [7])
    for _ in range(2):  # a second time: what was gathered is not taken for a run
        written = gather_runs(tmp_path)
        assert [path.name for path in written] == ["toy-2013-line.csv", "gathered.json"]
    table = pd.read_csv(written[0])
    assert sorted(zip(table.value, table.beta, table.dims)) == [(1, 1.0, "[2]"), (2, 1.0, "[2]"), (7, 4.0, "[2, 10]")]
    assert "same" not in table
    runs = json.loads(written[1].read_text())["runs"]
    assert {run["commit"] for run in runs} == {"abc"} and len(runs) == 2
    assert {run["notebook_sha256"] for run in runs} == {
        hashlib.sha256(path.read_bytes()).hexdigest() for path in tmp_path.rglob("*.ipynb")
    }


def test_a_damaged_run_and_an_empty_folder_are_refused_and_nothing_is_written(tmp_path):
    with pytest.raises(SweepError, match="no accepted run lies in"):
        gather_runs(tmp_path)
    publish(tmp_path / "good", {"beta": 1.0}, [1])
    publish(tmp_path / "bad", {"beta": 4.0}, [1], broken=True)
    with pytest.raises(SweepError, match="remove the folder and run it again"):
        gather_runs(tmp_path)
    assert not (tmp_path / "gathered").exists()


def test_a_chapter_is_run_at_every_combination_side_by_side_and_only_what_is_missing_again(tmp_path):
    pytest.importorskip("snakemake", reason="sweeps need Snakemake: pip install 'carving-the-elbo[sweep]'")
    root = write_book(tmp_path / "book", "toy-2013")
    words = ["sweep", "toy-2013", "-p", "beta", "1.0,2.0", "-p", "fail", "'',exception", "--cores", "2"]
    result = elbo(root, *words)
    assert result.returncode == 3, result.stderr
    said = sentences(result.stderr)[-1]
    assert "2 jobs done, 0 left" not in said and "2 failed" in said and "beta is 1.0, which will not do" in said
    folder = root / "_build" / "sweeps" / "toy-2013"
    runs = {json.loads(path.read_text())["parameters"]["beta"] for path in folder.rglob("run.json")}
    assert runs == {1.0, 2.0}
    failed, logs = list((root / "_build" / "failed").glob("*.ipynb")), list((root / "_build" / "log").glob("*.log"))
    assert len(failed) == 2 and len(logs) == 4, "no two runs share a log or a failed notebook"
    again = elbo(root, *words[:7], "''", "--cores", "2")
    assert again.returncode == 0 and "0 jobs done" in again.stdout, again.stdout + again.stderr
    assert len(json.loads((folder / "gathered" / "gathered.json").read_text())["runs"]) == 2
    (root / "book" / "toy-2013.md").write_text((root / "book" / "toy-2013.md").read_text() + "\nMore words.\n")
    stale = elbo(root, *words[:7], "''", "--cores", "2")
    assert "2 jobs done" in stale.stdout, "a run that no longer holds is run again"
    wrong = elbo(root, "sweep", "toy-2013", "-p", "bata", "1,2")
    assert wrong.returncode == 2 and "did you mean 'beta'" in wrong.stderr
