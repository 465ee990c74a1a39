"""Importance-weighted autoencoders: value and gradient by quadrature, order in k, one draw
is the VAE, and that it trains.
"""

import itertools
import math

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.datasets import load_digits

from elbo.densities import gaussian_log_prob
from elbo.estimators.bounds import importance_weighted_bound
from elbo.inference.aevb import aevb, sgvb_a
from elbo.inference.iwae import iwae, iwae_bound, log_weights, objective
from elbo.models import linear_gaussian as lg
from elbo.models.vae import VAE

MODEL = VAE(3, 4, 1)
X = torch.tensor([[0.0, 1.0, 1.0], [1.0, 0.0, 0.0]], dtype=torch.float64)


@pytest.fixture
def params():
    drawn = MODEL.init(torch.Generator().manual_seed(1), 0.8, torch.float64)
    drawn["encoder.head.weight"] *= 0.3  # neither much narrower nor much wider than the posterior: quadrature is exact
    drawn["encoder.head.bias"] = torch.tensor([0.3, -0.2], dtype=torch.float64)
    return {n: p.requires_grad_() for n, p in drawn.items()}


def gradients(value, params):
    return dict(zip(params, torch.autograd.grad(value, list(params.values()), retain_graph=True)))


def hermite(draws, count):
    """A product rule for the noise of ``draws`` codes: ``(draws, points, 1, 1)`` and weights ``(points,)``."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(count)
    points = torch.tensor(list(itertools.product(nodes, repeat=draws))).T.reshape(draws, -1, 1, 1)
    weight = torch.tensor(list(itertools.product(weights / math.sqrt(2 * math.pi), repeat=draws))).prod(-1)
    return points, weight


def exact_bound(params, draws, count=120):
    """L_k as the book's function gives it, with the expectation over the noise taken by Gauss-Hermite; ``(batch,)``."""
    points, weight = hermite(draws, count)
    eps = points.expand(-1, -1, len(X), 1).reshape(draws, -1, 1)  # points times data in one batch
    x = X.repeat(len(weight), 1)
    return (weight[:, None] * iwae_bound(MODEL, params, x, eps).view(-1, len(X))).sum(0)


def grid_bound(params, draws, count=400):
    """L_k as an integral over the codes themselves: densities on a grid, no reparameterisation; ``(batch,)``."""
    grid = torch.linspace(-15, 15, count, dtype=torch.float64)
    z = grid.reshape(-1, 1, 1).expand(-1, len(X), 1)
    mean, log_var = MODEL.encode(params, X)
    log_q = gaussian_log_prob(z, mean, log_var)  # (grid, batch)
    log_w = MODEL.log_joint(params, X, z) - log_q
    mass = torch.exp(log_q) * (grid[1] - grid[0])
    if draws == 1:
        return (mass * log_w).sum(0)
    pair = torch.logaddexp(log_w[:, None], log_w[None]) - math.log(2)
    return (mass[:, None] * mass[None] * pair).sum((0, 1))


def log_evidence(params):
    points, weight = hermite(1, 100)
    return torch.logsumexp(MODEL.log_likelihood(params, X, points[0]) + weight.log()[:, None], 0)


@pytest.mark.parametrize("draws", [1, 2])
def test_value_and_gradient_are_those_of_the_integral_over_codes(params, draws):
    """By a route without reparameterisation: the gradient of the grid integral moves the densities, not the codes."""
    ours, grid = exact_bound(params, draws), grid_bound(params, draws)
    torch.testing.assert_close(ours, grid, rtol=1e-6, atol=1e-6)
    ours, grid = gradients(ours.sum(), params), gradients(grid.sum(), params)
    for name in params:
        assert (grid[name].abs() > 1e-3).any(), name
        torch.testing.assert_close(ours[name], grid[name], rtol=1e-4, atol=1e-5)


