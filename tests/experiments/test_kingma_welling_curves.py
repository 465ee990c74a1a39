"""Figures 2 and 3 of Kingma & Welling (2013): both algorithms, the marginal likelihood by quadrature,
its estimators, reference tables.
"""

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from elbo import reference
from elbo.companion.kernel.drawn import mismatch
from elbo.experiments import kingma_welling_2013 as experiments
from elbo.experiments.kingma_welling_2013 import evidence as ev
from elbo.experiments.kingma_welling_2013 import sweep as at_scale
from elbo.experiments.kingma_welling_2013 import words
from elbo.figures import kingma_welling_2013 as figures
from elbo.inference.aevb import aevb
from elbo.inference.sgvb import estimate_bound
from elbo.models.vae import VAE


@pytest.fixture(scope="module")
def runs():
    torch.set_num_threads(1)
    chosen = experiments.settings("digits", latent_dims=[2], seeds=[0, 1], samples=3000, hidden=12)
    return [
        experiments.train("digits", chosen, algorithm=name, device="cpu", evaluations=2)
        for name in ("aevb", "wake-sleep")
    ]


@pytest.fixture(scope="module")
def small():
    """A decoder in double precision whose posterior is broad, and images that it has drawn."""
    model = VAE(6, hidden=4, latent_dim=2)
    params = model.init(torch.Generator().manual_seed(3), scale=0.8, dtype=torch.float64)
    _, x = model.sample(params, 5, torch.Generator().manual_seed(4))
    return model, params, x


def test_both_algorithms_stand_in_the_table(runs):
    table = experiments.bound(*runs)
    for run in runs:
        history = run.trained.history
        own = history.query("split == 'test' and samples == 3000").bound
        row = table.query("algorithm == @run.algorithm and split == 'test' and samples == 3000").iloc[0]
        assert row.bound == pytest.approx(own.mean(), rel=1e-12) and row.seeds == 2
    one, other = (run.trained.history.set_index(["seed", "split", "samples"]).bound for run in runs)
    assert not np.allclose(one, other)
    with pytest.raises(ValueError, match="algorithm must be one of aevb, wake-sleep"):
        experiments.train("digits", runs[0].settings, algorithm="mcem")


def test_the_lead_is_paired_over_seeds(runs):
    table = pd.concat([run.trained.history.assign(algorithm=run.algorithm) for run in runs])
    test = table[table.split == "test"].pivot_table(index=["seed", "samples"], columns="algorithm", values="bound")
    gap = test.aevb - test["wake-sleep"]
    (row,) = experiments.lead_of_aevb(table).itertuples()
    last = gap.xs(3000, level="samples")
    assert (
        row.lead == pytest.approx(last.mean())
        and row.se == pytest.approx(last.std(ddof=1) / math.sqrt(2))
        and row.seeds == 2
    )
    assert row.ahead == (gap > 0).mean()


def test_a_training_goes_on_from_its_checkpoint(runs, tmp_path):
    """Stopped at 10,000 of 30,000 samples: the history is that of a training never stopped, and
    the first part is not done again.
    """
    chosen = replace(runs[0].settings, samples=30_000, seeds=(0,))
    whole = experiments.train("digits", chosen, device="cpu", evaluations=2)
    path, seen = tmp_path / "a.ckpt", []
    experiments.train("digits", replace(chosen, samples=10_000), device="cpu", evaluations=1, checkpoint=path)
    note = lambda step, steps, losses: seen.append(step)  # noqa: E731
    resumed = experiments.train("digits", chosen, device="cpu", evaluations=2, checkpoint=path, progress=note)
    pd.testing.assert_frame_equal(resumed.trained.history, whole.trained.history)
    assert seen == [200, 300]


