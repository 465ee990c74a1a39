"""The four cuts by a third route: every term by adaptive quadrature of its definition."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import norm

from elbo import live
from elbo.live import engine

DATA, NOISE = (-1.8, -0.6, 0.6, 1.8), 0.5


def expectation(f, mean, sd):
    return quad(lambda z: norm.pdf(z, mean, sd) * f(z), mean - 12 * sd, mean + 12 * sd, epsabs=1e-13, limit=400)[0]


@pytest.mark.parametrize("mean, sd", list(itertools.product((0.0, 0.5, 1.2, 2.4), (0.1, 0.4, 1.2))))
def test_each_term_is_its_integral(mean, sd):
    codes = [mean * x / 1.8 for x in DATA]
    exact = [(x / (1 + NOISE), np.sqrt(NOISE / (1 + NOISE))) for x in DATA]
    log_q = lambda z: np.log(np.mean([norm.pdf(z, m, sd) for m in codes]) + 1e-320)  # noqa: E731
    average = lambda f: np.mean([expectation(f(x, m, e), m, sd) for x, m, e in zip(DATA, codes, exact)])  # noqa: E731
    wanted = {
        "evidence": np.mean(norm.logpdf(DATA, 0, np.sqrt(1 + NOISE))),
        "posterior_kl": average(lambda x, m, e: lambda z: norm.logpdf(z, m, sd) - norm.logpdf(z, *e)),
        "energy": average(lambda x, m, e: lambda z: -norm.logpdf(x, z, np.sqrt(NOISE)) - norm.logpdf(z)),
        "entropy": average(lambda x, m, e: lambda z: -norm.logpdf(z, m, sd)),
        "reconstruction": average(lambda x, m, e: lambda z: norm.logpdf(x, z, np.sqrt(NOISE))),
        "prior_kl": average(lambda x, m, e: lambda z: norm.logpdf(z, m, sd) - norm.logpdf(z)),
        "information": average(lambda x, m, e: lambda z: norm.logpdf(z, m, sd) - log_q(z)),
        "marginal_kl": average(lambda x, m, e: lambda z: log_q(z) - norm.logpdf(z)),
    }
    figure = live.figure("elbo-four-cuts")
    state = figure.clean({"mean": mean, "sd": sd})
    for route in (figure.terms(**state), engine.terms(figure, state)):
        for name, value in wanted.items():
            assert route[name] == pytest.approx(value, abs=1e-9), name
        for pieces in (
            (1, "evidence", -1, "posterior_kl"),
            (-1, "energy", 1, "entropy"),
            (1, "reconstruction", -1, "prior_kl"),
        ):
            assert pieces[0] * route[pieces[1]] + pieces[2] * route[pieces[3]] == pytest.approx(route["elbo"], abs=1e-9)


def test_information_stops_at_log_n():
    assert engine.terms(live.figure("elbo-four-cuts"), {"mean": 2.4, "sd": 0.1, "cut": 3})[
        "information"
    ] == pytest.approx(np.log(4), abs=1e-9)
