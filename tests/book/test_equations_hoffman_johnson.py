"""Every labelled equation of the chapter on Hoffman & Johnson (2016), evaluated by quadrature, each side on its own.

The world is a linear-Gaussian model with one latent dimension, five data and an encoder that is not its posterior.
Densities come from torch.distributions and integrals from the trapezoid rule, so that nothing of the package stands
on both sides.
"""

import math
from types import SimpleNamespace

import pytest
import torch
from torch.distributions import Normal

from elbo.estimators import (
    aggregate_posterior,
    batch_terms,
    bounds,
    dependence,
    draw_codes,
    log_aggregate_posterior,
    surgery,
)
from elbo.estimators.surgery import code_terms
from elbo.models import linear_gaussian as lg

NUM = 5


@pytest.fixture(scope="module")
def world():
    generator = torch.Generator().manual_seed(5)
    model = lg.random_model(3, 1, generator)
    x, _ = lg.sample(model, NUM, generator)
    mean = 1.5 * torch.randn(NUM, 1, generator=generator, dtype=torch.float64)
    log_var = torch.randn(NUM, 1, generator=generator, dtype=torch.float64) - 1.5
    grid = torch.linspace(-14, 14, 40_001, dtype=torch.float64)
    log_q = Normal(mean, torch.exp(0.5 * log_var)).log_prob(grid)  # (N, grid)
    log_prior = Normal(torch.zeros((), dtype=torch.float64), 1.0).log_prob(grid)
    decoded = grid.unsqueeze(1) * model.weight[:, 0] + model.mean
    log_likelihood = Normal(decoded, torch.exp(0.5 * model.log_var)).log_prob(x.unsqueeze(1)).sum(-1)  # (N, grid)
    step = (grid[1] - grid[0]).item()
    log_evidence = torch.logsumexp(log_likelihood + log_prior, 1) + math.log(step)
    return SimpleNamespace(
        model=model, x=x, mean=mean, log_var=log_var, grid=grid, step=step, log_q=log_q, log_prior=log_prior,
        log_likelihood=log_likelihood, log_evidence=log_evidence,
        log_posterior=log_likelihood + log_prior - log_evidence.unsqueeze(1),
        log_aggregate=torch.logsumexp(log_q, 0) - math.log(NUM),
    )  # fmt: skip


def under(world, log_density, values):
    """Integral of values times a density over the grid."""
    return (log_density.exp() * values).sum(-1) * world.step


def elbo(world):
    """The definition: the expectation of log p(x, z) - log q(z | x)."""
    return under(world, world.log_q, world.log_likelihood + world.log_prior - world.log_q)


def average_kl(world):
    return under(world, world.log_q, world.log_q - world.log_prior).mean()


def information(world):
    return under(world, world.log_q, world.log_q - world.log_aggregate).mean()


def marginal_kl(world):
    return under(world, world.log_aggregate, world.log_aggregate - world.log_prior)


def close(actual, expected, tolerance=1e-8):
    torch.testing.assert_close(torch.as_tensor(actual, dtype=torch.float64), expected, rtol=tolerance, atol=tolerance)


@pytest.mark.equation("eq-hoffman-johnson-2016-evidence")
def test_evidence_minus_posterior_kl(world):
    gap = under(world, world.log_q, world.log_q - world.log_posterior)
    close(world.log_evidence - gap, elbo(world))
    cov = torch.diag_embed(world.log_var.exp())
    close(lg.log_evidence(world.model, world.x), world.log_evidence)
    close(lg.posterior_kl(world.model, world.x, world.mean, cov), gap)


@pytest.mark.equation("eq-hoffman-johnson-2016-energy-entropy")
def test_entropy_minus_energy(world):
    energy = -under(world, world.log_q, world.log_likelihood + world.log_prior)
    entropy = -under(world, world.log_q, world.log_q)
    close(entropy - energy, elbo(world))
    assert (entropy.diff().sign() == world.log_var.squeeze().diff().sign()).all()  # spreading out raises it
    noise = bounds.sigma_points(1, world.mean)
    terms = bounds.energy_entropy(
        lambda z: lg.log_likelihood(world.model, world.x, z), world.mean, world.log_var, noise
    )
    close(terms.energy, energy)
    close(terms.entropy, entropy)


