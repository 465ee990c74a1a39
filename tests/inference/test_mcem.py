"""Monte Carlo EM: Fisher's identity and the fixed point on the linear-Gaussian model, then VAEs on small digits."""

import math
from functools import partial

import pandas as pd
import pytest
import torch
from sklearn.datasets import load_digits
from torch.func import grad, vmap

from elbo.estimators.marginal_likelihood import model_evidence
from elbo.inference.aevb import aevb
from elbo.inference.climb import _draw, climb
from elbo.inference.mcem import mcem
from elbo.models import linear_gaussian as lg
from elbo.models.vae import VAE
from elbo.training import Adagrad, CheckpointError, keyed_generator

X_DIM, LATENT, NUM = 4, 2, 60


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def build(params):
    return lg.LinearGaussian(params["weight"], params["mean"], params["log_var"].expand(X_DIM))


def log_joint(params, x, z):
    return lg.log_joint(build(params), x, z)


@pytest.fixture(scope="module")
def data():
    return lg.sample(lg.random_model(X_DIM, LATENT, rng(1)), NUM, rng(2))[0]


@pytest.fixture(scope="module")
def best(data):
    """Maximum likelihood, in closed form (Tipping & Bishop)."""
    model = lg.fit_ppca(data, LATENT)
    return {"weight": model.weight, "mean": model.mean, "log_var": model.log_var[0]}


def evidence(params, x):
    return lg.log_evidence(build(params), x).mean()


@pytest.mark.parametrize("where", ["at maximum likelihood", "elsewhere"])
def test_the_drawn_gradient_is_that_of_the_evidence(data, best, where):
    """Fisher's identity with the chains of the algorithm: zero at the maximum, the exact gradient everywhere."""
    params = best if where == "at maximum likelihood" else {name: p + 0.2 for name, p in best.items()}
    copies = 200
    mean, cov = lg.posterior(build(params), data)
    noise = torch.randn(copies, NUM, LATENT, generator=rng(3), dtype=torch.float64)
    start = mean + noise @ torch.linalg.cholesky(cov).T  # exact draws: what invariant moves must keep
    many = data.repeat(copies, 1)
    z, accept = _draw(log_joint, params, many, start.flatten(0, 1), torch.tensor(0.5).double(), 10, 2, rng(4), 0)
    assert 0.5 < accept < 0.999 and (z.view_as(start) != start).double().mean() > 0.8
    drawn = vmap(grad(lambda p, codes: log_joint(p, data, codes).mean()), in_dims=(None, 0))(params, z.view_as(start))
    exact = grad(lambda p: evidence(p, data))(params)
    samples = torch.cat([drawn[name].reshape(copies, -1) for name in params], 1)
    target = torch.cat([exact[name].reshape(-1) for name in params])
    error = samples.std(0) / math.sqrt(copies)
    assert ((samples.mean(0) - target).abs() < 4.5 * error).all()
    if where == "elsewhere":
        assert (target.abs() > 10 * error).sum() > 6  # of 13: the test has power
    else:
        assert (target.abs() < 1e-10).all()


def test_it_climbs_to_maximum_likelihood(data, best):
    """The evidence is known exactly all the way: it ends below its maximum, by what the noise of the updates leaves."""
    start = {name: p + 0.5 * torch.randn(p.shape, generator=rng(5), dtype=p.dtype) for name, p in best.items()}
    gaps = []

    def record(number, params, acceptance, step_size):
        gaps.append((evidence(best, data) - evidence(params, data)).item())
        return []

    found = climb(
        log_joint,
        start,
        data,
        LATENT,
        acquisitions=500,
        generator=rng(6),
        batch_size=NUM,
        updates=1,
        optimiser=Adagrad(0.1),
        record=record,
        record_at=[0, 250, 500],
    )
    assert gaps[0] > 0.3 and all(gap > 0 for gap in gaps)
    assert gaps[2] < 0.01 and gaps[1] < 0.03
    assert found.acceptance[100:].mean() == pytest.approx(0.9, abs=0.02)
    assert found.codes.shape == (NUM, LATENT) and found.losses.shape == (500,)
    spread = found.params["weight"] @ found.params["weight"].T - best["weight"] @ best["weight"].T
    assert spread.abs().max() < 0.25  # the weights themselves only up to a rotation


