"""The two mixtures: densities, conjugate updates and the enumerated evidence, each by a second route."""

import math

import numpy as np
import pytest
import torch
from scipy import stats

from elbo.densities import mvn_log_prob
from elbo.models.gaussian_mixture import DiagonalMixture, DiagonalPosterior, UnitMixture, UnitPosterior
from elbo.models.mixture_family import (
    Parameters,
    all_assignments,
    assignment_posterior,
    check_data,
    component_log_likelihood,
    log_evidence,
    sample_data,
    statistics,
)

PRIOR = {
    "concentration": 0.8,
    "mean": torch.tensor([0.5, -0.2], dtype=torch.float64),
    "mean_precision": 0.4,
    "shape": 2.5,
    "rate": torch.tensor([0.7, 1.9], dtype=torch.float64),
}
MODELS = [UnitMixture(3, mean_sd=2.0), DiagonalMixture(3, **PRIOR)]


def _gen(seed=0):
    return torch.Generator().manual_seed(seed)


def _data(n=5, seed=0):
    return sample_data(DiagonalMixture(3, **PRIOR).sample_parameters(2, _gen(seed)), n, _gen(seed + 1))


def _hard(assignments, num_components=3):
    return torch.nn.functional.one_hot(assignments, num_components).double()


def _stats_of(x, assignments):
    return statistics(x, _hard(assignments), x.mean(0))


def test_unit_joint_by_hand():
    model, (x, c) = MODELS[0], _data()
    mean = model.sample_parameters(2, _gen(3)).mean
    expected = stats.norm(0, 2.0).logpdf(mean).sum() + stats.norm(mean[c], 1.0).logpdf(x).sum() + 5 * math.log(1 / 3)
    assert model.log_joint(x, c, mean).item() == pytest.approx(expected, rel=1e-13)


def test_diagonal_joint_by_hand_and_with_leading_axes():
    model, (x, c) = MODELS[1], _data()
    draws = [model.sample_parameters(2, _gen(seed)) for seed in (3, 4)]
    p = draws[0]
    expected = stats.dirichlet([0.8] * 3).logpdf(p.log_weights.exp().numpy() / p.log_weights.exp().sum().item())
    expected += stats.gamma(2.5, scale=1 / PRIOR["rate"]).logpdf(p.precision).sum()
    expected += stats.norm(PRIOR["mean"], (0.4 * p.precision) ** -0.5).logpdf(p.mean).sum()
    expected += p.log_weights[c].sum().item() + stats.norm(p.mean[c], p.precision[c] ** -0.5).logpdf(x).sum()
    assert model.log_joint(x, p, c).item() == pytest.approx(expected, rel=1e-12)
    both = Parameters(*(torch.stack(parts) for parts in zip(*draws, strict=True)))
    torch.testing.assert_close(model.log_joint(x, both, c)[0], model.log_joint(x, p, c))
    total = torch.stack([model.log_joint(x, p, a) for a in all_assignments(5, 3)]).logsumexp(0)
    torch.testing.assert_close(model.log_joint(x, both)[0], total, rtol=1e-12, atol=0)


