"""CAVI against its definition, enumeration, scikit-learn, and unusable data."""

import math

import numpy as np
import pytest
import torch
from scipy.special import digamma, gammaln
from sklearn.mixture import BayesianGaussianMixture
from torch.utils._python_dispatch import TorchDispatchMode

from elbo.inference import assignments, cavi
from elbo.inference.assignments import log_predictive, responsibilities
from elbo.models.gaussian_mixture import DiagonalMixture, UnitMixture
from elbo.models.mixture_family import component_log_likelihood, log_evidence, sample_data, statistics

MODELS = [
    UnitMixture(3, mean_sd=3.0),
    DiagonalMixture(3, concentration=0.8, mean=0.2, mean_precision=0.4, shape=1.5, rate=0.7),
]
BOTH = pytest.mark.parametrize("model", MODELS, ids=["unit", "diagonal"])


def _gen(seed=0):
    return torch.Generator().manual_seed(seed)


def _data(n=300, dim=2, seed=0):
    model = DiagonalMixture(4, concentration=3.0, mean_precision=0.05, shape=3.0, rate=2.0)
    return sample_data(model.sample_parameters(dim, _gen(seed)), n, _gen(seed + 1))[0]


def _draws(model, q, num, seed=2):
    """Global latents drawn from the single initialisation in ``q``."""
    return model.draw(type(q)(*(part[0].expand(num, *part.shape[1:]) for part in q)), _gen(seed))


@pytest.mark.equation("eq-blei-2017-cavi-update")
@BOTH
def test_assignments_are_the_exponential_of_an_expected_log_joint(model):
    """Averages over draws of q(globals), in 4 standard errors of the log-odds."""
    x = _data(4)
    state = cavi.step(model, x, cavi.init(model, x, _gen()))
    logs = component_log_likelihood(_draws(model, state.q, 200_000), x)  # (n, draws, K)
    odds = logs - logs[..., :1]
    error = (odds.std(1) / math.sqrt(odds.shape[1])).clamp_min(1e-12)
    resp = responsibilities(model, state.q, x)[:, 0]
    assert ((resp.log() - resp[:, :1].log() - odds.mean(1)).abs() < 4 * error).all()


@pytest.mark.equation("eq-blei-2017-cavi-assignments")
def test_assignments_of_unit_mixture_by_hand():
    """exp{m_k x - (|m_k|^2 + D s_k^2) / 2}, the written-out update of algorithm 2."""
    model, x = MODELS[0], _data(20)
    q = cavi.step(model, x, cavi.init(model, x, _gen())).q
    exponent = x @ q.mean[0].T - 0.5 * (q.mean[0].square().sum(-1) + 2 * q.var[0])
    torch.testing.assert_close(responsibilities(model, q, x)[:, 0], exponent.softmax(-1), rtol=1e-11, atol=1e-14)


@BOTH
def test_step_is_assignments_then_globals(model):
    x = _data()
    state = cavi.init(model, x, _gen(), num_inits=4)
    after = cavi.step(model, x, state)
    resp = responsibilities(model, state.q, x).movedim(0, 1)  # (R, n, K)
    for got, expected in zip(after.q, model.posterior(statistics(x, resp)), strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-10, atol=1e-10)


@pytest.mark.equation("eq-blei-2017-gmm-elbo")
@BOTH
def test_bound_is_the_expected_log_joint_plus_entropy(model):
    """Every constant: E_q[log p(x, c, globals) - log q(globals)] by drawing from q, entropy of q(c) exactly."""
    x = _data(6)
    state = cavi.step(model, x, cavi.init(model, x, _gen()))
    params = _draws(model, state.q, 100_000)
    resp = responsibilities(model, state.q, x)[:, 0]
    logs = component_log_likelihood(params, x)
    sampled = (resp[:, None] * logs).sum((0, 2)) - model.kl(state.q)  # the KL has its own Monte Carlo test
    entropy = -torch.special.xlogy(resp, resp).sum()
    error = sampled.std() / math.sqrt(len(sampled))
    assert abs(sampled.mean() + entropy - cavi.elbo(model, x, state.q)) < 4 * error


