"""Experiments of the chapter on Higgins et al. with trained models: tiny ones, on a coarse part of the grid."""

import dataclasses
import math

import numpy as np
import pandas as pd
import pytest
import torch
from torch.distributions import Bernoulli

import elbo.data
import elbo.disentanglement
from elbo.companion.kernel.drawn import mismatch
from elbo.disentanglement import Softmax, higgins_score
from elbo.experiments import higgins_2017 as experiments
from elbo.experiments.higgins_2017.readings import bernoulli_entropy
from elbo.figures import higgins_2017 as figures
from elbo.training import CheckpointError, keyed_generator

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
    return experiments.score_table(models, latent_dim=5, steps=300, draws=2, **FEW)


def test_every_representation_with_two_classifiers(models, scores, sprites):
    names = ["ground truth", "raw pixels", "PCA", "ICA", "VAE untrained", "VAE (beta = 1)", "beta-VAE (beta = 4)"]
    assert list(dict.fromkeys(scores["representation"])) == names and len(scores) == (4 + 3 * 2) * 2 * 2
    row = scores.query(
        "representation == 'beta-VAE (beta = 4)' and classifier == 'softmax' and seed == 1 and draw == 1"
    ).iloc[0]
    again = higgins_score(
        models.encodings(7)[0], sprites.factors, which=(2, 3, 4, 5), generator=keyed_generator("cpu", 1, "votes", 1),
        classifier=Softmax(), **FEW,
    )  # fmt: skip
    assert (row["score"], row["standard_error"]) == (again.score, again.standard_error)
    mine = scores.groupby(["classifier", "representation"])["score"].mean()
    assert mine["softmax", "ground truth"] > 0.95 and mine["softmax", "ground truth"] > mine["softmax", "ICA"]
    early, late = (scores[scores["classifier"] == name]["score"].to_numpy() for name in ("adagrad", "softmax"))
    assert (early != late).any()


def test_a_score_after_some_steps_is_that_of_the_metric(models, sprites):
    table = experiments.step_table(models, (1, 4), 5, steps=(1, 20, 300), **FEW)
    assert len(table) == 7 * 2 * 4 and set(table["steps"]) == {0, 1, 20, 300}
    index = elbo.disentanglement.factor_index(sprites.factors, experiments.varying(models))
    encoded = {"VAE untrained": (0, False), "VAE (beta = 1)": (0, True), "beta-VAE (beta = 4)": (2, True)}
    codes = {name: models.encodings(models.members(1, 5)[0] + at, kind)[0] for name, (at, kind) in encoded.items()}
    codes["ground truth"] = sprites.values[:, 1:]
    adagrad = experiments.CLASSIFIERS["higgins-2017"]
    for name, code in codes.items():
        for steps, rule in ((0, Softmax()), (20, dataclasses.replace(adagrad, steps=20))):
            generator = keyed_generator("cpu", 0, "votes", 0)
            found = higgins_score(code, index, generator=generator, classifier=rule, **FEW)
            row = table[(table.representation == name) & (table.seed == 0) & (table.steps == steps)]
            assert row.score.item() == pytest.approx(found.score, abs=1e-12)
            assert row.standard_error.item() == pytest.approx(found.standard_error, abs=1e-12)


def test_the_papers_numbers_stand_beside_ours(scores):
    table = experiments.beside_the_paper(scores)
    row = table.query("representation == 'VAE (beta = 1)' and classifier == 'adagrad'").iloc[0]
    ours = scores.query("representation == 'VAE (beta = 1)' and classifier == 'adagrad'")
    first, second = (ours[ours["seed"] == seed]["score"].mean() for seed in (0, 1))
    assert math.isclose(row["mean"], (first + second) / 2) and math.isclose(row["se"], abs(first - second) / 2)
    best = ours["score"].nlargest(2).mean()  # half of two seeds with two draws each
    assert math.isclose(row["upper_mean"], best) and row["scores"] == 4 and row["paper"] == 0.6158
    assert (table.query("representation == 'VAE untrained'")["paper"] == 0.4414).all() and (
        table["chance"] == 0.25
    ).all()
    assert table["row"].tolist() == [6, 6, 5, 5, 4, 4, 3, 3, 2, 2, 1, 1, 0, 0]
    assert table["reference_mean"].isna().all()
    text = experiments.as_text(table)
    assert len(text) == 7 and text.columns[-1] == "the paper" and not any("network" in name for name in text.columns)


