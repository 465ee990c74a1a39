"""Expectation propagation: exact on Gaussians, against quadrature elsewhere, and honest where it fails."""

import math

import pytest
import torch

from elbo.densities import mvn_log_prob
from elbo.inference import ep


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def regression(n=12, dim=3, noise_var=0.3):
    design = torch.randn(n, dim, generator=rng(), dtype=torch.float64)
    z = torch.randn(dim, generator=rng(1), dtype=torch.float64)
    y = design @ z + noise_var**0.5 * torch.randn(n, generator=rng(2), dtype=torch.float64)
    prior_mean = torch.tensor([0.5, -1.0, 0.0], dtype=torch.float64)
    prior_cov = torch.diag(torch.tensor([1.0, 2.0, 0.5], dtype=torch.float64))
    return design, y, noise_var, prior_mean, prior_cov


@pytest.mark.parametrize("power", [1.0, 0.4])
def test_exact_on_gaussian_factors(power):
    """Linear regression: posterior and evidence of the joint Gaussian, whatever the power."""
    design, y, noise_var, prior_mean, prior_cov = regression()
    fit = ep.run(ep.linear_sites(design, y, noise_var), prior_mean, prior_cov, len(y), power=power)
    marginal = design @ prior_cov @ design.T + noise_var * torch.eye(len(y), dtype=torch.float64)
    gain = torch.linalg.solve(marginal, design @ prior_cov).T
    torch.testing.assert_close(fit.mean, prior_mean + gain @ (y - design @ prior_mean), rtol=0, atol=1e-10)
    torch.testing.assert_close(fit.cov, prior_cov - gain @ design @ prior_cov, rtol=0, atol=1e-10)
    assert fit.log_evidence.item() == pytest.approx(mvn_log_prob(y, design @ prior_mean, marginal).item(), abs=1e-10)
    assert fit.converged and fit.negative_sites == 0 and len(fit.change) <= 3


def test_diagonal_family_matches_marginal_moments():
    """One site that holds the whole of a correlated Gaussian: the inclusive projection has its marginal variances."""
    cov = torch.tensor([[1.0, 0.9], [0.9, 1.0]], dtype=torch.float64)
    mean = torch.tensor([1.0, -1.0], dtype=torch.float64)
    prior_cov = 4 * torch.eye(2, dtype=torch.float64)
    precision = torch.linalg.inv(cov)
    tilted = ep.gaussian_sites((precision @ mean)[None], (precision - torch.linalg.inv(prior_cov))[None])
    fit = ep.run(tilted, torch.zeros(2, dtype=torch.float64), prior_cov, 1, diagonal=True)
    torch.testing.assert_close(fit.mean, mean, rtol=0, atol=1e-10)
    torch.testing.assert_close(fit.cov, torch.eye(2, dtype=torch.float64), rtol=0, atol=1e-10)


def clutter(n=20, w=0.5, a=10.0, seed=0):
    generator = rng(seed)
    x = 2 + torch.randn(n, 1, generator=generator, dtype=torch.float64)
    noise = a**0.5 * torch.randn(n, 1, generator=generator, dtype=torch.float64)
    return torch.where(torch.rand(n, 1, generator=generator, dtype=torch.float64) < w, noise, x)


def clutter_log_factor(x, w=0.5, a=10.0):
    def log_factor(z):
        signal = math.log(1 - w) - 0.5 * ((x - z).square() + math.log(2 * math.pi))
        noise = math.log(w) - 0.5 * (x.square() / a + math.log(2 * math.pi * a))
        return torch.logaddexp(signal, noise)

    return log_factor


ONE = torch.ones(1, dtype=torch.float64)
PRIOR = (0 * ONE, 100 * ONE[:, None])


