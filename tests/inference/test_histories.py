"""Short trainings of every algorithm against what they gave when they were recorded, in ``histories.json``.

On the processor and the torch that recorded them every number and every parameter must be the same bit for bit; any
other processor or torch may round differently, and there the numbers must agree within ``NATS``. To record anew, after
a change that is meant to change results: ``OMP_NUM_THREADS=1 python tests/inference/test_histories.py``.
"""

import hashlib
import json
import platform
import tempfile
from functools import partial
from pathlib import Path

import pandas as pd
import pytest
import torch

from elbo.data import load
from elbo.estimators.marginal_likelihood import model_evidence
from elbo.experiments import higgins_2017, hoffman_johnson_2016
from elbo.experiments.kingma_welling_2013.collapse import latent_use
from elbo.inference.aevb import aevb, estimate_bound
from elbo.inference.full_vb import full_vb
from elbo.inference.iwae import iwae
from elbo.inference.mcem import mcem
from elbo.inference.vampprior import vampprior
from elbo.inference.wake_sleep import wake_sleep
from elbo.models.vae import VAE
from elbo.training import Adam, load_checkpoint

RECORDED = Path(__file__).with_name("histories.json")
NATS = 0.02  # of bounds of -45 to -20 nats, where rounding differs: a hundred float32 steps, each 1e-6 relative
COMMON = {"samples": 300, "batch_size": 20, "block": 5, "device": "cpu", "compile": False}
MIXED = {"seeds": [0, 1, 2], "latent_dims": [2, 5, 3]}


def machine() -> dict[str, str]:
    """What decides how sums of products are rounded."""
    told = {}
    if Path("/proc/cpuinfo").exists():
        lines = (line.partition(":") for line in Path("/proc/cpuinfo").read_text().splitlines())
        told = {key.strip(): value.strip() for key, _, value in lines}
    names = ("vendor_id", "cpu family", "model")
    return {"torch": torch.__version__, "capability": torch.backends.cpu.get_cpu_capability()} | {
        "processor": " ".join([platform.machine(), *(told.get(name, "?") for name in names)])
    }


def images(train: bool = True):
    return load("digits", split="train" if train else "test").images[:200]


def auto_encoder(algorithm, checkpoint, model=VAE(64, 12), **settings):
    at = {"evaluate_on": {"train": images()[:50], "test": images(False)}, "evaluate_at": [0, 150, 300]}
    return algorithm(model, images(), checkpoint=checkpoint, **COMMON | at | settings)


def higgins(checkpoint, **settings):
    sprites = higgins_2017.small_sprites(load("dsprites"), 16, (1, 3, 10, 16, 16))

    def record(models):
        pixels, generator = sprites[:40], torch.Generator().manual_seed(0)
        found = [estimate_bound(*models.model(k), pixels, generator).mean().item() for k in range(len(models.betas))]
        return pd.DataFrame({"member": range(len(found)), "bound": found})

    models = higgins_2017.train_models(
        sprites,
        [1, 4],
        [3, 2],
        [0, 1],
        hidden=10,
        samples=3200,
        batch_size=32,
        record=record,
        record_at=[0, 1600, 3200],
        checkpoint=checkpoint,
        **settings,
    )
    return models.trained


def hoffman_johnson(checkpoint):
    runs = hoffman_johnson_2016.train_models(
        "digits", [2, 3], [0, 1], hidden=10, epochs=3, batch_size=50, learning_rate=3e-3, ages=2, device="cpu"
    )
    return runs.trained


