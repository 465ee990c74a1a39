"""Every step of coordinate ascent: the script's bound by its definition, the package's and the
script's trajectories side by side.
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

from elbo import live
from elbo.live import engine
from elbo.live.figures.cavi import DATA, MOST, trajectory

ID = "blei-2017-live-cavi"


def by_hand(left, right, steps):
    """Algorithm 2 of Blei et al. with explicit responsibilities, and its bound as the sum of all its expectations."""
    x, m, v = np.array(DATA)[:, None], np.array([left, right]), np.full(2, 1 / (1 / 25 + len(DATA) / 2))
    for step in range(steps + 1):
        log_r = m * x - 0.5 * (v + m**2)
        r = np.exp(log_r - log_r.max(1, keepdims=True))
        r /= r.sum(1, keepdims=True)
        likelihood = norm.logpdf(x, m, 1) - 0.5 * v
        entropy = 0.5 * np.log(2 * np.pi * np.e * v)
        prior = norm.logpdf(m, 0, 5) - 0.5 * v / 25
        safe = np.where(r > 0, r, 1)
        bound = (r * (likelihood - np.log(2) - np.log(safe))).sum() + (prior + entropy).sum()
        if step == steps:
            return bound, m
        v = 1 / (1 / 25 + r.sum(0))
        m = v * (r * x).sum(0)


@pytest.mark.parametrize("start", [(-1.0, 5.25), (-4.0, 0.25), (-7.0, 7.25), (0.0, 0.25), (8.0, -7.75)])
def test_every_step_is_the_packages(start):
    figure = live.figure(ID)
    path = trajectory(*start)
    for step in range(MOST + 1):
        found = engine.terms(figure, {"left": start[0], "right": start[1], "step": step})
        bound, means = by_hand(*start, step)
        assert found["elbo"] == pytest.approx(path[step][0], abs=1e-9)
        assert found["elbo"] == pytest.approx(bound, abs=1e-9)
        assert (found["first"], found["second"]) == pytest.approx(tuple(path[step][1]), abs=1e-9)
        assert (found["first"], found["second"]) == pytest.approx(tuple(means), abs=1e-9)
    bounds = [one[0] for one in path]
    assert all(after >= before - 1e-9 for before, after in zip(bounds, bounds[1:], strict=False))


def test_there_are_two_optima_to_find():
    figure = live.figure(ID)
    starts = [(a / 2, b / 2 + 0.25) for a in range(-16, 17, 3) for b in range(-16, 17, 3)]
    ends = {round(engine.terms(figure, {"left": a, "right": b, "step": 0})["end"], 2) for a, b in starts}
    reached = {round(trajectory(*start)[-1][0], 2) for start in ((-1.0, 5.25), (-4.0, 0.25))}
    assert len(reached) == 2 and reached <= ends
    assert max(ends) == max(reached)
