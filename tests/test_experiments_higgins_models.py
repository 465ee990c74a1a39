"""Experiments of the chapter on Higgins et al. with trained models: tiny ones, on a coarse part of the grid."""

import math

import numpy as np
import pandas as pd
import pytest
import torch
from torch.distributions import Bernoulli

import elbo.data
from elbo.companion.drawn import mismatch
from elbo.disentanglement import Softmax, higgins_score
from elbo.experiments import higgins_2017 as experiments
from elbo.experiments.higgins_2017.readings import bernoulli_entropy
from elbo.figures import higgins_2017 as figures

EVERY = (1, 2, 10, 8, 8)  # 3 x 3 x 4 x 4 x 4 = 576 images
FEW = {"pairs": 4, "train_votes": 200, "test_votes": 100}


@pytest.fixture(scope="module")
def sprites():
    return experiments.small_sprites(elbo.data.load("dsprites"), 16, EVERY)


@pytest.fixture(scope="module")
def models(sprites):
    return experiments.train_models(
        sprites, [1, 4], [3, 5], [0, 1], hidden=16, samples=3200, batch_size=32, optimiser="adam", learning_rate=3e-3
    )


@pytest.fixture(scope="module")
def readings(models):
    return experiments.unit_readings(models, codes=100, **FEW)


def test_small_sprites_are_block_averages(sprites):
    data = elbo.data.load("dsprites")
    rows = data.flat_index(sprites.factors)
    blocks = data.render(rows[[3, 500]]).float().view(2, 16, 4, 16, 4).mean((2, 4)).flatten(1)
    torch.testing.assert_close(sprites[[3, 500]], blocks)
    assert len(sprites) == 576 and sprites[:].shape == (576, 256)
    torch.testing.assert_close(sprites.values, data.values(sprites.factors))
    whole = experiments.small_sprites(data, 64, (3, 6, 40, 16, 16))
    assert torch.equal(whole[:], data[data.flat_index(whole.factors)])
    with pytest.raises(ValueError, match="divide 64"):
        experiments.small_sprites(data, 24, EVERY)


def test_members_and_their_start(models, sprites):
    assert models.members(4, 5) == [6, 7] and models.members(latent_dim=3) == [0, 1, 2, 3]
    assert models.betas == (1, 1, 4, 4) * 2 and models.trained.betas == (1 / 16, 1 / 16, 1 / 4, 1 / 4) * 2
    with pytest.raises(ValueError, match="no model has beta 9"):
        models.members(9)
    with pytest.raises(ValueError, match="nothing to train"):
        experiments.train_models(sprites, [], [3], [0])
    # what is called the start is where training starts: one step at a rate of nearly nothing does not leave it
    still = experiments.train_models(sprites, [1], [3], [1], hidden=16, samples=1, batch_size=1, learning_rate=1e-12)
    for name, value in models.model(1, trained=False)[1].items():
        torch.testing.assert_close(value, still.trained.member(0)[name], rtol=0, atol=1e-9)
    mean, log_var = models.encodings(5)
    shapes, params = models.model(5)
    again = shapes.encode(params, sprites[:7])
    torch.testing.assert_close((mean[:7], log_var[:7]), again)


def test_training_changes_what_it_should(readings):
    """More beta, a smaller KL: for every seed and size, by far."""
    for _, group in readings.groupby(["latent_dim", "seed"]):
        low, high = group.sort_values("beta").itertuples()
        assert high.kl < 0.9 * low.kl and min(high.misfit, low.misfit) > 0
    np.testing.assert_allclose(readings["beta_norm"], readings["beta"] * readings["latent_dim"] / 4096)


def test_readings_from_their_definitions(models, readings, sprites):
    row = readings.iloc[5]
    shapes, params = models.model(5)
    mean, log_var = (part.double() for part in shapes.encode(params, sprites[:]))
    kl = 0.5 * (mean.square() + log_var.exp() - 1 - log_var).mean(0)
    assert math.isclose(row["kl"], kl.sum().item(), rel_tol=1e-6) and row["active"] == int((kl > 0.1).sum())
    pixels, grey = shapes.decode_mean(params, mean.float()).double(), sprites[:].double()
    # cross-entropy less entropy is a KL between Bernoulli pixels
    gap = (torch.xlogy(grey, grey / pixels) + torch.xlogy(1 - grey, (1 - grey) / (1 - pixels))).sum(1).mean()
    assert math.isclose(row["misfit"], gap.item(), rel_tol=1e-4)
    votes = {"which": (2, 3, 4, 5), "generator": torch.Generator().manual_seed(0), **FEW}
    again = higgins_score(mean.float(), sprites.factors, **votes)
    assert row["score"] == again.score and (row["beta"], row["latent_dim"], row["seed"]) == (1, 5, 1)
    assert 0 <= row["total_correlation"] + 4 * row["tc_error"]


def test_entropy_of_pixels():
    grey = torch.tensor([[0.0, 1.0, 0.3, 0.5]])
    expected = Bernoulli(torch.tensor([0.3, 0.5], dtype=torch.float64)).entropy().sum()
    torch.testing.assert_close(bernoulli_entropy(grey)[0], expected, rtol=1e-6, atol=0)


def test_over_seeds(readings):
    table = experiments.over_beta(readings).set_index(["latent_dim", "beta"])
    group = readings[(readings["latent_dim"] == 5) & (readings["beta"] == 4)]["score"]
    row = table.loc[(5, 4)]
    assert math.isclose(row["score"], group.mean()) and math.isclose(row["score_se"], abs(group.diff().iloc[1]) / 2)


@pytest.fixture(scope="module")
def scores(models):
    return experiments.score_table(models, latent_dim=5, steps=300, **FEW)