GAUSSIAN = VAE(64, 12, likelihood="gaussian", activation="tanh")
CHAINS = {"leapfrog_steps": 3, "estimate": partial(model_evidence, draws=50, warmup=20, fit_draws=20)}
CASES = {
    "aevb B 1 grey adagrad": partial(auto_encoder, aevb, **MIXED, beta=[1.0, 4.0, 0.5]),
    "aevb B 3 fresh adam": partial(auto_encoder, aevb, **MIXED, draws=3, binarisation="fresh", optimiser="adam"),
    "aevb A 1 fresh adagrad": partial(auto_encoder, aevb, seeds=[3, 4], estimator="A", binarisation="fresh"),
    "aevb A 3 grey adam": partial(
        auto_encoder, aevb, seeds=[0, 1], latent_dims=[4], estimator="A", draws=3, optimiser="adam", weight_prior=False
    ),
    "aevb of a Gaussian, two rates": partial(
        auto_encoder, aevb, model=GAUSSIAN, seeds=[0, 1], learning_rate=[0.01, 0.03], init_scale="glorot"
    ),
    "aevb with a measure": partial(auto_encoder, aevb, **MIXED, measure=latent_use, optimiser=Adam(2e-3)),
    "iwae 5 fresh": partial(auto_encoder, iwae, **MIXED, binarisation="fresh"),
    "iwae 2 adagrad": partial(auto_encoder, iwae, seeds=[0, 1], draws=2, optimiser="adagrad", weight_prior=True),
    "wake-sleep grey": partial(auto_encoder, wake_sleep, **MIXED),
    "wake-sleep fresh adam": partial(auto_encoder, wake_sleep, **MIXED, binarisation="fresh", optimiser="adam"),
    "wake-sleep of a Gaussian": partial(auto_encoder, wake_sleep, model=GAUSSIAN, seeds=[5]),
    "full VB grey": partial(auto_encoder, full_vb, seeds=[0, 1]),
    "full VB fresh adam": partial(auto_encoder, full_vb, std=0.1, binarisation="fresh", optimiser="adam"),
    "VampPrior": partial(auto_encoder, vampprior, components=7, seeds=[0, 1]),
    "VampPrior fresh": partial(auto_encoder, vampprior, components=3, binarisation="fresh", learning_rate=3e-3),
    "mcem": lambda checkpoint: mcem(
        VAE(64, 12), images()[:60], samples=300, batch_size=20, seeds=[0, 1], latent_dims=[2, 3], updates=3, **CHAINS,
        evaluate_on={"test": images(False)[:20]}, evaluate_at=[0, 300], device="cpu", checkpoint=checkpoint,
    ),
    "higgins": higgins,
    "higgins adam": partial(higgins, optimiser="adam", learning_rate=1e-3),
    "hoffman & johnson": hoffman_johnson,
}  # fmt: skip


def outcome(case: str) -> dict:
    """What a case gives, as JSON: for every stack its history, its losses and its parameters, and its checkpoint's
    settings."""
    with tempfile.TemporaryDirectory() as folder:
        found = CASES[case](Path(folder) / "run")
        written = sorted(Path(folder).iterdir())
        settings = [load_checkpoint(path, "cpu")[1]["config"] for path in written]
    stacks = found if isinstance(found, tuple) else (found,)
    told = [
        {
            "history": json.loads(stack.history.to_json(orient="records", double_precision=15)),
            "exact": [[value.hex() if isinstance(value, float) else value for value in row]
                      for row in stack.history.astype(object).itertuples(index=False)],
            "losses": stack.losses.tolist(),
            "params": {name: digest(param) for name, param in stack.params.items()},
        }
        for stack in stacks
    ]  # fmt: skip
    return json.loads(json.dumps({"settings": settings, "stacks": told}))


def digest(tensor: torch.Tensor) -> str:
    return hashlib.sha256(tensor.contiguous().view(torch.uint8).numpy().tobytes()).hexdigest()


@pytest.fixture(scope="module")
def recorded():
    return json.loads(RECORDED.read_text())


@pytest.mark.parametrize("case", CASES)
def test_history_is_the_recorded_one(case, recorded):
    found, before = outcome(case), recorded["cases"][case]
    if recorded["machine"] == machine() and torch.get_num_threads() == 1:
        assert found == before
        return
    for settings, kept in zip(found["settings"], before["settings"], strict=True):  # a stopped run can go on
        assert settings | {"start": 0, "data": 0} == kept | {"start": 0, "data": 0}
    for stack, kept in zip(found["stacks"], before["stacks"], strict=True):
        assert stack["params"].keys() == kept["params"].keys()
        for row, other in zip(stack["history"], kept["history"], strict=True):
            sizes = [told.pop("effective_size", None) for told in (row, other)]  # no nats: of 50 draws, the smallest
            assert sizes == [None, None] or sizes[0] == pytest.approx(sizes[1], rel=0.1)
            assert row == pytest.approx(other, abs=NATS)
        for losses, others in zip(stack["losses"], kept["losses"], strict=True):
            assert losses == pytest.approx(others, abs=NATS)


if __name__ == "__main__":
    assert torch.get_num_threads() == 1, "record with OMP_NUM_THREADS=1"
    told = {"machine": machine(), "cases": {case: outcome(case) for case in CASES}}
    RECORDED.write_text(json.dumps(told, indent=1) + "\n")
