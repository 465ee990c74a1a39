"""From chapters to pages, with the real jupyter-book: what is built, what is kept, what is not done twice."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import nbformat
import psutil
import pytest

from elbo.cli import main
from elbo.companion.pages.build import _config, _html_marker
from elbo.companion.project.chapters import read_chapter
from elbo.companion.project.paths import Project
from toybook import contents, elbo, left_over, sentences, start, wait_for, write_book

FIGURE = "application/vnd.elbo.figure+json"


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A book of two chapters, built on a profile that changes a parameter, in a directory whose name has braces."""
    root = write_book(tmp_path_factory.mktemp("built") / "a {book}", "alpha-2001", "beta-2002")
    (root / "book" / "profiles").mkdir()
    (root / "book" / "profiles" / "smoke.yml").write_text("alpha-2001: {beta: 0.5, name: <b>}\n")
    result = elbo(root, "build", "--profile", "smoke", "--json")
    assert result.returncode == 0, result.stderr
    return root, result


def test_build_runs_and_builds(built):
    root, result = built
    outcome = json.loads(result.stdout)
    assert [(run["chapter"], run["status"]) for run in outcome["runs"]] == [
        ("alpha-2001", "accepted"),
        ("beta-2002", "accepted"),
    ]
    assert outcome["html"] == str(root / "_build" / "html")
    assert "alpha-2001: cell 4/4" in result.stderr  # progress: which chapter, which cell
    assert "Traceback" not in result.stderr
    assert not left_over(root)
    assert "beta 0.5" in (root / "_build" / "html" / "book" / "alpha-2001.html").read_text()


def test_page_has_a_table_instead_of_assignments(built):
    root, _ = built
    page = (root / "_build" / "html" / "book" / "alpha-2001.html").read_text()
    assert "Parameters of this run (profile smoke)" in page
    assert (
        "<td><strong><code>0.5</code></strong></td><td><code>1.0</code></td><td>weight of the &lt;KL&gt;</td>" in page
    )
    assert "cell_input" in page and "tag_parameters" not in page and "tag_injected-parameters" not in page
    download = nbformat.read(root / "_build" / "html" / "_sources" / "book" / "alpha-2001.ipynb", as_version=4)
    assert {"parameters", "injected-parameters"} <= {
        tag for cell in download.cells for tag in cell.metadata.get("tags", [])
    }


def test_run_record(built):
    root, _ = built
    folder = root / "_build" / "runs" / "smoke" / "alpha-2001"
    assert sorted(path.name for path in folder.iterdir()) == ["alpha-2001.ipynb", "run.json"]
    record = json.loads((folder / "run.json").read_text())
    assert record["parameters"]["beta"] == 0.5 and record["parameters"]["latent_dim"] == 2
    assert record["seeds"] == {"seed": 0} and record["device"] == "cpu" and record["profile"] == "smoke"
    assert {"commit", "dirty", "lock_sha256", "fingerprint", "data", "threads"} <= set(record)
    assert record["packages"]["torch"].startswith("2.")
    assert len(record["cell_seconds"]) == 4 and all(seconds >= 0 for seconds in record["cell_seconds"])
    assert record["seconds"] >= sum(record["cell_seconds"])


def test_nothing_is_done_twice(built):
    root, _ = built
    before = contents(root / "_build")
    again = elbo(root, "build", "--profile", "smoke")
    assert again.returncode == 0, again.stderr
    assert again.stderr.splitlines() == ["alpha-2001: up to date", "beta-2002: up to date", "pages: up to date"]
    assert f"open {(root / '_build' / 'html' / 'index.html').as_uri()}" in again.stdout
    assert "-m http.server" in again.stdout
    assert contents(root / "_build") == before


def test_notebook_holds_nothing_that_varies(built):
    """Run again by force: the same bytes."""
    root, _ = built
    path = root / "_build" / "runs" / "smoke" / "alpha-2001" / "alpha-2001.ipynb"
    before = path.read_bytes()
    record = json.loads(path.with_name("run.json").read_text())
    again = elbo(root, "run", "alpha-2001", "--profile", "smoke", "--force", "--out", "again")
    assert again.returncode == 0, again.stderr
    assert (root / "again" / "alpha-2001" / "alpha-2001.ipynb").read_bytes() == before
    inputs = json.loads((root / "again" / "alpha-2001" / "run.json").read_text())["inputs"]
    assert inputs | {"package": ""} == record["inputs"] | {"package": ""}
    assert str(root).encode() not in before