@pytest.mark.equation("eq-hoffman-johnson-2016-reconstruction")
def test_reconstruction_minus_kl(world):
    reconstruction = under(world, world.log_q, world.log_likelihood)
    kl = under(world, world.log_q, world.log_q - world.log_prior)
    close(reconstruction - kl, elbo(world))
    noise = bounds.sigma_points(1, world.mean)
    terms = bounds.reconstruction_kl(
        lambda z: lg.log_likelihood(world.model, world.x, z), world.mean, world.log_var, noise
    )
    close(terms.reconstruction, reconstruction)
    close(terms.prior_kl, kl)


@pytest.mark.equation("eq-hoffman-johnson-2016-free-energy")
@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_free_energy(world, temperature):
    energy = -(world.log_likelihood + world.log_prior)[0]
    log_partition = torch.logsumexp(-energy / temperature, 0) + math.log(world.step)
    log_q = -energy / temperature - log_partition

    def free(log_density):
        return under(world, log_density, energy) + temperature * under(world, log_density, log_density)

    close(free(log_q), -temperature * log_partition)
    for other in (world.log_q[0], world.log_posterior[0], world.log_prior):
        assert free(other) >= free(log_q) - 1e-9
    if temperature == 1:
        close(free(world.log_q[0]), -elbo(world)[0])
        close(free(log_q), -world.log_evidence[0])


@pytest.mark.equation("eq-hoffman-johnson-2016-total")
def test_the_bound_of_all_data_is_the_sum_of_their_bounds(world):
    """Two data, the integral over both codes at once, on a grid in the plane."""
    line = torch.linspace(-9, 9, 1501, dtype=torch.float64)
    step = (line[1] - line[0]).item()
    model = world.model
    decoded = line.unsqueeze(1) * model.weight[:, 0] + model.mean
    log_likelihood = Normal(decoded, torch.exp(0.5 * model.log_var)).log_prob(world.x[:2].unsqueeze(1)).sum(-1)
    log_prior = Normal(torch.zeros((), dtype=torch.float64), 1.0).log_prob(line)
    log_q = Normal(world.mean[:2], torch.exp(0.5 * world.log_var[:2])).log_prob(line)  # (2, line)
    log_joint = log_likelihood + log_prior
    density = torch.exp(log_q[0].unsqueeze(1) + log_q[1])  # the product, over both codes
    bracket = torch.log(torch.exp(log_joint[0] - log_q[0]).unsqueeze(1) * torch.exp(log_joint[1] - log_q[1]))
    whole = torch.where(density > 1e-200, density * bracket, 0).sum() * step**2
    close(whole, elbo(world)[:2].sum(), 1e-6)


@pytest.mark.equation("eq-hoffman-johnson-2016-aggregate")
def test_aggregated_posterior(world):
    density = world.log_q.exp().mean(0)
    inside = world.grid.abs() < 4
    result = log_aggregate_posterior(world.grid[inside].unsqueeze(1), world.mean, world.log_var).exp()
    close(result, density[inside])
    assert density.sum() * world.step == pytest.approx(1)


@pytest.mark.equation("eq-hoffman-johnson-2016-index")
def test_posterior_over_the_index(world):
    inside = world.grid.abs() < 4
    ratio = torch.exp(world.log_q - world.log_aggregate - math.log(NUM))[:, inside]
    joint = world.log_q.exp()[:, inside] / NUM  # q(n, z)
    close(ratio, joint / joint.sum(0))
    close(torch.softmax(world.log_q[:, inside], 0), ratio)