def test_every_representation_with_two_classifiers(models, scores, sprites):
    names = ["ground truth", "raw pixels", "PCA", "ICA", "VAE untrained", "VAE (beta = 1)", "beta-VAE (beta = 4)"]
    assert list(dict.fromkeys(scores["representation"])) == names and len(scores) == 7 * 2 * 2
    row = scores.query("representation == 'beta-VAE (beta = 4)' and classifier == 'softmax' and seed == 1").iloc[0]
    again = higgins_score(
        models.encodings(7)[0], sprites.factors, which=(2, 3, 4, 5), generator=torch.Generator().manual_seed(1),
        classifier=Softmax(), **FEW,
    )  # fmt: skip
    assert (row["score"], row["standard_error"]) == (again.score, again.standard_error)
    mine = scores.groupby(["classifier", "representation"])["score"].mean()
    assert mine["softmax", "ground truth"] > 0.95 and mine["softmax", "ground truth"] > mine["softmax", "ICA"]
    early, late = (scores[scores["classifier"] == name]["score"].to_numpy() for name in ("adagrad", "softmax"))
    assert (early != late).any()


def test_the_papers_numbers_stand_beside_ours(scores):
    table = experiments.beside_the_paper(scores)
    row = table.query("representation == 'VAE (beta = 1)' and classifier == 'adagrad'").iloc[0]
    ours = scores.query("representation == 'VAE (beta = 1)' and classifier == 'adagrad'")["score"]
    assert row["mean"] == ours.mean() and row["upper_mean"] == ours.max() and row["paper"] == 0.6158
    assert table.query("representation == 'VAE untrained'")["paper"].isna().all()
    assert table["row"].tolist() == [6, 6, 5, 5, 4, 4, 3, 3, 2, 2, 1, 1, 0, 0]
    text = experiments.as_text(table)
    assert len(text) == 7 and "secondary" in text.columns[-1]


def test_the_verdict_is_taken_seed_by_seed():
    names = ("VAE (beta = 1)", "beta-VAE (beta = 4)")
    table = [(name, "softmax", seed, 0.1 * seed + add) for name, add in zip(names, (0.5, 0.6)) for seed in (0, 1, 2)]
    table = pd.DataFrame(table, columns=["representation", "classifier", "seed", "score"])
    table.loc[3, "score"] += 0.02  # gains of 12, 10 and 10 points, while seeds differ by as much
    assert experiments.verdict(table) == "softmax: +10.7 ± 0.7 points from beta 1 to 4 over 3 seeds: as in the paper"
    table["representation"] = table["representation"].map(dict(zip(names, names[::-1])))
    assert experiments.verdict(table).endswith("the other way round than in the paper")
    table["score"] = [0.5, 0.6, 0.7, 0.6, 0.5, 0.7]
    assert experiments.verdict(table).endswith("not told apart")
    assert "no error" in experiments.verdict(table[table["seed"] == 0])


def test_other_metrics_as_text(readings):
    text = experiments.beside_other_metrics(experiments.over_beta(readings), 5)
    assert text["beta"].tolist() == ["1", "4"] and text["KL (nats)"].str.contains("±").all()


def test_responses_average_over_the_other_factors(models, sprites):
    table = experiments.factor_responses(models, {"beta = 4": 6}, latents=2)
    mean, _ = models.encodings(6)
    first = table[table["rank"] == 0]
    latent = first["latent"].iloc[0]
    assert first["kl"].iloc[0] >= table[table["rank"] == 1]["kl"].iloc[0]
    assert first["factor"].value_counts().to_dict() == {"position": 16, "orientation": 12, "scale": 3}
    hearts = (sprites.factors[:, 1] == 2) & (sprites.factors[:, 3] == 20)
    row = first[(first["factor"] == "orientation") & (first["shape"] == 3)].sort_values("x").iloc[2]
    assert math.isclose(row["mean"], mean[hearts, latent].double().mean().item(), rel_tol=1e-6)
    corner = (sprites.factors[:, 4] == 24) & (sprites.factors[:, 5] == 0)
    row = first[first["factor"] == "position"].sort_values(["y", "x"]).iloc[3]
    assert math.isclose(row["mean"], mean[corner, latent].double().mean().item(), rel_tol=1e-6)


def test_a_traversal_moves_one_latent(models, sprites):
    table = experiments.traversals(models, 6, steps=3, reach=2.0, image=9)
    assert table["value"].tolist() == [-2.0, 0.0, 2.0] * 5 and sorted(set(table["latent"])) == [0, 1, 2, 3, 4]
    shapes, params = models.model(6)
    row = table[(table["latent"] == 2) & (table["step"] == 2)].iloc[0]
    z = shapes.encode(params, sprites[9:10])[0].clone()
    z[0, 2] = 2.0
    pixels = row[[f"pixel_{i}" for i in range(256)]].to_numpy(float)
    np.testing.assert_allclose(pixels, shapes.decode_mean(params, z)[0].detach(), rtol=1e-5, atol=1e-6)


def test_figures_show_their_data(models, readings, scores):
    paths = experiments.posterior_paths([1.3, 0.5], [0.1, 1.0, 4.0, 10.0])
    table = experiments.beside_the_paper(scores)
    responses = experiments.factor_responses(models, {"VAE": 4, "beta-VAE": 6}, latents=3)
    walk = experiments.traversals(models, 6, steps=3)
    over = experiments.over_beta(readings)
    for figure, data in (
        (figures.posterior_paths(paths), paths),
        (figures.scores(table), table),
        (figures.over_beta(over), over),
        (figures.proxies(readings), readings),
        (figures.factor_responses(responses), responses),
        (figures.traversals(walk, 16), walk),
    ):
        assert mismatch(figure, data) is None
        assert isinstance(data, pd.DataFrame) and mismatch(figure, data.head(1)) is not None
