"""The VAE: shapes, likelihoods against torch.distributions, its marginal by quadrature, starting values, padding."""

import math

import pytest
import torch
from torch import distributions as dist
from torch.func import grad, vmap

from elbo.densities import standard_gaussian_log_prob
from elbo.inference.aevb import sgvb_b
from elbo.models.vae import GREY_LEVEL_FLOOR, LATENT_FLOOR, VAE, bounded_log_var

BATCH = 5


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(2)


def params_of(model, generator, scale=0.5):
    return model.init(generator, scale, torch.float64)


def images(model, generator):
    return torch.rand(BATCH, model.data_dim, generator=generator, dtype=torch.float64)


SHAPES = [
    VAE(784, 500, 20),  # Kingma & Welling (2013), MNIST
    VAE(560, 200, 2, "gaussian"),  # the same, Frey faces
    # Burda, Grosse & Salakhutdinov (2016), then Higgins et al. (2017)
    VAE(784, 200, 50, encoder_layers=2, decoder_layers=2),
    VAE(4096, 1200, 10, activation="relu", decoder_activation="tanh", encoder_layers=2, decoder_layers=3),
]


@pytest.mark.parametrize("model", SHAPES, ids=lambda m: f"{m.data_dim}-{m.hidden}-{m.latent_dim}")
def test_shapes(model, generator):
    params = model.init(generator)
    assert {name: tuple(p.shape) for name, p in params.items()} == model.shapes
    x = torch.rand(3, model.data_dim, generator=generator)
    mean, log_var = model.encode(params, x)
    assert mean.shape == log_var.shape == (3, model.latent_dim)
    z = torch.randn(4, 3, model.latent_dim, generator=generator)
    assert model.log_likelihood(params, x, z).shape == model.log_joint(params, x, z).shape == (4, 3)
    assert model.decode_mean(params, z).shape == (4, 3, model.data_dim)
    count = sum(p.numel() for p in params.values())
    widths = [model.data_dim] + [model.hidden] * model.encoder_layers + [2 * model.latent_dim]
    back = [model.latent_dim] + [model.hidden] * model.decoder_layers
    back += [model.data_dim * (2 if model.likelihood == "gaussian" else 1)]
    assert count == sum((a + 1) * b for w in (widths, back) for a, b in zip(w, w[1:]))


def test_bernoulli_likelihood(generator):
    """Equation 11, written out with the probabilities of the paper."""
    model = VAE(6, 7, 3)
    p = params_of(model, generator)
    x = (images(model, generator) > 0.5).double()
    z = torch.randn(BATCH, 3, generator=generator, dtype=torch.float64)
    hidden = torch.tanh(z @ p["decoder.0.weight"] + p["decoder.0.bias"])
    y = torch.sigmoid(hidden @ p["decoder.head.weight"] + p["decoder.head.bias"])
    expected = (x * torch.log(y) + (1 - x) * torch.log(1 - y)).sum(-1)
    torch.testing.assert_close(model.log_likelihood(p, x, z), expected)
    torch.testing.assert_close(model.decode_mean(p, z), y)


def test_gaussian_likelihood(generator):
    """Equation 12, means through a sigmoid; far above the floor the log-variance is linear in the last hidden layer."""
    model = VAE(6, 7, 3, "gaussian", log_var_floor=-60.0)
    p = params_of(model, generator)
    x = images(model, generator)
    z = torch.randn(BATCH, 3, generator=generator, dtype=torch.float64)
    hidden = torch.tanh(z @ p["decoder.0.weight"] + p["decoder.0.bias"])
    out = hidden @ p["decoder.head.weight"] + p["decoder.head.bias"]
    mean, log_var = torch.sigmoid(out[:, :6]), out[:, 6:]
    expected = dist.Independent(dist.Normal(mean, torch.exp(0.5 * log_var)), 1).log_prob(x)
    torch.testing.assert_close(model.log_likelihood(p, x, z), expected)
    torch.testing.assert_close(model.decode_mean(p, z), mean)


def test_the_joint_integrates_to_one(generator):
    """Two latents on a grid, and every one of 2^4 pictures: the generative story is a distribution."""
    model = VAE(4, 5, 2)
    p = params_of(model, generator, 1.0)
    x = torch.cartesian_prod(*[torch.tensor([0.0, 1.0], dtype=torch.float64)] * 4)
    axis = torch.linspace(-8, 8, 161, dtype=torch.float64)
    z = torch.cartesian_prod(axis, axis).unsqueeze(1)
    log_cell = 2 * math.log(axis[1] - axis[0])
    log_marginal = torch.logsumexp(model.log_joint(p, x, z), 0) + log_cell
    assert abs(torch.logsumexp(log_marginal, 0)) < 1e-9
    _, drawn = model.sample(p, 20_000, generator)
    code = (drawn @ torch.tensor([8, 4, 2, 1], dtype=torch.float64)).long()
    frequency, mass = torch.bincount(code, minlength=16) / 20_000, log_marginal.exp()
    assert ((frequency - mass).abs() < 4 * (mass * (1 - mass) / 20_000).sqrt()).all()


