"""Every estimate of the evidence against quadrature, and against the exact evidence of the linear-Gaussian model."""

import math
from functools import partial

import pytest
import torch
from scipy import stats
from torch import distributions as dist

from elbo.densities import mvn_log_prob
from elbo.estimators import marginal_likelihood as ml
from elbo.estimators.bounds import importance_weighted_bound
from elbo.models import linear_gaussian as lg
from elbo.models.vae import VAE

BATCH = 3


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def randn(*shape, seed=0):
    return torch.randn(shape, generator=rng(seed), dtype=torch.float64)


@pytest.fixture(scope="module")
def vae():
    """A small VAE whose posteriors are not Gaussian, with log p(x) on a grid: (log_joint, a proposal, exact)."""
    model = VAE(6, 5, 2)
    params = model.init(rng(3), 1.2, torch.float64)
    x = torch.tensor([[0, 1, 1, 0, 1, 0], [1, 1, 0, 0, 0, 1], [0, 0, 0, 1, 1, 1]], dtype=torch.float64)
    line = torch.linspace(-8, 8, 401, dtype=torch.float64)
    grid = torch.cartesian_prod(line, line).unsqueeze(1)  # (points, 1, 2)
    values = model.log_joint(params, x, grid.expand(-1, BATCH, -1))
    exact = torch.logsumexp(values, 0) + 2 * math.log(line[1] - line[0])
    mean = 0.3 * randn(BATCH, 2, seed=1)
    return partial(model.log_joint, params, x), ml.Gaussian.diagonal(mean, torch.zeros_like(mean)), exact


@pytest.fixture(scope="module")
def linear():
    model = lg.random_model(5, 2, rng(5))
    x, _ = lg.sample(model, BATCH, rng(6))
    mean, cov = lg.posterior(model, x)
    posterior = ml.Gaussian(mean, torch.linalg.cholesky(cov).expand(BATCH, 2, 2))
    return partial(lg.log_joint, model, x), posterior, lg.log_evidence(model, x)


def agrees(found, exact, errors=4, power=0.1):
    assert found.log_evidence.shape == found.standard_error.shape == found.effective_size.shape == exact.shape
    assert (found.standard_error < power).all(), "the test has no power"
    gap = found.log_evidence - exact - found.bias
    assert (gap.abs() < errors * found.standard_error).all(), gap / found.standard_error


def estimates(log_joint, proposal):
    """Every estimate that needs no exact posterior draw."""
    start = randn(20, BATCH, 2, seed=7)
    options = {"warmup": 60, "generator": rng(8)}
    yield "importance", ml.importance(log_joint, proposal, draws=20_000, generator=rng(9))
    yield "gelfand_dey", ml.gelfand_dey(log_joint, start, draws=60, **options)
    yield "truncated", ml.gelfand_dey(log_joint, start, draws=60, mass=0.8, **options)
    yield "fitted", ml.fitted_importance(log_joint, start, draws=5_000, **options)
    path = ml.sigmoid_temperatures(25)
    base = ml.Gaussian.standard(BATCH, 2, start)
    schedule = ml.tune_schedule(log_joint, base, path, generator=rng(10), leapfrog_steps=3)
    yield "ais", ml.ais(log_joint, schedule, chains=300, generator=rng(11))


def test_every_estimate_against_quadrature(vae):
    log_joint, proposal, exact = vae
    for name, found in estimates(log_joint, proposal):
        agrees(found, exact)
        assert (found.effective_size > 100).all(), name
        assert found.bound == ("upper" if name in ("gelfand_dey", "truncated") else "lower")


def test_every_estimate_against_the_exact_evidence_of_the_linear_gaussian_model(linear):
    log_joint, posterior, exact = linear
    wide = posterior._replace(chol=1.3 * posterior.chol)
    for _, found in estimates(log_joint, wide):
        agrees(found, exact)


def test_at_the_exact_posterior_importance_weights_do_not_vary(linear):
    log_joint, posterior, exact = linear
    found = ml.importance(log_joint, posterior, draws=10, generator=rng())
    torch.testing.assert_close(found.log_weights, exact.expand(10, -1), rtol=0, atol=1e-10)
    torch.testing.assert_close(found.effective_size, torch.full_like(exact, 10.0))


