"""SGVB estimators against the exact bound and its gradient; the algorithm against independent evaluation."""

import math
from dataclasses import dataclass, replace
from functools import partial

import pandas as pd
import pytest
import torch
from sklearn.datasets import load_digits
from torch import distributions as dist
from torch.func import grad, vmap

from elbo.densities import gaussian_log_prob, standard_gaussian_log_prob
from elbo.inference import aevb as module
from elbo.inference.aevb import (
    aevb,
    binarise,
    estimate_bound,
    log_weight_prior,
    minibatch_bound,
    reparameterise,
    sgvb_a,
    sgvb_b,
)
from elbo.models.vae import VAE

LATENT, DATA, NUM, DRAWS = 2, 3, 4, 40_000


@dataclass(frozen=True)
class Linear:
    r"""x = z W + noise, with a linear encoder: the bound and its gradient have closed forms."""

    def encode(self, params, x):
        return x @ params["v"], params["log_var"].expand(*x.shape[:-1], LATENT)

    def log_likelihood(self, params, x, z):
        return gaussian_log_prob(x, z @ params["w"], params["noise"].expand(DATA))

    def log_prior(self, z):
        return standard_gaussian_log_prob(z)


MODEL = Linear()


def exact_bound(params, x, beta):
    """By hand: E|x - zW|^2 = |x - mW|^2 + sum_k s_k |W_k|^2 for z ~ N(m, diag s), and the KL of two Gaussians."""
    mean, log_var = MODEL.encode(params, x)
    var = log_var.exp()
    squared = (x - mean @ params["w"]).square().sum(-1) + var @ params["w"].square().sum(1)
    log_lik = -0.5 * (squared * torch.exp(-params["noise"]) + DATA * (params["noise"] + math.log(2 * math.pi)))
    kl = 0.5 * (var + mean.square() - 1 - log_var).sum(-1)
    return log_lik - beta * kl


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(4)


@pytest.fixture
def linear(generator):
    draw = partial(torch.randn, generator=generator, dtype=torch.float64)
    params = {"v": 0.5 * draw(DATA, LATENT), "log_var": 0.5 * draw(LATENT), "w": draw(LATENT, DATA)}
    params["noise"] = 0.3 * draw(1)[0]
    return params, draw(NUM, DATA), draw(DRAWS, NUM, LATENT)


def within_errors(samples, expected, errors=4):
    mean, se = samples.mean(0), samples.std(0) / math.sqrt(len(samples))
    assert (se < 0.2).all(), "the test has no power"
    assert ((mean - expected).abs() <= errors * se + 1e-9).all(), (mean - expected) / se


@pytest.mark.parametrize("beta", [1.0, 0.3, 4.0])
@pytest.mark.parametrize("estimator", [sgvb_a, sgvb_b])
def test_both_estimators_are_unbiased(estimator, beta, linear):
    params, x, eps = linear
    values = estimator(MODEL, params, x, eps, beta)
    assert values.shape == (DRAWS, NUM)
    within_errors(values, exact_bound(params, x, beta))
    assert torch.equal(estimator(MODEL, params, x, eps[0], beta), values[0])


@pytest.mark.parametrize("beta", [1.0, 4.0])
@pytest.mark.parametrize("estimator", [sgvb_a, sgvb_b])
def test_their_gradients_are_unbiased(estimator, beta, linear):
    """Against autograd through the closed form; for every parameter, of model and of inference."""
    params, x, eps = linear
    drawn = vmap(grad(lambda p, e: estimator(MODEL, p, x, e, beta).mean()), in_dims=(None, 0))(params, eps[:10_000])
    exact = grad(lambda p: exact_bound(p, x, beta).mean())(params)
    for name in params:
        within_errors(drawn[name].reshape(10_000, -1), exact[name].reshape(-1))


def test_estimator_b_varies_less_here(linear):
    params, x, eps = linear
    assert (sgvb_b(MODEL, params, x, eps).var(0) < sgvb_a(MODEL, params, x, eps).var(0)).all()


