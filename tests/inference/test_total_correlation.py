"""The price on total correlation: terms and gradient against the exact aggregated posterior, the discriminator against
a Gaussian pair whose total correlation is known, and both of them in training.
"""

import math

import pytest
import torch
from torch.func import grad, vmap

from elbo.data import load
from elbo.densities import gaussian_log_prob, standard_gaussian_log_prob
from elbo.estimators import batch_terms, log_aggregate_posterior, log_dimension_marginals
from elbo.inference import beta_tcvae, factorvae
from elbo.inference.aevb import sgvb_a, sgvb_b
from elbo.inference.sgvb import reparameterise
from elbo.models.vae import VAE
from elbo.training import Adam, Noise
from elbo.training import fit as train

MODEL = VAE(5, 4, 3)
N = 12


def case(seed=0):
    generator = torch.Generator().manual_seed(seed)
    params = MODEL.init(generator, 0.8, torch.float64)
    x = torch.bernoulli(torch.full((N, 5), 0.5, dtype=torch.float64), generator=generator)
    eps = torch.randn(N, 3, generator=generator, dtype=torch.float64)
    scalars = {"beta": torch.tensor(0.7, dtype=torch.float64), "active": torch.ones(3, dtype=torch.float64)}
    return params, x, {"eps": eps}, scalars


def exact(params, x, eps, beta, weight):
    """The objective with log q(z) and its marginals by the mixture over all data."""
    mean, log_var = MODEL.encode(params, x)
    z = reparameterise(mean, log_var, eps)
    components = gaussian_log_prob(z.unsqueeze(1), mean, log_var)  # (codes, data)
    joint = torch.logsumexp(components, 1) - math.log(N)
    each = -0.5 * ((z.unsqueeze(1) - mean).square() / log_var.exp() + log_var + math.log(2 * math.pi))
    product = (torch.logsumexp(each, 1) - math.log(N)).sum(1)
    torch.testing.assert_close(joint, log_aggregate_posterior(z, mean, log_var))
    torch.testing.assert_close(product, log_dimension_marginals(z, mean, log_var).sum(1))
    price = gaussian_log_prob(z, mean, log_var) - joint + weight * (joint - product)
    price = price + product - standard_gaussian_log_prob(z)
    return -(MODEL.log_likelihood(params, x, z) - beta * price).mean()


@pytest.mark.equation("eq-higgins-2017-total-correlation")
def test_with_all_data_in_the_minibatch_the_gradient_is_that_of_the_exact_objective():
    """Weighted sampling then has every component with the same weight: log q(z) and its marginals up to constants."""
    params, x, noise, scalars = case()
    loss, terms = beta_tcvae.objective(MODEL, N, 6.0, "weighted")
    off = math.log(N) * (1 - 6 + (6 - 1) * 3)  # what the weights 1 / N^2 for 1 / N add in joint and marginals
    found = loss(params, x, noise, scalars)
    torch.testing.assert_close(found, exact(params, x, noise["eps"], 0.7, 6.0) + 0.7 * off)
    slopes = grad(loss)(params, x, noise, scalars)
    wanted = grad(lambda p: exact(p, x, noise["eps"], 0.7, 6.0))(params)
    for name in params:
        torch.testing.assert_close(slopes[name], wanted[name])
    torch.testing.assert_close(sum(terms(params, x, noise, scalars).values()), found)


@pytest.mark.parametrize("sampling", ["weighted", "stratified"])
def test_with_weight_one_it_is_the_plain_bound_whatever_the_estimate(sampling):
    params, x, noise, scalars = case(1)
    loss, _ = beta_tcvae.objective(MODEL, 1000, 1.0, sampling)
    plain = -sgvb_a(MODEL, params, x, noise["eps"], 0.7).mean()
    torch.testing.assert_close(loss(params, x, noise, scalars), plain)


