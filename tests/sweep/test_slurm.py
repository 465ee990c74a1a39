"""A sweep on a real Slurm of one node: submitted, cancelled in the middle, out of time, gone on with, gathered.

It starts daemons and takes minutes, so it is asked for with ``ELBO_TEST_SLURM=1``, as CI does. Skipped with a sentence
also where Debian's packages are not installed (``apt-get install slurmctld slurmd slurm-client munge``), where this is
not root, or where the machine has a Slurm of its own. What was started here is stopped.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import threading
import time
from importlib.util import find_spec
from pathlib import Path

import pytest

from elbo.sweep.engine import run_jobs
from toysweep import jobs, tables

OURS = "# one node, written by the tests of carving-the-elbo"
CONFIG = Path("/etc/slurm/slurm.conf")  # a job step forgets SLURM_CONF: it has to lie here
PROGRAMS = ("slurmctld", "slurmd", "munged", "sbatch", "squeue", "scancel")
TEXT = f"""{OURS}
ClusterName=one
SlurmctldHost=localhost(127.0.0.1)
SlurmUser=root
AuthType=auth/munge
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
ReturnToService=2
KillWait=5
StateSaveLocation=/var/spool/slurmctld
SlurmdSpoolDir=/var/spool/slurmd
SlurmctldPidFile=/run/slurmctld.pid
SlurmdPidFile=/run/slurmd.pid
SlurmctldLogFile=/var/log/slurmctld.log
SlurmdLogFile=/var/log/slurmd.log
NodeName={socket.gethostname().split(".")[0]} NodeAddr=127.0.0.1 CPUs=2 RealMemory=4000
PartitionName=main Nodes=ALL Default=YES DefMemPerCPU=200 MaxTime=INFINITE State=UP
"""


def why_not() -> str:
    """Why there can be no Slurm here; empty where there can."""
    if os.environ.get("ELBO_TEST_SLURM") != "1":
        return "starts a Slurm and takes minutes: asked for with ELBO_TEST_SLURM=1"
    if absent := [name for name in PROGRAMS if shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin") is None]:
        return f"no {', '.join(absent)} here: apt-get install slurmctld slurmd slurm-client munge"
    if find_spec("snakemake_executor_plugin_slurm") is None:
        return "sweeps on Slurm need its plugin: pip install 'carving-the-elbo[sweep]'"
    if os.geteuid():
        return "only root can start a Slurm"
    if CONFIG.exists() and not CONFIG.read_text().startswith(OURS):
        return f"this machine has a Slurm of its own ({CONFIG}), which is left alone"
    return ""


pytestmark = pytest.mark.skipif(bool(why_not()), reason=why_not() or "-")


def asked(*words: str) -> str:
    return subprocess.run(words, capture_output=True, text=True, timeout=30).stdout.strip()


def wait_for(what, seconds: float = 60.0):
    """What ``what()`` gives once it is true."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := what():
            return found
        time.sleep(0.3)
    raise AssertionError(f"waited {seconds:g} s in vain; squeue: {asked('squeue')}; sinfo: {asked('sinfo')}")


@pytest.fixture(scope="module")
def slurm():
    """Controller and node on this machine, and munge, without which they do not talk."""
    for folder in (CONFIG.parent, Path("/var/spool/slurmctld"), Path("/var/spool/slurmd"), Path("/run/munge")):
        folder.mkdir(parents=True, exist_ok=True)
    shutil.chown("/run/munge", "munge", "munge")
    CONFIG.write_text(TEXT)
    CONFIG.with_name("cgroup.conf").write_text("CgroupPlugin=cgroup/v1\nCgroupAutomount=no\n")
    started = []
    for name, command in (
        ("munged", ["runuser", "-u", "munge", "--", "/usr/sbin/munged"]),
        ("slurmctld", ["/usr/sbin/slurmctld"]),
        ("slurmd", ["/usr/sbin/slurmd"]),
    ):
        if not asked("pgrep", "-x", name):
            subprocess.run(command, check=True, timeout=30, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
            started.append(name)
    wait_for(lambda: "idle" in asked("sinfo", "-h", "-o", "%T"))
    yield
    for name in reversed(started):
        for number in asked("pgrep", "-x", name).split():
            os.kill(int(number), 15)
    CONFIG.unlink()
    CONFIG.with_name("cgroup.conf").unlink()


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The same two parts on this machine without a cluster."""
    folder = tmp_path_factory.mktemp("local")
    assert run_jobs(jobs(folder, parts=2), folder / "_build" / "parts", cores=2).done == 2
    return tables(folder)


def on_slurm(folder: Path, pause: float = 0.0, **options):
    return run_jobs(jobs(folder, pause, parts=2), folder / "_build" / "parts", profile="slurm", **options)


def running() -> list[str]:
    return asked("squeue", "-h", "-t", "R", "-o", "%i").split()


def checkpoints(folder: Path) -> list[Path]:
    return list(folder.rglob("*.ckpt"))


def test_a_part_that_is_cancelled_goes_on_where_it_was_and_ends_in_the_same_bits(slurm, whole, tmp_path):
    found = []
    sweep = threading.Thread(target=lambda: found.append(on_slurm(tmp_path, pause=0.25)))
    sweep.start()
    try:
        wait_for(lambda: checkpoints(tmp_path) and running())  # the node has the memory for one of them at a time
    finally:
        asked("scancel", *running())
        sweep.join(180)
    assert found and found[0].failed and found[0].done < 2
    again = on_slurm(tmp_path)
    assert (again.done, again.failed, again.left) == (2, 0, 0)
    assert tables(tmp_path) == whole


def test_a_sweep_out_of_time_takes_its_jobs_off_the_cluster_and_goes_on(slurm, whole, tmp_path):
    stopped = on_slurm(tmp_path, pause=3.0, budget=40.0)
    assert stopped.stopped and stopped.done == 0 and stopped.left == 2
    wait_for(lambda: not asked("squeue", "-h"))
    assert checkpoints(tmp_path), "the jobs had begun"
    assert on_slurm(tmp_path).done == 2
    assert tables(tmp_path) == whole