@BOTH
def test_reported_bound_is_that_of_the_returned_factors(model):
    """The state's bound pairs new globals with the assignments they came from; one more assignment step can only raise
    it.
    """
    x = _data()
    state = cavi.init(model, x, _gen(), num_inits=3)
    after = cavi.step(model, x, state)
    resp = responsibilities(model, state.q, x)
    coefficients = model.coefficients(after.q, torch.zeros(2).double())
    expected = x.square() @ coefficients.quadratic.mT + x @ coefficients.linear.mT + coefficients.bias[:, None]
    direct = (
        (resp.movedim(1, 0) * expected).sum((1, 2)) - torch.special.xlogy(resp, resp).sum((0, 2)) - model.kl(after.q)
    )
    torch.testing.assert_close(after.elbo, direct, rtol=1e-11, atol=0)
    assert (cavi.elbo(model, x, after.q) >= after.elbo).all()


@pytest.mark.parametrize("how", ["gaussian", "points"])
@BOTH
def test_bound_never_falls(model, how):
    x = 5 * _data(400, 3)
    history = cavi.fit(model, x, _gen(), num_inits=20, how=how, max_iters=80, tol=0).history
    bounds = history.pivot(index="iteration", columns="init", values="elbo").to_numpy()
    assert (np.diff(bounds, axis=0) >= -1e-10 * np.abs(bounds[1:])).all()
    assert np.ptp(bounds[-1]) > 1 and np.median(bounds[-1] - bounds[0]) > 1  # different optima, real progress


@BOTH
def test_bound_is_below_the_enumerated_evidence(model):
    for seed in range(3):
        x = _data(6, seed=seed)
        evidence = log_evidence(model, x)
        bounds = cavi.fit(model, x, _gen(seed), num_inits=10, max_iters=300, tol=0).state.elbo
        assert (bounds < evidence).all()
        assert (
            bounds.max() > evidence - 6
        )  # close enough for the comparison to mean something: six data, log 3! lost at least


def test_bound_is_tight_where_the_family_is_exact():
    """One component: no assignment is latent, and q(globals) is the exact posterior after one step."""
    x = _data(6)
    for model in (UnitMixture(1, mean_sd=3.0), DiagonalMixture(1, shape=1.5, rate=0.7)):
        state = cavi.step(model, x, cavi.init(model, x, _gen()))
        torch.testing.assert_close(state.elbo[0], log_evidence(model, x), rtol=1e-11, atol=0)


@BOTH
def test_initialisations_run_together_as_alone(model):
    x = _data()
    start = cavi.init(model, x, _gen(), num_inits=3)
    together = cavi.fit(model, x, start, max_iters=10, tol=0).state
    for r in range(3):
        alone = cavi.CaviState(type(start.q)(*(part[r : r + 1] for part in start.q)), start.elbo[r : r + 1], 0)
        alone = cavi.fit(model, x, alone, max_iters=10, tol=0).state
        torch.testing.assert_close(alone.q.mean[0], together.q.mean[r], rtol=1e-10, atol=1e-10)
        torch.testing.assert_close(alone.elbo[0], together.elbo[r], rtol=1e-12, atol=0)


def test_gaussian_starts_match_the_moments_of_the_data():
    x = _data() * torch.tensor([3.0, 0.2]).double() + 7
    mean = cavi.init(DiagonalMixture(50, mean_precision=1e-9), x, _gen(), num_inits=400).q.mean.flatten(0, 1)
    error = x.std(0) / math.sqrt(len(mean))
    assert ((mean.mean(0) - x.mean(0)).abs() < 4 * error).all()
    assert ((mean.std(0) / x.std(0) - 1).abs() < 4 / math.sqrt(2 * len(mean)) + 0.005).all()


def test_starts_at_points_are_distinct_data():
    x = _data(30)
    x[:, 1] = 0  # a constant column gets no noise
    mean = cavi.init(DiagonalMixture(30, mean_precision=1e-12), x, _gen(), how="points").q.mean[0]
    noise = torch.randn(1, 30, 2, generator=_gen(), dtype=torch.float64)[0] * x.std(0, correction=0)
    started = (mean - 0.1 * noise)[:, 0].sort().values
    torch.testing.assert_close(started, x[:, 0].sort().values, rtol=1e-9, atol=1e-9)


# --- scikit-learn ---


class ProductOfGammas(BayesianGaussianMixture):
    """scikit-learn with the Wishart's log-determinant and normaliser, which it uses for 'diag' too, replaced by those
    of independent Gammas.
    """

    def _estimate_log_prob(self, X, xp=None):
        nu, dim = self.degrees_of_freedom_, X.shape[1]
        wishart = digamma(0.5 * (nu - np.arange(dim)[:, None])).sum(0)
        return super()._estimate_log_prob(X) + 0.5 * (dim * digamma(0.5 * nu) - wishart)

    def _compute_lower_bound(self, log_resp, log_prob_norm):
        nu, dim = self.degrees_of_freedom_, len(self.mean_prior_)
        wishart = gammaln(0.5 * (nu - np.arange(dim)[:, None])).sum(0)
        return super()._compute_lower_bound(log_resp, log_prob_norm) + (dim * gammaln(0.5 * nu) - wishart).sum()


