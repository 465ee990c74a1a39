"""Commands killed at random moments: the command, one of its processes, or all of them, by SIGKILL, TERM, HUP and INT.

A command is forked from this process, which has imported what it needs, so that a case takes a fraction of its
time. After each: what was there is the old or the new, whole; the command said one sentence; within five
seconds nothing of it is left.
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from faults.book import KEY, figure, make_book, run_of, site_of, write_run
from faults.tally import Tally, Wrong

__all__ = ["OPERATIONS", "Arena", "kill_many"]

PATIENCE = 5.0
"""Seconds in which everything has to be gone, on a machine with nothing else to do."""
MARK = "ELBO_FAULTS_CASE"
SIGNALS = ("KILL", "TERM", "HUP", "INT", "INT INT")


@dataclass
class Arena:
    """A book, the folder for temporary files of its commands, and what was last known to be whole."""

    root: Path
    generation: int = 0
    pace: dict[str, float] = field(default_factory=dict)
    complete: frozenset[str] = frozenset()

    @property
    def scratch(self) -> Path:
        return self.root.parent / "tmp"

    @property
    def runs(self) -> Path:
        return self.root / "_build" / "runs" / "quick" / KEY

    @property
    def html(self) -> Path:
        return self.root / "_build" / "html"


@dataclass(frozen=True)
class Operation:
    """A command: what is made ready, its words, what must hold after whatever happened, and how often it is chosen."""

    words: Callable[[Arena, random.Random], list[str]]
    holds: Callable[[Arena, object], None]
    before: Callable[[Arena], object]
    weight: float
    start: float


def _gathered(folder: Path) -> dict[str, bytes] | None:
    target = folder / "gathered"
    return {path.name: path.read_bytes() for path in sorted(target.iterdir())} if target.is_dir() else None


def _words_run(arena: Arena, _rng: random.Random) -> list[str]:
    return ["run", KEY, "--force", "-p", "beta", str(arena.generation), "--jobs", "1"]


def _holds_run(arena: Arena, before: object) -> None:
    if (now := run_of(arena.runs)) not in (before, arena.generation):
        raise Wrong(f"the accepted run is of generation {now}, neither {before} nor {arena.generation}")


def _words_pages(arena: Arena, _rng: random.Random) -> list[str]:
    (arena.root / "book" / "index.md").write_text(f"# Toy book\n\nPages {arena.generation}.\n")
    return ["build", "--jobs", "1"]


def _words_build(arena: Arena, rng: random.Random) -> list[str]:
    return [*_words_pages(arena, rng), "--force"]


def _site(arena: Arena) -> object:
    return run_of(arena.runs), site_of(arena.html)


def _holds_site(arena: Arena, before: object) -> None:
    run_of(arena.runs)
    was, now = before[1], site_of(arena.html)
    if now == was:
        return
    if now is None or now[0] != arena.generation:
        raise Wrong(
            f"the pages are {now and now[:2]}, neither those of before {was and was[:2]} nor {arena.generation}"
        )
    if not arena.complete:
        arena.complete = now[2]
    if arena.complete - now[2]:
        raise Wrong(f"the pages lack {sorted(arena.complete - now[2])[:3]}")


def _words_gather(arena: Arena, _rng: random.Random) -> list[str]:
    for number in range(3):
        numbers = (float(arena.generation), float(number))
        write_run(arena.root / "sweep" / f"beta={number}" / KEY, number, figure_of(numbers))
    return ["gather", str(arena.root / "sweep")]


_SHOWN: dict[tuple[float, ...], dict[str, object]] = {}


def figure_of(numbers: tuple[float, ...]) -> dict[str, object]:
    """A figure whose table alone is new: nothing is drawn again."""
    import copy

    shown = _SHOWN.setdefault((), figure())
    shown = copy.deepcopy(shown)
    content = next(value for value in shown.values() if isinstance(value, dict))
    content["files"]["csv"] = "x,y\n" + "".join(f"{i},{value}\n" for i, value in enumerate(numbers))
    return shown


def _holds_gather(arena: Arena, before: object) -> None:
    now = _gathered(arena.root / "sweep")
    if now == before:
        return
    if now is None or set(now) != {"gathered.json", f"{KEY}-line.csv"}:
        raise Wrong(f"gathered holds {sorted(now or {})}")
    table = now[f"{KEY}-line.csv"].decode()
    if table.count(f"0,{float(arena.generation)}") != 3 or len(table.splitlines()) != 7:
        raise Wrong(f"the gathered table is neither the old nor the new: {table[:200]!r}")


def _words_sweep(arena: Arena, _rng: random.Random) -> list[str]:
    one = 1000 + 2 * arena.generation
    return ["sweep", KEY, "-p", "beta", f"{one},{one + 1}", "--cores", "1"]


def _holds_sweep(arena: Arena, _before: object) -> None:
    folder = arena.root / "_build" / "sweeps" / KEY
    for record in folder.rglob("run.json"):
        run_of(record.parent)
    if (found := _gathered(folder)) is not None and set(found) != {"gathered.json", f"{KEY}-line.csv"}:
        raise Wrong(f"gathered holds {sorted(found)}")


def _words_reproduce(arena: Arena, _rng: random.Random) -> list[str]:
    return ["reproduce", str(arena.root / f"{KEY}-line.json"), "--rounding", "0.1"]


def _all_of_it(arena: Arena) -> object:
    kept = [arena.runs.parent, arena.html]
    return {
        str(path): (path.stat().st_mtime_ns, path.stat().st_size)
        for folder in kept
        for path in folder.rglob("*")
        if path.is_file() and path.suffix != ".lock"
    }


def _holds_reproduce(arena: Arena, before: object) -> None:
    if _all_of_it(arena) != before:
        raise Wrong("reproduce has changed the accepted runs or the pages")


OPERATIONS = {
    "run": Operation(_words_run, _holds_run, lambda arena: run_of(arena.runs), 5.0, 5.0),
    "pages": Operation(_words_pages, _holds_site, _site, 2.0, 6.0),
    "build": Operation(_words_build, _holds_site, _site, 1.5, 10.0),
    "gather": Operation(_words_gather, _holds_gather, lambda arena: _gathered(arena.root / "sweep"), 4.0, 0.2),
    "sweep": Operation(_words_sweep, _holds_sweep, lambda _: None, 0.7, 12.0),
    "reproduce": Operation(_words_reproduce, _holds_reproduce, _all_of_it, 2.0, 5.0),
}


def preload() -> None:
    """Import here, once, what the commands import."""
    import jupytext  # noqa: F401
    import nbformat  # noqa: F401

    import elbo.cli
    import elbo.companion.pages.build
    import elbo.companion.reproduce.again
    import elbo.companion.run.runner
    import elbo.data
    import elbo.sweep.command  # noqa: F401


def make_arena(folder: Path) -> Arena:
    """A book with an accepted run, made in ``folder``."""
    arena = Arena(make_book(folder / "book"))
    arena.scratch.mkdir()
    content = next(value for value in figure().values() if isinstance(value, dict))
    (arena.root / f"{KEY}-line.json").write_text(content["files"]["json"])
    return arena


def kill_many(tally: Tally, count: int, seed: int, folder: Path, only: str | None = None) -> None:
    """``count`` cases in one book, one after the other; every tenth is left alone and must succeed."""
    shutil.rmtree(folder, ignore_errors=True)
    preload()
    arena = make_arena(folder)
    for number in range(count):
        rng = random.Random(seed + number)
        names = [only] if only else list(OPERATIONS)
        name = rng.choices(names, [OPERATIONS[each].weight for each in names])[0]
        spared = number < 1 or rng.random() < 0.08
        try:
            note = _case(arena, name, rng, spared, f"{os.getpid()}-{seed + number}")
            problem = None
        except (Wrong, ValueError, OSError, KeyError) as error:
            problem, note = f"{name}: {type(error).__name__}: {error}", "wrong"
            shutil.rmtree(arena.scratch, ignore_errors=True)
            arena.scratch.mkdir()
        tally.add("kills", seed + number, problem, f"{name} {note}")


def _case(arena: Arena, name: str, rng: random.Random, spared: bool, mark: str) -> str:
    operation = OPERATIONS[name]
    arena.generation += 1
    words = operation.words(arena, rng)
    before = operation.before(arena)
    said = arena.root.parent / "said.txt"
    started = time.monotonic()
    child = _fork(words, arena, said, mark)
    how = "spared"
    if not spared:
        how = _strike(child, rng, arena.pace.get(name, operation.start), mark)
    code = _ended(child, 60.0 if spared else 20.0, mark)
    spent = time.monotonic() - started
    if code == 0:
        arena.pace[name] = spent if name not in arena.pace else 0.7 * arena.pace[name] + 0.3 * spent
    _quiet(mark, said)
    operation.holds(arena, before)
    _words_said(said.read_text(errors="replace"), code, how)
    _nothing_left(arena, how, name)
    return f"{how.split(' after')[0]} -> {code}"


def _fork(words: list[str], arena: Arena, said: Path, mark: str) -> int:
    sys.stdout.flush()
    sys.stderr.flush()
    said.write_text("")
    child = os.fork()
    if child:
        return child
    code = 70
    try:
        os.setsid()
        for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)  # until the command begins it can say nothing
        os.environ |= {MARK: mark, "ELBO_ROOT": str(arena.root), "TMPDIR": str(arena.scratch), "NO_COLOR": "1"}
        import tempfile

        tempfile.tempdir = None
        os.chdir(arena.root)
        stream = os.open(said, os.O_CREAT | os.O_TRUNC | os.O_WRONLY)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(stream, 1)
        os.dup2(stream, 2)
        from elbo import cli

        code = cli.main(words)
        sys.stdout.flush()
        sys.stderr.flush()
    except BaseException:  # what the interpreter would print on its way out
        import traceback

        traceback.print_exc()
    finally:
        os._exit(code)


def _strike(child: int, rng: random.Random, pace: float, mark: str) -> str:
    """Wait a random while and send a random signal to the command, one of its processes, or all."""
    delay = rng.uniform(0.0, 1.05 * pace)
    target = rng.choices(("command", "child", "all"), (6, 3, 2))[0]
    what = rng.choice(SIGNALS)
    end = time.monotonic() + delay
    while time.monotonic() < end and not _over(child):
        time.sleep(min(0.02, max(0.0, end - time.monotonic())))
    numbers = [getattr(signal, f"SIG{word}") for word in what.split()]
    for number in numbers:
        victims = [child]
        if target != "command":
            others = [pid for pid in _marked(mark) if pid != child]
            if target == "child" and not others:
                target = "command"
            victims = {"all": [child, *others], "command": [child]}.get(target) or rng.sample(sorted(others), 1)
        for pid in victims:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        time.sleep(rng.uniform(0.0, 0.3) if len(numbers) > 1 else 0.0)
    return f"{what} to {target} after {delay:.2f} s"


def _over(child: int) -> bool:
    """Whether the child has ended; it is not collected."""
    return os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _ended(child: int, seconds: float, mark: str) -> int:
    """Exit code of the command, minus the signal where one ended it."""
    end = time.monotonic() + seconds * _burden()
    while time.monotonic() < end:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.02)
    for pid in {child, *_marked(mark)}:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    os.waitpid(child, 0)
    raise Wrong(f"the command went on for {seconds * _burden():.0f} s")


def _burden() -> float:
    """How many times slower than a machine of its own this one is: its load over its cores, at least 1."""
    return max(1.0, 1.5 * os.getloadavg()[0] / (os.cpu_count() or 1))


def _marked(mark: str) -> set[int]:
    """The living processes that carry the mark of a case in their environment."""
    found, wanted = set(), f"{MARK}={mark}".encode()
    for pid in psutil.pids():
        with contextlib.suppress(OSError):
            parts = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
            if wanted in parts and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
                found.add(pid)
        with contextlib.suppress(psutil.Error):
            continue
    return found


def _quiet(mark: str, said: Path) -> None:
    end = time.monotonic() + PATIENCE * _burden()
    while left := _marked(mark):
        if time.monotonic() > end:
            names = []
            for pid in left:
                with contextlib.suppress(psutil.Error, ProcessLookupError):
                    names.append(" ".join(psutil.Process(pid).cmdline())[:150])
                    os.kill(pid, signal.SIGKILL)
            raise Wrong(f"processes were left: {names}; said {said.read_text()[-300:]!r}")
        time.sleep(0.05)


def _words_said(text: str, code: int, how: str) -> None:
    if "Traceback" in text:
        raise Wrong(f"a traceback ({how}): {text[-800:]!r}")
    sentences = [line for line in text.splitlines() if line.startswith("elbo: ")]
    killed = code == -signal.SIGKILL and how.startswith("KILL")
    if killed or (code < 0 and not text and how.split()[0] == signal.Signals(-code).name.removeprefix("SIG")):
        return  # nobody can say anything then: by SIGKILL, or before the first line of the command
    if code < 0 or code in (1, 2, 70):
        raise Wrong(f"exit code {code} ({how}): {text[-600:]!r}")
    if how == "spared" and code != 0:
        raise Wrong(f"an undisturbed command failed with {code}: {text[-600:]!r}")
    if len(sentences) != (code != 0):
        raise Wrong(f"{len(sentences)} sentences with exit code {code} ({how}): {text[-600:]!r}")


def _nothing_left(arena: Arena, how: str, name: str) -> None:
    """Temporary files and staging folders: none, but what SIGKILL of the command has kept it from removing."""
    staged = [path for path in arena.root.rglob("*staging*")]
    temporary = [path for path in arena.scratch.iterdir()]
    if how.startswith("KILL") and " to child" not in how:
        if " to all" in how or staged:  # its next command sweeps them
            for path in (*staged, *temporary):
                shutil.rmtree(path, ignore_errors=True)
            return
    if staged or temporary:
        end = time.monotonic() + PATIENCE * _burden()
        while time.monotonic() < end:
            if not [path for path in (*staged, *temporary) if path.exists()]:
                return
            time.sleep(0.05)
        left = [str(path) for path in (*staged, *temporary) if path.exists()]
        for path in left:
            shutil.rmtree(path, ignore_errors=True)
        raise Wrong(f"{name} left {left[:4]} ({how})")
