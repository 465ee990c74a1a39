"""Parameters, profiles and the command line: what is accepted, what is refused, and in which words."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
import yaml

from elbo.cli import main
from elbo.companion.pages.parameters import parameter_table
from elbo.companion.project.chapters import chapter_keys, read_chapter
from elbo.companion.project.errors import CompanionError
from elbo.companion.project.paths import Project, find_project, replace_directory
from elbo.companion.project.profiles import load_profile, resolve
from elbo.companion.record import fingerprint
from elbo.companion.run.plans import make_plans
from toybook import write_book

FILES = {"digits": (), "frey": ("frey/frey_rawface.mat",)}


@pytest.fixture
def project(tmp_path, monkeypatch):
    root = write_book(tmp_path / "book", "alpha-2001", "beta-2002")
    (root / "book" / "profiles").mkdir()
    monkeypatch.setenv("ELBO_ROOT", str(root))
    monkeypatch.chdir(root)
    return Project(root)


def values(project, profile="quick", **given):
    return resolve(read_chapter(project, "alpha-2001"), load_profile(project, profile), given)


def write_profile(project, name, content):
    (project.book / "profiles" / f"{name}.yml").write_text(
        content if isinstance(content, str) else yaml.safe_dump(content)
    )


def test_parameters_cell_is_read(project):
    parameters = read_chapter(project, "alpha-2001").parameters
    assert list(parameters) == ["beta", "latent_dim", "rates", "name", "fail", "trace", "seed", "device"]
    assert (parameters["beta"].annotation, parameters["beta"].default, parameters["beta"].help) == (
        "float",
        1.0,
        "weight of the <KL>",
    )
    assert (parameters["rates"].annotation, parameters["rates"].default) == ("list[float]", [0.1, 0.2])


def test_papermill_reads_the_same_parameters(project):
    """What we take for the parameters is what papermill's own inspection finds."""
    import nbformat
    import papermill

    chapter = read_chapter(project, "alpha-2001")
    nbformat.write(chapter.notebook(), project.root / "alpha.ipynb")
    found = papermill.inspect_notebook(project.root / "alpha.ipynb")
    assert {name: (entry["inferred_type_name"], entry["help"]) for name, entry in found.items()} == {
        name: (parameter.annotation, parameter.help) for name, parameter in chapter.parameters.items()
    }


def test_precedence(project):
    write_profile(project, "smoke", {"alpha-2001": {"beta": 2, "latent_dim": 3}})
    resolved = values(project, "smoke", latent_dim="4")
    assert (resolved["beta"], resolved["latent_dim"], resolved["seed"]) == (2.0, 4, 0)
    assert isinstance(resolved["beta"], float)


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("beta", "1e-3", 0.001),
        ("beta", "1e3", 1000.0),
        ("latent_dim", "7", 7),
        ("rates", "[1, 1e-2]", [1.0, 0.01]),
        ("name", "007", "007"),
        ("name", "True", "True"),
    ],
)
def test_text_of_the_command_line_is_read_by_the_annotation(project, name, text, value):
    resolved = values(project, **{name: text})[name]
    assert resolved == value and type(resolved) is type(value)


