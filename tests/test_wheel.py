"""The wheel and the source distribution, built and installed: a book in an empty folder,
with no checkout anywhere near.

What runs a chapter is left to ``ELBO_WHEEL=required`` (a section of ``.ci/run``); the rest takes a few seconds.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

import pytest
import yaml
from packaging.version import Version

import elbo
from checkout import ROOT
from elbo.companion.project import settings
from elbo.companion.project.chapters import read_chapter
from elbo.companion.project.paths import Project
from elbo.companion.record import fingerprint
from elbo.companion.record.environment import commit
from elbo.companion.record.handover import content_of, figures_in

CHAPTER = "hoffman-johnson-2016"
FIGURE = "hoffman-johnson-2016-surgery-table"

runs_a_chapter = pytest.mark.skipif(
    os.environ.get("ELBO_WHEEL") != "required", reason="runs a chapter twice: ELBO_WHEEL=required, as in .ci/run"
)


class Installed:
    """The wheel in an environment of its own, which borrows every other package from this one."""

    def __init__(self, folder: Path):
        self.made, self.python, self.empty = folder / "made", folder / "env" / "bin" / "python", folder / "empty"
        self.environment = {
            name: value
            for name, value in os.environ.items()
            if name not in ("PYTHONPATH", "VIRTUAL_ENV", "ELBO_ROOT", "PYTHONHOME")
        }
        self.state, self.lock = commit(ROOT), fingerprint.lock_digest(ROOT)
        build = [sys.executable, "-m", "build", "--no-isolation", "--outdir", self.made, ROOT]
        self.call(build)  # the wheel from the source distribution
        self.call([sys.executable, "-m", "venv", "--without-pip", folder / "env"])
        (own,) = (folder / "env").glob("lib/python*/site-packages")
        (own / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n")
        pip = [sys.executable, "-m", "pip", "--python", self.python, "install", "-q", "--no-deps", "--no-index"]
        self.call([*pip, self.wheel])
        self.empty.mkdir()

    @property
    def wheel(self) -> Path:
        (found,) = self.made.glob("*.whl")
        return found

    @property
    def sdist(self) -> Path:
        (found,) = self.made.glob("*.tar.gz")
        return found

    def call(self, words: list, code: int = 0, **options) -> subprocess.CompletedProcess:
        done = subprocess.run(words, capture_output=True, text=True, env=self.environment, **options)
        assert done.returncode == code, f"{words}\n{done.stdout}\n{done.stderr}"
        return done

    def elbo(self, *words: str, code: int = 0) -> subprocess.CompletedProcess:
        return self.call([self.python.with_name("elbo"), *words], code, cwd=self.empty)

    def ask(self, code: str):
        """What an expression is there, by way of JSON; ``import elbo`` and the settings are at hand."""
        program = (
            "import json, elbo\n"
            "from elbo.companion.project import settings\n"
            "from elbo.companion.record import fingerprint\n"
            "from elbo.companion.record.environment import commit, lock_digest\n"
            f"print(json.dumps({code}))"
        )
        return json.loads(self.call([self.python, "-c", program], cwd=self.empty).stdout)


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Installed:
    return Installed(tmp_path_factory.mktemp("wheel"))


def test_the_wheel_has_the_modules_and_the_book_of_this_checkout(installed):
    names = zipfile.ZipFile(installed.wheel).namelist()
    tracked = subprocess.run(["git", "-C", ROOT, "ls-files"], capture_output=True, text=True).stdout.splitlines()
    if not tracked:
        pytest.skip("there is no git here to say which files belong to the checkout")
    modules = {name.removeprefix("src/") for name in tracked if name.startswith("src/elbo/")}
    assert {name for name in names if name.startswith("elbo/") and "/_book/" not in name} >= modules
    book = {name for name in tracked if name.startswith(("book/", "data/"))} | {"_config.yml", "_toc.yml"}
    carried = {name.removeprefix("elbo/_book/") for name in names if name.startswith("elbo/_book/")}
    assert carried >= book | {"CITATION.cff", "requirements.lock", "tests/book/test_equations_blei.py"}
    assert "tests/test_house.py" not in carried  # it evaluates no equation


def test_the_source_distribution_holds_what_the_wheel_is_built_from(installed):
    names = {name.partition("/")[2] for name in tarfile.open(installed.sdist).getnames()}
    carried = {
        name.removeprefix("elbo/_book/")
        for name in zipfile.ZipFile(installed.wheel).namelist()
        if name.startswith("elbo/_book/")
    }
    assert carried <= names


def test_the_package_has_the_digest_of_the_checkouts(installed):
    """The same package, chapter, tables and lock give a run of the wheel the fingerprint of one in the checkout."""
    assert installed.ask("elbo.__file__").startswith(str(installed.python.parents[1]))
    assert installed.ask("fingerprint.package_digest()") == fingerprint.directory_digest(settings.PACKAGE)
    assert Path(elbo.__file__).parent == settings.PACKAGE
    plan = (
        "fingerprint.inputs(p := __import__('elbo.companion.project.paths', fromlist=['p']).find_project(), "
        f"__import__('elbo.companion.project.chapters', fromlist=['c']).read_chapter(p, '{CHAPTER}'), 'quick', "
        "{}, 'cpu')"
    )
    project = Project(ROOT)
    assert installed.ask(plan) == fingerprint.inputs(project, read_chapter(project, CHAPTER), "quick", {}, "cpu")


def test_the_wheel_knows_its_commit_and_its_lock(installed):
    assert installed.ask("commit()") == installed.state
    assert installed.ask("lock_digest()") == hashlib.sha256((ROOT / "requirements.lock").read_bytes()).hexdigest()
    book = Path(installed.ask("str(settings.packaged())"))
    assert book.is_relative_to(installed.python.parents[1]) and installed.ask("str(settings.checkout())") == str(book)
    assert installed.ask("str(settings.home())") == "None"


def test_the_version_is_the_citations(installed):
    """A release has the version of ``CITATION.cff``; what comes after it is on the way to
    the next, and says its commit.
    """
    said = str(yaml.safe_load((ROOT / "CITATION.cff").read_text())["version"])
    heads = re.findall(r"^## (\d\S*)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert heads[0] == said  # the newest release of the changelog
    found = Version(installed.ask("elbo.__version__"))
    if found.is_devrelease:
        *rest, patch = Version(said).release
        assert found.release == (*rest, patch + 1)
        assert installed.state["commit"] is None or installed.state["commit"].startswith(found.local.split(".")[0][1:])
    else:
        assert str(found) == said


def test_without_git_the_version_is_the_citations_too(installed, tmp_path):
    """An archive of the repository: no git, no PKG-INFO; the version is asked of ``setup.py`` alone."""
    with tarfile.open(installed.sdist) as archive:
        archive.extractall(tmp_path, filter="data")
    (folder,) = tmp_path.iterdir()
    asked = [sys.executable, "setup.py", "--version"]
    known = installed.call(asked, cwd=folder).stdout.split()[-1]
    assert known == installed.ask("elbo.__version__")  # from PKG-INFO
    (folder / "PKG-INFO").unlink()
    (folder / ".git_archival.txt").unlink()
    found = installed.call(asked, cwd=folder).stdout.split()[-1]
    assert found == str(yaml.safe_load((ROOT / "CITATION.cff").read_text())["version"])


def test_an_empty_folder_and_no_run_yet(installed):
    said = installed.elbo("figures", code=2).stderr
    assert "run `elbo build --profile quick` first" in said
    assert "which is not in the book" not in said and not (installed.empty / "_build" / "html").exists()


@runs_a_chapter
def test_a_launched_notebook_installs_and_runs_to_its_end(installed):
    """As on a machine without the package: the first cell installs it, pip asking no index, and the rest follows."""
    other = installed.empty.parent / "other"
    installed.call([sys.executable, "-m", "venv", "--without-pip", other])
    (own,) = other.glob("lib/python*/site-packages")
    (own / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    words = [
        "notebook",
        CHAPTER,
        "--out",
        "launched",
        "--install",
        "--source",
        f"carving-the-elbo[book] @ {installed.wheel.as_uri()}",
    ]
    installed.elbo(*words, "--lock", str(ROOT / "requirements.lock"))
    values = yaml.safe_load((ROOT / "book" / "profiles" / "smoke.yml").read_text())[CHAPTER]
    papermill = [
        other / "bin" / "python",
        "-m",
        "papermill",
        f"launched/{CHAPTER}.ipynb",
        "executed.ipynb",
        "-k",
        "python3",
    ]
    environment = {**installed.environment, "PIP_NO_INDEX": "1", "JUPYTER_PREFER_ENV_PATH": "1"}
    done = subprocess.run(
        [*papermill, "-y", yaml.safe_dump(values)], cwd=installed.empty, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert (own / "elbo" / "_book").is_dir()
    notebook = json.loads((installed.empty / "executed.ipynb").read_text())
    (record,) = (json.loads(one["files"]["json"]) for one in figures_in(notebook) if one["id"] == FIGURE)
    assert {name: record["environment"][name] for name in ("commit", "dirty")} == installed.state
    assert record["parameters"]["epochs"] == values["epochs"] and "importlib" not in record["parameters"]


@runs_a_chapter
def test_a_run_a_citation_and_the_figure_again(installed):
    assert "done in" in installed.elbo("run", CHAPTER, "--profile", "smoke").stderr
    run = json.loads((installed.empty / "_build" / "runs" / "smoke" / CHAPTER / "run.json").read_text())
    assert {name: run[name] for name in ("commit", "dirty")} == installed.state
    assert run["lock_sha256"] == installed.lock
    shown = installed.elbo("cite", FIGURE, "--profile", "smoke").stdout
    assert f"Figure {FIGURE}" in shown and run["commit"][:12] in shown
    figures = json.loads(installed.elbo("figures", "--profile", "smoke", "--json").stdout)
    (record,) = (row["record"] for row in figures if row["id"] == FIGURE)
    assert record["environment"]["commit"] == run["commit"] and record["environment"]["reference"]
    if installed.state["dirty"] is False:
        assert record["swhid"]["revision"] == f"swh:1:rev:{run['commit']}" and record["swhid"]["directory"]
        assert all(f"anchor={record['swhid']['revision']}" in one for one in record["swhid"]["content"])
    assert any("path=/src/elbo/" in one for one in record["swhid"]["content"]) or installed.state["dirty"]
    notebook = json.loads((installed.empty / "_build" / "runs" / "smoke" / CHAPTER / f"{CHAPTER}.ipynb").read_text())
    (files,) = (figure["files"] for figure in figures_in(notebook) if figure["id"] == FIGURE)
    (installed.empty / "downloaded.png").write_bytes(content_of("png", files["png"]))
    again = installed.elbo("reproduce", "downloaded.png", "--exact").stdout
    assert "identical" in again and "byte for byte" in again
