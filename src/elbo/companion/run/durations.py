"""How long a chapter takes, from the records of runs: those that are accepted here, else those kept with the book.

``python -m elbo.companion.run.durations [PROFILE ...]`` puts what the accepted runs of this checkout say into
``data/durations.json``, which the wheel carries; a run with changes that were not committed is left out.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from elbo.companion.project.paths import Project, find_project
from elbo.companion.record import words
from elbo.companion.record.handover import figures_in

__all__ = ["FILE", "Duration", "keep", "known", "main"]

FILE = Path("data", "durations.json")
"""Where the book keeps durations, below its root."""


@dataclass(frozen=True)
class Duration:
    """How long a run of a chapter took, and what it was: threads, processor, commit, and the data that it read.

    ``here`` tells a run that is accepted here from one that the book's own file describes.
    """

    seconds: float
    threads: int
    cpu: str
    commit: str
    finished: str
    data: tuple[str, ...] = ()
    here: bool = False

    @property
    def machine(self) -> str:
        """The processor and its threads in words."""
        return words.device({"cpu": self.cpu, "threads": self.threads})


def known(project: Project, profiles: list[str]) -> dict[tuple[str, str], Duration]:
    """By ``(profile, chapter)`` what is known; an accepted run goes before what the book keeps."""
    return {**_kept(project.root / FILE), **{key: found for key, found in _here(project, profiles) if found}}


def keep(project: Project, profiles: list[str]) -> list[str]:
    """Write the accepted runs of these profiles into :data:`FILE`, beside what it holds of others; returns their names.

    Runs of a checkout with changes are left out.
    """
    path = project.root / FILE
    now = {key: found for key, found in _here(project, profiles, clean=True) if found}
    rows: dict[str, dict[str, Any]] = {}
    for (profile, chapter), one in sorted({**_kept(path), **now}.items()):
        about = asdict(one)
        rows.setdefault(profile, {})[chapter] = {name: value for name, value in about.items() if name != "here"}
    path.write_text(json.dumps(rows, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return [f"{profile} {chapter}" for profile, chapter in now]


def _kept(path: Path) -> dict[tuple[str, str], Duration]:
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
        return {
            (profile, chapter): Duration(**{**about, "data": tuple(about["data"])})
            for profile, chapters in said.items()
            for chapter, about in chapters.items()
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def _here(
    project: Project, profiles: list[str], clean: bool = False
) -> Iterator[tuple[tuple[str, str], Duration | None]]:
    for profile in profiles:
        for path in sorted(project.runs(profile).glob("[!.]*/run.json")):
            yield (profile, path.parent.name), _run(path, clean)


def _run(path: Path, clean: bool) -> Duration | None:
    """What a run's record says, and its last figure of the processor; ``None`` for a record that cannot be read."""
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
        if clean and said["dirty"] is not False:
            return None
        notebook = json.loads((path.parent / f"{said['chapter']}.ipynb").read_text(encoding="utf-8"))
        records = [json.loads(figure["files"]["json"]) for figure in figures_in(notebook)]
        cpu = records[-1]["environment"]["cpu"] if records else "unknown"
        data = tuple(sorted(said.get("data") or {}))
        seconds, commit = float(said["seconds"]), str(said.get("commit") or "")
        return Duration(seconds, int(said["threads"]), cpu, commit, str(said["finished"]), data, here=True)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def main(arguments: list[str] | None = None) -> int:
    """Keep the durations of the accepted runs of these profiles, smoke and quick unless others are named."""
    project = find_project()
    named = sys.argv[1:] if arguments is None else arguments
    print(*keep(project, named or ["smoke", "quick"]), sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
