"""Both gradient estimators by automatic differentiation on the shipped bytes; the exact gradient by quadrature."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.integrate import quad
from scipy.stats import norm

from elbo import live
from elbo.live import engine, noise

ID = "kingma-welling-2013-live-gradients"
STATES = [(1.0, 0.5, 0), (-2.0, 2.0, 1), (0.3, 0.1, 2), (0.0, 1.0, 3)]


@pytest.mark.parametrize("mean, sd, case", STATES)
def test_estimators_by_automatic_differentiation(mean, sd, case):
    eps = noise.noise()
    f = torch.square if case < 2 else lambda z: torch.cos(3 * z)
    m = torch.full_like(eps, mean, requires_grad=True)
    (path,) = torch.autograd.grad(f(m + sd * eps).sum(), m)
    z = mean + sd * eps
    values = f(z)
    baseline = (values.sum() - values) / (len(eps) - 1) if case % 2 else 0.0
    log_q = torch.distributions.Normal(m, sd).log_prob(z)
    (score,) = torch.autograd.grad(((values - baseline) * log_q).sum(), m)
    found = engine.terms(live.figure(ID), live.figure(ID).clean({"mean": mean, "sd": sd, "case": case}))
    for name, drawn in (("score", score.numpy()), ("path", path.numpy())):
        assert found[name] == pytest.approx(drawn.mean(), abs=1e-9)
        assert found[f"{name}_se"] == pytest.approx(drawn.std(ddof=1) / np.sqrt(len(drawn)), rel=1e-9)
        assert abs(found[name] - found["exact"]) < 4 * found[f"{name}_se"] + 1e-12
    g = (lambda z: z * z) if case < 2 else (lambda z: np.cos(3 * z))
    exact = quad(
        lambda z: norm.pdf(z, mean, sd) * (z - mean) / sd**2 * g(z), mean - 12 * sd, mean + 12 * sd, limit=400
    )[0]
    assert found["exact"] == pytest.approx(exact, abs=1e-9)


def test_the_noise_is_that_of_its_seed():
    assert noise.PAYLOAD.read_text(encoding="utf-8") == noise.text()
    drawn = noise.noise()
    assert len(drawn) == noise.COUNT and abs(drawn.mean()) < 4 / noise.COUNT**0.5


def test_a_baseline_helps_where_f_is_far_from_zero():
    figure = live.figure(ID)
    plain, with_baseline = (engine.terms(figure, {"mean": 2, "sd": 0.2, "case": case}) for case in (0, 1))
    assert with_baseline["score_se"] < 0.5 * plain["score_se"]
    assert with_baseline["path_se"] == plain["path_se"]
