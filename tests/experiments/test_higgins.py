"""Experiments of the chapter on Higgins et al. that need no training: small, on a part of the rendered grid."""

import math

import numpy as np
import pandas as pd
import pytest
import torch

import elbo.data
from elbo.disentanglement import Softmax, higgins_score
from elbo.experiments import higgins_2017 as experiments

EVERY = (1, 2, 10, 4, 4)  # 3 x 3 x 4 x 8 x 8 = 2304 images


@pytest.fixture(scope="module")
def images():
    return elbo.data.load("dsprites")


@pytest.fixture(scope="module")
def linear(images):
    rows, _ = experiments.subgrid(images, EVERY)
    return experiments.linear_codes(images, rows, components=4, fit_images=400, seed=1)


def test_a_subgrid_is_a_full_grid(images):
    rows, factors = experiments.subgrid(images, EVERY)
    assert len(rows) == 3 * 3 * 4 * 8 * 8 == len(set(rows.tolist()))
    assert torch.equal(images.classes(rows), factors)
    counts = [factors[:, k].unique(return_counts=True)[1] for k in range(6)]
    assert [len(count) for count in counts] == [1, 3, 3, 4, 8, 8] and all(len(count.unique()) == 1 for count in counts)
    whole, _ = experiments.subgrid(images)
    assert torch.equal(whole, torch.arange(737280))
    for wrong in ((1, 1), (1, 1, 0, 1, 1)):
        with pytest.raises(ValueError, match="five steps"):
            experiments.subgrid(images, wrong)


def test_pixels_are_the_images(images):
    rows, _ = experiments.subgrid(images, EVERY)
    pixels, index = experiments.Pixels(images, rows), torch.tensor([5, 2000, 5])
    assert len(pixels) == len(rows)
    assert torch.equal(pixels[index], images.render(rows[index]).flatten(1).float())


def test_principal_components_by_a_singular_value_decomposition(images, linear):
    rows, _ = experiments.subgrid(images, EVERY)
    drawn = torch.randperm(len(rows), generator=torch.Generator().manual_seed(1))[:400]
    sample = images[rows[drawn]].double()
    _, values, directions = torch.linalg.svd(sample - sample.mean(0), full_matrices=False)
    share = (values[:4].square().sum() / values.square().sum()).item()
    assert abs(linear.explained_variance - share) < 0.005 * share  # the randomised solver is a little below
    exact = (images[rows].double() - sample.mean(0)) @ directions[:4].mT
    # the same subspace up to that: almost all of the exact codes' variance is linear in ours
    ours = linear.pca.double()
    left = exact - ours @ torch.linalg.lstsq(ours, exact).solution
    assert left.square().sum() < 0.02 * exact.square().sum()
    assert linear.pca.shape == linear.ica.shape == (2304, 4)


def test_independent_components_are_white_and_linear_in_the_principal_ones(images, linear):
    rows, _ = experiments.subgrid(images, EVERY)
    drawn = torch.randperm(len(rows), generator=torch.Generator().manual_seed(1))[:400]
    white = linear.ica[drawn].double()
    covariance = (white - white.mean(0)).mT @ (white - white.mean(0)) / 400
    torch.testing.assert_close(covariance, torch.eye(4, dtype=torch.float64), rtol=0, atol=1e-3)
    columns = torch.cat([linear.pca, torch.ones(2304, 1)], 1).double()
    solution = torch.linalg.lstsq(columns, linear.ica.double()).solution
    assert (columns @ solution - linear.ica).abs().max() < 1e-3


def test_scores_are_those_of_the_metric(images):
    few = {"pairs": 4, "train_votes": 300, "test_votes": 200}
    table = experiments.scores_without_training(
        images, every=EVERY, names=("ground truth", "PCA", "ICA"), components=4, fit_images=300, seeds=(0, 1), **few
    )
    assert table["representation"].tolist() == ["ground truth", "PCA", "ICA"] * 2
    assert table["seed"].tolist() == [0, 0, 0, 1, 1, 1]
    rows, factors = experiments.subgrid(images, EVERY)
    codes = experiments.linear_codes(images, rows, components=4, fit_images=300, seed=1)
    for name, code in (("ground truth", images.values(factors)[:, 1:]), ("PCA", codes.pca), ("ICA", codes.ica)):
        generator = torch.Generator().manual_seed(1)
        again = higgins_score(code, factors, which=(2, 3, 4, 5), generator=generator, classifier=Softmax(), **few)
        row = table[(table["representation"] == name) & (table["seed"] == 1)].iloc[0]
        assert (row["score"], row["standard_error"], row["chance"]) == (again.score, again.standard_error, 0.25)
    assert table["explained_variance"].isna().tolist() == [True, False, False] * 2


def test_steps_are_those_of_adagrad(images):
    settings = {"every": EVERY, "names": ("ground truth",), "pairs": 4, "train_votes": 300, "test_votes": 200}
    table = experiments.scores_without_training
    scores = [
        table(images, classifier=name, steps=steps, seeds=(3,), **settings)["score"].item()
        for name in ("higgins-2017", "softmax")
        for steps in (30, 3000)
    ]
    assert scores[0] < scores[1] - 0.1 and scores[2] == scores[3]


def test_ground_truth_is_perfect_and_pixels_are_not(images):
    few = {"pairs": 32, "train_votes": 300, "test_votes": 200, "seeds": (0,)}
    table = experiments.scores_without_training(images, every=EVERY, names=("ground truth", "raw pixels"), **few)
    truth, pixels = table.iloc[0], table.iloc[1]
    assert truth["score"] == 1.0
    assert 0.25 + 4 * pixels["standard_error"] < pixels["score"] < 0.8  # above chance, and far from the truth
    assert math.isnan(pixels["explained_variance"])


def test_summary_sets_the_protocol_beside_the_mean():
    scores = pd.DataFrame({"representation": ["PCA"] * 4 + ["mine"] * 2, "score": [0.8, 0.6, 0.7, 0.9, 0.1, 0.3]})
    table = experiments.summary(scores).set_index("representation")
    np.testing.assert_allclose(table.loc["PCA", ["mean", "upper_mean", "paper"]].astype(float), [0.75, 0.85, 0.849])
    assert math.isclose(table.loc["mine", "upper_mean"], 0.3) and math.isnan(table.loc["mine", "paper"])
    found = experiments.published()
    assert set(found["known"]) == {"read"} and len(found) == 9 and found["paper_spread"].isna().sum() == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"names": ("VAE",)}, "names come from"),
        ({"classifier": "tree"}, "classifier"),
        ({"components": 0}, "components"),
        ({"fit_images": 4, "components": 4}, "below the 4 images"),
    ],
)
def test_refusals(images, change, message):
    with pytest.raises(ValueError, match=message):
        experiments.scores_without_training(images, **({"every": EVERY, "names": ("PCA",), "seeds": (0,)} | change))
