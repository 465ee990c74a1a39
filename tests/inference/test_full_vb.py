"""Full variational Bayes over weights: the estimator against moments by hand, the
algorithm on a conjugate regression.
"""

import itertools
import math
from dataclasses import dataclass

import pytest
import torch
from sklearn.datasets import load_digits
from torch.distributions import Bernoulli, Normal, kl_divergence
from torch.func import vmap

from elbo.densities import gaussian_log_prob, standard_gaussian_log_prob
from elbo.inference import full_vb as module
from elbo.inference.aevb import aevb
from elbo.inference.full_vb import (
    expected_bound,
    full_bound,
    full_vb,
    log_predictive,
    uncertain,
    weights,
    weights_kl,
    weights_size,
)
from elbo.models.regression import LinearRegression
from elbo.models.vae import VAE
from elbo.training import Adagrad, Noise, fit

DRAWS = 40_000


@dataclass(frozen=True)
class Line:
    """x = z w + noise of known variance, one number each; the encoder is the same affine map for every datum."""

    latent_dim: int = 1

    def encode(self, params, x):
        return x * params["encoder.slope"], params["encoder.log_var"].expand(*x.shape)

    def log_likelihood(self, params, x, z):
        return gaussian_log_prob(x, z * params["decoder.w"], torch.tensor(math.log(0.5), dtype=x.dtype))

    def log_prior(self, z):
        return standard_gaussian_log_prob(z)

    def log_joint(self, params, x, z):
        return self.log_likelihood(params, x, z) + self.log_prior(z)


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.fixture
def line():
    params = {"encoder.slope": torch.tensor([0.4]), "encoder.log_var": torch.tensor([-0.6])}
    params |= {"decoder.w": torch.tensor([0.9]), "log_var.decoder.w": torch.tensor([-1.0])}
    return {name: param.double() for name, param in params.items()}, 1.3 * draw(5, 1)


def exact_bound(params, x):
    """E (x - zw)^2 = x^2 - 2 x E[z] E[w] + E[z^2] E[w^2], and two divergences of Gaussians, by hand."""
    mean, var = (x * params["encoder.slope"])[:, 0], params["encoder.log_var"].exp()
    w, w_var = params["decoder.w"], params["log_var.decoder.w"].exp()
    squared = x[:, 0] ** 2 - 2 * x[:, 0] * mean * w + (mean**2 + var) * (w**2 + w_var)
    fit = -0.5 * (squared / 0.5 + math.log(2 * math.pi * 0.5))
    codes = 0.5 * (mean**2 + var - 1 - var.log())
    return (fit - codes).sum() - (0.5 * (w**2 + w_var - 1 - w_var.log())).sum()


def test_the_bound_and_its_gradient_are_unbiased(line):
    params, x = line
    leaves = {name: param.clone().requires_grad_() for name, param in params.items()}
    exact = exact_bound(leaves, x)
    target = torch.cat(torch.autograd.grad(exact, leaves.values()))

    generator = torch.Generator().manual_seed(1)
    batches = torch.randint(len(x), (DRAWS, 2), generator=generator)  # minibatches of two out of five

    def estimate(slope, log_var, w, w_log_var, x, eps, zeta):
        own = dict(zip(params, (slope, log_var, w, w_log_var)))
        return full_bound(Line(), own, x, eps, zeta, 5)

    each = [param.expand(DRAWS, 1).clone().requires_grad_() for param in params.values()]
    values = vmap(estimate)(*each, x[batches], draw(DRAWS, 2, 1, seed=2), draw(DRAWS, 1, seed=3))
    gradients = torch.cat(torch.autograd.grad(values.sum(), each), -1)  # (draws, parameters)
    for found, wanted in ((values.detach()[:, None], exact.detach()[None]), (gradients, target)):
        error = found.std(0) / DRAWS**0.5
        assert ((found.mean(0) - wanted).abs() < 4 * error).all()
        assert (wanted.abs() > 10 * error).any()


