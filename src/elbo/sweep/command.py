"""``elbo sweep`` and ``elbo gather``: what the command says, thin over the modules beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from elbo import reference
from elbo.companion.project.chapters import chapter_keys, read_chapter
from elbo.companion.project.errors import BUSY, RUN, CompanionError
from elbo.companion.project.paths import Project
from elbo.sweep.agreement import require_agreement
from elbo.sweep.engine import Busy, Outcome, run_jobs, seconds
from elbo.sweep.plan import SweepError, Table, find_tables, table_jobs
from elbo.sweep.runs import chapter_jobs, gather_runs

__all__ = ["gather", "sweep"]

STACK = 60  # models that share a GPU


def sweep(
    project: Project,
    names: Sequence[str],
    given: Mapping[str, str],
    *,
    profile: str,
    cluster: str | None,
    cores: int,
    budget: str | None,
    device: str | None,
    out: Path | None,
    dry_run: bool,
) -> list[str]:
    """Measure what is missing of reference tables, or run a chapter at every combination of parameters, then gather.

    Returns:
        Sentences for the person who asked.

    Raises:
        CompanionError: wrong words, a sweep that is under way already, jobs that failed.
    """
    options = {"cores": cores, "profile": cluster, "budget": seconds(budget) if budget else None, "dry_run": dry_run}
    try:
        if given or (len(names) == 1 and names[0] in chapter_keys(project) and out):
            return _chapter(project, names, given, profile, device, out, options)
        if out:
            raise SweepError("--out is for a chapter; tables go to data/reference")
        return _tables(find_tables(names), device or "cpu", options)
    except Busy as error:
        raise CompanionError(str(error), BUSY) from None
    except (SweepError, reference.ReferenceError, reference.parts.PartError) as error:
        raise CompanionError(str(error)) from None


def gather(folder: Path) -> list[str]:
    """Put the figures' tables of all accepted runs below a folder together."""
    try:
        return [str(path) for path in gather_runs(folder)]
    except SweepError as error:
        raise CompanionError(str(error)) from None


def _tables(tables: Sequence[Table], device: str, options: dict) -> list[str]:
    reference.require_checkout()
    said = []
    jobs = table_jobs(tables, device, STACK if device == "cuda" else 1)
    for table in tables:
        done, count = table.done()
        said.append(f"{table.chapter}/{table.name}: {done} of {count} parts are measured")
    if device != "cpu" and jobs and not options["dry_run"]:
        said.append(f"{device} and the processor agree to {require_agreement(device):.1g} nats after ten steps")
    outcome = run_jobs(jobs, reference.parts_folder("x", "y").parents[1], **options)
    said += _told(outcome, options["dry_run"])
    if not options["dry_run"]:
        for table in tables:
            if table.done()[0] and outcome.done:
                path = reference.gather(table.chapter, table.name)
                done, count = table.done()
                said.append(
                    f"{path.relative_to(reference.directory().parents[1])}: gathered from {done} of {count} parts"
                )
    _raise_for(outcome, said)
    return said


def _chapter(
    project: Project,
    names: Sequence[str],
    given: Mapping[str, str],
    profile: str,
    device: str | None,
    out: Path | None,
    options: dict,
) -> list[str]:
    if len(names) != 1:
        raise SweepError("parameters are those of one chapter: elbo sweep CHAPTER -p NAME 'VALUE,VALUE'")
    chapter = read_chapter(project, names[0])
    folder = (out or project.build / "sweeps" / chapter.key).resolve()
    jobs = chapter_jobs(project, chapter, profile, given, folder, device)
    outcome = run_jobs(jobs, folder, **options)
    said = _told(outcome, options["dry_run"])
    if not options["dry_run"] and any(folder.rglob("run.json")):
        said += [f"gathered: {project.show(path)}" for path in gather_runs(folder)]
    _raise_for(outcome, said)
    return said


def _told(outcome: Outcome, dry_run: bool) -> list[str]:
    if dry_run:
        return [f"{outcome.left:,} jobs to run; nothing was run"]
    said = f"{outcome.done} jobs done"
    if outcome.left:
        said += f", {outcome.left} left{' when the time was up' if outcome.stopped else ''}: the same command goes on"
    return [said]


def _raise_for(outcome: Outcome, said: list[str]) -> None:
    if outcome.failed:
        shown = "; ".join(outcome.reasons)
        held = BUSY if all("another process is measuring" in reason for reason in outcome.reasons) else RUN
        raise CompanionError(f"{'; '.join(said)}; {outcome.failed} failed: {shown}", held)
