"""Snakemake runs the jobs; this module starts it, stops it in time, and says in a sentence what happened."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from filelock import FileLock, Timeout

from elbo.sweep.plan import Job, SweepError, write_plan

__all__ = ["Busy", "Outcome", "run_jobs", "seconds"]

HERE = Path(__file__).parent
START = """from elbo.companion.project.orphans import watch
import runpy, sys; watch(sys.argv.pop(1), session=True); sys.argv[0] = "snakemake"
runpy.run_module("snakemake", run_name="__main__")
"""  # Snakemake, ended with the command that started it
GRACE = 60.0  # seconds that jobs have to end once they were told to


class Busy(SweepError):
    """Another sweep works in the same folder."""


@dataclass(frozen=True)
class Outcome:
    """How a sweep ended.

    Attributes:
        done, failed, left: jobs that are done, that failed, that were not reached or were stopped.
        stopped: the budget was spent.
        reasons: what the first failed jobs said last, with the path of their log.
    """

    done: int
    failed: int
    left: int
    stopped: bool
    reasons: tuple[str, ...]


def seconds(budget: str) -> float:
    """``"90s"``, ``"25m"`` or ``"2h"`` in seconds.

    Raises:
        SweepError: anything else.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smh])", budget.strip())
    if match is None or float(match[1]) == 0:
        raise SweepError(f"a budget is a number and a unit, as in 90s, 25m or 2h; got {budget[:40]!r}")
    return float(match[1]) * {"s": 1, "m": 60, "h": 3600}[match[2]]


def run_jobs(
    jobs: Sequence[Job],
    folder: Path,
    *,
    cores: int = 1,
    profile: str | None = None,
    budget: float | None = None,
    dry_run: bool = False,
) -> Outcome:
    """Run jobs to their end, or until the budget is spent; what was done stays done.

    Args:
        folder: where the outputs of the jobs lie; Snakemake keeps its notes there.
        cores: jobs at a time, on this machine.
        profile: a folder with a Snakemake configuration, or ``"slurm"`` or ``"kubernetes"`` for those of the package.
        budget: seconds; a fifth of it, a minute at most, before its end the jobs are told to stop, and are made to at
            its end (on a cluster a minute after they were told); the next call goes on from their checkpoints.
        dry_run: have Snakemake make its plan and run nothing.

    Raises:
        Busy: another sweep works in this folder.
        SweepError: Snakemake is not installed, does not take the profile, or did not start.
    """
    if find_spec("snakemake") is None:
        raise SweepError("a sweep needs Snakemake: pip install 'carving-the-elbo[sweep]'")
    if not jobs:
        return Outcome(0, 0, 0, False, ())
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder / ".sweep.lock", timeout=0):
            return _run(jobs, folder, _where(cores, profile), budget, dry_run)
    except Timeout:
        raise Busy(f"another sweep works in {folder}: wait for it, or stop it (Ctrl-C) and call again") from None


def _where(cores: int, profile: str | None) -> list[str]:
    if profile is None:
        return ["--cores", str(cores)]
    own = HERE / "profiles" / profile
    chosen = own if own.is_dir() else Path(profile)
    if not (chosen / "config.yaml").is_file():
        known = ", ".join(sorted(path.name for path in (HERE / "profiles").iterdir()))
        raise SweepError(f"no profile {profile[:200]!r}: name {known}, or a folder with a config.yaml of Snakemake's")
    return ["--profile", str(chosen.resolve())]


def _run(jobs: Sequence[Job], folder: Path, where: list[str], budget: float | None, dry_run: bool) -> Outcome:
    began = time.monotonic()
    plan = write_plan(jobs, folder)
    # our own lock is held, and the operating system drops it with the process: Snakemake's may be one of a killed sweep
    scratch = tempfile.TemporaryDirectory(prefix=f"elbo-{os.getpid()}-", ignore_cleanup_errors=True)
    words = [
        sys.executable,
        "-c",
        START,
        scratch.name,
        "--snakefile",
        str(HERE / "Snakefile"),
        "--directory",
        str(folder),
    ]
    words += ["--nolock", "--keep-going", "--rerun-incomplete", "--rerun-triggers", "mtime", "--quiet", "all"]
    words += ["--scheduler", "greedy", *where, "--config", f"plan={plan}", *(["--dry-run"] if dry_run else [])]
    log = folder / "snakemake.log"
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    if where[0] == "--cores":  # the jobs run here: what they put aside goes with the sweep
        environment["TMPDIR"] = scratch.name
    try:
        with scratch, log.open("w") as said:
            started = time.monotonic()
            process = subprocess.Popen(
                words, stdout=said, stderr=subprocess.STDOUT, stdin=subprocess.PIPE, start_new_session=True,
                env=environment,
            )  # fmt: skip
            grace = GRACE if budget is None else min(GRACE, budget / 5)
            patience = grace if where[0] == "--cores" else GRACE  # a cluster takes its time to cancel jobs
            stopped = _wait(process, None if budget is None else began + budget - grace, patience)
    finally:
        plan.unlink(missing_ok=True)
    done = [job for job in jobs if all((folder / output).exists() for output in job.outputs)]
    open_jobs = [job for job in jobs if job not in done]
    if dry_run:
        if process.returncode:
            raise SweepError(f"Snakemake does not take the plan: {_last(log)} ({log})")
        return Outcome(len(done), 0, len(open_jobs), False, ())
    tried = [job for job in open_jobs if (folder / job.log).exists() and (folder / job.log).stat().st_mtime_ns > 0]
    failed = [] if stopped else [job for job in tried if _is_fresh(folder / job.log, started)]
    if process.returncode and not done and not failed and not stopped:
        raise SweepError(f"Snakemake did not start the jobs: {_last(log)} ({log})")
    reasons = tuple(f"{_last(folder / job.log)} ({folder / job.log})" for job in failed[:3])
    return Outcome(len(done), len(failed), len(open_jobs) - len(failed), stopped, reasons)


def _wait(process: subprocess.Popen, deadline: float | None, grace: float = GRACE) -> bool:
    """Wait for the process, and tell it to stop at the deadline or when this one is told to; whether it was stopped."""
    try:
        process.wait(None if deadline is None else max(0.0, deadline - time.monotonic()))
        return False
    except subprocess.TimeoutExpired:
        _stop(process, grace)
        return True
    except BaseException:
        _stop(process)
        raise
    finally:
        _end_jobs(process)


def _stop(process: subprocess.Popen, grace: float = GRACE) -> None:
    """As Ctrl-C: Snakemake cancels its jobs, here and on a cluster. Harder after ``grace`` seconds, on all left."""
    for number, patience in ((signal.SIGINT, grace), (signal.SIGTERM, 5.0), (signal.SIGKILL, 5.0)):
        try:
            os.killpg(process.pid, number)
            process.wait(patience)
        except subprocess.TimeoutExpired:
            continue
        except ProcessLookupError:
            pass
        break


def _end_jobs(process: subprocess.Popen) -> None:
    """Jobs on this machine that have outlived Snakemake, however it ended: told to, and after three seconds made to."""
    try:
        os.killpg(process.pid, signal.SIGTERM)
        end = time.monotonic() + 3.0
        while time.monotonic() < end:
            os.killpg(process.pid, 0)
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def _is_fresh(path: Path, started: float) -> bool:
    return path.stat().st_mtime >= time.time() - (time.monotonic() - started) - 1


def _last(log: Path) -> str:
    """The last line that a log holds, cut to 200 characters."""
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    except OSError:
        lines = []
    return lines[-1].strip()[:200] if lines else "it said nothing"
