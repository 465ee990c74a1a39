"""Every way a run can fail, for real: what is said, what is kept, what is left behind."""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time

import pytest
import yaml

from toybook import alive, contents, elbo, left_over, sentences, start, wait_for, wait_until, write_book

FAILURES = {
    "raises-2001": (
        "exception",
        "raises-2001 stopped in cell 3 (`import os, signal, time`) with ValueError: beta is 1.0, which will not do",
    ),
    "dies-2002": ("killed", "dies-2002: its kernel died in cell 3"),
    "dies-last-2003": ("killed last", "dies-last-2003: its kernel died in cell 4"),
    "slow-2004": ("slow", "slow-2004 was stopped in cell 3, which took longer than 6 s"),
    "silent-2005": (
        "silent",
        "silent-2005 was refused: its last cell did not print `elbo: chapter silent-2005 complete`",
    ),
    "terminated-2006": ("papermill", "terminated-2006: papermill was terminated (signal SIGTERM) in cell 3"),
}


@pytest.fixture(scope="module")
def accepted(tmp_path_factory):
    """Put an accepted run (of one chapter, run once) under several names: the runs that no failure may touch."""
    root = write_book(tmp_path_factory.mktemp("accepted"), "good-2000")
    result = elbo(root, "run", "good-2000")
    assert result.returncode == 0, result.stderr
    run = root / "_build" / "runs" / "quick" / "good-2000"

    def put(runs, *keys):
        for key in keys:
            shutil.copytree(run, runs / key)
            (runs / key / "good-2000.ipynb").rename(runs / key / f"{key}.ipynb")
        return contents(runs)

    return put


@pytest.fixture(scope="module")
def failures(tmp_path_factory, accepted):
    """Six chapters with an accepted run each, then each failing in its own way, in one command."""
    root = write_book(tmp_path_factory.mktemp("failing"), *FAILURES)
    ways = {key: {"fail": how, "trace": str(root / f"{key}.pid")} for key, (how, _) in FAILURES.items()}
    (root / "bad.yml").write_text(yaml.safe_dump(ways))
    before = accepted(root / "runs", *FAILURES)
    options = ["--profile", "bad.yml", "--out", "runs", "--jobs", "3", "--timeout", "6", "--json"]
    return root, before, elbo(root, "run", *FAILURES, *options)


@pytest.mark.parametrize("key", FAILURES)
def test_failure_is_one_sentence(failures, key):
    _, _, bad = failures
    said = [sentence for sentence in sentences(bad.stderr) if sentence.startswith(f"elbo: {key}")]
    assert len(said) == 1 and FAILURES[key][1] in said[0], bad.stderr
    assert "; " in said[0]  # what to do
    assert "Traceback" not in bad.stderr
    assert bad.returncode == 3


@pytest.mark.parametrize("key", FAILURES)
def test_failure_leaves_nothing_but_the_notebook(failures, key):
    root, _, bad = failures
    (kept,) = (root / "_build" / "failed").glob(f"{key}-????????.ipynb")  # a place of its own, as --out is
    said = next(sentence for sentence in sentences(bad.stderr) if sentence.startswith(f"elbo: {key}"))
    assert str(kept.relative_to(root)) in said
    assert json.loads(kept.read_text())["cells"]
    assert not alive((root / f"{key}.pid").read_text())


def test_previous_runs_are_untouched(failures):
    root, before, bad = failures
    assert contents(root / "runs") == before
    assert {path.split("/")[0] for path in before if path.endswith(".ipynb")} == set(FAILURES)
    assert not left_over(root)
    assert {run["status"] for run in json.loads(bad.stdout)["runs"]} == {"failed"}


def test_signals_and_a_second_command(tmp_path, monkeypatch, accepted):
    """Ctrl-C once and twice, SIGTERM, SIGHUP and SIGKILL of the command while a cell runs, and a second command."""
    signals = {
        "int-2001": signal.SIGINT,
        "term-2002": signal.SIGTERM,
        "kill-2003": signal.SIGKILL,
        "hup-2004": signal.SIGHUP,
        "twice-2005": signal.SIGINT,
    }
    codes = {"int-2001": 130, "term-2002": 143, "kill-2003": -9, "hup-2004": 143, "twice-2005": 130}
    root = write_book(tmp_path / "book", *signals)
    runs = root / "_build" / "runs" / "quick"
    before = accepted(runs, *signals)
    scratch = tmp_path / "tmp"
    scratch.mkdir()
    monkeypatch.setenv("TMPDIR", str(scratch))

    trace = {key: root / f"{key}.pid" for key in signals}
    running = {key: start(root, "run", key, "-p", "fail", "slow", "-p", "trace", str(trace[key])) for key in signals}
    kernels = {key: wait_for(trace[key]) for key in signals}
    assert all(alive(pid) for pid in kernels.values())

    second = elbo(root, "run", "int-2001", "--force")
    assert second.returncode == 4
    assert len(sentences(second.stderr)) == 1 and "int-2001 is busy: another elbo command" in second.stderr

    for key, process in running.items():
        process.send_signal(signals[key])
    for _ in range(4):
        time.sleep(0.15)
        running["twice-2005"].send_signal(signal.SIGINT)
    for key, process in running.items():
        _, err = process.communicate(timeout=60)
        assert process.returncode == codes[key], err
        assert "Traceback" not in err
        if key != "kill-2003":
            assert len(sentences(err)) == 1 and "the accepted runs are untouched" in err
            assert not alive(kernels[key])
    wait_until(lambda: not alive(kernels["kill-2003"]))
    wait_until(lambda: not list(scratch.iterdir()) and not left_over(root))  # the worker sweeps for its dead command
    assert contents(runs) == before

    # what both could not sweep away, killed together, the next command does
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    (scratch / f"elbo-{dead.pid}-x").mkdir()
    (runs / ".kill-2003.staging-x").mkdir()
    again = elbo(root, "run", "kill-2003", "--force")
    assert again.returncode == 0, again.stderr
    assert not left_over(root) and not list(scratch.iterdir())


def test_file_size_limit(tmp_path, accepted):
    """The notebook grows over the size that the system allows, as it would on a full disk."""
    root = write_book(tmp_path / "book", "big-2001")
    before = accepted(root / "_build" / "runs" / "quick", "big-2001")
    limit = {"preexec_fn": lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))}
    result = elbo(root, "run", "big-2001", "-p", "fail", "big", **limit)
    assert result.returncode == 3
    (said,) = sentences(result.stderr)
    assert "big-2001: the disk is full (File too large); free some space" in said
    assert contents(root / "_build" / "runs" / "quick") == before
    assert not left_over(root)


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 1.5 MB."""
    folder = tmp_path / "small"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1500k", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("mounting a small file system takes root; test_file_size_limit stands for it")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_full_disk(tmp_path, small_disk, accepted):
    root = write_book(tmp_path / "book", "big-2001")
    before = accepted(small_disk, "big-2001")
    result = elbo(root, "run", "big-2001", "--out", str(small_disk), "-p", "fail", "big")
    assert result.returncode == 3
    assert len(sentences(result.stderr)) == 1 and "the disk is full (No space left on device)" in result.stderr
    assert contents(small_disk) == before
    assert not left_over(small_disk)
