"""The scores on the screen are those of the reference table, read here without pandas or the package."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from elbo import live
from elbo.live import engine
from elbo.live.figures.vote import KEYS, NAMES, STOPS

ID = "higgins-2017-live-vote"
TABLE = Path(__file__).resolve().parents[2] / "data" / "reference" / "higgins-2017" / "classifier-steps.csv"


@pytest.fixture(scope="module")
def table():
    with open(TABLE, encoding="utf-8") as file:
        return {
            (row["representation"], int(row["seed"]), int(row["steps"])): float(row["score"])
            for row in csv.DictReader(file)
        }


def test_every_score_is_in_the_table(table):
    assert len(table) == len(NAMES) * 3 * len(STOPS)
    for seed in range(3):
        for steps in STOPS:
            found = engine.terms(live.figure(ID), {"steps": steps, "seed": seed})
            for key, name in zip(KEYS, NAMES, strict=True):
                assert found[key] == pytest.approx(100 * table[name, seed, steps], abs=1e-9)


def test_the_order_hangs_on_where_the_classifier_stops(table):
    ahead = {
        (steps, seed): table["PCA", seed, steps] > table["VAE (beta = 1)", seed, steps]
        for steps in STOPS
        for seed in range(3)
    }
    figure = live.figure(ID)
    for (steps, seed), first in ahead.items():
        level = table["PCA", seed, steps] == table["VAE (beta = 1)", seed, steps]
        words = "level with" if level else "ahead of" if first else "behind"
        assert figure.terms(steps=steps, seed=seed)["words"] == f"PCA is {words} the VAE"
    assert all(ahead[300, seed] for seed in range(3)) and not any(ahead[0, seed] for seed in range(3))


def test_the_end_has_a_name():
    assert live.say(ID, steps=0, seed=1).startswith("Stopped at its end: ")
    assert live.say(ID, steps=30_000).startswith("Stopped after 30,000 steps: ")