def test_yaml_number_that_is_text_is_converted(project):
    write_profile(project, "mine", "alpha-2001:\n  beta: 1e-3\n  rates: [1e-3, 2]\n")
    assert yaml.safe_load("1e-3") == "1e-3"  # the trap
    resolved = values(project, "mine")
    assert resolved["beta"] == 0.001 and resolved["rates"] == [0.001, 2.0]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            ["alpha-2001", "-p", "latent_dm", "3"],
            "alpha-2001 has no parameter 'latent_dm' (did you mean 'latent_dim'?)",
        ),
        (
            ["alpha-2001", "-p", "latent_dim", "many"],
            "latent_dim of alpha-2001 must be int, not 'many'; its default is 2",
        ),
        (["alpha-2001", "-p", "latent_dim", "2.5"], "latent_dim of alpha-2001 must be int, not '2.5'"),
        (["alpha-2001", "-p", "beta", "True"], "beta of alpha-2001 must be float, not 'True'"),
        (["alpha-2001", "-p", "rates", "0.1"], "rates of alpha-2001 must be list[float], not '0.1'"),
        (["alfa-2001"], "there is no chapter 'alfa-2001' (did you mean 'alpha-2001'?)"),
        (["alpha-2001", "--profile", "quik"], "there is no profile 'quik'"),
        (["alpha-2001", "--profile", "typo"], "alpha-2001 has no parameter 'betta' (did you mean 'beta'?)"),
        (["alpha-2001", "--profile", "wrong"], "latent_dim of alpha-2001 must be int, not 'two'"),
        (
            ["alpha-2001", "--profile", "stranger"],
            "names the chapter 'alpha-2002', which is not in the book (did you mean 'alpha-2001'?)",
        ),
        (["alpha-2001", "--profile", "flat"], "must hold chapters"),
        (["alpha-2001", "--profile", "broken"], "is not valid YAML"),
        (["alpha-2001", "--profile", "elsewhere/typo.yml"], "would replace its runs; rename the file"),
        (["alpha-2001", "--device", "gpu"], "--device gpu: use auto, cpu or cuda"),
        (["alpha-2001", "--tiemout", "3"], "No such option: --tiemout"),
    ],
)
def test_mistakes_are_one_sentence_and_nothing_runs(project, capsys, arguments, words):
    write_profile(project, "typo", {"alpha-2001": {"betta": 1.0}})
    write_profile(project, "wrong", {"alpha-2001": {"latent_dim": "two"}})
    write_profile(project, "stranger", {"alpha-2002": {}})
    write_profile(project, "flat", {"alpha-2001": 3})
    write_profile(project, "broken", "alpha-2001: [")
    (project.root / "elsewhere").mkdir()
    (project.root / "elsewhere" / "typo.yml").write_text("{}")
    assert main(["run", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("elbo: ") and err.count("\n") == 1
    assert words in err
    assert not project.build.exists()


def test_cuda_where_there_is_none(project, capsys, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert main(["run", "alpha-2001", "--device", "cuda"]) == 2
    assert "--device cuda: torch finds no CUDA device on this machine; use --device cpu" in capsys.readouterr().err
    assert not project.build.exists()


def test_parameters_cell_may_hold_nothing_but_parameters(project):
    path = project.book / "alpha-2001.md"
    path.write_text(path.read_text().replace("seed: int = 0  # seed", "seed = 0"))
    with pytest.raises(CompanionError, match="found `seed = 0`"):
        read_chapter(project, "alpha-2001")


def test_no_book_here(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("ELBO_ROOT", str(tmp_path))
    assert main(["run", "alpha-2001"]) == 2
    assert "is not a checkout of the book" in capsys.readouterr().err


def test_project_is_found_upward(project, monkeypatch):
    monkeypatch.delenv("ELBO_ROOT")
    monkeypatch.chdir(project.book)
    assert find_project().root == project.root


def test_chapters_are_pages_with_a_kernel(project):
    assert chapter_keys(project) == ["alpha-2001", "beta-2002"]


def accept_by_hand(plan):
    """Write what an accepted run of ``plan`` leaves behind."""
    plan.destination.mkdir(parents=True, exist_ok=True)
    plan.notebook.write_text("{}")
    record = {"inputs": plan.inputs, "notebook_sha256": fingerprint.file_digest(plan.notebook)}
    (plan.destination / "run.json").write_text(json.dumps(record))


def test_what_makes_a_run_stale(project, monkeypatch):
    """Each of the things that a run depends on, changed alone, is named as the reason to run again."""
    monkeypatch.delenv("ELBO_DATA", raising=False)
    package = ["one"]
    monkeypatch.setattr(fingerprint, "package_digest", lambda: package[0])

    def because(given=None):
        (plan,) = make_plans(project, [read_chapter(project, "alpha-2001")], load_profile(project, "quick"), given)
        return plan, list(plan.because)

    plan, reasons = because()
    assert reasons == ["no accepted run"]
    accept_by_hand(plan)
    assert because()[1] == []
    assert because({"beta": "2"})[1] == ["parameters"]
    package[0] = "two"
    assert because()[1] == ["package"]
    package[0] = "one"

    source = project.book / "alpha-2001.md"
    text = source.read_text()
    source.write_text(text + "\nOne more sentence.\n")
    assert because()[1] == ["chapter"]
    source.write_text(text)

    project.lock_file.write_text("torch==2.13.0\n")
    assert because()[1] == ["lock"]
    project.lock_file.unlink()

    reference = project.root / "data" / "reference" / "alpha-2001"
    reference.mkdir(parents=True)
    (reference / "table.csv").write_text("a\n1\n")
    assert because()[1] == ["reference"]
    (reference / "table.csv").unlink()
    reference.rmdir()

    fetched = project.root / "fetched"
    fetched.mkdir()
    monkeypatch.setenv("ELBO_DATA", str(fetched))
    (fetched / "set.bin").write_bytes(b"123")
    assert because()[1] == []  # no parameter names a data set that is fetched
    missing = fingerprint.data_marker({"dataset": "frey"}, FILES)
    (fetched / "frey").mkdir()
    (fetched / "frey" / "frey_rawface.mat").write_bytes(b"123")
    assert fingerprint.data_marker({"dataset": "frey"}, FILES) not in (missing, None)
    assert fingerprint.data_marker({"dataset": "digits", "seeds": [0]}, FILES) is None
    monkeypatch.setattr(fingerprint, "data_marker", lambda parameters, files: "another")
    assert because()[1] == ["data"]
    monkeypatch.undo()
    monkeypatch.delenv("ELBO_DATA", raising=False)
    monkeypatch.setattr(fingerprint, "package_digest", lambda: package[0])

    assert because()[1] == []
    plan.notebook.write_text("{ }")
    assert because()[1] == ["notebook"]


def test_digest_of_a_directory(tmp_path):
    """Names and contents count; caches, hidden files and the place of the directory do not."""
    for name in ("one", "other"):
        (tmp_path / name / "sub").mkdir(parents=True)
        (tmp_path / name / "sub" / "a.py").write_text("1")
    before = fingerprint.directory_digest(tmp_path / "one")
    assert before == fingerprint.directory_digest(tmp_path / "other")
    for cache in ("__pycache__", ".cache"):
        (tmp_path / "one" / cache).mkdir()
        (tmp_path / "one" / cache / "a.pyc").write_text("x")
    assert fingerprint.directory_digest(tmp_path / "one") == before
    (tmp_path / "one" / "sub" / "a.py").rename(tmp_path / "one" / "sub" / "b.py")
    (tmp_path / "other" / "sub" / "a.py").write_text("2")
    assert before not in {fingerprint.directory_digest(tmp_path / name) for name in ("one", "other")}
    assert fingerprint.directory_digest(tmp_path / "none") is None


def test_replacing_a_directory(tmp_path):
    """Old, then new, then new again; by exchange where the system can, by two renames where it cannot."""
    for number, exchange in enumerate((None, lambda *_: False)):
        base = tmp_path / str(number)
        base.mkdir()
        with pytest.MonkeyPatch.context() as patch:
            if exchange:
                patch.setattr("elbo.companion.project.paths._exchange", exchange)
            for content in ("first", "second"):
                (base / "new").mkdir()
                (base / "new" / "file").write_text(content)
                replace_directory(base / "new", base / "place")
                assert (base / "place" / "file").read_text() == content
        assert [path.name for path in base.iterdir()] == ["place"]


def test_parameter_table_is_escaped(project):
    chapter = read_chapter(project, "alpha-2001")
    table = parameter_table(chapter, values(project, name="<script>\n\n|"), "quick & dirty")
    assert "weight of the &lt;KL&gt;" in table and "<script>" not in table and "&lt;script&gt;" in table
    assert "quick &amp; dirty" in table
    assert "\n\n" not in table  # a blank line would end the HTML block


def test_help_answers_without_the_heavy_libraries():
    code = "import sys; from elbo.cli import main; main(['--help']); print(*sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "Usage: elbo" in out
    loaded = set(out.splitlines()[-1].split())
    assert not loaded & {
        "torch",
        "numpy",
        "pandas",
        "matplotlib",
        "papermill",
        "nbformat",
        "jupytext",
        "nbclient",
        "sphinx",
        "asyncio",
    }


def test_help_has_examples(capsys):
    for command in ("run", "build", "figures"):
        assert main([command, "--help"]) == 0
        assert f"elbo {command}" in capsys.readouterr().out.split("Example", 1)[1]