def test_importance_is_the_importance_weighted_bound(vae, monkeypatch):
    """The same noise, the same number and error, in chunks that do not divide the draws."""
    log_joint, encoder, _ = vae
    from elbo.estimators.marginal_likelihood import weighted as module

    monkeypatch.setattr(module, "CHUNK", 7)
    found = module.importance(log_joint, encoder, draws=20, generator=rng(1))
    generator = rng(1)
    noise = torch.cat([torch.randn(n, BATCH, 2, generator=generator, dtype=torch.float64) for n in (7, 7, 6)])
    log_var = 2 * encoder.chol.diagonal(dim1=-2, dim2=-1).log()
    bound = importance_weighted_bound(log_joint, encoder.mean, log_var, noise)
    torch.testing.assert_close(found.log_evidence, bound.value)
    torch.testing.assert_close(found.standard_error, bound.standard_error)


def test_weights_by_hand():
    weights = torch.tensor([[1.0, 2.0], [3.0, 2.0], [2.0, 2.0]], dtype=torch.float64)
    lower, upper = (ml.Evidence.from_weights(weights.log(), bound) for bound in ("lower", "upper"))
    torch.testing.assert_close(lower.log_evidence, torch.full((2,), math.log(2), dtype=torch.float64))
    assert torch.equal(upper.log_evidence, -lower.log_evidence)
    torch.testing.assert_close(lower.standard_error, torch.tensor([0.5 / 3**0.5, 0.0], dtype=torch.float64))
    torch.testing.assert_close(lower.effective_size, torch.tensor([36 / 14, 3.0], dtype=torch.float64))
    assert lower.bias[0] < 0 < upper.bias[0]
    half = ml.Evidence.from_weights(weights.log(), worth=0.5)
    torch.testing.assert_close(half.standard_error, lower.standard_error * 2**0.5)
    with pytest.raises(ValueError, match="at least two draws"):
        ml.Evidence.from_weights(weights[:1])


def test_the_claimed_error_is_the_spread_and_the_bias_is_jensens():
    """Many repetitions of a small estimate, log-normal weights of mean one: mean and spread of the log of the mean."""
    log_weights = 0.5 * randn(50, 20_000, seed=2) - 0.125
    for bound in ("lower", "upper"):
        found = ml.Evidence.from_weights(log_weights, bound)
        spread = found.log_evidence.std()
        assert abs(found.standard_error.square().mean().sqrt() / spread - 1) < 0.03
        assert abs(found.log_evidence.mean() - found.bias.mean()) < 4 * spread / math.sqrt(20_000) + 3e-4
        assert found.log_evidence.mean() * found.bias.mean() > 0


def test_the_error_of_gelfand_dey_allows_for_the_chain(linear):
    """Independent repetitions, as a batch of the same datum, of chains that move slowly: their spread is what each
    claims, and well above what independent weights would have."""
    log_joint, _, exact = linear
    repeats = 120
    log_one = lambda z: log_joint(z[..., None, :].expand(*z.shape[:-1], BATCH, 2))[..., 0]  # noqa: E731
    start = randn(4, repeats, 2, seed=3)
    found = ml.gelfand_dey(log_one, start, draws=250, warmup=60, generator=rng(4), leapfrog_steps=1)
    spread = found.log_evidence.std()
    naive = ml.Evidence.from_weights(found.log_weights, "upper")
    assert 0.75 < spread / found.standard_error.square().mean().sqrt() < 1.33  # the spread itself is known to 7 %
    assert spread > 1.5 * naive.standard_error.square().mean().sqrt()
    gap = found.log_evidence.mean() - exact[0]
    assert abs(gap - found.bias.mean()) < 4 * found.log_evidence.std() / math.sqrt(repeats)
    assert (found.acceptance - 0.9).abs().mean() < 0.08
    assert (found.effective_size < 0.5 * naive.effective_size).double().mean() > 0.9


def test_gaussian_against_torch(linear):
    _, posterior, _ = linear
    z = randn(7, BATCH, 2)
    theirs = dist.MultivariateNormal(posterior.mean, scale_tril=posterior.chol).log_prob(z)
    torch.testing.assert_close(posterior.log_prob(z), theirs)
    draws = posterior.sample(randn(50_000, BATCH, 2, seed=4))
    fitted = ml.Gaussian.fit(draws)
    torch.testing.assert_close(fitted.mean, draws.mean(0))
    torch.testing.assert_close(fitted.chol[1] @ fitted.chol[1].T, torch.cov(draws[:, 1].T))
    with pytest.raises(ValueError, match="do not determine a Gaussian in 2 dimensions"):
        ml.Gaussian.fit(draws[:2])


