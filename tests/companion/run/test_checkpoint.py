"""A long chapter survives: killed in the middle of its training it goes on where it was,
and a loss that breaks is named.
"""

from __future__ import annotations

import json
import re

import pytest

from elbo.companion.kernel import session
from toybook import CELL, FRONT, alive, elbo, sentences, start, wait_for, write_book

PARAMETERS = """trace: str = ""  # file that says that the training waits
waits_at: int = 30  # number of steps at which it waits for a while
rate: float = 0.05  # step size
seed: int = 0  # seed
device: str = "auto"  # device"""

BEGIN = """import os, time
from elbo import companion
companion.begin("long-2001", globals())"""

TRAIN = """import torch
from elbo.training import Adam, Noise, fit

def loss(params, x, noise, scalars):
    return (torch.tanh(x + noise["eps"]) @ params["w"] - 0.5).square().mean()

def wait(step, steps, losses):
    if step == waits_at:
        with open(trace, "w") as file:
            file.write(str(os.getpid()))
        time.sleep(120)

data = torch.randn(60, 4, generator=torch.Generator().manual_seed(1))
run = fit(
    loss, {"w": torch.ones(1, 4)}, data, seeds=[seed], steps=50, batch_size=5, block=10, optimiser=Adam(rate),
    noise={"eps": Noise("normal", (5, 4))}, compile=False, progress=wait if trace else None,
    checkpoint=companion.checkpoint("weights"), checkpoint_seconds=0,
)
end = run.params["w"].double().flatten().tolist()
print("resumed at", run.resumed_at, "ended at", end, "with", float(run.losses.sum()))"""

BROKEN = """from elbo.inference.aevb import aevb
from elbo.models.vae import VAE
import torch
images = torch.rand(40, 6, generator=torch.Generator().manual_seed(0))
kept = companion.checkpoint("weights")
aevb(VAE(6, 5, 2), images, samples=2000, learning_rate=rate, compile=False, checkpoint=kept)"""


def book(root, train):
    write_book(root, "long-2001")
    cells = [(":tags: [parameters]\n\n", PARAMETERS), ("", BEGIN), ("", train), ("", "companion.end()")]
    text = FRONT + "# A long chapter\n\n" + "".join(CELL.format(tags=tags, code=code) for tags, code in cells)
    (root / "book" / "long-2001.md").write_text(text)
    return root


def printed(root) -> str:
    notebook = json.loads((root / "_build" / "runs" / "quick" / "long-2001" / "long-2001.ipynb").read_text())
    text = "".join(
        line for cell in notebook["cells"] for out in cell.get("outputs", []) for line in out.get("text", [])
    )
    return next(line for line in text.splitlines() if line.startswith("resumed at"))


def test_a_killed_chapter_goes_on_where_it_was(tmp_path):
    root = book(tmp_path / "book", TRAIN)
    trace = root / "waits"
    command = ["run", "long-2001", "-p", "trace", str(trace)]
    process = start(root, *command)
    kernel = wait_for(trace, 120)
    (saved,) = (root / "_build" / "checkpoints" / "long-2001").glob("*/weights.ckpt")
    process.kill()
    process.communicate(timeout=60)

    again = elbo(root, *command)
    assert again.returncode == 0, again.stderr
    assert not alive(kernel)
    assert not saved.parent.exists()  # the chapter has ended well: nothing to go on with
    resumed = printed(root)
    assert resumed.startswith("resumed at 30 ")

    whole = elbo(root, "run", "long-2001")  # no waiting, no checkpoint to start from
    assert whole.returncode == 0, whole.stderr
    assert printed(root).startswith("resumed at 0 ")
    assert printed(root).split("ended")[1] == resumed.split("ended")[1]


def test_a_loss_that_breaks_stops_the_chapter_and_names_the_term(tmp_path):
    root = book(tmp_path / "book", BROKEN)
    result = elbo(root, "run", "long-2001", "-p", "rate", "1e30")
    assert result.returncode == 3
    (said,) = sentences(result.stderr)
    stopped = (
        r"long-2001 stopped in cell 4 .* with FloatingPointError: training stopped at step \d+: the term '(.*)' "
        r"of member 0"
    )
    found = re.search(stopped, said)
    assert found and found[1] in {"code", "log-likelihood", "KL divergence", "log-prior of the weights"}, said


def test_checkpoints_have_plain_names_and_a_run_of_their_own(tmp_path, monkeypatch):
    about = {"chapter": "long-2001", "checkpoints": str(tmp_path / "a")}
    monkeypatch.setenv("ELBO_RUN", json.dumps(about))
    monkeypatch.setattr(session, "_current", session.Session("long-2001", "quick", {}))
    assert session.checkpoint("weights_2-b") == tmp_path / "a" / "weights_2-b.ckpt"
    assert (tmp_path / "a").is_dir()
    for name in ("", "../weights", "a b"):
        with pytest.raises(ValueError, match="letters, digits, hyphens"):
            session.checkpoint(name)
    monkeypatch.setattr(session, "_current", session.Session("other-2002", "quick", {}))
    assert session.checkpoint("weights") is None
    monkeypatch.delenv("ELBO_RUN")
    assert session.checkpoint("weights") is None
