"""What changes as training goes on: the number of steps as an input, the capacity, free bits and warm-up."""

import pytest
import torch
from torch.func import grad

from elbo.data import load
from elbo.densities import standard_gaussian_kl
from elbo.inference import aevb, capacity, free_bits
from elbo.inference.aevb import sgvb_b
from elbo.models.vae import VAE
from elbo.training import Block, Noise

MODEL = VAE(5, 4, 3)
ONE = {"beta": torch.tensor(1.0, dtype=torch.float64)}


def case(seed=0):
    generator = torch.Generator().manual_seed(seed)
    params = MODEL.init(generator, 0.8, torch.float64)
    x = torch.bernoulli(torch.full((12, 5), 0.5, dtype=torch.float64), generator=generator)
    return params, x, torch.randn(12, 3, generator=generator, dtype=torch.float64)


def at(eps, steps):
    return {"eps": eps, "steps": torch.tensor(float(steps), dtype=torch.float64)}


def test_the_number_of_steps_is_that_of_the_run_in_every_block():
    data = torch.zeros(9, 2)
    spec = {"steps": Noise("steps", ()), "eps": Noise("normal", (3, 2))}
    block, without = Block([5, 6], 4, 3, 9, spec, data), Block([5, 6], 4, 3, 9, {"eps": spec["eps"]}, data)
    for number in (0, 2):
        block.fill(number)
        without.fill(number)
        assert [block.at(step)[1]["steps"].tolist() for step in range(4)] == [[4.0 * number + s] * 2 for s in range(4)]
        assert torch.equal(block.noise["eps"], without.noise["eps"])  # nothing is drawn for it


@pytest.mark.equation("eq-higgins-2017-capacity")
@pytest.mark.parametrize("taken, target", [(0, 0.0), (30, 3.0), (100, 10.0), (500, 10.0)])
def test_the_capacity_grows_in_proportion_and_stays(taken, target):
    params, x, eps = case()
    loss, _ = capacity.objective(MODEL, 7.0, 10.0, 100)
    mean, log_var = MODEL.encode(params, x)
    kl = standard_gaussian_kl(mean, log_var).mean()
    z = mean + torch.exp(0.5 * log_var) * eps
    wanted = -MODEL.log_likelihood(params, x, z).mean() + 7 * (kl - target).abs()
    torch.testing.assert_close(loss(params, x, at(eps, taken), {}), wanted)


def test_the_capacity_pulls_from_both_sides():
    """Below it more divergence is asked for, above it less: the gradient of the second term changes its sign."""
    params, x, eps = case()
    slope = {}
    for nats in (0.0, 1000.0):
        _, terms = capacity.objective(MODEL, 1.0, nats, 0)
        slope[nats] = grad(lambda p: terms(p, x, at(eps, 0), {})["distance from the capacity"])(params)  # noqa: B023
    for name in params:
        torch.testing.assert_close(slope[0.0][name], -slope[1000.0][name])


def test_without_free_bits_and_warm_up_it_is_the_bound():
    params, x, eps = case()
    loss, _ = free_bits.objective(MODEL, 0.0, 0)
    torch.testing.assert_close(loss(params, x, at(eps, 0), ONE), -sgvb_b(MODEL, params, x, eps).mean())


@pytest.mark.equation("eq-kingma-welling-2013-free-bits")
def test_warm_up_is_beta_that_grows():
    params, x, eps = case()
    loss, terms = free_bits.objective(MODEL, 0.0, 200)
    for taken, beta in ((0, 0.0), (50, 0.25), (200, 1.0), (900, 1.0)):
        wanted = -sgvb_b(MODEL, params, x, eps, beta).mean()
        torch.testing.assert_close(loss(params, x, at(eps, taken), ONE), wanted)
    torch.testing.assert_close(sum(terms(params, x, at(eps, 50), ONE).values()), loss(params, x, at(eps, 50), ONE))