@pytest.mark.equation("eq-hoffman-johnson-2016-split")
def test_the_average_kl_splits(world):
    log_joint = world.log_q - math.log(NUM)
    mutual = (log_joint.exp() * (log_joint + math.log(NUM) - world.log_aggregate)).sum() * world.step
    close(mutual + marginal_kl(world), average_kl(world))
    found = surgery(world.mean, world.log_var, generator=torch.Generator().manual_seed(0), codes=20_000)
    close(found.average_kl, average_kl(world))
    assert abs(found.mutual_information - mutual) < 4.5 * found.mutual_information.standard_error
    assert abs(found.marginal_kl - marginal_kl(world)) < 4.5 * found.marginal_kl.standard_error


@pytest.mark.equation("eq-hoffman-johnson-2016-information")
def test_information_is_log_n_minus_an_entropy(world):
    log_index = torch.log_softmax(world.log_q, 0)
    entropy = -(log_index.exp() * log_index).sum(0)
    close(math.log(NUM) - under(world, world.log_aggregate, entropy), information(world))


@pytest.mark.equation("eq-hoffman-johnson-2016-surgery")
def test_the_fourth_form(world):
    reconstruction = under(world, world.log_q, world.log_likelihood).mean()
    close(reconstruction - information(world) - marginal_kl(world), elbo(world).mean())
    found = surgery(
        world.mean,
        world.log_var,
        lambda index, z: lg.log_likelihood(world.model, world.x[index], z),
        generator=torch.Generator().manual_seed(0),
        codes=2000,
        draws=4000,
    )
    assert abs(found.reconstruction - reconstruction) < 4.5 * found.reconstruction.standard_error
    assert abs(found.elbo - elbo(world).mean()) < 4.5 * found.elbo.standard_error


@pytest.mark.equation("eq-hoffman-johnson-2016-ceiling")
def test_the_ceiling(world):
    assert (world.log_q - world.log_aggregate).max() <= math.log(NUM) + 1e-12
    assert 0 < information(world) < math.log(NUM)
    index, z = draw_codes(world.mean, world.log_var, 5000, torch.Generator().manual_seed(0))
    terms = code_terms(z, index, world.mean, world.log_var)
    assert (terms.log_posterior - terms.log_aggregate).max() <= math.log(NUM) + 1e-9
    far = surgery(1000 * world.mean, world.log_var, generator=torch.Generator().manual_seed(0), codes=100)
    assert far.mutual_information == pytest.approx(math.log(NUM))  # the ceiling is reached


@pytest.mark.equation("eq-hoffman-johnson-2016-floor")
def test_the_floor_of_the_marginal_kl(world):
    assert marginal_kl(world) >= average_kl(world) - math.log(NUM)
    far = surgery(1000 * world.mean, world.log_var, generator=torch.Generator().manual_seed(0), codes=100)
    assert far.marginal_kl == pytest.approx(far.average_kl - far.log_n)  # and the floor with it


@pytest.mark.equation("eq-hoffman-johnson-2016-product")
def test_log_densities_are_one_matrix_product():
    generator = torch.Generator().manual_seed(1)
    mean = torch.randn(7, 3, generator=generator, dtype=torch.float64)
    log_var = torch.randn(7, 3, generator=generator, dtype=torch.float64)
    z = torch.randn(11, 3, generator=generator, dtype=torch.float64)
    exact = Normal(mean, torch.exp(0.5 * log_var)).log_prob(z.unsqueeze(1)).sum(-1)
    var = log_var.exp()
    constant = -0.5 * (mean.square() / var + torch.log(2 * math.pi * var)).sum(1)
    close(z.square() @ (-0.5 / var).T + z @ (mean / var).T + constant, exact)
    mixture = aggregate_posterior._prepare(mean, log_var)
    centred = z - mixture.centre
    product = torch.cat([centred.square(), centred, torch.ones(11, 1, dtype=torch.float64)], 1) @ mixture.weights
    close((product + mixture.shift) * math.log(2), exact)


