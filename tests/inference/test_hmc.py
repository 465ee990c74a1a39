"""Hamiltonian Monte Carlo: the integrator by its invariants, the sampler by moments, calibration and its errors."""

import math

import pytest
import torch
from scipy import stats

from elbo.densities import mvn_log_prob
from elbo.inference import diagnostics, hmc

COV = torch.tensor([[1.0, 0.9, 0.0], [0.9, 1.0, 0.3], [0.0, 0.3, 2.0]], dtype=torch.float64)
MEAN = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)


def gaussian(z):
    return mvn_log_prob(z, MEAN, COV)


def quartic(z):
    """A target that is not Gaussian, so that no quadratic accident hides an error of the integrator."""
    return -0.25 * z.pow(4).sum(-1) - 0.5 * (z[:, 0] * z[:, 1]).square()


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def begin(log_prob, chains, dim, seed=0):
    z = torch.randn(chains, dim, generator=rng(seed), dtype=torch.float64)
    momentum = torch.randn(chains, dim, generator=rng(seed + 1), dtype=torch.float64)
    return hmc.start(log_prob, z), momentum


def energy(state, momentum):
    return -state.log_prob + 0.5 * momentum.square().sum(-1)


@pytest.mark.parametrize("target", [gaussian, quartic])
def test_leapfrog_is_reversible(target):
    state, momentum = begin(target, 16, 3)
    step_size = torch.linspace(0.01, 0.15, 16, dtype=torch.float64)
    there, end = hmc.leapfrog(target, state, momentum, step_size, 25)
    back, start = hmc.leapfrog(target, there, -end, step_size, 25)
    assert (there.z - state.z).norm() > 1  # it went somewhere
    torch.testing.assert_close(back.z, state.z, rtol=0, atol=1e-12)
    torch.testing.assert_close(-start, momentum, rtol=0, atol=1e-12)


def test_leapfrog_preserves_volume():
    state, momentum = begin(quartic, 1, 2)

    def flow(point):
        z, r = point[:2].unsqueeze(0), point[2:].unsqueeze(0)
        for _ in range(5):  # the same steps, differentiable
            for part in ("half", "full", "half"):
                if part == "full":
                    z = z + 0.1 * r
                else:
                    r = r + 0.05 * torch.autograd.grad(quartic(z).sum(), z, create_graph=True)[0]
        return torch.cat([z, r], -1).squeeze(0)

    point = torch.cat([state.z, momentum], -1).squeeze(0).requires_grad_()
    end, last = hmc.leapfrog(quartic, state, momentum, torch.tensor(0.1, dtype=torch.float64), 5)
    torch.testing.assert_close(flow(point).detach(), torch.cat([end.z, last], -1).squeeze(0), rtol=0, atol=1e-13)
    jacobian = torch.autograd.functional.jacobian(flow, point)
    assert torch.linalg.det(jacobian).item() == pytest.approx(1, abs=1e-12)


@pytest.mark.equation("eq-blei-2017-leapfrog")
def test_energy_error_is_of_second_order():
    """Halving the step at fixed trajectory length divides the energy error by four."""
    state, momentum = begin(quartic, 64, 3)
    errors = []
    for halvings in (2, 3, 4, 5):
        step_size = torch.tensor(0.4 / 2**halvings, dtype=torch.float64)
        end, last = hmc.leapfrog(quartic, state, momentum, step_size, 2 * 2**halvings)
        errors.append((energy(end, last) - energy(state, momentum)).abs().mean())
    ratios = torch.stack(errors[:-1]) / torch.stack(errors[1:])
    torch.testing.assert_close(ratios[1:], torch.full((2,), 4.0, dtype=torch.float64), rtol=0.02, atol=0)


@pytest.mark.equation("eq-blei-2017-metropolis")
def test_acceptance_is_the_metropolis_ratio():
    state, _ = begin(gaussian, 5, 3)
    step_size = torch.tensor(0.5, dtype=torch.float64)
    _, info = hmc.step(gaussian, state, step_size, 3, rng(7))
    momentum = torch.randn(5, 3, generator=rng(7), dtype=torch.float64)
    end, last = hmc.leapfrog(gaussian, state, momentum, step_size, 3)
    ratio = torch.exp(energy(state, momentum) - energy(end, last))
    torch.testing.assert_close(info.accept_prob, ratio.clamp(max=1), rtol=1e-12, atol=0)
    assert (info.accept_prob < 0.999).any()


