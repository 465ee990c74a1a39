"""What a person sees while chapters run: bars on a terminal, one line a cell elsewhere. All of it on standard error."""

from __future__ import annotations

import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Column

__all__ = ["Display"]


class Display:
    """Progress of several chapters at once; a context manager.

    Args:
        console: where to write; bars are drawn if it is a terminal.
        quiet: write nothing.
    """

    def __init__(self, console: Console | None = None, quiet: bool = False):
        self.console = console or Console(stderr=True, quiet=quiet, soft_wrap=True, highlight=False)
        self._begun: dict[str, float] = {}
        self._cells: dict[str, int] = {}
        self._tasks: dict[str, TaskID] = {}
        self._bars: Progress | None = None
        if self.console.is_terminal and not quiet:
            self._bars = Progress(
                TextColumn("{task.description}", markup=False),
                BarColumn(bar_width=20),
                TextColumn("cell"),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                TextColumn(
                    "{task.fields[line]}", markup=False, style="dim", table_column=Column(no_wrap=True, ratio=1)
                ),
                console=self.console,
                transient=True,
                expand=True,
            )

    def __enter__(self) -> Display:
        if self._bars:
            self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bars:
            self._bars.stop()

    def start(self, chapter: str, cells: int) -> None:
        """A chapter's kernel is about to start."""
        self._begun[chapter], self._cells[chapter] = time.monotonic(), cells
        if self._bars:
            self._tasks[chapter] = self._bars.add_task(chapter, total=cells, line="starting")
        else:
            self.say(f"{chapter}: starting, {cells} cells")

    def cell(self, chapter: str, number: int, line: str) -> None:
        """Cell ``number`` of a chapter begins; ``line`` is the first line of its source."""
        if self._bars:
            self._bars.update(self._tasks[chapter], completed=number - 1, line=line[:40])
        else:
            self.say(f"{chapter}: cell {number}/{self._cells[chapter]} at {self.elapsed(chapter):.0f} s: {line}")

    def end(self, chapter: str, sentence: str) -> None:
        """A chapter has ended, in whichever way."""
        if self._bars and chapter in self._tasks:
            self._bars.remove_task(self._tasks.pop(chapter))
        self.say(f"{chapter}: {sentence}")

    def elapsed(self, chapter: str) -> float:
        return time.monotonic() - self._begun.get(chapter, time.monotonic())

    def say(self, sentence: str) -> None:
        self.console.print(sentence, markup=False)
