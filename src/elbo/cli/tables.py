"""Tables on standard output: folded to the width of a terminal, one row a line for a pipe."""

from __future__ import annotations

import sys
from collections.abc import Sequence

__all__ = ["table"]


def table(columns: Sequence[str], rows: Sequence[Sequence[str]], whole: int = 1) -> None:
    """Print a table; in a terminal the first ``whole`` columns, those with names to type, are never cut.

    Into a pipe or a file every row is one line whatever its length, its columns two spaces or more apart.
    """
    if not sys.stdout.isatty():
        widths = [max(len(row[number]) for row in [columns, *rows]) for number in range(len(columns))]
        for row in [columns, *rows]:
            print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    shown = Table(box=None, pad_edge=False)
    for number, column in enumerate(columns):
        widest = max((len(row[number]) for row in rows), default=0)
        shown.add_column(column, no_wrap=number < whole, min_width=widest if number < whole else None)
    for row in rows:
        shown.add_row(*(Text(cell) for cell in row))
    Console().print(shown)
