"""The exact twin of the book, against torch's MultivariateNormal, quadrature and plain sampling."""

import math

import pytest
import torch
from torch.distributions import Independent, MultivariateNormal, Normal

from elbo.models import linear_gaussian as lg

X_DIM, LATENT_DIM, NUM = 5, 3, 7


@pytest.fixture(scope="module")
def generator():
    return torch.Generator().manual_seed(3)


@pytest.fixture(scope="module")
def model(generator):
    return lg.random_model(X_DIM, LATENT_DIM, generator)


@pytest.fixture(scope="module")
def x(model, generator):
    return lg.sample(model, NUM, generator)[0]


@pytest.fixture(scope="module")
def q(generator):
    """Any Gaussian q per datum: mean (NUM, D), cov (NUM, D, D)."""
    mean = torch.randn(NUM, LATENT_DIM, generator=generator, dtype=torch.float64)
    root = torch.randn(NUM, LATENT_DIM, LATENT_DIM, generator=generator, dtype=torch.float64)
    return mean, root @ root.mT / LATENT_DIM + 0.2 * torch.eye(LATENT_DIM, dtype=torch.float64)


def close(actual, expected):
    torch.testing.assert_close(actual, expected, rtol=1e-10, atol=1e-10)


def test_the_evidence_is_the_density_of_the_marginal(model, x):
    mean, cov = lg.marginal(model)
    close(lg.log_evidence(model, x), MultivariateNormal(mean, cov).log_prob(x))


def test_the_evidence_is_the_integral_over_codes(generator):
    """One latent dimension, by quadrature on a grid that covers prior and posterior."""
    small = lg.random_model(3, 1, generator)
    x = lg.sample(small, 4, generator)[0]
    grid = torch.linspace(-12, 12, 20_001, dtype=torch.float64)
    joint = lg.log_joint(small, x.unsqueeze(1), grid[None, :, None])  # (4, grid)
    close(lg.log_evidence(small, x), torch.logsumexp(joint, 1) + math.log(grid[1] - grid[0]))


def test_the_posterior_is_the_conditional_of_the_joint(model, x):
    """Schur complement of the joint covariance of (z, x), an independent route."""
    mean, cov = lg.marginal(model)
    gain = torch.linalg.solve(cov, model.weight).mT  # W' C^-1
    exact_mean, exact_cov = lg.posterior(model, x)
    close(exact_mean, (x - mean) @ gain.mT)
    close(exact_cov, torch.eye(LATENT_DIM, dtype=torch.float64) - gain @ model.weight)


def test_bayes_rule_holds_at_any_code(model, x, generator):
    z = torch.randn(NUM, LATENT_DIM, generator=generator, dtype=torch.float64)
    mean, cov = lg.posterior(model, x)
    close(lg.log_joint(model, x, z) - MultivariateNormal(mean, cov).log_prob(z), lg.log_evidence(model, x))


def test_expectations_under_q_agree_with_sampling(model, x, q, generator):
    mean, cov = q
    draws = 20_000
    noise = torch.randn(draws, NUM, LATENT_DIM, generator=generator, dtype=torch.float64)
    z = mean + torch.einsum("nde,sne->snd", torch.linalg.cholesky(cov), noise)
    for exact, samples in [
        (lg.expected_log_likelihood(model, x, mean, cov), lg.log_likelihood(model, x, z)),
        (lg.expected_log_joint(model, x, mean, cov), lg.log_joint(model, x, z)),
        (lg.elbo(model, x, mean, cov), lg.log_joint(model, x, z) - MultivariateNormal(mean, cov).log_prob(z)),
    ]:
        error = samples.std(0) / math.sqrt(draws)
        assert ((samples.mean(0) - exact).abs() < 5 * error).all()


def test_elbo_plus_gap_is_the_evidence(model, x, q):
    mean, cov = q
    gap = lg.posterior_kl(model, x, mean, cov)
    assert (gap > 0).all()
    close(lg.elbo(model, x, mean, cov) + gap, lg.log_evidence(model, x))


def test_the_exact_posterior_has_no_gap(model, x):
    mean, cov = lg.posterior(model, x)
    close(lg.elbo(model, x, mean, cov), lg.log_evidence(model, x))
    close(lg.posterior_kl(model, x, mean, cov), torch.zeros(NUM, dtype=torch.float64))


def test_the_prior_kl_is_that_of_torch(q):
    mean, cov = q
    prior = MultivariateNormal(torch.zeros(LATENT_DIM, dtype=torch.float64), torch.eye(LATENT_DIM, dtype=torch.float64))
    close(lg.prior_kl(mean, cov), torch.distributions.kl_divergence(MultivariateNormal(mean, cov), prior))


def test_mean_field_maximises_the_elbo_and_under_disperses(model, x):
    mean, log_var = lg.mean_field_posterior(model, x)
    parameters = [mean.clone().requires_grad_(), log_var.clone().requires_grad_()]
    value = lg.elbo(model, x, parameters[0], torch.diag_embed(parameters[1].exp())).sum()
    for gradient in torch.autograd.grad(value, parameters):
        close(gradient, torch.zeros_like(gradient))
    assert (log_var.exp() < lg.posterior(model, x)[1].diagonal()).all()


