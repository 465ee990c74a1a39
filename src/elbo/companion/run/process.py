"""The process in which papermill runs a chapter, seen from outside: its environment, its end, and what to say of it."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import os
import shutil
import signal
import sys
import tempfile
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from elbo.companion.project.paths import Project
from elbo.companion.run.plans import Plan
from elbo.companion.run.progress import Display

__all__ = ["Context", "disk_sentence", "sentence", "work"]

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@dataclass(frozen=True)
class Context:
    """What the chapters of one command share."""

    project: Project
    display: Display
    timeout: int | None
    threads: int
    commit: dict[str, Any]


async def work(
    context: Context, plan: Plan, job: dict[str, Any], folder: Path, log: Path
) -> tuple[dict[str, Any], int]:
    """Run the worker to its end, showing its progress; returns its last event and its exit status."""
    run_id = uuid.uuid4().hex
    last: dict[str, Any] = {}
    _sweep_scratch()
    with (
        tempfile.TemporaryDirectory(prefix=_scratch_prefix(os.getpid()), ignore_cleanup_errors=True) as scratch,
        log.open("wb") as log_stream,
    ):
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "elbo.companion.run.worker"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=log_stream,
            cwd=folder,
            env=_environment(context, plan, run_id, scratch),
            start_new_session=True,
        )
        assert process.stdin and process.stdout, "both are pipes"
        try:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                process.stdin.write((json.dumps({**job, "scratch": scratch, "staging": str(folder)}) + "\n").encode())
                await process.stdin.drain()
            async for line in process.stdout:
                last = json.loads(line)
                if last["event"] == "cell":
                    context.display.cell(plan.key, last["cell"], last["line"])
            return last, await process.wait()
        finally:
            _end_everything(process, run_id)
            await process.wait()


def _scratch_prefix(pid: int | str) -> str:
    return f"elbo-{pid}-"


def _sweep_scratch() -> None:
    """Remove what commands have left that were killed together with their workers."""
    import psutil

    for folder in Path(tempfile.gettempdir()).glob(_scratch_prefix("*") + "*"):
        pid = folder.name.split("-")[1]
        if pid.isdigit() and not psutil.pid_exists(int(pid)):
            shutil.rmtree(folder, ignore_errors=True)


def _end_everything(process: asyncio.subprocess.Process, run_id: str) -> None:
    """Kill the worker and every process of its run, kernels whose parent is already gone among them."""
    import psutil

    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    for other in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if other.pid != os.getpid() and other.environ().get("ELBO_RUN_ID") == run_id:
                other.kill()


def _environment(context: Context, plan: Plan, run_id: str, scratch: str) -> dict[str, str]:
    """Environment of the worker and its kernel: bounded threads, nothing that varies, nothing of the user's IPython."""
    about = {
        "chapter": plan.key,
        "profile": plan.profile,
        "parameters": plan.parameters,
        "overrides": plan.given,
        **context.commit,
        "lock_sha256": plan.inputs["lock"],
        "checkpoints": str(context.project.checkpoints(plan.key, plan.fingerprint).absolute()),
    }
    return {
        **os.environ,
        "OMP_WAIT_POLICY": "PASSIVE",  # threads that wait must not spin where several chapters share the cores
        **{name: str(context.threads) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")},
        "SOURCE_DATE_EPOCH": "0",
        "PYTHONHASHSEED": "0",
        "MPLBACKEND": "module://matplotlib_inline.backend_inline",
        "JUPYTER_PREFER_ENV_PATH": "1",
        "JUPYTER_RUNTIME_DIR": scratch,
        "TMPDIR": scratch,  # what the kernel and its launcher put aside goes with the run
        "IPYTHONDIR": str(Path(scratch) / "ipython"),
        "ELBO_ROOT": str(context.project.root.resolve()),
        "ELBO_RUN": json.dumps(about),
        "ELBO_RUN_ID": run_id,
    }


def sentence(plan: Plan, last: dict[str, Any], status: int, context: Context, log: Path) -> str:
    """What happened to a run that failed, and what to do."""
    key = plan.key
    kind = last.get("kind") if last.get("event") == "failed" else "killed"
    at = f"in cell {last['cell']}" if last.get("cell") else "before its first cell"
    if kind == "no data":  # the sentence names the remedy itself
        return f"{key} stopped {at}: {last['message']}"
    if kind == "exception":
        return (
            f"{key} stopped {at} (`{last['line']}`) with {last['message']}; "
            "change its parameters, or mend the chapter, and run it again"
        )
    if kind == "timeout" and context.timeout:
        return (
            f"{key} was stopped {at}, which took longer than {context.timeout} s; "
            "give it more time with --timeout, or less to do with -p"
        )
    if kind == "dead":
        return (
            f"{key}: its kernel died {at}, most often for want of memory; "
            "give it less to do with -p, or close other programs, and run it again"
        )
    if kind == "killed":
        how = f"signal {signal.Signals(-status).name}" if status < 0 else f"exit status {status}"
        see = context.project.show(log)
        return f"{key}: papermill was terminated ({how}) {at}; run it again, and see {see} if it happens twice"
    if kind == "timeout":
        return f"{key}: what it printed {at} could not be read in time; print less, or less often, and run it again"
    if last.get("errno") in _FULL:
        return f"{key}: {disk_sentence(OSError(last['errno'], os.strerror(last['errno'])), plan.destination)}"
    see = context.project.show(log)
    return f"{key}: papermill failed {at} with {last['message']}; see {see}, mend what it names and run it again"


def disk_sentence(error: OSError, where: Path) -> str:
    """What the disk refused, and what to do about it, where a run is kept at ``where``."""
    if error.errno in _FULL:
        return f"the disk is full ({error.strerror}); free some space where {where.parent} lies and run it again"
    return f"{error.strerror or error} ({error.filename or where}); put that right and run it again"