def test_at_the_exact_posterior_estimator_a_does_not_vary():
    """With q = p(z|x) every draw of A is log p(x) itself (one latent, where the posterior is diagonal)."""
    w = torch.tensor([[0.7, -1.2, 0.4], [0.0, 0.0, 0.0]], dtype=torch.float64)
    precision = 1 + w[0].square().sum()
    v = torch.stack([w[0] / precision, torch.zeros(3, dtype=torch.float64)], 1)
    params = {"w": w, "v": v, "noise": torch.zeros((), dtype=torch.float64)}
    params["log_var"] = torch.stack([-precision.log(), torch.zeros((), dtype=torch.float64)])
    generator = torch.Generator().manual_seed(0)
    x, eps = (torch.randn(s, generator=generator, dtype=torch.float64) for s in ((NUM, DATA), (9, NUM, LATENT)))
    evidence = dist.MultivariateNormal(torch.zeros(3, dtype=torch.float64), w.T @ w + torch.eye(3)).log_prob(x)
    torch.testing.assert_close(sgvb_a(MODEL, params, x, eps), evidence.expand(9, NUM))


def test_bound_of_a_vae_by_quadrature(generator):
    """One latent: E_q by a fine grid, for a decoder with no closed form."""
    model = VAE(5, 4, 1)
    params = model.init(generator, 1.0, torch.float64)
    x = (torch.rand(NUM, 5, generator=generator) > 0.5).double()
    mean, log_var = model.encode(params, x)
    grid = torch.linspace(-10, 10, 4001, dtype=torch.float64)[:, None, None]
    z = reparameterise(mean, log_var, grid)
    weight = torch.exp(standard_gaussian_log_prob(grid)) * (grid[1, 0, 0] - grid[0, 0, 0])
    integrand = model.log_joint(params, x, z) - gaussian_log_prob(z, mean, log_var)
    exact = (weight * integrand).sum(0)
    eps = torch.randn(DRAWS, NUM, 1, generator=generator, dtype=torch.float64)
    within_errors(sgvb_a(model, params, x, eps), exact)
    within_errors(sgvb_b(model, params, x, eps), exact)
    bound = estimate_bound(model, params, x, torch.Generator().manual_seed(8), draws=DRAWS)
    assert ((bound - exact).abs() < 4 * sgvb_b(model, params, x, eps).std(0) / math.sqrt(DRAWS)).all()


def test_reparameterised_draws_have_the_moments_asked_for(generator):
    mean, log_var = torch.tensor([1.0, -2.0]).double(), torch.tensor([0.5, -1.0]).double()
    z = reparameterise(mean, log_var, torch.randn(DRAWS, 2, generator=generator, dtype=torch.float64))
    within_errors(z, mean)
    within_errors((z - mean).square(), log_var.exp())


def test_minibatches_estimate_the_bound_of_the_whole(generator):
    """Equation 8: the mean over all minibatches of pairs is the sum over the data."""
    bounds = torch.randn(6, generator=generator, dtype=torch.float64)
    pairs = torch.combinations(torch.arange(6), 2)
    torch.testing.assert_close(minibatch_bound(bounds[pairs], 6).mean(), bounds.sum())


def test_the_weight_prior_is_that_of_the_decoder_alone(generator):
    params = VAE(5, 4, 2).init(generator, 0.5, torch.float64)
    decoder = torch.cat([p.flatten() for name, p in params.items() if name.startswith("decoder")])
    torch.testing.assert_close(log_weight_prior(params), dist.Normal(0.0, 1.0).log_prob(decoder).sum())
    slope = grad(log_weight_prior)(params)
    assert all((slope[n] == 0).all() if n.startswith("encoder") else torch.equal(slope[n], -params[n]) for n in params)


def test_the_loss_is_minus_the_bound_with_its_prior_a_datum(generator):
    model, count = VAE(5, 4, 2), 50
    params = model.init(generator, 0.5, torch.float64)
    x = torch.rand(8, 5, generator=generator, dtype=torch.float64)
    eps = torch.randn(8, 2, generator=generator, dtype=torch.float64)
    beta = {"beta": torch.tensor(2.0).double()}
    loss, terms = module.objective(model, count)
    expected = -(sgvb_b(model, params, x, eps, 2.0).mean() + log_weight_prior(params) / count)
    torch.testing.assert_close(loss(params, x, {"eps": eps}, beta), expected)
    named = terms(params, x, {"eps": eps}, beta)
    again = -(named["log-likelihood"] - 2 * named["KL divergence"] + named["log-prior of the weights"] / count)
    torch.testing.assert_close(again, expected)


