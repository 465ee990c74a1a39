"""A chapter at many parameters: one ``elbo run --out`` a combination, and the tables of their figures put together."""

from __future__ import annotations

import hashlib
import io
import json
import re
import shlex
import sys
from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from elbo.companion.project.chapters import Chapter
from elbo.companion.project.errors import CompanionError
from elbo.companion.project.paths import Project, hold, replace_directory, staging
from elbo.companion.project.plain import parse_plain
from elbo.companion.project.profiles import load_profile
from elbo.companion.record import fingerprint
from elbo.companion.record.handover import MIME
from elbo.companion.run.plans import make_plans
from elbo.sweep.plan import Job, SweepError

__all__ = ["chapter_jobs", "choices", "combinations", "gather_runs"]

MOST = 20_000  # combinations


def choices(text: str) -> list[str]:
    """The values of one parameter, ``"1,2,3"`` or ``"[2],[10, 20]"``, each as ``elbo run -p`` takes it.

    Raises:
        SweepError: not a list of YAML values.
    """
    try:
        values = parse_plain(f"[{text}]", "the list")
    except CompanionError:
        values = None
    if not values:
        raise SweepError(
            f"the values of a parameter are separated by commas, as in 1,2,3 or [2],[10]; got {text[:100]!r}"
        )
    return [
        yaml.safe_dump(value, default_flow_style=True, width=10**6).removesuffix("\n...\n").strip() for value in values
    ]


def combinations(given: Mapping[str, str]) -> list[dict[str, str]]:
    """Every combination of the values of the parameters, the last one changing first.

    Raises:
        SweepError: a list that is none, or more than 20,000 combinations.
    """
    columns = {name: choices(text) for name, text in given.items()}
    count = 1
    for column in columns.values():
        count *= len(column)
    if count > MOST:
        raise SweepError(f"{count:,} combinations are more than {MOST:,}: sweep over fewer values at a time")
    return [dict(zip(columns, values)) for values in product(*columns.values())]


def folder_name(parameters: Mapping[str, str]) -> str:
    """The name of a run's folder, ``beta=4,latent_dim=10``; what a file system may not like is replaced, and a digest
    keeps two such names apart."""
    plain = ",".join(f"{name}={value}" for name, value in parameters.items()) or "defaults"
    safe = re.sub(r"[^\w.,=+\[\]-]+", "_", plain.replace(" ", ""))[:120]
    if safe == plain.replace(" ", ""):
        return safe
    return f"{safe[:100]}-{hashlib.sha256(plain.encode()).hexdigest()[:8]}"


def chapter_jobs(
    project: Project, chapter: Chapter, profile: str, given: Mapping[str, str], out: Path, device: str | None = None
) -> list[Job]:
    """A job for every combination that has no accepted run in ``out`` yet, or one that no longer holds.

    Every parameter is checked here, before anything runs.

    Raises:
        CompanionError: a parameter or a value is wrong.
        SweepError: a list of values is.
    """
    jobs, chosen = [], load_profile(project, profile)
    named = str(Path(profile).expanduser().resolve()) if Path(profile).suffix in (".yml", ".yaml") else profile
    for parameters in combinations(given):
        name = folder_name(parameters)
        plan = make_plans(project, [chapter], chosen, parameters, device, out / name)[0]
        if not plan.because:
            continue
        words = [sys.executable, "-m", "elbo", "run", chapter.key, "--profile", named, "--jobs", "1"]
        words += ["--out", str(out / name), "--root", str(project.root), *(["--device", device] if device else [])]
        for parameter, value in parameters.items():
            words += ["-p", f"{parameter}={value}"]
        stamp = f".done/{name}"  # Snakemake removes what a job is to make; an accepted run stays until it is replaced
        (out / stamp).unlink(missing_ok=True)
        jobs.append(
            Job(
                name=f"run_{len(jobs)}",
                outputs=(stamp,),
                command=f"OMP_NUM_THREADS=1 {shlex.join(words)} && touch {shlex.quote(stamp)}",
                log=f"log/{name}.log",
            )
        )
    count = len(jobs)
    return [Job(**{**vars(job), "priority": count - place}) for place, job in enumerate(jobs)]


