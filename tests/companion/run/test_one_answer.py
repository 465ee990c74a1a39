"""What a kernel and the command say of the same thing is the same: which data is missing, which checkout is at work."""

from __future__ import annotations

import json
import subprocess

import pytest

import toybook
from elbo.companion.record.handover import figures_in

KEY = "toy-2013"
PARAMETERS = 'fail: str = ""  # how to fail'
BEGIN = f'from elbo import companion\ncompanion.begin("{KEY}", globals())'
MIDDLE = """if fail == "ours":
    from elbo.data import DataError
    raise DataError("the file is missing; run `elbo data fetch frey`")
if fail == "of that name":
    class DataError(ValueError):
        pass
    raise DataError("No numeric types to aggregate")
import pandas as pd
from matplotlib.figure import Figure
data = pd.DataFrame({"x": [0, 1], "y": [0.0, 1.0]})
fig = Figure()
fig.subplots().plot(data.x, data.y)
companion.figure(fig, id="toy-2013-line", caption="How?", alt="A line that rises.", data=data)"""


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A book of one chapter, committed in a repository of its own."""
    root = toybook.write_book(tmp_path_factory.mktemp("one-answer") / "book", KEY)
    cells = [(":tags: [parameters]\n\n", PARAMETERS), ("", BEGIN), ("", MIDDLE), ("", "companion.end()")]
    body = "".join(toybook.CELL.format(tags=tags, code=code) for tags, code in cells)
    (root / "book" / f"{KEY}.md").write_text(toybook.FRONT + "# Toy\n\n" + body)
    who = ("-c", "user.name=Nobody", "-c", "user.email=nobody@example.org")
    for command in (("init", "-q"), ("add", "."), (*who, "commit", "-q", "-m", "Toy")):
        subprocess.run(["git", *command], cwd=root, check=True)
    return root


def test_only_our_own_error_means_that_data_is_missing(root):
    missing = toybook.elbo(root, "run", KEY, "-p", "fail", "ours")
    assert missing.returncode == 6
    (said,) = toybook.sentences(missing.stderr)
    assert said.startswith(f"elbo: {KEY} stopped in cell 4: the file is missing; run `elbo data fetch frey`")
    other = toybook.elbo(root, "run", KEY, "-p", "fail", "of that name")
    assert other.returncode == 3
    (said,) = toybook.sentences(other.stderr)
    assert "with DataError: No numeric types to aggregate" in said


def test_figures_and_run_name_the_commit_of_the_checkout_that_was_asked_for(root, tmp_path):
    """Started from elsewhere with ``--root``: not the commit of the package's own
    checkout, nor of the working directory.
    """
    done = toybook.elbo(tmp_path, "run", KEY, "--root", str(root))
    assert done.returncode == 0, done.stderr
    commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=root, capture_output=True, text=True, check=True).stdout
    folder = root / "_build" / "runs" / "quick" / KEY
    run = json.loads((folder / "run.json").read_text())
    (figure,) = figures_in(json.loads((folder / f"{KEY}.ipynb").read_text()))
    record = json.loads(figure["files"]["json"])["environment"]
    assert record["commit"] == run["commit"] == commit.strip()
    assert record["dirty"] is run["dirty"] is False
    assert record["packages"] == {name: v for name, v in run["packages"].items() if name != "python"}
