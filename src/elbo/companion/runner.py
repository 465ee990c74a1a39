"""Run chapters: plan what has to run, execute it in processes, accept or refuse each run, put it in its place.

A run happens in a staging directory beside its destination. Only an accepted run is moved there, in one step; whatever goes
wrong, the run that was there before stays as it was, the staging directory is removed, and no process is left behind.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import os
import signal
import sys
import tempfile
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from elbo.companion import accept, fingerprint
from elbo.companion.chapters import Chapter
from elbo.companion.errors import RUN, TERMINATED, CompanionError
from elbo.companion.paths import Project, hold, staging
from elbo.companion.place import keep_failed, place
from elbo.companion.profiles import Profile, resolve
from elbo.companion.progress import Display
from elbo.companion.record import commit

__all__ = ["Plan", "Result", "cores", "make_plans", "run_plans"]

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@dataclass(frozen=True)
class Plan:
    """One chapter, everything decided.

    Attributes:
        parameters: every parameter with its value; ``given`` those of the command line.
        device: what the run will use, see :func:`elbo.companion.fingerprint.device_in_force`.
        inputs: see :func:`elbo.companion.fingerprint.inputs`.
        because: what changed since the accepted run at ``destination``; empty if nothing did and there is nothing to run.
    """

    chapter: Chapter
    profile: str
    parameters: dict[str, Any]
    given: dict[str, Any]
    device: str
    inputs: dict[str, Any]
    destination: Path
    because: tuple[str, ...]

    @property
    def key(self) -> str:
        return self.chapter.key

    @property
    def notebook(self) -> Path:
        return self.destination / f"{self.key}.ipynb"


@dataclass(frozen=True)
class Result:
    """How a chapter ended: ``status`` is ``accepted``, ``up to date`` or ``failed``; ``code`` is an exit code, 0 for the first two."""

    chapter: str
    status: str
    path: str
    seconds: float
    message: str
    code: int = 0


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
            Plan(chapter, profile.name, values, overrides, devices[requested], described, destination, because)
        )
    return plans


def run_plans(
    project: Project, plans: list[Plan], jobs: int, display: Display, timeout: int | None = None
) -> list[Result]:
    """Execute what has to run, ``jobs`` chapters at a time, and return how each ended, in the order of ``plans``.

    Args:
        jobs: processes; each chapter gets ``max(1, cores // jobs)`` threads.
        timeout: seconds that one cell may take, ``None`` for no limit.

    Raises:
        KeyboardInterrupt: Ctrl-C; every process has been ended.
        CompanionError: SIGTERM (exit code 143); every process has been ended.
    """
    return asyncio.run(_run_all(project, plans, jobs, display, timeout))


async def _run_all(
    project: Project, plans: list[Plan], jobs: int, display: Display, timeout: int | None
) -> list[Result]:
    places = asyncio.Semaphore(jobs)
    terminated = _cancel_on_sigterm()
    state = commit(project.root)
    context = _Context(project, display, timeout, threads=_threads(jobs), commit=state)
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(_run_one(context, plan, places)) for plan in plans]
    except asyncio.CancelledError:
        if terminated:
            raise CompanionError(
                "terminated: the chapters that were running were stopped, the accepted runs are untouched", TERMINATED
            ) from None
        raise
    return [task.result() for task in tasks]


@dataclass(frozen=True)
class _Context:
    project: Project
    display: Display
    timeout: int | None
    threads: int
    commit: dict[str, Any]


async def _run_one(context: _Context, plan: Plan, places: asyncio.Semaphore) -> Result:
    project, display = context.project, context.display
    if not plan.because:
        display.end(plan.key, "up to date")
        return Result(plan.key, "up to date", str(plan.notebook), 0.0, "up to date")
    try:
        with hold(plan.destination, plan.key):
            async with places:
                with staging(plan.destination) as folder:
                    seconds = await _execute(context, plan, folder)
    except CompanionError as error:
        failure = error
    except OSError as error:
        failure = CompanionError(f"{plan.key}: {_disk(error, plan.destination)}", RUN)
    else:
        sentence = f"done in {seconds:.0f} s, {project.show(plan.notebook)}"
        display.end(plan.key, sentence)
        return Result(plan.key, "accepted", str(plan.notebook), seconds, sentence)
    display.end(plan.key, "failed")
    return Result(plan.key, "failed", str(plan.destination), display.elapsed(plan.key), str(failure), failure.code)


async def _execute(context: _Context, plan: Plan, folder: Path) -> float:
    """Run one chapter in ``folder`` and put it in its place; returns the seconds it took.

    Raises:
        CompanionError: it failed; the sentence says how.
        OSError: the disk did.
    """
    import nbformat

    project, key = context.project, plan.key
    notebook = plan.chapter.notebook()
    (folder / "work").mkdir()
    (folder / "run").mkdir()
    nbformat.write(notebook, folder / "source.ipynb")
    defaults = {name: parameter.default for name, parameter in plan.chapter.parameters.items()}
    job = {
        "input": "source.ipynb",
        "output": f"run/{key}.ipynb",
        "parameters": {name: value for name, value in plan.parameters.items() if value != defaults[name]},
        "timeout": context.timeout,
        "cwd": "work",
    }
    context.display.start(key, len(accept.code_cells(notebook)) + bool(job["parameters"]))
    project.logs.mkdir(parents=True, exist_ok=True)
    log = project.logs / f"{plan.profile}-{key}.log"
    last, status = await _worker(context, plan, job, folder, log)
    executed = folder / "run" / f"{key}.ipynb"
    if status == 0 and last.get("event") == "done":
        result = nbformat.read(executed, as_version=4)
        if (reason := accept.refusal(result, key)) is None:
            project.failed(key).unlink(missing_ok=True)
            return place(project, plan, result, context.commit, context.threads, folder / "run")
        sentence = f"{key} was refused: {reason}; mend the chapter and run it again"
    else:
        sentence = _sentence(plan, last, status, context, log)
    if kept := keep_failed(executed, project.failed(key)):
        sentence += f" ({project.show(kept)} shows how far it came)"
    raise CompanionError(sentence, RUN)


async def _worker(
    context: _Context, plan: Plan, job: dict[str, Any], folder: Path, log: Path
) -> tuple[dict[str, Any], int]:
    """Run the worker to its end, showing its progress; returns its last event and its exit status."""
    run_id = uuid.uuid4().hex
    last: dict[str, Any] = {}
    with (
        tempfile.TemporaryDirectory(prefix="elbo-", ignore_cleanup_errors=True) as scratch,
        log.open("wb") as log_stream,
    ):
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "elbo.companion.worker"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=log_stream,
            cwd=folder,
            env=_environment(context, plan, run_id, scratch),
            start_new_session=True,
        )
        try:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                process.stdin.write((json.dumps(job) + "\n").encode())
                await process.stdin.drain()
            async for line in process.stdout:
                last = json.loads(line)
                if last["event"] == "cell":
                    context.display.cell(plan.key, last["cell"], last["line"])
            return last, await process.wait()
        finally:
            _end_everything(process, run_id)
            await process.wait()


def _end_everything(process: asyncio.subprocess.Process, run_id: str) -> None:
    """Kill the worker and every process of its run, kernels whose parent is already gone among them."""
    import psutil

    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    for other in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if other.pid != os.getpid() and other.environ().get("ELBO_RUN_ID") == run_id:
                other.kill()


def _environment(context: _Context, plan: Plan, run_id: str, scratch: str) -> dict[str, str]:
    """Environment of the worker and its kernel: bounded threads, nothing that varies, nothing of the user's IPython."""
    about = {
        "chapter": plan.key,
        "profile": plan.profile,
        "parameters": plan.parameters,
        "overrides": plan.given,
        **context.commit,
        "lock_sha256": plan.inputs["lock"],
    }
    return {
        **os.environ,
        **{name: str(context.threads) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")},
        "SOURCE_DATE_EPOCH": "0",
        "PYTHONHASHSEED": "0",
        "MPLBACKEND": "module://matplotlib_inline.backend_inline",
        "JUPYTER_PREFER_ENV_PATH": "1",
        "JUPYTER_RUNTIME_DIR": scratch,
        "IPYTHONDIR": str(Path(scratch) / "ipython"),
        "ELBO_RUN": json.dumps(about),
        "ELBO_RUN_ID": run_id,
    }


def _sentence(plan: Plan, last: dict[str, Any], status: int, context: _Context, log: Path) -> str:
    """What happened to a run that failed, and what to do."""
    key = plan.key
    kind = last.get("kind") if last.get("event") == "failed" else "killed"
    at = f"in cell {last['cell']}" if last.get("cell") else "before its first cell"
    if kind == "exception":
        return f"{key} stopped {at} (`{last['line']}`) with {last['message']}; mend the chapter and run it again"
    if kind == "timeout":
        return f"{key} was stopped {at}, which took longer than {context.timeout} s; give it more time with --timeout, or less to do with -p"
    if kind == "dead":
        return f"{key}: its kernel died {at}, most often for want of memory; give it less to do with -p, or close other programs, and run it again"
    if kind == "killed":
        how = f"signal {signal.Signals(-status).name}" if status < 0 else f"exit status {status}"
        return f"{key}: papermill was terminated ({how}) {at}; run it again, and see {context.project.show(log)} if it happens twice"
    if last.get("errno") in _FULL:
        return f"{key}: {_disk(OSError(last['errno'], os.strerror(last['errno'])), plan.destination)}"
    return f"{key}: papermill failed {at} with {last['message']}; see {context.project.show(log)}, mend what it names and run it again"


def _disk(error: OSError, where: Path) -> str:
    if error.errno in _FULL:
        return f"the disk is full ({error.strerror}); free some space on the file system of {where.parent} and run it again"
    return f"{error.strerror or error} ({error.filename or where}); put that right and run it again"


def _changed(destination: Path, key: str, described: dict[str, Any]) -> list[str]:
    """Why the accepted run at ``destination`` no longer holds; empty if it does."""
    try:
        before = json.loads((destination / "run.json").read_text(encoding="utf-8"))
        same = before["notebook_sha256"] == fingerprint.file_digest(destination / f"{key}.ipynb")
        names = fingerprint.changed(before["inputs"], described)
    except (OSError, ValueError, KeyError, TypeError):
        return ["no accepted run"]
    return names if same else [*names, "notebook"]


def _cancel_on_sigterm() -> list[bool]:
    """On SIGTERM, cancel the current task; the returned list is then not empty."""
    terminated: list[bool] = []
    task = asyncio.current_task()

    def stop() -> None:
        terminated.append(True)
        task.cancel()

    with contextlib.suppress(NotImplementedError, RuntimeError):  # Windows, or not the main thread
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop)
    return terminated


def _threads(jobs: int) -> int:
    """Threads of each chapter: the cores divided among the jobs, or fewer where OMP_NUM_THREADS already says so."""
    asked = os.environ.get("OMP_NUM_THREADS", "")
    share = max(1, cores() // jobs)
    return min(share, int(asked)) if asked.isdigit() and int(asked) > 0 else share


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
