"""Both gaps by quadrature: each is a difference of divergences from the exact posterior."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.optimize import minimize
from scipy.stats import norm

from elbo import live
from elbo.live import engine
from elbo.live.figures import amortisation

ID = "kingma-welling-2013-live-amortisation"
SD = np.sqrt(amortisation.NOISE)


def log_joint(x, z):
    return norm.logpdf(x, np.exp(z), SD) + norm.logpdf(z)


def posterior_kl(x, log_evidence, mean, sd):
    span = np.linspace(mean - 12 * sd, mean + 12 * sd, 25)
    f = lambda z: norm.pdf(z, mean, sd) * (norm.logpdf(z, mean, sd) - log_joint(x, z) + log_evidence)  # noqa: E731
    return sum(quad(f, a, b, epsabs=1e-13, limit=200)[0] for a, b in zip(span, span[1:], strict=False))


@pytest.mark.parametrize("x", [-1.0, 0.0, 0.7, 1.5, 3.0, 5.0])
def test_gaps_are_divergences(x):
    pieces = np.linspace(-9, 4, 53)
    evidence = np.log(
        sum(
            quad(lambda z: np.exp(log_joint(x, z)), a, b, epsabs=1e-15, limit=200)[0]
            for a, b in zip(pieces, pieces[1:], strict=False)
        )
    )
    found = engine.terms(live.figure(ID), {"x": x})
    assert found["evidence"] == pytest.approx(evidence, abs=1e-9)
    best = minimize(lambda v: -amortisation.bound(x, v[0], np.exp(v[1])), [np.log(max(x, 0.3)), -1], method="BFGS").x
    assert found["approximation"] == pytest.approx(posterior_kl(x, evidence, best[0], np.exp(best[1])), abs=1e-8)
    own = posterior_kl(x, evidence, *amortisation.encoder(x))
    assert found["approximation"] + found["amortisation"] == pytest.approx(own, abs=1e-8)
    assert found["approximation"] > 0 and found["amortisation"] >= 0


def test_the_encoder_is_the_best_of_its_kind():
    assert amortisation.fit_encoder() == pytest.approx(amortisation.ENCODER, abs=1e-3)


def test_the_bound_is_its_expectation():
    mean, sd, x = 0.4, 0.3, 1.2
    f = lambda z: norm.pdf(z, mean, sd) * (log_joint(x, z) - norm.logpdf(z, mean, sd))  # noqa: E731
    assert amortisation.bound(x, mean, sd) == pytest.approx(
        quad(f, mean - 4, mean + 4, epsabs=1e-13, limit=400)[0], abs=1e-10
    )
