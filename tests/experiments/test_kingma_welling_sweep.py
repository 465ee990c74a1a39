"""The long reference tables of the chapter: which rows of the parts are kept, and what is made of them."""

import numpy as np
import pandas as pd
import pytest
import torch

from elbo.experiments.kingma_welling_2013 import burda, sweep
from elbo.experiments.kingma_welling_2013.deep import compare, held_out
from elbo.models.vae import VAE


def test_of_a_curve_at_two_lengths_the_longer_is_kept():
    curve = {"algorithm": "aevb", "latent_dim": 20, "seed": 0}
    rows = [curve | {"part": "short", "samples": at} for at in (1, 2)] + [
        curve | {"part": "long", "samples": at} for at in (1, 2, 3)
    ]
    rows.append(curve | {"seed": 1, "part": "other", "samples": 2})
    kept = sweep.longest(pd.DataFrame(rows))
    assert kept.to_dict("records") == [curve | {"samples": at} for at in (1, 2, 3)] + [
        curve | {"seed": 1, "samples": 2}
    ]


def test_every_length_of_the_grid_is_on_the_ladder_and_the_ladder_has_the_papers():
    assert {part["samples"] for name in ("mnist", "frey") for part in sweep.bound_grid(name)} <= set(sweep.LADDER)
    assert 100_000_000 in sweep.LADDER and all(at % 100 == 0 for at in sweep.LADDER)
    with pytest.raises(ValueError, match="samples must be one of"):
        sweep.bound_parts([part | {"samples": 12345} for part in sweep.bound_grid("mnist")[:1]])


def test_stages_are_those_of_burda_in_proportion():
    optimiser = burda.Schedule(3280).optimiser(60_000)
    passes = np.cumsum([3**i for i in range(8)])
    assert [after for after, _ in optimiser.stages] == [600 * done for done in passes[:-1]]
    assert [factor for _, factor in optimiser.stages] == pytest.approx([10 ** (-i / 7) for i in range(1, 8)])


def test_the_summary_of_the_images_is_the_comparison_of_the_models(monkeypatch):
    """By the route of the chapter's own small run: the same models, images and draws, the same numbers."""
    monkeypatch.setattr(burda, "FINE", 12)
    model = VAE(9, 5, 3, encoder_layers=2, decoder_layers=2)
    models = {k: (model, model.init(torch.Generator().manual_seed(k), 0.5)) for k in (1, 5)}
    images = held_out(torch.rand(30, 9, generator=torch.Generator().manual_seed(2)))
    rng = np.random.default_rng(0)
    sizes, base, parts, expected = [1, 2, 50], rng.normal(100, 5, 30), [], {}
    for k in models:
        values = base + rng.normal(-k, 1, (3, 30))
        fine = pd.concat(pd.DataFrame({"image": range(12), "draws": d, "nll": v[:12]}) for d, v in zip(sizes, values))
        rest = pd.DataFrame({"image": range(12, 30), "draws": 50, "nll": values[2, 12:]})
        parts.append(pd.concat([fine, rest]).assign(trained_with=k, seed=0, epochs=1, active=3))
        expected[k] = values
    monkeypatch.setattr(burda, "COARSE", 50)
    table = burda.summary(pd.concat(parts)).set_index(["trained_with", "draws"])

    def by_hand(values, size):
        """Two-phase estimate of the mean of row ``size`` over all images."""
        own, coarse = values[sizes.index(size)][:12], values[2]
        return coarse.mean() + (own - coarse[:12]).mean()

    for k in models:
        for size in sizes:
            assert table.loc[(k, size), "nll"] == pytest.approx(by_hand(expected[k], size), abs=1e-4)
            gain = by_hand(expected[1] - expected[k], size)
            assert table.loc[(k, size), "gain"] == pytest.approx(gain, abs=1e-4)
    assert table.loc[(5, 50), "se_gain"] == pytest.approx((expected[1] - expected[5])[2].std(ddof=1) / 30**0.5, rel=0.4)
    small = compare(models, images, sizes=sizes, coarse=50, count=12)
    assert set(small.columns) <= set(table.reset_index().columns)
