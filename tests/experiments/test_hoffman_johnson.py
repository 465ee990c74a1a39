"""The experiments of the ELBO surgery chapter: what their tables say, checked by a second route."""

import math

import numpy as np
import pandas as pd
import pytest
import torch
from torch.distributions import MultivariateNormal

from elbo import reference
from elbo.companion.kernel.drawn import mismatch
from elbo.data import load
from elbo.densities import standard_gaussian_kl
from elbo.estimators import draw_codes, log_aggregate_posterior
from elbo.experiments import hoffman_johnson_2016 as experiments
from elbo.experiments.hoffman_johnson_2016.training import evaluation_epochs
from elbo.figures import hoffman_johnson_2016 as figures
from elbo.inference.aevb import aevb
from elbo.models.vae import VAE

SIGMAS = 4.5


@pytest.fixture(scope="module")
def runs():
    return experiments.train_models(
        "digits", [2, 4], [0, 1], hidden=30, epochs=80, batch_size=100, learning_rate=1e-2, ages=3, device="cpu"
    )


@pytest.fixture(scope="module")
def table(runs):
    return experiments.surgery_table(runs, codes=1000, seed=0)


def test_the_kept_ages_belong_to_one_training(runs):
    """The last age, reached through checkpoints, is bit for bit what an uninterrupted training gives."""
    model, params = runs.model(runs.member(4, seed=1))
    alone = aevb(
        VAE(64, hidden=30),
        load("digits", split="train", binarise="fixed"),
        samples=round(runs.epochs[-1] * 1442),
        latent_dims=[2, 2, 4, 4],
        seeds=[0, 1, 0, 1],
        weight_prior=False,
        optimiser="adam",
        learning_rate=1e-2,
        block=20,
        device="cpu",
        compile=False,
    )
    for name, value in alone.member(3).items():
        assert torch.equal(value, params[name]), name
    assert model.latent_dim == 4 and list(runs.epochs) == sorted(runs.epochs)


def test_evaluation_moments():
    assert evaluation_epochs(300, 3) == [7, 45, 300]
    assert evaluation_epochs(2, 8) == [1, 2]
    assert evaluation_epochs(100, 1) == [100]


def test_the_table_adds_up_and_its_average_kl_is_the_closed_form(runs, table):
    for row in table.itertuples():
        member = runs.member(row.latent_dim, row.seed)
        mean, log_var = (t.double() for t in runs.encodings(member))
        assert row.average_kl == pytest.approx(standard_gaussian_kl(mean, log_var).mean().item())
        split_error = math.hypot(row.mutual_information_se, row.marginal_kl_se)
        assert abs(row.average_kl - row.mutual_information - row.marginal_kl) < SIGMAS * split_error
        assert row.elbo == pytest.approx(row.reconstruction - row.average_kl)
        assert row.log_n == pytest.approx(math.log(1442))


def test_the_reconstruction_is_that_of_the_model(runs, table):
    model, params = runs.model(0)
    mean, log_var = runs.encodings(0)
    noise = torch.randn(50, *mean.shape, generator=torch.Generator().manual_seed(9))
    with torch.no_grad():
        values = model.log_likelihood(params, runs.images, mean + noise * torch.exp(0.5 * log_var)).double()
    error = math.hypot((values.var(0).sum() / 50).sqrt().item() / len(mean), table["reconstruction_se"][0])
    assert abs(values.mean().item() - table["reconstruction"][0]) < SIGMAS * error


def test_means_and_errors_over_seeds(table):
    means = experiments.over_seeds(table)
    two = table[table["latent_dim"] == 2]["elbo"].to_numpy()
    row = means[means["latent_dim"] == 2].iloc[0]
    assert row["elbo"] == pytest.approx(two.mean())
    assert row["elbo_se"] == pytest.approx(abs(two[0] - two[1]) / 2)  # of two values
    assert row["models"] == 2


