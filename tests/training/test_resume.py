"""Checkpoints: resumed is whole, bit for bit; damaged files and other runs are refused; a process may die."""

import os
import random
import signal
import subprocess
import sys
import time

import pytest
import torch

from checkout import TESTS
from elbo.training import Adagrad, Adam, CheckpointError, load_checkpoint, save_checkpoint
from toytraining import data, train


def rows(now):
    return [{"step": now.steps, "w": now.params["w"].sum().item()}]


@pytest.mark.parametrize("optimiser", [Adagrad(0.05), Adam(0.01)])
def test_resumed_is_whole_bit_for_bit(tmp_path, optimiser):
    """Stopped at 40 of 95 steps, at a block boundary, and gone on: parameters, records and losses."""
    whole = train(95, optimiser=optimiser, record=rows, record_at=[0, 15, 40, 77, 95])
    path = tmp_path / "run.ckpt"
    train(40, path, optimiser=optimiser, record=rows, record_at=[0, 15, 40])
    resumed = train(95, path, optimiser=optimiser, record=rows, record_at=[0, 15, 40, 77, 95])
    assert resumed.resumed_at == 40 and whole.resumed_at == 0
    assert torch.equal(resumed.params["w"], whole.params["w"])
    assert resumed.records == whole.records
    assert torch.equal(resumed.losses, whole.losses)


def test_a_run_that_is_done_is_not_done_again(tmp_path):
    path = tmp_path / "run.ckpt"
    done = train(40, path)
    again = train(40, path)
    assert again.resumed_at == 40 and torch.equal(again.params["w"], done.params["w"])
    with pytest.raises(CheckpointError, match="has seen 40 steps, more than the 30 asked for"):
        train(30, path)


def test_another_run_is_refused_by_name(tmp_path):
    path = tmp_path / "run.ckpt"
    train(40, path, settings={"model": "a"})
    with pytest.raises(CheckpointError, match=r"it has block = 10, this run asks for 20"):
        train(60, path, block=20, settings={"model": "a"})
    with pytest.raises(CheckpointError, match="it has seeds = "):
        train(60, path, seeds=(3, 5), settings={"model": "a"})
    with pytest.raises(CheckpointError, match="it has optimiser = "):
        train(60, path, optimiser=Adam(0.02), settings={"model": "a"})
    with pytest.raises(CheckpointError, match="it has model = 'a', this run asks for 'b'"):
        train(60, path, settings={"model": "b"})
    with pytest.raises(CheckpointError, match="it has data = "):
        train(60, path, data=lambda: data() + 1, settings={"model": "a"})
    with pytest.raises(CheckpointError, match="it has record_at = "):
        train(60, path, record=rows, record_at=[20], settings={"model": "a"})
    assert train(60, path, settings={"model": "a"}).resumed_at == 40


def test_every_byte_counts(tmp_path):
    path = tmp_path / "run.ckpt"
    train(40, path)
    content = path.read_bytes()
    for position in [0, 30, 60, len(content) // 2, len(content) - 1, *random.Random(0).sample(range(len(content)), 20)]:
        altered = bytearray(content)
        altered[position] ^= 4
        path.write_bytes(altered)
        with pytest.raises(CheckpointError, match="delete it to start afresh"):
            train(60, path)
    for length in (0, 10, len(content) // 2, len(content) - 1):
        path.write_bytes(content[:length])
        with pytest.raises(CheckpointError, match="delete it to start afresh"):
            load_checkpoint(path, "cpu")


def test_what_is_saved_is_what_is_loaded(tmp_path):
    tensors = {"a": torch.arange(6.0).view(2, 3), "b": torch.tensor(3)}
    save_checkpoint(tmp_path / "x", tensors, {"number": 0.1, "list": [1, "two"]})
    loaded, meta = load_checkpoint(tmp_path / "x", "cpu")
    assert meta == {"number": 0.1, "list": [1, "two"]}
    assert loaded.keys() == tensors.keys() and all(torch.equal(loaded[n], tensors[n]) for n in tensors)
    assert [p.name for p in tmp_path.iterdir()] == ["x"]


def test_a_failed_save_leaves_the_previous_checkpoint(tmp_path, monkeypatch):
    path = tmp_path / "x"
    save_checkpoint(path, {"a": torch.zeros(2)}, {})

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        save_checkpoint(path, {"a": torch.ones(2)}, {})
    assert load_checkpoint(path, "cpu")[0]["a"].tolist() == [0, 0]
    assert [p.name for p in tmp_path.iterdir()] == ["x"]


ENDLESS = """
import sys
sys.path.insert(0, {folder!r})
from toytraining import train
print("up", flush=True)
train(10_000_000, {path!r})
"""


def test_killed_at_any_moment_it_goes_on_as_if_nothing_had_been(tmp_path):
    """It saves after every block of ten steps, so that a kill often falls into a save; three kills, then to the end."""
    path, chance = tmp_path / "run.ckpt", random.Random(2)
    seen = 0
    for _ in range(3):
        code = ENDLESS.format(folder=str(TESTS / "support"), path=str(path))
        process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
        assert process.stdout.readline() == b"up\n"
        deadline = time.monotonic() + 60
        while not (path.exists() and load_checkpoint(path, "cpu")[1]["blocks"] > seen) and time.monotonic() < deadline:
            time.sleep(0.02)
        time.sleep(chance.uniform(0, 0.2))
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        blocks = load_checkpoint(path, "cpu")[1]["blocks"]
        assert blocks > seen
        seen = blocks
    steps = 10 * seen + 25
    resumed = train(steps, path)
    assert resumed.resumed_at == 10 * seen
    assert torch.equal(resumed.params["w"], train(steps).params["w"])
