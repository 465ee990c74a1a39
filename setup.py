"""What pyproject.toml cannot say: the version, from git and ``CITATION.cff``, and the book that a wheel carries.

A wheel holds the whole book in ``elbo/_book``: chapters, pages, profiles, claims, reference tables, what was read off
the papers, the tests that the pages quote, the lock file, and two files that stand for git: ``.git_archival.txt`` with
the commit that it was built from, ``.git_tree.txt`` with what that commit holds. A source distribution holds what such
a wheel is built from. An editable install needs none of it: there the checkout is the book.
"""

from __future__ import annotations

import email
import re
import shutil
import subprocess
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py
from setuptools.command.sdist import sdist

ROOT = Path(__file__).resolve().parent
BOOK = Path("elbo", "_book")
COMMIT = ".git_archival.txt"
TREE = ".git_tree.txt"
FILES = ("_config.yml", "_toc.yml", "CITATION.cff", "LICENSE", "README.md", "requirements.lock")
FOLDERS = ("book", "data")


def book_files() -> list[str]:
    """Every file of the book but :data:`COMMIT`, relative to the checkout, in a fixed order."""
    found = [ROOT / name for name in FILES]
    for folder in FOLDERS:
        found += [path for path in (ROOT / folder).rglob("*") if path.is_file() and path.suffix != ".ipynb"]
    for path in (ROOT / "tests").rglob("test_*.py"):
        if "mark.equation" in path.read_text(encoding="utf-8"):  # the pages show these
            found.append(path)
    names = (path.relative_to(ROOT) for path in found)
    return sorted(
        str(name) for name in names if not any(part[0] == "." or part == "__pycache__" for part in name.parts)
    )


def commit() -> str:
    """The content of :data:`COMMIT` for what is built here: as git has it, else as the archive says itself."""
    if not (ROOT / ".git").exists():
        given = ROOT / COMMIT
        text = given.read_text(encoding="utf-8") if given.is_file() else ""
        return "node: \n" if "$Format" in text else text or "node: \n"
    node, date = (_git("log", "-1", f"--format={one}") for one in ("%H", "%cI"))
    changed = bool(_git("status", "--porcelain", "--untracked-files=no"))
    return f"node: {node}\nnode-date: {date}\ndirty: {str(changed).lower()}\n"


def tree() -> str:
    """The content of :data:`TREE`: git's name of the commit's tree, then of each of its files that a wheel can hold."""
    if not (ROOT / ".git").exists():
        given = ROOT / TREE
        return given.read_text(encoding="utf-8") if given.is_file() else ""
    listed = _git("ls-tree", "-r", "--full-tree", "HEAD", "--", "src/elbo", *FILES, *FOLDERS, "tests")
    return f"tree {_git('rev-parse', 'HEAD^{tree}')}\n{listed}\n"


def written() -> dict[str, str]:
    """The two files that stand for git where there is none, by name."""
    return {COMMIT: commit(), TREE: tree()}


def _git(*words: str) -> str:
    try:
        return subprocess.run(["git", "-C", ROOT, *words], capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def released() -> str:
    """The version in ``CITATION.cff``, that of the last release."""
    return re.search(r"^version: *[\"']?([0-9.]+)", (ROOT / "CITATION.cff").read_text(encoding="utf-8"), re.MULTILINE)[
        1
    ]


def version(found) -> str:
    """A tagged commit has its tag's version, which ``CITATION.cff`` names; others are on the way to the next."""
    last = released()
    if found.exact:
        if str(found.tag) != last:
            raise SystemExit(f"the tag says version {found.tag}, CITATION.cff says {last}: make them one")
        return last
    *rest, patch = last.split(".")
    return ".".join([*rest, str(int(patch) + 1)]) + f".dev{found.distance or 0}"


def local(found) -> str:
    """``+g<commit>``, and ``.dirty`` where files differ from it; nothing for a release."""
    if found.exact or not found.node:
        return ""
    return f"+{found.node[:10]}" + (".dirty" if found.dirty else "")


class BuildPy(build_py):
    """Modules, then the book beside them."""

    def run(self) -> None:
        if self.editable_mode:
            super().run()
            return
        shutil.rmtree(
            Path(self.build_lib) / "elbo", ignore_errors=True
        )  # what an earlier build left is not the package's
        super().run()
        for name in book_files():
            target = Path(self.build_lib, BOOK, name)
            self.mkpath(str(target.parent))
            self.copy_file(str(ROOT / name), str(target))
        for name, text in written().items():
            Path(self.build_lib, BOOK, name).write_text(text, encoding="utf-8")

    def get_outputs(self, include_bytecode: bool = True) -> list[str]:
        names = [] if self.editable_mode else [*book_files(), COMMIT, TREE]
        own = (str(Path(self.build_lib, BOOK, name)) for name in names)
        return [*super().get_outputs(include_bytecode), *own]


class Sdist(sdist):
    """What the wheel is built from, and the commit written down, since the distribution has no git."""

    def add_defaults(self) -> None:
        super().add_defaults()
        self.filelist.extend([*book_files(), COMMIT])

    def make_release_tree(self, base_dir: str, files: list[str]) -> None:
        super().make_release_tree(base_dir, files)
        for name, text in written().items():
            target = Path(base_dir) / name
            target.unlink(missing_ok=True)  # it may be a hard link to the checkout's
            target.write_text(text, encoding="utf-8")


def numbered() -> dict:
    """Keywords that give the version: of a source distribution what it was given, else what git or an archive says."""
    known = ROOT / "PKG-INFO"
    if known.is_file():
        return {"version": email.message_from_string(known.read_text(encoding="utf-8"))["Version"]}
    return {"use_scm_version": {"version_scheme": version, "local_scheme": local, "fallback_version": released()}}


setup(cmdclass={"build_py": BuildPy, "sdist": Sdist}, **numbered())
