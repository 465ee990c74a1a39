"""Sweeps: parts on several cores, killed and resumed to the bit, two controllers, a budget, and what is said then."""

import os
import random
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

from elbo import reference
from elbo.sweep import engine
from elbo.sweep.engine import Busy, run_jobs, seconds
from elbo.sweep.plan import Job, SweepError, find_tables, table_jobs
from toysweep import KEY, jobs, tables, toy

pytest.importorskip("snakemake", reason="sweeps need Snakemake: pip install 'carving-the-elbo[sweep]'")
SUPPORT = Path(__file__).parents[1] / "support"


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The parts of a sweep that nothing interrupted."""
    folder = tmp_path_factory.mktemp("whole")
    outcome = run_jobs(jobs(folder), folder / "_build" / "parts", cores=2)
    assert (outcome.done, outcome.failed, outcome.left) == (3, 0, 0)
    return tables(folder)


def test_parts_differ_and_are_gathered(whole, tmp_path):
    assert len(set(whole.values())) == 3
    folder = tmp_path / "_build" / "parts"
    run_jobs(jobs(tmp_path), folder, cores=2)
    assert run_jobs(jobs(tmp_path), folder, cores=2).done == 3
    assert subprocess.run(toy(tmp_path, "--gather"), check=True).returncode == 0
    table = pd.read_csv(tmp_path / "data" / "reference" / "toy-2013" / "errors.csv")
    assert list(table.seed.unique()) == [0, 1, 2] and len(table) == 3 * 5
    assert table.groupby("seed").error.last().max() < table.groupby("seed").error.first().min()


def test_a_part_that_is_killed_at_random_moments_ends_as_if_nothing_had_happened(whole, tmp_path):
    rng, kills = random.Random(1), 0
    for _ in range(40):
        process = subprocess.Popen(toy(tmp_path, "--part", KEY.format(1), pause=0.01), stderr=subprocess.DEVNULL)
        try:
            process.wait(rng.uniform(1.0, 4.0))
            break
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            kills += 1
    else:
        subprocess.run(toy(tmp_path, "--part", KEY.format(1)), check=True)
    assert kills >= 1
    assert tables(tmp_path) == {f"{KEY.format(1)}.csv": whole[f"{KEY.format(1)}.csv"]}
    assert not list(tmp_path.rglob("*.tmp"))


def test_a_sweep_that_is_killed_takes_its_jobs_along_and_what_another_process_measures_is_left_to_it(whole, tmp_path):
    script = (
        "import sys; sys.path.insert(0, sys.argv[1]); from pathlib import Path; from toysweep import jobs;"
        "from elbo.sweep.engine import run_jobs; f = Path(sys.argv[2]);"
        "run_jobs(jobs(f, pause=0.2, parts=1), f / '_build' / 'parts')"
    )
    controller = subprocess.Popen([sys.executable, "-c", script, str(SUPPORT), str(tmp_path)])
    lock = tmp_path / "_build" / "parts" / "toy-2013" / "errors" / f".{KEY.format(0)}.lock"
    _until(lock.exists)
    with pytest.raises(Busy, match="another sweep works in"):
        run_jobs(jobs(tmp_path), tmp_path / "_build" / "parts")
    controller.kill()
    controller.wait()
    _until(lambda: not _children(None, str(tmp_path)), 20)
    lock.unlink()
    other = subprocess.Popen(toy(tmp_path, "--part", KEY.format(0), pause=0.5))
    _until(lock.exists)
    outcome = run_jobs(jobs(tmp_path, parts=1), tmp_path / "_build" / "parts")
    assert outcome.failed == 1 and f"another process is measuring {KEY.format(0)}" in outcome.reasons[0]
    assert other.wait(120) == 0
    outcome = run_jobs(jobs(tmp_path), tmp_path / "_build" / "parts", cores=2)
    assert (outcome.done, outcome.failed) == (3, 0)
    assert tables(tmp_path) == whole


def test_when_the_budget_is_spent_the_most_urgent_is_done_and_the_next_call_goes_on(whole, tmp_path):
    folder = tmp_path / "_build" / "parts"
    outcome = run_jobs(jobs(tmp_path, pause=0.2), folder, cores=1, budget=14)
    assert outcome.stopped and outcome.left >= 1 and not outcome.reasons
    assert not _children(None, "toy_part.py", str(tmp_path)), "no job outlives the sweep"
    assert all(name == f"{KEY.format(seed)}.csv" for seed, name in enumerate(sorted(tables(tmp_path)))), "by priority"
    assert run_jobs(jobs(tmp_path), folder, cores=2).done == 3
    assert tables(tmp_path) == whole


def test_a_job_that_fails_is_told_with_its_log_and_the_others_go_on(tmp_path):
    bad = Job("bad", ("bad.json",), "echo 'the disk of the moon is full' >&2; exit 3", "log/bad.log", 9)
    path = "a b/beta=[1],x='y'.json"
    good = Job("good", (path,), f"touch {shlex.quote(path)}", "log/good.log")
    outcome = run_jobs([bad, good], tmp_path, cores=1)
    assert (outcome.done, outcome.failed, outcome.left) == (1, 1, 0)
    assert outcome.reasons == (f"the disk of the moon is full ({tmp_path / 'log' / 'bad.log'})",)


def test_a_dry_run_runs_nothing_and_wrong_words_are_refused(tmp_path):
    outcome = run_jobs(jobs(tmp_path), tmp_path / "parts", dry_run=True)
    assert (outcome.done, outcome.left) == (0, 3) and not list(tmp_path.rglob("*.csv"))
    with pytest.raises(SweepError, match="name kubernetes, slurm, or a folder"):
        run_jobs(jobs(tmp_path), tmp_path / "parts", profile="slurmm")
    assert [seconds(word) for word in ("90s", "25m", "1.5h")] == [90, 1500, 5400]
    for word in ("25", "m", "-3m", "0h", "1e3s", "x" * 5000):
        with pytest.raises(SweepError, match="90s, 25m or 2h") as caught:
            seconds(word)
        assert len(str(caught.value)) < 200


def test_the_plan_of_the_book_has_every_missing_part_once_and_the_most_urgent_first(monkeypatch, tmp_path):
    monkeypatch.setattr(reference, "parts_folder", lambda chapter, name: tmp_path / chapter / name)
    known = find_tables([])
    assert len(known) >= 5
    planned = table_jobs(known)
    expected = [
        f"{table.chapter}/{table.name}/{part.key}.json"
        for table in known
        for part in reference.sweeps(table.chapter)[table.name].parts()
    ]
    assert sorted(job.outputs[0] for job in planned) == sorted(expected)
    assert len({job.name for job in planned}) == len({job.log for job in planned}) == len(planned)
    first = planned[0]
    assert first.priority == len(planned) and planned[-1].priority == 1
    path = tmp_path / first.outputs[0]
    path.parent.mkdir(parents=True)
    path.write_text("{}")
    path.with_suffix(".csv").write_text("")
    assert first.outputs[0] not in {job.outputs[0] for job in table_jobs(known)}
    stacked = table_jobs(known, "cuda", stack=60)
    assert len(stacked) < len(planned) / 3 and sum(len(job.outputs) for job in stacked) == len(planned) - 1
    with pytest.raises(SweepError, match="no table 'bund-mnist'"):
        find_tables(["bund-mnist"])
    assert find_tables(["kingma-welling-2013/bound-mnist"]) == find_tables(["bound-mnist"])


def _until(condition, patience=30.0):
    end = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


def _children(number, *words):
    """Processes whose command line has all these words; with a signal's name, it is sent to them."""
    import psutil

    found = []
    for process in psutil.process_iter(["cmdline"]):
        line = " ".join(process.info["cmdline"] or [])
        if all(word in line for word in words) and process.pid != psutil.Process().pid:
            found.append(line)
            if number:
                process.send_signal(getattr(signal, number))
    return found


def test_jobs_that_outlive_snakemake_may_tidy_up(tmp_path):
    done, begun = tmp_path / "tidied", tmp_path / "begun"
    line = f"trap 'sleep 0.3; touch {done}; exit' TERM; touch {begun}; while :; do sleep 0.05; done"
    process = subprocess.Popen(["bash", "-c", f"bash -c {shlex.quote(line)} & wait"], start_new_session=True)
    _until(begun.exists)
    process.kill()
    process.wait()
    engine._end_jobs(process)
    assert done.exists()
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)
