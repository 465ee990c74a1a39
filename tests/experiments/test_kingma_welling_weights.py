"""Fixed against uncertain weights on few images: the table against a second computation of its numbers."""

import importlib

import numpy as np
import pytest
import torch

from elbo.data import load
from elbo.inference.aevb import aevb
from elbo.inference.full_vb import full_vb, log_predictive, weights_kl
from elbo.inference.sgvb import sgvb_b
from elbo.models.vae import VAE

weights = importlib.import_module("elbo.experiments.kingma_welling_2013.weights")
figures = importlib.import_module("elbo.figures.kingma_welling_2013.weights")
SMALL = {"samples": 3000, "latent_dim": 2, "hidden": 10, "seeds": (0, 1), "evaluations": 2, "device": "cpu"}


@pytest.fixture(scope="module")
def table():
    torch.set_num_threads(1)
    return weights.few_data(counts=(50, 200), **SMALL)


def test_what_stands_in_the_table(table):
    assert len(table) == 2 * 2 * 2 * 2
    assert set(table.samples) == {2000, 3000}
    last = table.samples == 3000
    assert table[last].predictive.notna().all() and table[~last].predictive.isna().all()
    assert (table[table.method == "MAP"].weights_kl == 0).all() and (
        table[table.method == "full VB"].weights_kl > 1
    ).all()


@pytest.mark.parametrize(("method", "run"), [("MAP", aevb), ("full VB", full_vb)])
def test_bounds_predictive_and_divergence_by_hand(table, method, run):
    train, test = (load("digits", split=split, binarise="fixed").images for split in ("train", "test"))
    chosen = train[torch.randperm(len(train), generator=torch.Generator().manual_seed(0))[:50]]
    model = VAE(64, 10, 2)
    trained = run(model, chosen, samples=3000, seeds=(0, 1), optimiser="adam", learning_rate=0.02, device="cpu")
    rows = table.set_index(["method", "count", "samples", "split"]).loc[method, 50, 3000]
    generator = torch.Generator().manual_seed(5)
    bounds, errors, predictive, divergences = [], [], [], []
    for member in range(2):
        params = trained.member(member)
        spread = {n: params[f"log_var.{n}"] for n in params if f"log_var.{n}" in params}
        draws = []
        for _ in range(200):  # other draws, one after another
            own = dict(params)
            for name, log_var in spread.items():
                own[name] = torch.normal(params[name], (0.5 * log_var).exp(), generator=generator)
            draws.append(sgvb_b(model, own, test, torch.randn(len(test), 2, generator=generator)).mean())
        draws = torch.stack(draws).double()
        bounds.append(draws.mean())
        errors.append(draws.std())  # of one draw of weights and codes
        predictive.append(log_predictive(model, params, test, generator).mean())
        divergences.append(float(weights_kl(params)) / 50)
    error = torch.stack(errors).square().sum().sqrt() / 2 * (1 / 8 + 1 / 200) ** 0.5
    assert abs(rows.bound["test"] - torch.stack(bounds).mean()) < 4 * error
    assert rows.weights_kl["test"] == pytest.approx(np.mean(divergences), rel=1e-5)
    assert rows.weights_kl_se["test"] == pytest.approx(np.std(divergences, ddof=1) / 2**0.5, rel=1e-3, abs=1e-9)
    # 256 codes here, 512 there: the density is above the bound, and the same to a fraction of what lies between
    above = rows.predictive["test"] - rows.bound["test"]
    assert above > 0 and abs(rows.predictive["test"] - torch.stack(predictive).mean()) < 0.25 * above


def test_too_many_images_are_refused():
    with pytest.raises(ValueError, match="digits has 1,442 training images, fewer than the 2,000"):
        weights.few_data(counts=(2000,))


def test_the_figure_draws_the_table(table):
    figure = figures.few_data(table)
    assert len(figure.axes) == 2
    drawn = {float(y) for axis in figure.axes for line in axis.get_lines() for y in line.get_ydata()}
    assert drawn == set(table.bound)