def test_stratified_sampling_comes_near_the_exact_total_correlation():
    """Codes of 400 data, minibatches of 200 from twenty partitions, against the mixture over all 400."""
    generator = torch.Generator().manual_seed(2)
    turn = torch.tensor([[1.0, 0.8], [0.0, 0.6]], dtype=torch.float64)
    mean = torch.randn(400, 2, generator=generator, dtype=torch.float64) @ turn
    log_var = torch.full_like(mean, math.log(0.3))
    z = reparameterise(mean, log_var, torch.randn(400, 2, generator=generator, dtype=torch.float64))
    truth = (log_aggregate_posterior(z, mean, log_var) - log_dimension_marginals(z, mean, log_var).sum(1)).mean()
    found = []
    for _ in range(20):
        halves = torch.randperm(400, generator=generator).split(200)
        terms = [batch_terms(z[r], mean[r], log_var[r], 400, "stratified").total_correlation for r in halves]
        found.append(torch.cat(terms).mean())
    off = torch.stack(found) - truth
    assert truth > 0.25 and abs(off.mean()) < 4 * off.std() / math.sqrt(len(off)) < 0.005


def test_padding_of_a_stack_gets_no_gradient():
    params, x, noise, scalars = case(3)
    scalars = scalars | {"active": torch.tensor([1.0, 1.0, 0.0], dtype=torch.float64)}
    noise = {"eps": noise["eps"] * scalars["active"]}
    loss, _ = beta_tcvae.objective(MODEL, 50, 4.0)
    slopes = grad(loss)(params, x, noise, scalars)["encoder.head.weight"].unflatten(-1, (2, 3))
    assert (slopes[..., 2] == 0).all() and (slopes[..., :2] != 0).any()


@pytest.mark.equation("eq-higgins-2017-discriminator")
def test_the_discriminator_finds_the_total_correlation_of_a_gaussian_pair():
    r"""For correlation rho the log-ratio is known point by point, and its mean is -log(1 - rho^2) / 2."""
    rho, size = 0.8, 500
    generator = torch.Generator().manual_seed(4)
    start = factorvae.discriminator(2, 32, 2, generator)

    def loss(params, x, noise, scalars):
        z = torch.stack([noise["a"][:, 0], rho * noise["a"][:, 0] + math.sqrt(1 - rho**2) * noise["a"][:, 1]], 1)
        first, second = z[:size], z[size:]
        return factorvae.discriminator_loss(params, first, factorvae.shuffle_latents(second, noise["order"]))

    fitted = train(
        loss,
        {name: value[None] for name, value in start.items()},
        torch.zeros(1, 1),
        seeds=[0],
        steps=800,
        noise={"a": Noise("normal", (2 * size, 2)), "order": Noise("uniform", (size, 2))},
        optimiser=Adam(3e-3),
        compile=False,
    )
    params = {name: value[0] for name, value in fitted.params.items()}
    eps = torch.randn(20_000, 2, generator=generator)
    z = torch.stack([eps[:, 0], rho * eps[:, 0] + math.sqrt(1 - rho**2) * eps[:, 1]], 1)
    truth = -0.5 * math.log(1 - rho**2) - (z[:, 0] ** 2 + z[:, 1] ** 2 - 2 * rho * z[:, 0] * z[:, 1]) / (
        2 * (1 - rho**2)
    )
    truth = truth + 0.5 * (z**2).sum(1)
    found = factorvae.log_ratio(params, z)
    assert truth.mean().item() == pytest.approx(-0.5 * math.log(1 - rho**2), abs=0.02)
    assert found.mean().item() == pytest.approx(-0.5 * math.log(1 - rho**2), abs=0.06)
    assert torch.corrcoef(torch.stack([found, truth]))[0, 1] > 0.98
    assert factorvae.discriminator_loss(params, z, z) > math.log(2)  # codes that are one another's: nothing to tell


def test_shuffling_keeps_every_latent_and_breaks_the_rows():
    z = torch.arange(30.0).view(10, 3)
    uniform = torch.rand(10, 3, generator=torch.Generator().manual_seed(0))
    shuffled = factorvae.shuffle_latents(z, uniform)
    torch.testing.assert_close(shuffled.sort(0).values, z)
    assert (shuffled[:, 0] + 1 != shuffled[:, 1]).any()