def test_the_reference_run_stands_beside_ours(scores):
    kept = scores[(scores["seed"] == 0) & scores["representation"].str.contains("VAE")].assign(score=0.5)
    table = experiments.beside_the_paper(scores, kept)
    known = table["representation"].str.contains("VAE")
    assert (table[known]["reference_mean"] == 0.5).all() and table[~known]["reference_mean"].isna().all()
    assert table["mean"].equals(experiments.beside_the_paper(scores)["mean"])
    text = experiments.as_text(table).set_index("representation")["paper's network, fitted"]
    assert text["PCA"] == "" and text["VAE untrained"].startswith("50.0")
    assert mismatch(figures.scores(table), table) is None


def test_a_comparison_is_taken_seed_by_seed():
    names = ("VAE (beta = 1)", "beta-VAE (beta = 4)")
    table = [(name, "softmax", seed, 0.1 * seed + add) for name, add in zip(names, (0.5, 0.6)) for seed in (0, 1, 2)]
    table = pd.DataFrame(table, columns=["representation", "classifier", "seed", "score"])
    table.loc[3, "score"] += 0.02  # gains of 12, 10 and 10 points, while seeds differ by as much
    row = experiments.comparison(table).iloc[0].tolist()
    assert row == ["small models", "fitted", "+10.7\xa0±\xa00.7", 3, "as in the paper"]
    turned = table.assign(representation=table["representation"].map(dict(zip(names, names[::-1]))))
    both = experiments.comparison(table, turned)
    assert both["so"].tolist() == ["as in the paper", "the other way round"]
    assert both["models"].tolist() == ["small models", "the paper's network"]
    table["score"] = [0.5, 0.6, 0.7, 0.6, 0.5, 0.7]
    assert experiments.comparison(table)["so"].tolist() == ["not told apart"]
    assert experiments.comparison(table[table["seed"] == 0])["so"].tolist() == ["not told apart"]


def series(peaks):
    """Readings whose score is ``values[i]`` at the i-th beta, seeds half a point apart, with two sizes of code."""
    rows = []
    for size, values in peaks.items():
        for beta, value in zip((0.5, 2.0, 8.0), values):
            rows += [
                {"latent_dim": size, "beta": beta, "seed": seed, "score": value + 0.005 * seed} for seed in (0, 1, 2)
            ]
    return pd.DataFrame(rows)


def test_an_inverted_u_needs_both_sides():
    table = experiments.shape_table(series({4: (0.5, 0.9, 0.6), 10: (0.9, 0.9 - 1e-6, 0.6)}))
    both, left = table.iloc[0].tolist(), table.iloc[1].tolist()
    assert both == [4, "2", "90.5", "+40.0\xa0±\xa00.0", "+30.0\xa0±\xa00.0", "yes"]
    assert left[3] == "an end of the range" and left[-1] == "not shown"
    noisy = series({4: (0.5, 0.9, 0.6)})
    noisy.loc[noisy["beta"] == 0.5, "score"] = [0.95, 0.1, 0.9]  # mean gain 25 points, standard error 27
    assert experiments.shape_table(noisy)["inverted U"].tolist() == ["not shown"]
    assert experiments.shape_table(noisy[noisy["seed"] == 0])["inverted U"].tolist() == ["not shown"]


def test_what_is_said_of_pca_follows_the_scores():
    names = ("PCA", "beta-VAE (beta = 4)")
    table = [(name, "softmax", seed, 0.01 * seed + add) for name, add in zip(names, (0.9, 0.8)) for seed in (0, 1, 2)]
    table = pd.DataFrame(table, columns=["representation", "classifier", "seed", "score"])
    assert experiments.said_of_pca(table).startswith("That is above the beta-VAE, by 10.0")
    turned = table.assign(representation=table["representation"].map(dict(zip(names, names[::-1]))))
    assert experiments.said_of_pca(turned).startswith("That is below the beta-VAE, by 10.0")
    assert experiments.said_of_pca(table[table["seed"] == 0]).endswith("not told apart.")


