"""Both directions of KL by adaptive quadrature, their optima by scipy's minimiser, the factorised
variance by Rényi's closed form.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.integrate import quad
from scipy.optimize import minimize, minimize_scalar
from scipy.stats import norm

from elbo import live
from elbo.densities import gaussian_renyi
from elbo.live import engine
from elbo.live.figures import two_kl

ID = "blei-2017-live-two-kl"


def log_p(z, separation):
    return np.logaddexp(
        np.log(0.6) + norm.logpdf(z, -separation / 2, 0.6), np.log(0.4) + norm.logpdf(z, separation / 2, 0.6)
    )


def integral(f, mean, sd):
    knots = np.linspace(mean - 12 * sd, mean + 12 * sd, 49)
    return sum(quad(f, a, b, epsabs=1e-14, epsrel=1e-13, limit=200)[0] for a, b in zip(knots, knots[1:], strict=False))


def exclusive(mean, sd, separation):
    return integral(lambda z: norm.pdf(z, mean, sd) * (norm.logpdf(z, mean, sd) - log_p(z, separation)), mean, sd)


@pytest.mark.parametrize("mean, sd, separation", [(-2, 0.6, 4), (4, 0.2, 6), (0, 3, 6), (-4, 3, 0), (1, 1, 2.5)])
def test_both_directions_are_their_integrals(mean, sd, separation):
    inclusive = sum(
        weight
        * integral(
            lambda z, c=centre: norm.pdf(z, c, 0.6) * (log_p(z, separation) - norm.logpdf(z, mean, sd)), centre, 0.6
        )
        for weight, centre in ((0.6, -separation / 2), (0.4, separation / 2))
    )
    figure = live.figure(ID)
    state = figure.clean({"mean": mean, "sd": sd, "separation": separation})
    for route in (figure.terms(**state), engine.terms(figure, state)):
        assert route["exclusive"] == pytest.approx(exclusive(mean, sd, separation), abs=1e-10)
        assert route["inclusive"] == pytest.approx(inclusive, abs=1e-10)


@pytest.mark.parametrize("separation", [0.0, 1.5, 2.4, 3.0, 4.0, 6.0])
def test_the_optima_are_optima(separation):
    figure = live.figure(ID)
    found = engine.terms(figure, figure.clean({"separation": separation}))
    other = min(
        (
            minimize(
                lambda v: two_kl.divergences(v[0], np.exp(v[1]), separation)[0], [start, np.log(0.6)], method="BFGS"
            )
            for start in (-separation / 2, separation / 2)
        ),
        key=lambda one: one.fun,
    )
    assert found["best_exclusive"] == pytest.approx(other.fun, abs=1e-8)
    assert (found["seek_mean"], found["seek_sd"]) == pytest.approx((other.x[0], np.exp(other.x[1])), abs=1e-4)
    around = [
        two_kl.divergences(found["cover_mean"] + a, found["cover_sd"] + b, separation)[1]
        for a, b in ((0.01, 0), (-0.01, 0), (0, 0.01), (0, -0.01))
    ]
    assert found["best_inclusive"] < min(around)


def test_without_a_distance_the_optima_are_one():
    found = engine.terms(live.figure(ID), live.figure(ID).clean({"separation": 0}))
    assert found["seek_sd"] == pytest.approx(0.6, abs=1e-10) and found["cover_sd"] == pytest.approx(0.6, abs=1e-12)
    assert found["best_exclusive"] == pytest.approx(0, abs=1e-10)


@pytest.mark.parametrize("rho", [0.0, 0.5, 0.9, 0.98])
@pytest.mark.parametrize("alpha", [0.02, 0.5, 0.8, 1.0])
def test_the_factorised_variance_minimises_the_divergence(rho, alpha):
    eigen = torch.tensor([1 + rho, 1 - rho], dtype=torch.float64).log()
    zero = torch.zeros(2)

    def divergence(log_v):
        return gaussian_renyi(zero, torch.tensor([log_v, log_v], dtype=torch.float64), zero, eigen, alpha).item()

    best = minimize_scalar(divergence, bounds=(-8, 2), method="bounded", options={"xatol": 1e-10})
    found = engine.terms(live.figure(ID), live.figure(ID).clean({"tab": 1, "rho": rho, "a": 1 - alpha}))
    assert found["least"] == pytest.approx(best.fun, abs=1e-9)
    assert found["variance"] == pytest.approx(np.exp(best.x), rel=1e-4)
    if alpha == 1:
        assert found["variance"] == pytest.approx(1 - rho**2, abs=1e-12)
