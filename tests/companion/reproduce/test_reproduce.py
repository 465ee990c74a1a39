"""A figure is made again from its file alone; what differs is said, and nothing in a file is trusted."""

import base64
import hashlib
import io
import json
import lzma
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image, PngImagePlugin
from pypdf import PdfReader, PdfWriter

import toybook
from elbo.cli import main
from elbo.companion.project.errors import CompanionError
from elbo.companion.project.paths import find_project
from elbo.companion.record import embedded
from elbo.companion.reproduce import again as reproduce
from elbo.companion.run.progress import Display

ID = "toy-2013-curve"
PARAMETERS = """seed: int = 0  # seed
points: int = 6  # rows of the table
name: str = "plain"  # a word in the table
device: str = "auto"  # device"""
BODY = """import time
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
start = time.perf_counter()
draws = np.random.default_rng(seed).normal(size=(points, 100))
data = pd.DataFrame({"x": np.arange(points), "mean": draws.mean(1), "mean_se": draws.std(1) / 10,
                     "line": np.linspace(0, 1, points), "name": name})
data["seconds"] = time.perf_counter() - start
fig = Figure(figsize=(3, 2))
fig.subplots().plot(data["x"], data["mean"])
companion.figure(fig, id="toy-2013-curve", caption="How?", alt="A line.", data=data)"""


def write_book(root: Path) -> Path:
    toybook.write_book(root, "toy-2013")
    cells = [
        (":tags: [parameters]\n\n", PARAMETERS),
        ("", 'from elbo import companion\ncompanion.begin("toy-2013", globals())'),
        ("", BODY),
        ("", "companion.end()"),
    ]
    text = toybook.FRONT + "# Toy\n\n" + "".join(toybook.CELL.format(tags=tags, code=code) for tags, code in cells)
    (root / "book" / "toy-2013.md").write_text(text)
    return root


@pytest.fixture(scope="module")
def book(tmp_path_factory):
    """A toy book with one accepted run (not the built pages), and the files of its figure in a folder of their own."""
    root = write_book(tmp_path_factory.mktemp("toy"))
    done = toybook.elbo(root, "run", "toy-2013", "-p", "seed", "3")
    assert done.returncode == 0, done.stderr
    notebook = json.loads((root / "_build/runs/quick/toy-2013/toy-2013.ipynb").read_text())
    (data,) = [o["data"] for c in notebook["cells"] for o in c.get("outputs", []) if "image/png" in o.get("data", {})]
    files = {**data["application/vnd.elbo.figure+json"]["files"], "png": data["image/png"]}
    folder = tmp_path_factory.mktemp("files")
    for format, text in files.items():
        content = base64.b64decode(text) if format in ("png", "pdf") else text.encode()
        (folder / f"{ID}.{format}").write_bytes(content)
    return root, folder


def again(root: Path, empty: Path, *arguments: str) -> tuple[int, dict | None, str]:
    """``elbo reproduce ... --json`` in the directory ``empty``, away from the book: ``(code, outcome, errors)``."""
    done = subprocess.run(
        [sys.executable, "-m", "elbo", "reproduce", *arguments, "--json"],
        cwd=empty,
        env={**os.environ, "ELBO_ROOT": str(root), "PYTHONPATH": toybook.frozen_package()},
        capture_output=True,
        text=True,
    )
    return done.returncode, json.loads(done.stdout) if done.stdout else None, done.stderr


def alone(folder: Path, tmp_path: Path, format: str) -> Path:
    """An empty directory with nothing but one file of the figure, under another name."""
    empty = tmp_path / "empty"
    empty.mkdir()
    return Path(shutil.copyfile(folder / f"{ID}.{format}", empty / f"downloaded.{format}"))