def test_settings_say_what_was_trained(models, sprites):
    reference = pd.DataFrame(
        {
            "beta": [1.0, 4.0],
            "seed": [0, 1],
            "hidden": 1200,
            "latent_dim": 10,
            "samples": 5000,
            "images": 70,
            "optimiser": "adam",
        }
    )
    table = experiments.settings_table(models, samples=3200, hidden=16, optimiser="adam", reference=reference)
    assert table.columns.tolist() == ["", "small models", "the paper's network", "the paper"]
    assert "576 read" in table.loc[0, "small models"] and "256-16-16, latents 3, 5" == table.loc[1, "small models"]
    assert table.loc[3, "the paper's network"] == "5,000 images, adam"
    without = experiments.settings_table(models, samples=3200, hidden=16, optimiser="adam", reference=None)
    assert "the paper's network" not in without


def test_ranks_are_spearmans():
    table = pd.DataFrame(
        {"score": [0.1, 0.4, 0.2, 0.9], "misfit": [4.0, 2.0, 3.0, 1.0], "total_correlation": [1.0, 8.0, 2.0, 4.0]}
    )
    found = experiments.ranks(table)
    assert math.isclose(found["misfit"], -1) and math.isclose(found["total_correlation"], 0.8)


def test_spread_is_that_of_averages_and_names_the_factor():
    rows = [
        {"factor": "position", "shape": 0, "x": x, "y": y, "mean": x + 3 * y} for x in (-1.0, 1.0) for y in (-1.0, 1.0)
    ]
    rows += [{"factor": "scale", "shape": 0, "mean": value} for value in (-0.5, 0.5)]
    rows += [
        {"factor": "orientation", "shape": shape, "mean": 5 * shape + turn} for shape in (1, 2) for turn in (-2, 2)
    ]
    table = pd.DataFrame(rows).assign(model="one", rank=0, latent=7, kl=1.0)
    idle = table.assign(rank=1, latent=8, kl=0.01)
    spread = experiments.response_spread(pd.concat([table, idle]))
    found = spread[spread["latent"] == 7].set_index("factor")["spread"].to_dict()
    assert found == {"shape": 2.5, "scale": 0.5, "orientation": 2.0, "position x": 1.0, "position y": 3.0}
    assert experiments.carriers(spread, "one") == "z7 position y"
    assert experiments.carriers(spread[spread["latent"] == 8], "one") == "no latent in use"


def test_a_latent_that_is_not_in_use_can_hold_the_score(models, monkeypatch):
    """Codes of the true factors: two of them with nats, the others scaled down below what counts as used."""
    truth = models.sprites.values[:, 2:].float()
    truth = (truth - truth.mean(0)) / truth.std(0)
    mean = truth * torch.tensor([1.0, 1.0, 0.01, 0.01])
    log_var = torch.tensor([-4.0, -4.0, 0.0, 0.0]).expand_as(mean)
    monkeypatch.setattr(type(models), "encodings", lambda self, member, trained=True: (mean, log_var))
    table = experiments.scores_by_use(models, [0], pairs=16, train_votes=400, test_votes=400).set_index("latents")
    assert table["used"].tolist() == [2, 2, 2] and table.loc["all", "score"] == 1
    assert abs(table.loc["in use", "score"] - 0.75) < 0.1 and abs(table.loc["not in use", "score"] - 0.75) < 0.1
    monkeypatch.setattr(type(models), "encodings", lambda self, member, trained=True: (mean, log_var - 4))
    full = experiments.scores_by_use(models, [0], **FEW)
    assert math.isnan(full.set_index("latents").loc["not in use", "score"])
    assert experiments.said_of_use(full)[1, "not in use"] == "nothing" and experiments.said_of_use(full)[
        1, "all"
    ].endswith(" %")