def test_kernel_sees_the_run(built):
    """ELBO_RUN, bounded threads and the other variables, read by a chapter of its own."""
    root, _ = built
    text = (root / "book" / "beta-2002.md").read_text().replace("beta-2002", "gamma-2003")
    threads = ["OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"]
    names = ["ELBO_RUN", "SOURCE_DATE_EPOCH", "PYTHONHASHSEED", "MPLBACKEND", *threads]
    probe = f"import json; seen = {{name: os.environ[name] for name in {names}}}; seen['cwd'] = os.getcwd()\n"
    probe += 'print("probe", json.dumps(seen))'
    (root / "book" / "gamma-2003.md").write_text(text.replace('print("beta", beta)', probe))
    result = elbo(root, "run", "gamma-2003", "-p", "beta", "3", "--jobs", "1")
    (root / "book" / "gamma-2003.md").unlink()
    assert result.returncode == 0, result.stderr
    notebook = nbformat.read(root / "_build" / "runs" / "quick" / "gamma-2003" / "gamma-2003.ipynb", as_version=4)
    (line,) = [
        line
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        for line in output.text.splitlines()
        if "probe" in line
    ]
    seen = json.loads(line.removeprefix("probe "))
    about = json.loads(seen.pop("ELBO_RUN"))
    assert about["chapter"] == "gamma-2003" and about["profile"] == "quick"
    assert (
        about["parameters"]["beta"] == 3.0 and about["parameters"]["seed"] == 0 and about["overrides"] == {"beta": 3.0}
    )
    assert {"commit", "dirty", "lock_sha256"} <= set(about)
    (bound,) = {seen[name] for name in threads}
    assert 1 <= int(bound) <= (os.cpu_count() or 1)
    assert seen["SOURCE_DATE_EPOCH"] == "0" and seen["PYTHONHASHSEED"] == "0" and "inline" in seen["MPLBACKEND"]
    assert not Path(seen["cwd"]).exists()  # a scratch directory: what a chapter writes there cannot dirty the checkout


def test_failed_chapter_and_failed_page_keep_the_book(built):
    root, _ = built
    html = contents(root / "_build" / "html")
    chapter, index = root / "book" / "beta-2002.md", root / "book" / "index.md"
    good_chapter, good_index = chapter.read_text(), index.read_text()

    chapter.write_text(good_chapter.replace('fail: str = ""', 'fail: str = "exception"'))
    failed = elbo(root, "build", "--profile", "smoke")
    chapter.write_text(good_chapter)
    assert failed.returncode == 3 and len(sentences(failed.stderr)) == 1
    assert "beta-2002 stopped in cell 2" in failed.stderr
    assert contents(root / "_build" / "html") == html

    index.write_text(good_index + "\nSee {ref}`nowhere`.\n")
    warned = elbo(root, "build", "--profile", "smoke")
    index.write_text(good_index)
    assert warned.returncode == 5 and len(sentences(warned.stderr)) == 1
    assert "nowhere" in warned.stderr  # the warning itself is shown
    assert "mend what _build/log/jupyter-book.log names" in warned.stderr.replace("\n", " ")
    assert contents(root / "_build" / "html") == html
    assert not left_over(root)


def test_pages_that_somebody_else_has_written_are_built_again(built):
    """`jupyter-book build .` writes to the same place."""
    root, _ = built
    html = root / "_build" / "html"
    stamp = json.loads((root / "_build" / "html.json").read_text())
    assert stamp["html"] == _html_marker(html)
    state = (html / "index.html").stat()
    os.utime(html / "index.html", (1, 1))
    assert stamp["html"] != _html_marker(html)
    os.utime(html / "index.html", ns=(state.st_atime_ns, state.st_mtime_ns))


