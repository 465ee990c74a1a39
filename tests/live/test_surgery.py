"""Codes on a line by a third route: information and marginal KL by adaptive quadrature, each for itself."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.integrate import quad
from scipy.special import logsumexp
from scipy.stats import norm

from elbo import live
from elbo.estimators import surgery
from elbo.live import engine
from elbo.live.figures.surgery import codes

ID = "hoffman-johnson-2016-live-surgery"
STATES = [(0.02, 1.0, 4), (0.08, 1.0, 16), (0.3, 2.0, 16), (1.5, 0.0, 4), (0.2, 1.4, 64), (0.1, 0.05, 64)]


@pytest.mark.parametrize("sd, spread, n", STATES)
def test_each_term_is_its_integral(sd, spread, n):
    means = codes(spread, n)
    log_q = lambda z: logsumexp(norm.logpdf(z, means, sd)) - np.log(n)  # noqa: E731
    knots = lambda m: [m + k * sd for k in range(-8, 9, 2)]  # noqa: E731

    def average(f):
        return np.mean(
            [
                quad(lambda z, m=m: norm.pdf(z, m, sd) * f(z, m), m - 10 * sd, m + 10 * sd, points=knots(m), limit=400)[
                    0
                ]
                for m in means[: n // 2]
            ]
        )  # the other half of the codes mirrors this one

    wanted = {
        "average_kl": average(lambda z, m: norm.logpdf(z, m, sd) - norm.logpdf(z)),
        "information": average(lambda z, m: norm.logpdf(z, m, sd) - log_q(z)),
        "marginal_kl": average(lambda z, m: log_q(z) - norm.logpdf(z)),
    }
    figure = live.figure(ID)
    state = {"sd": sd, "spread": spread, "n": n}
    for route in (figure.terms(**state), engine.terms(figure, state)):
        for name, value in wanted.items():
            assert route[name] == pytest.approx(value, abs=1e-9), name


def test_drawn_codes_agree_within_their_error():
    means = torch.tensor(codes(1.0, 16)).unsqueeze(-1)
    log_var = torch.full_like(means, 2 * np.log(0.08))
    drawn = surgery(means, log_var, generator=torch.Generator().manual_seed(3), codes=40_000)
    found = live.figure(ID).terms(sd=0.08, spread=1.0, n=16)
    for name in ("mutual_information", "marginal_kl"):
        one = getattr(drawn, name)
        exact = found["information" if name == "mutual_information" else name]
        assert abs(one - exact) < 4 * one.standard_error + 1e-6


@pytest.mark.parametrize("n", [4, 16, 64])
def test_information_is_bounded_and_reaches_its_bound(n):
    figure = live.figure(ID)
    found = [engine.terms(figure, {"sd": sd, "spread": 2.0, "n": n})["information"] for sd in (1.5, 0.3, 0.02)]
    assert found == sorted(found) and found[-1] <= np.log(n) + 1e-12
    assert found[-1] == pytest.approx(np.log(n), abs=0.05 if n < 64 else 0.2)  # 64 codes still touch
