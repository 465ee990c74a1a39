"""Bayesian linear regression: both closed forms against function space, quadrature of the identity, and scipy."""

import math

import pytest
import torch
from scipy import stats

from elbo.densities import mvn_kl, mvn_log_prob
from elbo.models.regression import ConjugateRegression, LinearRegression


def _data(n=7, dim=3, seed=0):
    g = torch.Generator().manual_seed(seed)
    model = LinearRegression(prior_sd=1.3, noise_sd=0.4)
    design = torch.randn(n, dim, generator=g, dtype=torch.float64)
    weights, target = model.sample(design, g)
    return model, design, target, weights


@pytest.mark.parametrize("n, dim", [(7, 3), (3, 7), (1, 1)])
def test_evidence_is_the_function_space_gaussian(n, dim):
    model, design, target, _ = _data(n, dim)
    cov = model.noise_sd**2 * torch.eye(n).double() + model.prior_sd**2 * design @ design.T
    expected = mvn_log_prob(target, torch.zeros_like(target), cov)
    torch.testing.assert_close(model.log_evidence(design, target), expected, rtol=1e-12, atol=1e-12)


def test_posterior_is_joint_over_evidence_everywhere():
    model, design, target, _ = _data()
    mean, cov = model.posterior(design, target)
    weights = torch.randn(5, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    bayes = model.log_joint(design, target, weights) - model.log_evidence(design, target)
    torch.testing.assert_close(mvn_log_prob(weights, mean, cov), bayes, rtol=1e-11, atol=1e-11)


def test_evidence_is_bound_plus_divergence():
    model, design, target, _ = _data()
    g = torch.Generator().manual_seed(2)
    root = torch.randn(4, 3, 3, generator=g, dtype=torch.float64)
    mean, cov = torch.randn(4, 3, generator=g, dtype=torch.float64), root @ root.mT + 0.1 * torch.eye(3).double()
    exact_mean, exact_cov = model.posterior(design, target)
    gap = mvn_kl(mean, cov, exact_mean, exact_cov)
    bound = model.elbo(design, target, mean, cov)
    assert (gap > 0.1).all()
    torch.testing.assert_close(bound + gap, model.log_evidence(design, target).expand(4), rtol=1e-11, atol=1e-11)


def test_elbo_of_regression_is_an_expectation():
    model, design, target, _ = _data()
    mean, cov = model.posterior(design, target)
    mean, cov = mean + 0.3, 2 * cov
    noise = torch.randn(200_000, 3, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    draws = mean + noise @ torch.linalg.cholesky(cov).T
    terms = model.log_joint(design, target, draws) - mvn_log_prob(draws, mean, cov)
    error = terms.std() / math.sqrt(len(terms))
    assert (terms.mean() - model.elbo(design, target, mean, cov)).abs() < 4 * error


def test_predictive_is_a_ratio_of_evidences():
    model, design, target, _ = _data()
    both = model.log_evidence(design, target) - model.log_evidence(design[:-1], target[:-1])
    given = model.log_predictive(design[:-1], target[:-1], design[-1:], target[-1:])
    torch.testing.assert_close(given[0], both, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("n, dim", [(7, 3), (2, 4)])
def test_conjugate_evidence_is_a_student_t(n, dim):
    _, design, target, _ = _data(n, dim)
    model = ConjugateRegression(prior_sd=1.7, shape=2.5, rate=0.8)
    scale = (torch.eye(n).double() + model.prior_sd**2 * design @ design.T) * model.rate / model.shape
    expected = stats.multivariate_t(torch.zeros(n).numpy(), scale.numpy(), df=2 * model.shape).logpdf(target.numpy())
    assert model.log_evidence(design, target).item() == pytest.approx(expected, rel=1e-11)


def test_conjugate_posterior_is_joint_over_evidence():
    _, design, target, weights = _data()
    model = ConjugateRegression(prior_sd=1.7, shape=2.5, rate=0.8)

    def log_normal_gamma(w, tau, mean, precision, shape, rate):
        gamma = stats.gamma(shape, scale=1 / rate).logpdf(tau)
        return gamma + stats.multivariate_normal(mean, torch.linalg.inv(precision * tau).numpy()).logpdf(w)

    q = model.posterior(design, target)
    for tau in (0.3, 2.0):
        prior = log_normal_gamma(weights, tau, torch.zeros(3), torch.eye(3).double() / model.prior_sd**2, 2.5, 0.8)
        likelihood = stats.norm(design @ weights, tau**-0.5).logpdf(target).sum()
        expected = prior + likelihood - model.log_evidence(design, target).item()
        assert log_normal_gamma(weights, tau, q.mean, q.precision, q.shape, q.rate) == pytest.approx(
            expected, rel=1e-10
        )


def test_collinear_and_constant_columns_stay_finite():
    model, design, target, _ = _data()
    singular = torch.cat([design, design[:, :1], torch.zeros(7, 1).double()], 1)
    mean, cov = model.posterior(singular, target)
    assert torch.isfinite(cov).all() and mean[0] == pytest.approx(mean[3].item(), rel=1e-9)
    assert cov[4, 4].item() == pytest.approx(model.prior_sd**2)  # a column that says nothing leaves the prior


@pytest.mark.parametrize("bad", ["nan", "shape", "sd"])
def test_bad_regression_input_says_what_to_do(bad):
    model, design, target, _ = _data()
    with pytest.raises(ValueError, match={"nan": "NaN", "shape": r"\(7, 3\)", "sd": "noise_sd must be positive"}[bad]):
        if bad == "nan":
            model.posterior(design, torch.full_like(target, math.nan))
        elif bad == "shape":
            model.posterior(design, target[:-1])
        else:
            LinearRegression(noise_sd=0.0)