def test_terminated_while_pages_are_built_and_a_second_build(built):
    root, _ = built
    assert elbo(root, "run", "alpha-2001", "beta-2002", "--profile", "smoke").returncode == 0
    html, index, log = (
        contents(root / "_build" / "html"),
        root / "book" / "index.md",
        root / "_build/log/jupyter-book.log",
    )
    good = index.read_text()
    index.write_text(good + "\nOne more sentence.\n")
    log.unlink()
    process = start(root, "build", "--profile", "smoke")
    wait_for(log)
    second = elbo(root, "build", "--profile", "smoke")
    assert second.returncode == 4 and "the book is busy" in second.stderr and len(sentences(second.stderr)) == 1
    process.terminate()
    _, err = process.communicate(timeout=60)
    index.write_text(good)
    assert process.returncode == 143 and "those that were there before are untouched" in err
    assert contents(root / "_build" / "html") == html
    assert not left_over(root)
    assert not [
        other for other in psutil.process_iter(["cmdline"]) if str(root) in " ".join(other.info["cmdline"] or [])
    ]


def test_address_of_the_published_book_reaches_the_pages(monkeypatch):
    monkeypatch.setenv("ELBO_BASEURL", "https://example.org/book")
    assert _config({"title": "T", "html": {"baseurl": ""}})["html"] == {"baseurl": "https://example.org/book/"}


def test_figures_are_listed(built, capsys):
    root, _ = built
    path = root / "_build" / "runs" / "smoke" / "beta-2002" / "beta-2002.ipynb"
    good = path.read_text()
    notebook = nbformat.reads(good, as_version=4)
    content = {
        "id": "beta-2002-x",
        "chapter": "beta-2002",
        "caption": "Why [x]?",
        "alt": "A line.",
        "files": {"json": "{}"},
    }
    notebook.cells[-1].outputs.append(nbformat.v4.new_output("display_data", {FIGURE: content}))
    nbformat.write(notebook, path)
    record = path.with_name("run.json")
    recorded = record.read_text()
    record.write_text(
        json.dumps(json.loads(recorded) | {"notebook_sha256": hashlib.sha256(path.read_bytes()).hexdigest()})
    )
    try:
        assert main(["figures", "--profile", "smoke", "--root", str(root), "--json"]) == 0
        (row,) = json.loads(capsys.readouterr().out)
        assert row["record"] == {} and row["id"] == "beta-2002-x" and row["caption"] == "Why [x]?"
        assert main(["figures", "--profile", "smoke", "--root", str(root)]) == 0
        assert "Why [x]?" in capsys.readouterr().out
    finally:
        path.write_text(good)
        record.write_text(recorded)


def test_plain_papermill_and_plain_jupyter_book(built, tmp_path):
    """The documented ways without `elbo`: papermill on a converted notebook, and `jupyter-book build .` at the root."""
    root = write_book(tmp_path / "plain", "alpha-2001")
    environment = {**os.environ, "PYTHONPATH": ""}
    python = [sys.executable, "-m"]
    convert = [
        *python,
        "jupytext",
        "--quiet",
        "--to",
        "ipynb",
        "--set-kernel",
        "python3",
        "book/alpha-2001.md",
        "-o",
        "alpha.ipynb",
    ]
    execute = [
        *python,
        "papermill",
        "alpha.ipynb",
        "out.ipynb",
        "-k",
        "python3",
        "-p",
        "beta",
        "0.25",
        "--no-progress-bar",
    ]
    for command in (convert, execute):
        subprocess.run(command, cwd=root, env=environment, check=True, capture_output=True)
    assert "beta 0.25" in (root / "out.ipynb").read_text()
    start = "from jupyter_book.cli.main import main; main()"
    subprocess.run(
        [sys.executable, "-c", start, "build", ".", "-n", "-W"],
        cwd=root,
        env=environment,
        check=True,
        capture_output=True,
    )
    assert "beta 1.0" in (root / "_build" / "html" / "book" / "alpha-2001.html").read_text()


def test_notebook_of_a_chapter_is_deterministic(built):
    chapter = read_chapter(Project(built[0]), "alpha-2001")
    assert nbformat.writes(chapter.notebook()) == nbformat.writes(chapter.notebook())