def test_moments_of_a_correlated_gaussian():
    run = hmc.sample(
        gaussian, torch.zeros(8, 3, dtype=torch.float64), draws=1500, warmup=200, leapfrog_steps=8, generator=rng()
    )
    assert (diagnostics.split_rhat(run.z) < 1.01).all()
    mean, se = run.z.mean((0, 1)), diagnostics.standard_error(run.z)
    assert ((mean - MEAN).abs() < 4 * se).all() and (se < 0.05).all()
    products = torch.einsum("cti,ctj->ctij", run.z - MEAN, run.z - MEAN).flatten(2)
    second, se = products.mean((0, 1)), diagnostics.standard_error(products)
    assert ((second - COV.flatten()).abs() < 4 * se).all() and (se < 0.1).all()


def test_without_the_metropolis_correction_the_moments_would_be_wrong():
    """At this step size the discretisation alone inflates the variance to 1 / (1 - eps^2 / 4); the correction removes
    it."""
    step_size = 1.2

    def target(z):
        return -0.5 * z.square().sum(-1)

    run = hmc.sample(
        target,
        torch.zeros(32, 1, dtype=torch.float64),
        draws=1000,
        warmup=0,
        leapfrog_steps=3,
        generator=rng(),
        step_size=step_size,
        jitter=0,
    )
    squares = run.z[:, 50:].square()
    se = diagnostics.standard_error(squares)
    assert (squares.mean((0, 1)) - 1).abs() < 4 * se
    assert 1 / (1 - step_size**2 / 4) - 1 > 20 * se


@pytest.mark.parametrize("target_accept", [0.65, 0.9])
def test_adaptation_reaches_its_target_acceptance(target_accept):
    run = hmc.sample(
        quartic,
        torch.ones(16, 10, dtype=torch.float64),
        draws=200,
        warmup=400,
        leapfrog_steps=5,
        generator=rng(),
        target_accept=target_accept,
    )
    assert run.accept_prob.mean().item() == pytest.approx(target_accept, abs=0.04)
    assert (run.step_size == run.step_size[0]).all()


def test_own_step_size_for_chains_of_different_scale():
    """One target a chain, scales 0.1, 1 and 10: each chain's own step size follows its scale, and the moments are
    right."""
    scale = torch.tensor([0.1, 1.0, 10.0], dtype=torch.float64).repeat_interleave(8)

    def target(z):
        return -0.5 * (z / scale.unsqueeze(-1)).square().sum(-1)

    run = hmc.sample(
        target,
        torch.zeros(24, 4, dtype=torch.float64),
        draws=300,
        warmup=300,
        leapfrog_steps=4,
        generator=rng(),
        shared_step_size=False,
    )
    steps = (run.step_size / scale).log()
    assert steps.max() - steps.min() < math.log(2.5)
    for group in range(3):
        squares = (run.z[8 * group : 8 * group + 8] / scale[8 * group]).square()
        assert ((squares.mean((0, 1)) - 1).abs() < 4 * diagnostics.standard_error(squares)).all()


def test_a_chain_does_not_depend_on_its_company():
    """With a generator for each chain, three chains together equal each alone; with one generator, runs repeat
    exactly."""
    initial = torch.randn(3, 3, generator=rng(5), dtype=torch.float64)
    settings = dict(draws=20, warmup=0, leapfrog_steps=4, step_size=0.3)
    together = hmc.sample(gaussian, initial, generator=[rng(seed) for seed in range(3)], **settings)
    for seed in range(3):
        alone = hmc.sample(gaussian, initial[seed : seed + 1], generator=[rng(seed)], **settings)
        torch.testing.assert_close(alone.z[0], together.z[seed], rtol=0, atol=1e-12)
    first, second = (hmc.sample(gaussian, initial, generator=rng(1), **settings) for _ in range(2))
    assert torch.equal(first.z, second.z)


