"""Which book a command takes, and what a book without git knows of its commit."""

from __future__ import annotations

import subprocess

import pytest

import toybook
from elbo import reference
from elbo.companion.project import settings
from elbo.companion.project.errors import CompanionError
from elbo.companion.project.paths import find_project
from elbo.companion.project.scaffold import new_chapter
from elbo.companion.record import fingerprint
from elbo.companion.record.environment import ARCHIVED, commit, lock_digest

SHA = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """A package that is installed without a checkout, its book beside its modules; the working folder is empty."""
    book = toybook.write_book(tmp_path / "site-packages" / "elbo" / "_book", "alpha-2001")
    (book / ARCHIVED).write_text(f"node: {SHA}\nnode-date: 2026-01-02T03:04:05+00:00\ndirty: false\n")
    (book / "requirements.lock").write_text("torch==2.13.0\n")
    monkeypatch.setattr(settings, "PACKAGE", book.parent)
    monkeypatch.setattr(settings, "PACKAGED", book)
    monkeypatch.delenv("ELBO_ROOT", raising=False)
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    return book


def test_without_a_checkout_the_book_is_the_packages_own(installed, tmp_path):
    project = find_project()
    assert project.root == installed and settings.checkout() == installed
    assert project.html == tmp_path / "empty" / "_build" / "html"  # nothing is written where packages are installed
    assert project.runs("quick").is_relative_to(tmp_path / "empty")
    assert settings.data_folder() == installed / "data"


def test_a_checkout_comes_first(installed, tmp_path, monkeypatch):
    mine, other = (toybook.write_book(tmp_path / name, "beta-2002") for name in ("mine", "other"))
    (mine / "deep").mkdir()
    monkeypatch.chdir(mine / "deep")
    assert find_project().root == mine and find_project().build == mine / "_build"
    monkeypatch.setenv("ELBO_ROOT", str(other))
    assert find_project().root == other and settings.checkout() == other
    assert find_project(installed).root == installed  # --root before everything


def test_nothing_is_written_into_the_packages_book(installed):
    with pytest.raises(CompanionError, match="clone the repository"):
        new_chapter(find_project(), "gamma-2003")
    with pytest.raises(reference.ReferenceError, match="clone the repository"):
        reference.make("hoffman-johnson-2016", "split-by-quadrature")
    with pytest.raises(reference.ReferenceError, match="clone the repository"):
        reference.gather("kingma-welling-2013", "bound-mnist")


def test_the_packages_book_does_not_count_for_the_fingerprint(installed):
    before = fingerprint.package_digest()
    (installed / "book" / "index.md").write_text("# Another text\n")
    assert fingerprint.package_digest() == before
    (installed.parent / "densities.py").write_text("# Another module\n")
    assert fingerprint.package_digest() != before


def test_commit_and_lock_of_a_packaged_book(installed, tmp_path):
    """Also where the package is installed inside somebody's repository, whose commit is not the book's."""
    for words in ("init", "-c user.name=n -c user.email=e@x commit --allow-empty -m theirs"):
        subprocess.run(["git", "-C", tmp_path, *words.split()], check=True, capture_output=True)
    assert commit() == commit(installed) == {"commit": SHA, "dirty": False}
    assert lock_digest() == fingerprint.file_digest(installed / "requirements.lock")
    (installed / ARCHIVED).write_text(f"node: {SHA}\ndirty: true\n")
    assert commit() == {"commit": SHA, "dirty": True}
    (installed / ARCHIVED).write_text("node: \n")  # built where git was not to be had
    assert commit() == {"commit": None, "dirty": None}


def test_an_archive_of_the_repository_knows_its_commit(tmp_path):
    """``git archive`` fills the file in; in a checkout it is a form, and git is asked."""
    clone = tmp_path / "clone"
    clone.mkdir()
    (clone / ARCHIVED).write_text("node: $Format:%H$\nnode-date: $Format:%cI$\n")
    (clone / ".gitattributes").write_text(f"{ARCHIVED} export-subst\n")
    git = ["git", "-C", str(clone), "-c", "user.name=n", "-c", "user.email=e@x"]
    for words in (["init"], ["add", "."], ["commit", "-m", "first"]):
        subprocess.run([*git, *words], check=True, capture_output=True)
    sha = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()
    assert commit(clone) == {"commit": sha, "dirty": False}
    archive = tmp_path / "archive"
    archive.mkdir()
    subprocess.run([*git, "archive", "-o", tmp_path / "a.tar", "HEAD"], check=True)
    subprocess.run(["tar", "-xf", tmp_path / "a.tar", "-C", archive], check=True)
    assert commit(archive) == {"commit": sha, "dirty": None}
