"""``elbo data list`` and ``elbo data fetch``."""

from __future__ import annotations

import json
import sys
from typing import Annotated

import typer

from elbo.cli.options import Json
from elbo.cli.tables import table
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
    table(
        ["name", "what", "here", "where", "licence"],
        [[row["name"], row["title"], "yes" if row["present"] else "no", row["where"], row["licence"]] for row in rows],
    )


@_data.command("fetch", epilog="Examples: [bold]elbo data fetch mnist frey[/] · [bold]elbo data fetch --all[/]")
def data_fetch(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="NAME", help="Names that `elbo data list` shows.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every data set that is fetched.")] = False,
) -> None:
    """Download data sets into the folder ELBO_DATA (or the user's cache), verified against their checksums.

    What is there already and sound is not downloaded again. With --all a data set that cannot be had stops none of the
    others; the exit code is then 6.
    """
    from elbo import data
    from elbo.data.registry import DATASETS

    if everything == bool(names):
        raise CompanionError("name data sets to fetch, or say --all; `elbo data list` shows them")
    failed = []
    for name in [one for one in DATASETS if DATASETS[one].files] if everything else names or []:
        try:
            places = data.fetch(name, progress=sys.stderr.isatty())
        except ValueError as error:
            raise CompanionError(str(error)) from None
        except (data.DataError, OSError) as error:
            if not everything:
                raise CompanionError(str(error), DATA) from None
            failed.append(name)
            print(f"elbo: {error}", file=sys.stderr)
            continue
        print(f"{name}: {', '.join(str(place) for place in places) or 'embedded, nothing to fetch'}")
    if failed:
        raise CompanionError(f"not fetched: {', '.join(failed)} (above)", DATA)
