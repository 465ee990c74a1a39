"""Tempering against another prior: the maximiser of the beta-ELBO by scipy, the posterior by quadrature."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.optimize import minimize
from scipy.stats import norm

from elbo import live
from elbo.live import engine

ID = "higgins-2017-live-beta"
STATES = [(0.25, 0.0156, 0.3), (4.0, 0.25, 1.0), (16.0, 16.0, 2.5), (1.0, 1.0, 1.0), (2.828, 0.5, 0.3)]


def moments(log_density):
    z = np.linspace(-40, 40, 400_001)
    weight = np.exp(log_density(z) - log_density(z).max())
    weight /= weight.sum()
    mean = weight @ z
    return mean, np.sqrt(weight @ (z - mean) ** 2)


@pytest.mark.parametrize("beta, t, w", STATES)
def test_both_posteriors_by_other_routes(beta, t, w):
    figure = live.figure(ID)
    state = figure.clean({"beta": beta, "t": t, "w": w})
    star = moments(lambda z: norm.logpdf(z) + norm.logpdf(2.0, w * z) / beta)
    dot = moments(lambda z: norm.logpdf(z, 0, np.sqrt(state["t"])) + norm.logpdf(2.0, w * z))
    log_ratio = lambda z: norm.logpdf(z, *dot) - norm.logpdf(z, *star)  # noqa: E731
    span = (dot[0] - 12 * dot[1], dot[0] + 12 * dot[1])
    away = quad(lambda z: norm.pdf(z, *dot) * log_ratio(z), *span, epsabs=1e-13)[0]
    for route in (figure.terms(**state), engine.terms(figure, state)):
        assert (route["mean"], route["sd"]) == pytest.approx(star, abs=1e-9)
        assert (route["mean_t"], route["sd_t"]) == pytest.approx(dot, abs=1e-9)
        assert route["distance"] == pytest.approx(away, abs=1e-9)
        assert route["least"] <= route["distance"] + 1e-12


@pytest.mark.parametrize("beta", [0.5, 4.0])
def test_the_star_maximises_the_beta_elbo(beta):
    def loss(v):
        mean, sd = v[0], np.exp(v[1])
        return 0.5 * ((2.0 - mean) ** 2 + sd**2) + beta * 0.5 * (mean**2 + sd**2 - 1 - 2 * v[1])

    found = minimize(loss, [0, 0], method="BFGS", tol=1e-12).x
    star = engine.terms(live.figure(ID), live.figure(ID).clean({"beta": beta, "w": 1}))
    assert (star["mean"], star["sd"]) == pytest.approx((found[0], np.exp(found[1])), abs=1e-6)


@pytest.mark.parametrize("beta, w", [(2.0, 1.0), (4.0, 1.0), (16.0, 0.5)])
def test_a_prior_of_the_right_variance_is_off_by_the_factor_beta(beta, w):
    assert engine.terms(live.figure(ID), {"beta": beta, "t": 1, "w": w})["off"] == pytest.approx(beta, abs=1e-9)
