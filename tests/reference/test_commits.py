"""Where a reference table was measured is a commit that a reader of this repository can check out."""

import json
import subprocess

import pytest

from checkout import ROOT

RECORDS = sorted((ROOT / "data" / "reference").rglob("*.json"))


def git(*arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, text=True)


def commits(record: dict) -> set[str]:
    """Of the table and of each of its parts."""
    return {one["commit"] for one in (record, *record.get("parts", ())) if one.get("commit")}


def ancestors(found: set[str]) -> set[str]:
    """Those of the commits that the history of this checkout holds."""
    return {commit for commit in found if git("merge-base", "--is-ancestor", commit, "HEAD").returncode == 0}


@pytest.fixture(scope="module")
def history() -> None:
    shallow = git("rev-parse", "--is-shallow-repository").stdout.strip()
    if shallow != "false":
        pytest.skip("this checkout has no history or a part of it: clone it whole to check the commits of the records")


def test_every_record_names_commits_of_this_history(history):
    named = {path: commits(json.loads(path.read_text())) for path in RECORDS}
    assert named and all(named.values())
    known = ancestors(set().union(*named.values()))
    lost = {path.relative_to(ROOT).as_posix(): sorted(found - known) for path, found in named.items() if found - known}
    assert not lost, f"measure these tables again, from a commit that stays: {lost}"


def test_a_commit_that_is_in_no_history_is_found_out(history):
    assert ancestors({"0123456789" * 4}) == set()
    assert ancestors({git("rev-parse", "HEAD").stdout.strip()})
