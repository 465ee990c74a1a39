"""What is not here as it was when a figure was made: commit, versions, machine, device, parameters, data."""

from __future__ import annotations

import dataclasses
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from elbo.companion.project import settings
from elbo.companion.project.paths import Project
from elbo.companion.record.embedded import Record, plain
from elbo.companion.record.environment import environment
from elbo.companion.run.plans import Plan

__all__ = ["Difference", "after", "before", "is_sha", "short", "threads"]

_SHA = re.compile(r"[0-9a-f]{40}")
_BEFORE = ("commit", "dirty", "lock_sha256", "python", "platform", "cpu", "gpu", "packages", "threads")
"""What can be told of this environment before anything has run; data and reference tables only afterwards."""
_INNER = {"packages": "", "data": "data ", "reference": "reference table "}


@dataclass(frozen=True)
class Difference:
    """One thing that is not here as it was when the figure was made."""

    name: str
    recorded: str
    here: str

    def sentence(self) -> str:
        return f"{self.name}: recorded {self.recorded}, here {self.here}"


def before(project: Project, found: Record, plan: Plan) -> list[Difference]:
    """What is known to differ before anything runs: commit, versions, machine, device, parameters."""
    from elbo.companion.run.runner import cores

    here = environment(project.root)
    asked = threads(found)
    here["threads"] = min(asked, cores()) if asked else None
    here["gpu"] = plan.device.partition("(")[2].rstrip(")") or None
    recorded = {name: value for name, value in found.environment.items() if name in _BEFORE}
    unlike = list(_unlike(recorded, {name: here.get(name) for name in _BEFORE}))
    if changed := _changed_files(project, found, plan.key):
        unlike = [dataclasses.replace(one, here=one.here + changed) if one.name == "commit" else one for one in unlike]
    for name, value in plan.parameters.items():
        if name not in found.parameters:
            unlike.append(Difference(f"parameter {name}", "nothing", f"{plain(repr(value))}, its default"))
        elif value != found.parameters[name]:
            unlike.append(Difference(f"parameter {name}", plain(repr(found.parameters[name])), plain(repr(value))))
    return unlike


def after(found: Record, now: dict[str, Any]) -> list[Difference]:
    """What the run itself has shown to differ: the data and the reference tables that it has read, the precision."""
    late = {name: value for name, value in found.environment.items() if name not in _BEFORE}
    return list(_unlike(late, {name: value for name, value in now.items() if name not in _BEFORE}))


def threads(found: Record) -> int | None:
    """The number of threads that the record asks for, since sums depend on it."""
    asked = found.environment.get("threads")
    return asked if isinstance(asked, int) and 0 < asked <= 1024 else None


def _unlike(recorded: dict[str, Any], here: dict[str, Any]) -> Iterator[Difference]:
    """The entries of two environments that differ; what stands inside packages, data and reference by its own name."""
    for name in sorted(recorded.keys() | here.keys()):
        one, other = recorded.get(name), here.get(name)
        if name in _INNER:
            one, other = (value if isinstance(value, dict) else {} for value in (one, other))
            # of a package that the record does not list, nothing is known
            for inner in sorted(one.keys() | (other.keys() if name != "packages" else set())):
                if one.get(inner) != other.get(inner):
                    yield Difference(_INNER[name] + plain(inner, 60), short(one.get(inner)), short(other.get(inner)))
        elif name == "dirty":
            if one or other:
                yield Difference(
                    "changes that were not committed", "yes" if one else "none", "yes" if other else "none"
                )
        elif one != other:
            yield Difference(plain(name.replace("_sha256", " file"), 60), short(one), short(other))


def short(value: Any) -> str:
    """A value as it is printed: hashes cut to twelve characters, control characters gone."""
    if isinstance(value, str) and re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", value):
        return value[:12]
    return "nothing" if value is None else plain(str(value))


def _changed_files(project: Project, found: Record, key: str) -> str:
    """What git knows of the way from the recorded commit to here, for the chapter and what it depends on."""
    commit = found.environment.get("commit")
    if not is_sha(commit):
        return ""
    if settings.is_packaged(project.root):
        return " (an installed package does not know what differs between them: a clone does)"
    paths = ("src/elbo", f"book/{key}.md", "data", "requirements.lock")
    try:
        done = subprocess.run(
            ["git", "-C", str(project.root), "diff", "--name-only", str(commit), "--", *paths],
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return " (this clone does not have the recorded commit: git fetch)"
    count = len(done.stdout.splitlines())
    return f" ({count} of the files that count differ)" if count else " (no file that counts differs)"


def is_sha(commit: Any) -> bool:
    """Whether this is the full hash of a commit."""
    return isinstance(commit, str) and bool(_SHA.fullmatch(commit))
