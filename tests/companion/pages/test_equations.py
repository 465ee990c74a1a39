"""The mark beside an equation leads to the source of its test, and claims no more than the build knows."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

import elbo
import toybook
import toysite
from checkout import ROOT
from elbo.companion.pages import equations
from elbo.companion.pages.build import stage
from elbo.companion.pages.equations import Check, Results
from elbo.companion.pages.marks import mark, place
from elbo.companion.project import settings
from elbo.companion.project.paths import Project
from elbo.companion.record import fingerprint

PAGE = "# One\n\n$$\na = b\n$$ (eq-one-first)\n\nText.\n\n$$\nc \\le d\n$$ (eq-one-second)\n\n$$\ne\n$$\n"
TESTS = '''import pytest


@pytest.mark.equation("eq-one-first", "eq-one-second")
def test_both():
    """Both <sides>."""
    assert 1 + 1 == 2


@pytest.mark.parametrize("x", [1, pytest.param(2, marks=pytest.mark.equation("eq-one-second"))])
def test_second(x):
    assert x


def test_neither():
    pass
'''
CHECKS = "# Checks\n\n```{equation-checks}\n```\n"
STATUS = "# Status\n\n" + "".join(
    f"```{{elbo-status}} {part}\n```\n\n" for part in ("build", "figures", "reference-tables", "equations")
)


def write(root: Path, tests: str | None = TESTS, page: str = PAGE) -> Path:
    config = yaml.safe_load((ROOT / "_config.yml").read_text())
    config["execute"]["execute_notebooks"] = "off"
    config["bibtex_bibfiles"] = ["book/references.bib"]
    config["sphinx"]["config"] |= {"html_static_path": [], "html_css_files": []}
    (root / "book").mkdir(parents=True)
    (root / "book" / "references.bib").write_text("")
    (root / "_config.yml").write_text(yaml.safe_dump(config))
    listed = [{"file": f"book/{name}"} for name in ("checks", "status")]
    (root / "_toc.yml").write_text(yaml.safe_dump({"format": "jb-book", "root": "book/one", "chapters": listed}))
    for name, text in {"one": page, "checks": CHECKS, "status": STATUS}.items():
        (root / "book" / f"{name}.md").write_text(text)
    if tests is not None:
        (root / "tests").mkdir()
        (root / "tests" / "test_toy.py").write_text(tests)
    return root


def note(root: Path, **outcomes: str) -> None:
    """Outcomes of the toy tests, as ``tests/conftest.py`` notes them."""
    package = fingerprint.directory_digest(Path(toybook.frozen_package()) / "elbo")
    module = fingerprint.file_digest(root / "tests" / "test_toy.py")
    tests = {
        f"tests/test_toy.py::test_{name}": {"outcome": o, "package": package, "module": module}
        for name, o in outcomes.items()
    }
    told = {"finished": "2026-01-02T03:04:05+00:00", "commit": "c" * 40, "dirty": False, "tests": tests}
    (root / "tests" / equations.RESULTS).write_text(json.dumps(told))


def add_figure(root: Path) -> None:
    """A chapter with one figure, and beside it what `elbo build` lays there of its run."""
    toysite.notebook(root / "book" / "toy-2013.ipynb", "# A toy", toysite.output("toy-2013-line"))
    contents = yaml.safe_load((root / "_toc.yml").read_text())
    contents["chapters"].append({"file": "book/toy-2013.ipynb"})
    (root / "_toc.yml").write_text(yaml.safe_dump(contents))
    run = root / "runs" / "toy-2013"
    run.mkdir(parents=True)
    (run / "run.json").write_text(
        json.dumps({"finished": "2027-01-02T03:04:05+00:00", "seconds": 75.2, "seeds": {"seed": 3}})
    )


def build(root: Path, **environment: str) -> subprocess.CompletedProcess:
    command = [Path(sys.prefix) / "bin" / "jupyter-book", "build", root, "-n", "-W", "--keep-going", "--all"]
    return subprocess.run(command, capture_output=True, text=True, env=os.environ | {"NO_COLOR": "1"} | environment)


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    root = write(tmp_path_factory.mktemp("marks"))
    add_figure(root)
    done = build(root)
    assert done.returncode == 0, done.stdout + done.stderr
    return root / "_build" / "html" / "book"


def test_a_mark_leads_to_the_test(built):
    html = (built / "one.html").read_text()
    marks = re.findall(
        r'<a class="elbo-check-mark elbo-info" href="([^"]+)" title="([^"]+)"><span[^>]*>tested([^<]+)</span></a>', html
    )
    assert marks == [
        (
            "checks.html#check-eq-one-first",
            "checked by test_both in tests/test_toy.py",
            " (equation 1 is checked by test_both in tests/test_toy.py)",
        ),
        (
            "checks.html#check-eq-one-second",
            "checked by test_both in tests/test_toy.py and test_second in tests/test_toy.py",
            " (equation 2 is checked by test_both in tests/test_toy.py and test_second in tests/test_toy.py)",
        ),
    ]
    page = (built / "checks.html").read_text()
    assert all(f'id="{href.partition("#")[2]}"' in page for href, _, _ in marks)
    assert "passed" not in html and "https:" not in " ".join(href for href, _, _ in marks)


def test_the_page_of_checks_shows_each_test_once_and_links_back(built):
    page = (built / "checks.html").read_text()
    text = re.sub(r"<[^>]+>", "", page)
    assert text.count("def test_both():") == 1 and text.count("def test_second(x):") == 1 and "test_neither" not in text
    assert "Both &lt;sides&gt;." in text
    assert 'href="one.html#equation-eq-one-first"' in page and "tests/test_toy.py, lines 4 to 7" in text
    assert "shown above" in text


def test_status_counts_and_says_what_it_does_not_know(built):
    text = " ".join(re.sub(r"<[^>]+>", " ", (built / "status.html").read_text()).split())
    assert "2 equations are labelled and 2 of them have a test. How the tests ended is not known to this build" in text
    assert "One 2 2 not known not known" in text
    assert "A toy . Ran to its end on 2027-01-02 03:04 UTC in 75 s: profile quick, on " in text
    assert re.search(r"commit [0-9a-f]{12}(, with changes)?, seed = 3\. figure verified table \(sha256\)", text)
    digest = hashlib.sha256((built.parent / "figures" / "toy-2013-line.csv").read_bytes()).hexdigest()
    assert f"toy-2013-line 2027-01-02 03:04 UTC {digest[:12]}…" in text
    for record in sorted((ROOT / "data" / "reference").glob("*/*.json")):
        digest = json.loads(record.read_text())["sha256"]
        assert f"{record.parent.name}/{record.stem}" in text and f"{digest[:12]}…, the same now" in text


def test_outcomes_on_record_are_shown_and_a_missing_test_fails_the_build(tmp_path):
    """Two questions, one build of the pages."""
    root = write(tmp_path / "toy", TESTS.replace('"eq-one-first", "eq-one-second"', '"eq-one-second"'))
    note(root, both="passed", second="failed")
    done = build(root, PYTHONPATH=toybook.frozen_package())  # the outcomes hold for one state of the package
    assert done.returncode != 0
    assert "equation eq-one-first has no check: write a test marked" in done.stderr
    html = (root / "_build" / "html" / "book" / "one.html").read_text()
    assert html.count("elbo-check-mark") == 1 and ">✗ test failed<" in html and "which failed" in html
    text = " ".join(re.sub(r"<[^>]+>", " ", (root / "_build/html/book/status.html").read_text()).split())
    assert "2 equations are labelled and 1 of them have a test. Of 0 the tests passed in the last run" in text
    assert "on 2026-01-02 03:04 UTC, commit cccccccccccc" in text
    assert "This build has published no figure." in text


def test_outcomes_of_another_state_do_not_count(tmp_path, monkeypatch):
    root = write(tmp_path / "toy")
    tests = root / "tests"
    note(root, both="passed", second="passed")
    monkeypatch.setattr(settings, "PACKAGE", Path(toybook.frozen_package()) / "elbo")
    found = equations.checks(tests)
    known = equations.results(tests / equations.RESULTS, tests)
    assert known.of(found["eq-one-first"]) == known.of(found["eq-one-second"]) == "passed"
    assert known.commit == "c" * 40
    (tests / "test_toy.py").write_text(TESTS + "\n")
    assert equations.results(tests / equations.RESULTS, tests) == Results({})
    (tests / "test_toy.py").write_text(TESTS)
    told = json.loads((tests / equations.RESULTS).read_text())
    told["tests"]["tests/test_toy.py::test_both"]["package"] = "0" * 64
    (tests / equations.RESULTS).write_text(json.dumps(told))
    assert equations.results(tests / equations.RESULTS, tests).of(found["eq-one-first"]) is None
    (tests / equations.RESULTS).write_text("[]")
    assert equations.results(tests / equations.RESULTS, tests) == Results({})


@pytest.mark.parametrize(
    ("outcomes", "said"),
    [
        (["passed", "passed"], "passed"),
        (["passed", "failed"], "failed"),
        (["failed", None], "failed"),
        (["passed", None], None),
        (["passed", "skipped"], "skipped"),
        ([None], None),
    ],
)
def test_an_equation_is_as_good_as_its_worst_test(outcomes, said):
    checks = [Check(("eq-x",), f"test_{i}", "tests/test_x.py", 1, 2, "") for i in range(len(outcomes))]
    known = Results({check.name: outcome for check, outcome in zip(checks, outcomes, strict=True) if outcome})
    assert known.of(checks) == said
    assert ("which passed" in mark(checks, said, "x", "1")) == (said == "passed")


def test_a_build_takes_the_checks_along(tmp_path):
    """What the pages show lies in the source tree of the build, so that a changed test makes the pages anew."""
    root = write(tmp_path / "toy")
    (root / "tests" / "test_other.py").write_text("def test_other(): pass\n")
    (root / "_build").mkdir()
    (root / "_build" / equations.RESULTS).write_text("{}")
    stage(Project(root), "smoke", [], tmp_path / "tree")
    assert {path.name for path in (tmp_path / "tree" / "tests").iterdir()} == {"test_toy.py", equations.RESULTS}
    assert equations.checks(tmp_path / "tree" / "tests") == equations.checks(root / "tests")
    assert equations.labels(Project(tmp_path / "tree")) == {"eq-one-first": "book/one", "eq-one-second": "book/one"}


def test_lines_are_linked_only_where_the_repository_holds_them():
    check, clean = Check(("eq-x",), "test_x", "tests/test_x.py", 3, 9, ""), {"commit": "a" * 40, "dirty": False}
    link = place(check, "https://example.org/book", clean)
    assert link["refuri"] == f"https://example.org/book/blob/{'a' * 40}/tests/test_x.py#L3-L9"
    for repository, state in (
        ("", clean),
        ("https://example.org/book", clean | {"dirty": True}),
        ("x", {"commit": None, "dirty": None}),
    ):
        assert place(check, repository, state).astext() == "tests/test_x.py, lines 3 to 9"
        assert "refuri" not in getattr(place(check, repository, state), "attributes", {})


def test_a_mark_that_nothing_can_be_read_from(tmp_path):
    tests = write(tmp_path / "toy", "import pytest\npytestmark = pytest.mark.equation('eq-one-first')\n") / "tests"
    with pytest.raises(ValueError, match=r"test_toy\.py, line 2: put @pytest\.mark\.equation"):
        equations.checks(tests)
    (tests / "test_toy.py").write_text("import pytest\nL = 'x'\n@pytest.mark.equation(L)\ndef test(): pass\n")
    with pytest.raises(ValueError, match=r"line 3: say @pytest\.mark\.equation\(.*labels in quotes"):
        equations.checks(tests)


def test_outcomes_are_noted_by_the_tests_themselves(tmp_path):
    """A run of marked tests under this directory's conftest.py, in a checkout of its own."""
    root = write(tmp_path / "toy", TESTS + '\n\n@pytest.mark.equation("eq-x")\ndef test_wrong():\n    assert False\n')
    shutil.copy(ROOT / "tests" / "conftest.py", root / "tests")
    (root / "tests" / "support").mkdir()
    shutil.copy(ROOT / "tests" / "support" / "checkout.py", root / "tests" / "support")
    shutil.copytree(Path(elbo.__file__).parent, root / "src" / "elbo", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", root)

    def run(*arguments):
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments]
        subprocess.run(command, cwd=root, capture_output=True, env={**os.environ, "PYTHONPATH": str(root / "src")})
        told = json.loads((root / "_build" / equations.RESULTS).read_text())
        return {name.partition("::")[2]: one["outcome"] for name, one in told["tests"].items()}

    assert run("-n", "2") == {"test_both": "passed", "test_second": "passed", "test_wrong": "failed"}
    assert run("-k", "both") == {
        "test_both": "passed",
        "test_second": "passed",
        "test_wrong": "failed",
    }  # the others are kept
    (root / "tests" / "test_toy.py").write_text(TESTS)
    assert run("-k", "both") == {"test_both": "passed"}  # nothing is known of the other tests in this file
