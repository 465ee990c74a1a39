"""The exercises of the chapter on Higgins et al.: the cells of the solutions run, and
what the text says of them holds.
"""

import re
from pathlib import Path

import jupytext
import pytest
import torch

from elbo import data
from elbo.disentanglement import Adagrad, factor_index, higgins_score
from elbo.experiments import higgins_2017 as experiments

CHAPTER = Path(__file__).resolve().parents[2] / "book" / "higgins-2017.md"


@pytest.fixture(scope="module")
def printed():
    """What the cells tagged ``solution`` print, one after another, as in the chapter."""
    names = {
        "torch": torch, "Adagrad": Adagrad, "factor_index": factor_index, "higgins_score": higgins_score,
        "experiments": experiments, "images": data.load("dsprites"),
    }  # fmt: skip
    outputs = []
    names["print"] = lambda *words: outputs[-1].append(" ".join(map(str, words)))
    for cell in jupytext.read(CHAPTER).cells:
        if "solution" in cell.metadata.get("tags", []):
            outputs.append([])
            exec(compile(cell.source, CHAPTER.name, "exec"), names)
    return outputs


def numbers(lines):
    return [float(re.search(r": (\d\.\d+)$", line).group(1)) for line in lines]


def test_a_missing_cause_is_not_noticed_and_two_are(printed):
    all_four, three, two = numbers(printed[0])
    assert all_four == three == 1 and two < 0.9


def test_the_score_of_one_code_grows_with_the_steps_of_its_classifier(printed):
    short, middle, long = numbers(printed[1])
    error = (0.25 / 1000) ** 0.5  # of a score over 1,000 votes, at most
    assert short + 4 * error < middle and middle + 4 * error < long


def test_the_numbers_of_the_exercises_on_paper():
    table = experiments.water_filling([16, 8, 4, 2, 1.5], [3, 10]).drop_duplicates("beta").set_index("beta")
    assert table.loc[3.0, "kept"] == 3 and table.loc[10.0, "kept"] == 1
    paths = experiments.posterior_paths([0.9, 0.8], [1.0], beta=4.0, decoder_variance=0.5)
    assert {w: bool(w**2 / 0.5 < 4 / 3) for w in (0.9, 0.8)} == {0.9: False, 0.8: True}
    assert (paths[paths["strength"] == 0.9]["needed"] < 0).all() and (
        paths[paths["strength"] == 0.8]["needed"] > 0
    ).all()