def test_information_of_all_images_is_that_of_the_table(runs, table):
    found = experiments.information_against_n(runs, [1, 10, 5000], codes=1000, seed=3)
    assert (found["mutual_information"] <= found["log_n"] + 1e-9).all()
    assert (found[found["n"] == 1]["mutual_information"].abs() < 1e-9).all()
    whole = found[(found["n"] == 1442) & (found["latent_dim"] == 4)].iloc[0]
    same = table[(table["latent_dim"] == 4) & (table["seed"] == 0)].iloc[0]
    error = math.hypot(whole["mutual_information_se"], same["mutual_information_se"])
    assert abs(whole["mutual_information"] - same["mutual_information"]) < SIGMAS * error


def test_the_forms_agree_on_an_autoencoder(runs):
    forms = experiments.forms_on_autoencoder(runs, images=100, codes=1000, seed=1, points=121)
    assert (forms["difference"].abs() <= SIGMAS * forms["standard error"] + 1e-9).all()
    assert (forms["standard error"][1:] > 0).all() and (forms["standard error"] < 0.2).all()
    finer = experiments.forms_on_autoencoder(runs, images=100, codes=10, seed=1, points=161)
    assert finer["ELBO"][0] == pytest.approx(forms["ELBO"][0], abs=1e-6)  # the quadrature has converged


def test_the_forms_agree_on_the_twin():
    forms = experiments.forms_on_twin(6, 2, seed=0)
    assert forms["difference"].abs().max() < 1e-12
    assert len(forms) == 4


def test_the_grid_holds_a_density(runs):
    grid = experiments.aggregate_on_grid(runs, points=101, reach=7.0)
    assert grid["q"].sum() * (14 / 100) ** 2 == pytest.approx(1, abs=1e-3)
    np.testing.assert_allclose(grid["log_ratio"], np.log(grid["q"] / grid["p"]), rtol=1e-9, atol=1e-9)


def test_a_new_prior_is_paid_by_the_marginal_kl(runs, table):
    priors = experiments.better_priors(runs, 4, components=[2, 8], pseudo_inputs=[20], codes=4000, seed=0).set_index(
        "prior"
    )
    same = table[(table["latent_dim"] == 4) & (table["seed"] == 0)].iloc[0]
    standard = priors.loc["N(0, I)"]
    error = math.hypot(standard["marginal_kl_se"], same["marginal_kl_se"])
    assert abs(standard["marginal_kl"] - same["marginal_kl"]) < SIGMAS * error
    assert standard["held_out_gain"] == 0
    assert abs(priors.loc["1,442 encodings", "marginal_kl"]) < 1e-9
    assert (
        priors.loc["mixture of 8", "marginal_kl"] < priors.loc["mixture of 2", "marginal_kl"] < standard["marginal_kl"]
    )
    assert priors.loc["20 encodings", "held_out_gain"] < 0 < priors.loc["mixture of 8", "held_out_gain"]


def test_the_gain_on_held_out_images_found_again(runs):
    """Moments and gain from other draws, with torch's own Gaussian. Training images would gain 0.06 nats more."""
    found = experiments.better_priors(runs, 4, components=[], pseudo_inputs=[], codes=4000, seed=0).set_index("prior")
    generator, member = torch.Generator().manual_seed(7), runs.member(4)
    mean, log_var = (t.double() for t in runs.encodings(member))
    _, codes = draw_codes(mean, log_var, 200_000, generator)
    gaussian = MultivariateNormal(codes.mean(0), codes.T.cov())
    _, codes = draw_codes(*(t.double() for t in runs.encodings(member, images=runs.held_out)), 20_000, generator)
    prior = MultivariateNormal(torch.zeros(4, dtype=torch.float64), torch.eye(4, dtype=torch.float64))
    for name, log_new in [
        ("one Gaussian", gaussian.log_prob(codes)),
        ("1,442 encodings", log_aggregate_posterior(codes, mean, log_var)),
    ]:
        gain = log_new - prior.log_prob(codes)
        error = math.hypot(found.loc[name, "held_out_gain_se"], gain.std().item() / math.sqrt(20_000))
        assert abs(found.loc[name, "held_out_gain"] - gain.mean().item()) < SIGMAS * error, name