def test_tempering_solves_the_beta_elbo(model, x):
    beta = 4.0
    mean, cov = lg.posterior(lg.temper(model, beta), x)
    mean, root = mean.clone().requires_grad_(), torch.linalg.cholesky(cov).clone().requires_grad_()
    cov = root @ root.mT
    objective = lg.expected_log_likelihood(model, x, mean, cov) - beta * lg.prior_kl(mean, cov)
    for gradient in torch.autograd.grad(objective.sum(), [mean, root]):
        close(gradient, torch.zeros_like(gradient))


def test_tempering_refuses_a_beta_that_is_not_positive(model):
    with pytest.raises(ValueError, match="beta must be positive"):
        lg.temper(model, 0.0)


def test_population_surgery_agrees_with_sampled_data(model, generator):
    """An encoder that is not the posterior, a population that is not the model's: every term against an average over
    data.
    """
    kwargs = {"generator": generator, "dtype": torch.float64}
    root = torch.randn(LATENT_DIM, LATENT_DIM, **kwargs)
    cov = root @ root.mT / LATENT_DIM + 0.3 * torch.eye(LATENT_DIM, dtype=torch.float64)
    encoder = lg.LinearEncoder(torch.randn(LATENT_DIM, X_DIM, **kwargs), torch.randn(LATENT_DIM, **kwargs), cov)
    population = lg.random_model(X_DIM, 2, generator)
    exact = lg.population_surgery(model, encoder, *lg.marginal(population))

    draws = 20_000
    x, _ = lg.sample(population, draws, generator)
    mean, cov = lg.encode(encoder, x)
    z = mean + torch.randn(draws, LATENT_DIM, **kwargs) @ torch.linalg.cholesky(cov).mT
    population_mean, population_cov = lg.marginal(population)
    aggregate = MultivariateNormal(
        encoder.weight @ population_mean + encoder.bias, encoder.weight @ population_cov @ encoder.weight.mT + cov
    )
    prior = Independent(Normal(torch.zeros_like(mean[0]), torch.ones_like(mean[0])), 1)
    log_q, log_aggregate, log_prior = (
        MultivariateNormal(mean, cov).log_prob(z),
        aggregate.log_prob(z),
        prior.log_prob(z),
    )
    for name, terms in {
        "reconstruction": lg.expected_log_likelihood(model, x, mean, cov),
        "mutual_information": log_q - log_aggregate,
        "marginal_kl": log_aggregate - log_prior,
        "average_kl": lg.prior_kl(mean, cov),
        "elbo": lg.elbo(model, x, mean, cov),
    }.items():
        error = terms.std() / math.sqrt(draws)
        assert (terms.mean() - getattr(exact, name)).abs() < 4.5 * error, name


def test_the_exact_encoder_on_its_own_population_matches_the_prior(model):
    terms = lg.population_surgery(model, lg.posterior_encoder(model), *lg.marginal(model))
    mean, cov = lg.marginal(model)
    close(terms.marginal_kl, torch.zeros((), dtype=torch.float64))
    close(terms.elbo, -MultivariateNormal(mean, cov).entropy())  # E log p(x), as the bound is tight
    close(
        terms.mutual_information, 0.5 * (torch.logdet(cov) - model.log_var.sum())
    )  # I(x; z) seen from the data's side


def test_the_posterior_encoder_is_the_posterior(model, x):
    mean, cov = lg.encode(lg.posterior_encoder(model), x)
    exact_mean, exact_cov = lg.posterior(model, x)
    close(mean, exact_mean)
    close(cov, exact_cov)


def test_a_stack_of_models_is_each_model_alone(model, x, q, generator):
    other = lg.random_model(X_DIM, LATENT_DIM, generator)
    stack = lg.LinearGaussian(*(torch.stack(pair).unsqueeze(1) for pair in zip(model, other)))  # (2, 1, ...)
    for function in (lg.log_evidence, lambda m, x: lg.elbo(m, x, *q), lambda m, x: lg.posterior(m, x)[0]):
        together = function(stack, x)
        close(together[0], function(model, x))
        close(together[1], function(other, x))
    assert lg.sample(stack, 4, generator)[0].shape == (4, 2, 1, X_DIM)


def test_fitted_ppca_is_a_maximum_of_the_likelihood(generator):
    source = lg.random_model(X_DIM, 2, generator)
    x, _ = lg.sample(source, 500, generator)
    fitted = lg.fit_ppca(x, 2)
    weight, mean, log_noise = (t.clone().requires_grad_() for t in (fitted.weight, fitted.mean, fitted.log_var[:1]))
    free = lg.LinearGaussian(weight, mean, log_noise.expand(X_DIM))
    gradients = torch.autograd.grad(lg.log_evidence(free, x).mean(), [weight, mean, log_noise])
    for gradient in gradients:
        close(gradient, torch.zeros_like(gradient))


def test_fit_ppca_needs_variance_left_for_the_noise(generator):
    x = torch.randn(50, 3, generator=generator, dtype=torch.float64)
    with pytest.raises(ValueError, match="latent_dim"):
        lg.fit_ppca(x, 3)


def test_a_diagonal_covariance_is_refused_with_the_remedy(model, x):
    mean, log_var = lg.mean_field_posterior(model, x)
    with pytest.raises(ValueError, match="diag_embed"):
        lg.elbo(model, x, mean, log_var.exp())
