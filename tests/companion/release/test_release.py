"""The deposit of a version: what is in it, its crate by the validator, the same bytes twice, and every refusal."""

import hashlib
import json
import os
import re
import subprocess
import zipfile
from pathlib import Path

import pytest
import yaml

from checkout import ROOT
from crates import cached, issues
from elbo.cli.entry import main
from elbo.companion.record import fingerprint
from elbo.companion.release import deposit, ready

pytestmark = pytest.mark.timeout(900)  # seconds of work, but many minutes on a machine that is busy
TOML = """[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"
[project]
name = "toy"
version = "0.1.0"
[tool.setuptools]
py-modules = ["toy"]
"""
RECORD = {"id": "toy-2013-line", "environment": {"commit": "a" * 40, "dirty": False}}


def git(folder: Path, *words: str) -> str:
    who = ("-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false")
    return subprocess.run(
        ["git", "-C", folder, *who, *words], check=True, capture_output=True, text=True
    ).stdout.strip()


@pytest.fixture
def book(tmp_path, monkeypatch):
    """A checkout with a module, built pages and an accepted run."""
    root = tmp_path / "book"
    (root / "book").mkdir(parents=True)
    for name in ("_config.yml", "_toc.yml", "CITATION.cff", "LICENSE"):
        (root / name).write_text((ROOT / name).read_text())
    (root / "CHANGELOG.md").write_text("# Changelog\n\n## Unreleased\n\n- A toy.\n\n## 0.0.1\n\nNothing.\n")
    (root / "pyproject.toml").write_text(TOML)
    (root / "toy.py").write_text("TOY = 1\n")
    (root / ".gitignore").write_text("/_build/\n*.egg-info/\n")
    git(tmp_path, "init", "-q", "book")
    git(root, "add", ".")
    git(root, "commit", "-q", "-m", "first")
    html, run = root / "_build" / "html", root / "_build" / "runs" / "quick" / "toy-2013"
    (html / "figures").mkdir(parents=True)
    (html / "index.html").write_text("<h1>Toy</h1>")
    (html / "figures" / "toy-2013-line.json").write_text(json.dumps(RECORD))
    run.mkdir(parents=True)
    (run / "toy-2013.ipynb").write_text("{}")
    (run / "run.json").write_text("{}")
    stamp(root, "quick")
    for name in ("GIT_AUTHOR", "GIT_COMMITTER"):
        monkeypatch.setenv(f"{name}_NAME", "A")
        monkeypatch.setenv(f"{name}_EMAIL", "a@example.org")
    return root


def stamp(root: Path, profile: str, **changes) -> None:
    state = {"profile": profile, "package": fingerprint.package_digest(), "reference": None, "lock": None} | changes
    (root / "_build" / "html.json").write_text(json.dumps(state))


def release(root: Path, capsys, *words: str) -> tuple[int, str]:
    code = main(["release", *words, "--root", str(root)])
    out, err = capsys.readouterr()
    assert "Traceback" not in err
    return code, out + err


def test_the_deposit_holds_all_and_has_the_same_bytes_twice(book, capsys, tmp_path, monkeypatch):
    made = book / "_build" / "release" / "carving-the-elbo-0.1.0.zip"
    code, said = release(book, capsys, "--dry-run")
    assert code == 0 and "the tag v0.1.0 was not given" in said and not git(book, "tag")
    first = made.read_bytes()
    for path in (book / "_build").rglob("*"):
        os.utime(path, (0, 0))
    (book / "toy.py").chmod(0o600)
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    assert release(book, capsys, "--dry-run")[0] == 0
    assert hashlib.sha256(made.read_bytes()).hexdigest() == hashlib.sha256(first).hexdigest()
    assert made.with_name(made.name + ".sha256").read_text().split() == [hashlib.sha256(first).hexdigest(), made.name]
    with zipfile.ZipFile(made) as archive:
        names = archive.namelist()
        assert names == sorted(names) and {info.external_attr >> 16 for info in archive.infolist()} == {0o100644}
        sums = dict(reversed(line.split("  ")) for line in archive.read(deposit.SUMS).decode().splitlines())
        assert set(names) - set(sums) == {deposit.SUMS, "ro-crate-metadata.json"}
        assert all(hashlib.sha256(archive.read(name)).hexdigest() == digest for name, digest in sums.items())
        assert archive.read("CHANGES.md").decode() == "# 0.1.0\n\n- A toy.\n"
        assert {"mnist", "frey"} <= set(json.loads(archive.read("data.json"))["fetched"])
        with zipfile.ZipFile(archive.open("editions/carving-the-elbo-0.1.0-html.zip")) as site:
            assert site.namelist() == ["figures/toy-2013-line.json", "index.html"]
        archive.extractall(tmp_path / "deposit")
    assert {"dist/toy-0.1.0-py3-none-any.whl", "notebooks/toy-2013.ipynb", "notebooks/toy-2013.run.json",
            "codemeta.json", ".zenodo.json", "CITATION.cff"} <= set(names)  # fmt: skip
    found = issues(tmp_path / "deposit", "ro-crate-1.3", "REQUIRED", cached(tmp_path / "http"), monkeypatch)
    assert not found
    (tmp_path / "deposit" / "CHANGES.md").unlink()
    assert any("CHANGES.md" in issue for issue in
               issues(tmp_path / "deposit", "ro-crate-1.3", "REQUIRED", tmp_path / "http", monkeypatch))  # fmt: skip
    assert main(["verify", str(made)]) == 0 and "files are those that its crate lists" in capsys.readouterr().out