@pytest.mark.equation("eq-blei-2017-cavi-means")
def test_update_of_means_by_hand():
    x, _ = _data()
    resp = torch.rand(5, 3, generator=_gen(1), dtype=torch.float64).softmax(-1)
    q = MODELS[0].posterior(statistics(x, resp, x.mean(0)))
    for k in range(3):
        denominator = 1 / 2.0**2 + resp[:, k].sum()
        torch.testing.assert_close(q.mean[k], (resp[:, k, None] * x).sum(0) / denominator, rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(q.var[k], 1 / denominator, rtol=1e-12, atol=0)


@pytest.mark.equation("eq-blei-2017-normal-gamma-update")
@pytest.mark.parametrize("weights", ["hard", "soft"])
def test_normal_gamma_update_is_bayes_rule(weights):
    """The posterior density is prior times likelihood up to one constant, at any two points of (pi, mu, tau)."""
    model, (x, c) = MODELS[1], _data()
    resp = _hard(c) if weights == "hard" else torch.rand(5, 3, generator=_gen(1), dtype=torch.float64).softmax(-1)
    q = model.posterior(statistics(x, resp, x.mean(0)))
    ratios = []
    for seed in range(4):
        p = model.sample_parameters(2, _gen(seed))
        log_prior = model.log_joint(x, p, c) - component_log_likelihood(p, x)[range(5), c].sum()
        log_target = log_prior + (resp * component_log_likelihood(p, x)).sum()
        log_q = stats.dirichlet(q.concentration.numpy()).logpdf(p.log_weights.softmax(0).numpy())
        log_q += stats.gamma(q.shape[:, None], scale=1 / q.rate).logpdf(p.precision).sum()
        log_q += stats.norm(q.mean, (q.mean_precision[:, None] * p.precision) ** -0.5).logpdf(p.mean).sum()
        ratios.append(log_target.item() - log_q)
    assert np.ptp(ratios) < 1e-10 * abs(ratios[0])


def test_unit_evidence_given_assignments_is_a_gaussian():
    model, (x, c) = MODELS[0], _data()
    same = (c[:, None] == c).double()
    cov = torch.eye(5).double() + 4.0 * same
    expected = mvn_log_prob(x.T, torch.zeros(2, 5).double(), cov).sum() - 5 * math.log(3)
    torch.testing.assert_close(model.log_evidence_given(_stats_of(x, c)), expected, rtol=1e-12, atol=0)


def test_diagonal_evidence_given_assignments_is_a_chain_of_student_t():
    """Chain rule: Polya's urn for the labels, a Student t for each datum given those before it in its component."""
    model, (x, c) = MODELS[1], _data(6)
    total = 0.0
    for n in range(6):
        before = c[:n] == c[n]
        count = before.sum().item()
        total += math.log((0.8 + count) / (3 * 0.8 + n))
        for d in range(2):
            m0, b0, a0, r0 = PRIOR["mean"][d].item(), 0.4, 2.5, PRIOR["rate"][d].item()
            past = x[:n][before, d].numpy()
            mean = past.mean() if count else 0.0
            b, a = b0 + count, a0 + count / 2
            m = (b0 * m0 + count * mean) / b
            rate = r0 + 0.5 * ((past - mean) ** 2).sum() + 0.5 * b0 * count / b * (mean - m0) ** 2
            total += stats.t(2 * a, loc=m, scale=math.sqrt(rate * (b + 1) / (a * b))).logpdf(x[n, d].item())
    assert model.log_evidence_given(_stats_of(x, c)).item() == pytest.approx(total, rel=1e-11)


def test_enumerated_evidence_by_quadrature():
    """K = 2, one datum, one column, on a grid: both means; then one component's mean and log precision (labels
    exchange).
    """
    x = torch.tensor([[1.3]], dtype=torch.float64)
    m = np.linspace(-40, 40, 8001)
    one, other = stats.norm(0, 1.5).pdf(m[3200:4801]), stats.norm(m[3200:4801]).pdf(1.3)
    joint = one[:, None] * one * 0.5 * (other[:, None] + other)
    assert log_evidence(UnitMixture(2, mean_sd=1.5), x).item() == pytest.approx(math.log(joint.sum() * 1e-4), abs=1e-7)
    diagonal = DiagonalMixture(2, shape=2.0, rate=0.5, mean_precision=0.7)
    t = np.exp(np.linspace(-12, 5, 851))[:, None]
    joint = (
        t * stats.gamma(2, scale=2).pdf(t) * stats.norm(0, (0.7 * t) ** -0.5).pdf(m) * stats.norm(m, t**-0.5).pdf(1.3)
    )
    assert log_evidence(diagonal, x).item() == pytest.approx(math.log(joint.sum() * 0.01 * 0.02), abs=1e-6)


@pytest.mark.parametrize("model", MODELS, ids=["unit", "diagonal"])
def test_evidence_is_the_prior_average_of_the_likelihood(model):
    """Two data, by Monte Carlo over the prior."""
    x = torch.tensor([[0.3, -0.4], [1.0, 0.5]], dtype=torch.float64)
    q = (
        UnitPosterior(torch.zeros(200_000, 3, 2).double(), torch.full((200_000, 3), 4.0).double())
        if isinstance(model, UnitMixture)
        else DiagonalPosterior(*(part.expand(200_000, *part.shape) for part in model.prior(x)))
    )
    params = model.draw(q, _gen(5))
    likelihood = component_log_likelihood(params, x).logsumexp(-1).sum(0).exp()
    error = likelihood.std() / math.sqrt(len(likelihood))
    assert (likelihood.mean() - log_evidence(model, x).exp()).abs() < 4 * error
    assert error < 0.01 * likelihood.mean()


@pytest.mark.parametrize("model", MODELS, ids=["unit", "diagonal"])
def test_assignment_posterior_is_normalised_and_symmetric(model):
    x, _ = _data(4)
    assignments, log_prob = assignment_posterior(model, x)
    assert assignments.shape == (81, 4)
    assert log_prob.exp().sum().item() == pytest.approx(1, abs=1e-12)
    marginal = (log_prob.exp()[:, None, None] * _hard(assignments)).sum(0)
    torch.testing.assert_close(marginal, torch.full((4, 3), 1 / 3, dtype=torch.float64), rtol=1e-12, atol=0)


@pytest.mark.parametrize("model", MODELS, ids=["unit", "diagonal"])
def test_divergence_from_the_prior_by_monte_carlo(model):
    x, c = _data(5)
    q = model.posterior(_stats_of(x, c))
    num = 100_000
    params = model.draw(type(q)(*(part.expand(num, *part.shape) for part in q)), _gen(6))
    if isinstance(model, UnitMixture):
        terms = stats.norm(q.mean, q.var.sqrt()[:, None]).logpdf(params.mean) - stats.norm(0, 2.0).logpdf(params.mean)
        terms = terms.sum((-1, -2))
    else:
        prior = model.prior(x)
        terms = _log_density(params, q) - _log_density(params, prior)
    error = terms.std() / math.sqrt(num)
    assert abs(terms.mean() - model.kl(q).item()) < 4 * error
    assert model.kl(q) > 1


def _log_density(params, q):
    weights = params.log_weights.softmax(-1).clamp_min(1e-300).numpy()
    dirichlet = stats.dirichlet(q.concentration.numpy()).logpdf(weights.T)
    gamma = stats.gamma(q.shape[:, None], scale=1 / q.rate).logpdf(params.precision).sum((-1, -2))
    normal = (
        stats.norm(q.mean, (q.mean_precision[:, None] * params.precision) ** -0.5).logpdf(params.mean).sum((-1, -2))
    )
    return dirichlet + gamma + normal


@pytest.mark.equation("eq-blei-2017-gmm-predictive")
@pytest.mark.parametrize("model", MODELS, ids=["unit", "diagonal"])
def test_predictive_is_an_average_over_q(model):
    x, c = _data(5)
    q = model.posterior(_stats_of(x, c))
    new = torch.tensor([[0.2, 0.1], [3.0, -2.0]], dtype=torch.float64)
    params = model.draw(type(q)(*(part.expand(200_000, *part.shape) for part in q)), _gen(7))
    density = component_log_likelihood(params, new).logsumexp(-1).exp()
    error = density.std(1) / math.sqrt(200_000)
    assert ((density.mean(1) - model.log_predictive(q, new).exp()).abs() < 4 * error).all()
    assert (error < 0.02 * density.mean(1)).all()


def test_one_datum_predictive_is_a_ratio_of_evidences():
    """With one component no label is latent: the predictive under q is exact Bayes."""
    x, _ = _data(5)
    for model in (UnitMixture(1, mean_sd=2.0), DiagonalMixture(1, **PRIOR)):
        q = model.posterior(statistics(x[:4], torch.ones(4, 1).double(), x[:4].mean(0)))
        expected = log_evidence(model, x) - log_evidence(model, x[:4])
        torch.testing.assert_close(model.log_predictive(q, x[4:])[0], expected, rtol=1e-11, atol=0)


@pytest.mark.parametrize("rate", [0.0, 0.3, 1.0])
def test_interpolation_is_linear_in_natural_parameters(rate):
    x, c = _data(5)

    def natural(q):
        if isinstance(q, UnitPosterior):
            return [q.mean / q.var[:, None], 1 / q.var]
        b = q.mean_precision[:, None]
        return [q.concentration, q.mean_precision, b * q.mean, q.shape, q.rate + 0.5 * b * q.mean.square()]

    for model in MODELS:
        q0, q1 = model.posterior(_stats_of(x, c)), model.posterior(_stats_of(2 * x + 1, c.flip(0)))
        got = natural(model.interpolate(q0, q1, rate))
        for a, b, mixed in zip(natural(q0), natural(q1), got, strict=True):
            torch.testing.assert_close(mixed, (1 - rate) * a + rate * b, rtol=1e-12, atol=1e-12)


def test_the_centre_of_the_statistics_does_not_matter():
    x, c = _data(5)
    for model in MODELS:
        near = model.posterior(statistics(x, _hard(c), x.mean(0)))
        far = model.posterior(statistics(x, _hard(c), torch.tensor([3.0, -7.0]).double()))
        for a, b in zip(near, far, strict=True):
            torch.testing.assert_close(a, b, rtol=1e-11, atol=1e-11)


def test_draws_of_tiny_concentrations_stay_finite():
    model = DiagonalMixture(30, concentration=1e-3)
    log_weights = torch.stack([model.sample_parameters(1, _gen(s)).log_weights for s in range(20)])
    assert torch.isfinite(log_weights).all()
    torch.testing.assert_close(log_weights.logsumexp(-1), torch.zeros(20).double(), atol=1e-12, rtol=0)


@pytest.mark.parametrize(
    ("x", "message"),
    [
        ([[1.0]], "torch tensor"),
        (torch.zeros(3), "matrix, got shape"),
        (torch.zeros(0, 2), "non-empty"),
        (torch.zeros(3, 2, dtype=torch.int64), "floating point"),
        (torch.tensor([[0.0, math.nan], [1.0, 2.0]]), r"column\(s\) 1"),
        (torch.tensor([[0.0, 1.0], [math.inf, 2.0]]), r"column\(s\) 0"),
    ],
)
def test_unusable_data_are_refused(x, message):
    with pytest.raises(ValueError, match=message):
        check_data(x)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: UnitMixture(0), "num_components"),
        (lambda: UnitMixture(2, mean_sd=-1.0), "mean_sd"),
        (lambda: DiagonalMixture(2, concentration=0.0), "concentration must be positive"),
        (lambda: DiagonalMixture(2, rate=torch.tensor([1.0, 0.0])), "rate must be positive"),
        (lambda: DiagonalMixture(2, mean=math.nan), "prior mean"),
        (lambda: DiagonalMixture(2, mean=torch.zeros(3)).prior(torch.zeros(2)), "2 columns"),
        (lambda: log_evidence(UnitMixture(4), torch.zeros(20, 1)), "too many to enumerate"),
    ],
)
def test_impossible_models_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