def test_from_maximum_likelihood_it_goes_nowhere(data, best):
    """A fixed point: after as many steps the evidence is within noise of its maximum, from the maximum itself."""
    found = climb(
        log_joint,
        best,
        data,
        LATENT,
        acquisitions=200,
        generator=rng(7),
        batch_size=NUM,
        updates=1,
        optimiser=Adagrad(0.01),
    )
    assert 0 <= evidence(best, data) - evidence(found.params, data) < 0.01


@pytest.mark.parametrize("batch_size", [NUM, NUM // 4])
def test_the_prior_of_the_parameters_counts_once_for_all_data(data, best, batch_size):
    """One update at a rate so small that Adagrad's step is its sign: strong priors turn it round."""

    def prior(params):
        return -1e4 * params["mean"].sum()

    options = {"acquisitions": 1, "batch_size": batch_size, "updates": 1, "optimiser": Adagrad(1e-3)}
    free = climb(log_joint, best, data, LATENT, generator=rng(8), **options)
    bound = climb(log_joint, best, data, LATENT, generator=rng(8), log_prior=prior, **options)
    torch.testing.assert_close(bound.params["mean"], best["mean"] - 1e-3)
    torch.testing.assert_close(bound.params["weight"], free.params["weight"])
    torch.testing.assert_close(bound.losses - free.losses, (-prior(best) / NUM).reshape(1))


def test_several_updates_use_one_acquisition(data, best):
    """Five updates on the same codes are five steps of Adagrad on the same objective, by hand."""
    options = {"acquisitions": 1, "batch_size": NUM, "optimiser": Adagrad(0.05)}
    found = climb(log_joint, best, data, LATENT, generator=rng(9), updates=5, **options)
    params = {name: p.clone().requires_grad_() for name, p in best.items()}
    optimiser = torch.optim.Adagrad(params.values(), lr=0.05)
    for _ in range(5):
        optimiser.zero_grad()
        (-log_joint(params, data, found.codes).mean()).backward()
        optimiser.step()
    for name in params:
        torch.testing.assert_close(found.params[name], params[name].detach())


# ---- variational autoencoders ----

SMALL = VAE(64, 20, 2)


@pytest.fixture(scope="module")
def digits():
    return torch.tensor(load_digits().data / 16, dtype=torch.float64).round()


QUICK = partial(model_evidence, chains=5, draws=200, warmup=20)


def test_the_estimated_evidence_grows_and_the_encoder_stays(digits):
    splits = {"train": digits[:60], "test": digits[300:360]}
    trained = mcem(
        SMALL, digits[:300], samples=60_000, evaluate_on=splits, evaluate_at=[0, 60_000], estimate=QUICK, device="cpu"
    )
    history = trained.history
    assert list(history.columns) == [
        "seed",
        "latent_dim",
        "beta",
        "samples",
        "split",
        "log_evidence",
        "se",
        "effective_size",
        "acceptance",
        "step_size",
    ]
    assert list(history.samples) == [0, 0, 60_000, 60_000] and list(history.split) == ["train", "test"] * 2
    gain = history.log_evidence[3] - history.log_evidence[1]
    assert gain > 5 * history.se[3] and (history.effective_size > 3).all()
    assert abs(history.acceptance[3] - 0.9) < 0.03
    start = aevb(SMALL, digits[:300], samples=100, learning_rate=1e-9, device="cpu").member(0)
    own = trained.member(0)
    for name in own:
        same = torch.allclose(own[name], start[name], atol=1e-6)
        assert same == name.startswith("encoder"), name
    again = model_evidence(SMALL, own, splits["test"], rng(1), method="ais", chains=10, temperatures=60)
    mine = history.log_evidence[3]
    assert abs(again.log_evidence.mean() - mine) < 0.3  # another estimator, both within a fraction of a nat


def test_members_are_their_own(digits):
    """Seeds and latent sizes differ; training one after another makes company impossible, padding must not show."""
    options = {"samples": 1_500, "device": "cpu", "estimate": QUICK, "evaluate_on": {"test": digits[300:310]}}
    together = mcem(SMALL, digits[:300], seeds=(0, 1), latent_dims=(2, 3), learning_rate=(0.02, 0.01), **options)
    for k, (latent, rate) in enumerate(((2, 0.02), (3, 0.01))):
        alone = mcem(SMALL, digits[:300], seeds=(k,), latent_dims=(latent,), learning_rate=rate, **options)
        own, company = alone.member(0), together.member(k)
        assert all(torch.equal(own[name], company[name]) for name in own)
        pd.testing.assert_frame_equal(together.history.iloc[[k]].reset_index(drop=True), alone.history)
        assert torch.equal(together.losses[:, k], alone.losses[:, 0])


def test_resumed_is_whole(digits, tmp_path):
    options = {"seeds": (0, 1), "latent_dims": (2, 3), "device": "cpu", "estimate": QUICK}
    options["evaluate_on"] = {"test": digits[300:310]}
    path = tmp_path / "run.ckpt"
    whole = mcem(SMALL, digits[:300], samples=5_000, evaluate_at=[0, 2_000, 5_000], **options)
    mcem(SMALL, digits[:300], samples=3_000, evaluate_at=[0, 2_000], checkpoint=path, **options)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["run.ckpt.0", "run.ckpt.1"]
    resumed = mcem(SMALL, digits[:300], samples=5_000, evaluate_at=[0, 2_000, 5_000], checkpoint=path, **options)
    assert all(torch.equal(resumed.params[name], whole.params[name]) for name in whole.params)
    assert torch.equal(resumed.losses, whole.losses)
    pd.testing.assert_frame_equal(resumed.history, whole.history, check_exact=True)
    with pytest.raises(CheckpointError, match="updates"):
        mcem(SMALL, digits[:300], samples=5_000, updates=4, checkpoint=path, **options)
    with pytest.raises(CheckpointError, match="more than 2 asked for"):
        mcem(SMALL, digits[:300], samples=1_000, checkpoint=path, **options)


def test_a_permutation_of_the_data_is_another_data_set(data, best, tmp_path):
    """Its chains would go on at the wrong datum; its sum is the same."""
    options = {"acquisitions": 2, "batch_size": 10, "checkpoint": tmp_path / "run"}
    climb(log_joint, best, data, LATENT, generator=rng(8), **options)
    swapped = data[[1, 0, *range(2, NUM)]]
    assert swapped.sum() == data.sum()
    with pytest.raises(CheckpointError, match="it has data = "):
        climb(log_joint, best, swapped, LATENT, generator=rng(8), **options)


def test_model_evidence_is_the_same_in_chunks_and_by_every_method(digits):
    params = SMALL.init(keyed_generator("cpu", 3), 0.5, torch.float64)
    x = digits[:6]
    found = {}
    for method in ("fitted", "gelfand_dey", "importance", "ais"):
        options = {"importance": {"draws": 20_000}, "ais": {"temperatures": 80}}.get(method, {})
        chains = 50 if method == "ais" else 10
        found[method] = model_evidence(SMALL, params, x, rng(2), method=method, chunk=4, chains=chains, **options)
        assert found[method].log_evidence.shape == (6,) and found[method].log_weights.shape[1] == 6
    for method in ("fitted", "gelfand_dey", "importance"):
        gap = found[method].log_evidence - found["ais"].log_evidence
        error = (found[method].standard_error.square() + found["ais"].standard_error.square()).sqrt()
        assert (gap.abs() < 4 * error).all(), method
        assert method == "importance" or (error < 0.3).all()  # the encoder is not trained: some weights are few
    with pytest.raises(ValueError, match="method must be one of"):
        model_evidence(SMALL, params, x, rng(2), method="harmonic")


def test_what_breaks_is_named(digits):
    broken = digits[:300].clone()
    broken[:, 3] = math.inf
    with pytest.raises(FloatingPointError, match=r"acquisition 1: the log-joint of data .* member 0 \(seed 0\)"):
        mcem(SMALL, broken, samples=500, device="cpu")
    with pytest.raises(FloatingPointError, match="the log-"):
        mcem(SMALL, digits[:300], samples=5_000, learning_rate=1e200, device="cpu")


def test_wrong_arguments_are_refused(digits):
    with pytest.raises(ValueError, match="keeps a chain for each image"):
        mcem(SMALL, digits, samples=500, binarisation="fresh")
    with pytest.raises(ValueError, match="evaluate_at between 0 and samples"):
        mcem(SMALL, digits, samples=500, evaluate_at=[1000])
    with pytest.raises(ValueError, match="needs an estimate of the evidence: pass estimate="):
        mcem(SMALL, digits, samples=500, evaluate_on={"test": digits})
    with pytest.raises(TypeError, match="inference.mcem.fit: got an unexpected keyword argument 'beta'"):
        mcem(SMALL, digits, samples=500, beta=2.0)
    with pytest.raises(ValueError, match="target_accept must lie between 0 and 1"):
        mcem(SMALL, digits, samples=500, target_accept=1.0)
    with pytest.raises(ValueError, match="updates, transitions and leapfrog_steps must be at least 1"):
        mcem(SMALL, digits, samples=500, transitions=0)
