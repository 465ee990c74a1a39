"""The learned prior: its density by other routes, its bound by quadrature, its gradient, and that it trains."""

import math

import pytest
import torch
from torch.distributions import Categorical, Independent, MixtureSameFamily, Normal

from elbo.data import load
from elbo.estimators import log_aggregate_posterior
from elbo.inference.aevb import estimate_bound
from elbo.inference.vampprior import PSEUDO_INPUTS, bound, log_vamp_prior, objective, vampprior
from elbo.models.vae import VAE

SIGMAS = 4.5


def drawn(model, components, seed=0):
    generator = torch.Generator().manual_seed(seed)
    params = model.init(generator, 0.8, torch.float64)
    inputs = torch.randn(components, model.data_dim, generator=generator, dtype=torch.float64)
    return params | {PSEUDO_INPUTS: inputs}


def test_the_prior_is_the_mixture_of_the_encodings_of_its_inputs():
    model = VAE(5, 4, 3)
    params = drawn(model, 7)
    z = torch.randn(20, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    mean, log_var = model.encode(params, torch.sigmoid(params[PSEUDO_INPUTS]))
    mixture = MixtureSameFamily(
        Categorical(torch.ones(7, dtype=torch.float64)), Independent(Normal(mean, torch.exp(0.5 * log_var)), 1)
    )
    found = log_vamp_prior(model, params, z)
    torch.testing.assert_close(found, mixture.log_prob(z))
    torch.testing.assert_close(found, log_aggregate_posterior(z, mean, log_var))  # as if the inputs were the data set


def test_the_prior_integrates_to_one():
    model = VAE(3, 4, 1)
    params = drawn(model, 4, seed=2)
    line = torch.linspace(-60, 60, 60_001, dtype=torch.float64)
    density = log_vamp_prior(model, params, line.unsqueeze(1)).exp()
    assert torch.trapezoid(density, line).item() == pytest.approx(1, abs=1e-6)


def test_the_bound_is_unbiased_and_below_the_evidence_under_its_own_prior():
    model = VAE(3, 4, 1)
    params = drawn(model, 4, seed=3)
    x = torch.tensor([[0.0, 1.0, 1.0], [1.0, 0.0, 0.0]], dtype=torch.float64)
    line = torch.linspace(-60, 60, 60_001, dtype=torch.float64)
    z = line.reshape(-1, 1)
    log_prior = log_vamp_prior(model, params, z)
    log_likelihood = torch.stack([model.log_likelihood(params, each.expand(len(z), -1), z) for each in x])
    mean, log_var = model.encode(params, x)
    log_q = Normal(mean, torch.exp(0.5 * log_var)).log_prob(line)  # (2, line)
    exact = torch.trapezoid(log_q.exp() * (log_likelihood + log_prior - log_q), line)
    evidence = torch.trapezoid((log_likelihood + log_prior).exp(), line).log()
    assert (exact < evidence).all()
    eps = torch.randn(4000, 2, 1, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    values = torch.stack([bound(model, params, x, each) for each in eps])
    error = values.std(0) / math.sqrt(len(values))
    assert ((values.mean(0) - exact).abs() < SIGMAS * error).all()


def test_the_loss_is_minus_the_bound_and_its_gradient_reaches_the_inputs():
    model = VAE(6, 5, 2)
    params = {name: value.requires_grad_() for name, value in drawn(model, 3).items()}
    x = torch.bernoulli(torch.full((8, 6), 0.5, dtype=torch.float64), generator=torch.Generator().manual_seed(5))
    eps = torch.randn(8, 2, generator=torch.Generator().manual_seed(6), dtype=torch.float64)
    loss, terms = objective(model, 100)
    value = loss(params, x, {"eps": eps}, {})
    torch.testing.assert_close(value, -bound(model, params, x, eps).mean())
    torch.testing.assert_close(sum(terms(params, x, {"eps": eps}, {}).values()), -100 * value)
    (slope,) = torch.autograd.grad(value, params[PSEUDO_INPUTS])
    moved = params[PSEUDO_INPUTS].detach().clone()
    moved[1, 2] += 1e-5
    shifted = loss(params | {PSEUDO_INPUTS: moved}, x, {"eps": eps}, {})
    assert slope[1, 2].item() == pytest.approx((shifted - value).item() / 1e-5, rel=1e-3)


@pytest.fixture(scope="module")
def digits():
    return load("digits", split="train", binarise="fixed"), load("digits", split="test", binarise="fixed")


def test_it_trains_and_its_prior_serves_images_not_trained_on(digits):
    """The bound grows far above that of the start, and for these weights lies above the one under N(0, I)."""
    train, test = digits
    model = VAE(64, hidden=60, latent_dim=8)
    same = {"components": 20, "seeds": [0, 1], "block": 20, "device": "cpu", "compile": False}
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(40, len(test.images), 8, generator=generator)
    early = vampprior(model, train, samples=100, learning_rate=3e-3, **same)
    late = vampprior(model, train, samples=60 * len(train), learning_rate=3e-3, **same)
    for member in range(2):
        with torch.no_grad():
            start, own = (
                torch.stack([bound(model, trained.member(member), test.images, eps) for eps in noise]).mean(0)
                for trained in (early, late)
            )
        other = estimate_bound(model, late.member(member), test.images, generator, draws=40)
        assert own.mean() > start.mean() + 10
        gain = own - other
        assert gain.mean() > 5 * gain.std() / math.sqrt(len(gain))


def test_a_member_is_the_same_in_company_and_alone(digits):
    train, _ = digits
    model = VAE(64, hidden=10, latent_dim=2)
    same = {"samples": 500, "components": 5, "block": 5, "device": "cpu", "compile": False}
    together, alone = vampprior(model, train, seeds=[3, 4], **same), vampprior(model, train, seeds=[4], **same)
    for name, value in alone.member(0).items():
        torch.testing.assert_close(value, together.member(1)[name], rtol=1e-4, atol=1e-6)
    assert not torch.equal(together.member(0)[PSEUDO_INPUTS], together.member(1)[PSEUDO_INPUTS])


@pytest.mark.parametrize("components", [0, 2000])
def test_a_number_of_inputs_that_makes_no_sense_is_refused(digits, components):
    with pytest.raises(ValueError, match="between 1 and the 1442 images"):
        vampprior(VAE(64, hidden=5, latent_dim=2), digits[0], samples=100, components=components)