def test_the_bound_is_below_the_evidence_of_the_data_by_quadrature(line):
    """Two integrals, over the weight and over the codes, on a grid; and the weights' share of the gap is seen."""
    params, x = line
    w = torch.linspace(-9, 9, 3001, dtype=torch.float64)
    marginal = Normal(torch.zeros((), dtype=torch.float64), (w**2 + 0.5).sqrt())  # z integrated out
    log_joint = marginal.log_prob(x).sum(0) + Normal(0.0, 1.0).log_prob(w)
    evidence = torch.logsumexp(log_joint, 0) + (w[1] - w[0]).log()
    assert evidence - 20 < exact_bound(params, x) < evidence


def test_divergence_of_the_weights():
    model = VAE(5, 4, 2)
    start = uncertain(model.init(torch.Generator().manual_seed(0), 0.4, torch.float64), 0.2)
    start = {name: param + 0.3 * draw(*param.shape, seed=5) for name, param in start.items()}
    total = 0.0
    for name, param in start.items():
        if name.startswith("decoder."):
            spread = (0.5 * start[f"log_var.{name}"]).exp()
            total += kl_divergence(Normal(param, spread), Normal(torch.zeros_like(param), 1.0)).sum()
    torch.testing.assert_close(weights_kl(start), total)
    assert weights_size(start) == 2 * 4 + 4 + 4 * 5 + 5


def test_a_draw_of_the_weights_has_the_moments_asked_for():
    model = VAE(3, 4, 2)
    start = uncertain(model.init(torch.Generator().manual_seed(0), 0.4, torch.float64), 0.2)
    drawn = vmap(lambda zeta: weights(start, zeta))(draw(DRAWS, weights_size(start)))
    for name, param in start.items():
        if name.startswith("decoder."):
            assert ((drawn[name].mean(0) - param).abs() < 4.5 * 0.2 / DRAWS**0.5).all()
            assert ((drawn[name].std(0) - 0.2).abs() < 4.5 * 0.2 / (2 * DRAWS) ** 0.5).all()
        elif name.startswith("encoder."):
            torch.testing.assert_close(drawn[name], param.expand_as(drawn[name]))
    assert set(drawn) == {name for name in start if not name.startswith("log_var.")}
    flat = torch.cat([drawn[name].flatten(1) for name in drawn if name.startswith("decoder.")], 1)
    correlation = torch.corrcoef(flat.T) - torch.eye(flat.shape[1])
    assert correlation.abs().max() < 5 / DRAWS**0.5  # no number of noise is used twice
    with pytest.raises(ValueError, match="std must be positive"):
        uncertain(start, 0.0)


@pytest.fixture(scope="module")
def regression():
    """Correlated coefficients, known noise, and the loss of full variational Bayes in the form that ``fit`` takes."""
    design, count = draw(40, 3, seed=7), 40
    design[:, 1] += 0.8 * design[:, 0]
    model = LinearRegression(prior_sd=1.0, noise_sd=0.7)
    _, target = model.sample(design, torch.Generator().manual_seed(8))

    def loss(params, rows, noise, scalars):
        own = weights(params, noise["zeta"])["decoder.w"]
        residual = (rows[:, -1] - rows[:, :-1] @ own) / 0.7
        log_lik = -0.5 * (residual**2 + math.log(2 * math.pi * 0.49))
        return -(count * log_lik.mean() - weights_kl(params)) / count

    mean, cov = model.posterior(design, target)
    best = mean, 1 / torch.linalg.inv(cov).diagonal()  # the factorised optimum: one over the diagonal of the precision
    assert (best[1] < 0.7 * cov.diagonal()).any()  # smaller than the exact variances, or the family would not matter
    return model, design, target, loss, best


