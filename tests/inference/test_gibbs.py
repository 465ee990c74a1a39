"""Gibbs sampling against the enumerated posterior, and jointly with the simulator (Geweke)."""

import math

import pytest
import torch

from elbo.inference import cavi, gibbs
from elbo.inference.assignments import log_predictive
from elbo.models.gaussian_mixture import DiagonalMixture, UnitMixture
from elbo.models.mixture_family import (
    Parameters,
    assignment_posterior,
    component_log_likelihood,
    log_evidence,
    sample_data,
)

MODELS = [
    UnitMixture(3, mean_sd=2.0),
    DiagonalMixture(3, concentration=0.8, mean=0.2, mean_precision=0.4, shape=2.5, rate=1.2),
]
BOTH = pytest.mark.parametrize("model", MODELS, ids=["unit", "diagonal"])
CHAINS = 400


def _gen(seed=0):
    return torch.Generator().manual_seed(seed)


def _data(n=5, seed=0):
    return sample_data(MODELS[1].sample_parameters(2, _gen(seed)), n, _gen(seed + 1))[0]


def _together(assignments):
    """Which pairs share a component: free of label switching."""
    return (assignments[..., :, None] == assignments[..., None, :]).double()


@pytest.mark.equation("eq-blei-2017-gibbs")
@BOTH
def test_assignments_follow_the_enumerated_posterior(model):
    """Every pair's probability of sharing a component; independent chains give the error, autocorrelation included."""
    x = _data()
    assignments, log_prob = assignment_posterior(model, x)
    exact = (log_prob.exp()[:, None, None] * _together(assignments)).sum(0)
    seen = []

    def keep(state):
        if state.iteration > 50:
            seen.append(_together(state.assignments))
        return {}

    gibbs.fit(model, x, _gen(1), num_chains=CHAINS, num_sweeps=200, monitor=keep)
    draws = torch.stack(seen)  # (sweeps, chains, n, n)
    per_chain = draws.mean(0)
    error = per_chain.std(0) / math.sqrt(CHAINS)  # what an effective sample size of var / error^2 means
    pairs = torch.triu_indices(5, 5, 1).unbind()
    effective = draws.var((0, 1))[pairs] / error[pairs].square()
    assert (effective > 1000).all() and (effective <= 2 * draws.shape[0] * CHAINS).all()
    assert ((per_chain.mean(0) - exact)[pairs].abs() < 4 * error[pairs]).all()


@BOTH
def test_partition_probabilities(model):
    """The whole posterior over partitions of four data, by chi-square over independent last states of 4000 chains."""
    x = _data(4)
    assignments, log_prob = assignment_posterior(model, x)
    weights = 2.0 ** torch.arange(16, dtype=torch.float64).reshape(4, 4)
    names, where = (_together(assignments) * weights).sum((1, 2)).unique(return_inverse=True)
    exact = torch.zeros(len(names)).double().index_add_(0, where, log_prob.exp())
    state = gibbs.fit(model, x, _gen(2), num_chains=4000, num_sweeps=60).state
    found = (_together(state.assignments) * weights).sum((1, 2))
    share = (found[:, None] == names).double().mean(0)
    error = (exact * (1 - exact) / 4000).sqrt()
    assert share.sum().item() == pytest.approx(1)
    assert len(names) == 14 and ((share - exact).abs() < 4 * error).all()


@BOTH
def test_joint_distribution_is_invariant(model):
    """Geweke: globals from the prior, data given globals, two sweeps given the data: the globals still follow the prior
    jointly with x.
    """
    num, n = 800, 4
    before, after = [], []
    g = _gen(3)
    for _ in range(num):
        params = model.sample_parameters(2, g)
        x, _ = sample_data(params, n, g)
        state = gibbs.GibbsState(Parameters(*(part[None] for part in params)), None, torch.empty(1, 0), 0)
        for _ in range(2):
            state = gibbs.step(model, x, state, g)
        before.append(_summaries(params, x))
        after.append(_summaries(Parameters(*(part[0] for part in state.params)), x))
    before, after = torch.stack(before), torch.stack(after)
    gap = after - before  # paired: the data are the same
    error = gap.std(0) / math.sqrt(num)
    assert (error > 0).all() and (gap.mean(0).abs() < 4 * error).all()