def _twins(kind, x, num_components, steps):
    """Both from the same responsibilities: sklearn's parameters after ``steps``, its bounds, and ours.

    The models coincide with ``degrees_of_freedom = 2 alpha``, ``covariance_prior = 2 beta``, ``reg_covar = 0``.
    """
    resp = torch.rand(len(x), num_components, generator=_gen(3), dtype=torch.float64).square().softmax(-1)
    dim = x.shape[1]
    ours = DiagonalMixture(
        num_components,
        0.6,
        torch.linspace(-1, 1, dim).double(),
        0.3,
        dim / 2 + 0.25,
        torch.linspace(0.5, 2, dim).double(),
    )
    theirs = kind(
        n_components=num_components, covariance_type="diag", weight_concentration_prior_type="dirichlet_distribution",
        weight_concentration_prior=0.6, mean_prior=ours.mean.numpy(), mean_precision_prior=0.3, reg_covar=0.0,
        degrees_of_freedom_prior=2 * ours.shape, covariance_prior=2 * ours.rate.numpy(),
    )  # fmt: skip
    data = x.numpy()
    theirs._check_parameters(data)
    theirs._initialize(data, resp.numpy())
    bounds = []
    for _ in range(steps):
        log_norm, log_resp = theirs._e_step(data)
        theirs._m_step(data, log_resp)
        bounds.append(theirs._compute_lower_bound(log_resp, log_norm))
    start = cavi.CaviState(ours.posterior(statistics(x, resp[None], x.mean(0))), torch.tensor([-math.inf]), 0)
    return theirs, np.array(bounds), ours, start


def _assert_same(theirs, q):
    pairs = [
        (q.concentration, theirs.weight_concentration_),
        (q.mean, theirs.means_),
        (q.mean_precision, theirs.mean_precision_),
        (2 * q.shape, theirs.degrees_of_freedom_),
        (2 * q.rate, theirs.covariances_ * theirs.degrees_of_freedom_[:, None]),
    ]
    for ours, other in pairs:
        np.testing.assert_allclose(ours[0].numpy(), other, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    ("kind", "dim"), [(BayesianGaussianMixture, 1), (ProductOfGammas, 4)], ids=["sklearn", "one-term"]
)
def test_equals_scikit_learn_where_the_models_coincide(kind, dim):
    """Parameters after 25 steps, and every difference of bounds (theirs drops constants)."""
    x = _data(200, dim)
    theirs, bounds, model, start = _twins(kind, x, 4, 25)
    fit = cavi.fit(model, x, start, max_iters=25, tol=0)
    _assert_same(theirs, fit.state.q)
    np.testing.assert_allclose(np.diff(fit.history.elbo), np.diff(bounds), rtol=1e-6, atol=1e-8)
    assert np.diff(bounds).max() > 0.1


def test_scikit_learn_differs_by_one_term_in_several_columns():
    """The global updates agree in any dimension; the assignments do not, because of the Wishart's log-determinant."""
    x = _data(200, 4)
    theirs, _, model, start = _twins(BayesianGaussianMixture, x, 4, 0)
    _assert_same(theirs, start.q)
    _, log_resp = theirs._e_step(x.numpy())
    gap = np.abs(np.exp(log_resp) - responsibilities(model, start.q, x)[:, 0].numpy()).max()
    assert gap > 1e-4


# --- precision, memory, awkward data ---


def test_single_precision_follows_double():
    x = _data(2000, 3) + 100  # far from the origin: a naive sum of squares would lose the variances
    double = cavi.fit(MODELS[1], x, cavi.init(MODELS[1], x, _gen(), 2), max_iters=15, tol=0).state
    start = cavi.init(MODELS[1], x, _gen(), 2)
    single = cavi.fit(MODELS[1], x.float(), start, max_iters=15, tol=0).state
    assert responsibilities(MODELS[1], single.q, x.float()).dtype == torch.float32
    assert log_predictive(MODELS[1], single.q, x.float()).dtype == torch.float32
    torch.testing.assert_close(single.elbo, double.elbo, rtol=1e-5, atol=0)


class _Largest(TorchDispatchMode):
    numbers = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        if isinstance(out, torch.Tensor) and not (out._is_view() or func.is_view):
            self.numbers = max(self.numbers, out.numel())
        return out


