"""PCA and ICA as the appendix of Higgins et al. (2017) makes them."""

import pytest
import torch

from elbo.disentanglement import Softmax, factor_index, higgins_score
from elbo.experiments.higgins_2017 import protocol
from elbo.experiments.higgins_2017.baselines import linear_codes
from elbo.experiments.higgins_2017.reference import sprites

SETTINGS = {"components": 6, "fit_images": 200, "pairs": 8}
VOTES = {"train_votes": 300, "test_votes": 200}


@pytest.fixture(scope="module")
def images():
    return sprites((1, 2, 10, 10, 10))


def test_ica_is_fitted_to_every_pair_of_shapes_by_itself_and_pca_is_whitened(images, monkeypatch):
    seen = []

    def watched(pictures, rows, **settings):
        seen.append(sorted(images.factors[rows, 1].unique().tolist()))
        return linear_codes(pictures, rows, **settings)

    monkeypatch.setattr(protocol, "linear_codes", watched)
    table = protocol.linear_rows(images, images.factors, seeds=(3,), steps=50, **SETTINGS, **VOTES)
    assert seen == [[0, 1, 2], [0, 1], [0, 2], [1, 2]]
    assert list(table.representation) == ["PCA", "ICA", "PCA", "ICA"] and set(table.chance) == {0.25}
    fitted = table[table.classifier == "softmax"].set_index("representation")
    # a classifier that standardises its votes and is fitted to the end does not see whether the components were
    # whitened
    plain = linear_codes(images, torch.arange(len(images)), components=6, fit_images=200, seed=3)
    index = factor_index(images.factors, (2, 3, 4, 5))
    generator = torch.Generator().manual_seed(3)
    again = higgins_score(plain.pca, index, generator=generator, classifier=Softmax(), pairs=8, **VOTES)
    assert fitted.score["PCA"] == pytest.approx(again.score, abs=0.011)  # two of 200 votes
    scores = []
    for two in ([0, 1], [0, 2], [1, 2]):
        own = torch.isin(images.factors[:, 1], torch.tensor(two)).nonzero().flatten()
        codes = linear_codes(images, own, components=6, fit_images=200, seed=3).ica
        index = factor_index(images.factors[own], (2, 3, 4, 5))
        generator = torch.Generator().manual_seed(3)
        scores.append(higgins_score(codes, index, generator=generator, classifier=Softmax(), pairs=8, **VOTES).score)
    assert fitted.score["ICA"] == pytest.approx(sum(scores) / 3)


def test_one_shape_has_no_pairs(images):
    one = images.factors[images.factors[:, 1] == 0]
    with pytest.raises(ValueError, match="at least two shapes, got 1"):
        protocol.linear_rows(images, one, seeds=(0,), **SETTINGS)
