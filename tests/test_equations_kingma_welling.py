"""The numbered equations of the chapter on Kingma & Welling (2013), each evaluated on both sides.

Two models serve: a Bernoulli decoder with a code of one number, where every integral is a sum over Gauss-Hermite nodes or a
fine grid, and the linear-Gaussian twin, where every term has a closed form.
"""

import itertools
import math

import numpy as np
import pytest
import torch
from torch.distributions import Bernoulli, MultivariateNormal, Normal, kl_divergence

from elbo import densities
from elbo.inference.aevb import minibatch_bound, reparameterise, sgvb_a, sgvb_b
from elbo.models import linear_gaussian
from elbo.models.vae import VAE

X = torch.tensor([[1.0, 0.0, 1.0, 1.0], [0.0, 0.0, 1.0, 0.0]], dtype=torch.float64)


@pytest.fixture(scope="module")
def vae():
    model = VAE(4, hidden=3, latent_dim=1)
    return model, model.init(torch.Generator().manual_seed(1), scale=0.5, dtype=torch.float64)


@pytest.fixture(scope="module")
def grid():
    """Nodes and weights of a rule that integrates over the line; the integrands below vanish at its ends."""
    z = torch.linspace(-12, 12, 20001, dtype=torch.float64)
    return z[:, None, None], torch.full((len(z),), (z[1] - z[0]).item(), dtype=torch.float64)


