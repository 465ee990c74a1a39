"""Wake-sleep: both gradients by quadrature and enumeration, what each touches, its fixed point, and that it trains."""

import itertools
import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.datasets import load_digits

from elbo.densities import gaussian_log_prob, standard_gaussian_log_prob
from elbo.inference.aevb import aevb, estimate_bound
from elbo.inference.wake_sleep import dream, objective, sleep, wake, wake_sleep
from elbo.models.vae import VAE

PIXELS = 3
MODEL = VAE(PIXELS, 4, 1)
X = torch.tensor([[0.0, 1.0, 1.0], [1.0, 0.0, 0.0]], dtype=torch.float64)
PATTERNS = torch.tensor(list(itertools.product([0.0, 1.0], repeat=PIXELS)), dtype=torch.float64)


@pytest.fixture
def params():
    return MODEL.init(torch.Generator().manual_seed(1), 0.8, torch.float64)


def hermite(count=80):
    """Gauss-Hermite points and weights for the standard Gaussian."""
    points, weights = np.polynomial.hermite_e.hermegauss(count)
    return torch.tensor(points).reshape(-1, 1), torch.tensor(weights / math.sqrt(2 * math.pi))


def gradients(value, params):
    leaves = list(params.values())
    found = torch.autograd.grad(value, leaves, allow_unused=True, materialize_grads=True)
    return dict(zip(params, found))


def leaves_of(params):
    return {name: p.clone().requires_grad_() for name, p in params.items()}


def exact_bound(params, points, weights):
    mean, log_var = MODEL.encode(params, X)
    z = mean + torch.exp(0.5 * log_var) * points[:, None]  # (points, batch, 1)
    values = MODEL.log_joint(params, X, z) - gaussian_log_prob(z, mean, log_var)
    return (weights[:, None] * values).sum(0).mean()


def test_the_wake_gradient_is_that_of_the_bound_in_theta_and_touches_nothing_else(params):
    points, weights = hermite()
    params = leaves_of(params)
    ours = wake(MODEL, params, X, points[:, None].expand(-1, len(X), 1))  # (points, batch)
    ours = gradients((weights[:, None] * ours).sum(0).mean(), params)
    exact = gradients(exact_bound(params, points, weights), params)
    for name in params:
        if name.startswith("encoder"):
            assert (ours[name] == 0).all() and (exact[name] != 0).any()
        else:
            assert (exact[name] != 0).any()
            torch.testing.assert_close(ours[name], exact[name], rtol=1e-9, atol=1e-11)


def expected_sleep(params, points, weights):
    """E_p(z) sum_x p(x|z) log q(z|x): Gauss-Hermite over the code, every binary x, the decoder's part held fixed."""
    probabilities = torch.exp(MODEL.log_likelihood(params, PATTERNS[:, None], points)).detach()  # (patterns, points)
    mean, log_var = MODEL.encode(params, PATTERNS)
    log_q = gaussian_log_prob(points, mean[:, None], log_var[:, None])
    return (weights * probabilities * log_q).sum()


def test_the_sleep_gradient_is_that_of_the_encoder_on_dreams_and_touches_nothing_else(params):
    """Exact over the codes by quadrature; over the pixels by a grid of uniforms that puts each in its place."""
    points, weights = hermite(60)
    params = leaves_of(params)
    exact = gradients(expected_sleep(params, points, weights), params)
    generator = torch.Generator().manual_seed(3)
    draws = 400
    drawn = []
    for _ in range(30):  # batches of dreams, whose means give the standard error
        pixels = torch.rand(draws, len(points), PIXELS, generator=generator, dtype=torch.float64)
        value = sleep(MODEL, params, points.expand(draws, -1, 1), pixels)
        drawn.append(gradients((weights * value).sum(-1).mean(), params))
    for name in params:
        samples = torch.stack([d[name] for d in drawn])
        if name.startswith("decoder"):
            assert (samples == 0).all()
        else:
            se = samples.std(0) / math.sqrt(len(samples))
            assert (exact[name].abs() > 10 * se).any(), "the test has no power"
            assert ((samples.mean(0) - exact[name]).abs() < 5 * se + 1e-12).all(), name


