"""Closed forms against torch.distributions, quadrature and Monte Carlo."""

import math

import pytest
import torch
from torch import distributions as dist

from elbo import densities as d

BATCH, DIM = 6, 4


def close(actual, expected, tolerance=1e-12):
    torch.testing.assert_close(actual, expected, rtol=tolerance, atol=tolerance)


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(11)


@pytest.fixture
def draw(generator):
    return lambda *shape: torch.randn(*shape, generator=generator, dtype=torch.float64)


@pytest.fixture
def pair(draw):
    """Two diagonal Gaussians: mean_q, log_var_q, mean_p, log_var_p."""
    return draw(BATCH, DIM), 0.7 * draw(BATCH, DIM), draw(BATCH, DIM), 0.7 * draw(BATCH, DIM)


@pytest.fixture
def full_pair(draw):
    """Two full Gaussians: mean_q, cov_q, mean_p, cov_p."""
    roots = draw(2, BATCH, DIM, DIM)
    cov_q, cov_p = roots @ roots.mT / DIM + 0.3 * torch.eye(DIM, dtype=torch.float64)
    return draw(BATCH, DIM), cov_q, draw(BATCH, DIM), cov_p


def diagonal(mean, log_var):
    return dist.Independent(dist.Normal(mean, torch.exp(0.5 * log_var)), 1)


def within_errors(samples, expected, errors=4):
    """The mean over the first axis equals the expectation within so many standard errors."""
    mean, se = samples.mean(0), samples.std(0) / math.sqrt(len(samples))
    assert ((mean - expected).abs() < errors * se).all(), (mean - expected) / se


def test_diagonal_gaussian_log_density_and_entropy(pair, draw):
    mean, log_var, *_ = pair
    x = draw(BATCH, DIM)
    close(d.gaussian_log_prob(x, mean, log_var), diagonal(mean, log_var).log_prob(x))
    close(d.gaussian_entropy(log_var), diagonal(mean, log_var).entropy())
    close(d.standard_gaussian_log_prob(x), diagonal(torch.zeros_like(x), torch.zeros_like(x)).log_prob(x))


def test_a_density_broadcasts_and_sums_the_last_axis_only(pair, draw):
    mean, log_var, *_ = pair
    z = draw(3, 1, BATCH, DIM)
    assert d.gaussian_log_prob(z, mean, log_var).shape == (3, 1, BATCH)


def test_bernoulli_log_mass(draw):
    logits = 3 * draw(BATCH, DIM)
    x = (draw(BATCH, DIM) > 0).double()
    close(d.bernoulli_log_prob(x, logits), dist.Independent(dist.Bernoulli(logits=logits), 1).log_prob(x))


def test_bernoulli_masses_sum_to_one(draw):
    every = torch.cartesian_prod(*[torch.tensor([0.0, 1.0], dtype=torch.float64)] * DIM)  # (2^DIM, DIM)
    close(torch.logsumexp(d.bernoulli_log_prob(every, 3 * draw(DIM)), 0), torch.zeros((), dtype=torch.float64))


def test_bernoulli_is_finite_where_probabilities_round_to_zero_and_one():
    x = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    logits = torch.tensor([[200.0, -200.0]])
    close(d.bernoulli_log_prob(x, logits), torch.tensor([0.0, -400.0]), 1e-6)


def test_kl_of_diagonal_gaussians(pair, generator):
    mean_q, log_var_q, mean_p, log_var_p = pair
    q, p = diagonal(mean_q, log_var_q), diagonal(mean_p, log_var_p)
    kl = d.gaussian_kl(*pair)
    close(kl, dist.kl_divergence(q, p))
    eps = torch.randn(20_000, BATCH, DIM, generator=generator, dtype=torch.float64)
    z = mean_q + torch.exp(0.5 * log_var_q) * eps
    within_errors(q.log_prob(z) - p.log_prob(z), kl)


def test_kl_from_the_standard_gaussian_is_the_general_one(pair):
    mean, log_var, *_ = pair
    zero = torch.zeros_like(mean)
    close(d.standard_gaussian_kl(mean, log_var), d.gaussian_kl(mean, log_var, zero, zero))
    close(d.standard_gaussian_kl(mean, log_var), dist.kl_divergence(diagonal(mean, log_var), diagonal(zero, zero)))


