"""Objectives and remedies beside each other: what is trained is what its name says, and the tables are tidy."""

import pytest
import torch

from elbo import data
from elbo.experiments.higgins_2017 import objectives, small_sprites, train_models
from elbo.experiments.higgins_2017.training import network
from elbo.experiments.kingma_welling_2013 import REMEDIES, remedies, remedy_means
from elbo.inference.factorvae import log_ratio

EVERY = (1, 2, 8, 8, 8)
SHORT = {"latent_dim": 3, "hidden": 12, "samples": 1280, "batch_size": 64}


@pytest.fixture(scope="module")
def sprites():
    return small_sprites(data.load("dsprites"), 16, EVERY)


def test_the_price_on_the_divergence_is_the_chapter_s_own_training(sprites):
    found = objectives.train_objective("beta-vae", 4.0, sprites, [0, 1], **SHORT)
    known = train_models(
        sprites, [4.0], [3], [0, 1], hidden=12, samples=1280, batch_size=64, optimiser="adam", learning_rate=1e-3
    )
    assert found.trained.betas == known.trained.betas == (0.25, 0.25) and found.betas == known.betas
    for name, value in known.trained.params.items():
        torch.testing.assert_close(found.trained.params[name], value, rtol=1e-4, atol=1e-6)


def test_a_total_correlation_at_the_price_of_all_else_is_the_plain_bound(sprites):
    """FactorVAE at strength 1 gives its discriminator no say: encoder and decoder are those of beta = 1."""
    plain = objectives.train_objective("beta-vae", 1.0, sprites, [5], **SHORT).trained.member(0)
    factor = objectives.train_objective("factorvae", 1.0, sprites, [5], **SHORT).trained.member(0)
    with torch.no_grad():
        assert torch.isfinite(log_ratio(factor, torch.zeros(1, 3))).all()
    start = network(sprites, 12, 3).shapes
    assert set(start) == set(plain) < set(factor)
    moved = max((plain[name] - factor[name]).abs().max().item() for name in plain)
    assert moved < 1e-3  # other noise is drawn beside it in a block, none of it in these two networks' loss


def test_the_table_has_a_row_a_model_and_the_capacity_is_kept(sprites):
    settings = {"strengths": {"beta-tcvae": (4.0,), "capacity": (2.0, 5.0)}, "side": 16, "every": EVERY} | SHORT
    settings |= {"read_every": EVERY, "seeds": (0, 1), "samples": 12_800, "hidden": 30}
    found = objectives.objectives_table(settings, train_votes=100, test_votes=50, codes=50, trees=2)
    assert len(found) == 6 and list(found.objective) == ["beta-tcvae"] * 2 + ["capacity"] * 4
    means = objectives.objective_means(found)
    assert list(means.objective) == ["beta-tcvae", "capacity", "capacity"] and (means.seeds == 2).all()
    for row in means[means.objective == "capacity"].itertuples():
        assert row.kl == pytest.approx(row.strength, abs=0.5)
    assert means.kl_se.notna().all() and means.total_correlation.notna().all()


def test_an_unknown_objective_is_refused(sprites):
    with pytest.raises(ValueError, match="beta-vae, beta-tcvae, factorvae, capacity"):
        objectives.train_objective("dip-vae", 1.0, sprites, [0], **SHORT)


def test_remedies_are_measured_by_the_bound_itself():
    table = remedies(latent_dim=6, seeds=(0, 1), samples=6000, hidden=10, evaluations=3)
    assert list(dict.fromkeys(table.remedy)) == list(REMEDIES)
    last = remedy_means(table)[lambda rows: rows.samples == 6000].set_index("remedy")
    assert len(last) == 4 and (last.seeds == 2).all() and last.bound.between(-60, -20).all()
    assert last.kl["free bits"] > last.kl["none"]  # what costs nothing is sent
    assert (table.bound + 3 * table.se < 0).all() and (table.active <= 6).all()