def test_the_cut_weights_have_mean_one_and_are_bounded():
    """A density three times as wide in variance as the posterior: uncut, the variance of its weights is infinite."""
    from elbo.estimators.marginal_likelihood.posterior import reciprocal_log_weights

    q = ml.Gaussian.diagonal(torch.zeros(1, 1).double(), torch.full((1, 1), math.log(3)).double())
    z = randn(200_000, 1, 1)
    log_p = mvn_log_prob(z, torch.zeros(1).double(), torch.eye(1).double())
    cut = reciprocal_log_weights(q, z, log_p, 0.7)
    ceiling = stats.chi2.ppf(0.7, 1) - 0.5 * math.log(3) - math.log(0.7)
    assert ceiling - 0.01 < cut.max() <= ceiling and cut.min() == -math.inf
    assert abs(cut.exp().mean() - 1) < 4 * cut.exp().std() / math.sqrt(200_000)
    assert reciprocal_log_weights(q, z, log_p).max() > ceiling + 3


# ---- annealing ----


def test_temperatures():
    path = torch.tensor(ml.sigmoid_temperatures(10, 4.0), dtype=torch.float64)
    assert path[0] == 0 and path[-1] == 1 and (path.diff() > 0).all()
    torch.testing.assert_close(path + path.flip(0), torch.ones_like(path))
    logistic = stats.logistic.cdf(4.0 * (2 * 3 / 10 - 1))
    ends = stats.logistic.cdf(-4.0), stats.logistic.cdf(4.0)
    assert path[3] == pytest.approx((logistic - ends[0]) / (ends[1] - ends[0]), abs=1e-12)
    with pytest.raises(ValueError, match="count must be at least 1"):
        ml.sigmoid_temperatures(0)


@pytest.fixture(scope="module")
def short(linear):
    """A path of few temperatures, so that both bounds are loose enough to be told from the evidence."""
    log_joint, _, _ = linear
    base = ml.Gaussian.standard(BATCH, 2, randn(1))
    return ml.tune_schedule(log_joint, base, ml.sigmoid_temperatures(10), generator=rng(1), leapfrog_steps=2)


def test_forward_is_below_and_reverse_above(linear, short):
    """One chain an estimate: the mean of log w is below, reversed above."""
    log_joint, posterior, exact = linear
    chains = 4000
    forward = ml.ais(log_joint, short, chains=chains, generator=rng(2))
    start = posterior.sample(randn(chains, BATCH, 2, seed=3))
    reverse = ml.ais_reverse(log_joint, start, short, generator=rng(4))
    below, above = forward.log_weights, -reverse.log_weights
    for single, sign in ((below, -1), (above, 1)):
        error = single.std(0) / math.sqrt(chains)
        assert (sign * (single.mean(0) - exact) > 10 * error).all()
    agrees(forward, exact)


def test_a_longer_path_brings_the_bounds_together(linear, short):
    """And there the mean weight, which is unbiased on any path, is right from either side."""
    log_joint, posterior, exact = linear
    path = ml.sigmoid_temperatures(60)
    long = ml.tune_schedule(log_joint, short.base, path, generator=rng(1), leapfrog_steps=2)
    start = posterior.sample(randn(500, BATCH, 2, seed=3))
    gaps = []
    for schedule in (short, long):
        forward = ml.ais(log_joint, schedule, chains=500, generator=rng(2))
        reverse = ml.ais_reverse(log_joint, start, schedule, generator=rng(3))
        gaps.append(-(reverse.log_weights + forward.log_weights).mean(0))
    assert (gaps[1] < 0.4 * gaps[0]).all()
    agrees(forward, exact)
    agrees(reverse, exact)
    assert ((reverse.acceptance - forward.acceptance).abs() < 0.02).all()  # the same moves in the other order


