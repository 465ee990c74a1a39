"""The public face: every promised name is there, is documented, and every algorithm is run by one verb."""

import importlib
import inspect
import pkgutil
from dataclasses import fields
from importlib import metadata

import pytest

import elbo
from elbo import api, inference
from elbo.estimators import Surgery

PROMISED = [
    "elbo.data.load",
    "elbo.estimators.log_aggregate_posterior",
    "elbo.estimators.surgery",
    "elbo.disentanglement.higgins_score",
    *(f"elbo.inference.{name}" for name in ("cavi", "svi", "ep", "hmc", "aevb", "wake_sleep", "mcem")),
    "elbo.companion.figure",
]


@pytest.mark.parametrize("name", PROMISED)
def test_promised_names(name):
    module, _, last = name.rpartition(".")
    assert name in api.MODULES or last in api.public()[module][1]


def test_promised_arguments_and_fields():
    estimators = importlib.import_module("elbo.estimators")
    assert list(inspect.signature(estimators.log_aggregate_posterior).parameters)[:3] == ["z", "mean", "log_var"]
    terms = {"reconstruction", "mutual_information", "marginal_kl", "average_kl", "elbo", "log_n"}
    assert terms <= {item.name for item in fields(Surgery)} | set(dir(Surgery))
    assert "codes" in inspect.signature(importlib.import_module("elbo.disentanglement").higgins_score).parameters
    assert {"gaussian_log_prob", "standard_gaussian_kl"} <= set(api.public()["elbo.densities"][1])


@pytest.mark.parametrize("module", api.MODULES)
def test_public_names_exist_once_and_are_documented(module):
    found, names = api.public()[module]
    assert found.__doc__ and len(set(names)) == len(names)
    for name in names:
        value = getattr(found, name)
        if inspect.isroutine(value) or inspect.isclass(value):
            assert inspect.getdoc(value), f"{module}.{name} has no docstring"


def test_every_algorithm_is_run_by_fit():
    modules = [
        importlib.import_module(f"elbo.inference.{found.name}") for found in pkgutil.iter_modules(inference.__path__)
    ]
    own = {
        module.__name__
        for module in modules
        if getattr(getattr(module, "fit", None), "__module__", "") == module.__name__
    }
    assert own == set(api.ALGORITHMS)
    assert all("fit" in api.public()[name][1] for name in api.ALGORITHMS)


def test_version_is_that_of_the_metadata():
    assert elbo.__version__ == metadata.version("carving-the-elbo")
    with pytest.raises(AttributeError, match="module 'elbo' has no attribute 'versions'"):
        getattr(elbo, "versions")  # noqa: B009