def test_a_vote_is_the_average_difference_of_pairs_that_share_a_factor(models):
    pairs = experiments.one_vote(models, 2, 4, pairs=6, latents=3, seed=5)
    assert (pairs["difference"] - (pairs["one"] - pairs["two"]).abs()).abs().max() < 1e-12
    for _, one in pairs.groupby("latent"):
        assert math.isclose(one["vote"].iloc[0], one["difference"].mean(), rel_tol=1e-12)
    shown = experiments.vote_images(models, 4, pairs=6, seed=5)
    images = shown[[name for name in shown if name.startswith("pixel_")]].to_numpy()
    rows = [int((models.sprites[:].numpy() == image).all(1).nonzero()[0][0]) for image in images]
    first, second = models.sprites.factors[rows[:6]], models.sprites.factors[rows[6:]]
    assert torch.equal(first[:, 4], second[:, 4]) and not torch.equal(first[:, 5], second[:, 5])


def test_votes_on_average_are_relative_to_all_votes(models):
    table = experiments.average_votes(models, 2, votes=400, pairs=8, latents=3)
    assert set(table["factor"]) == {"scale", "orientation", "position x", "position y"}
    for _, one in table.groupby(["code", "rank"]):
        assert math.isclose(one["relative"].mean(), 1, rel_tol=1e-9)
    truth = table[table["code"] == "the causes themselves"]
    assert (truth[truth["row"] == truth["rank"]]["relative"] == 0).all() and (truth["relative"] == 0).sum() == 4


def test_the_sheet_moves_one_factor_a_row():
    images = elbo.data.load("dsprites")
    sheet = experiments.sprite_sheet(images, steps=4, side=64)
    rows = sheet.groupby("factor", sort=False)["value"].agg(["size", "nunique"])
    assert rows["size"].tolist() == rows["nunique"].tolist() == [3, 4, 4, 4, 4]
    one = sheet[(sheet["factor"] == "scale") & (sheet["step"] == 3)].iloc[0]
    pixels = one[[f"pixel_{i}" for i in range(4096)]].to_numpy(float)
    np.testing.assert_array_equal(pixels, images[images.flat_index(torch.tensor([[0, 2, 5, 4, 16, 16]]))][0].numpy())


def test_stacked_is_one_by_one(sprites, models):
    """Each model of the sweep, trained alone from the same seed: the same parameters to rounding."""
    settings = {"hidden": 16, "samples": 3200, "batch_size": 32, "optimiser": "adam", "learning_rate": 3e-3}
    for member in (1, 6):
        beta, size, seed = models.betas[member], models.trained.latent_dims[member], models.trained.seeds[member]
        alone = experiments.train_models(sprites, [beta], [size], [seed], **settings)
        for name, value in models.model(member)[1].items():
            torch.testing.assert_close(value, alone.model(0)[1][name], rtol=1e-4, atol=1e-4)


def test_training_goes_on_from_a_checkpoint(sprites, tmp_path):
    """Stopped after 1,000 images and asked for 2,000: the same bits, and the same history, as without the stop."""
    settings = {
        "hidden": 8,
        "batch_size": 10,
        "optimiser": "adam",
        "record": lambda models: pd.DataFrame({"seen": models.betas}),
    }
    parts = {"checkpoint": tmp_path / "one.ckpt", "checkpoint_seconds": 0.0}
    at = [500, 1500]
    experiments.train_models(sprites, [1, 4], [3], [0], samples=1000, record_at=at[:1], **settings, **parts)
    resumed = experiments.train_models(sprites, [1, 4], [3], [0], samples=2000, record_at=at, **settings, **parts)
    whole = experiments.train_models(sprites, [1, 4], [3], [0], samples=2000, record_at=at, **settings)
    assert all(torch.equal(whole.trained.params[name], value) for name, value in resumed.trained.params.items())
    assert resumed.trained.history.equals(whole.trained.history)
    assert whole.trained.history["samples"].tolist() == [500, 500, 1500, 1500]
    with pytest.raises(CheckpointError):
        experiments.train_models(sprites, [1, 5], [3], [0], samples=2000, **settings, **parts)