def test_kl_keeps_its_digits_near_zero():
    """Two Gaussians that hardly differ: the KL is log_var^2 / 4 + mean^2 / 2 to leading order."""
    tiny = torch.full((1, 1), 1e-3)
    assert math.isclose(d.standard_gaussian_kl(tiny, tiny).item(), 0.5e-6 + 0.25e-6, rel_tol=1e-3)


@pytest.mark.parametrize("alpha", [0.3, 0.5, 0.9, 1.0, 1.5, 2.0])
def test_renyi_divergence_by_quadrature(alpha):
    mean_q, log_var_q, mean_p, log_var_p = (torch.tensor([[v]], dtype=torch.float64) for v in (0.4, -0.6, -0.3, 0.5))
    grid = torch.linspace(-30, 30, 60_001, dtype=torch.float64)
    log_q = d.gaussian_log_prob(grid[:, None], mean_q, log_var_q)
    log_p = d.gaussian_log_prob(grid[:, None], mean_p, log_var_p)
    step = grid[1] - grid[0]
    if alpha == 1:
        expected = (log_q.exp() * (log_q - log_p)).sum() * step
    else:
        expected = torch.log(torch.exp(alpha * log_q + (1 - alpha) * log_p).sum() * step) / (alpha - 1)
    close(d.gaussian_renyi(mean_q, log_var_q, mean_p, log_var_p, alpha), expected[None], 1e-9)


def test_renyi_divergence_is_additive_continuous_and_grows_with_its_order(pair):
    whole = d.gaussian_renyi(*pair, 0.7)
    parts = sum(d.gaussian_renyi(*(t[:, i : i + 1] for t in pair), 0.7) for i in range(DIM))
    close(whole, parts)
    close(d.gaussian_renyi(*pair, 1 + 1e-6), d.gaussian_kl(*pair), 1e-4)
    values = [d.gaussian_renyi(*pair, alpha) for alpha in (0.2, 0.5, 0.8, 1.0)]
    assert all((a <= b).all() for a, b in zip(values, values[1:]))


def test_renyi_divergence_half_is_symmetric_and_its_bhattacharyya_integral_agrees(pair):
    mean_q, log_var_q, mean_p, log_var_p = pair
    close(d.gaussian_renyi(*pair, 0.5), d.gaussian_renyi(mean_p, log_var_p, mean_q, log_var_q, 0.5))


def test_renyi_divergence_diverges_where_its_integral_does():
    zero = torch.zeros(1, 1, dtype=torch.float64)
    wide = torch.full_like(zero, math.log(4.0))  # alpha + (1 - alpha) 4 <= 0 from alpha = 4/3 on
    assert torch.isfinite(d.gaussian_renyi(zero, wide, zero, zero, 1.3)).all()
    assert torch.isinf(d.gaussian_renyi(zero, wide, zero, zero, 1.4)).all()


def test_renyi_order_must_be_positive(pair):
    with pytest.raises(ValueError, match="alpha must be positive"):
        d.gaussian_renyi(*pair, 0.0)


def test_full_gaussian_density_entropy_and_kl(full_pair, draw):
    mean_q, cov_q, mean_p, cov_p = full_pair
    q, p = dist.MultivariateNormal(mean_q, cov_q), dist.MultivariateNormal(mean_p, cov_p)
    x = draw(BATCH, DIM)
    close(d.mvn_log_prob(x, mean_q, cov_q), q.log_prob(x), 1e-10)
    close(d.mvn_entropy(cov_q), q.entropy(), 1e-10)
    close(d.mvn_kl(*full_pair), dist.kl_divergence(q, p), 1e-10)


def test_full_gaussian_with_diagonal_covariance_is_the_diagonal_one(pair, draw):
    mean_q, log_var_q, mean_p, log_var_p = pair
    cov_q, cov_p = torch.diag_embed(log_var_q.exp()), torch.diag_embed(log_var_p.exp())
    x = draw(BATCH, DIM)
    close(d.mvn_log_prob(x, mean_q, cov_q), d.gaussian_log_prob(x, mean_q, log_var_q))
    close(d.mvn_kl(mean_q, cov_q, mean_p, cov_p), d.gaussian_kl(*pair))


def test_full_gaussian_refuses_what_is_no_covariance(draw):
    with pytest.raises(torch.linalg.LinAlgError):
        d.mvn_log_prob(draw(BATCH, 2), draw(2), -torch.eye(2, dtype=torch.float64))
