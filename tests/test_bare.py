"""The library alone: everything that is not among its own dependencies is made impossible to import."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from importlib import metadata

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from checkout import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
MATHEMATICS = [
    "densities", "devices", "models", "inference", "estimators", "training", "disentanglement", "data", "experiments",
    "api",
]  # fmt: skip

BLOCKED = """
import importlib, json, pkgutil, sys
allowed = set(json.loads(sys.argv[1]))

class Blocker:
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        if top not in allowed | sys.stdlib_module_names and not top.startswith("_sysconfigdata"):
            raise ModuleNotFoundError(f"No module named {top!r}: it is not installed with the library", name=top)

sys.meta_path.insert(0, Blocker())
import elbo
"""

IMPORTS = """
for name in json.loads(sys.argv[2]):
    module = importlib.import_module(f"elbo.{name}")
    for found in pkgutil.walk_packages(getattr(module, "__path__", []), f"elbo.{name}."):
        importlib.import_module(found.name)
        print(found.name)
"""

COMPUTES = """
import torch
from elbo.data import load
from elbo.estimators import surgery
from elbo.inference import aevb, cavi, hmc
from elbo.inference.diagnostics import effective_sample_size
from elbo.models.gaussian_mixture import DiagonalMixture
from elbo.models.vae import VAE

rng = lambda: torch.Generator().manual_seed(0)
images = load("digits", split="train").images[:60].double()
trained = aevb.fit(VAE(64, 8, latent_dim=2), images, samples=200, batch_size=20, device="cpu",
                   evaluate_on={"t": images})
model, params = trained.member_model(0), trained.member(0)
with torch.no_grad():
    mean, log_var = model.encode(params, images)
    cut = surgery(mean, log_var, lambda i, z: model.log_likelihood(params, images[i], z), generator=rng(), codes=200)
    chain = hmc.fit(lambda z: -0.5 * z.square().sum(-1), torch.zeros(2, 1).double(), draws=50, warmup=20,
                    leapfrog_steps=3, generator=rng())
mixture = cavi.fit(DiagonalMixture(3), images[:, 20:24], rng(), max_iters=5)
print(json.dumps({"bound": trained.history.bound[0], "surgery": cut.elbo, "parts": cut.reconstruction
                  - cut.average_kl, "cavi": mixture.history.elbo.tolist(),
                  "ess": effective_sample_size(chain.z).tolist()}))
"""


def closure(lines: list[str]) -> set[str]:
    """Names of the distributions that these requirements bring, as installed here."""
    todo, found = [Requirement(line) for line in lines], set()
    while todo:
        requirement = todo.pop()
        name = canonicalize_name(requirement.name)
        if name in found:
            continue
        try:
            inner = metadata.requires(name) or []
        except metadata.PackageNotFoundError:  # what only another platform needs
            continue
        found.add(name)
        todo += [each for each in map(Requirement, inner) if not each.marker or each.marker.evaluate({"extra": ""})]
    return found


@pytest.fixture(scope="module")
def allowed() -> str:
    """Top-level modules of the library and of what is installed with it."""
    core = closure(PROJECT["dependencies"])
    modules = {
        module
        for module, owners in metadata.packages_distributions().items()
        if any(canonicalize_name(owner) in core for owner in owners)
    }
    assert {"torch", "torchvision", "sklearn", "pandas", "arviz_stats"} <= modules
    assert (
        not {"matplotlib", "seaborn", "sphinx", "papermill", "jupytext", "IPython", "rich", "yaml", "typer"} & modules
    )
    return json.dumps(sorted(modules | {"elbo"}))


def run(script: str, *arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-c", BLOCKED + script, *arguments], capture_output=True, text=True)


def test_every_module_of_the_mathematics_imports(allowed):
    done = run(IMPORTS, allowed, json.dumps(MATHEMATICS))
    assert done.returncode == 0, done.stderr[-2000:]
    assert len(done.stdout.splitlines()) > 70


def test_one_surgery_one_cavi_one_aevb(allowed):
    done = run(COMPUTES, allowed)
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert -60 < found["bound"] < -20 and -60 < found["surgery"] < -20
    assert found["surgery"] == pytest.approx(found["parts"], abs=1e-9)
    assert all(late >= early - 1e-9 for early, late in zip(found["cavi"], found["cavi"][1:], strict=False))
    assert 10 < found["ess"][0] < 2000


def test_the_version_costs_no_torch(allowed):
    done = run("print(elbo.__version__, 'torch' in sys.modules, 'numpy' in sys.modules)", allowed)
    assert done.stdout.split() == [metadata.version(PROJECT["name"]), "False", "False"], done.stderr


def test_the_command_says_what_to_install(allowed):
    done = run("from elbo.__main__ import main; sys.exit(main())", allowed)
    assert done.returncode == 2 and not done.stdout
    assert done.stderr == (
        "elbo: the command needs what the book needs (there is no typer here); "
        "install it with: pip install 'carving-the-elbo[book]'\n"
    )
