"""Every form of the ELBO: equal at rounding error where the expectations are exact, within errors where they are
sampled.
"""

import math

import pytest
import torch

from elbo.densities import gaussian_log_prob, standard_gaussian_log_prob
from elbo.estimators import bounds, draw_codes, log_aggregate_posterior
from elbo.models import linear_gaussian as lg

X_DIM, LATENT_DIM, NUM = 6, 3, 8


@pytest.fixture(scope="module")
def twin():
    """A linear-Gaussian model, data, and a diagonal q that is nobody's optimum."""
    generator = torch.Generator().manual_seed(0)
    model = lg.random_model(X_DIM, LATENT_DIM, generator)
    x, _ = lg.sample(model, NUM, generator)
    mean = torch.randn(NUM, LATENT_DIM, generator=generator, dtype=torch.float64)
    log_var = torch.randn(NUM, LATENT_DIM, generator=generator, dtype=torch.float64) - 1
    return model, x, mean, log_var


def log_likelihood(model, x):
    return lambda z: lg.log_likelihood(model, x, z)


def log_posterior(model, x):
    return lambda z: torch.distributions.MultivariateNormal(*lg.posterior(model, x)).log_prob(z)


def forms(model, x, mean, log_var, noise):
    return {
        "evidence": bounds.evidence_gap(lg.log_evidence(model, x), log_posterior(model, x), mean, log_var, noise),
        "energy": bounds.energy_entropy(log_likelihood(model, x), mean, log_var, noise),
        "reconstruction": bounds.reconstruction_kl(log_likelihood(model, x), mean, log_var, noise),
    }


def close(actual, expected, tolerance=1e-10):
    torch.testing.assert_close(actual, expected, rtol=tolerance, atol=tolerance)


def test_the_forms_agree_at_rounding_error_on_the_twin(twin):
    model, x, mean, log_var = twin
    exact = lg.elbo(model, x, mean, torch.diag_embed(log_var.exp()))
    for terms in forms(*twin, bounds.sigma_points(LATENT_DIM, mean)).values():
        assert terms.elbo.shape == (NUM,)
        close(terms.elbo, exact)


def test_the_terms_are_the_closed_forms_of_the_twin(twin):
    """The terms, not only their sum: each against its own closed form."""
    model, x, mean, log_var = twin
    cov = torch.diag_embed(log_var.exp())
    terms = forms(*twin, bounds.sigma_points(LATENT_DIM, mean))
    close(terms["evidence"].posterior_kl, lg.posterior_kl(model, x, mean, cov))
    close(terms["energy"].energy, -lg.expected_log_joint(model, x, mean, cov))
    close(terms["energy"].entropy, torch.distributions.MultivariateNormal(mean, cov).entropy())
    close(terms["reconstruction"].reconstruction, lg.expected_log_likelihood(model, x, mean, cov))
    close(terms["reconstruction"].prior_kl, lg.prior_kl(mean, cov))


def test_sampled_terms_agree_with_exact_ones_within_errors(twin):
    model, x, mean, log_var = twin
    draws, repeats = 50, 400
    generator = torch.Generator().manual_seed(1)
    noise = torch.randn(draws, repeats, NUM, LATENT_DIM, generator=generator, dtype=torch.float64)
    exact = forms(*twin, bounds.sigma_points(LATENT_DIM, mean))
    wide = [t.expand(repeats, *t.shape) for t in (mean, log_var)]
    sampled = forms(model, x, *wide, noise)
    for form, term in [("evidence", "posterior_kl"), ("energy", "energy"), ("reconstruction", "reconstruction")]:
        values = getattr(sampled[form], term)  # (repeats, NUM)
        error = values.std(0) / math.sqrt(repeats)
        assert ((values.mean(0) - getattr(exact[form], term)).abs() < 4.5 * error).all(), (form, term)


def test_the_fourth_form_agrees_in_the_population(twin):
    model, *_ = twin
    encoder = lg.posterior_encoder(model)
    encoder = lg.LinearEncoder(0.7 * encoder.weight, encoder.bias + 0.2, torch.diag_embed(encoder.cov.diagonal()))
    mean, cov = lg.marginal(model)
    terms = lg.population_surgery(model, encoder, mean, cov)
    # a Gaussian population as 2 X equally weighted data: exact for what is quadratic in x
    x = mean + bounds.sigma_points(X_DIM, mean).squeeze(1) @ torch.linalg.cholesky(cov).mT
    q_mean, q_cov = lg.encode(encoder, x)
    average = lg.elbo(model, x, q_mean, q_cov).mean()
    close(terms.reconstruction - terms.mutual_information - terms.marginal_kl, average)
    three = forms(model, x, q_mean, q_cov.diagonal().log().expand_as(q_mean), bounds.sigma_points(LATENT_DIM, mean))
    for other in three.values():
        close(other.elbo.mean(), average)


def test_the_fourth_form_agrees_on_finite_data_within_errors(twin):
    model, x, mean, log_var = twin
    draws = 40_000
    index, z = draw_codes(mean, log_var, draws, torch.Generator().manual_seed(2))
    terms = bounds.index_code(
        lg.log_likelihood(model, x[index], z),
        gaussian_log_prob(z, mean[index], log_var[index]),
        log_aggregate_posterior(z, mean, log_var),
        standard_gaussian_log_prob(z),
    )
    exact = lg.elbo(model, x, mean, torch.diag_embed(log_var.exp())).mean()
    assert (terms.elbo.mean() - exact).abs() < 4.5 * terms.elbo.std() / math.sqrt(draws)
    assert terms.mutual_information.max() <= math.log(NUM) + 1e-9