def test_each_network_of_factorvae_has_the_gradient_of_its_own_loss():
    params, x, noise, scalars = case(5)
    own = factorvae.discriminator(3, 6, 2, torch.Generator().manual_seed(6))
    params = params | {name: value.double() for name, value in own.items()}
    noise = noise | {"order": torch.rand(6, 3, generator=torch.Generator().manual_seed(7), dtype=torch.float64)}
    loss, terms = factorvae.objective(MODEL, 3.0)
    slopes = grad(loss)(params, x, noise, scalars)
    mean, log_var = MODEL.encode(params, x)
    z = reparameterise(mean, log_var, noise["eps"])
    shuffled = factorvae.shuffle_latents(z[6:], noise["order"])

    def of_discriminator(p):
        return factorvae.discriminator_loss(p, z[:6], shuffled)

    def of_model(p):
        m, v = MODEL.encode(p, x)
        ratio = factorvae.log_ratio(params, reparameterise(m, v, noise["eps"])[:6]).mean()
        return -sgvb_b(MODEL, p, x, noise["eps"], 0.7).mean() + 0.7 * 3.0 * ratio

    wanted = {True: grad(of_discriminator)(params), False: grad(of_model)(params)}
    for name in params:
        torch.testing.assert_close(slopes[name], wanted[name.startswith("discriminator.")][name])
    torch.testing.assert_close(sum(terms(params, x, noise, scalars).values()), loss(params, x, noise, scalars))


@pytest.fixture(scope="module")
def digits():
    return load("digits", split="train", binarise="fixed")


@pytest.mark.parametrize(
    "fit, own",
    [(beta_tcvae.fit, {"weight": 4.0}), (factorvae.fit, {"weight": 4.0, "layers": 2, "hidden": 16})],
)
def test_they_train_and_a_member_is_the_same_in_company_and_alone(digits, fit, own):
    model = VAE(64, hidden=10, latent_dim=2)
    same = {
        "samples": 2000,
        "batch_size": 40,
        "block": 5,
        "device": "cpu",
        "compile": False,
        "learning_rate": 3e-3,
    } | own
    together, alone = fit(model, digits, seeds=[3, 4], **same), fit(model, digits, seeds=[4], **same)
    for name, value in alone.member(0).items():
        torch.testing.assert_close(value, together.member(1)[name], rtol=1e-4, atol=1e-5)
    assert (together.losses[-1] < together.losses[0]).all()


def test_beta_tcvae_trains_several_sizes_in_one_stack(digits):
    same = {"samples": 1000, "batch_size": 20, "block": 5, "device": "cpu", "compile": False, "weight": 3.0}
    model = VAE(64, hidden=10)
    both = beta_tcvae.fit(model, digits, seeds=[3, 3], latent_dims=[4, 2], **same)
    alone = beta_tcvae.fit(model, digits, seeds=[3], latent_dims=[2], **same)
    for name, value in alone.member(0).items():
        torch.testing.assert_close(value, both.member(1)[name], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "fit, own, words",
    [
        (beta_tcvae.fit, {"weight": 1.0, "sampling": "misplaced"}, "'weighted' or 'stratified'"),
        (beta_tcvae.fit, {"weight": -1.0}, "must not be negative"),
        (beta_tcvae.fit, {"weight": 1.0, "batch_size": 2}, "between 3 and the 1442"),
        (factorvae.fit, {"weight": float("nan")}, "must not be negative"),
        (factorvae.fit, {"weight": 1.0, "layers": 0}, "layers must be at least 1"),
        (factorvae.fit, {"weight": 1.0, "batch_size": 3}, "at least 4"),
    ],
)
def test_wrong_choices_are_refused(digits, fit, own, words):
    with pytest.raises(ValueError, match=words):
        fit(VAE(64, hidden=5, latent_dim=2), digits, samples=100, **own)


def test_the_objectives_map_over_members():
    params, x, noise, scalars = case(8)
    stacked = ({n: torch.stack([p, 2 * p]) for n, p in params.items()}, torch.stack([x, x]))
    noise2 = {"eps": torch.stack([noise["eps"]] * 2)}
    scalars2 = {n: torch.stack([s, s]) for n, s in scalars.items()}
    loss, _ = beta_tcvae.objective(MODEL, 100, 4.0, "stratified")
    found = vmap(loss)(*stacked, noise2, scalars2)
    torch.testing.assert_close(found[0], loss(params, x, noise, scalars))
