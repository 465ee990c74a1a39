"""The long runs of the chapter: a model scored in a stack is the model scored alone."""

import pandas as pd
import pytest
import torch

from elbo import data, reference
from elbo.experiments.higgins_2017 import small_sprites, sweep


@pytest.fixture
def small(monkeypatch, tmp_path):
    """Few small sprites, few votes, ages of a few minibatches, checkpoints aside."""
    dsprites = data.load("dsprites")
    monkeypatch.setattr(
        sweep, "sprites", lambda every=None, device="cpu": small_sprites(dsprites, 16, (1, 2, 8, 8, 8), device)
    )
    monkeypatch.setattr(sweep, "AGES", (128, 384))
    monkeypatch.setattr(sweep, "VOTES", {"train_votes": 200, "test_votes": 100})
    monkeypatch.setattr(sweep, "CLASSIFIER_STEPS", 20)
    monkeypatch.setattr(reference, "scratch", lambda chapter, name: tmp_path / f"{name}.ckpt")


def test_parts_in_a_stack_are_the_parts_alone(small):
    stack = [{"beta": beta, "latent_dim": 4, "seed": seed, "samples": 384} for seed in (0, 1) for beta in (1.0, 4.0)]
    together = sweep.score_parts(stack)
    for part, table in list(zip(stack, together))[:2]:
        pd.testing.assert_frame_equal(table, sweep.score_parts([part])[0])
        assert set(table.samples) == {128, 384} and set(table.draw) == {0, 1, 2} and len(table) == 2 * 2 * 3
        assert table[["beta", "latent_dim", "seed"]].drop_duplicates().to_dict("records") == [
            {name: part[name] for name in ("beta", "latent_dim", "seed")}
        ]
    by_beta = [table.kl.iloc[-1] for table in together]
    assert len(set(by_beta)) == 4, "four different models"


def test_a_stack_that_is_no_product_is_measured_in_pieces_and_a_strange_length_refused(small):
    stack = [{"beta": 1.0, "latent_dim": 4, "seed": 0, "samples": 128}]
    stack.append({"beta": 4.0, "latent_dim": 4, "seed": 1, "samples": 128})
    assert [int(table.seed.iloc[0]) for table in sweep.score_parts(stack)] == [0, 1]
    with pytest.raises(ValueError, match="samples must be one of"):
        sweep.score_parts([{"beta": 1.0, "latent_dim": 4, "seed": 0, "samples": 129}])


def test_the_kl_is_that_of_the_closed_form(small):
    part = {"beta": 1.0, "latent_dim": 4, "seed": 0, "samples": 128}
    table = sweep.score_parts([part])[0]
    trained = sweep.train_models(
        sweep.sprites(), [1.0], [4], [0], samples=128, batch_size=128, optimiser="adam", learning_rate=1e-3
    )
    mean, log_var = trained.encodings(0)
    posterior = torch.distributions.Normal(mean, (0.5 * log_var).exp())
    expected = torch.distributions.kl_divergence(posterior, torch.distributions.Normal(0.0, 1.0)).sum(1).mean()
    assert table.kl.iloc[0] == pytest.approx(float(expected), abs=1e-3)