def test_free_energy_is_an_upper_bound_that_the_tempered_posterior_reaches(twin):
    """At temperature T the minimum over q is -T log of the partition function at T; at T = 1 that is -log p(x)."""
    model, x, *_ = twin
    mean, cov = lg.posterior(model, x)
    for temperature in (0.5, 1.0, 3.0):
        energy = -lg.expected_log_joint(model, x, mean, temperature * cov)
        entropy = torch.distributions.MultivariateNormal(mean, temperature * cov).entropy()
        reached = bounds.EnergyEntropy(energy, entropy).free_energy(temperature)
        lowest = -lg.log_joint(model, x, mean)  # the energy at the mode
        log_det = torch.logdet(2 * math.pi * temperature * cov)
        close(reached, lowest - 0.5 * temperature * log_det)  # the Gaussian integral of exp(-U / T)
        close(energy, lowest + 0.5 * LATENT_DIM * temperature)  # equipartition
        for factor in (0.8, 1.25):
            other_cov = factor * temperature * cov
            other = bounds.EnergyEntropy(
                -lg.expected_log_joint(model, x, mean, other_cov),
                torch.distributions.MultivariateNormal(mean, other_cov).entropy(),
            )
            assert (other.free_energy(temperature) > reached).all()
    close(bounds.EnergyEntropy(*_energy_entropy(model, x)).free_energy(), -lg.log_evidence(model, x))


def _energy_entropy(model, x):
    mean, cov = lg.posterior(model, x)
    return -lg.expected_log_joint(model, x, mean, cov), torch.distributions.MultivariateNormal(mean, cov).entropy()


def test_the_beta_elbo_weighs_the_kl(twin):
    terms = forms(*twin, bounds.sigma_points(LATENT_DIM, twin[2]))["reconstruction"]
    close(terms.beta_elbo(1.0), terms.elbo)
    close(terms.beta_elbo(4.0), terms.elbo - 3 * terms.prior_kl)


def importance(twin, num, seed=3, repeats=400):
    model, x, mean, log_var = twin
    noise = torch.randn(
        num, repeats * NUM, LATENT_DIM, generator=torch.Generator().manual_seed(seed), dtype=torch.float64
    )
    wide = [t.repeat(repeats, 1) for t in (x, mean, log_var)]
    return bounds.importance_weighted_bound(lambda z: lg.log_joint(model, wide[0], z), *wide[1:], noise)


def test_the_importance_weighted_bound_rises_from_the_elbo_to_the_evidence(twin):
    model, x, mean, log_var = twin
    levels = [lg.elbo(model, x, mean, torch.diag_embed(log_var.exp()))]
    one = importance(twin, 1, repeats=4000).value.view(-1, NUM)
    assert ((one.mean(0) - levels[0]).abs() < 4.5 * one.std(0) / math.sqrt(4000)).all()
    for num in (4, 32, 256):
        values = importance(twin, num).value.view(-1, NUM)
        error = values.std(0) / math.sqrt(len(values))
        assert (values.mean(0) > levels[-1] - 4.5 * error).all()
        assert (values.mean(0) < lg.log_evidence(model, x) + 4.5 * error).all()
        levels.append(values.mean(0))
    assert (levels[-1] - levels[0] > 0.5 * (lg.log_evidence(model, x) - levels[0])).all()


def test_the_importance_weighted_error_is_the_spread_of_the_bound(twin):
    """With q near the posterior the weights are tame and the delta method holds."""
    model, x, *_ = twin
    mean, log_var = lg.mean_field_posterior(model, x)
    near = (model, x, mean, log_var.expand_as(mean) + 0.3)
    bound = importance(near, 200)
    spread = bound.value.view(-1, NUM).std(0)
    claimed = bound.standard_error.view(-1, NUM).square().mean(0).sqrt()
    assert (claimed / spread - 1).abs().max() < 0.25  # 400 repeats: 4.5 / sqrt(800), and the delta method's own error


def test_the_exact_posterior_needs_one_draw(twin):
    model, x, *_ = twin
    orthogonal = lg.LinearGaussian(torch.linalg.qr(model.weight).Q, model.mean, torch.zeros(X_DIM, dtype=torch.float64))
    mean, cov = lg.posterior(orthogonal, x)  # diagonal
    noise = torch.randn(2, NUM, LATENT_DIM, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    log_var = cov.diagonal().log().expand_as(mean)
    bound = bounds.importance_weighted_bound(lambda z: lg.log_joint(orthogonal, x, z), mean, log_var, noise)
    close(bound.value, lg.log_evidence(orthogonal, x))
    assert bound.standard_error.max() < 1e-10


def test_noise_without_a_leading_axis_is_refused(twin):
    model, x, mean, log_var = twin
    with pytest.raises(ValueError, match="add a leading axis"):
        bounds.reconstruction_kl(log_likelihood(model, x), mean, log_var, torch.zeros_like(mean))