@pytest.mark.equation("eq-kingma-welling-2013-free-bits")
def test_a_latent_below_its_free_bits_is_not_pressed_and_one_above_pays_in_full():
    params, x, eps = case()
    each = free_bits.latent_kl(*MODEL.encode(params, x)).mean(0)
    torch.testing.assert_close(each.sum(), standard_gaussian_kl(*MODEL.encode(params, x)).mean())
    low, high = each.argmin(), each.argmax()
    free = ((each.min() + each.max()) / 2).item()
    _, terms = free_bits.objective(MODEL, free, 0)

    def price(p):
        return terms(p, x, at(eps, 0), ONE)["KL divergence"]

    torch.testing.assert_close(price(params), each.clamp(min=free).sum())
    pressed = grad(price)(params)["encoder.head.weight"].unflatten(-1, (2, 3))
    plain = grad(lambda p: standard_gaussian_kl(*MODEL.encode(p, x)).mean())(params)
    plain = plain["encoder.head.weight"].unflatten(-1, (2, 3))
    assert (pressed[..., low] == 0).all() and (plain[..., low] != 0).any()
    torch.testing.assert_close(pressed[..., high], plain[..., high])


@pytest.fixture(scope="module")
def digits():
    return load("digits", split="train", binarise="fixed"), load("digits", split="test", binarise="fixed")


SHORT = {"batch_size": 50, "block": 20, "device": "cpu", "compile": False, "learning_rate": 3e-3}


def code_nats(trained, images, member=0):
    model = trained.member_model(member)
    return standard_gaussian_kl(*model.encode(trained.member(member), images)).mean().item()


def test_training_holds_the_code_at_the_capacity(digits):
    train, test = digits
    trained = capacity.fit(
        VAE(64, 40, 5), train, samples=30_000, capacity=8.0, weight=30.0, reached=20_000, seeds=[0, 1], **SHORT
    )
    assert code_nats(trained, train.images) == pytest.approx(8, abs=0.5)
    assert code_nats(trained, train.images, 1) == pytest.approx(8, abs=0.5)
    assert code_nats(trained, test.images) == pytest.approx(8, abs=1.5)


def test_free_bits_keep_latents_in_use_that_would_fall_silent(digits):
    train, _ = digits
    plain = aevb.fit(VAE(64, 40, 20), train, samples=25_000, weight_prior=False, optimiser="adam", **SHORT)
    free = free_bits.fit(VAE(64, 40, 20), train, samples=25_000, free=0.3, **SHORT)
    counts = {}
    for name, trained in (("plain", plain), ("free", free)):
        each = free_bits.latent_kl(*trained.model.encode(trained.member(0), train.images)).mean(0)
        counts[name] = int((each > 0.2).sum())
    assert counts["free"] == 20 and counts["plain"] < 18


def test_a_run_with_a_schedule_goes_on_from_its_checkpoint_bit_for_bit(digits, tmp_path):
    model, same = VAE(64, 10, 3), SHORT | {"free": 0.1, "warm_up": 3000, "checkpoint_seconds": 0.0}
    whole = free_bits.fit(model, digits[0], samples=4000, **same)
    free_bits.fit(model, digits[0], samples=2000, checkpoint=tmp_path / "run", **same)
    resumed = free_bits.fit(model, digits[0], samples=4000, checkpoint=tmp_path / "run", **same)
    for name, value in whole.params.items():
        assert torch.equal(value, resumed.params[name])


@pytest.mark.parametrize(
    "fit, own",
    [
        (capacity.fit, {"capacity": -1.0}),
        (capacity.fit, {"capacity": 1.0, "weight": float("nan")}),
        (capacity.fit, {"capacity": 1.0, "reached": -5}),
        (free_bits.fit, {"free": -0.1}),
        (free_bits.fit, {"warm_up": -1}),
    ],
)
def test_what_lies_below_zero_is_refused(digits, fit, own):
    with pytest.raises(ValueError, match="must not be negative"):
        fit(VAE(64, hidden=5, latent_dim=2), digits[0], samples=100, **own)
