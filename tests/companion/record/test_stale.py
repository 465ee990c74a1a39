"""What makes an accepted run stale: any module of the package, the mathematics as well as the publishing wing."""

from __future__ import annotations

import pytest

import toybook

KEY = "alpha-2001"


@pytest.fixture(scope="module")
def accepted(tmp_path_factory):
    """A book with one accepted run, and the copy of the package that made it."""
    root = toybook.write_book(tmp_path_factory.mktemp("stale") / "book", KEY)
    package = toybook.copy_package(root.parent)
    done = toybook.elbo(root, "run", KEY, package_folder=package.parent)
    assert done.returncode == 0, done.stderr
    return root, package


def run(accepted):
    """What ``elbo run`` says when it is asked again."""
    root, package = accepted
    done = toybook.elbo(root, "run", KEY, package_folder=package.parent)
    assert done.returncode == 0, done.stderr
    return done.stderr


@pytest.mark.parametrize("module", ["densities.py", "companion/__init__.py"])
def test_a_touched_module_makes_an_accepted_run_stale(accepted, module):
    assert "up to date" in run(accepted)
    path = accepted[1] / module
    path.write_text(path.read_text() + "\n# touched\n")
    said = run(accepted)
    assert "up to date" not in said and "done in" in said
    assert "up to date" in run(accepted)