def _summaries(params, x):
    centre = (params.log_weights.exp()[:, None] * params.mean).sum(0)
    likelihood = component_log_likelihood(params, x).logsumexp(-1).mean()
    values = [
        params.mean.mean(),
        params.mean.square().mean(),
        (centre * x.mean(0)).sum(),
        likelihood,
        params.mean.max(),
    ]
    if (params.precision != 1).any():
        spread = (x.var(0) * params.precision.mean(0)).sum().log()
        values += [
            params.precision.log().mean(),
            params.log_weights.max(),
            params.precision.log().square().mean(),
            spread,
        ]
    return torch.stack(values)


def test_likelihood_by_matrix_products():
    x = _data(50) + 30
    params = MODELS[1].sample_parameters(2, _gen(5))
    both = Parameters(*(torch.stack([part, part + 0.1]) for part in params))
    expected = component_log_likelihood(both, x).logsumexp(-1)
    torch.testing.assert_close(gibbs.log_likelihood(both, x), expected, rtol=1e-9, atol=0)


def test_predictive_is_the_log_of_an_average():
    x = _data(20)
    fit = gibbs.fit(MODELS[1], x, _gen(6), num_chains=2, num_sweeps=30, keep_every=10)
    assert fit.draws.mean.shape == (3, 2, 3, 2)
    each = torch.stack([gibbs.log_likelihood(Parameters(*(part[s] for part in fit.draws)), x) for s in range(3)])
    torch.testing.assert_close(gibbs.log_predictive(fit.draws, x), each.exp().mean(0).log(), rtol=1e-12, atol=1e-12)


def test_integrated_predictive_agrees_with_that_of_draws():
    """Two averages over the same posterior predictive: with the globals integrated out given the assignments, and by
    draws.
    """
    x, model = _data(5), MODELS[1]
    new, integrated, drawn = torch.tensor([[0.5, 0.0]]).double(), [], []

    def keep(state):
        if state.iteration > 30:
            integrated.append(log_predictive(model, state.conditional, new)[0].exp())
            drawn.append(gibbs.log_likelihood(state.params, new)[0].exp())
        return {}

    gibbs.fit(model, x, _gen(1), num_chains=100, num_sweeps=80, monitor=keep)
    gap = torch.stack(integrated).mean(0) - torch.stack(drawn).mean(0)
    exact = (log_evidence(model, torch.cat([x, new])) - log_evidence(model, x)).exp()
    for found in (torch.stack(integrated).mean(0), torch.stack(drawn).mean(0)):
        assert (found.mean() - exact).abs() < 4 * found.std() / math.sqrt(100)
    assert gap.mean().abs() < 4 * gap.std() / math.sqrt(100)
    assert torch.stack(integrated).var() < torch.stack(drawn).var()


def test_variational_means_agree_where_clusters_are_far_apart():
    """With no doubt about the labels the posterior of the globals is conjugate, and CAVI finds it: they must meet."""
    g = _gen(7)
    x = torch.cat([torch.randn(30, 2, generator=g).double() + shift for shift in (-30.0, 0.0, 30.0)])
    model = DiagonalMixture(3, mean_precision=0.01)
    start = cavi.best(cavi.fit(model, x, g, num_inits=10, how="points").state)
    state = gibbs.begin(model, start.q, g)
    draws = gibbs.fit(model, x, g, start=state, num_sweeps=1000, keep_every=1).draws
    error = draws.mean[:, 0].std(0) / math.sqrt(1000)  # successive draws are independent: the labels never move
    assert ((draws.mean[:, 0].mean(0) - start.q.mean[0]).abs() < 4 * error).all()


def test_same_generator_same_chain():
    x = _data(10)
    one, two = (gibbs.fit(MODELS[1], x, _gen(8), num_chains=2, num_sweeps=5).state for _ in range(2))
    assert torch.equal(one.params.mean, two.params.mean) and torch.equal(one.assignments, two.assignments)


def test_more_components_than_data_and_constant_columns():
    x = torch.zeros(3, 2).double()
    fit = gibbs.fit(DiagonalMixture(10), x, _gen(9), num_chains=2, num_sweeps=20)
    assert all(torch.isfinite(part).all() for part in fit.state.params)


def test_unusable_data_are_refused_by_gibbs():
    x, model = _data(10), MODELS[1]
    state = gibbs.init(model, x, _gen())
    x[2, 0] = math.nan
    for call in (
        lambda: gibbs.init(model, x, _gen()),
        lambda: gibbs.fit(model, x, _gen(), start=state),
        lambda: gibbs.step(model, x, state, _gen()),
    ):
        with pytest.raises(ValueError, match="NaN or infinite"):
            call()