def test_continuing_a_run_equals_the_long_run():
    generator = rng(3)
    initial = torch.zeros(4, 3, dtype=torch.float64)
    settings = dict(warmup=0, leapfrog_steps=4, step_size=0.3)
    head = hmc.sample(gaussian, initial, draws=5, generator=generator, **settings)
    tail = hmc.sample(gaussian, head.last.z, draws=5, generator=generator, **settings)
    long = hmc.sample(gaussian, initial, draws=10, generator=rng(3), **settings)
    torch.testing.assert_close(torch.cat([head.z, tail.z], 1), long.z, rtol=0, atol=1e-12)


def test_thinning_keeps_every_second_draw():
    initial = torch.zeros(2, 3, dtype=torch.float64)
    settings = dict(warmup=0, leapfrog_steps=3, step_size=0.3)
    thinned = hmc.sample(gaussian, initial, draws=5, thin=2, generator=rng(), **settings)
    full = hmc.sample(gaussian, initial, draws=10, generator=rng(), **settings)
    assert torch.equal(thinned.z, full.z[:, 1::2])
    assert thinned.gradients == full.gradients == 30


def test_walls_and_nan_are_rejected_and_counted():
    """An exponential law: outside its support the log-density is nan, draws stay inside, moments are right."""

    def exponential(z):
        return torch.where(z > 0, -z, torch.full_like(z, math.nan)).sum(-1)

    run = hmc.sample(
        exponential,
        torch.ones(16, 1, dtype=torch.float64),
        draws=1500,
        warmup=100,
        leapfrog_steps=3,
        generator=rng(),
        target_accept=0.7,
    )
    assert run.z.isfinite().all() and (run.z > 0).all()
    assert run.divergences.sum() > 0
    assert (run.z.mean((0, 1)) - 1).abs() < 4 * diagnostics.standard_error(run.z)


def test_simulation_based_calibration():
    """Ranks of prior draws among posterior draws are uniform (chi-square, level 0.001): Poisson regression, one chain a
    data set."""
    simulations, kept, bins = 1000, 31, 16
    generator = rng(0)
    design = torch.stack([torch.ones(8), torch.linspace(-1, 1, 8)], -1).double()  # (8, 2)
    truth = torch.randn(simulations, 2, generator=generator, dtype=torch.float64)
    counts = torch.poisson(torch.exp(truth @ design.T), generator=generator)

    def log_joint(z):
        rates = z @ design.T
        return (counts * rates - rates.exp()).sum(-1) - 0.5 * z.square().sum(-1)

    run = hmc.sample(
        log_joint,
        torch.zeros_like(truth),
        draws=kept,
        warmup=120,
        leapfrog_steps=5,
        thin=4,
        generator=generator,
        shared_step_size=False,
    )
    ranks = diagnostics.rank_statistics(truth, run.z)
    for dim in range(2):
        observed = torch.bincount(ranks[:, dim] // 2, minlength=bins).numpy()
        assert stats.chisquare(observed).pvalue > 0.001
    overdispersed = truth.mean(0) + 1.3 * (run.z - truth.mean(0))  # must be caught
    wrong = diagnostics.rank_statistics(truth, overdispersed)
    assert stats.chisquare(torch.bincount(wrong[:, 0] // 2, minlength=bins).numpy()).pvalue < 0.001


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"draws": 0}, "draws"),
        ({"warmup": 0}, "step_size"),
        ({"step_size": -1.0}, "positive"),
        ({"target_accept": 1.0}, "between 0 and 1"),
        ({"initial": torch.zeros(3)}, "leading axis"),
        ({"initial": torch.full((2, 3), math.nan)}, "inside the support"),
        ({"log_prob": lambda z: z.sum()}, "do not reduce"),
        ({"generator": [rng(0)]}, "one for each chain"),
    ],
)
def test_wrong_input_is_named(change, sentence):
    arguments = {
        "log_prob": lambda z: -z.square().sum(-1),
        "initial": torch.zeros(2, 3),
        "draws": 2,
        "warmup": 2,
    } | change
    with pytest.raises(ValueError, match=sentence):
        hmc.sample(leapfrog_steps=2, **({"generator": rng()} | arguments))