def test_the_file_alone_suffices(book, tmp_path):
    """One format: what the others carry is the same, as the next test says."""
    root, folder = book
    before = toybook.contents(root / "_build" / "runs")
    file = alone(folder, tmp_path, "png")
    code, told, err = again(root, file.parent, file.name)
    assert code == 0, err
    assert told["verdict"] == "identical" and told["parameters"]["seed"] == 3
    assert told["times"] == ["seconds"]  # the digests are not equal: a time is in the table
    assert [d for d in told["differences"] if d["name"].startswith("parameter")] == []
    assert toybook.contents(root / "_build" / "runs") == before
    assert [path.name for path in file.parent.iterdir()] == [file.name]
    assert not toybook.left_over(root)


def test_the_record_in_every_format_is_the_same(book):
    root, folder = book
    records = [embedded.read(folder / f"{ID}.{format}") for format in ("png", "svg", "pdf")]
    assert records[0] == records[1] == records[2]
    table = (folder / f"{ID}.csv").read_bytes()
    assert records[0].table.encode() == table and records[0].csv_sha256 == hashlib.sha256(table).hexdigest()
    assert records[0].environment["packages"]["numpy"] and records[0].parameters["seed"] == 3
    plain = embedded.read(folder / f"{ID}.json")
    assert plain.table is None and plain.parameters == records[0].parameters


def rewritten(folder: Path, tmp_path: Path, change) -> Path:
    """The PNG with a record that somebody has changed; ``change`` gets the record and
    changes it in place, or returns text.
    """
    path = tmp_path / "tampered.png"
    with Image.open(folder / f"{ID}.png") as image:
        record = json.loads(image.info["elbo:record"])
        text = change(record)
        info = PngImagePlugin.PngInfo()
        info.add_text("elbo:record", text if isinstance(text, str) else json.dumps(record))
        image.save(path, pnginfo=info)
    return path


def set_table(record: dict, table: str) -> None:
    record["table"] = embedded.pack(table)
    record["csv_sha256"] = hashlib.sha256(table.encode()).hexdigest()


def table_of(record: dict) -> str:
    return lzma.decompress(base64.b64decode(record["table"]["xz"])).decode()


def close(record: dict, errors: float = 0.0, factor: float = 1.0) -> None:
    """Move the recorded means by so many standard errors of a difference of two runs, and the
    column without any by a factor.
    """
    head, *rows = (line.split(",") for line in table_of(record).splitlines())
    assert head[:4] == ["x", "mean", "mean_se", "line"]
    for row in rows:
        row[1], row[3] = repr(float(row[1]) + errors * 2**0.5 * float(row[2])), repr(factor * float(row[3]))
    set_table(record, "".join(",".join(row) + "\n" for row in [head, *rows]))


@pytest.fixture(scope="module")
def made(book):
    """What a run here and now makes of the figure, without the command."""
    root, folder = book
    project = find_project(root)
    source = reproduce.find(project, str(folder / f"{ID}.svg"))
    return project, reproduce.rerun(project, source, reproduce.make_plan(project, source), Display(quiet=True))


def test_within_standard_errors_and_beyond(book, made, tmp_path):
    project, files = made
    file = rewritten(book[1], tmp_path, lambda record: close(record, errors=2.5))
    source = reproduce.find(project, str(file))
    comparison = reproduce.compared(source, files, standard_errors=2.6).comparison
    assert comparison.verdict == "within tolerance"
    assert "within 2.5 standard errors; the largest difference is in row" in comparison.sentence
    comparison = reproduce.compared(source, files, standard_errors=2.4).comparison
    assert comparison.verdict == "different" and len(comparison.cells) == 6
    assert all(cell.column == "mean" and cell.errors == pytest.approx(2.5) for cell in comparison.cells)


def test_within_rounding_and_beyond(book, made, tmp_path):
    project, files = made
    source = reproduce.find(project, str(rewritten(book[1], tmp_path, lambda record: close(record, factor=1 + 1e-6))))
    comparison = reproduce.compared(source, files).comparison
    assert comparison.verdict == "within tolerance" and "agree to 1e-06 of their largest value" in comparison.sentence
    source = reproduce.find(project, str(rewritten(book[1], tmp_path, lambda record: close(record, factor=1 + 1e-4))))
    comparison = reproduce.compared(source, files).comparison
    assert comparison.verdict == "different" and len(comparison.cells) == 5  # the first value is nought
    worst = comparison.cells[0]
    assert (worst.row, worst.column, float(worst.now)) == (6, "line", 1.0)
    assert worst.relative == pytest.approx(1e-4, rel=1e-3)


