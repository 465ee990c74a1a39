"""The check from outside: likelihoods against the exact twin, two-phase estimates by
enumeration, and the tables they end in.
"""

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from elbo import reference
from elbo.companion.kernel.drawn import mismatch
from elbo.data import load
from elbo.experiments.kingma_welling_2013 import REFERENCE, deep
from elbo.figures.kingma_welling_2013 import deep as figures
from elbo.models import linear_gaussian as lg
from elbo.models.vae import VAE


class Twin:
    """The linear-Gaussian model with an encoder that is off: shifted, and too wide."""

    def __init__(self, model):
        self.model = model
        self.latent_dim = model.weight.shape[1]

    def encode(self, params, x):
        mean, cov = lg.posterior(self.model, x)
        return mean + 0.3, torch.log(1.5 * torch.diagonal(cov, dim1=-2, dim2=-1)).expand_as(mean)

    def log_joint(self, params, x, z):
        return lg.log_joint(self.model, x, z)


@pytest.fixture(scope="module")
def twin():
    generator = torch.Generator().manual_seed(0)
    model = lg.random_model(6, 2, generator)
    return Twin(model), lg.sample(model, 40, generator)[0]


def test_the_likelihood_by_5000_draws_is_the_exact_evidence_of_the_twin(twin):
    model, x = twin
    sizes = (1, 10, 5000)
    found = deep.nll_by_draws(model, {}, x, sizes, torch.Generator().manual_seed(1))
    exact = -lg.log_evidence(model.model, x)
    mean, log_var = model.encode({}, x)
    assert (found[:-1] > found[1:]).all()  # looser with fewer draws
    se = 0.05  # of log mean w with 5000 draws is below the sd of w over its mean, about 2 here, over the root of 5000
    assert ((found[-1] - exact).abs() < 4 * se).all()
    assert abs((found[-1] - exact).mean()) < 4 * se / math.sqrt(len(x))
    elbo = lg.elbo(model.model, x, mean, torch.diag_embed(log_var.exp()))
    assert abs((found[0] + elbo).mean()) < 0.02  # 5000 groups of one for each of 40 data
    assert (found[0] - exact).mean() > 0.2


def test_the_bounds_share_their_draws(twin):
    model, x = twin
    some = deep.nll_by_draws(model, {}, x, (2, 6), torch.Generator().manual_seed(2))
    from elbo.estimators.marginal_likelihood import model_evidence

    weights = model_evidence(
        model, {}, x, torch.Generator().manual_seed(2), method="importance", draws=6, chunk=2
    ).log_weights
    pairs = [torch.logsumexp(weights[i : i + 2], 0) - math.log(2) for i in (0, 2, 4)]
    torch.testing.assert_close(some[0], -torch.stack(pairs).mean(0))
    with pytest.raises(ValueError, match="must divide the largest, 6"):
        deep.nll_by_draws(model, {}, x, (4, 6), torch.Generator().manual_seed(2))


def test_two_phase_estimates_are_unbiased_and_know_their_error():
    """Every sample of 3 out of 8: the mean of the estimates, and of their squared errors, by enumeration."""
    generator = torch.Generator().manual_seed(3)
    cheap = torch.randn(8, generator=generator, dtype=torch.float64)
    costly = cheap * 1.3 + 0.2 * torch.randn(8, generator=generator, dtype=torch.float64)
    samples = [list(chosen) for chosen in itertools.combinations(range(8), 3)]
    rows = np.array([deep.two_phase(costly[s], cheap[s], cheap) for s in samples])
    assert rows[:, 0].mean() == pytest.approx(costly.mean().item(), abs=1e-12)
    assert (rows[:, 1] ** 2).mean() == pytest.approx(rows[:, 0].var(), rel=1e-9)
    assert (rows[:, 2] ** 2 - rows[:, 1] ** 2).mean() == pytest.approx(costly.var().item() / 8, rel=1e-9)
    mean, here, beyond = deep.two_phase(costly, cheap, cheap)
    assert (mean, here) == (pytest.approx(costly.mean().item()), 0.0)
    assert beyond == pytest.approx(costly.std().item() / math.sqrt(8))


