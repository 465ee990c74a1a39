"""Whether a file is the one that was published: against the checksums in a crate, and the signature where there is one.

A crate is the ``ro-crate-metadata.json`` of a built site or of a deposit, which lists every file with its sha256.
Nothing is fetched. A file is looked up by its place in the crate's folder, else by its bytes, else by its name.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from dataclasses import dataclass
from pathlib import Path

from elbo.companion.project.errors import CompanionError, quote
from elbo.companion.release import signatures

__all__ = [
    "CHANGED",
    "NAME",
    "SAME",
    "UNKNOWN",
    "Crate",
    "Finding",
    "find_crate",
    "verify_bundle",
    "verify_file",
    "verify_signature",
]

NAME = "ro-crate-metadata.json"
SAME, CHANGED, UNKNOWN = "same", "changed", "unknown"
_SITES = "editions/"
_LIMIT = 256 * 2**20


@dataclass(frozen=True)
class Finding:
    """What became of one file: ``state`` is :data:`SAME`, :data:`CHANGED` or :data:`UNKNOWN`, ``said`` a sentence."""

    state: str
    said: str


@dataclass(frozen=True)
class Crate:
    """A crate that was read: its name for sentences, where its files lie (``None``: in an archive), sha256 by path."""

    name: str
    folder: Path | None
    files: dict[str, str]


def find_crate(file: Path, given: Path | None, site: Path | None) -> Crate:
    """The crate to check a file against: the given one (a JSON file, a folder or an archive), else that of a folder
    around the file, else that of the built site.

    Raises:
        CompanionError: there is none, or it cannot be read.
    """
    if given:
        place = given / NAME if given.is_dir() else given
        if place.is_file() and zipfile.is_zipfile(place):
            return _in_archive(place, file)
        return _read(place)
    around = [folder / NAME for folder in file.resolve().parents]
    for place in filter(None, [*around, site and site / NAME]):
        if place.is_file():
            return _read(place)
    raise CompanionError(f"there is no {NAME} around {quote(file.name)} and no built book; name one with --crate")


def verify_file(file: Path, crate: Crate) -> Finding:
    """One file against a crate."""
    digest = hashlib.sha256(_bytes(file)).hexdigest()
    if crate.folder and file.resolve().is_relative_to(crate.folder):
        place = file.resolve().relative_to(crate.folder).as_posix()
        if place in crate.files:
            return _compared(place, digest, crate)
    if held := [place for place, known in crate.files.items() if known == digest]:
        return _compared(held[0], digest, crate)
    named = [place for place in crate.files if place.rpartition("/")[2] == file.name]
    if named:
        return _compared(named[0], digest, crate)
    return Finding(UNKNOWN, f"{file.name} is not a file of {crate.name}: neither its name nor its bytes are in it")


def verify_bundle(file: Path) -> list[Finding]:
    """Every file in a deposit against the crate in it: those that differ, are missing, or that it does not list; else
    one finding that all are the same.

    Raises:
        CompanionError: it is no archive with a crate in it.
    """
    crate = _in_archive(file)
    found: list[Finding] = []
    with zipfile.ZipFile(file) as archive:
        held = {info.filename: info for info in archive.infolist() if not info.is_dir()}
        for place in sorted(crate.files):
            if place not in held:
                found.append(Finding(CHANGED, f"{place} is missing from {file.name}"))
                continue
            one = _compared(place, hashlib.sha256(_inside(archive, place)).hexdigest(), crate)
            found += [one] if one.state != SAME else []
    for place in sorted(set(held) - set(crate.files) - {NAME}):
        found.append(Finding(UNKNOWN, f"{place} is in {file.name}, but its crate does not list it"))
    return found or [Finding(SAME, f"{file.name}: all {len(crate.files)} files are those that its crate lists")]


def verify_signature(file: Path, key: Path | None, given: Path | None, crate: Crate | None) -> Finding | None:
    """The signature of a file: the given one, else the one beside it, else, for a file that is looked up in a crate,
    that beside the crate; ``None`` where there is none.

    Raises:
        CompanionError: there is a key and no signature, or the key cannot be read.
    """
    signature = given or signatures.beside(file)
    if signature is None and crate and crate.folder:
        file = crate.folder / crate.name
        signature = signatures.beside(file)
    if signature is None:
        if key:
            raise CompanionError(f"there is no signature beside {quote(file.name)}; name one with --signature")
        return None
    if key is None:
        return Finding(SAME, f"{signature.name} was not checked: say with --key whose it should be")
    trusted = signatures.public_key(key)
    wrong = signatures.check(signature, _bytes(file), trusted)
    if wrong:
        return Finding(CHANGED, f"the signature {signature.name} does not hold: {wrong}")
    return Finding(
        SAME, f"{signature.name} is the signature of the key {signatures.fingerprint(trusted)} over {file.name}"
    )


def _compared(place: str, digest: str, crate: Crate) -> Finding:
    if crate.files[place] == digest:
        return Finding(SAME, f"{place} is the file that {crate.name} lists (sha256 {digest})")
    return Finding(
        CHANGED, f"{place} is not the file that {crate.name} lists: sha256 {digest}, not {crate.files[place]}"
    )


def _read(place: Path) -> Crate:
    content = _bytes(place)
    return Crate(place.name, place.resolve().parent, _listed(content, place.name))


def _in_archive(archive: Path, wanted: Path | None = None) -> Crate:
    """The crate of a deposit; where it does not know a wanted file, that of the site in it."""
    try:
        with zipfile.ZipFile(archive) as opened:
            crate = Crate(f"the crate in {archive.name}", None, _listed(_inside(opened, NAME), archive.name))
            sites = [name for name in crate.files if name.startswith(_SITES) and name.endswith(".zip")]
            if wanted is None or verify_file(wanted, crate).state != UNKNOWN or not sites:
                return crate
            inner = io.BytesIO(_inside(opened, sites[0]))
        with zipfile.ZipFile(inner) as opened:
            listed = _listed(_inside(opened, NAME), archive.name)
            return Crate(f"the crate of the site in {archive.name}", None, listed)
    except (OSError, KeyError, zipfile.BadZipFile):
        raise CompanionError(f"{quote(archive.name)} is no archive with a {NAME} in it") from None


def _inside(archive: zipfile.ZipFile, name: str) -> bytes:
    if archive.getinfo(name).file_size > _LIMIT:
        raise CompanionError(f"{quote(name)} in the archive is too large to be read")
    return archive.read(name)


def _listed(content: bytes, name: str) -> dict[str, str]:
    try:
        graph = json.loads(content)["@graph"]
        return {entity["@id"]: entity["sha256"] for entity in graph if "sha256" in entity}
    except (ValueError, KeyError, TypeError, RecursionError):
        raise CompanionError(f"{quote(name)} is no crate: it has not the form of {NAME}") from None


def _bytes(path: Path) -> bytes:
    try:
        if path.stat().st_size > _LIMIT:
            raise CompanionError(f"{quote(path.name)} is too large to be a file of this book")
        return path.read_bytes()
    except OSError as error:
        raise CompanionError(f"{quote(path.name)} cannot be read: {error.strerror or error}") from None