def gather_runs(folder: Path) -> list[Path]:
    """One tidy table of every figure from all accepted runs below a folder; the parameters that differ are columns.

    Rows that a figure repeats from a reference table (``run`` is ``reference``) are left out. Written are
    ``gathered/<figure id>.csv`` and ``gathered/gathered.json``: each run's folder, chapter, parameters, commit,
    versions, device, date and the sha256 of its notebook.

    Raises:
        SweepError: no run is there, or one is damaged; nothing is written then.
    """
    runs = [_read(path) for path in sorted(folder.rglob("run.json")) if "gathered" not in path.parts]
    if not runs:
        raise SweepError(f"no accepted run lies in {folder}: name the folder that elbo run --out or elbo sweep filled")
    differing = _differing([run["parameters"] for run, _ in runs])
    tables: dict[str, list[pd.DataFrame]] = {}
    for run, figures in runs:
        own = {name: _plain(run["parameters"].get(name)) for name in differing}
        for figure, table in figures.items():
            if "run" in table:
                table = table[table["run"] != "reference"]
            clash = {f"parameter_{name}" if name in table else name: value for name, value in own.items()}
            tables.setdefault(figure, []).append(table.assign(**clash))
    target = folder / "gathered"
    kept = ("folder", "chapter", "parameters", "commit", "dirty", "device", "packages", "finished", "notebook_sha256")
    listed = [{name: run[name] for name in kept if name in run} for run, _ in runs]
    files = {
        f"{figure}.csv": pd.concat(parts, ignore_index=True).to_csv(index=False, lineterminator="\n")
        for figure, parts in sorted(tables.items())
    }
    files["gathered.json"] = json.dumps({"runs": listed}, indent=1, sort_keys=True) + "\n"
    try:
        with hold(target, "the gathered tables"), staging(target) as aside:
            (aside / "new").mkdir()
            for name, text in files.items():
                (aside / "new" / name).write_text(text, encoding="utf-8")
            replace_directory(aside / "new", target)
    except OSError as error:
        raise SweepError(
            f"{target} cannot be written ({error.strerror or error}): put that right and gather again"
        ) from None
    return [target / name for name in files]


def _read(path: Path) -> tuple[dict[str, Any], dict[str, pd.DataFrame]]:
    """A run's record, and the table of each of its figures."""
    try:
        run = json.loads(path.read_text(encoding="utf-8"))
        notebook = path.with_name(f"{run['chapter']}.ipynb")
        if fingerprint.file_digest(notebook) != run["notebook_sha256"]:
            raise ValueError("the notebook is not the one of the record")
        cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
        found = {}
        for output in (output for cell in cells for output in cell.get("outputs", [])):
            if content := output.get("data", {}).get(MIME):
                found[content["id"]] = pd.read_csv(io.StringIO(content["files"]["csv"]))
    except (OSError, ValueError, KeyError, TypeError, RecursionError, AttributeError) as error:
        raise SweepError(
            f"the run in {path.parent} is damaged ({type(error).__name__}: {str(error)[:100]}): "
            "remove the folder and run it again"
        ) from None
    return {**run, "folder": str(path.parent)}, found


def _differing(parameters: Sequence[Mapping[str, Any]]) -> list[str]:
    """Names of the parameters that are not the same in all runs."""
    names = dict.fromkeys(name for one in parameters for name in one)
    return [name for name in names if len({json.dumps(one.get(name), sort_keys=True) for one in parameters}) > 1]


def _plain(value: Any) -> Any:
    return value if isinstance(value, (str, int, float, bool)) else json.dumps(value)