def test_two_models_are_compared_on_the_same_images(twin):
    model, x = twin
    worse = Twin(model.model)
    worse.log_joint = lambda params, x, z: lg.log_joint(model.model, x, z) - 0.5
    options = {"sizes": (1, 10, 200), "coarse": 10, "seed": 4}
    whole = deep.compare({1: (model, {}), 5: (worse, {})}, x, **options).set_index(["trained_with", "draws"])
    exact = -lg.log_evidence(model.model, x)
    assert (whole.se_here == 0).all() and (whole.images == 40).all()
    row = whole.loc[1, 200]
    assert row.nll == pytest.approx(exact.mean().item(), abs=0.1)
    assert row.se_images == pytest.approx(exact.std().item() / math.sqrt(40), rel=0.05)
    assert row.gain == row.se_gain == 0
    other = whole.loc[5, 200]
    assert abs(other.gain + 0.5) < 0.1 and other.se_gain < 0.05 < row.se_images  # paired: far better than over images
    assert other.nll - row.nll == pytest.approx(-other.gain, abs=1e-9)
    part = deep.compare({1: (model, {}), 5: (worse, {})}, x, count=15, **options).set_index(["trained_with", "draws"])
    assert (part.images == 15).all() and (part.all_images == 40).all()
    assert 0 < part.loc[1, 200].se_here < 0.3 * part.loc[1, 200].se_images
    assert abs(part.loc[1, 200].nll - row.nll) < 0.15
    assert part.loc[5, 200].nll - part.loc[1, 200].nll == pytest.approx(-part.loc[5, 200].gain, abs=1e-9)


def test_active_units_are_those_whose_mean_varies():
    model = VAE(3, 2, 3)
    x = torch.tensor([[0.0, 0, 0], [1, 0, 0]])

    class Fixed:
        def encode(self, params, x):
            return x[:, :1] * torch.tensor([0.1, 0.2, 0.0]), torch.zeros(2, 3)  # variances 0.005, 0.02, 0

    assert deep.active_units(Fixed(), {}, x) == 1
    assert deep.active_units(Fixed(), {}, x, threshold=0.001) == 2
    assert deep.active_units(model, model.init(torch.Generator().manual_seed(0), 0.0), x) == 0


def test_the_learning_rate_falls_in_eight_equal_stages():
    optimiser = replace(deep.Burda(), epochs=16).optimiser(60_000)
    rates = [optimiser.learning_rate] + [optimiser.learning_rate * factor for _, factor in optimiser.stages]
    np.testing.assert_allclose(rates, [2e-3, 1.44e-3, 1.04e-3, 7.4e-4, 5.4e-4, 3.8e-4, 2.8e-4, 2e-4])
    assert [after for after, _ in optimiser.stages] == [1200 * i for i in range(1, 8)]


@pytest.fixture(scope="module")
def pair():
    return deep.importance_pair(samples=3_000, hidden=20, latent_dim=4, draws=50, device="cpu")


def test_the_pair_on_digits(pair):
    assert list(pair.trained_with.unique()) == [1, 5] and list(pair.draws.unique()) == [1, 2, 5, 10, 50]
    assert (pair.images == len(load("digits", split="test"))).all()
    for _, rows in pair.groupby("trained_with"):
        assert (rows.nll.diff().dropna() < 0).all()
    assert pair.equals(deep.importance_pair(samples=3_000, hidden=20, latent_dim=4, draws=50, device="cpu"))


@pytest.fixture(scope="module")
def small_burda(tmp_path_factory):
    """The whole of the reference run on few of its steps and images, with MNIST replaced
    by digits blown up to its size.
    """
    folder = tmp_path_factory.mktemp("scratch")
    patch = pytest.MonkeyPatch()

    def fake(name, split):
        assert name == "mnist"
        data = load("digits", split=split)
        images = torch.zeros(len(data), 784)
        images[:, :64] = data.images
        return replace(data, images=images[:100])

    patch.setattr(deep, "load", fake)
    patch.setattr(reference, "scratch", lambda chapter, name: folder / f"{name}.ckpt")
    settings = deep.Burda(epochs=100, images=40, draws=20, coarse=5)
    yield deep.burda(settings), deep.burda_training(settings), folder
    patch.undo()


def test_the_reference_run_ends_in_its_tables(small_burda):
    table, training, folder = small_burda
    assert {path.name for path in folder.iterdir()} == {"burda-1.ckpt", "burda-5.ckpt"}
    last = table[table.draws == 20].set_index("trained_with")
    assert table.published.notna().sum() == 2
    assert (last.published[1], last.published[5]) == (86.76, 85.54)
    np.testing.assert_allclose(last.gap, last.nll - last.published, atol=1e-3)
    assert list(training[training.trained_with == 5].epoch) == pytest.approx([12.5 * i for i in range(9)], abs=1)
    for _, rows in training.groupby("trained_with"):
        assert rows.bound.iloc[-1] > rows.bound.iloc[0] + 100
    assert {"burda", "burda-training"} <= set(REFERENCE)


def test_the_figure_shows_its_tables(pair, small_burda):
    assert mismatch(figures.nll_by_draws(pair), deep.beside(pair, None)) is None
    both = deep.beside(pair, small_burda[0])
    assert len(both) == len(pair) + len(small_burda[0]) and set(both.data) == {"digits", "mnist"}
    figure = figures.nll_by_draws(pair, small_burda[0])
    assert len(figure.axes) == 2 and len(figure.axes[1].lines) == 4
    assert mismatch(figure, both) is None
    assert mismatch(figure, both.assign(published=1.25)) is not None