def test_grid_against_importance_sampling_and_a_finer_grid(small):
    model, params, x = small
    grid = ev.grid_evidence(model, params, x, per_side=60)
    torch.testing.assert_close(grid, ev.grid_evidence(model, params, x, per_side=300, edge=9.0), rtol=0, atol=1e-5)
    z = torch.randn(40_000, 1, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    weights = model.log_likelihood(params, x, z.expand(-1, len(x), -1)).exp()
    error = weights.std(0) / weights.mean(0) / 200
    assert ((grid - weights.mean(0).log()).abs() < 4.5 * error).all() and (error < 0.02).all()
    assert (grid >= estimate_bound(model, params, x, torch.Generator().manual_seed(0), draws=200)).all()


def test_grid_refuses_what_it_cannot_do(small):
    model, params, x = small
    for wrong in (replace(model, latent_dim=4), replace(model, likelihood="gaussian")):
        with pytest.raises(ValueError, match="use elbo.estimators.marginal_likelihood.model_evidence"):
            ev.grid_evidence(wrong, params, x)


@pytest.mark.parametrize("algorithm", ["aevb", "wake-sleep", "mcem"])
def test_curve_is_the_grid_of_what_was_trained(algorithm):
    torch.set_num_threads(1)
    images = (torch.rand(300, 9, generator=torch.Generator().manual_seed(0)) < 0.4).float()
    model = VAE(9, hidden=5, latent_dim=2)
    trained, table = ev.evidence_curve(
        algorithm,
        model,
        images,
        {"train": images[:40], "test": images[200:260]},
        samples=2000,
        at=[1000, 2000],
        learning_rate=0.05,
        seeds=[0, 1],
        per_side=30,
    )
    assert list(table.columns) == ev.COLUMNS and len(table) == 8 and set(table.samples) == {1000, 2000}
    for member in (0, 1):
        values = ev.grid_evidence(model, trained.member(member), images[200:260], per_side=30).double()
        row = table.query("seed == @member and split == 'test' and samples == 2000").iloc[0]
        assert row.log_evidence == pytest.approx(float(values.mean()), abs=1e-5)
        assert row.se_images == pytest.approx(float(values.std()) / math.sqrt(60), rel=1e-4)
    assert table.acceptance.notna().all() == (algorithm == "mcem")
    if algorithm == "aevb":  # the measure changes nothing of the training
        plain = aevb(model, images, samples=2000, seeds=[0, 1], learning_rate=0.05, device="cpu")
        assert all(torch.equal(plain.params[name], param) for name, param in trained.params.items())


def test_the_best_rate_is_the_one_of_the_largest_evidence(monkeypatch):
    table = pd.DataFrame({"log_evidence": [-3.0, -1.0, -2.0]})
    monkeypatch.setattr(ev, "evidence_curve", lambda *args, **options: (None, table))
    assert ev.best_evidence_rate("aevb", VAE(4), torch.zeros(10, 4)) == ev.RATES[1]


def test_evidence_over_training_of_digits(monkeypatch):
    torch.set_num_threads(1)
    chosen = replace(ev.EVIDENCE["digits"], small=50, images=20, pilot=500, per_side=16, hidden=6)
    monkeypatch.setitem(ev.EVIDENCE, "digits", chosen)
    table = experiments.evidence_over_training("digits", samples=1000, seeds=(0, 1), device="cpu", evaluations=1)
    assert len(table) == 2 * 3 * 2 and set(table.train_images) == {50, 1442} and (table.seeds == 2).all()
    assert table.query("algorithm == 'mcem' and train_images == 50").moves.tolist() == [4.0, 4.0]  # 1000 / 5 / 50
    assert table.learning_rate.isin(ev.RATES).all()
    figure = figures.evidence(table)
    assert mismatch(figure, table) is None
    assert mismatch(figure, table.assign(log_evidence=-1.0)) is not None
    test = table.query("train_images == 50 and split == 'test'").set_index("algorithm").log_evidence
    said = words.evidence(table)
    assert said["evidence-few-first"] == words.ALGORITHM[test.idxmax()] and said["evidence-few-n"] == "50"
    assert said["evidence-few-mcem"] == words.number(test["aevb"] - test["mcem"], 1)
    with pytest.raises(ValueError, match="digits or mnist, not on frey"):
        experiments.evidence_over_training("frey")


def test_estimators_are_judged_by_the_exact_value(runs):
    table = experiments.estimators(runs[0], images=6, draws=60, temperatures=(3, 12))
    assert table.groupby("model").size().tolist() == [8, 8]
    assert (
        table.error.abs() < 5 * table.se + 0.5 * (table.se * math.sqrt(6)) ** 2 + 0.05
    ).all()  # Jensen's bias is half a variance
    annealed = table[table.estimator.str.startswith("AIS")].set_index(["model", "estimator"]).error
    twin = annealed.xs("linear-Gaussian, 5 latents")
    assert twin["AIS forward, 3 steps"] < twin["AIS forward, 12 steps"] < 1 and twin["AIS forward, 3 steps"] < -1
    assert twin["AIS reverse, 3 steps"] > max(1, twin["AIS reverse, 12 steps"])
    assert mismatch(figures.estimators(table), table) is None
    assert mismatch(figures.estimators(table), table.assign(error=0.123)) is not None
    wrong = table.assign(error=table.error.where(table.estimator != "AIS reverse, 12 steps", -9.0), se=0.01)
    assert words.estimators(wrong)["judge-outside"].count("AIS reverse, 12 steps") == 2
    twin = table[table.model != "decoder, 2 latents"].set_index("estimator").error
    gap = twin["AIS reverse, 12 steps"] - twin["AIS forward, 12 steps"]
    assert words.estimators(table)["judge-long-width"] == words.number(gap)
    right = table.assign(error=np.where(table.side == "lower", -0.1, 0.1))
    assert words.estimators(right)["judge-outside"] == "no estimate"


def test_breakdown_grows_with_the_dimension():
    table = experiments.breakdown(dims=(2, 10, 20), repeats=300)
    assert table.rms.is_monotonic_increasing and table.infinite.tolist() == sorted(table.infinite)
    assert table.infinite.iloc[0] < 0.02 and table.infinite.iloc[2] > 0.95
    assert table.claimed.iloc[2] < 0.8 * table.rms.iloc[2]  # it does not know
    assert table.rms.iloc[0] == pytest.approx(table.claimed.iloc[0], rel=0.35)
    assert mismatch(figures.breakdown(table), table) is None


def test_reference_functions_give_what_chapter_and_figures_take(monkeypatch, tmp_path):
    """The functions behind the reference tables, at a size of seconds, on digits in place of the published files."""
    torch.set_num_threads(1)
    monkeypatch.setattr(reference, "scratch", lambda chapter, name: tmp_path / f"{name}.ckpt")
    monkeypatch.setattr(at_scale, "LADDER", (1000, 1500, 2000))
    monkeypatch.setattr(at_scale, "IMAGES", 8)
    monkeypatch.setattr(at_scale, "VAE", lambda pixels, hidden, latent_dim: VAE(64, hidden, latent_dim))
    digits = at_scale.load
    monkeypatch.setattr(
        at_scale, "load", lambda name, split, **chosen: digits("digits", split=split.removesuffix("-50000"), **chosen)
    )
    monkeypatch.setattr(at_scale, "best_evidence_rate", lambda *args, **options: 0.05)
    options = {"per_side": 20}
    curve, ends = at_scale.evidence_curve, at_scale.evidence_by_estimators
    monkeypatch.setattr(at_scale, "evidence_curve", lambda *args, **chosen: curve(*args, **chosen, **options))
    monkeypatch.setattr(at_scale, "evidence_by_estimators", lambda *args, **chosen: ends(*args, **chosen, **options))
    grid = [part | {"samples": 2000} for part in at_scale.evidence_grid(60)[:3]]
    table = pd.concat([at_scale.evidence_parts([part])[0] for part in grid], ignore_index=True)
    assert set(table.samples) == {1000, 1200, 2000}, "Monte Carlo EM counts whole draws, of 300 samples here"
    assert set(table.estimator) == {"quadrature", "importance", "appendix D"} and set(table.train_images) == {60}
    last = table[table.samples == 2000].set_index(["algorithm", "split", "estimator"])
    for (algorithm, split, _), row in last.iterrows():
        exact = last.log_evidence[algorithm, split, "quadrature"]
        assert row.off == pytest.approx(row.log_evidence - exact, abs=2e-4) and row.worst >= abs(row.off) - 1e-4
    assert last.query("estimator == 'importance'").off.abs().max() < 0.2
    figure = figures.evidence_at_scale(table)
    assert mismatch(figure, table) is None
    assert len(words.agreement(table)) == 6 and len(words.at_the_end(table)) == 3
    best = last.xs("quadrature", level="estimator").xs("test", level="split").log_evidence.idxmax()
    assert words.evidence(table)["evidence-few-first"] == words.ALGORITHM[best]


def test_a_kept_table_is_drawn_and_what_fell_out_of_the_frame_is_named():
    rows = [
        {
            "algorithm": name,
            "latent_dim": size,
            "seed": 0,
            "split": split,
            "samples": samples,
            "learning_rate": rate,
            "hidden": 7,
            "bound": base + size - (3 if split == "test" else 0) + (samples > 10),
        }
        for name, rate, base in (("aevb", 0.02, 5.0), ("wake-sleep", 0.01, 0.0))
        for size in (2, 5)
        for split in ("train", "test")
        for samples in (10, 2_000_000)
    ]
    table = pd.DataFrame(rows)
    assert mismatch(figures.bound_at_scale(table), table) is None
    fallen = table.assign(bound=table.bound.where((table.algorithm == "aevb") | (table.latent_dim == 2), -1e5))
    left, right = figures.bound_at_scale(fallen).axes
    assert left.get_ylim()[0] > -50
    assert any("below, at -100000" in text.get_text() for text in right.texts)


def test_the_tables_that_are_kept_can_be_drawn():
    names = [name for name in ("bound-mnist", "bound-frey") if reference.load("kingma-welling-2013", name) is not None]
    for name in names:
        table = reference.load("kingma-welling-2013", name)
        assert (table.samples.max() >= 3_000_000) and set(table.algorithm) == {"aevb", "wake-sleep"}
        assert mismatch(figures.bound_at_scale(table), table) is None
