"""The noise of the gradient: closed forms against Gauss-Hermite quadrature, which is exact for their polynomials."""

import importlib
import itertools
import math

import numpy as np
import pytest
import torch

from elbo.models import linear_gaussian

gradients = importlib.import_module("elbo.experiments.kingma_welling_2013.gradients")
figures = importlib.import_module("elbo.figures.kingma_welling_2013.gradients")


def nodes(dim):
    """Noise (nodes, dim) and weights of a product rule exact for polynomials of degree 13 in each coordinate."""
    points, weights = np.polynomial.hermite_e.hermegauss(7)
    weights = weights / math.sqrt(2 * math.pi)
    grid = torch.tensor(list(itertools.product(points, repeat=dim)))
    return grid, torch.tensor([math.prod(w) for w in itertools.product(weights, repeat=dim)])


@pytest.mark.parametrize("dim", [1, 2, 3])
@pytest.mark.parametrize("estimator", gradients.GRADIENTS)
def test_mean_and_variance_of_a_draw_by_quadrature(estimator, dim):
    generator = torch.Generator().manual_seed(dim)
    model = linear_gaussian.random_model(4, dim, generator)  # its posterior is correlated: the curvature is full
    x, _ = linear_gaussian.sample(model, 2, generator)
    mean, log_var = torch.randn(2, 2, dim, generator=generator, dtype=torch.float64)
    eps, weights = nodes(dim)
    q = gradients.quadratic(model, x, mean, log_var)
    for baseline in (None, -4.0) if estimator.endswith("baseline") else (None,):
        drawn = torch.cat(
            gradients.draws_of(estimator, model, x, mean, log_var, eps[:, None].expand(-1, 2, -1), baseline), -1
        )
        average = torch.einsum("n,n...->...", weights, drawn)
        variance = torch.einsum("n,n...->...", weights, (drawn - average).square())
        torch.testing.assert_close(torch.cat(gradients.exact_gradient(q), -1), average, rtol=1e-9, atol=1e-9)
        found = torch.cat(gradients.exact_variance(q, estimator, baseline), -1)
        torch.testing.assert_close(found, variance, rtol=1e-9, atol=1e-9)


def test_a_number_as_baseline_of_the_plain_score_function_and_unknown_names():
    generator = torch.Generator().manual_seed(0)
    model = gradients.independent_model(2, generator)
    x, _ = linear_gaussian.sample(model, 2, generator)
    q = gradients.quadratic(model, x, *gradients.between(model, x, 0.5))
    for ours, zero in zip(gradients.exact_variance(q, "score function"),
                          gradients.exact_variance(q, "score function, baseline", 0.0)):  # fmt: skip
        torch.testing.assert_close(ours, zero)
    with pytest.raises(ValueError, match="estimator must be one of"):
        gradients.exact_variance(q, "C")


def test_the_independent_model_and_the_way_from_posterior_to_prior():
    generator = torch.Generator().manual_seed(3)
    model = gradients.independent_model(5, generator, precision=7.0)
    x, _ = linear_gaussian.sample(model, 4, generator)
    mean, cov = linear_gaussian.posterior(model, x)
    torch.testing.assert_close(cov, torch.eye(5, dtype=torch.float64) / 7, rtol=1e-10, atol=1e-12)
    start = gradients.between(model, x, 0.0)
    torch.testing.assert_close(start[0], mean)
    torch.testing.assert_close(start[1].exp(), torch.full((4, 5), 1 / 7, dtype=torch.float64))
    end = gradients.between(model, x, 1.0)
    assert (end[0] == 0).all() and (end[1] == 0).all()


@pytest.fixture(scope="module")
def table():
    return gradients.gradient_noise(latent_dims=(1, 4), shares=(0.01, 1.0), latent_dim=3, data=40, draws=500)


def test_the_table_agrees_with_its_own_draws(table):
    assert len(table) == 4 * len(gradients.GRADIENTS)
    assert ((table.sd - table.measured_sd).abs() < 4.5 * table.measured_se).all()
    assert (table.measured_se < 0.15 * table.sd).all()
    # the squared deviations of 40 data and at least two coordinates: 80 numbers of mean one, correlated at worst by
    # data
    assert table.bias_z.between(1 - 4 / 40**0.5 / 2, 1 + 4 / 40**0.5).all()


def test_the_order_of_the_estimators_reverses_near_the_optimum(table):
    far, near = (table[(table.panel == "distance") & (table.share == share)].set_index("estimator").sd
                 for share in (1.0, 0.01))  # fmt: skip
    assert far["score function, baseline"] > 2 * far["A"] and near["score function, baseline"] < 0.2 * near["A"]
    exact = gradients.at_the_posterior(latent_dim=3).set_index("estimator")
    silent = ["score function, baseline", "path"]
    assert (exact.loc[silent, ["sd", "measured_sd"]].abs() < 1e-12).all(axis=None)
    assert (exact.loc[["score function", "A", "B"], "measured_sd"] > 1).all()


def test_the_figure_draws_the_table(table):
    figure = figures.gradient_noise(table)
    lines = {float(y) for axis in figure.axes for line in axis.get_lines() for y in line.get_ydata()}
    assert set(table.sd) <= lines and set(table.measured_sd) <= lines