@pytest.fixture
def quick(monkeypatch):
    """Nothing is built: only whether it would be."""
    monkeypatch.setattr(deposit, "wheel", lambda *_: {})


def test_a_release_gives_the_tag_and_a_second_is_refused(book, capsys, quick):
    assert release(book, capsys)[0] == 0
    assert git(book, "rev-parse", "v0.1.0^{commit}") == git(book, "rev-parse", "HEAD")
    code, said = release(book, capsys)
    assert code == 2 and "version 0.1.0 exists (tag v0.1.0)" in said
    assert release(book, capsys, "--dry-run")[0] == 0  # the deposit of the tag itself
    git(book, "commit", "-q", "--allow-empty", "-m", "second")
    code, said = release(book, capsys, "--dry-run")
    assert code == 2 and "raise the version in CITATION.cff" in said


def test_what_is_not_a_state_to_release_is_refused_in_a_sentence(book, capsys, quick):
    def refused(sentence: str) -> None:
        code, said = release(book, capsys, "--dry-run")
        assert code == 2 and sentence in said and said.count("\n") == 1, said

    (book / "toy.py").write_text("TOY = 2\n")
    refused("has changes that are not committed")
    git(book, "checkout", "-q", "toy.py")
    (book / "stray.py").write_text("")
    refused("has changes that are not committed")
    (book / "stray.py").unlink()
    stamp(book, "smoke")
    refused("the pages are of the profile smoke")
    stamp(book, "quick", package="0" * 64)
    refused("the pages were built from another state (package)")
    (book / "_build" / "html.json").unlink()
    refused("there are no built pages")
    stamp(book, "quick")
    figure = book / "_build" / "html" / "figures" / "toy-2013-line.json"
    figure.write_text(json.dumps(RECORD | {"environment": {"commit": "a" * 40, "dirty": True}}))
    refused("the figure toy-2013-line was made with changes")
    figure.write_text(json.dumps(RECORD))
    assert release(book, capsys, "--dry-run")[0] == 0


def test_the_changelog_must_say_something(tmp_path):
    log = tmp_path / "CHANGELOG.md"
    log.write_text("## 0.2.0 - 2026-01-02\n\n- Two.\n\n## [0.1.0]\n\n- One.\n")
    assert ready.changes(log, "0.2.0") == "- Two.\n" and ready.changes(log, "0.1.0") == "- One.\n"
    with pytest.raises(ready.CompanionError, match="says nothing of version 0.3.0"):
        ready.changes(log, "0.3.0")


def test_the_workflow_attests_wheel_crate_and_archive_and_may_do_no_more():
    """Every action by the hash of its commit; the right to sign in the one job that does."""
    flow = yaml.safe_load((ROOT / ".github" / "workflows" / "release.yml").read_text())
    (job,) = flow["jobs"].values()
    assert flow["permissions"] == {"contents": "read"}
    assert job["permissions"] == {"contents": "read", "id-token": "write", "attestations": "write"}
    used = {step["uses"].partition("@")[0]: step for step in job["steps"] if "uses" in step}
    assert all(re.fullmatch(r"[\w/-]+@[0-9a-f]{40}", step["uses"]) for step in used.values())
    attested = used["actions/attest-build-provenance"]["with"]["subject-path"].split()
    assert [path.rpartition("/")[2] for path in attested] == [
        "*.whl",
        "ro-crate-metadata.json",
        "carving-the-elbo-*.zip",
    ]
