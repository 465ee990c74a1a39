"""SVI: one exact identity with CAVI, the natural gradient by automatic differentiation, unbiasedness, and the bound it
reaches.
"""

import math

import pytest
import torch

from elbo.inference import cavi, svi
from elbo.models.gaussian_mixture import DiagonalMixture, UnitMixture, UnitPosterior
from elbo.models.mixture_family import Statistics, sample_data

MODELS = [UnitMixture(4, mean_sd=3.0), DiagonalMixture(4, concentration=1.0, mean_precision=0.1, shape=1.5, rate=0.7)]
BOTH = pytest.mark.parametrize("model", MODELS, ids=["unit", "diagonal"])


def _gen(seed=0):
    return torch.Generator().manual_seed(seed)


def _data(n=400, dim=2, seed=0):
    model = DiagonalMixture(4, concentration=5.0, mean_precision=0.02, shape=3.0, rate=2.0)
    return sample_data(model.sample_parameters(dim, _gen(seed)), n, _gen(seed + 1))[0]


@BOTH
def test_whole_data_and_unit_step_is_a_cavi_step(model):
    x = _data()
    start = cavi.init(model, x, _gen(), num_inits=3)
    expected = cavi.step(model, x, start).q
    got = svi.step(model, x, svi.SviState(start.q, 0), len(x), 1.0).q
    for a, b in zip(got, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-12)


@pytest.mark.equation("eq-blei-2017-svi-step")
def test_step_follows_the_natural_gradient():
    """lambda_t - lambda = step * Fisher^-1 d ELBO / d lambda, by autograd, for the unit mixture in one column."""
    model, x = UnitMixture(3, mean_sd=2.0), _data(30, 1)
    q = cavi.step(model, x, cavi.init(model, x, _gen())).q
    eta = torch.stack([q.mean[0, :, 0] / q.var[0], -0.5 / q.var[0]], -1).requires_grad_()  # (K, 2) natural parameters

    def posterior(eta):
        var = -0.5 / eta[:, 1]
        return UnitPosterior((eta[:, 0] * var)[None, :, None], var[None])

    def log_partition(eta):
        return (-eta[:, 0].square() / (4 * eta[:, 1]) - 0.5 * (-2 * eta[:, 1]).log()).sum()

    (gradient,) = torch.autograd.grad(cavi.elbo(model, x, posterior(eta)).sum(), eta)
    fisher = torch.autograd.functional.hessian(log_partition, eta.detach()).reshape(6, 6)
    natural = torch.linalg.solve(fisher, gradient.flatten()).reshape(3, 2)
    moved = svi.step(model, x, svi.SviState(q, 0), len(x), 0.3).q
    new = torch.stack([moved.mean[0, :, 0] / moved.var[0], -0.5 / moved.var[0]], -1)
    assert natural.abs().max() > 0.1
    torch.testing.assert_close(new - eta.detach(), 0.3 * natural, rtol=1e-9, atol=1e-10)


@BOTH
def test_target_of_a_minibatch_is_unbiased(model):
    """Averaged over all minibatches of a partition, the statistics behind the target are those of the whole data."""
    x = _data(400)
    q = cavi.init(model, x, _gen()).q
    whole = cavi.local_step(model, x, q)[0]
    parts = [cavi.local_step(model, part, q)[0] for part in x.split(50)]
    mean = Statistics(*(8 * torch.stack(values).mean(0) for values in list(zip(*parts, strict=True))[:3]), whole.centre)
    for a, b in zip(mean, whole, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-11, atol=1e-9)


@BOTH
def test_noisy_bound_is_unbiased_and_knows_its_error(model):
    x = _data(400)
    q = cavi.step(model, x, cavi.init(model, x, _gen())).q
    parts = x[torch.randperm(400, generator=_gen(1))].split(20)
    estimates, errors = zip(*(svi.noisy_elbo(model, part, q, 400) for part in parts), strict=True)
    estimates, errors = torch.stack(estimates)[:, 0], torch.stack(errors)[:, 0]
    full = cavi.elbo(model, x, q)[0]
    torch.testing.assert_close(estimates.mean(), full, rtol=1e-11, atol=0)
    assert ((estimates - full) / errors).square().mean().sqrt() == pytest.approx(1, abs=4 / math.sqrt(2 * 20))


@BOTH
def test_reaches_the_bound_of_cavi(model):
    """From the same six starts, the best bound within 0.01 nats per datum of CAVI's best converged one."""
    x = _data(2000)
    start = cavi.init(model, x, _gen(4), num_inits=6, how="points")
    batch = cavi.fit(model, x, start, max_iters=500, tol=1e-8).state.elbo.max().item() / len(x)
    run = svi.fit(
        model, x, _gen(5), start=svi.SviState(start.q, 0), batch_size=200, num_steps=1200,
        schedule=svi.Schedule(delay=5, forgetting=0.8), record_every=1200,
    )  # fmt: skip
    begin = cavi.elbo(model, x, start.q).max().item() / len(x)
    assert run.history.elbo_per_datum.max() == pytest.approx(batch, abs=0.01)
    assert batch - begin > 0.1  # there was a way to go


def test_schedule():
    steps = svi.Schedule(delay=2.0, forgetting=0.75)
    assert steps(0) == pytest.approx(2**-0.75) and steps(14) == pytest.approx(1 / 8)
    assert svi.Schedule(delay=1.0)(0) == 1.0


def test_history_counts_what_was_read():
    x = _data(50)
    run = svi.fit(MODELS[1], x, _gen(), num_inits=2, batch_size=10, num_steps=25, record_every=10)
    assert list(run.history.columns) == ["init", "iteration", "seconds", "data_read", "elbo", "elbo_per_datum"]
    assert run.history.data_read.tolist() == [100, 100, 200, 200, 250, 250]
    expected = cavi.elbo(MODELS[1], x, run.state.q)
    assert run.history.elbo.tolist()[-2:] == expected.tolist()


def test_what_cannot_be_stepped_is_refused():
    x, model = _data(20), MODELS[1]
    state = svi.init(model, x, _gen())
    nan = x.clone()
    nan[0, 0] = math.nan
    for call, message in [
        (lambda: svi.step(model, nan, state, 20, 0.5), "NaN"),
        (lambda: svi.step(model, x, state, 20, 0.0), "step_size"),
        (lambda: svi.step(model, x[:, :1], state, 20, 0.5), "2 columns"),
        (lambda: svi.fit(model, x, _gen(), batch_size=21), "between 1 and the 20 data"),
        (lambda: svi.fit(model, nan, _gen()), "NaN"),
        (lambda: svi.noisy_elbo(model, x[:1], state.q, 20), "at least two"),
        (lambda: svi.Schedule(delay=0.0), "delay"),
        (lambda: svi.Schedule(forgetting=0.5), "forgetting"),
    ]:
        with pytest.raises(ValueError, match=message):
            call()
