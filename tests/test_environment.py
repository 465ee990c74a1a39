"""pyproject.toml, the lock file, environment.yml, the workflow and the installed packages tell one story."""

from __future__ import annotations

import json
import re
import tomllib
from importlib import metadata

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

from checkout import ROOT
from elbo.cli import main

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
CONDA = yaml.safe_load((ROOT / "environment.yml").read_text())
LINES = [
    line for line in (ROOT / "requirements.lock").read_text().splitlines() if line.strip() and not line.startswith("#")
]
LOCK = {canonicalize_name(name): Version(version) for name, version in (line.split("==") for line in LINES)}
EXTRAS = PROJECT["optional-dependencies"]
DECLARED = [*PROJECT["dependencies"], *(line for extra in EXTRAS.values() for line in extra)]
DECLARED.remove(f"{PROJECT['name']}[book,sweep]")  # the tests need what book and sweeps need


def test_lock_is_exact_and_has_no_duplicates():
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.+!]+", line) for line in LINES)
    assert len(LOCK) == len(LINES)


@pytest.mark.parametrize("declared", DECLARED)
def test_lock_pins_every_dependency_within_its_range(declared):
    requirement = Requirement(declared)
    assert LOCK[canonicalize_name(requirement.name)] in requirement.specifier


def test_lock_covers_what_the_dependencies_need():
    """Follow the installed packages' own requirements: each that applies here is pinned to a version that fits."""
    missing, seen = [], set()
    apart = {
        "anywidget",
        "jupyterlab",
        "pyro-ppl",
        "axe-playwright-python",
        "playwright",
        "mypy",
        "pre-commit",
        "ruff",
    }  # their own extras: they may not be installed here
    todo = [Requirement(line) for line in DECLARED if Requirement(line).name not in apart]
    while todo:
        requirement = todo.pop()
        name = canonicalize_name(requirement.name)
        key = (name, frozenset(requirement.extras))
        if key in seen or name.startswith(("nvidia-", "cuda-")) or name == "triton":
            continue  # a GPU build of torch brings its own
        seen.add(key)
        if name not in LOCK or LOCK[name] not in requirement.specifier:
            missing.append(f"{requirement} (locked: {LOCK.get(name)})")
            continue
        for line in metadata.requires(name) or []:
            inner = Requirement(line)
            if any(
                inner.marker is None or inner.marker.evaluate({"extra": extra}) for extra in ("", *requirement.extras)
            ):
                todo.append(inner)
    assert not missing


def test_installed_versions_are_the_locked_ones():
    names = {canonicalize_name(Requirement(line).name) for line in [*PROJECT["dependencies"], *EXTRAS["book"]]}
    installed = {name: Version(metadata.version(name)) for name in names}
    assert {name: Version(version.public) for name, version in installed.items()} == {
        name: LOCK[name] for name in names
    }


def test_versions_that_the_book_is_tied_to():
    assert str(LOCK["torch"]) == "2.13.0" and str(LOCK["torchvision"]) == "0.28.0"
    assert LOCK["jupyter-book"] in SpecifierSet(">=1.0.4.post1,<2")
    assert Requirement(next(line for line in DECLARED if line.startswith("jupyter-book"))).specifier == SpecifierSet(
        ">=1.0.4.post1,<2"
    )


def test_conda_installs_the_same():
    plain = [line for line in CONDA["dependencies"] if isinstance(line, str)]
    (pip,) = [entry["pip"] for entry in CONDA["dependencies"] if isinstance(entry, dict)]
    assert pip == ["-c requirements.lock", "-e .[test]"]  # two lines: pip ignores the first of two options on one
    assert " ".join(pip).replace(".[test]", "'.[test]'") in (ROOT / "Makefile").read_text()
    assert "pip" in plain
    assert f"python={PROJECT['requires-python'].removeprefix('>=')}" in plain


def test_one_python_floor():
    floor = PROJECT["requires-python"].removeprefix(">=")
    makefile = (ROOT / "Makefile").read_text()
    assert f"({floor.replace('.', ', ')})" in makefile
    for path in (ROOT / ".github" / "workflows").glob("*.yml"):
        assert f'python-version: "{floor}"' in path.read_text(), path


def test_every_python_that_is_named_is_in_the_workflow():
    named = [line.rpartition(" ")[2] for line in PROJECT["classifiers"] if "Python :: 3." in line]
    jobs = yaml.safe_load((ROOT / ".github" / "workflows" / "book.yml").read_text())["jobs"]
    floor = PROJECT["requires-python"].removeprefix(">=")
    assert named == [floor, *jobs["pythons"]["strategy"]["matrix"]["python"]]


def test_a_codespace_has_the_floor_and_the_environment_of_make():
    container = json.loads((ROOT / ".devcontainer" / "devcontainer.json").read_text())
    assert f"python:{PROJECT['requires-python'].removeprefix('>=')}-" in container["image"]
    commands = [*container["onCreateCommand"].split(" && "), container["postAttachCommand"]]
    assert commands[0] == "make env"
    for words in (command.split()[1:] for command in commands[1:]):
        assert main([*words, "--help"]) == 0


def test_workflow_actions_are_pinned_by_commit():
    used = [
        line
        for path in (ROOT / ".github" / "workflows").glob("*.yml")
        for line in path.read_text().splitlines()
        if "uses:" in line
    ]
    assert used
    for line in used:
        assert re.search(r"uses: [\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$", line), line


def test_the_checks_of_the_code_are_the_same_everywhere():
    """``make lint``, the hooks of pre-commit and CI run one ruff and one mypy, with one set of files."""
    makefile, hooks = (ROOT / "Makefile").read_text(), yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())
    entries = [hook["entry"].split(" --")[0] for hook in hooks["repos"][0]["hooks"]]
    assert entries == [".venv/bin/ruff check", ".venv/bin/ruff format", ".venv/bin/mypy"]
    for entry in entries:
        assert f"$(BIN)/{entry.removeprefix('.venv/bin/')}" in makefile
    assert "\nmake lint\n" in (ROOT / ".ci" / "run").read_text()
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]
    assert settings["mypy"]["strict"] and {"src/elbo/densities.py", "src/elbo/models", "src/elbo/estimators"} <= set(
        settings["mypy"]["files"]
    )
    assert all((ROOT / path).exists() for path in settings["mypy"]["files"])
    assert (ROOT / "src" / "elbo" / "py.typed").exists()
