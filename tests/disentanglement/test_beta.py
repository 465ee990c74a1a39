"""What beta is, on the linear-Gaussian twin: a decoder variance multiplied by beta, and no prior variance whatever."""

import math

import pytest
import torch

from elbo.models import linear_gaussian as lg

X_DIM, LATENT_DIM = 5, 3


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def model():
    return lg.random_model(X_DIM, LATENT_DIM, rng(3))


@pytest.fixture
def x(model):
    return lg.sample(model, 4, rng(4))[0]


def with_prior_variance(model, variance):
    """The same decoder under z ~ N(0, variance I), as a model with a standard prior: its code is z / sqrt(variance)."""
    return model._replace(weight=model.weight * math.sqrt(variance))


def posterior_with_prior_variance(model, x, variance):
    mean, cov = lg.posterior(with_prior_variance(model, variance), x)
    return mean * math.sqrt(variance), cov * variance


def scalar_twin():
    """One dimension, w = 1.3, decoder variance 1/2: the counterexample's numbers."""
    one = torch.ones(1, dtype=torch.float64)
    return lg.LinearGaussian(1.3 * one[:, None], 0 * one, (0.5 * one).log())


# What beta is


@pytest.mark.parametrize("beta", [0.3, 1.0, 4.0, 20.0])
def test_ascending_the_beta_elbo_ends_at_the_posterior_of_a_noisier_decoder(model, x, beta):
    """L-BFGS on mean and Cholesky factor knows nothing of tempering: it only sees the beta-ELBO."""
    datum = x[0]
    size = LATENT_DIM
    tril = torch.tril_indices(size, size)

    def loss(free):
        root = torch.zeros(size, size, dtype=torch.float64).index_put((tril[0], tril[1]), free[size:])
        mean, cov = free[:size], root @ root.mT
        return beta * lg.prior_kl(mean, cov) - lg.expected_log_likelihood(model, datum, mean, cov)

    free = torch.cat([torch.zeros(size), torch.eye(size)[tril[0], tril[1]]]).double().requires_grad_()
    settings = {"max_iter": 500, "tolerance_grad": 1e-12, "tolerance_change": 0, "line_search_fn": "strong_wolfe"}
    optimiser = torch.optim.LBFGS([free], **settings)

    def closure():
        optimiser.zero_grad()
        value = loss(free)
        value.backward()
        return value

    optimiser.step(closure)
    found = free.detach()
    root = torch.zeros(size, size, dtype=torch.float64).index_put((tril[0], tril[1]), found[size:])
    noisier = model._replace(log_var=(beta * model.log_var.exp()).log())
    mean, cov = lg.posterior(noisier, datum)
    torch.testing.assert_close(found[:size], mean, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(root @ root.mT, cov, rtol=1e-5, atol=1e-6)


@pytest.mark.equation("eq-higgins-2017-optimum")
def test_tempered_posterior_by_quadrature():
    """q* is p(z) p(x|z)^(1/beta), normalised: on a grid, without any Gaussian formula for the posterior."""
    model, beta, x = scalar_twin(), 4.0, torch.tensor([0.7], dtype=torch.float64)
    z = torch.linspace(-12, 12, 20001, dtype=torch.float64)
    log_q = -0.5 * z.square() + lg.log_likelihood(model, x, z[:, None]) / beta
    q = torch.exp(log_q - log_q.max())
    q = q / torch.trapezoid(q, z)
    mean = torch.trapezoid(q * z, z)
    variance = torch.trapezoid(q * (z - mean).square(), z)
    exact_mean, exact_cov = lg.posterior(lg.temper(model, beta), x)
    torch.testing.assert_close(mean, exact_mean[0], rtol=1e-9, atol=0)
    torch.testing.assert_close(variance, exact_cov[0, 0], rtol=1e-9, atol=0)
    assert abs(variance.item() - 1 / (1 + 1.3**2 / (4 * 0.5))) < 1e-9  # 0.542


def test_the_beta_elbo_is_beta_times_the_elbo_of_the_noisier_decoder_but_for_a_constant(model, x):
    """They differ by a number without q in it: half the sum of beta log beta + (beta - 1) log(2 pi psi)."""
    beta = 4.0
    noisier = lg.temper(model, beta)
    root = torch.randn(7, 1, LATENT_DIM, LATENT_DIM, generator=rng(8), dtype=torch.float64)
    mean = torch.randn(7, 4, LATENT_DIM, generator=rng(9), dtype=torch.float64)
    cov = root @ root.mT + 0.1 * torch.eye(LATENT_DIM, dtype=torch.float64)
    objective = lg.expected_log_likelihood(model, x, mean, cov) - beta * lg.prior_kl(mean, cov)
    difference = objective - beta * lg.elbo(noisier, x, mean, cov)
    constant = 0.5 * (beta * math.log(beta) + (beta - 1) * (math.log(2 * math.pi) + model.log_var)).sum()
    torch.testing.assert_close(difference, constant.expand(7, 4), rtol=1e-10, atol=1e-9)


# What beta is not


def test_prior_variance_is_absorbed_by_the_decoder(model, x):
    """N(0, t I) with weights W gives the data the same distribution as N(0, I) with weights sqrt(t) W."""
    variance = 2.7
    wide_mean = model.weight @ (variance * torch.eye(LATENT_DIM, dtype=torch.float64)) @ model.weight.mT
    wide = torch.distributions.MultivariateNormal(model.mean, wide_mean + torch.diag(model.log_var.exp()))
    absorbed = lg.log_evidence(with_prior_variance(model, variance), x)
    torch.testing.assert_close(wide.log_prob(x), absorbed, rtol=1e-10, atol=0)
    # beta is not absorbed: whatever the weights, its evidence is that of noisier data
    tempered = lg.temper(model, 4.0)
    noise = lg.marginal(tempered)[1] - tempered.weight @ tempered.weight.mT
    torch.testing.assert_close(noise, torch.diag(4 * model.log_var.exp()), rtol=1e-12, atol=1e-12)


def test_the_counterexample_needs_a_negative_prior_variance():
    """beta = 4, w = 1.3, decoder variance 1/2: precision 1.845; the likelihood as it is brings 3.38."""
    model, beta = scalar_twin(), 4.0
    _, cov = lg.posterior(lg.temper(model, beta), torch.zeros(1, dtype=torch.float64))
    information = 1.3**2 / 0.5
    needed = 1 / (1 / cov.item() - information)
    assert abs(1 / cov.item() - 1.845) < 1e-12
    assert abs(needed - -1 / 1.535) < 1e-12  # -0.6515
    origin, variances = torch.zeros(1, dtype=torch.float64), torch.logspace(-6, 9, 400, dtype=torch.float64).tolist()
    widest = max(posterior_with_prior_variance(model, origin, variance)[1].item() for variance in variances)
    assert widest < 1 / information < 0.3 < 0.5 < cov.item()


@pytest.mark.parametrize("strength", [1.3, 0.5])
@pytest.mark.parametrize("beta", [0.5, 4.0])
def test_no_prior_variance_imitates_beta(strength, beta):
    """Also where the variance alone could be imitated (w = 0.5): then the mean is wrong, by the factor beta."""
    model = scalar_twin()
    model = model._replace(weight=model.weight * strength / 1.3)
    x = torch.tensor([1.5], dtype=torch.float64)
    mean, cov = lg.posterior(lg.temper(model, beta), x)
    gaps = []
    for variance in torch.logspace(-4, 6, 2001, dtype=torch.float64).tolist():
        other_mean, other_cov = posterior_with_prior_variance(model, x, variance)
        gaps.append(lg.mvn_kl(other_mean, other_cov, mean, cov).item())
    assert min(gaps) > 0.01  # nats; the next test says that the same search finds zero where it should
    precision = 1 / cov.item() - strength**2 / 0.5
    assert (precision > 0) == (strength**2 / 0.5 * (1 - 1 / beta) < 1)
    if precision > 0:
        other_mean, other_cov = posterior_with_prior_variance(model, x, 1 / precision)
        torch.testing.assert_close(other_cov, cov, rtol=1e-10, atol=0)
        torch.testing.assert_close(other_mean, beta * mean, rtol=1e-10, atol=0)


def test_the_search_over_prior_variances_finds_what_is_there():
    model, x = scalar_twin(), torch.tensor([1.5], dtype=torch.float64)
    mean, cov = posterior_with_prior_variance(model, x, 2.0)
    gaps = [
        lg.mvn_kl(*posterior_with_prior_variance(model, x, v), mean, cov).item()
        for v in torch.logspace(-4, 6, 2001, dtype=torch.float64).tolist()
    ]
    assert min(gaps) < 1e-5


def test_no_prior_variance_imitates_beta_in_several_dimensions(model, x):
    mean, cov = lg.posterior(lg.temper(model, 4.0), x)
    gaps = []
    for variance in torch.logspace(-3, 5, 500, dtype=torch.float64).tolist():
        other_mean, other_cov = posterior_with_prior_variance(model, x, variance)
        gaps.append(lg.mvn_kl(other_mean, other_cov.expand(4, -1, -1), mean, cov.expand(4, -1, -1)).mean().item())
    assert min(gaps) > 0.1