@pytest.fixture(scope="module")
def hermite():
    """Nodes (nodes, 1, 1) and weights of E[f(eps)] for standard normal eps."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(80)
    return torch.tensor(nodes)[:, None, None], torch.tensor(weights / math.sqrt(2 * math.pi))


def pieces(vae, grid):
    """log p(x, z), log q(z|x) on the grid, (nodes, batch), and log p(x) by quadrature, (batch,)."""
    model, params = vae
    z, width = grid
    mean, log_var = model.encode(params, X)
    log_joint = model.log_joint(params, X, z.expand(-1, len(X), -1))
    log_q = Normal(mean, (0.5 * log_var).exp()).log_prob(z).sum(-1)
    return log_joint, log_q, torch.logsumexp(log_joint + width.log()[:, None], 0), width[:, None]


@pytest.mark.equation("eq-kingma-welling-2013-decomposition")
def test_log_evidence_is_bound_plus_divergence_by_quadrature(vae, grid):
    log_joint, log_q, evidence, width = pieces(vae, grid)
    log_posterior = log_joint - evidence
    bound = (log_q.exp() * (log_joint - log_q) * width).sum(0)
    divergence = (log_q.exp() * (log_q - log_posterior) * width).sum(0)
    assert (divergence > 0.01).all()  # q is not the posterior, or the test would say little
    torch.testing.assert_close(bound + divergence, evidence, rtol=1e-10, atol=1e-10)


def test_log_evidence_is_bound_plus_divergence_in_closed_form():
    generator = torch.Generator().manual_seed(3)
    twin = linear_gaussian.random_model(5, 2, generator)
    x, _ = linear_gaussian.sample(twin, 7, generator)
    mean, cov = linear_gaussian.posterior(twin, x)
    q = (mean + 0.3, 1.7 * cov)
    marginal = MultivariateNormal(*linear_gaussian.marginal(twin))
    total = linear_gaussian.elbo(twin, x, *q) + linear_gaussian.posterior_kl(twin, x, *q)
    torch.testing.assert_close(total, marginal.log_prob(x), rtol=1e-10, atol=1e-10)


@pytest.mark.equation("eq-kingma-welling-2013-bound")
def test_the_bound_lies_below_and_is_what_the_estimator_averages_to(vae, grid, hermite):
    model, params = vae
    log_joint, log_q, evidence, width = pieces(vae, grid)
    bound = (log_q.exp() * (log_joint - log_q) * width).sum(0)
    assert (bound < evidence).all()
    eps, weights = hermite
    averaged = (weights[:, None] * sgvb_a(model, params, X, eps.expand(-1, len(X), 1))).sum(0)
    torch.testing.assert_close(averaged, bound, rtol=1e-8, atol=1e-8)


@pytest.mark.equation("eq-kingma-welling-2013-reconstruction")
def test_reconstruction_minus_penalty_is_the_bound(vae, grid):
    model, params = vae
    log_joint, log_q, _, width = pieces(vae, grid)
    bound = (log_q.exp() * (log_joint - log_q) * width).sum(0)
    mean, log_var = model.encode(params, X)
    log_likelihood = model.log_likelihood(params, X, grid[0].expand(-1, len(X), -1))
    reconstruction = (log_q.exp() * log_likelihood * width).sum(0)
    standard = Normal(torch.zeros_like(mean), torch.ones_like(mean))
    penalty = kl_divergence(Normal(mean, (0.5 * log_var).exp()), standard).sum(-1)
    torch.testing.assert_close(reconstruction - penalty, bound, rtol=1e-9, atol=1e-9)


def test_function(z):
    return torch.tanh(z) + 0.3 * z.square()


test_function.__test__ = False


def expectation(mean, log_var):
    """E[f(z)] under N(mean, exp(log_var)) by a fine grid: the third route of the two gradient identities."""
    z = torch.linspace(-14, 14, 40001, dtype=torch.float64)
    density = Normal(mean, (0.5 * log_var).exp()).log_prob(z).exp()
    return (density * test_function(z)).sum() * (z[1] - z[0])


def exact_gradient():
    point = [torch.tensor(0.4, dtype=torch.float64), torch.tensor(-0.7, dtype=torch.float64)]
    leaves = [p.clone().requires_grad_() for p in point]
    return point, torch.stack(torch.autograd.grad(expectation(*leaves), leaves))


@pytest.mark.equation("eq-kingma-welling-2013-score-gradient")
def test_gradient_by_the_score(hermite):
    (mean, log_var), exact = exact_gradient()
    eps, weights = (h.flatten() for h in hermite)
    z = mean + (0.5 * log_var).exp() * eps
    score = torch.stack([(z - mean) / log_var.exp(), 0.5 * ((z - mean).square() / log_var.exp() - 1)])
    torch.testing.assert_close((weights * test_function(z) * score).sum(-1), exact, rtol=1e-6, atol=1e-6)


@pytest.mark.equation("eq-kingma-welling-2013-pathwise-gradient")
def test_gradient_through_the_draw(hermite):
    point, exact = exact_gradient()
    leaves = [p.clone().requires_grad_() for p in point]
    eps, weights = (h.flatten() for h in hermite)
    z = reparameterise(leaves[0], leaves[1], eps)
    gradient = torch.stack(torch.autograd.grad((weights * test_function(z)).sum(), leaves))
    torch.testing.assert_close(gradient, exact, rtol=1e-6, atol=1e-6)


@pytest.mark.equation("eq-kingma-welling-2013-reparameterisation")
def test_a_reparameterised_draw_has_the_density_of_q():
    mean, log_var = torch.tensor([0.7, -1.0], dtype=torch.float64), torch.tensor([-0.5, 0.8], dtype=torch.float64)
    u = (torch.arange(1, 100, dtype=torch.float64) / 100)[:, None]
    z = reparameterise(mean, log_var, torch.special.ndtri(u))
    torch.testing.assert_close(Normal(mean, (0.5 * log_var).exp()).cdf(z), u.expand(-1, 2), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    "estimator",
    [
        pytest.param(sgvb_a, marks=pytest.mark.equation("eq-kingma-welling-2013-sgvb-a")),
        pytest.param(sgvb_b, marks=pytest.mark.equation("eq-kingma-welling-2013-sgvb-b")),
    ],
)
def test_estimators_and_their_gradients_are_unbiased(vae, grid, hermite, estimator):
    model, params = vae
    leaves = {name: p.clone().requires_grad_() for name, p in params.items()}
    log_joint, log_q, _, width = pieces((model, leaves), grid)
    exact = (log_q.exp() * (log_joint - log_q) * width).sum(0)
    gradient = torch.autograd.grad(exact.sum(), leaves.values())
    eps, weights = hermite
    average = (weights[:, None] * estimator(model, leaves, X, eps.expand(-1, len(X), 1))).sum(0)
    torch.testing.assert_close(average, exact, rtol=1e-7, atol=1e-7)
    for ours, theirs in zip(torch.autograd.grad(average.sum(), leaves.values()), gradient):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)


@pytest.mark.equation("eq-kingma-welling-2013-gaussian-kl")
def test_divergence_of_a_gaussian_from_the_prior():
    generator = torch.Generator().manual_seed(5)
    mean, log_var = torch.randn(2, 50, 3, generator=generator, dtype=torch.float64)
    formula = 0.5 * (mean**2 + log_var.exp() - 1 - log_var).sum(-1)
    theirs = kl_divergence(Normal(mean, (0.5 * log_var).exp()), Normal(torch.zeros_like(mean), torch.ones_like(mean))).sum(-1)
    torch.testing.assert_close(formula, theirs)
    torch.testing.assert_close(densities.standard_gaussian_kl(mean, log_var), theirs)


@pytest.mark.equation("eq-kingma-welling-2013-bernoulli")
def test_log_likelihood_of_binary_pixels():
    generator = torch.Generator().manual_seed(6)
    logits = torch.randn(20, 9, generator=generator, dtype=torch.float64)
    x = torch.bernoulli(torch.full((20, 9), 0.5, dtype=torch.float64), generator=generator)
    y = torch.sigmoid(logits)
    formula = (x * y.log() + (1 - x) * (1 - y).log()).sum(-1)
    torch.testing.assert_close(formula, Bernoulli(logits=logits).log_prob(x).sum(-1))
    torch.testing.assert_close(densities.bernoulli_log_prob(x, logits), formula)


@pytest.mark.equation("eq-kingma-welling-2013-minibatch")
def test_minibatches_average_to_the_whole():
    bounds = torch.randn(6, generator=torch.Generator().manual_seed(7), dtype=torch.float64)
    every = [minibatch_bound(bounds[list(batch)], 6) for batch in itertools.product(range(6), repeat=2)]
    torch.testing.assert_close(torch.stack(every).mean(), bounds.sum())
    assert torch.stack(every).std() > 0.1


@pytest.mark.equation("eq-kingma-welling-2013-a-is-constant")
def test_what_a_averages_is_constant_at_the_posterior():
    generator = torch.Generator().manual_seed(8)
    twin = linear_gaussian.random_model(5, 2, generator)
    x, _ = linear_gaussian.sample(twin, 4, generator)
    mean, cov = linear_gaussian.posterior(twin, x)
    evidence = MultivariateNormal(*linear_gaussian.marginal(twin)).log_prob(x)
    z = mean + torch.randn(100, 4, 2, generator=generator, dtype=torch.float64)
    log_joint = linear_gaussian.log_joint(twin, x, z)
    log_posterior = MultivariateNormal(mean, cov).log_prob(z)
    torch.testing.assert_close(log_joint - log_posterior, evidence.expand(100, 4), rtol=1e-9, atol=1e-9)
    wrong = MultivariateNormal(mean + 0.4, 2 * cov).log_prob(z)
    torch.testing.assert_close(log_joint - wrong, evidence + (log_posterior - wrong), rtol=1e-9, atol=1e-9)
    assert (log_joint - wrong).std(0).min() > 0.1
