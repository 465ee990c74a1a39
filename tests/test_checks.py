"""Every public function on arguments of the wrong kind: an error that names the argument, never a silent number.

The table holds calls that work; each is then spoiled one argument at a time.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from elbo import densities, estimators
from elbo.data import load
from elbo.estimators.surgery import code_terms, dependence
from elbo.inference import ep, hmc
from elbo.inference.aevb import aevb
from elbo.models.vae import VAE

G = torch.Generator
X, MEAN, LOG_VAR = torch.randn(4, 3, generator=G().manual_seed(0)), torch.zeros(4, 3), torch.zeros(4, 3)
COV = torch.eye(3).expand(4, 3, 3)
INDEX = torch.arange(4)
SITES = ep.gaussian_sites(torch.zeros(2, 3), torch.eye(3).expand(2, 3, 3))


def log_prob(z):
    return -0.5 * z.square().sum(-1)


GOOD = {  # name: function, arguments that are tensors of floating point, other arguments
    "gaussian_log_prob": (densities.gaussian_log_prob, {"x": X, "mean": MEAN, "log_var": LOG_VAR}, {}),
    "standard_gaussian_log_prob": (densities.standard_gaussian_log_prob, {"z": X}, {}),
    "bernoulli_log_prob": (densities.bernoulli_log_prob, {"x": X.sigmoid(), "logits": X}, {}),
    "gaussian_entropy": (densities.gaussian_entropy, {"log_var": LOG_VAR}, {}),
    "gaussian_kl": (
        densities.gaussian_kl, {"mean_q": X, "log_var_q": LOG_VAR, "mean_p": MEAN, "log_var_p": LOG_VAR}, {}
    ),
    "standard_gaussian_kl": (densities.standard_gaussian_kl, {"mean": X, "log_var": LOG_VAR}, {}),
    "gaussian_renyi": (
        densities.gaussian_renyi,
        {"mean_q": X, "log_var_q": LOG_VAR, "mean_p": MEAN, "log_var_p": LOG_VAR},
        {"alpha": 0.5},
    ),
    "mvn_log_prob": (densities.mvn_log_prob, {"x": X, "mean": MEAN, "cov": COV}, {}),
    "mvn_entropy": (densities.mvn_entropy, {"cov": COV}, {}),
    "mvn_kl": (densities.mvn_kl, {"mean_q": X, "cov_q": COV, "mean_p": MEAN, "cov_p": COV}, {}),
    "log_aggregate_posterior": (
        estimators.log_aggregate_posterior, {"z": X, "mean": MEAN, "log_var": LOG_VAR}, {"chunk": 2}
    ),
    "draw_codes": (estimators.draw_codes, {"mean": MEAN, "log_var": LOG_VAR}, {"num": 5, "generator": G()}),
    "code_terms": (code_terms, {"z": X, "mean": MEAN, "log_var": LOG_VAR}, {"index": INDEX}),
    "dependence": (dependence, {"mean": X, "log_var": LOG_VAR}, {"codes": 5, "generator": G()}),
    "surgery": (estimators.surgery, {"mean": X, "log_var": LOG_VAR}, {"codes": 5, "generator": G()}),
    "hmc.fit": (
        hmc.fit,
        {"initial": X},
        {"log_prob": log_prob, "draws": 2, "warmup": 2, "leapfrog_steps": 2, "step_size": 0.1, "generator": G()},
    ),
    "ep.fit": (ep.fit, {"prior_mean": torch.zeros(3), "prior_cov": torch.eye(3)}, {"tilted": SITES, "num_sites": 2}),
    "aevb": (aevb, {"data": torch.rand(20, 6)}, {"model": VAE(6, 3, 2), "samples": 20, "batch_size": 10}),
}  # fmt: skip
KINDS = {
    "int64": lambda tensor: (10 * tensor).long(),
    "int32": lambda tensor: (10 * tensor).int(),
    "uint8": lambda tensor: (10 * tensor).abs().to(torch.uint8),
    "bool": lambda tensor: tensor > 0,
    "list": lambda tensor: tensor.tolist(),
    "array": lambda tensor: tensor.numpy(),
    "number": lambda tensor: 1.0,
    "nothing": lambda tensor: None,
    "text": lambda tensor: "codes",
}
TENSORS = [(name, argument) for name, (_, tensors, _) in GOOD.items() for argument in tensors]
NUMBERS = {
    "gaussian_renyi": {"alpha": [0, -1.0, math.nan, math.inf]},
    "log_aggregate_posterior": {"chunk": [0, -3]},
    "draw_codes": {"num": [0, -1, 2.5, math.nan, True, "5"]},
    "dependence": {"codes": [0, 1, -5]},
    "surgery": {"codes": [0, 1, -5], "draws": [0, 1]},
    "hmc.fit": {
        "step_size": [0.0, -1.0, math.nan, math.inf],
        "draws": [0, -1, 2.5],
        "warmup": [-1, 2.5],
        "leapfrog_steps": [0, 1.5],
        "target_accept": [0.0, 1.0, math.nan],
    },
    "ep.fit": {"num_sites": [0, -1, 2.5], "damping": [0.0, 1.5, math.nan], "power": [0.0, 2.0, math.nan]},
    "aevb": {"samples": [0, -1], "evaluate_at": [[-1], [10**9]], "latent_dims": [[0], [-2]]},
}


def call(name, **other):
    function, tensors, rest = GOOD[name]
    return function(**{**tensors, **rest, **other})


@pytest.mark.parametrize("name", GOOD)
def test_the_good_calls_are_good(name):
    assert call(name) is not None


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("name", "argument"), TENSORS)
def test_a_tensor_of_another_kind_is_refused_by_name(name, argument, kind):
    told = "images" if name == "aevb" else argument
    with pytest.raises((TypeError, ValueError, AttributeError), match=rf"\b{told}\b"):
        call(name, **{argument: KINDS[kind](GOOD[name][1][argument])})


@pytest.mark.parametrize(
    ("name", "argument", "value"),
    [
        (name, argument, value)
        for name, rows in NUMBERS.items()
        for argument, values in rows.items()
        for value in values
    ],
)
def test_a_number_out_of_range_is_refused_by_name(name, argument, value):
    told = "latent_dim" if argument == "latent_dims" else argument
    with pytest.raises((TypeError, ValueError), match=told):
        call(name, **{argument: value})


@pytest.mark.parametrize("field", ["data_dim", "hidden", "latent_dim", "encoder_layers", "decoder_layers"])
@pytest.mark.parametrize("value", [0, -1, math.nan, math.inf, 2.5, True, "3", None])
def test_a_model_of_no_size_is_refused(field, value):
    with pytest.raises(ValueError, match=field):
        VAE(**{"data_dim": 4, "hidden": 3, "latent_dim": 2, field: value})


SHAPES = {
    "log_aggregate_posterior": {
        "z": [(3,), (4, 2), (2, 4, 3)],
        "mean": [(3,), (0, 3), (4, 2)],
        "log_var": [(4,), (5, 3)],
    },
    "draw_codes": {"mean": [(3,), (0, 3)], "log_var": [(4, 2), (5, 3)]},
    "code_terms": {"z": [(3, 3), (4, 2)], "mean": [(4, 2)], "log_var": [(4, 2)]},
    "hmc.fit": {"initial": [(3,), (2, 2, 3)]},
    "ep.fit": {"prior_mean": [(2,), (3, 1)], "prior_cov": [(3,), (2, 2), (3, 3, 3)]},
}


@pytest.mark.parametrize(
    ("name", "argument", "shape"),
    [(name, argument, shape) for name, rows in SHAPES.items() for argument, shapes in rows.items() for shape in shapes],
)
def test_another_shape_is_refused_by_name(name, argument, shape):
    told = f"{argument}|index" if name == "code_terms" else argument
    with pytest.raises(ValueError, match=told):
        call(name, **{argument: torch.zeros(shape)})


def test_an_index_of_no_encoding_is_refused():
    """A negative one would name an encoding from the end."""
    for index in (torch.tensor([0, 1, 2, -1]), torch.tensor([0, 1, 2, 4])):
        with pytest.raises(ValueError, match="index must be in 0"):
            call("code_terms", index=index)
    for index in (INDEX.float(), INDEX > 1):
        with pytest.raises(TypeError, match="index must be of whole numbers"):
            call("code_terms", index=index)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_data_that_are_not_finite_stop_where_the_result_would_silently_be_wrong_and_propagate_elsewhere(bad):
    spoiled = LOG_VAR.clone()
    spoiled[2, 1] = bad
    for name in ("log_aggregate_posterior", "code_terms"):
        with pytest.raises((ValueError, ArithmeticError), match="finite"):
            call(name, log_var=spoiled)
    found = densities.gaussian_log_prob(X, MEAN, spoiled)
    assert not found[2].isfinite() and found[[0, 1, 3]].isfinite().all(), "a density of one row is its own affair"
    assert estimators.log_aggregate_posterior(torch.full((1, 3), bad), MEAN, LOG_VAR).isfinite().sum() == 0


@pytest.mark.parametrize("values", [(-0.1, 1.0), (0.0, 1.1), (0.0, 255.0)])
def test_pixels_outside_the_unit_interval_are_refused_where_they_are_probabilities(values):
    images = torch.rand(20, 6)
    images[3, 2], images[4, 1] = values
    with pytest.raises(ValueError, match=r"must lie in \[0, 1\]"):
        call("aevb", data=images)


def test_moments_of_another_number_of_sites_are_refused():
    with pytest.raises(ValueError, match="tilted must return log_norm, mean and cov of shapes"):
        call("ep.fit", num_sites=3)


@pytest.mark.parametrize("words", [("mnst",), ("digits", "trian"), ("digits", "train", "fixd")])
def test_data_sets_are_asked_for_by_their_names(words):
    with pytest.raises(ValueError):
        load(words[0], **dict(zip(("split", "binarise"), words[1:])))


def test_numpy_numbers_are_told_from_tensors():
    with pytest.raises(TypeError, match="z must be a tensor of floating point, got ndarray"):
        densities.standard_gaussian_log_prob(np.zeros((2, 3)))