def test_gaussian_samples_have_the_decoder_s_moments(generator):
    model = VAE(3, 5, 2, "gaussian", log_var_floor=-4.0)
    p = params_of(model, generator)
    z, x = model.sample(p, 40_000, generator)
    mean, log_var = model.decode(p, z)
    standard = (x - mean) * torch.exp(-0.5 * log_var)
    n = math.sqrt(standard.numel())
    assert abs(standard.mean()) < 4 / n and abs(standard.var() - 1) < 4 * math.sqrt(2) / n
    assert abs(z.mean()) < 4 / math.sqrt(z.numel())


def test_log_variances_are_linear_above_their_floor_and_bend_at_it():
    raw = torch.tensor([-1e4, -40.0, LATENT_FLOOR, -10.0 + 1e-9, 0.0, 5.0], dtype=torch.float64)
    bounded = bounded_log_var(raw, LATENT_FLOOR)
    assert (bounded >= LATENT_FLOOR).all() and torch.equal(bounded[3:], raw[3:])
    slope = vmap(grad(lambda r: bounded_log_var(r, LATENT_FLOOR)))(raw)
    assert 0 < slope[1] < slope[2] < slope[3] and slope[2] == 0.5
    assert math.isclose(math.exp(0.5 * GREY_LEVEL_FLOOR), 1 / 256)


def test_starting_values(generator):
    normal = torch.cat([p.flatten() for p in VAE(784, 500, 20).init(generator).values()])
    assert abs(normal.mean()) < 4 * 0.1 / math.sqrt(len(normal))
    assert abs(normal.var() - 0.01) < 4 * 0.01 * math.sqrt(2 / len(normal))
    glorot = VAE(784, 500, 20).init(generator, "glorot")
    weight = glorot["decoder.head.weight"]
    assert abs(weight.var() * (500 + 784) / 2 - 1) < 0.02 and (glorot["encoder.0.bias"] == 0).all()
    same = [VAE(6, 4, 2).init(torch.Generator().manual_seed(9)) for _ in range(2)]
    assert all(torch.equal(same[0][n], same[1][n]) for n in same[0])


def test_a_stack_is_the_models_one_by_one(generator):
    model = VAE(6, 4, 2)
    members = [params_of(model, generator) for _ in range(3)]
    stack = {name: torch.stack([m[name] for m in members]) for name in model.shapes}
    x, z = images(model, generator), torch.randn(BATCH, 2, generator=generator, dtype=torch.float64)
    together = vmap(model.log_joint, in_dims=(0, None, None))(stack, x, z)
    torch.testing.assert_close(together, torch.stack([model.log_joint(m, x, z) for m in members]))


@pytest.mark.parametrize("likelihood", ["bernoulli", "gaussian"])
def test_padded_latents_change_no_value_and_get_no_gradient(likelihood, generator):
    small, wide = VAE(6, 4, 2, likelihood), VAE(6, 4, 5, likelihood)
    own = params_of(small, generator)
    padded = small.resize(own, 5)
    assert {n: tuple(p.shape) for n, p in padded.items()} == wide.shapes
    x, eps = images(small, generator), torch.randn(BATCH, 2, generator=generator, dtype=torch.float64)
    zeros = torch.cat([eps, eps.new_zeros(BATCH, 3)], 1)
    torch.testing.assert_close(sgvb_b(wide, padded, x, zeros), sgvb_b(small, own, x, eps))
    slope = grad(lambda p: sgvb_b(wide, p, x, zeros).sum())(padded)
    expected = small.resize(grad(lambda p: sgvb_b(small, p, x, eps).sum())(own), 5)
    for name in slope:
        torch.testing.assert_close(slope[name], expected[name])
        assert (slope[name][expected[name] == 0] == 0).all()
    back = wide.resize(padded, 2)
    assert all(torch.equal(back[name], own[name]) for name in own)


def test_log_prior_is_the_standard_gaussian(generator):
    z = torch.randn(4, 3, generator=generator)
    assert torch.equal(VAE(6, 4, 3).log_prior(z), standard_gaussian_log_prob(z))


def test_impossible_models_are_refused():
    with pytest.raises(ValueError, match="latent_dim must be at least 1"):
        VAE(6, 4, 0)
    with pytest.raises(ValueError, match="'bernoulli' or 'gaussian'"):
        VAE(6, 4, 2, "poisson")
    with pytest.raises(ValueError, match="'tanh', 'relu' or 'softplus'"):
        VAE(6, 4, 2, decoder_activation="gelu")
