"""Whether a version can be released as things stand: every refusal is a sentence that says what to do."""

from __future__ import annotations

import json
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from elbo.companion.project.errors import CompanionError
from elbo.companion.project.paths import Project
from elbo.companion.record import fingerprint
from elbo.companion.record.book import Book
from elbo.companion.record.environment import commit, lock_digest

__all__ = ["Release", "changes", "check", "tag"]


@dataclass(frozen=True)
class Release:
    """A version that can be released.

    Attributes:
        commit: of the checkout, which has no changes.
        made: when it was committed, seconds since 1970.
        changes: the part of ``CHANGELOG.md`` about it.
        profile: with which the pages were built.
    """

    book: Book
    commit: str
    made: int
    changes: str
    profile: str

    @property
    def tag(self) -> str:
        return f"v{self.book.version}"


def check(project: Project, dry_run: bool) -> Release:
    """What is to be released.

    A dry run may be of a version whose tag names this very commit: so a workflow makes the deposit of a tag.

    Raises:
        CompanionError: there are changes that are not committed, the version exists, the pages are missing, of the
            smoke profile or of other sources, a figure came from a changed checkout, or the changelog says nothing.
    """
    about = commit(project.root)
    sha = about["commit"]
    if not sha or about["dirty"] is None or not (project.root / ".git").exists():
        raise CompanionError("a release is made from a git checkout of the book, and this is none")
    if _git(project.root, "status", "--porcelain"):
        raise CompanionError("the checkout has changes that are not committed; commit them or take them back first")
    book = Book.of(project.root)
    release = Release(
        book,
        str(sha),
        int(_git(project.root, "log", "-1", "--format=%ct")),
        changes(project.root / "CHANGELOG.md", book.version),
        _pages(project),
    )
    tagged = _git(project.root, "tag", "--list", "--format=%(objectname) %(*objectname)", release.tag).split()
    if tagged and not (dry_run and sha in tagged):
        raise CompanionError(f"version {book.version} exists (tag {release.tag}); raise the version in CITATION.cff")
    _figures(project)
    return release


def tag(project: Project, release: Release) -> None:
    """Give the commit the version's tag; pushing it is left to the person."""
    title = f"{release.book.title.partition(':')[0]} {release.book.version}"
    _git(project.root, "tag", "--annotate", release.tag, "--message", title, release.commit)


def changes(path: Path, version: str) -> str:
    """The part of a changelog about a version, else the part about what is not released yet.

    Raises:
        CompanionError: it says nothing of either.
    """
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    parts = dict(re.findall(r"^## \[?([^\]\n]+?)\]?(?: - [^\n]*)?\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL))
    said = (parts.get(version) or parts.get("Unreleased") or "").strip()
    if not said:
        raise CompanionError(f"CHANGELOG.md says nothing of version {version}; write what has changed")
    return said + "\n"


def _pages(project: Project) -> str:
    """The profile of the built pages."""
    try:
        stamp: dict[str, Any] = json.loads((project.build / "html.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        stamp = {}
    profile = str(stamp.get("profile") or "")
    if not profile or not (project.html / "index.html").is_file():
        raise CompanionError("there are no built pages to release; run `elbo build` first")
    if profile == "smoke":
        raise CompanionError("the pages are of the profile smoke, a trial run; run `elbo build --profile quick` first")
    now = {
        "package": fingerprint.package_digest(),
        "reference": fingerprint.directory_digest(project.root / "data" / "reference"),
        "lock": lock_digest(project.root),
    }
    other = [name for name, value in now.items() if stamp.get(name) != value]
    if other:
        raise CompanionError(
            f"the pages were built from another state ({', '.join(other)}); run `elbo build --profile {profile}` again"
        )
    return profile


def _figures(project: Project) -> None:
    """Every figure of the pages came from a commit and nothing else."""
    for path in sorted((project.html / "figures").glob("*-*.json")):
        about = json.loads(path.read_text(encoding="utf-8")).get("environment", {})
        if about.get("dirty") is not False or not about.get("commit"):
            raise CompanionError(
                f"the figure {path.stem} was made with changes that were not committed; run `elbo build --force` again"
            )


def _git(folder: Path, *words: str) -> str:
    try:
        done = subprocess.run(["git", "-C", str(folder), *words], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        said = str(getattr(error, "stderr", "") or error)
        raise CompanionError(f"git {words[0]} did not work: {said}") from None
    return done.stdout.strip()