def test_only_the_same_numbers_are_exact(book, tmp_path):
    file = rewritten(book[1], tmp_path, lambda record: close(record, factor=1 + 1e-7))
    code, told, err = again(book[0], tmp_path, file.name, "--exact")
    assert code == 8, err
    assert told["verdict"] == "within tolerance"


def test_a_changed_seed_is_different_and_says_where(book, tmp_path):
    root, folder = book
    file = rewritten(folder, tmp_path, lambda record: record["parameters"].update(seed=4))
    done = toybook.elbo(root, "reproduce", str(file), "--tolerance", "0.01")
    assert done.returncode == 7, done.stderr
    assert re.search(r"^different: \d+ of 30 cells are out of tolerance$", done.stdout, re.MULTILINE)
    assert re.search(
        r"^  row \d, column mean: recorded \S+, now \S+, [\d.]+ standard errors apart$", done.stdout, re.MULTILINE
    )


def test_differences_are_named_without_a_run(book, tmp_path):
    root, folder = book

    def change(record):
        record["environment"] |= {"python": "3.0.1\x1b[2J", "commit": "0" * 40, "gpu": "A card"}
        record["environment"]["packages"]["numpy"] = "1.0"
        del record["parameters"]["points"]

    file = rewritten(folder, tmp_path, change)
    done = toybook.elbo(root, "reproduce", str(file), "--dry-run")
    assert done.returncode == 0, done.stderr
    for words in ("numpy: recorded 1.0, here ", "python: recorded 3.0.1?[2J, here ",
                  "commit: recorded 000000000000, here ", "gpu: recorded A card, here nothing",
                  "parameter points: recorded nothing, here 6, its default"):  # fmt: skip
        assert f"warning: {words}" in done.stdout
    assert "\x1b" not in done.stdout and "identical" not in done.stdout


def test_an_id_stands_for_its_accepted_run(book, tmp_path, monkeypatch, capsys):
    root, _ = book
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ELBO_ROOT", str(root))
    assert main(["reproduce", ID, "--dry-run"]) == 0
    assert f"{ID}, from an accepted run" in capsys.readouterr().out
    assert main(["reproduce", ID + "s", "--dry-run"]) == 2
    assert "no figure of that id" in capsys.readouterr().err


def test_files_of_the_new_figure_are_written_on_request(book, tmp_path):
    root, folder = book
    file = alone(folder, tmp_path, "svg")
    code, _, err = again(root, file.parent, file.name, "--out", "new")
    assert code == 0, err
    assert {path.name for path in (file.parent / "new").iterdir()} == {
        f"{ID}.{f}" for f in ("svg", "pdf", "png", "csv", "json")
    }
    assert embedded.read(file.parent / "new" / f"{ID}.pdf").parameters["seed"] == 3