def exact_clutter(x):
    grid = torch.linspace(-120, 120, 60001, dtype=torch.float64)
    log_prior = -0.5 * (grid.square() / 100 + math.log(200 * math.pi))
    log_p = clutter_log_factor(x)(grid.expand(len(x), -1)).sum(0) + log_prior
    log_p = log_p + math.log(240 / 60000)
    log_z = log_p.logsumexp(0)
    p = torch.exp(log_p - log_z)
    mean = (p * grid).sum()
    return log_z.item(), mean.item(), (p * (grid - mean).square()).sum().sqrt().item()


def test_clutter_against_quadrature():
    """Minka's problem: EP's mean, deviation and evidence are close to the integral, though none is exact."""
    x = clutter()
    fit = ep.run(ep.clutter_sites(x, 0.5, 10.0), *PRIOR, len(x), damping=0.5)
    log_z, mean, sd = exact_clutter(x)
    assert fit.converged
    assert fit.negative_sites > 0  # outliers pull mass apart: kept, not hidden
    assert abs(fit.mean.item() - mean) < 0.05 * sd
    assert fit.cov.sqrt().item() == pytest.approx(sd, rel=0.05)
    assert 1e-6 < abs(fit.log_evidence.item() - log_z) < 0.1


def test_the_fixed_point_matches_tilted_moments():
    """What defines EP: at rest, every tilted distribution (by quadrature) has the moments of the approximation."""
    x = clutter()
    fit = ep.run(ep.clutter_sites(x, 0.5, 10.0), *PRIOR, len(x), damping=0.5)
    prior = ep.Sites(0 * ONE, 0.01 * ONE[:, None])
    mean, cov, proper = ep.cavities(prior, fit.sites)
    assert proper.all()
    grid = torch.linspace(-40, 40, 40001, dtype=torch.float64)
    log_tilted = clutter_log_factor(x)(grid.expand(len(x), -1)) - 0.5 * (grid - mean).square() / cov[:, 0]
    weight = torch.softmax(log_tilted, -1)
    tilted_mean = (weight * grid).sum(-1)
    tilted_var = (weight * (grid - tilted_mean[:, None]).square()).sum(-1)
    torch.testing.assert_close(tilted_mean, fit.mean.expand(len(x)), rtol=0, atol=1e-8)
    torch.testing.assert_close(tilted_var, fit.cov[0].expand(len(x)), rtol=0, atol=1e-8)


@pytest.mark.equation("eq-blei-2017-site-update")
def test_site_update_restores_the_matched_moments():
    """One undamped update from empty sites: cavity (the prior) times the new site has the tilted moments, by
    quadrature."""
    x = clutter(n=1, seed=3)
    fit = ep.run(ep.clutter_sites(x, 0.5, 10.0), *PRIOR, 1, max_sweeps=1)
    _, mean, sd = exact_clutter(x)
    assert fit.mean.item() == pytest.approx(mean, abs=1e-9)
    assert fit.cov.sqrt().item() == pytest.approx(sd, abs=1e-9)
    assert fit.sites.precision.item() == pytest.approx(1 / sd**2 - 0.01, abs=1e-12)
    assert fit.sites.shift.item() == pytest.approx(mean / sd**2, abs=1e-12)


def test_clutter_in_two_dimensions_against_quadrature():
    x = torch.cat([clutter(seed=4), clutter(seed=5) - 2], 1)
    eye = torch.eye(2, dtype=torch.float64)
    fit = ep.run(ep.clutter_sites(x, 0.3, 10.0), torch.zeros(2, dtype=torch.float64), 100 * eye, len(x), damping=0.5)
    axis = torch.linspace(-6, 6, 601, dtype=torch.float64)
    grid = torch.cartesian_prod(axis, axis)
    log_p = mvn_log_prob(grid, torch.zeros(2, dtype=torch.float64), 100 * eye)
    for point in x:
        clutter_density = math.log(0.3) + mvn_log_prob(point, 0 * point, 10 * eye)
        log_p = log_p + torch.logaddexp(math.log(0.7) + mvn_log_prob(grid, point, eye), clutter_density)
    p = torch.softmax(log_p, 0)
    mean = p @ grid
    cov = torch.einsum("n,nd,ne->de", p, grid - mean, grid - mean)
    assert fit.converged
    assert ((fit.mean - mean).abs() < 0.1 * cov.diagonal().sqrt()).all()
    torch.testing.assert_close(fit.cov.diagonal(), cov.diagonal(), rtol=0.1, atol=0)
    assert fit.log_evidence.item() == pytest.approx((log_p.logsumexp(0) + 2 * math.log(12 / 600)).item(), abs=0.1)


