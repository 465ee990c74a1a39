"""``elbo verify``, ``elbo metadata`` and ``elbo release``: what leaves the house, and whether it is still what left."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Annotated

import typer

from elbo.cli.options import Root, checkout
from elbo.companion.project.errors import DIFFERENT, USAGE, CompanionError

__all__ = ["verbs"]

verbs = typer.Typer()


@verbs.command(
    epilog="Examples: [bold]elbo verify _build/html/figures/blei-2017-hmc.png[/] · "
    "[bold]elbo verify figure.png --crate carving-the-elbo-0.1.0.zip[/] · "
    "[bold]elbo verify carving-the-elbo-0.1.0.zip --key book.pem[/]. "
    "Exit codes: 0 as it was published; 7 changed, or a signature that does not hold; "
    "2 not known to the crate, or no crate."
)
def verify(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A file of the book, or a deposit (ZIP) as a whole.")],
    crate: Annotated[
        Path | None,
        typer.Option(
            help="ro-crate-metadata.json, its folder, or a deposit; default: around the file, else the built book."
        ),
    ] = None,
    key: Annotated[Path | None, typer.Option(help="Public key (PEM) that the signature must be of.")] = None,
    signature: Annotated[
        Path | None, typer.Option(help="Signature, or bundle of sigstore; default: FILE.sig or FILE.sigstore.json.")
    ] = None,
    root: Root = None,
) -> None:
    """Check a figure, or a whole deposit, against the checksums of its crate, and its signature where there is one.

    Nothing is fetched.
    """
    from elbo.companion.release import verify as checks

    try:
        site = checkout(root).html
    except CompanionError:
        if root:
            raise
        site = None
    whole = crate is None and file.suffix == ".zip" and zipfile.is_zipfile(file)
    against = None if whole else checks.find_crate(file, crate, site)
    found = [checks.verify_file(file, against)] if against else checks.verify_bundle(file)
    found += filter(None, [checks.verify_signature(file, key, signature, against)])
    for one in found:
        print(one.said)
    states = {one.state for one in found}
    if checks.CHANGED in states:
        raise typer.Exit(DIFFERENT)
    if checks.UNKNOWN in states:
        raise typer.Exit(USAGE)


@verbs.command(epilog="Example: [bold]elbo metadata[/]. Exit codes: 0 done; 2 there is no CITATION.cff.")
def metadata(root: Root = None) -> None:
    """Write codemeta.json and .zenodo.json anew from CITATION.cff."""
    from elbo.companion.record import metadata as made

    folder = checkout(root).root
    try:
        files = made.files(folder)
    except FileNotFoundError:
        raise CompanionError("there is no CITATION.cff beside _config.yml; write one first") from None
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8", newline="\n")
        print(name)


@verbs.command(
    epilog="Examples: [bold]elbo release --dry-run[/] · [bold]elbo release --key ~/keys/book.pem[/]. "
    "Exit codes: 0 done; 2 not as things stand (the sentence says why); 4 busy; 5 the wheel did not build."
)
def release(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Make the deposit, give no tag.")] = False,
    key: Annotated[Path | None, typer.Option(help="Private Ed25519 key (PEM) that signs the deposit.")] = None,
    root: Root = None,
) -> None:
    """Make the deposit of the version in CITATION.cff from the built pages, then give the commit its tag.

    The archive has the same bytes whenever it is made from the same commit and pages. Nothing is uploaded or pushed.
    """
    from elbo.companion.release import deposit, ready
    from elbo.data.registry import DATASETS

    project = checkout(root)
    found = ready.check(project, dry_run)
    fetched = {name: [one._asdict() for one in source.files] for name, source in DATASETS.items() if source.files}
    made = deposit.make(project, found, fetched, key)
    print(f"version {found.book.version}, commit {found.commit[:12]}, pages of the profile {found.profile}")
    with zipfile.ZipFile(made) as archive:
        for entry in archive.infolist():
            print(f"{entry.file_size:>12,}  {entry.filename}")
    print(f"{made.stat().st_size:>12,}  {project.show(made)}")
    if dry_run:
        print(f"the tag {found.tag} was not given: this was a dry run")
        return
    ready.tag(project, found)
    print(f"the commit has the tag {found.tag}; push it with: git push origin {found.tag}")
