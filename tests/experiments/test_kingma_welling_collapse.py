"""Use of the latents: counts and divergences against torch's distributions, one latent at a time."""

import importlib

import numpy as np
import pytest
import torch
from torch.distributions import Normal, kl_divergence

from elbo.data import load
from elbo.inference.aevb import aevb
from elbo.inference.stack import splits
from elbo.models.vae import VAE

collapse = importlib.import_module("elbo.experiments.kingma_welling_2013.collapse")
figures = importlib.import_module("elbo.figures.kingma_welling_2013.collapse")


def silence(model, params, *latents):
    """The posterior of these latents is the prior, whatever the image."""
    params = {name: param.clone() for name, param in params.items()}
    for latent in latents:
        for column in (latent, model.latent_dim + latent):
            params["encoder.head.weight"][:, column] = 0
            params["encoder.head.bias"][column] = 0
    return params


def test_divergences_and_counts_of_a_model():
    model = VAE(6, 5, 4)
    params = silence(model, model.init(torch.Generator().manual_seed(0), 0.8, torch.float64), 1, 3)
    params["encoder.head.bias"][3] = 0.5  # every image shifts latent 3 alike: a divergence without variance
    x = torch.rand(50, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    each, variance = collapse.divergences(model, params, x)
    mean, log_var = model.encode(params, x)
    for latent in range(4):
        q = Normal(mean[:, latent], (0.5 * log_var[:, latent]).exp())
        theirs = np.mean([float(kl_divergence(Normal(m, s), Normal(0.0, 1.0))) for m, s in zip(q.loc, q.scale)])
        assert float(each[latent]) == pytest.approx(theirs, rel=1e-5, abs=1e-12)
        assert float(variance[latent]) == pytest.approx(np.var(mean[:, latent].numpy(), ddof=1), abs=1e-12)
    assert float(each[1]) < 1e-12 and float(each[3]) == pytest.approx(0.125) and float(variance[3]) < 1e-20
    use = collapse.latent_use(model, params, x)
    assert (use["active"], use["active_kl"]) == (2, 3)
    assert use["kl"] == pytest.approx(float(each.sum()))
    assert [use[f"kl_{rank}"] for rank in (1, 2, 3, 4)] == sorted(each.tolist(), reverse=True)


SMALL = {"samples": 4000, "hidden": 10, "latent_dims": (2, 3), "seeds": (0, 1), "evaluations": 2, "device": "cpu"}
SMALL |= {"learning_rate": 0.02}


@pytest.fixture(scope="module")
def trained():
    torch.set_num_threads(1)
    return collapse.train_measured(**SMALL)


def test_the_table_is_the_mean_over_seeds(trained):
    table = collapse.use_of_latents(trained)
    assert len(table) == (2 + 3) + 2 * 2
    test = load("digits", split="test")
    images = splits({"test": test}, None, True, trained.model, torch.device("cpu"))["test"]
    found = []
    for member in (2, 3):
        assert trained.latent_dims[member] == 3
        each, _ = collapse.divergences(trained.member_model(member), trained.member(member), images)
        found.append(each.sort(descending=True).values.double().numpy())
    ranks = table[(table.panel == "rank") & (table.latent_dim == 3)].sort_values("rank")
    np.testing.assert_allclose(ranks.kl, np.mean(found, 0), rtol=1e-5)
    np.testing.assert_allclose(ranks.kl_se, np.std(found, axis=0, ddof=1) / 2**0.5, rtol=1e-4, atol=1e-7)
    end = table[(table.panel == "time") & (table.samples == 4000)].set_index("latent_dim")
    assert end.kl[3] == pytest.approx(np.sum(found) / 2, rel=1e-5)
    history = trained.history.query("latent_dim == 2 and samples == 4000")
    assert end.bound[2] == pytest.approx(history.bound.mean())


def test_a_silent_latent_is_counted_out_and_drawn(trained):
    table = collapse.use_of_latents(trained)
    time = table[table.panel == "time"]
    assert (time.active_kl > 0).all() and (time.active_kl <= time.latent_dim).all()
    figure = figures.use_of_latents(table)
    drawn = {float(y) for axis in figure.axes for line in axis.get_lines()
             if "guide" not in str(line.get_gid()) for y in line.get_ydata()}  # fmt: skip
    assert drawn == set(table.kl[table.panel == "rank"]) | set(time.active)


def test_it_is_aevb_by_adam(trained):
    again = aevb(VAE(64, 10), load("digits", split="train"), samples=4000, seeds=(1,), latent_dims=(3,),
                 optimiser="adam", learning_rate=0.02, device="cpu")  # fmt: skip
    for name, param in again.member(0).items():
        torch.testing.assert_close(param, trained.member(3)[name], rtol=1e-4, atol=1e-5)
