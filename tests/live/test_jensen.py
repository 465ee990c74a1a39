"""The bound for k draws by summing over all ordered draws, and its known properties."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from elbo import live
from elbo.live import engine

ID = "blei-2017-live-jensen"
SHAPE = np.array([-1.4, -0.7, 0.0, 0.7, 1.4])


@pytest.mark.parametrize(
    "spread, skew, k", [(1.2, 0.0, 4), (2.4, 0.6, 3), (2.4, -0.6, 5), (0.0, 0.0, 2), (0.6, 0.3, 1)]
)
def test_the_bound_is_its_sum(spread, skew, k):
    w = np.exp(spread * (SHAPE + skew * (SHAPE**2 - (SHAPE**2).mean())))
    w /= w.mean()
    exact = np.mean([np.log(np.mean(drawn)) for drawn in itertools.product(w, repeat=k)])
    figure = live.figure(ID)
    state = figure.clean({"spread": spread, "skew": skew, "k": k})
    for route in (figure.terms(**state), engine.terms(figure, state)):
        assert route["bound"] == pytest.approx(exact, abs=1e-10)
        assert route["one"] == pytest.approx(np.log(w).mean(), abs=1e-12)
        assert route["log_mean"] == pytest.approx(0, abs=1e-12)


def test_it_rises_with_k_and_never_passes_the_evidence():
    figure = live.figure(ID)
    bounds = [engine.terms(figure, {"spread": 2.4, "skew": 0.3, "k": k})["bound"] for k in range(1, 9)]
    assert bounds == sorted(bounds) and bounds[-1] < 0
