"""Experiments of the chapter on Higgins et al. with trained models: tiny ones, on a coarse part of the grid."""

import math

import numpy as np
import pandas as pd
import pytest
import torch
from torch.distributions import Bernoulli

import elbo.data
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


def test_the_papers_numbers_stand_beside_ours(scores):
    table = experiments.beside_the_paper(scores)
    row = table.query("representation == 'VAE (beta = 1)' and classifier == 'adagrad'").iloc[0]
    ours = scores.query("representation == 'VAE (beta = 1)' and classifier == 'adagrad'")
    first, second = (ours[ours["seed"] == seed]["score"].mean() for seed in (0, 1))
    assert math.isclose(row["mean"], (first + second) / 2) and math.isclose(row["se"], abs(first - second) / 2)
    best = ours["score"].nlargest(2).mean()  # half of two seeds with two draws each
    assert math.isclose(row["upper_mean"], best) and row["scores"] == 4 and row["paper"] == 0.6158
    assert table.query("representation == 'VAE untrained'")["paper"].isna().all() and (table["chance"] == 0.25).all()
    assert table["row"].tolist() == [6, 6, 5, 5, 4, 4, 3, 3, 2, 2, 1, 1, 0, 0]
    assert table["reference_mean"].isna().all()
    text = experiments.as_text(table)
    assert len(text) == 7 and "secondary" in text.columns[-1] and not any("reference" in name for name in text.columns)


def test_the_reference_run_stands_beside_ours(scores):
    kept = scores[(scores["seed"] == 0) & scores["representation"].str.contains("VAE")].assign(score=0.5)
    table = experiments.beside_the_paper(scores, kept)
    known = table["representation"].str.contains("VAE")
    assert (table[known]["reference_mean"] == 0.5).all() and table[~known]["reference_mean"].isna().all()
    assert table["mean"].equals(experiments.beside_the_paper(scores)["mean"])
    text = experiments.as_text(table).set_index("representation")["reference, softmax, upper half"]
    assert text["PCA"] == "" and text["VAE untrained"] == "50.0"
    assert mismatch(figures.scores(table), table) is None


def test_every_score_is_printed(scores):
    text = experiments.every_score(scores).set_index(["representation", "classifier"])
    found = scores.query("representation == 'VAE untrained' and classifier == 'softmax' and seed == 1")["score"]
    assert text.loc[("VAE untrained", "softmax"), "seed 1"] == "  ".join(f"{100 * score:.1f}" for score in found)
    assert len(text) == 6 and list(text.columns) == ["seed 0", "seed 1"]


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
    both, left = experiments.shape_over_beta(series({4: (0.5, 0.9, 0.6), 10: (0.9, 0.9 - 1e-6, 0.6)})).split("\n")
    assert both.startswith("4 latents: best at beta 2 (90.5 %)") and both.endswith(": an inverted U")
    assert "+40.0 ± 0.0 points above beta 0.5" in both and "+30.0 ± 0.0 points above beta 8" in both
    assert left.endswith("no inverted U that these seeds could show") and "an end of the range" in left
    noisy = series({4: (0.5, 0.9, 0.6)})
    noisy.loc[noisy["beta"] == 0.5, "score"] = [0.95, 0.1, 0.9]  # mean gain 25 points, standard error 27
    assert experiments.shape_over_beta(noisy).endswith("no inverted U that these seeds could show")
    alone = noisy[noisy["seed"] == 0]
    assert experiments.shape_over_beta(alone).endswith("no inverted U that these seeds could show")


def test_contrast_is_taken_seed_by_seed():
    rows = [(beta, seed, 0.1 * seed + 0.2 * (beta == 4) + 0.03 * (beta == 4) * (seed == 0), 0.1 * (beta == 4) * (seed == 0), 0.0)
            for beta in (1.0, 4.0) for seed in (0, 1, 2)]  # fmt: skip
    table = pd.DataFrame(rows, columns=["beta", "seed", "score", "mig", "kl"])
    score, mig, _ = experiments.contrast(table).split("\n")
    assert score.split() == "Higgins: +0.210 ± 0.010 higher (3 of 3 seeds higher)".split()
    assert mig.split() == "MIG: +0.033 ± 0.033 not told apart (1 of 3 seeds higher)".split()
    assert "not told apart" in experiments.contrast(table[table["seed"] == 0])
    with pytest.raises(ValueError, match="no models at beta"):
        experiments.contrast(table[table["beta"] == 4])


def test_ranks_are_spearmans():
    table = pd.DataFrame(
        {"score": [0.1, 0.4, 0.2, 0.9], "misfit": [4.0, 2.0, 3.0, 1.0], "total_correlation": [1.0, 8.0, 2.0, 4.0]}
    )
    found = experiments.ranks(table)
    assert math.isclose(found["misfit"], -1) and math.isclose(found["total_correlation"], 0.8)


def test_carriers_name_the_factor():
    rows = [{"factor": "position", "shape": 0, "mean": value} for value in (-1.0, 1.0)]
    rows += [{"factor": "scale", "shape": 0, "mean": value} for value in (-0.5, 0.5)]
    rows += [{"factor": "orientation", "shape": shape, "mean": shape} for shape in (1, 2) for _ in range(3)]
    table = pd.DataFrame(rows).assign(model="one", rank=0, latent=7, kl=1.0)
    idle = table.assign(rank=1, latent=8, kl=0.01)
    assert experiments.carriers(pd.concat([table, idle])).endswith(
        "one: z7 position (80 %)."
    )  # 1 : 0.25 : 0, shapes do not count


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
    walk = experiments.traversals(models, 6, steps=3)
    over = experiments.over_beta(readings, readings[readings["beta"] == 4].assign(score=0.25))
    rows = [
        (beta, seed, seen, 0.1 * beta + 0.01 * seed, 0.2) for beta in (1, 4) for seed in (0, 1) for seen in (500, 900)
    ]
    followed = pd.DataFrame(rows, columns=["beta", "seed", "samples", "score", "mig"])
    followed = followed.assign(thousands=followed["samples"] / 1000)
    assert "900 images, over 2 seeds: score 0.105 ± 0.005 at beta 1 and 0.405" in experiments.last_gap(followed)
    for figure, data in (
        (figures.posterior_paths(paths), paths),
        (figures.scores(table), table),
        (figures.over_beta(over), over),
        (figures.over_training(followed), followed),
        (figures.proxies(readings), readings),
        (figures.factor_responses(responses), responses),
        (figures.traversals(walk, 16), walk),
    ):
        assert mismatch(figure, data) is None
        assert isinstance(data, pd.DataFrame) and mismatch(figure, data.head(1)) is not None