REFUSED = {
    "chapter of another book": (lambda r: r.update(chapter="other-2014", id="other-2014-x"), "not in the book"),
    "chapter that is a path": (
        lambda r: r.update(chapter="../../etc", id="../../etc-x"),
        "its id is missing or malformed",
    ),
    "id of another chapter": (lambda r: r.update(id="blei-2017-x"), "another chapter"),
    "unknown parameter": (lambda r: r["parameters"].update(evil=1), "no parameter 'evil'"),
    "parameter of another type": (
        lambda r: r["parameters"].update(points="__import__('os')"),
        "points of toy-2013 must be int",
    ),
    "profile that is a path": (lambda r: r.update(profile="../../x"), "profile is malformed"),
    "profile of dots": (lambda r: r.update(profile=".."), "profile is malformed"),
    "table without its digest": (lambda r: r.update(csv_sha256="0" * 64), "not the one that its digest names"),
    "changed table": (lambda r: r.update(table=embedded.pack("x\n1\n")), "not the one that its digest names"),
    "table that is no archive": (lambda r: r["table"].update(xz="????"), "cannot be unpacked"),
    "table that is cut off": (lambda r: r["table"].update(xz=r["table"]["xz"][:40]), "cut off"),
    "table that is a number": (lambda r: r["table"].update(xz=3), "cannot be unpacked"),
    "parameters that are a list": (lambda r: r.update(parameters=[1]), "its parameters is not a JSON object"),
    "not JSON": (lambda r: "{", "it is not JSON"),
    "deep JSON": (lambda r: "[" * 200_000, "it is not JSON"),
    "a list": (lambda r: "[]", "it is not a JSON object"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_a_record_may_not_say(book, tmp_path, monkeypatch, capsys, case):
    root, folder = book
    change, words = REFUSED[case]
    monkeypatch.setenv("ELBO_ROOT", str(root))
    assert main(["reproduce", str(rewritten(folder, tmp_path, change))]) == 2
    err = capsys.readouterr().err
    assert words in err and len(err.splitlines()) == 1


def test_a_table_and_digest_changed_together_are_different(book, made, tmp_path):
    def change(record):
        lines = table_of(record).splitlines()
        lines[3] = "2,17.5" + lines[3][lines[3].index(",", 2) :]
        set_table(record, "\n".join(lines) + "\n")

    source = reproduce.find(made[0], str(rewritten(book[1], tmp_path, change)))
    comparison = reproduce.compared(source, made[1]).comparison
    assert comparison.verdict == "different"
    assert [(cell.row, cell.column, cell.recorded) for cell in comparison.cells] == [(3, "mean", "17.5")]


def test_a_figure_that_the_chapter_no_longer_has(book, tmp_path):
    root, folder = book
    file = rewritten(folder, tmp_path, lambda record: record.update(id="toy-2013-curved"))
    code, _, err = again(root, tmp_path, file.name)
    assert code == 3 and "publishes no figure 'toy-2013-curved' now (did you mean 'toy-2013-curve'?)" in err


def test_a_large_table_is_compared_by_its_summary_or_by_the_file_beside(book, made, tmp_path):
    root, folder = book
    elsewhere = find_project(shutil.copytree(root, tmp_path / "book", ignore=shutil.ignore_patterns("_build")))
    only_summary = rewritten(folder, tmp_path, lambda r: r.update(table={"summary": embedded.summary(table_of(r))}))
    source = reproduce.find(elsewhere, str(only_summary))
    comparison = reproduce.compared(source, made[1]).comparison
    assert comparison.verdict == "within tolerance" and "as far as the summary" in comparison.sentence
    changed = made[1] | {"csv": made[1]["csv"].replace(",1.0,", ",1.1,")}
    comparison = reproduce.compared(source, changed).comparison
    assert comparison.verdict == "different"
    assert {cell.column for cell in comparison.cells} == {"line (max)", "line (mean)"}
    shutil.copy(folder / f"{ID}.csv", tmp_path)
    assert reproduce.compared(reproduce.find(elsewhere, str(only_summary)), made[1]).comparison.verdict == "identical"
    nothing = rewritten(folder, tmp_path, lambda r: r.pop("table") and None)
    (tmp_path / f"{ID}.csv").write_text("x\n1\n")  # another table: it is not taken for the recorded one
    comparison = reproduce.compared(reproduce.find(elsewhere, str(nothing)), made[1]).comparison
    assert comparison.verdict == "different" and f"put the recorded {ID}.csv beside the file" in comparison.sentence


def test_data_and_reference_tables_are_compared_after_the_run(book, made, tmp_path):
    def change(record):
        record["environment"] |= {"data": {"mnist/train": "1" * 64}, "reference": "none of its business"}

    source = reproduce.find(made[0], str(rewritten(book[1], tmp_path, change)))
    (unlike,) = reproduce.compared(source, made[1]).differences
    assert unlike.sentence() == "data mnist/train: recorded 111111111111, here nothing"


def test_a_large_table_leaves_a_summary(monkeypatch):
    monkeypatch.setattr(embedded, "PACKED_LIMIT", 10)
    assert embedded.pack("x,y\n1,a\n3,\n") == {
        "summary": {"rows": 2, "columns": {"x": {"count": 2, "min": 1.0, "max": 3.0, "mean": 2.0}, "y": {"count": 1}}}
    }


def without_record(folder: Path, tmp_path: Path, format: str) -> Path:
    path = tmp_path / f"bare.{format}"
    if format == "png":
        Image.open(folder / f"{ID}.png").save(path)
    elif format == "pdf":
        writer = PdfWriter()
        writer.add_page(PdfReader(folder / f"{ID}.pdf").pages[0])
        writer.write(path)
    elif format == "svg":
        path.write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")
    elif format == "txt":
        path.write_text("hello")
    elif format == "json":
        path.write_bytes(b"{\xff")
    return path


@pytest.mark.parametrize("format", ["png", "pdf", "svg", "txt", "json"])
def test_a_file_without_a_record_gets_one_sentence(book, tmp_path, capsys, format):
    root, folder = book
    assert main(["reproduce", str(without_record(folder, tmp_path, format)), "--root", str(root)]) == 2
    err = capsys.readouterr().err
    assert f"bare.{format} carries no record of a figure; take the PNG" in err and len(err.splitlines()) == 1


def test_a_file_that_is_cut_off(book, tmp_path):
    _, folder = book
    for format in ("png", "pdf", "svg", "json"):
        content = (folder / f"{ID}.{format}").read_bytes()
        for part in (0.0, 0.01, 0.05, 0.2, 0.6):
            path = tmp_path / f"part.{format}"
            path.write_bytes(content[: int(part * len(content))])
            try:
                embedded.read(path)
            except CompanionError as error:
                assert len(str(error).splitlines()) == 1


def test_entities_of_an_svg_are_not_expanded(tmp_path):
    """Ten to the ninth characters, if they were; and no file is read into the record."""
    laughs = "".join(f'<!ENTITY l{i} "{f"&l{i - 1};" * 10}">' for i in range(1, 10))
    body = '<svg xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:source>{}</dc:source></svg>'
    start = time.monotonic()
    for name, text in {
        "laughs": f'<!DOCTYPE svg [<!ENTITY l0 "{{}}">{laughs}]>' + body.format("&l9;"),
        "file": '<!DOCTYPE svg [<!ENTITY l0 SYSTEM "file:///etc/hostname">]>' + body.format("&l0;"),
    }.items():
        path = tmp_path / f"{name}.svg"
        path.write_text(text)
        with pytest.raises(CompanionError, match="carries no record"):
            embedded.read(path)
    assert time.monotonic() - start < 10


def test_a_table_that_unpacks_without_end_is_refused(book, tmp_path, monkeypatch):
    _, folder = book
    monkeypatch.setattr(embedded, "FILE_LIMIT", 2**20)
    bomb = base64.b64encode(lzma.compress(bytes(2**22))).decode()
    path = rewritten(folder, tmp_path, lambda record: record["table"].update(xz=bomb))
    with pytest.raises(CompanionError, match="cut off or too large"):
        embedded.read(path)
    path.write_bytes(b"\x89PNG\r\n" + bytes(2**20))
    with pytest.raises(CompanionError, match="more than 1 MiB"):
        embedded.read(path)


def test_without_a_checkout_the_remedy_is_named(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("ELBO_ROOT", str(tmp_path))
    assert main(["reproduce", "x.png"]) == 2
    assert "give its path in --root or ELBO_ROOT" in capsys.readouterr().err


def test_a_file_that_is_not_there(book, capsys):
    root, _ = book
    assert main(["reproduce", "no/such\x1b.png", "--root", str(root)]) == 2
    assert "there is no file no/such?.png" in capsys.readouterr().err


def test_no_pixel_is_unpacked_for_a_record(book):
    """The record stands before the pixels, so that a file cut off behind it is still read."""
    _, folder = book
    content = (folder / f"{ID}.png").read_bytes()
    cut = content[: content.index(b"IDAT") + 64]
    assert json.loads(Image.open(io.BytesIO(cut)).info["elbo:record"])["id"] == ID