def test_step_sizes_are_tuned_to_the_acceptance_and_then_frozen(linear):
    log_joint, _, _ = linear
    base = ml.Gaussian.standard(BATCH, 2, randn(1))
    path = ml.sigmoid_temperatures(20)
    schedule = ml.tune_schedule(log_joint, base, path, generator=rng(1), target_accept=0.9, chains=20)
    before = schedule.step_size.clone()
    found = ml.ais(log_joint, schedule, chains=200, generator=rng(2))
    assert torch.equal(schedule.step_size, before) and before.shape == (19, BATCH)
    assert ((found.acceptance - 0.9).abs() < 0.05).all()
    assert (before[-1] < before[0]).all()  # the posterior is narrower than the prior
    with pytest.raises(ValueError, match="temperatures must rise from 0 to 1"):
        ml.tune_schedule(log_joint, base, (0.0, 0.6, 0.5, 1.0), generator=rng(1))


def test_from_the_exact_posterior_annealing_has_nothing_to_do(linear):
    """With the base at the posterior every weight is the evidence itself, whatever the moves."""
    log_joint, posterior, exact = linear
    schedule = ml.tune_schedule(log_joint, posterior, ml.sigmoid_temperatures(4), generator=rng(1))
    found = ml.ais(log_joint, schedule, chains=5, generator=rng(2))
    torch.testing.assert_close(found.log_weights, exact.expand(5, -1), rtol=0, atol=1e-10)


def test_dreamed_data_are_bracketed():
    """Simulated data of a VAE: quadrature between the bounds on average over data."""
    model = VAE(6, 5, 2)
    params = model.init(rng(3), 1.2, torch.float64)
    found = ml.bidirectional(model, params, count=40, chains=10, generator=rng(5), temperatures=8, leapfrog_steps=2)
    line = torch.linspace(-7, 7, 141, dtype=torch.float64)
    grid = torch.cartesian_prod(line, line).unsqueeze(1).expand(-1, 40, -1)
    exact = torch.logsumexp(model.log_joint(params, found.x, grid), 0) + 2 * math.log(line[1] - line[0])
    for gap in (exact - found.lower.log_evidence, found.upper.log_evidence - exact):
        assert gap.mean() > -3 * gap.std() / math.sqrt(40)
    width = found.upper.log_evidence - found.lower.log_evidence
    assert 0 < width.mean() < 0.5
    assert found.z.shape == (40, 2) and found.x.shape == (40, 6)


# ---- where appendix D breaks down ----


def test_the_second_moment_is_that_of_the_weights():
    """exp(D_2) against a plain average, for fits whose weights vary little enough to see it."""
    found = ml.reciprocal_breakdown(2, draws=2000, repeats=200, generator=rng(1))
    fraction = torch.exp(-found.log_second_moment)  # of weights that are effective, in the limit
    torch.testing.assert_close(found.effective_fraction.mean(), fraction.mean(), rtol=2e-4, atol=0)
    torch.testing.assert_close(found.error.std(), found.standard_error.square().mean().sqrt(), rtol=0.2, atol=0)


def test_appendix_d_breaks_down_as_the_dimension_grows():
    dims = (2, 5, 10, 20, 40)
    runs = {dim: ml.reciprocal_breakdown(dim, draws=50, repeats=300, generator=rng(dim)) for dim in dims}
    fraction = [runs[dim].effective_fraction.median() for dim in dims]
    spread = [runs[dim].error.square().mean().sqrt() for dim in dims]
    infinite = [runs[dim].log_second_moment.isinf().double().mean() for dim in dims]
    assert all(a > b for a, b in zip(fraction, fraction[1:])) and fraction[0] > 0.9 and fraction[3] < 0.2
    assert all(a < b for a, b in zip(spread, spread[1:])) and spread[4] > 5
    assert infinite[0] < 0.05 and infinite[3] > 0.9 and infinite[4] == 1
    high = runs[40]
    assert (high.error > 3 * high.standard_error).double().mean() > 0.9  # and the claimed error does not know


def test_the_widest_direction_of_a_fit_is_that_of_marchenko_and_pastur():
    found = ml.reciprocal_breakdown(100, draws=500, repeats=10, generator=rng(1))
    assert found.widest.mean() == pytest.approx((1 + math.sqrt(100 / 500)) ** 2, rel=0.04)


def test_wrong_arguments_are_refused(linear):
    log_joint, _, _ = linear
    start = randn(2, BATCH, 2)
    options = {"draws": 4, "warmup": 2, "generator": rng()}
    with pytest.raises(ValueError, match=r"initial must be \(chains, batch, D\)"):
        ml.gelfand_dey(log_joint, start[0], **options)
    with pytest.raises(ValueError, match="mass must lie between 0 and 1"):
        ml.gelfand_dey(log_joint, start, mass=1.5, **options)