def test_fresh_binarisation_has_the_grey_values_as_probabilities(generator):
    grey = torch.tensor([0.0, 0.1, 0.5, 1.0]).double()
    drawn = binarise(grey, torch.rand(DRAWS, 4, generator=generator, dtype=torch.float64))
    assert set(drawn.unique().tolist()) == {0.0, 1.0}
    within_errors(drawn, grey)


# ---- the algorithm, on the digits of scikit-learn ----


@pytest.fixture(scope="module")
def digits():
    return torch.tensor(load_digits().data / 16, dtype=torch.float64)


SMALL = VAE(64, 30, 4)


def train(digits, samples=20_000, **options):
    model, data = options.pop("model", SMALL), options.pop("data", digits[:1500])
    return aevb(model, data, samples=samples, device="cpu", **options)


def test_the_bound_grows_and_the_history_says_what_it_is(digits):
    splits = {"train": digits[:300], "test": digits[1500:]}
    trained = train(digits, evaluate_on=splits, evaluate_at=[0, 5_000, 20_000], binarisation="grey")
    history = trained.history
    assert list(history.columns) == ["seed", "latent_dim", "beta", "samples", "split", "bound", "se"]
    assert list(history.samples) == [0, 0, 5_000, 5_000, 20_000, 20_000]
    assert list(history.split) == ["train", "test"] * 3
    test = history[history.split == "test"]
    assert (test.bound.diff().dropna() > 5 * test.se.iloc[-1]).all()
    params = trained.member(0)
    mean, log_var = SMALL.encode(params, splits["test"])
    eps = torch.randn(4000, *mean.shape, generator=torch.Generator().manual_seed(77), dtype=torch.float64)[:200]
    again = sgvb_a(SMALL, params, splits["test"], eps)  # other noise, other estimator
    noise = (again.var(0).mean() / len(splits["test"])).sqrt()
    assert abs(again.mean() - test.bound.iloc[-1]) < 4 * noise
    assert math.isclose(test.se.iloc[-1], again[0].std() / math.sqrt(len(again[0])), rel_tol=0.1)


def test_a_member_of_a_stack_is_the_member_alone(digits, record_property):
    """Seeds, betas, learning rates and latent sizes differ; the gate is 1e-4, equal bits are reported."""
    options = {"samples": 3_000, "evaluate_on": {"test": digits[1500:]}, "binarisation": "fresh"}
    seeds, dims, betas, rates = (0, 1, 2), (2, 4, 3), (1.0, 0.5, 4.0), (0.02, 0.01, 0.02)
    together = train(digits, seeds=seeds, latent_dims=dims, beta=betas, learning_rate=rates, **options)
    gaps = []
    for k in range(3):
        one = slice(k, k + 1)
        alone = train(digits, seeds=seeds[one], latent_dims=dims[one], beta=betas[k], learning_rate=rates[k], **options)
        own, company = alone.member(0), together.member(k)
        assert together.member_model(k) == alone.member_model(0) == replace(SMALL, latent_dim=dims[k])
        gaps.append(max((own[name] - company[name]).abs().max().item() for name in own))
        rows = together.history.iloc[[k]].reset_index(drop=True)
        pd.testing.assert_frame_equal(rows, alone.history, rtol=1e-6)
    record_property("bitwise", max(gaps) == 0)
    assert max(gaps) < 1e-4
    padded = together.params["decoder.0.weight"][0, 2:]
    assert (padded == 0).all() and padded.numel() > 0


def test_more_is_measured_beside_the_bound_of_every_member(digits, tmp_path):
    def measure(model, params, images):
        mean, _ = model.encode(params, images)
        return {"size": model.latent_dim, "images": len(images)} | {f"mean_{d}": m for d, m in enumerate(mean.mean(0))}

    options = {"seeds": (0,), "latent_dims": (2, 3), "evaluate_on": {"train": digits[:50], "test": digits[1500:]}}
    options |= {"evaluate_at": [0, 1_000, 2_000], "block": 10}
    trained = train(digits, 2_000, measure=measure, **options)
    plain = train(digits, 2_000, **options)
    names = list(plain.history.columns)
    pd.testing.assert_frame_equal(trained.history[names], plain.history)
    history = trained.history.set_index(["latent_dim", "split", "samples"])
    assert list(history.columns[-5:]) == ["size", "images", "mean_0", "mean_1", "mean_2"]
    assert len(history) == 12 and history.mean_2.isna().sum() == 6  # two latents have no third mean
    for member, size in enumerate((2, 3)):
        row = history.loc[size, "test", 2_000]
        assert (row["size"], row.images) == (size, len(digits) - 1500)
        mean, _ = trained.member_model(member).encode(trained.member(member), digits[1500:])
        assert abs(row[f"mean_{size - 1}"] - mean.mean(0)[-1].item()) < 1e-12
    train(digits, 1_000, measure=measure, checkpoint=tmp_path / "c", **options | {"evaluate_at": [0, 1_000]})
    resumed = train(digits, 2_000, measure=measure, checkpoint=tmp_path / "c", **options)
    pd.testing.assert_frame_equal(resumed.history, trained.history, check_exact=True)