def test_the_bound_rises_with_k_towards_the_evidence(params):
    with torch.no_grad():
        bounds = torch.stack([exact_bound(params, k, 30) for k in (1, 2, 3)])
        evidence = log_evidence(params)
    assert (bounds.diff(dim=0) > 1e-4).all()
    assert (bounds < evidence).all()
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for k, exact in zip((1, 2, 3), bounds):
            eps = torch.randn(k, 40_000, 1, generator=generator, dtype=torch.float64)
            drawn = iwae_bound(MODEL, params, X[:1].expand(40_000, -1), eps)
            assert abs(drawn.mean() - exact[0]) < 4 * drawn.std() / 200
        many = iwae_bound(MODEL, params, X, torch.randn(20_000, 2, 1, generator=generator, dtype=torch.float64))
    assert ((many - evidence).abs() < 0.02).all()  # k = 20,000


def test_one_draw_is_estimator_a_and_many_the_estimator_of_the_evidence(params):
    eps = torch.randn(7, 2, 1, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    one, a = iwae_bound(MODEL, params, X, eps[:1]), sgvb_a(MODEL, params, X, eps[0])
    torch.testing.assert_close(one, a)
    one, a = gradients(one.sum(), params), gradients(a.sum(), params)
    assert all(torch.allclose(one[name], a[name]) for name in params)
    mean, log_var = MODEL.encode(params, X)
    other = importance_weighted_bound(lambda z: MODEL.log_joint(params, X, z), mean, log_var, eps)
    torch.testing.assert_close(iwae_bound(MODEL, params, X, eps), other.value)


def test_the_gradient_is_that_of_the_log_weights_averaged_with_the_weights(params):
    """Burda et al. (2016), equation 14."""
    eps = torch.randn(5, 2, 1, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    weights = log_weights(MODEL, params, X, eps)
    averaged = (torch.softmax(weights.detach(), 0) * weights).sum()
    ours, expected = gradients(iwae_bound(MODEL, params, X, eps).sum(), params), gradients(averaged, params)
    for name in params:
        torch.testing.assert_close(ours[name], expected[name])


class Twin:
    """The linear-Gaussian twin with an encoder: z = gain x + shift, diagonal."""

    def __init__(self, model, gain, log_var):
        self.model, self.gain, self.log_var = model, gain, log_var

    def encode(self, params, x):
        return x @ self.gain.T + params["shift"], self.log_var.expand(*x.shape[:-1], -1)

    def log_joint(self, params, x, z):
        return lg.log_joint(self.model, x, z)


def test_on_the_twin_one_draw_averages_to_the_elbo_and_the_posterior_gives_the_evidence_whatever_the_noise():
    generator = torch.Generator().manual_seed(5)
    model = lg.random_model(4, 1, generator)
    x, _ = lg.sample(model, 6, generator)
    mean, cov = lg.posterior(model, x)
    gain = lg.posterior_encoder(model).weight.reshape(1, 4)
    offset = {"shift": (mean - x @ gain.T)[:1]}
    exact = Twin(model, gain, cov.reshape(-1)[:1].log())
    eps = torch.randn(3, 6, 1, generator=generator, dtype=torch.float64)
    torch.testing.assert_close(iwae_bound(exact, offset, x, eps), lg.log_evidence(model, x))
    wide = Twin(model, gain, exact.log_var + 0.7)
    truth = lg.elbo(model, x, mean + 0.2, torch.exp(wide.log_var).expand(6, 1, 1))
    drawn = [
        iwae_bound(
            wide, {"shift": offset["shift"] + 0.2}, x, torch.randn(1, 6, 1, generator=generator, dtype=torch.float64)
        )
        for _ in range(3000)
    ]
    drawn = torch.stack(drawn)
    assert ((drawn.mean(0) - truth).abs() < 4 * drawn.std(0) / math.sqrt(3000)).all()
    assert (truth < lg.log_evidence(model, x) - 0.1).all()


# ---- the algorithm, on the digits of scikit-learn ----

SMALL = VAE(64, 30, 4, encoder_layers=2, decoder_layers=2)


@pytest.fixture(scope="module")
def digits():
    return torch.tensor(load_digits().data / 16, dtype=torch.float64)


def test_one_draw_trains_the_autoencoder_of_estimator_a(digits):
    options = {"samples": 2_000, "optimiser": "adam", "init_scale": "glorot", "binarisation": "fresh", "device": "cpu"}
    one = iwae(SMALL, digits, draws=1, **options)
    other = aevb(SMALL, digits, estimator="A", weight_prior=False, **options)
    assert max((one.params[name] - other.params[name]).abs().max() for name in one.params) < 1e-10


@pytest.mark.parametrize("weight_prior", [False, True])
def test_a_member_of_a_stack_is_the_member_alone(digits, weight_prior):
    """Latent sizes differ: the padding must not train, nor move anything else."""
    options = {"samples": 1_000, "device": "cpu", "evaluate_on": {"test": digits[1500:]}, "weight_prior": weight_prior}
    together = iwae(SMALL, digits[:1500], seeds=(0, 1), latent_dims=(2, 4), draws=3, **options)
    for k, latent in enumerate((2, 4)):
        alone = iwae(SMALL, digits[:1500], seeds=(k,), latent_dims=(latent,), draws=3, **options)
        own, company = alone.member(0), together.member(k)
        assert max((own[name] - company[name]).abs().max().item() for name in own) < 1e-8
        pd.testing.assert_frame_equal(together.history.iloc[[k]].reset_index(drop=True), alone.history, rtol=1e-8)
    padded = together.model.resize({n: p[0] for n, p in together.params.items()}, 4)["encoder.head.weight"]
    assert (padded.unflatten(-1, (2, 4))[..., 2:] == 0).all()


def test_the_loss_is_the_bound_and_the_prior_of_the_weights(params):
    eps = torch.randn(4, 2, 1, generator=torch.Generator().manual_seed(6), dtype=torch.float64)
    scalars = {"active": torch.ones(1, dtype=torch.float64)}
    loss, terms = objective(MODEL, 50)
    decoder = torch.cat([p.flatten() for name, p in params.items() if name.startswith("decoder")])
    log_prior = -0.5 * (decoder.square() + math.log(2 * math.pi)).sum()
    expected = -(iwae_bound(MODEL, params, X, eps).mean() + log_prior / 50)
    torch.testing.assert_close(loss(params, X, {"eps": eps}, scalars), expected)
    assert set(terms(params, X, {"eps": eps}, scalars)) == {"importance-weighted bound", "log-prior of the weights"}
    bare, _ = objective(MODEL, 50, weight_prior=False)
    torch.testing.assert_close(bare(params, X, {"eps": eps}, scalars), -iwae_bound(MODEL, params, X, eps).mean())


def test_it_improves_its_bound_and_resumed_is_whole(digits, tmp_path):
    options = {"block": 10, "device": "cpu", "binarisation": "fresh", "draws": 3}
    whole = iwae(SMALL, digits, samples=6_000, evaluate_on={"test": digits[1500:]}, evaluate_at=[0, 6_000], **options)
    assert whole.history.bound[1] > whole.history.bound[0] + 5 * whole.history.se[1]
    whole = iwae(SMALL, digits, samples=3_000, **options)
    iwae(SMALL, digits, samples=1_000, checkpoint=tmp_path / "run.ckpt", **options)
    resumed = iwae(SMALL, digits, samples=3_000, checkpoint=tmp_path / "run.ckpt", **options)
    assert all(torch.equal(resumed.params[n], whole.params[n]) for n in whole.params)
    with pytest.raises(ValueError, match="algorithm|noise"):
        iwae(SMALL, digits, samples=4_000, checkpoint=tmp_path / "run.ckpt", **(options | {"draws": 2}))


def test_what_breaks_is_named_and_wrong_arguments_are_refused(digits):
    broken = digits.clone()
    broken[:, 3] = math.inf
    with pytest.raises(FloatingPointError, match=r"step 1: the term 'importance-weighted bound' of member 0"):
        iwae(SMALL, broken, samples=200, device="cpu")
    with pytest.raises(ValueError, match="draws must be at least 1, got 0"):
        iwae(SMALL, digits, samples=200, draws=0)
