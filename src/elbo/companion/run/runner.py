"""Run chapters: execute each in a process, accept or refuse the run, put it in its place.

A run happens in a staging directory beside its destination. Only an accepted run is moved there, in one step; whatever
goes wrong, the run that was there before stays as it was, the staging directory is removed, and no process is left.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from elbo.companion.project.errors import DATA, RUN, TERMINATED, CompanionError
from elbo.companion.project.paths import Project, hold, staging
from elbo.companion.project.signals import handled
from elbo.companion.record.environment import commit
from elbo.companion.run import accept
from elbo.companion.run.place import keep_failed, place
from elbo.companion.run.plans import Plan
from elbo.companion.run.process import Context, disk_sentence, sentence, work
from elbo.companion.run.progress import Display

__all__ = ["Result", "cores", "run_plans"]


@dataclass(frozen=True)
class Result:
    """How a chapter ended: ``status`` is ``accepted``, ``up to date`` or ``failed``; only then is ``code`` not 0."""

    chapter: str
    status: str
    path: str
    seconds: float
    message: str
    code: int = 0


def run_plans(
    project: Project,
    plans: list[Plan],
    jobs: int,
    display: Display,
    timeout: int | None = None,
    threads: int | None = None,
) -> list[Result]:
    """Execute what has to run, ``jobs`` chapters at a time, and return how each ended, in the order of ``plans``.

    Args:
        jobs: processes; each chapter gets ``max(1, cores // jobs)`` threads.
        timeout: seconds that one cell may take, ``None`` for no limit.
        threads: of each chapter, up to the cores, in place of that share.

    Raises:
        KeyboardInterrupt: Ctrl-C; every process has been ended.
        CompanionError: SIGTERM or SIGHUP (exit code 143); every process has been ended.
    """
    return asyncio.run(_run_all(project, plans, jobs, display, timeout, threads))


async def _run_all(
    project: Project, plans: list[Plan], jobs: int, display: Display, timeout: int | None, threads: int | None
) -> list[Result]:
    places = asyncio.Semaphore(jobs)
    state = commit(project.root)
    context = Context(
        project, display, timeout, threads=min(threads, cores()) if threads else _threads(jobs), commit=state
    )
    terminated: list[int] = []
    try:
        with handled(_cancelling(terminated)):
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(_run_one(context, plan, places)) for plan in plans]
    except asyncio.CancelledError:
        if not terminated:
            raise
    if terminated[:1] == [signal.SIGINT]:
        raise KeyboardInterrupt
    if terminated:
        raise CompanionError(
            "terminated: the chapters that were running were stopped, the accepted runs are untouched", TERMINATED
        )
    return [task.result() for task in tasks]


async def _run_one(context: Context, plan: Plan, places: asyncio.Semaphore) -> Result:
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
        failure = CompanionError(f"{plan.key}: {disk_sentence(error, plan.destination)}", RUN)
    else:
        said = f"done in {seconds:.0f} s, {project.show(plan.notebook)}"
        display.end(plan.key, said)
        return Result(plan.key, "accepted", str(plan.notebook), seconds, said)
    display.end(plan.key, "failed")
    return Result(plan.key, "failed", str(plan.destination), display.elapsed(plan.key), str(failure), failure.code)


async def _execute(context: Context, plan: Plan, folder: Path) -> float:
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
    log = project.logs / f"{plan.profile}-{plan.label}.log"
    last, status = await work(context, plan, job, folder, log)
    executed = folder / "run" / f"{key}.ipynb"
    if status == 0 and last.get("event") == "done":
        result = nbformat.read(executed, as_version=4)
        if (reason := accept.refusal(result, key)) is None:
            project.failed(plan.label).unlink(missing_ok=True)
            seconds = place(project, plan, result, context.commit, context.threads, folder / "run")
            shutil.rmtree(project.checkpoints(key, plan.fingerprint), ignore_errors=True)
            return seconds
        said = f"{key} was refused: {reason}; mend the chapter and run it again"
    else:
        said = sentence(plan, last, status, context, log)
    if kept := keep_failed(executed, project.failed(plan.label)):
        said += f" ({project.show(kept)} shows how far it came)"
    raise CompanionError(said, DATA if last.get("kind") == "no data" else RUN)


def _cancelling(came: list[int]) -> Callable[[int, FrameType | None], None]:
    """A handler of signals that cancels the current task, once, and notes the signals that came.

    What is cancelled ends its processes at once, so that a second Ctrl-C has nothing to hasten.
    """
    task, loop = asyncio.current_task(), asyncio.get_running_loop()
    assert task is not None, "called in a task"

    def stop(number: int, _frame: FrameType | None) -> None:
        came.append(number)
        if len(came) == 1:
            loop.call_soon_threadsafe(task.cancel)

    return stop


def _threads(jobs: int) -> int:
    """Threads of each chapter: the cores divided among the jobs, or fewer where OMP_NUM_THREADS already says so."""
    asked = os.environ.get("OMP_NUM_THREADS", "")
    share = max(1, cores() // jobs)
    return min(share, int(asked)) if asked.isdigit() and int(asked) > 0 else share


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
