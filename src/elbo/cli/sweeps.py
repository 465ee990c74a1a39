"""``elbo sweep`` and ``elbo gather``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from elbo.cli.arguments import pairs
from elbo.cli.options import EXIT_CODES, ProfileName, Root, checked_device, checkout

__all__ = ["verbs"]

verbs = typer.Typer()


@verbs.command(
    epilog="Examples: [bold]elbo sweep bound-mnist --cores 2 --budget 2h[/] · [bold]elbo sweep --dry-run[/] · "
    "[bold]elbo sweep hoffman-johnson-2016 --profile smoke -p latent_dims '[2],[10]' -p seed 0,1[/]. " + EXIT_CODES
)
def sweep(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[TABLE ...|CHAPTER]", help="Reference tables (default: all that are measured in parts)."
        ),
    ] = None,
    parameter: Annotated[
        list[str] | None,
        typer.Option("-p", metavar="NAME VALUES", help="Values of a parameter of the chapter, separated by commas."),
    ] = None,
    profile: ProfileName = "quick",
    cluster: Annotated[
        str | None, typer.Option(help="slurm, kubernetes, or a folder with a Snakemake configuration.")
    ] = None,
    cores: Annotated[int, typer.Option(min=1, help="Jobs at a time on this machine, one thread each.")] = 1,
    budget: Annotated[
        str | None, typer.Option(help="Stop after this time (90s, 25m, 2h) and gather what is done.")
    ] = None,
    device: Annotated[str | None, typer.Option(help="cpu or cuda; on a GPU the parts are measured in stacks.")] = None,
    out: Annotated[Path | None, typer.Option(help="Directory for the runs of a chapter.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would run.")] = False,
    root: Root = None,
) -> None:
    """Measure reference tables in parts, or run a chapter at many parameters; a stopped sweep goes on where it was."""
    from elbo.sweep import command

    said = command.sweep(
        checkout(root),
        names or [],
        pairs(parameter),
        profile=profile,
        cluster=cluster,
        cores=cores,
        budget=budget,
        device=checked_device(device),
        out=out,
        dry_run=dry_run,
    )
    print(*said, sep="\n")


@verbs.command(epilog="Example: [bold]elbo gather _build/sweeps/higgins-2017[/]")
def gather(folder: Annotated[Path, typer.Argument(metavar="DIR", help="A folder with runs, at any depth.")]) -> None:
    """One tidy table of each figure from all accepted runs below a folder, with where every row comes from."""
    from elbo.sweep import command

    print(*command.gather(folder), sep="\n")
