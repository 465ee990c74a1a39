"""``elbo data list`` and ``elbo data fetch``."""

from __future__ import annotations

import json
import sys
from typing import Annotated

import typer

from elbo.cli.options import Json
from elbo.companion.project.errors import DATA, CompanionError

__all__ = ["verbs"]

verbs = typer.Typer()
_data = typer.Typer(help="Data sets: which there are, and fetching those that are not embedded.", no_args_is_help=True)
verbs.add_typer(_data, name="data")


@_data.command("list", epilog="Example: [bold]elbo data list --json[/]")
def data_list(as_json: Json = False) -> None:
    """List the data sets, and whether each can be loaded without a download."""
    from elbo import data

    rows = [row._asdict() for row in data.available()]
    if as_json:
        print(json.dumps(rows, indent=1, ensure_ascii=False, default=str))
        return
    _table(
        ["name", "what", "here", "where", "licence"],
        [[row["name"], row["title"], "yes" if row["present"] else "no", row["where"], row["licence"]] for row in rows],
    )


@_data.command("fetch", epilog="Example: [bold]elbo data fetch mnist frey[/]")
def data_fetch(
    names: Annotated[list[str], typer.Argument(metavar="NAME", help="Names that `elbo data list` shows.")],
) -> None:
    """Download data sets into the folder ELBO_DATA (or the user's cache), verified against their checksums."""
    from elbo import data

    for name in names:
        try:
            places = data.fetch(name, progress=sys.stderr.isatty())
        except ValueError as error:
            raise CompanionError(str(error)) from None
        except (data.DataError, OSError) as error:
            raise CompanionError(str(error), DATA) from None
        print(f"{name}: {', '.join(str(place) for place in places) or 'embedded, nothing to fetch'}")


def _table(columns: list[str], rows: list[list[str]]) -> None:
    """Print a table whose first column, the name to type, is never cut."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    for number, column in enumerate(columns):
        table.add_column(
            column, no_wrap=number == 0, min_width=max((len(row[0]) for row in rows), default=0) * (not number)
        )
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    Console().print(table)
