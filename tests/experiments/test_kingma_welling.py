"""Tables of the chapter on Kingma & Welling (2013), against a second computation of the same numbers."""

import numpy as np
import pandas as pd
import pytest
import torch

from elbo.experiments import kingma_welling_2013 as experiments
from elbo.figures import kingma_welling_2013 as figures
from elbo.inference.aevb import binarise, sgvb_a, sgvb_b


@pytest.fixture(scope="module")
def run():
    torch.set_num_threads(1)
    chosen = experiments.settings("digits", latent_dims=[2, 4], seeds=[0, 1], samples=4000, hidden=20)
    return experiments.train("digits", chosen, device="cpu", evaluations=3)


def test_settings_keep_what_was_not_chosen():
    chosen = experiments.settings("digits", latent_dims=[], samples=0, hidden=7, optimiser="")
    assert chosen == experiments.settings("digits", hidden=7)
    assert chosen.hidden == 7 and chosen.samples == experiments.SETTINGS["digits"].samples


@pytest.mark.parametrize(
    ("dataset", "chosen", "words"),
    [("mnst", {}, "choose one of digits, mnist, frey"), ("digits", {"samples": -1}, "samples must not be negative"),
     ("digits", {"latent_dims": [2, -1]}, "latent_dims must not be negative")],
)  # fmt: skip
def test_wrong_settings_are_named(dataset, chosen, words):
    with pytest.raises(ValueError, match=words):
        experiments.settings(dataset, **chosen)


def test_bound_is_the_mean_over_seeds_with_its_error(run):
    table = experiments.bound(run).set_index(["latent_dim", "split", "samples"])
    history = run.trained.history
    assert set(history.samples) == {1000, 2000, 4000}
    assert len(table) == 2 * 2 * 3
    for (size, split, samples), row in table.iterrows():
        chosen = (history.latent_dim == size) & (history.split == split) & (history.samples == samples)
        own = history[chosen].bound.to_numpy()
        assert row.bound == pytest.approx(own.mean(), rel=1e-12)
        assert row.se_seeds == pytest.approx(own.std(ddof=1) / np.sqrt(2), rel=1e-9)
    assert (table.bound.xs(4000, level="samples") > table.bound.xs(1000, level="samples")).all()


def test_estimator_noise_against_many_draws_at_once(run):
    table = experiments.estimator_noise(run, draws=800, images=30).set_index(["latent_dim", "estimator"])
    groups = {"A": 0.0, "B": 0.0}
    for member in run.members(2):
        model, params = run.trained.member_model(member), run.trained.member(member)
        chosen = torch.linspace(0, len(run.test) - 1, 30).long()
        # the same black and white pictures, other noise
        x = binarise(run.test.images[chosen], torch.rand(30, 64, generator=torch.Generator().manual_seed(0)))
        eps = torch.randn(20, 400, 30, 2, generator=torch.Generator().manual_seed(11))
        for name, estimator in (("A", sgvb_a), ("B", sgvb_b)):
            groups[name] += estimator(model, params, x, eps).double().var(1).mean(-1).sqrt() / 2  # (groups,)
    for name, values in groups.items():
        error = (
            values.std() * (1 / 20 + 1 / 2) ** 0.5
        )  # of our mean of 20 groups, and of the table's 800 draws, two groups' worth
        assert abs(table.value_sd[2, name] - values.mean()) < 5 * error
        assert 5 * error < 0.25 * values.mean()  # or the comparison would say nothing
    assert (table.gradient_sd > 0).all()


def test_tiles_are_decoded_images(run):
    table = experiments.manifold(run, side=5)
    assert len(table) == 25 and table.u1.between(0, 1).all()
    model, params = run.trained.member_model(run.members(2)[0]), run.trained.member(run.members(2)[0])
    centre = model.decode_mean(params, torch.zeros(1, 2))[0].numpy()
    pixels = table.query("u1 == 0.5 and u2 == 0.5").filter(like="pixel_").to_numpy()[0]
    np.testing.assert_allclose(pixels, centre, atol=5.1e-4)
    assert list(table.u2.iloc[[0, 24]]) == [0.9, 0.1] and list(table.u1.iloc[[0, 24]]) == [0.1, 0.9]
    samples = experiments.prior_samples(run, count=9)
    assert samples.groupby("latent_dim").size().to_dict() == {2: 9, 4: 9}
    pairs = experiments.reconstructions(run, count=6)
    assert set(pairs.latent_dim) == {0, 2, 4}
    assert set(np.unique(pairs[pairs.latent_dim == 0].filter(like="pixel_"))) == {0.0, 1.0}


def test_two_latents_are_always_among_the_sizes(run):
    from dataclasses import replace

    assert experiments.settings("digits", latent_dims=[5]).latent_dims == (2, 5)
    with pytest.raises(ValueError, match="put 2 into latent_dims"):
        experiments.manifold(replace(run, settings=replace(run.settings, latent_dims=(4,))))


def test_figures_show_their_tables(run):
    from elbo.companion.kernel.drawn import mismatch

    table = experiments.bound(run)
    noise = experiments.estimator_noise(run, draws=4, images=5)
    tiles, pairs, grid = (
        experiments.prior_samples(run),
        experiments.reconstructions(run),
        experiments.manifold(run, side=4),
    )
    shape = run.train.shape
    drawn = [
        (figures.bound(table), table),
        (figures.estimator_noise(noise), noise),
        (figures.prior_samples(tiles, shape), tiles),
        (figures.reconstructions(pairs, shape), pairs),
        (figures.manifold(grid, shape), grid),
    ]
    for figure, data in drawn:
        assert mismatch(figure, data) is None
        assert mismatch(figure, data.assign(**{name: 7.25 for name in data.select_dtypes("number")})) is not None


def test_a_panel_shows_every_algorithm_and_split(run):
    table = experiments.bound(run)
    both = pd.concat([table, table.assign(algorithm="wake-sleep", bound=table.bound - 3.0)])
    figure = figures.bound(both)
    assert len(figure.axes) == 2
    assert all(len(axis.lines) == 4 for axis in figure.axes)