def test_memory_of_a_step_does_not_grow_with_the_data():
    x = torch.randn(400_000, 8, generator=_gen(), dtype=torch.float32)  # 3.2 million numbers
    state = cavi.init(DiagonalMixture(5), x, _gen(), 2)
    with _Largest() as seen:
        cavi.elbo(DiagonalMixture(5), x, cavi.step(DiagonalMixture(5), x, state).q)
    assert seen.numbers <= max(
        len(x) * 2, 300_000
    )  # the bound returns one number a datum and start; nothing else is larger


def test_chunks_do_not_change_the_answer(monkeypatch):
    x = _data(1000)
    state = cavi.init(MODELS[1], x, _gen(), 2)
    whole = cavi.step(MODELS[1], x, state)
    monkeypatch.setitem(assignments._CHUNK_BYTES, "cpu", 1600)
    parts = cavi.step(MODELS[1], x, state)
    torch.testing.assert_close(whole.elbo, parts.elbo, rtol=1e-12, atol=0)
    torch.testing.assert_close(whole.q.mean, parts.q.mean, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("how", ["gaussian", "points"])
def test_more_components_than_data_return_to_the_prior(how):
    x = torch.tensor([[0.0, 0.0], [9.0, 9.0], [-9.0, 9.0]]).double()
    model = DiagonalMixture(8, concentration=0.01, mean_precision=0.01)
    state = cavi.fit(model, x, _gen(), num_inits=3, how=how, max_iters=200, tol=0).state
    _, counts = model.location(state.q)
    assert all(torch.isfinite(part).all() for part in state.q)
    torch.testing.assert_close(counts.sum(-1), torch.full((3,), 3.0).double(), rtol=1e-12, atol=0)
    empty = counts[0] < 1e-6
    assert empty.sum() >= 5
    torch.testing.assert_close(state.q.rate[0][empty], torch.ones(int(empty.sum()), 2).double(), rtol=1e-4, atol=0)


@BOTH
@pytest.mark.parametrize("kind", ["constant column", "all the same", "single datum", "tiny scale", "far away"])
def test_singular_data_stay_finite_and_monotone(model, kind):
    x = _data(50)
    x = {
        "constant column": torch.cat([x, torch.full((50, 1), 3.0).double()], 1),
        "all the same": torch.full((50, 2), 3.0).double(),
        "single datum": x[:1],
        "tiny scale": 1e-12 * x,
        "far away": x + 1e6,
    }[kind]
    history = cavi.fit(model, x, _gen(), num_inits=3, max_iters=30, tol=0).history
    bounds = history.pivot(index="iteration", columns="init", values="elbo").to_numpy()
    assert np.isfinite(bounds).all()
    assert (np.diff(bounds, axis=0) >= -1e-10 * np.abs(bounds[1:])).all()


def test_what_cannot_be_fitted_is_refused():
    x, model = _data(10), MODELS[1]
    state = cavi.init(model, x, _gen())
    nan = x.clone()
    nan[3, 1] = math.nan
    for call, message in [
        (lambda: cavi.init(model, nan, _gen()), "NaN or infinite entries in column"),
        (lambda: cavi.fit(model, nan, state), "NaN or infinite entries in column"),
        (lambda: cavi.step(model, nan, state), "NaN or infinite entries in column"),
        (lambda: cavi.elbo(model, nan, state.q), "NaN or infinite entries in column"),
        (lambda: cavi.step(model, x[:, :1], state), "2 columns"),
        (lambda: cavi.init(model, x, _gen(), num_inits=0), "num_inits"),
        (lambda: cavi.init(model, x, _gen(), how="magic"), "'gaussian' or 'points'"),
        (lambda: cavi.step(model, 1e200 * x, state), "broken"),
    ]:
        with pytest.raises(ValueError, match=message):
            call()


def test_history_and_best():
    x = _data()
    fit = cavi.fit(
        MODELS[1], x, _gen(), num_inits=3, max_iters=50, tol=1e-4, monitor=lambda s: {"held_out": s.elbo * 0 + 1}
    )
    assert list(fit.history.columns) == ["init", "iteration", "seconds", "elbo", "elbo_per_datum", "held_out"]
    assert len(fit.history) == 3 * fit.state.iteration < 150  # stopped early
    last = fit.history[fit.history.iteration == fit.state.iteration]
    assert cavi.best(fit.state).elbo.item() == last.elbo.max()
    assert (fit.history.seconds.diff()[1:] >= 0).all()
