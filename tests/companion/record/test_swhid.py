"""Identifiers of what made a figure: against git's own objects and the bytes that they are hashed
from, and silent where unsure.
"""

import hashlib
import subprocess
from pathlib import Path

import pytest

from elbo.companion.project import settings
from elbo.companion.record import citation, swhid
from elbo.companion.record.environment import commit

TEXT = b"one\ntwo\nthree\n"
PLACE = "src/elbo/draw;100%.py#L2-L3"


def git(folder: Path, *words: str) -> bytes:
    who = ("-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false")
    return subprocess.run(["git", "-C", str(folder), *who, *words], check=True, capture_output=True).stdout.strip()


@pytest.fixture
def checkout(tmp_path):
    (tmp_path / "src" / "elbo").mkdir(parents=True)
    (tmp_path / "src" / "elbo" / "draw;100%.py").write_bytes(TEXT)
    (tmp_path / "README.md").write_text("read\n")
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-q", "-m", "first")
    return tmp_path


def sha1(kind: str, body: bytes) -> str:
    return hashlib.sha1(f"{kind} {len(body)}\0".encode() + body).hexdigest()


def test_the_identifiers_are_hashes_of_the_objects_bytes(checkout):
    """The bytes of commit and tree come from git, their hash from here; of the file both come from here."""
    said = swhid.identity(checkout, commit(checkout), [PLACE])
    raw = git(checkout, "cat-file", "commit", "HEAD") + b"\n"
    assert said["revision"] == f"swh:1:rev:{sha1('commit', raw)}"
    tree = subprocess.run(["git", "-C", str(checkout), "cat-file", "tree", "HEAD^{tree}"], capture_output=True).stdout
    assert said["directory"] == f"swh:1:dir:{sha1('tree', tree)}"
    (one,) = said["content"]
    path = "/src/elbo/draw%3B100%25.py"
    assert one == f"swh:1:cnt:{sha1('blob', TEXT)};anchor={said['revision']};path={path};lines=2-3"
    assert swhid.content(TEXT) == f"swh:1:cnt:{git(checkout, 'hash-object', PLACE.partition('#')[0]).decode()}"


def test_the_empty_file_has_the_identifier_that_the_standard_prints():
    assert swhid.content(b"") == "swh:1:cnt:e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"


def test_a_changed_checkout_has_no_identity_as_a_whole(checkout):
    (checkout / "README.md").write_text("changed\n")
    said = swhid.identity(checkout, commit(checkout), [PLACE])
    assert said["revision"] is said["directory"] is None
    assert said["content"] == [f"swh:1:cnt:{sha1('blob', TEXT)};lines=2-3"]  # the bytes are what they are


def test_a_file_that_the_revision_does_not_hold_has_no_anchor_in_it(checkout):
    (checkout / "new.py").write_bytes(TEXT)  # untracked, so that the commit counts as unchanged
    git(checkout, "update-index", "--assume-unchanged", PLACE.partition("#")[0])
    (checkout / PLACE.partition("#")[0]).write_bytes(b"other\n")
    said = swhid.identity(checkout, commit(checkout), [PLACE, "new.py#L1-L1", "README.md#L1-L1", "gone.py#L1-L2"])
    assert said["revision"] and [";anchor=" in one for one in said["content"]] == [False, False, True]
    assert said["content"][0].startswith(f"swh:1:cnt:{sha1('blob', b'other' + bytes([10]))};lines=")


def test_without_git_nothing_is_said(tmp_path):
    nothing = {"revision": None, "directory": None, "content": []}
    assert swhid.identity(None, {"commit": None, "dirty": None}, [PLACE]) == nothing
    sha256 = {"commit": "0" * 64, "dirty": False}  # a repository of git's newer kind, whose hashes are no SWHID
    assert swhid.identity(tmp_path, sha256, [PLACE]) == nothing


def test_an_older_record_has_the_revision_of_its_commit():
    record = {"environment": {"commit": "a" * 40, "dirty": False}}
    assert swhid.of(record)["revision"] == swhid.cited(record) == f"swh:1:rev:{'a' * 40}"
    assert swhid.cited({"environment": {"commit": "a" * 40, "dirty": True}}) == ""


def test_a_record_is_not_believed_blindly():
    evil = {"revision": "<script>", "directory": 3, "content": ["x", 3, None]}
    assert swhid.of({"swhid": evil}) == {"revision": None, "directory": None, "content": []}
    assert swhid.of({"swhid": {"content": "swh"}})["content"] == []


def test_the_citation_names_the_lines_and_the_repository_where_it_is_known(checkout):
    said = swhid.identity(checkout, commit(checkout), [PLACE])
    about = {"id": "toy-2013-line", "chapter": "toy-2013", "caption": "How?", "environment": {}, "swhid": said}
    core, _, rest = said["content"][0].partition(";")
    assert swhid.cited(about, "https://example.org/a;b") == f"{core};origin=https://example.org/a%3Bb;{rest}"
    book = citation.Book("Toy", (citation.Author("The authors"),), "0.1.0", "2026-01-02")
    for format in citation.FORMATS:
        assert said["content"][0].replace("%", r"\%" if format == "bibtex" else "%") in citation.cite(
            about, book, format
        )


def test_a_packaged_book_has_the_identifiers_of_its_checkout(checkout, tmp_path, monkeypatch):
    """Modules around the book, no git: what the commit holds was written down when the wheel was built."""
    asked = [PLACE, "README.md#L1-L1"]
    state, said = commit(checkout), swhid.identity(checkout, commit(checkout), asked)
    book = tmp_path / "site-packages" / "elbo" / "_book"
    book.mkdir(parents=True)
    (book.parent / "draw;100%.py").write_bytes(TEXT)
    (book / "README.md").write_text("read\n")
    tree, listed = (
        git(checkout, "rev-parse", "HEAD^{tree}"),
        git(checkout, "-c", "core.quotePath=off", "ls-tree", "-r", "HEAD"),
    )
    (book / swhid.LISTED).write_bytes(b"tree " + tree + b"\n" + listed + b"\n")
    monkeypatch.setattr(settings, "PACKAGE", book.parent)
    monkeypatch.setattr(settings, "PACKAGED", book)
    assert swhid.identity(book, state, asked) == said and len(said["content"]) == 2
    (book.parent / "draw;100%.py").write_bytes(TEXT + b"# edited where it is installed\n")
    assert "anchor" not in swhid.identity(book, state, asked)["content"][0]
    (book / swhid.LISTED).unlink()  # the repository around it, if there is one, is not asked
    assert swhid.identity(book, state, asked)["directory"] is None
