"""The trainer of stacks: snapshots, keywords of every algorithm, and data that are given by index."""

import inspect
from dataclasses import fields

import pandas as pd
import pytest
import torch

from elbo.data import load
from elbo.inference import aevb, ep, full_vb, hmc, iwae, mcem, stack, vampprior, wake_sleep
from elbo.inference.train import How, Objective, train
from elbo.models.vae import VAE

MODEL = VAE(64, 10, latent_dim=3)
SAME = {"batch_size": 20, "block": 5, "seeds": [0, 1], "device": "cpu", "compile": False, "weight_prior": False}
OWN = {
    aevb: ({"estimator", "draws", "weight_prior"}, set()),
    iwae: ({"draws", "weight_prior"}, {"beta"}),
    wake_sleep: ({"weight_prior"}, {"beta"}),
    full_vb: ({"std"}, {"beta", "latent_dims"}),
    vampprior: ({"components"}, {"beta", "latent_dims"}),
    mcem: (
        {"weight_prior", "leapfrog_steps", "target_accept", "updates", "transitions", "estimate"},
        {"beta", "measure", "snapshot", "snapshot_at", "block", "compile"},
    ),
}


@pytest.fixture(scope="module")
def images():
    return load("digits", split="train").images[:200]


@pytest.mark.parametrize("at", [0, 100, 260, 400])  # the start, the end of a block, within one, the end
def test_a_snapshot_is_the_shorter_training_bit_for_bit(images, at):
    seen = []
    whole = aevb.fit(MODEL, images, samples=400, snapshot=seen.append, snapshot_at=[at], **SAME)
    plain = aevb.fit(MODEL, images, samples=400, **SAME)
    assert all(torch.equal(whole.params[name], plain.params[name]) for name in plain.params)
    (found,) = seen
    if at:
        short = aevb.fit(MODEL, images, samples=at, **SAME)
        assert all(torch.equal(found.params[name], short.params[name]) for name in short.params)
        assert torch.equal(found.losses, short.losses[: len(found.losses)])
    assert len(found.losses) == at // 100  # of whole blocks
    assert found.seeds == (0, 1) and found.model == whole.model
    assert all(found.params[name] is not whole.params[name] for name in whole.params)


def test_rows_of_a_snapshot_stand_in_the_history_and_in_a_checkpoint(images, tmp_path):
    def count(trained):
        calls.append(len(trained.history))
        return pd.DataFrame(
            {"member": [0, 1], "mean": [trained.member(k)["encoder.head.bias"].mean().item() for k in (0, 1)]}
        )

    calls = []
    same = SAME | {"snapshot": count, "checkpoint": tmp_path / "run"}
    aevb.fit(MODEL, images, samples=200, snapshot_at=[0, 200], **same)
    again = aevb.fit(MODEL, images, samples=400, snapshot_at=[0, 200, 400], **same)
    assert calls == [0, 2, 4]  # those of the first half are not called for again
    assert again.history.samples.tolist() == [0, 0, 200, 200, 400, 400]
    assert list(again.history.columns) == ["samples", "member", "mean"]
    whole = aevb.fit(MODEL, images, samples=400, snapshot_at=[0, 200, 400], **SAME, snapshot=count)
    pd.testing.assert_frame_equal(again.history, whole.history, check_exact=False, rtol=0)
    both = aevb.fit(
        MODEL, images, samples=200, snapshot=count, snapshot_at=[100], evaluate_on={"test": images[:9]}, **SAME
    ).history
    assert list(both.columns[:7]) == ["seed", "latent_dim", "beta", "samples", "split", "bound", "se"]
    assert both.samples.tolist() == [100, 100, 200, 200] and both.bound.isna().tolist() == [True, True, False, False]


@pytest.mark.parametrize("module", OWN)
def test_every_algorithm_takes_how_and_its_own(module):
    """One verb, the keywords of :class:`How` said once, and no other keyword."""
    own, without = OWN[module]
    shown = inspect.signature(module.fit).parameters
    assert set(shown) - {"model", "data"} == {item.name for item in fields(How)} - without | own
    assert all(shown[name].kind is inspect.Parameter.KEYWORD_ONLY for name in own)
    name = module.__name__.rsplit(".", 1)[1]
    former = getattr(module, name)
    assert inspect.signature(former) == inspect.signature(module.fit) and former.__name__ == name
    assert former.__doc__.startswith(f"Former name of :func:`{module.__name__}.fit`")
    more = {"components": 1} if module is vampprior else {}
    for gone in {"sample", *without}:
        with pytest.raises(TypeError, match=f"{module.__name__}.fit: got an unexpected keyword argument '{gone}'"):
            module.fit(MODEL, torch.zeros(3, 64), samples=5, **more, **{gone: 1})
    with pytest.raises(TypeError, match="missing a required .*argument: 'samples'"):
        module.fit(MODEL, torch.zeros(3, 64), **more)


def test_the_algorithms_of_one_chain_and_of_sites_have_the_same_verb():
    for former, now in ((hmc.sample, hmc.fit), (ep.run, ep.fit)):
        assert inspect.signature(former) == inspect.signature(now)
        assert f"`{now.__module__}.fit`" in former.__doc__ and former.__name__ != "fit"
    defaults = inspect.signature(iwae.fit).parameters
    assert defaults["optimiser"].default == "adam" and defaults["init_scale"].default == "glorot"


class ByIndex:
    """Images without a tensor of them all."""

    def __init__(self, images):
        self.bytes = (images * 16).to(torch.uint8)

    def __len__(self):
        return len(self.bytes)

    def __getitem__(self, index):
        return self.bytes[index].to(torch.float32) / 16


def test_data_by_index_train_the_same_models(images):
    by_index = ByIndex(images)
    one, other = (aevb.fit(MODEL, data, samples=200, **SAME) for data in (by_index, by_index[:]))
    assert all(torch.equal(one.params[name], other.params[name]) for name in one.params)
    with pytest.raises(ValueError, match=r"images must be floating point of shape \(N, 32\)"):
        aevb.fit(VAE(32, 10), by_index, samples=10)


def test_an_objective_is_a_value(images):
    """Anything that gives a loss trains: here the decoder's biases towards zero, and nothing else moves."""

    def build(plan):
        def loss(params, x, noise, scalars):
            return scalars["beta"] * params["decoder.head.bias"].square().sum() + 0 * noise["eps"].sum()

        return Objective(loss, lambda *given: {"bias": loss(*given)}, plan.noise(), start=moved)

    def moved(params):
        return params | {"decoder.head.bias": params["decoder.head.bias"] + 1}

    how = How(samples=2000, batch_size=20, seeds=(1, 1), beta=(1.0, 0.0), device="cpu", learning_rate=0.1)
    trained = train(MODEL, images, build, how)
    start = stack.start(MODEL, [(1, 3)], 0.1, images)
    bias = trained.params.pop("decoder.head.bias")
    assert (bias[0].abs() < 0.3).all() and torch.equal(bias[1], start.pop("decoder.head.bias")[0] + 1)
    assert all(torch.equal(param[k], start[name][0]) for name, param in trained.params.items() for k in (0, 1))


@pytest.mark.parametrize(
    "wrong", [{"samples": 0}, {"samples": 10, "snapshot_at": [11]}, {"samples": 9, "evaluate_at": [-1]}]
)
def test_moments_lie_within_the_samples(wrong):
    with pytest.raises(ValueError, match="samples must be positive and (snapshot|evaluate)_at between 0 and samples"):
        How(**wrong)