def test_beta_weighs_the_kl(digits):
    trained = train(digits, seeds=(0,), beta=(0.2, 5.0), optimiser="adam", learning_rate=0.005)
    kl = []
    for k in range(2):
        mean, log_var = SMALL.encode(trained.member(k), digits[1500:])
        kl.append(module.standard_gaussian_kl(mean, log_var).mean())
    assert kl[0] > 3 * kl[1]


def test_both_estimators_train(digits):
    bounds = {}
    for estimator in "AB":
        trained = train(digits, estimator=estimator, draws=2, evaluate_on={"test": digits[1500:]})
        bounds[estimator] = trained.history
    a, b = (bounds[e].iloc[0] for e in "AB")
    assert abs(a.bound - b.bound) < 8 * math.hypot(a.se, b.se) and a.bound > -32


def test_a_gaussian_decoder_trains(digits):
    model = VAE(64, 30, 4, "gaussian")
    trained = train(digits, model=model, evaluate_on={"test": digits[1500:]}, evaluate_at=[0, 20_000])
    assert trained.history.bound.iloc[1] > trained.history.bound.iloc[0] + 20


def test_a_data_set_says_how_it_is_binarised(digits):
    @dataclass
    class Set:
        images: torch.Tensor
        binarisation: str

    by_set = train(digits, 1_000, data=Set(digits[:1500], "fresh"), evaluate_on={"test": Set(digits[1500:], "fresh")})
    by_hand = train(digits, 1_000, binarisation="fresh", evaluate_on={"test": digits[1500:]})
    pd.testing.assert_frame_equal(by_set.history, by_hand.history)
    grey = train(digits, 1_000, evaluate_on={"test": digits[1500:]})
    assert abs(grey.history.bound[0] - by_set.history.bound[0]) > 1e-3


def test_resumed_is_whole(digits, tmp_path):
    options = {"seeds": (0, 1), "block": 10, "evaluate_on": {"test": digits[1500:]}}
    whole = train(digits, 4_000, evaluate_at=[1_000, 4_000], **options)
    train(digits, 2_000, evaluate_at=[1_000], checkpoint=tmp_path / "run.ckpt", **options)
    resumed = train(digits, 4_000, evaluate_at=[1_000, 4_000], checkpoint=tmp_path / "run.ckpt", **options)
    assert all(torch.equal(resumed.params[n], whole.params[n]) for n in whole.params)
    pd.testing.assert_frame_equal(resumed.history, whole.history, check_exact=True)


def test_what_breaks_is_named(digits):
    broken = digits[:1500].clone()
    broken[:, 3] = math.inf
    with pytest.raises(FloatingPointError, match=r"step 1: the term 'log-likelihood' of member 0 \(seed 0\)"):
        train(digits, data=broken)


def test_wrong_arguments_are_refused(digits):
    with pytest.raises(ValueError, match=r"images must be floating point of shape \(N, 64\)"):
        train(digits, data=(digits * 16).to(torch.uint8))
    with pytest.raises(ValueError, match="estimator must be 'A' or 'B'"):
        train(digits, estimator="C")
    with pytest.raises(ValueError, match="estimator 'A' needs members of one latent size"):
        train(digits, estimator="A", seeds=(0, 1), latent_dims=(2, 3))
    with pytest.raises(ValueError, match="one for each member"):
        train(digits, seeds=(0, 1), latent_dims=(2, 3, 4))
    with pytest.raises(ValueError, match="evaluate_at between 0 and samples"):
        train(digits, evaluate_at=[30_000])
    with pytest.raises(ValueError, match="binarisation must be one of"):
        train(digits, binarisation="black")
    if not torch.cuda.is_available():
        with pytest.raises(RuntimeError, match="no CUDA device here"):
            aevb(SMALL, digits, samples=100, device="cuda")