def test_dreams_have_the_mass_that_the_decoder_gives_them(params):
    """The frequency of every binary picture, for one code."""
    code, count = torch.tensor([0.7], dtype=torch.float64), 40_000
    pixels = torch.rand(count, PIXELS, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    dreams = dream(MODEL, params, code.expand(count, 1), pixels)
    mass = torch.exp(MODEL.log_likelihood(params, PATTERNS, code.expand(len(PATTERNS), 1)))
    seen = (dreams[:, None] == PATTERNS).all(-1).double().mean(0)
    assert ((seen - mass).abs() < 4 * torch.sqrt(mass * (1 - mass) / count)).all()


def test_gaussian_dreams_have_the_moments_of_the_decoder():
    model = replace(MODEL, likelihood="gaussian")
    params = model.init(torch.Generator().manual_seed(1), 0.8, torch.float64)
    code, count = torch.tensor([0.7], dtype=torch.float64), 40_000
    noise = torch.randn(count, PIXELS, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    dreams = dream(model, params, code.expand(count, 1), noise)
    mean, log_var = model.decode(params, code)
    sd = torch.exp(0.5 * log_var)
    assert ((dreams.mean(0) - mean).abs() < 4 * sd / math.sqrt(count)).all()
    assert ((dreams.std(0) / sd - 1).abs() < 4 / math.sqrt(2 * count)).all()


def test_the_loss_is_the_sum_of_both_phases_and_the_prior(params):
    generator = torch.Generator().manual_seed(2)
    noise = {name: torch.randn(2, 1, generator=generator, dtype=torch.float64) for name in ("eps", "codes")}
    noise["pixels"] = torch.rand(2, PIXELS, generator=generator, dtype=torch.float64)
    loss, terms = objective(MODEL, 50)
    scalars = {"active": torch.ones(1, dtype=torch.float64)}
    awake = wake(MODEL, params, X, noise["eps"]).mean()
    asleep = sleep(MODEL, params, noise["codes"], noise["pixels"]).mean()
    decoder = torch.cat([p.flatten() for name, p in params.items() if name.startswith("decoder")])
    expected = -(awake + asleep + standard_gaussian_log_prob(decoder) / 50)
    torch.testing.assert_close(loss(params, X, noise, scalars), expected)
    assert set(terms(params, X, noise, scalars)) == {"wake phase", "sleep phase", "log-prior of the weights"}


class Linear:
    r"""p(x|z) = N(w z, s), q(z|x) = N(v x, t): the sleep phase has the exact posterior as its fixed point."""

    likelihood = "gaussian"

    def encode(self, params, x):
        return x @ params["v"].T, params["t"].expand(*x.shape[:-1], 1)

    def decode(self, params, z):
        return z @ params["w"].T, params["s"].expand(*z.shape[:-1], 2)


def test_the_fixed_point_of_sleep_is_the_exact_posterior():
    """At the posterior of a linear-Gaussian model the expected sleep gradient is zero, beside it it is not."""
    w = torch.tensor([[0.8], [-0.5]], dtype=torch.float64)
    s = torch.tensor([-0.7, -0.2], dtype=torch.float64)
    precision = 1 + (w.square().squeeze(1) * torch.exp(-s)).sum()
    posterior = {"v": (w.T * torch.exp(-s)) / precision, "t": -precision.log().reshape(1), "w": w, "s": s}
    generator = torch.Generator().manual_seed(6)
    codes = torch.randn(200_000, 1, generator=generator, dtype=torch.float64)
    pixels = torch.randn(200_000, 2, generator=generator, dtype=torch.float64)
    for shift, at_rest in ((0.0, True), (0.1, False)):
        params = leaves_of(posterior | {"v": posterior["v"] + shift})
        pairs = zip(codes.chunk(100), pixels.chunk(100))
        grads = [gradients(sleep(Linear(), params, z, e).mean(), params) for z, e in pairs]
        per_batch = torch.stack([g["v"] for g in grads])
        assert all((g["w"] == 0).all() and (g["s"] == 0).all() for g in grads)  # no gradient through the dream
        se = per_batch.std(0) / 10
        assert ((per_batch.mean(0).abs() < 4 * se).all()) == at_rest


# ---- the algorithm, on the digits of scikit-learn ----

SMALL = VAE(64, 30, 4)


@pytest.fixture(scope="module")
def digits():
    return torch.tensor(load_digits().data / 16, dtype=torch.float64)


def test_it_improves_the_bound_from_the_start_of_aevb(digits):
    options = {"evaluate_on": {"test": digits[1500:]}, "evaluate_at": [0, 20_000], "device": "cpu"}
    asleep = wake_sleep(SMALL, digits[:1500], samples=20_000, **options)
    other = aevb(SMALL, digits[:1500], samples=100, evaluate_on=options["evaluate_on"], evaluate_at=[0], device="cpu")
    assert list(asleep.history.columns) == list(other.history.columns)
    assert asleep.history.bound[0] == other.history.bound[0]  # the same start
    assert asleep.history.bound[1] > asleep.history.bound[0] + 5 * asleep.history.se[1]
    generator = torch.Generator().manual_seed(9)
    again = estimate_bound(SMALL, asleep.member(0), digits[1500:], generator, "A", draws=20)
    assert abs(again.mean() - asleep.history.bound[1]) < 0.5


@pytest.mark.parametrize("likelihood", ["bernoulli", "gaussian"])
def test_a_member_of_a_stack_is_the_member_alone(digits, likelihood):
    """Latent sizes differ: the padding must not train, nor move anything else."""
    model = replace(SMALL, likelihood=likelihood)
    options = {"samples": 2_000, "device": "cpu", "evaluate_on": {"test": digits[1500:]}}
    together = wake_sleep(model, digits[:1500], seeds=(0, 1), latent_dims=(2, 4), **options)
    for k, latent in enumerate((2, 4)):
        alone = wake_sleep(model, digits[:1500], seeds=(k,), latent_dims=(latent,), **options)
        own, company = alone.member(0), together.member(k)
        assert max((own[name] - company[name]).abs().max().item() for name in own) < 1e-4
        pd.testing.assert_frame_equal(
            together.history.iloc[[k]].reset_index(drop=True), alone.history, rtol=1e-6, check_exact=False
        )
        padding = 0.5 * math.log(2 * math.pi) * 30 * (4 - latent) / 1500  # zero weights have a prior too
        torch.testing.assert_close(together.losses[:, k], alone.losses[:, 0] + padding, rtol=1e-5, atol=1e-5)
    padded = together.model.resize({n: p[0] for n, p in together.params.items()}, 4)["encoder.head.weight"]
    assert (padded.unflatten(-1, (2, 4))[..., 2:] == 0).all()


def test_resumed_is_whole_and_its_checkpoint_is_not_aevbs(digits, tmp_path):
    options = {"block": 10, "device": "cpu", "binarisation": "fresh"}
    whole = wake_sleep(SMALL, digits, samples=3_000, **options)
    wake_sleep(SMALL, digits, samples=1_000, checkpoint=tmp_path / "run.ckpt", **options)
    resumed = wake_sleep(SMALL, digits, samples=3_000, checkpoint=tmp_path / "run.ckpt", **options)
    assert all(torch.equal(resumed.params[n], whole.params[n]) for n in whole.params)
    with pytest.raises(ValueError, match="algorithm"):
        aevb(SMALL, digits, samples=4_000, checkpoint=tmp_path / "run.ckpt", **options)


def test_what_breaks_is_named(digits):
    broken = digits.clone()
    broken[:, 3] = math.inf
    with pytest.raises(FloatingPointError, match=r"step 1: the term 'wake phase' of member 0"):
        wake_sleep(SMALL, broken, samples=200, device="cpu")


@pytest.mark.parametrize(("scale", "explodes"), [(0.1, True), (0.01, False)])
def test_with_many_latents_wide_weights_let_the_sleep_phase_explode(scale, explodes):
    """A thousand pictures, 200 latents, Adagrad at 0.01: the first steps, of one size in every weight, raise the
    encoder's log-variances on dreams that are half white, and the divergence on data holds their exponentials. The
    weights of Kingma & Welling started at 0.01 (``tests/data/test_paper_curves.py``), where this does not happen.
    """
    generator = torch.Generator().manual_seed(0)
    x = (torch.rand(500, 784, generator=generator) < 0.13 * (torch.rand(784, generator=generator) < 0.5) * 2).float()
    model = VAE(784, 500, latent_dim=200)
    trained = wake_sleep(
        model, x, samples=1000, learning_rate=0.01, init_scale=scale, device="cpu", evaluate_on={"test": x[:200]}
    )
    bound = trained.history.bound.iloc[-1]
    nothing = -784 * math.log(2)  # a coin for every pixel
    assert bound < 2 * nothing if explodes else bound > 1.2 * nothing
