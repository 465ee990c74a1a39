"""Software Heritage identifiers (SWHID, ISO/IEC 18670) of what made a figure, from git and from the bytes alone.

An identifier of git *is* one of Software Heritage: ``swh:1:rev:`` before the SHA-1 of a commit, ``swh:1:dir:``
before that of its tree, ``swh:1:cnt:`` before that of a file. A part of a file has the qualifier ``lines``;
``anchor`` and ``path`` say in which revision, and where in it, the file is found. No service is asked, and whether
an archive holds a copy is not said.

Nothing false is said of a checkout with changes: there the revision and its directory are left out, and a file is named
by the bytes that were there, without an anchor.
"""

from __future__ import annotations

import hashlib
import re
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from elbo.companion.project.settings import is_packaged, source_file

__all__ = ["LISTED", "cited", "content", "identity", "of"]

LISTED = ".git_tree.txt"
"""The file in which the build of a wheel writes down what its commit holds, since a packaged book has no git."""
_CORE = re.compile(r"swh:1:(rev|dir|cnt):[0-9a-f]{40}")
_SHA1 = re.compile(r"[0-9a-f]{40}")


def content(data: bytes) -> str:
    """The identifier of a file's bytes: SHA-1 over ``blob <length>\\0`` and the bytes, as git has it."""
    digest = hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False)
    return f"swh:1:cnt:{digest.hexdigest()}"


def identity(folder: Path | None, about: dict[str, Any], places: Iterable[str]) -> dict[str, Any]:
    """What a figure came from, as identifiers.

    Args:
        folder: the checkout, ``None`` where there is none.
        about: ``commit`` and ``dirty`` (:func:`elbo.companion.record.environment.commit`).
        places: ``src/elbo/figures/....py#L10-L20``, seen from ``folder``; a file that is not there is left out.

    Returns:
        ``revision`` and ``directory``, ``None`` where they are not known or the checkout had changes, and
        ``content``: one identifier for each place, with ``anchor``, ``path`` and ``lines`` where that
        revision holds exactly these bytes.
    """
    sha = about.get("commit")
    clean = about.get("dirty") is False and bool(sha) and bool(_SHA1.fullmatch(str(sha)))
    revision = f"swh:1:rev:{sha}" if clean else None
    tree = _tree(folder, str(sha)) if folder and clean else None
    names = dict.fromkeys(place.partition("#L")[0] for place in places)
    files = {name: source_file(folder, name) for name in names if folder}
    found = {name: path.read_bytes() for name, path in files.items() if path.is_file()}
    held = _held(folder, str(sha), list(found)) if folder and clean and found else set()
    contents = []
    for place in places:
        name, _, numbers = place.partition("#L")
        if name in found:
            core = content(found[name])
            anchored = revision if (name, core.removeprefix("swh:1:cnt:")) in held else None
            contents.append(_qualified(core, anchored, name, numbers.replace("-L", "-")))
    return {
        "revision": revision,
        "directory": f"swh:1:dir:{tree}" if tree and _SHA1.fullmatch(tree) else None,
        "content": contents,
    }


def of(record: dict[str, Any], origin: str = "") -> dict[str, Any]:
    """The identifiers in a figure's record, of an older record those that follow from its commit.

    ``origin``, the address of the repository, is named in each where it is known. What has not the
    form of an identifier is left out.
    """
    said = record.get("swhid")
    if not isinstance(said, dict):
        said = identity(None, record.get("environment") or {}, ())
    listed = said.get("content")
    contents = [_from(origin, text) for text in (listed if isinstance(listed, list) else []) if _is(text)]
    kept = {name: _from(origin, said[name]) if _is(said.get(name)) else None for name in ("revision", "directory")}
    return {**kept, "content": contents}


def cited(record: dict[str, Any], origin: str = "") -> str:
    """The one identifier for a citation: the lines that made the figure, anchored in their revision,
    else the revision, else the lines alone; may be empty.
    """
    said = of(record, origin)
    anchored = [one for one in said["content"] if ";anchor=" in one]
    return next(iter(anchored), said["revision"] or next(iter(said["content"]), ""))


def _is(text: Any) -> bool:
    return isinstance(text, str) and bool(_CORE.match(text))


def _from(origin: str, text: str) -> str:
    core, _, qualifiers = text.partition(";")
    return ";".join(filter(None, [core, origin and f"origin={_escaped(origin)}", qualifiers]))


def _qualified(core: str, anchor: str | None, path: str, lines: str) -> str:
    said = {"anchor": anchor, "path": _escaped(f"/{path}") if anchor else None, "lines": lines}
    return ";".join([core, *(f"{name}={value}" for name, value in said.items() if value)])


def _escaped(text: str) -> str:
    """The two characters that a value of a qualifier may not hold as they are."""
    return text.replace("%", "%25").replace(";", "%3B")


def _held(folder: Path, commit: str, names: list[str]) -> set[tuple[str, str]]:
    """``(name, SHA-1)`` of those files that a commit holds."""
    if (written := _written_down(folder)) is not None:
        listed = written[1:]
    else:
        listed = (_git(folder, "ls-tree", "-r", "-z", "--full-tree", commit, "--", *names) or "").split("\0")
    rows = [line.partition("\t") for line in listed if line]
    return {(name, about.split()[2]) for about, _, name in rows if name in names}


def _tree(folder: Path, commit: str) -> str | None:
    """git's name of the tree of a commit."""
    if (written := _written_down(folder)) is not None:
        return written[0].removeprefix("tree ") if written else None
    return _git(folder, "rev-parse", f"{commit}^{{tree}}")


def _written_down(folder: Path) -> list[str] | None:
    """Lines of :data:`LISTED`: the tree, then its files as ``git ls-tree -r`` has them;
    ``None`` where git is to be asked.
    """
    try:
        return (folder / LISTED).read_text(encoding="utf-8").splitlines()
    except OSError:
        return [] if is_packaged(folder) else None


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip("\n")