def probit():
    design = torch.cat([torch.ones(15, 1), torch.randn(15, 1, generator=rng(3))], 1).double()
    noise = torch.randn(15, generator=rng(6), dtype=torch.float64)
    noisy = design @ torch.tensor([0.3, 1.0], dtype=torch.float64) + noise
    labels = torch.where(noisy > 0, 1.0, -1.0).double()
    return design, labels


def test_probit_against_quadrature():
    design, labels = probit()
    prior_cov = 2 * torch.eye(2, dtype=torch.float64)
    fit = ep.run(ep.probit_sites(design, labels), torch.zeros(2, dtype=torch.float64), prior_cov, len(labels))
    axis = torch.linspace(-9, 9, 901, dtype=torch.float64)
    grid = torch.cartesian_prod(axis, axis)
    log_p = torch.special.log_ndtr(labels * (grid @ design.T)).sum(-1) + mvn_log_prob(grid, 0 * grid[0], prior_cov)
    p = torch.softmax(log_p, 0)
    mean = p @ grid
    cov = torch.einsum("n,nd,ne->de", p, grid - mean, grid - mean)
    assert fit.converged and fit.negative_sites == 0  # log-concave factors
    torch.testing.assert_close(fit.mean, mean, rtol=0, atol=0.02)
    torch.testing.assert_close(fit.cov, cov, rtol=0, atol=0.03)
    assert fit.log_evidence.item() == pytest.approx((log_p.logsumexp(0) + 2 * math.log(18 / 900)).item(), abs=0.01)


def test_quadrature_sites_agree_with_the_closed_forms():
    design, labels = probit()
    prior = torch.zeros(2, dtype=torch.float64), 2 * torch.eye(2, dtype=torch.float64)
    closed = ep.run(ep.probit_sites(design, labels), *prior, len(labels))
    numeric = ep.run(
        ep.quadrature_sites(lambda s: torch.special.log_ndtr(labels[:, None] * s), design), *prior, len(labels)
    )
    torch.testing.assert_close(closed.mean, numeric.mean, rtol=0, atol=1e-9)
    torch.testing.assert_close(closed.cov, numeric.cov, rtol=0, atol=1e-9)
    assert closed.log_evidence.item() == pytest.approx(numeric.log_evidence.item(), abs=1e-9)
    x = clutter()
    closed = ep.run(ep.clutter_sites(x, 0.5, 10.0), *PRIOR, len(x), damping=0.5)
    numeric = ep.run(ep.quadrature_sites(clutter_log_factor(x), torch.ones_like(x)), *PRIOR, len(x), damping=0.5)
    torch.testing.assert_close(closed.mean, numeric.mean, rtol=0, atol=1e-8)
    assert closed.log_evidence.item() == pytest.approx(numeric.log_evidence.item(), abs=1e-8)


def gaussian_elbo(log_factor, count, parameters):
    """ELBO of a one-dimensional Gaussian, with the prior N(0, 100), by the trapezoid rule."""
    mean, log_sd = parameters
    unit = torch.linspace(-8, 8, 801, dtype=torch.float64)
    weight = torch.exp(-0.5 * unit.square()) / math.sqrt(2 * math.pi) * 16 / 800
    z = mean + log_sd.exp() * unit
    energy = log_factor(z.expand(count, -1)).sum(0) - 0.5 * (z.square() / 100 + math.log(200 * math.pi))
    return (weight * energy).sum() + log_sd + 0.5 * math.log(2 * math.pi * math.e)