def test_its_optimum_is_the_best_factorised_posterior_of_a_regression(regression):
    """The bound is quadratic in the noise, so that its mean over the eight corners of a cube is its expectation."""
    model, design, target, loss, (mean, variance) = regression
    rows = torch.cat([design, target[:, None]], 1)
    corners = torch.tensor(list(itertools.product([-1.0, 1.0], repeat=3))).double()
    params = uncertain({"decoder.w": torch.zeros(3, dtype=torch.float64)}, 0.5)
    leaves = {name: param.clone().requires_grad_() for name, param in params.items()}
    optimiser = torch.optim.LBFGS(leaves.values(), max_iter=200, tolerance_grad=1e-12, tolerance_change=0,
                                  line_search_fn="strong_wolfe")  # fmt: skip

    def closure():
        optimiser.zero_grad()
        total = torch.stack([loss(leaves, rows, {"zeta": zeta}, {}) for zeta in corners]).mean()
        total.backward()
        return total

    optimiser.step(closure)
    torch.testing.assert_close(leaves["decoder.w"].detach(), mean, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(leaves["log_var.decoder.w"].detach(), variance.log(), rtol=1e-6, atol=1e-6)
    value = -40 * closure().item()
    assert value == pytest.approx(model.elbo(design, target, mean, torch.diag(variance)).item(), rel=1e-9)
    assert value < model.log_evidence(design, target)


def test_with_one_draw_a_step_it_gets_there(regression):
    """Eight runs of minibatches, one draw of the weights each: means within their
    spread, nearly the whole gap closed.
    """
    model, design, target, loss, (mean, variance) = regression
    members = 8
    start = uncertain({"decoder.w": torch.zeros(members, 3, dtype=torch.float64)}, 0.5)
    found = fit(loss, start, torch.cat([design, target[:, None]], 1), seeds=range(members), steps=600, batch_size=20,
                noise={"zeta": Noise("normal", (3,))}, optimiser=Adagrad(0.2)).params  # fmt: skip
    means, variances = found["decoder.w"], found["log_var.decoder.w"].exp()
    assert ((means.mean(0) - mean).abs() < 5 * means.std(0) / members**0.5).all()
    assert (means - mean).abs().max() < 6 * variance.sqrt().max()
    best = model.elbo(design, target, mean, torch.diag(variance))
    ends = torch.stack([model.elbo(design, target, m, torch.diag(v)) for m, v in zip(means, variances)])
    first = model.elbo(design, target, torch.zeros_like(mean), 0.25 * torch.eye(3, dtype=torch.float64))
    assert (ends < best).all() and (best - ends).mean() < 0.02 * (best - first)


def test_predictive_density_by_quadrature(line):
    """p(x) averaged over q(w): an integral over the weight, codes integrated out by hand."""
    params, x = line
    w = torch.linspace(-6, 8, 4001, dtype=torch.float64)[:, None]
    density = Normal(params["decoder.w"], (0.5 * params["log_var.decoder.w"]).exp()).log_prob(w)
    marginal = Normal(torch.zeros((), dtype=torch.float64), (w**2 + 0.5).sqrt()).log_prob(x[:, 0])  # (grid, data)
    exact = torch.logsumexp(density + marginal, 0) + (w[1] - w[0]).log()
    found = torch.stack([
        log_predictive(Line(), params, x, torch.Generator().manual_seed(seed), weight_draws=200, code_draws=20)
        for seed in range(20)
    ])  # fmt: skip
    error = found.std(0) / 20**0.5
    low = found.var(0) / 2  # the logarithm of a mean is too low by half its relative variance
    assert ((found.mean(0) + low - exact).abs() < 4.5 * error).all() and (error < 0.02).all()
    bounds = torch.stack([
        expected_bound(Line(), params, x, torch.Generator().manual_seed(seed), 100) for seed in range(20)
    ])  # fmt: skip
    whole = bounds.sum(1) - weights_kl(params)
    assert abs(whole.mean() - exact_bound(params, x)) < 4.5 * whole.std() / 20**0.5
    assert (bounds.mean(0) < exact).all()


def test_fixed_weights_are_a_posterior_without_spread():
    model = VAE(6, 5, 2)
    params = model.init(torch.Generator().manual_seed(0), 0.5, torch.float64)
    x = Bernoulli(0.5 * torch.ones(4, 6, dtype=torch.float64)).sample()
    assert weights_size(params) == 0 and weights_kl(params) == 0
    generators = [torch.Generator().manual_seed(1) for _ in range(2)]
    plain = log_predictive(model, params, x, generators[0], weight_draws=3, code_draws=4)
    narrow = log_predictive(
        model, uncertain(params, 1e-9), x, generators[0].manual_seed(1), weight_draws=1, code_draws=1
    )
    assert plain.shape == narrow.shape == (4,)
    eps = torch.randn(3 * 4, 4, 2, generator=generators[1], dtype=torch.float64)
    mean, log_var = model.encode(params, x)
    z = mean + (0.5 * log_var).exp() * eps
    ratio = model.log_joint(params, x, z) - Normal(mean, (0.5 * log_var).exp()).log_prob(z).sum(-1)
    torch.testing.assert_close(plain, torch.logsumexp(ratio, 0) - math.log(12))


# ---- the algorithm, on the digits of scikit-learn ----


@pytest.fixture(scope="module")
def digits():
    return torch.tensor(load_digits().data / 16, dtype=torch.float64)


def test_it_trains_a_stack_of_autoencoders(digits):
    model, splits = VAE(64, 20, 2), {"test": digits[1500:]}
    options = {"samples": 10_000, "learning_rate": 0.05, "evaluate_on": splits, "device": "cpu"}
    trained = full_vb(model, digits[:1500], seeds=(0, 1), evaluate_at=[0, 10_000], **options)
    history = trained.history
    assert {"bound", "expected_bound", "weights_kl"} <= set(history.columns)
    start, end = history[history.samples == 0], history[history.samples == 10_000]
    assert (end.expected_bound.to_numpy() > start.expected_bound.to_numpy() + 5).all()
    assert (end.weights_kl.to_numpy() < start.weights_kl.to_numpy()).all()
    plain = aevb(model, digits[:1500], seeds=(0,), evaluate_at=[0], **options)
    for name, param in plain.params.items():  # the same start for a seed, before the log-variances are added
        assert param.shape == trained.params[name][:1].shape
    assert plain.history.bound[0] == start.bound.iloc[0]
    alone = full_vb(model, digits[:1500], seeds=(1,), evaluate_at=[0, 10_000], **options)
    torch.testing.assert_close(
        alone.params["log_var.decoder.0.weight"][0], trained.params["log_var.decoder.0.weight"][1]
    )


def test_what_breaks_is_named(digits):
    broken = digits[:100].clone()
    broken[:, 3] = math.inf
    with pytest.raises(FloatingPointError, match="the term 'log-likelihood'"):
        full_vb(VAE(64, 5, 2), broken, samples=100, device="cpu")


def test_loss_and_terms_are_the_bound(digits):
    model = VAE(64, 6, 2)
    params = uncertain(model.init(torch.Generator().manual_seed(0), 0.1, torch.float64), 0.1)
    noise = {"eps": draw(10, 2), "zeta": draw(weights_size(params), seed=1), "uniform": torch.rand(10, 64).double()}
    for fresh in (False, True):
        loss, terms = module.objective(model, 50, fresh)
        x = digits[:10]
        seen = (noise["uniform"] < x).double() if fresh else x
        bound = full_bound(model, params, seen, noise["eps"], noise["zeta"], 50)
        torch.testing.assert_close(loss(params, x, noise, {}), -bound / 50)
        named = terms(params, x, noise, {})
        total = 50 * (named["log-likelihood"] - named["KL divergence"]) - named["KL divergence of the weights"]
        torch.testing.assert_close(total, bound)