def test_a_mixture_prior_is_a_density():
    codes = torch.randn(2000, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    log_prior = experiments.priors.fit_mixture_prior(codes, 2, seed=0)
    line = torch.linspace(-9, 9, 3001, dtype=torch.float64)
    assert torch.trapezoid(log_prior(line.unsqueeze(1)).exp(), line).item() == pytest.approx(1, abs=1e-6)


def test_the_estimators_differ_in_the_terms_and_not_in_the_sum(runs):
    compared = experiments.compare_estimators(runs, 4, batch_size=32, batches=60, codes=1000, seed=0)
    values = compared.pivot(index="estimator", columns="term", values="value")
    errors = compared.pivot(index="estimator", columns="term", values="se")
    for name in values.index.drop("exact"):
        assert abs(values.loc[name, "sum"] - values.loc["exact", "sum"]) < SIGMAS * errors.loc[name, "sum"]
        bias = values.loc[name, "mutual information"] - values.loc["exact", "mutual information"]
        assert abs(bias) > 5 * errors.loc[name, "mutual information"], name
    assert values.loc["weighted", "mutual information"] - values.loc["in-batch", "mutual information"] == pytest.approx(
        math.log(1442)
    )
    assert values.loc["in-batch", "mutual information"] < math.log(32)


def test_equilibrium_at_a_temperature():
    table = experiments.temperatures([0.5, 1.0, 2.0], seed=0)
    assert np.diff(table["energy"]) == pytest.approx([0.5, 1.0])  # two dimensions: one unit a unit of temperature
    free = table["free_energy"].to_numpy()
    assert free == pytest.approx((table["energy"] - table["temperature"] * table["entropy"]).to_numpy())
    assert table["minus_elbo"].idxmin() == 1
    widths = experiments.widths([0.5, 1.0, 2.0], seed=0)
    assert widths["free_energy"][1] == pytest.approx(widths["equilibrium"][1])
    assert (widths["free_energy"] >= widths["equilibrium"] - 1e-12).all()


def test_spikes_reach_the_ceiling():
    table = experiments.spikes([0.9, 0.02], num=200, dim=5, codes=400, seed=0)
    wide, narrow = table.iloc[0], table.iloc[1]
    assert narrow["mutual_information"] == pytest.approx(math.log(200), abs=1e-6)
    assert narrow["marginal_kl"] == pytest.approx(narrow["average_kl"] - math.log(200), abs=1e-6)
    assert wide["mutual_information"] < 2
    density = experiments.spike_densities([0.3], num=5, points=4001, seed=0)
    assert np.trapezoid(density["density"], density["z"]) == pytest.approx(1, abs=1e-3)


def test_the_factor_one_over_n_matters_beside_a_prior():
    """The maximisers found again by a fine grid over the parameter."""
    table = experiments.total_and_average([4, 50], prior_scale=0.7, seed=1)
    x = 1.5 + math.sqrt(2) * torch.randn(50, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    theta = torch.linspace(-4, 4, 800_001, dtype=torch.float64)
    for row in table.itertuples():
        data = x[: row.n]
        total = -0.25 * (row.n * theta**2 - 2 * theta * data.sum())
        for weight, found in ((1, row.map_total), (1 / row.n, row.map_average)):
            assert theta[(weight * total - 0.5 * theta**2 / 0.49).argmax()].item() == pytest.approx(found, abs=2e-5)
        assert row.average * row.n == pytest.approx(row.total)


def test_every_figure_shows_its_table(runs, table):
    about = {"data": "digits", "images": 1442}
    means = experiments.over_seeds(table.assign(run="this run", **about), ["run", "data", "images", "latent_dim"])
    ages = experiments.terms_over_training(runs, codes=100, seed=0).assign(run="this run", **about)
    turns = experiments.turning_points(ages, {"this run": 4})
    gains = experiments.gains(
        experiments.joint_prior(runs, 4, components=3, batch_size=100, learning_rate=1e-2, codes=200, seed=0)
    ).assign(run="this run", **about)
    ceiling = experiments.information_against_n(runs, [10, 100], codes=100, seed=0).assign(run="this run", **about)
    densities = experiments.spike_densities([0.5, 0.1], num=5, points=101, seed=0)
    spikes = experiments.spikes([0.5, 0.1], num=50, dim=2, codes=100, seed=0)
    widths, temperatures = (f([0.25, 1.0, 4.0], seed=0) for f in (experiments.widths, experiments.temperatures))
    sizes = experiments.total_and_average([1, 10], prior_scale=1.0, seed=0)
    grid = experiments.aggregate_on_grid(runs, points=21)
    compared = experiments.compare_estimators(runs, 4, batch_size=16, batches=3, codes=100, seed=0).assign(
        run="this run"
    )
    priors = experiments.better_priors(runs, 4, components=[2], pseudo_inputs=[20], codes=200, seed=0).assign(
        run="this run", **about
    )
    for figure, data in [
        (figures.surgery_table(means), means),
        (figures.over_training(ages, turns), ages),
        (figures.log_n_ceiling(ceiling), ceiling),
        (figures.spikes(densities, spikes), pd.concat([densities, spikes])),
        (figures.energy_entropy(widths, temperatures), pd.concat([widths, temperatures])),
        (figures.total_and_average(sizes), sizes),
        (figures.aggregate_and_prior(grid), grid),
        (figures.estimators(compared), compared),
        (figures.better_prior(priors), priors),
        (figures.joint_prior(gains), gains),
    ]:
        assert mismatch(figure, data) is None
        numbers = data.select_dtypes("number").columns
        assert mismatch(figure, data.assign(**{name: data[name] + 0.5 for name in numbers})) is not None


def test_the_printed_table_leaves_out_errors_that_do_not_exist(table):
    text = experiments.as_text(table, by=["latent_dim", "seed"])
    assert "±" in text["ELBO"][0] and "±" not in text["log N"][0]
    assert list(text.columns[:2]) == ["latents", "seed"] and text["latents"].tolist() == [2, 2, 4, 4]


def test_the_reference_tables_can_be_made_and_are_what_was_measured(table):
    measured = {"surgery-table", "over-training", "against-n", "estimators", "better-prior", "joint-prior"}
    assert measured <= set(reference.tables("hoffman-johnson-2016"))
    for name in measured:
        kept = experiments.reference_table(name)
        assert kept is not None and reference.record("hoffman-johnson-2016", name)["rows"] == len(kept)
    kept = experiments.reference_table("surgery-table")
    assert (kept["mutual_information"] <= kept["log_n"] + 1e-6).all()
    assert set(kept["latent_dim"]) == {2, 10, 20} and kept.groupby("latent_dim")["seed"].nunique().min() >= 3
    joined = experiments.with_reference(table, "surgery-table", data="digits", images=1442)
    assert list(joined["run"].unique()) == ["this run", "reference"]


def test_an_untrained_size_is_refused(runs):
    with pytest.raises(ValueError, match="there are \\[2, 4\\]"):
        runs.member(7)


def test_a_reference_of_more_images_fits_into_the_shared_axis(runs):
    own = experiments.information_against_n(runs, [10, 100], codes=100, seed=0)
    both = experiments.with_reference(own, "against-n", data="digits", images=1442)
    figure = figures.log_n_ceiling(both)
    for axes in figure.axes:
        highest = max(line.get_ydata().max() for line in axes.lines)
        assert axes.get_ylim()[0] <= 0 < highest < axes.get_ylim()[1]
    assert len(figure.axes) == 2


def test_a_prior_learned_together_is_measured_like_the_others(runs):
    found = experiments.joint_prior(
        runs, 4, components=8, batch_size=100, learning_rate=1e-2, codes=4000, seed=0
    ).set_index(["prior", "seed", "split"])
    for row in found.xs("train", level="split").itertuples():
        error = math.hypot(row.elbo_se, row.mutual_information_se, row.marginal_kl_se)
        sides = row.reconstruction - row.mutual_information - row.marginal_kl
        assert row.elbo == pytest.approx(sides) and error > 0  # the same draws: to rounding
    model, params = runs.model(runs.member(4, seed=1))
    generator = torch.Generator().manual_seed(8)
    with torch.no_grad():
        mean, log_var = model.encode(params, runs.held_out)
        noise = torch.randn(20, *mean.shape, generator=generator)
        likelihood = model.log_likelihood(params, runs.held_out, mean + torch.exp(0.5 * log_var) * noise)
    exact = (likelihood - standard_gaussian_kl(mean, log_var)).mean().item()  # estimator B, other draws, every image
    row = found.loc[("N(0, I)", 1, "held out")]
    assert abs(row["elbo"] - exact) < SIGMAS * row["elbo_se"]
    gains = experiments.gains(found.reset_index())
    whole = gains[gains["term"] == "elbo"].set_index(["prior", "seed", "split"])["gain"]
    parts = gains[gains["term"] != "elbo"].groupby(["prior", "seed", "split"])["gain"].sum()
    for own in (0, 1):
        key = ("learned together", own, "train")
        assert parts[key] == pytest.approx(whole[key])
        assert parts[("fitted afterwards", own, "train")] > 0


def test_the_paper_table_adds_up():
    """Its average KL is the sum of its parts, as it must be with the information got by subtraction."""
    table = experiments.paper_table()
    split = table["mutual_information"] + table["marginal_kl"]
    np.testing.assert_allclose(split, table["average_kl"], atol=0.005)
    assert (table["mutual_information"] < table["log_n"]).all()
    assert table["log_n"].iloc[0] == pytest.approx(11.0021, abs=1e-4)


def test_ours_stands_beside_the_paper(table, monkeypatch):
    own = experiments.over_seeds(table)
    both = experiments.beside_the_paper(own, data="digits", images=1442)
    assert list(both["run"].unique()) == ["the paper", "ours", "this run"]
    shape = {"binarise": "fixed", "split": "train", "log_n": math.log(60_000)}
    rows = [
        {"seed": seed, "latent_dim": 2, "epoch": epoch, "elbo": -100.0 - seed + epoch, "elbo_se": 0.1} | shape
        for seed in (0, 1)
        for epoch in (1, 2, 3)
        if (seed, epoch) != (1, 3)  # one run is younger: compare at an age that both have reached
    ]
    monkeypatch.setattr(experiments.theirs, "reference_table", lambda name: pd.DataFrame(rows))
    large = experiments.their_network().iloc[0]
    assert (large["epoch"], large["models"], large["elbo"]) == (2, 2, -98.5)
    small = experiments.reference.reference_table("surgery-table")
    one = pd.DataFrame(rows)
    monkeypatch.setattr(experiments.theirs, "reference_table", lambda name: one if name == "surgery-paper" else small)
    ours = experiments.beside_the_paper(own, data="digits", images=1442)
    assert len(ours[ours["run"] == "ours"]) == 3, "one size of three: the smaller run stands there still"
    every = pd.concat([one.assign(latent_dim=size) for size in (2, 10, 20)])
    monkeypatch.setattr(experiments.theirs, "reference_table", lambda name: every)
    ours = experiments.beside_the_paper(own, data="digits", images=1442)
    assert ours[ours["run"] == "ours"]["elbo"].tolist() == [-98.5] * 3


def test_turning_points():
    line = {"latent_dim": 3, "epoch": [1, 2, 3, 4], "mutual_information": [1, 5, 9.5, 10], "marginal_kl": [3, 1, 2, 4]}
    turns = experiments.turning_points(pd.DataFrame(line).assign(run="a"), {"a": 3}).iloc[0]
    assert (turns["information"], turns["least"], turns["first"], turns["second"]) == (3, 2, 2, 3)


def test_the_error_of_an_estimator_is_its_distance_from_the_exact_value():
    rows = [("exact", "a", 2.0), ("x", "a", 5.0), ("exact", "b", -1.0), ("x", "b", -3.0)]
    table = pd.DataFrame(rows, columns=["estimator", "term", "value"])
    assert experiments.estimator_errors(table).tolist() == [0, 3, 0, -2]
