"""The deposit of a version: one archive with all that belongs to it, described by a crate, the same bytes every time.

In it are the wheel, the editions that have been built, the executed notebooks with what is known of their runs, the
checksums of the data, citation and codemeta, the changelog of the version, and ``SHA256SUMS``. Times are those of the
commit, or of ``SOURCE_DATE_EPOCH``; entries are sorted, and their modes are fixed.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from elbo.companion.project.errors import BUILD, CompanionError
from elbo.companion.project.paths import Project, hold, replace_directory, staging
from elbo.companion.record import fingerprint, metadata
from elbo.companion.record.book import LICENSE, Author, doi_address
from elbo.companion.record.environment import lock_digest
from elbo.companion.release import signatures
from elbo.companion.release.ready import Release
from elbo.companion.release.verify import NAME

__all__ = ["SUMS", "contents", "describe", "make", "pack", "wheel"]

SUMS = "SHA256SUMS"
_TOP = ("CITATION.cff", "LICENSE", "README.md", "requirements.lock", "book/LICENSE.txt", "book/references.bib")
_ABOUT = {
    "dist/": "The package, with the book in it.",
    "editions/": "The book, as it is read.",
    "notebooks/": "A chapter as executed, or what is known of its run.",
    "data.json": "Checksums of every data set that is fetched, of the reference tables and of the lock file.",
    "CHANGES.md": "What is new in this version.",
    SUMS: "sha256 of every other file.",
}
_KINDS = {"zip": "application/zip", "whl": "application/zip", "pdf": "application/pdf", "epub": "application/epub+zip",
          "json": "application/json", "ipynb": "application/x-ipynb+json", "md": "text/markdown", "cff": "text/yaml",
          "bib": "application/x-bibtex"}  # fmt: skip


def make(project: Project, release: Release, data: dict[str, Any], key: Path | None = None) -> Path:
    """Make the deposit in ``_build/release``, with its sha256 and, by a private key, signatures beside it.

    Args:
        data: what there is to fetch, as it is to stand in ``data.json``.
        key: an Ed25519 key in PEM form; it signs the deposit.

    Raises:
        CompanionError: the wheel could not be built (exit code 5), or another release is under way (4).
    """
    epoch = int(os.environ.get("SOURCE_DATE_EPOCH") or release.made)
    name = f"carving-the-elbo-{release.book.version}.zip"
    folder = project.build / "release"
    with hold(folder, "the release"), staging(folder) as stage, tempfile.TemporaryDirectory() as built:
        files = contents(project, release, data, epoch) | wheel(project, release, epoch, Path(built))
        files[SUMS] = "".join(f"{_sha(files[one])}  {one}\n" for one in sorted(files)).encode()
        files[NAME] = describe(release, files, epoch)
        made = stage / "made"
        made.mkdir()
        archive = pack(files, epoch)
        (made / name).write_bytes(archive)
        (made / f"{name}.sha256").write_text(f"{_sha(archive)}  {name}\n", encoding="utf-8")
        if key:
            (made / f"{name}{signatures.DETACHED}").write_bytes(signatures.sign(archive, key))
        replace_directory(made, folder)
    return folder / name


def contents(project: Project, release: Release, data: dict[str, Any], epoch: int) -> dict[str, bytes]:
    """The files of the deposit but the wheel, by their place in it."""
    stem = f"carving-the-elbo-{release.book.version}"
    files = {name: path.read_bytes() for name in _TOP if (path := project.root / name).is_file()}
    files |= {name: text.encode() for name, text in metadata.files(project.root).items()}
    files["CHANGES.md"] = f"# {release.book.version}\n\n{release.changes}".encode()
    files["data.json"] = _json(
        {
            "fetched": data,
            "reference": _digests(project.root / "data" / "reference"),
            "lock_sha256": lock_digest(project.root),
        }
    )
    site = {path.relative_to(project.html).as_posix(): path.read_bytes() for path in _files(project.html)}
    files[f"editions/{stem}-html.zip"] = pack(site, epoch)
    for edition in ("pdf", "epub"):
        for path in sorted((project.build / edition).glob(f"*.{edition}"))[:1]:
            files[f"editions/{stem}.{edition}"] = path.read_bytes()
    for run in sorted(project.runs(release.profile).glob("[!.]*/run.json")):
        key = run.parent.name
        files[f"notebooks/{key}.ipynb"] = (run.parent / f"{key}.ipynb").read_bytes()
        files[f"notebooks/{key}.run.json"] = run.read_bytes()
    return files


def wheel(project: Project, release: Release, epoch: int, folder: Path) -> dict[str, bytes]:
    """The wheel of the commit, built from a clone of it, so that nothing else in the checkout gets in.

    Raises:
        CompanionError: it did not build (exit code 5); the last line of what was said is in the sentence.
    """
    clone, out = folder / "clone", folder / "dist"
    fixed = {"SOURCE_DATE_EPOCH": str(epoch), "SETUPTOOLS_SCM_PRETEND_VERSION": release.book.version}
    for command in (
        ["git", "clone", "--quiet", "--shared", "--no-checkout", str(project.root.resolve()), str(clone)],
        ["git", "-C", str(clone), "checkout", "--quiet", "--detach", release.commit],
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(clone)],
    ):
        done = subprocess.run(command, capture_output=True, text=True, env=os.environ | fixed, umask=0o022)
        if done.returncode:
            said = (done.stderr or done.stdout).strip().splitlines() or [""]
            raise CompanionError(
                f"the wheel was not built: {said[-1]} (it needs the packages build and setuptools-scm)", BUILD
            )
    return {f"dist/{path.name}": path.read_bytes() for path in sorted(out.glob("*.whl"))}


def describe(release: Release, files: dict[str, bytes], epoch: int) -> bytes:
    """The crate of the deposit: what it is, and every file with its size and sha256."""
    from rocrate.model.contextentity import ContextEntity
    from rocrate.rocrate import ROCrate

    crate, book = ROCrate(), release.book
    root = crate.root_dataset
    root["name"], root["version"] = f"{book.title}, version {book.version}", book.version
    root["datePublished"] = time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime(epoch))
    root["description"] = (
        "A version of the book as it is kept: package, editions, executed notebooks, checksums of the data."
    )
    root["identifier"] = doi_address(book.doi) if book.doi else f"swh:1:rev:{release.commit}"
    if book.url:
        root["url"] = book.url
    about = {
        "@type": "CreativeWork",
        "name": "Creative Commons Attribution 4.0 International",
        "description": "Prose and figures may be shared and adapted, with credit; the code is under the MIT licence.",
    }
    root["license"] = crate.add(ContextEntity(crate, LICENSE, about))
    authors = [crate.add(ContextEntity(crate, *_agent(author))) for author in book.authors]
    root["author"] = root["publisher"] = authors
    for name in sorted(files):
        said = next((text for start, text in _ABOUT.items() if name.startswith(start)), f"{name} of the checkout.")
        kind = _KINDS.get(name.rpartition(".")[2], "text/plain")
        crate.add_file(
            dest_path=name,
            properties={
                "name": name.rpartition("/")[2],
                "description": said,
                "encodingFormat": kind,
                "contentSize": str(len(files[name])),
                "sha256": _sha(files[name]),
            },
        )
    return _json(crate.metadata.generate())


def pack(files: dict[str, bytes], epoch: int) -> bytes:
    """An archive whose bytes depend on names, contents and ``epoch`` alone."""
    import io

    moment = max(time.gmtime(epoch)[:6], (1980, 1, 1, 0, 0, 0))  # the format knows no earlier time
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, moment)
            entry.create_system, entry.external_attr = 3, 0o100644 << 16
            archive.writestr(entry, files[name], zipfile.ZIP_DEFLATED, 9)
    return stream.getvalue()


def _agent(author: Author) -> tuple[str, dict[str, str]]:
    name = author.name or f"{author.given} {author.family}".strip()
    return author.orcid or "#" + "-".join(name.split()), {
        "@type": "Organization" if author.name else "Person",
        "name": name,
    }


def _files(folder: Path) -> Iterable[Path]:
    return (path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != ".buildinfo")


def _digests(folder: Path) -> dict[str, str]:
    return {path.relative_to(folder).as_posix(): fingerprint.file_digest(path) for path in _files(folder)}


def _sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _json(value: Any) -> bytes:
    return (json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode()
