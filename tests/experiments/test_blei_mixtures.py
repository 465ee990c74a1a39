"""The mixture experiments of the chapter: what their tables claim, at a small size, and that each figure draws its own
table.
"""

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

from elbo import data
from elbo.companion.kernel.drawn import mismatch
from elbo.experiments.blei_2017 import images, mixtures
from elbo.figures.blei_2017 import images as image_figures
from elbo.figures.blei_2017 import mixtures as mixture_figures
from elbo.inference import cavi


@pytest.fixture(scope="module")
def found():
    return images.patches(stride=20)


@pytest.fixture(scope="module")
def run(found):
    return images.fit(found, num_components=8, num_inits=3, iterations=12)


def _drawn(figure, frame):
    assert mismatch(figure, frame) is None
    figure.canvas.draw()
    plt.close(figure)


def test_histograms_count_the_pixels(found):
    """One patch by numpy's own histogram; every channel has mean one."""
    patch = found.pixels[37].numpy()
    for channel in range(3):
        counts, _ = np.histogram(patch[..., channel], bins=192, range=(0, 256))
        assert found.histograms[37].reshape(3, 192)[channel].tolist() == pytest.approx(list(counts / 3), rel=1e-6)
    assert found.histograms.shape[1] == 576
    means = found.histograms.reshape(-1, 3, 192).mean(-1)
    torch.testing.assert_close(means, torch.ones_like(means), rtol=1e-5, atol=0)


def test_patches_are_cut_from_the_photographs_and_sets_do_not_touch(found):
    photos = data.load("photos").images.reshape(2, 427, 640, 3)
    assert torch.equal(found.pixels[0], photos[0, :24, :24])
    columns = torch.zeros(2, 640, dtype=torch.int64)  # mark each column of the first row of patches by its set
    position = 0
    for photo in range(2):
        for strip in range(10):
            count = ((427 - 24) // 20 + 1) * ((64 - 24) // 20 + 1)
            held = found.test[position : position + count]
            assert (held == (strip % 3 == 1)).all() and (found.photo[position : position + count] == photo).all()
            columns[photo, 64 * strip : 64 * strip + 64] += 1
            position += count
    assert position == len(found.pixels) and (columns == 1).all()


def test_starts_end_at_different_bounds(run):
    frame = images.initialisations(run)
    last = frame[frame.iteration == 12].elbo_per_datum
    assert len(frame) == 36 and np.ptp(last) > 1
    _drawn(image_figures.initialisations(frame), frame)


def test_histogram_figure(found):
    frame = images.histograms(found, examples=(10, 900))
    assert frame[frame.kind == "bin"].groupby(["example", "channel"]).height.mean().to_numpy() == pytest.approx(
        1, rel=1e-5
    )
    _drawn(image_figures.histograms(frame), frame)


def test_clusters_are_more_alike_than_patches(run):
    """Colours within the shown clusters vary less than among all patches."""
    frame = images.clusters(run, num_clusters=4, num_patches=6, min_size=10)
    assert sorted(frame.cluster.unique()) == [0, 1, 2, 3] and len(frame) == 4 * 6 * 24 * 24
    colour = frame.groupby(["cluster", "patch"])[["red", "green", "blue"]].mean()
    within = colour.groupby("cluster").var().to_numpy().mean()
    every = run.patches.pixels.float().mean((1, 2)).div(255).var(0).mean().item()
    assert within < 0.6 * every
    _drawn(image_figures.clusters(frame), frame)


def test_held_out_of_every_algorithm(found):
    frame = images.held_out(
        found,
        num_components=6,
        num_starts=2,
        iterations=8,
        svi_steps=40,
        sweeps=8,
        hmc_steps=2,
        leapfrog_steps=2,
        batch_size=100,
    )
    assert set(frame.algorithm) == {"cavi", "svi", "gibbs", "hmc"}
    assert np.isfinite(frame.held_out).all() and (frame.held_out_se > 0).all()
    for algorithm in ("cavi", "svi", "gibbs"):
        for _, rows in frame[frame.algorithm == algorithm].groupby("start"):
            assert rows.held_out.iloc[-1] > rows.held_out.iloc[0] and rows.seconds.is_monotonic_increasing
    _drawn(image_figures.held_out(frame), frame)


def test_five_gaussians():
    run = mixtures.five_gaussians(num_data=300, num_test=300, iterations=20, show=(0, 5, 20))
    history = mixtures.progress(run)
    assert (history.elbo_per_datum.diff()[1:] >= -1e-10).all()
    frame = mixtures.ellipses(run)
    assert frame[frame.kind == "component"].groupby("iteration").weight.sum().to_numpy() == pytest.approx(1)
    assert sorted(frame.iteration.dropna().unique()) == [0, 5, 20]
    assert sorted(frame[frame.iteration == 20].cluster) == [0, 1, 2, 3, 4]
    assert history[history.shown].iteration.tolist() == [5, 20]
    _drawn(mixture_figures.ellipses(frame), frame)
    _drawn(mixture_figures.progress(history), history)


def test_the_default_run_converges_on_the_five_clusters():
    """What the figure shows: each component ends on the cluster whose colour it has, and the bound has come to rest."""
    run = mixtures.five_gaussians()
    frame = mixtures.ellipses(run)
    truth = frame[frame.kind == "datum"].groupby("cluster")[["x1", "x2"]].mean()
    last = frame[frame.iteration == 60].set_index("cluster")[["x1", "x2"]].loc[truth.index]
    assert np.linalg.norm(last - truth, axis=1).max() < 0.2
    assert abs(run.history.elbo_per_datum.diff().iloc[-1]) < 1e-6


def test_unit_covariance_cannot_reach_the_paper_s_predictive():
    """The trap that the caption states: -log 2 pi is the largest value of a two-dimensional unit-variance density."""
    from elbo.inference.assignments import log_predictive
    from elbo.models.gaussian_mixture import UnitMixture

    generator = torch.Generator().manual_seed(0)
    x, _ = mixtures.simulate(5, 2, 400, generator)
    state = cavi.fit(UnitMixture(5), x, generator, max_iters=30).state
    assert (log_predictive(UnitMixture(5), state.q, x) < -np.log(2 * np.pi)).all()


def test_bounds_lie_below_the_evidence():
    frame = mixtures.below_the_evidence(num_data=6, num_inits=8)
    assert (frame.best_elbo < frame.log_evidence).all() and (frame.gap == frame.log_evidence - frame.best_elbo).all()
    assert frame.assignments.tolist() == [729, 729]


def test_stochastic_steps_arrive_on_less_data():
    frame = mixtures.million(
        num_data=20_000, dim=4, num_components=4, passes=6, num_steps=80, num_test=500, num_starts=2
    )
    first_pass = frame[frame.algorithm == "cavi"].groupby("start").held_out.first()
    early = frame[(frame.algorithm == "svi") & (frame.data_read <= 20_000)].groupby("start").held_out.last()
    assert (early > first_pass).all()
    _drawn(mixture_figures.million(frame), frame)


def test_tables_are_reproducible():
    one, two = (
        mixtures.million(num_data=2000, dim=2, passes=2, num_steps=5, num_test=50, num_starts=1) for _ in range(2)
    )
    assert one.held_out.tolist() == two.held_out.tolist()
