"""The scores on the screen are those of the committed tables."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from elbo import live
from elbo.live import engine
from elbo.live.figures.vote import KEYS, NAMES

ID = "higgins-2017-live-vote"
TABLES = Path(__file__).resolve().parents[2] / "data" / "reference" / "higgins-2017"


@pytest.mark.parametrize("classifier", [0, 1])
def test_every_score_is_in_the_table(classifier):
    networks, baselines = pd.read_csv(TABLES / "scores.csv"), pd.read_csv(TABLES / "baselines.csv")
    for network in range(3):
        for draw in range(3):
            rule = ("softmax", "adagrad")[classifier]
            found = engine.terms(live.figure(ID), {"classifier": classifier, "network": network, "draw": draw})
            for key, name in zip(KEYS, NAMES, strict=True):
                of_network = name in set(networks.representation)
                table, seed, sample = (networks, network, draw) if of_network else (baselines, draw, 0)
                mask = (table.representation == name) & (table.classifier == rule)
                row = table[mask & (table.seed == seed) & (table.draw == sample)]
                assert len(row) == 1
                assert found[key] == pytest.approx(100 * row.score.item(), abs=1e-9)


def test_the_order_hangs_on_the_classifier():
    figure = live.figure(ID)
    said = {
        (classifier, network): figure.terms(classifier=classifier, network=network, draw=0)["words"]
        for classifier in (0, 1)
        for network in range(3)
    }
    assert len(set(said.values())) == 2