def test_small_power_is_variational_bayes():
    """As the power goes to zero, power EP goes to the optimum of the ELBO, and its evidence to the bound, at first
    order."""
    x = clutter()
    log_factor = clutter_log_factor(x)
    parameters = torch.tensor([2.0, -1.0], dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.LBFGS(
        [parameters], max_iter=200, tolerance_grad=1e-12, tolerance_change=1e-14, line_search_fn="strong_wolfe"
    )

    def closure():
        optimiser.zero_grad()
        loss = -gaussian_elbo(log_factor, len(x), parameters)
        loss.backward()
        return loss

    optimiser.step(closure)
    best = gaussian_elbo(log_factor, len(x), parameters).item()
    gaps = []
    for power in (0.02, 0.01):
        sites = ep.quadrature_sites(log_factor, torch.ones_like(x))
        fit = ep.run(sites, *PRIOR, len(x), power=power, damping=0.5, max_sweeps=500, tol=1e-9)
        assert fit.converged
        gaps.append(
            (
                fit.mean.item() - parameters[0].item(),
                fit.cov.sqrt().item() - parameters[1].exp().item(),
                fit.log_evidence.item() - best,
            )
        )
    for coarse, fine in zip(*gaps):
        assert abs(fine) < 0.01
        assert coarse / fine == pytest.approx(2, rel=0.05)


def test_an_improper_tilted_distribution_is_skipped_and_reported():
    """A factor that grows faster than the prior falls has no Gaussian moments: EP leaves it out, says so, and has not
    converged."""
    factors = ep.gaussian_sites(0 * ONE.expand(2, 1), torch.tensor([-2.0, 0.5], dtype=torch.float64).reshape(2, 1, 1))
    fit = ep.run(factors, 0 * ONE, ONE[:, None], 2, max_sweeps=5)
    assert not fit.converged and fit.skipped == 5
    assert fit.cov.item() == pytest.approx(1 / 1.5, abs=1e-12)  # the other site is in place
    assert fit.log_evidence.isnan()


def test_a_step_that_breaks_the_sum_is_halved():
    """Two factors of precision -0.6 against a prior of 1: each product is proper, the sum of both is not."""
    factors = ep.gaussian_sites(0 * ONE.expand(2, 1), torch.full((2, 1, 1), -0.6, dtype=torch.float64))
    fit = ep.run(factors, 0 * ONE, ONE[:, None], 2, max_sweeps=1)
    assert fit.cov.item() == pytest.approx(1 / (1 - 0.6), abs=1e-12)  # half a step: both sites at -0.3
    assert not fit.converged


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: ep.run(ep.clutter_sites(clutter(), 0.5, 10.0), *PRIOR, 20, damping=0), "damping"),
        (lambda: ep.run(ep.clutter_sites(clutter(), 0.5, 10.0), *PRIOR, 20, power=0.5), "quadrature_sites"),
        (lambda: ep.run(ep.clutter_sites(clutter(), 0.5, 10.0), *PRIOR, 0), "num_sites"),
        (lambda: ep.run(ep.clutter_sites(clutter() * math.nan, 0.5, 10.0), *PRIOR, 20), "nan"),
        (lambda: ep.run(None, torch.zeros(2), torch.tensor([[1.0, 0.5], [0.5, 1.0]]), 1, diagonal=True), "diagonal"),
        (lambda: ep.clutter_sites(clutter(), 1.5, 10.0), "weight"),
        (lambda: ep.probit_sites(torch.ones(2, 1), torch.tensor([0.0, 1.0])), "2 \\* labels - 1"),
    ],
)
def test_wrong_input_is_named(call, sentence):
    with pytest.raises(ValueError, match=sentence):
        call()
