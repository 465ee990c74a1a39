"""Decide what has to run: every check that can be made before a kernel starts is made here."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from elbo.companion.project.chapters import Chapter
from elbo.companion.project.paths import Project
from elbo.companion.project.profiles import Profile, resolve
from elbo.companion.record import fingerprint

__all__ = ["Plan", "make_plans"]


@dataclass(frozen=True)
class Plan:
    """One chapter, everything decided.

    Attributes:
        parameters: every parameter with its value; ``given`` those of the command line.
        device: what the run will use, see :func:`elbo.companion.record.fingerprint.device_in_force`.
        inputs: see :func:`elbo.companion.record.fingerprint.inputs`.
        aside: the run has a place of its own, by ``--out``.
        because: what changed since the accepted run at ``destination``; empty if nothing did, and nothing has to run.
    """

    chapter: Chapter
    profile: str
    parameters: dict[str, Any]
    given: dict[str, Any]
    device: str
    inputs: dict[str, Any]
    destination: Path
    because: tuple[str, ...]
    aside: bool = False

    @property
    def key(self) -> str:
        return self.chapter.key

    @property
    def fingerprint(self) -> str:
        """The same for two plans that would run the same chapter in the same way."""
        return fingerprint.digest(self.inputs)

    @property
    def label(self) -> str:
        """The chapter's key, with a digest of the place for a run that has one of its own: it names log and failed run,
        so that runs of one chapter side by side do not share them."""
        if not self.aside:
            return self.key
        return f"{self.key}-{hashlib.sha256(str(self.destination.resolve()).encode()).hexdigest()[:8]}"

    @property
    def notebook(self) -> Path:
        return self.destination / f"{self.key}.ipynb"


def make_plans(
    project: Project,
    chapters: list[Chapter],
    profile: Profile,
    given: dict[str, str] | None = None,
    device: str | None = None,
    out: Path | None = None,
    force: bool = False,
) -> list[Plan]:
    """Check everything that can be checked before anything runs.

    Args:
        given: ``-p name value`` pairs, for every one of the chapters.
        out: directory for the runs instead of ``_build/runs/<profile>``.
        force: run what has not changed, too.

    Raises:
        CompanionError: a parameter, a value or the device is wrong.
    """
    plans = []
    devices: dict[str, str] = {}
    for chapter in chapters:
        values = resolve(chapter, profile, given, device)
        requested = str(values.get("device", "cpu"))
        if requested not in devices:
            devices[requested] = fingerprint.device_in_force(requested)
        described = fingerprint.inputs(project, chapter, profile.name, values, devices[requested])
        destination = (out or project.runs(profile.name)) / chapter.key
        overrides = {name: values[name] for name in given or {}} | ({"device": device} if device else {})
        because = ("--force",) if force else tuple(_changed(destination, chapter.key, described))
        plans.append(
            Plan(
                chapter,
                profile.name,
                values,
                overrides,
                devices[requested],
                described,
                destination,
                because,
                out is not None,
            )
        )
    return plans


def _changed(destination: Path, key: str, described: dict[str, Any]) -> list[str]:
    """Why the accepted run at ``destination`` no longer holds; empty if it does."""
    try:
        before = json.loads((destination / "run.json").read_text(encoding="utf-8"))
        same = before["notebook_sha256"] == fingerprint.file_digest(destination / f"{key}.ipynb")
        names = fingerprint.changed(before["inputs"], described)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return ["no accepted run"]
    return names if same else [*names, "notebook"]