@pytest.mark.equation("eq-hoffman-johnson-2016-estimators")
def test_the_estimators_are_unbiased(world):
    draws = 40_000
    index, z = draw_codes(world.mean, world.log_var, draws, torch.Generator().manual_seed(2))
    terms = code_terms(z, index, world.mean, world.log_var)
    for values, exact in [
        (terms.log_posterior - terms.log_aggregate, information(world)),
        (terms.log_aggregate - terms.log_prior, marginal_kl(world)),
    ]:
        assert (values.mean() - exact).abs() < 4.5 * values.std() / math.sqrt(draws)


@pytest.mark.equation("eq-hoffman-johnson-2016-weighted")
def test_what_weighted_sampling_adds():
    generator = torch.Generator().manual_seed(3)
    mean = torch.randn(20, 4, generator=generator, dtype=torch.float64)
    z = mean + 0.3 * torch.randn(20, 4, generator=generator, dtype=torch.float64)
    log_var = torch.full_like(mean, 2 * math.log(0.3))
    one, two = (batch_terms(z, mean, log_var, 100, kind) for kind in ("in-batch", "weighted"))
    for before, after, multiple in zip(one, two, (1, 3, -4)):
        close((after - before).mean(), torch.tensor(multiple * math.log(100), dtype=torch.float64))


@pytest.mark.equation("eq-hoffman-johnson-2016-total-correlation")
def test_the_marginal_kl_splits_into_dependence_and_margins():
    generator = torch.Generator().manual_seed(4)
    mean = 1.2 * torch.randn(4, 2, generator=generator, dtype=torch.float64)
    log_var = torch.randn(4, 2, generator=generator, dtype=torch.float64) - 1
    line = torch.linspace(-9, 9, 601, dtype=torch.float64)
    step = (line[1] - line[0]).item()
    each = Normal(mean.T.unsqueeze(-1), torch.exp(0.5 * log_var).T.unsqueeze(-1)).log_prob(line)  # (2, N, line)
    joint = torch.logsumexp(each[0].unsqueeze(-1) + each[1].unsqueeze(-2), 0) - math.log(4)  # (line, line)
    margins = torch.logsumexp(each, 1) - math.log(4)  # (2, line)
    prior = Normal(torch.zeros((), dtype=torch.float64), 1.0).log_prob(line)
    product, prior_product = (a.unsqueeze(-1) + b for a, b in ((margins[0], margins[1]), (prior, prior)))
    correlation = (joint.exp() * (joint - product)).sum() * step**2
    margin_kl = (margins.exp() * (margins - prior)).sum(1) * step
    close(correlation + margin_kl.sum(), (joint.exp() * (joint - prior_product)).sum() * step**2)
    found = dependence(mean, log_var, generator=generator, codes=20_000)
    assert abs(found.total_correlation - correlation) < 4.5 * found.total_correlation.standard_error
    for estimate, exact in zip(found.dimension_kl, margin_kl):
        assert abs(estimate - exact) < 4.5 * estimate.standard_error


@pytest.mark.equation("eq-hoffman-johnson-2016-new-prior")
def test_what_a_new_prior_gains(world):
    centre = under(world, world.log_aggregate, world.grid)
    spread = under(world, world.log_aggregate, (world.grid - centre).square()).sqrt()
    for log_new in (Normal(centre, spread).log_prob(world.grid), world.log_aggregate):
        gain = under(world, world.log_aggregate, log_new - world.log_prior)
        before = under(world, world.log_q, world.log_likelihood + world.log_prior - world.log_q).mean()
        after = under(world, world.log_q, world.log_likelihood + log_new - world.log_q).mean()
        remaining = under(world, world.log_aggregate, world.log_aggregate - log_new)
        close(after - before, gain)
        close(marginal_kl(world) - remaining, gain)
        assert gain <= marginal_kl(world) + 1e-9
    close(gain, marginal_kl(world))  # the aggregated posterior as its own prior