def test_models_are_read_on_other_sprites(models):
    finer = experiments.small_sprites(elbo.data.load("dsprites"), 16, (1, 2, 10, 8, 4))
    assert len(models.on(finer).encodings(0)[0]) == 2 * 576
    with pytest.raises(ValueError, match="pixels on a side"):
        models.on(experiments.small_sprites(elbo.data.load("dsprites"), 32, EVERY))
    still = experiments.small_sprites(elbo.data.load("dsprites"), 16, (1, 2, 40, 8, 8))
    assert experiments.varying(models) == (2, 3, 4, 5) and experiments.varying(models.on(still)) == (2, 4, 5)


def test_other_metrics_as_text(readings):
    text = experiments.beside_other_metrics(experiments.over_beta(readings), 5)
    assert text["beta"].tolist() == ["1", "4"] and text["KL (nats)"].str.contains("±").all() and "DCI" in text


def test_the_reference_run_over_beta(readings):
    kept = readings[(readings["latent_dim"] == 5) & (readings["beta"] == 4)].assign(score=0.25)
    table = experiments.over_beta(readings, kept).set_index(["latent_dim", "beta"])["reference_score"]
    assert table[(5, 4)] == 0.25 and table.notna().sum() == 1


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
    spread = experiments.response_spread(responses)
    walk = pd.concat([experiments.traversals(models, k, steps=3, latents=4).assign(model=str(k)) for k in (4, 6)])
    use = experiments.scores_by_use(models, models.members(), **FEW)
    exact = experiments.water_filling([3.0, 1.0], [0.5, 1.0, 2.0, 4.0])
    small = experiments.measured_trade(readings, 5)
    traded = pd.concat([exact, small])
    curves = experiments.tempered_posteriors([1, 4, 16], points=11)
    turned = experiments.rotated_codes([0, 20, 45], levels=6, pairs=4, votes=(100, 50))
    shared = experiments.one_vote(models, 2, 4), experiments.vote_images(models, 4)
    averages = experiments.average_votes(models, 2, votes=200, pairs=4)
    sheet = experiments.sprite_sheet(elbo.data.load("dsprites"), steps=3)
    over = experiments.over_beta(readings, readings[readings["beta"] == 4].assign(score=0.25))
    rows = [
        (beta, seed, seen, 0.1 * beta + 0.01 * seed, 0.2) for beta in (1, 4) for seed in (0, 1) for seen in (500, 900)
    ]
    followed = pd.DataFrame(rows, columns=["beta", "seed", "samples", "score", "mig"])
    followed = followed.assign(thousands=followed["samples"] / 1000)
    assert "From 500 to 900 images" in experiments.first_and_last(followed)
    assert "11 to 11 % at $\\beta = 1$ and from 40 to 40 % at $\\beta = 4$" in experiments.first_and_last(followed)
    for figure, data in (
        (figures.posterior_paths(paths), paths),
        (figures.scores(table), table),
        (figures.over_beta(over), over),
        (figures.over_training(followed), followed),
        (figures.proxies(readings), readings),
        (figures.traversals(walk, 16), walk),
        (figures.by_use(use), use),
        (figures.water(exact), exact),
        (figures.trade(exact, {"small": small}), traded),
        (figures.tempered(curves), curves),
        (figures.rotated(turned), turned),
        (figures.vote(*shared), pd.concat(shared)),
    ):
        assert mismatch(figure, data) is None
        assert isinstance(data, pd.DataFrame) and mismatch(figure, data.head(1)) is not None
    assert mismatch(figures.sprite_sheet(sheet), sheet) is None
    for figure, values in (
        (figures.factor_spread(spread), spread["spread"]),
        (figures.average_vote(averages), averages["relative"]),
    ):
        cells = np.concatenate([np.ravel(axes.collections[0].get_array()) for axes in figure.axes])
        np.testing.assert_allclose(np.sort(cells), np.sort(values))
