"""The papers' own curves: the files that were read off, and what other readings of the same figures say of them."""

import numpy as np
import pytest
import torch

from elbo.data import DataError, curves, paper_curves
from elbo.models.vae import VAE


@pytest.mark.parametrize("name", curves.CURVES)
def test_every_file_is_the_one_that_was_read_off(name):
    table = paper_curves(name)
    assert len(table) >= 3 and table.notna().all().all()


def test_a_changed_file_and_an_unknown_figure_are_refused(tmp_path, monkeypatch):
    with pytest.raises(DataError, match="there are blei-2017-figure-3"):
        paper_curves("blei-2017-figure-9")
    monkeypatch.setattr(curves, "directory", lambda: tmp_path)
    assert paper_curves("blei-2017-figure-3") is None
    (tmp_path / "blei-2017-figure-3.csv").write_text("quantity,iteration,value\nelbo,0,1\n")
    with pytest.raises(DataError, match="git checkout data/paper-curves"):
        paper_curves("blei-2017-figure-3")


def at(table, samples: float, column: str) -> float:
    return np.interp(np.log10(samples), np.log10(table.samples), table[column])


@pytest.mark.parametrize(
    ("panel", "latent_dim", "algorithm", "split", "samples", "level", "error"),
    [  # a second reading of the same paths, by another program
        ("mnist", 20, "aevb", "test", 1e7, -104.8, 0.2),
        ("mnist", 200, "wake-sleep", "test", 2.5e8, -103.6, 0.2),
        ("mnist", 3, "aevb", "train", 2.5e8, -127.9, 0.2),
        ("frey", 5, "aevb", "test", 1e8, 1115.1, 3.0),
        ("frey", 10, "wake-sleep", "train", 1e8, 578.4, 3.0),
    ],
)
def test_levels_of_figure_2(panel, latent_dim, algorithm, split, samples, level, error):
    table = paper_curves("kingma-welling-2013-figure-2")
    chosen = {"panel": panel, "latent_dim": latent_dim, "algorithm": algorithm, "split": split}
    for column, value in chosen.items():
        table = table[table[column] == value]
    assert at(table, samples, "bound") == pytest.approx(level, abs=error)


def test_what_was_not_measured_is_left_out():
    """The Frey curves enter their frame at 10^5 samples, on the way to a first evaluation after at least 2.7e5."""
    table = paper_curves("kingma-welling-2013-figure-2")
    assert table[table.panel == "frey"].samples.min() > 2.6e5
    assert table[table.panel == "mnist"].samples.min() > 1.8e5


PRINTED = {"bernoulli": (-543.43, 1.0), "gaussian": (-527.0, 1.5)}
"""Where the paper's curves begin, at the first minibatch: MNIST, and Frey faces (read between -526 and -528)."""


@pytest.mark.parametrize("likelihood", PRINTED)
@pytest.mark.parametrize("latent_dim", [2, 20, 200])
def test_the_papers_weights_start_at_a_standard_deviation_of_one_hundredth(likelihood, latent_dim):
    """Section 5 draws them from "N(0, 0.01)". The first point of its curves says which of the two readings it is: only
    a standard deviation of 0.01 starts at minus 784 log 2 on MNIST. (With grey pixels in the middle of their range, the
    Gaussian bound of 560 pixels with mean one half and unit variance is minus 280 log 2 pi, less half their spread.)
    """
    pixels = 784 if likelihood == "bernoulli" else 560
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(400, pixels, generator=generator)
    # Frey: -526.5 + 280 log 2 pi = -11.9, so a mean square of 0.0426 about one half
    x = (x < 0.13).float() if likelihood == "bernoulli" else 0.5 + (0.0426**0.5) * (12**0.5) * (x - 0.5)
    bounds = {}
    for scale in (0.01, 0.1):
        model = VAE(pixels, 500 if likelihood == "bernoulli" else 200, latent_dim, likelihood)
        params = model.init(generator, scale)
        mean, log_var = model.encode(params, x)
        z = mean + torch.exp(0.5 * log_var) * torch.randn(mean.shape, generator=generator)
        kl = 0.5 * (mean**2 + log_var.exp() - 1 - log_var).sum(-1)
        bounds[scale] = (model.log_likelihood(params, x, z) - kl).mean().item()
    level, error = PRINTED[likelihood]
    assert bounds[0.01] == pytest.approx(level, abs=error)
    if likelihood == "bernoulli" or latent_dim > 2:
        assert bounds[0.1] < level - 5 * error
