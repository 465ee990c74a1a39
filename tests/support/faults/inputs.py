"""Bad inputs, family by family: each is answered by an error of the kind that is promised,
in a sentence, or does no harm.
"""

from __future__ import annotations

import base64
import contextlib
import gzip
import io
import json
import random
import re
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from elbo.cli import main
from elbo.companion.kernel.publish import FigureError, _check
from elbo.companion.kernel.session import Session
from elbo.companion.project.chapters import read_chapter
from elbo.companion.project.errors import CompanionError
from elbo.companion.project.paths import Project, find_project
from elbo.companion.project.profiles import Profile, load_profile, resolve
from elbo.companion.record import embedded
from elbo.companion.reproduce.again import Source, make_plan
from elbo.companion.reproduce.compare import compare
from elbo.data import DataError, parse
from elbo.figures import style
from elbo.sweep.plan import SweepError
from elbo.sweep.runs import combinations, gather_runs
from elbo.training.checkpoint import CheckpointError, load_checkpoint, save_checkpoint
from faults.book import FIGURE, KEY, figure, make_book, write_run
from faults.damage import damaged, hostile_json, hostile_text, hostile_yaml
from faults.tally import Tally, Wrong

__all__ = ["FAMILIES", "bad_inputs"]

MOST = 4000  # characters of a sentence


class Bench:
    """What the families are made from: a book with an accepted run, its pictures, a checkpoint, a data file."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.root = make_book(folder / "book")
        self.project: Project = find_project(self.root)
        self.chapter = read_chapter(self.project, KEY)
        self.shown = figure()
        content = next(value for value in self.shown.values() if isinstance(value, dict))
        self.files: dict[str, bytes] = {
            "svg": content["files"]["svg"].encode(),
            "json": content["files"]["json"].encode(),
            "pdf": base64.b64decode(content["files"]["pdf"]),
            "png": base64.b64decode(str(self.shown["image/png"])),
        }
        self.record = json.loads(content["files"]["json"])
        self.run = write_run(self.root / "_build" / "runs" / "quick" / KEY, 1, self.shown)
        self.whole = {path.name: path.read_bytes() for path in self.run.iterdir()}
        self.checkpoint = folder / "a.ckpt"
        self.tensors = {"w": torch.arange(6.0)}
        save_checkpoint(self.checkpoint, self.tensors, {"blocks": 1})
        images = np.arange(3 * 16, dtype=np.uint8)
        self.idx = gzip.compress(bytes([0, 0, 8, 3, 0, 0, 0, 3, 0, 0, 0, 4, 0, 0, 0, 4]) + images.tobytes(), mtime=0)
        fig, axes = style.new()
        axes[0, 0].set_title("nothing drawn")
        self.blank = fig


def _sentence(error: Exception) -> None:
    text = str(error)
    if len(text) > MOST or "Traceback" in text:
        raise Wrong(f"{len(text)} characters were said: {text[:200]!r}")


def _picture(bench: Bench, rng: random.Random) -> str:
    format = rng.choice(sorted(bench.files))
    path = bench.folder / f"mine.{format}"
    path.write_bytes(damaged(bench.files[format], rng, bench.files[rng.choice(sorted(bench.files))]))
    embedded.damage(path.read_bytes())
    try:
        found = embedded.read(path)
    except CompanionError as error:
        _sentence(error)
        return "refused"
    if found.table is not None and embedded.hashlib.sha256(found.table.encode()).hexdigest() != found.csv_sha256:
        raise Wrong("a table that its digest does not name was taken")
    return "read"


def _record(bench: Bench, rng: random.Random) -> str:
    try:
        found = embedded.parse(hostile_json({**bench.record, "table": embedded.pack("x,y\n0,1\n")}, rng))
    except ValueError as error:
        _sentence(error)
        return "refused"
    try:
        make_plan(bench.project, Source(found, "here", None))
    except CompanionError as error:
        _sentence(error)
    return "read"


def _profile(bench: Bench, rng: random.Random) -> str:
    path = bench.folder / "mine.yml"
    text = hostile_yaml(rng, [KEY, "other-2001", "", "? x", KEY + " "])
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    try:
        resolve(bench.chapter, load_profile(bench.project, str(path)))
    except CompanionError as error:
        _sentence(error)
        return "refused"
    return "taken"


def _parameter(bench: Bench, rng: random.Random) -> str:
    given = {rng.choice(["beta", "wait", hostile_text(rng)]): hostile_text(rng)}
    try:
        found = resolve(bench.chapter, Profile("quick", {}, "here"), given)
    except CompanionError as error:
        _sentence(error)
        return "refused"
    if not isinstance(found["beta"], int) or not isinstance(found["wait"], float):
        raise Wrong(f"{given!r} was taken as {found!r}"[:300])
    json.dumps(found).encode()
    return "taken"


def _said(bench: Bench, words: list[str], codes: set[int]) -> str:
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(words)
    said = [line for line in err.getvalue().splitlines() if line.startswith("elbo: ")]
    if (
        code not in codes
        or len(said) != (code not in (0, 7, 8))
        or "Traceback" in err.getvalue()
        or "unforeseen" in err.getvalue()
    ):
        raise Wrong(f"{[word[:60] for word in words]!r} ended with {code}: {err.getvalue()[-400:]!r}")
    if said and len(said[0]) > MOST:
        raise Wrong(f"{[word[:60] for word in words]!r}: {len(said[0])} characters")
    return f"code {code}"


def _command(bench: Bench, rng: random.Random) -> str:
    word, root = hostile_text(rng), ["--root", str(bench.root)]
    choices = [
        ["cite", word, *root],
        ["figures", "--profile", word, *root],
        ["figures", "--format", word, *root],
        ["reproduce", word, "--dry-run", *root],
        ["run", word, *root],
        ["run", KEY, "-p", "beta", word + "x", *root],
        ["run", KEY, "--device", word + "x", *root],
        ["build", "--profile", word + "/no.yml", *root],
        ["figures", "--root", word + "/nowhere"],
        [word + "x", *root],
        ["gather", str(bench.folder / "nothing") + word.replace("/", "")[:50].replace("\0", "")],
        ["data", "fetch", word + "x"],
    ]
    return _said(bench, rng.choice(choices), {0, 2, 6})


def _run(bench: Bench, rng: random.Random) -> str:
    name = rng.choice(sorted(bench.whole))
    (bench.run / name).write_bytes(damaged(bench.whole[name], rng))
    root = ["--root", str(bench.root)]
    words = rng.choice([["figures"], ["figures", "--json"], ["cite", FIGURE], ["reproduce", FIGURE, "--dry-run"]])
    try:
        told = _said(bench, [*words, *root], {0, 2, 3})
        with contextlib.suppress(SweepError):
            gather_runs(bench.run)
        return told
    finally:
        for name, content in bench.whole.items():
            (bench.run / name).write_bytes(content)


def _checkpoint(bench: Bench, rng: random.Random) -> str:
    path = bench.folder / "b.ckpt"
    path.write_bytes(damaged(bench.checkpoint.read_bytes(), rng))
    try:
        tensors, meta = load_checkpoint(path, "cpu")
    except CheckpointError as error:
        _sentence(error)
        return "refused"
    if meta != {"blocks": 1} or not torch.equal(tensors["w"], bench.tensors["w"]):
        raise Wrong("a damaged checkpoint was taken")
    return "taken"


def _data(bench: Bench, rng: random.Random) -> str:
    path = bench.folder / rng.choice(["t10k-images-idx3-ubyte.gz", "x.npz"])
    path.write_bytes(damaged(bench.idx, rng))
    try:
        parse.idx(path) if path.suffix == ".gz" else parse.dsprites(path)
    except DataError as error:
        _sentence(error)
        return "refused"
    return "read"


def _figure(bench: Bench, rng: random.Random) -> str:
    strange = [math for math in (np.nan, np.inf, -np.inf, 1e308, 0.0)]
    columns: dict[object, object] = {"x": [1.0, rng.choice(strange)], hostile_text(rng): [hostile_text(rng), "b"]}
    if rng.random() < 0.3:
        columns[rng.choice([7, None, ("a", "b"), 1.5, ""])] = [1j, 2j] if rng.random() < 0.5 else [1, 2]
    data: object = rng.choice([pd.DataFrame(columns)] * 6 + [None, [], {}, pd.Series([1.0]), pd.DataFrame()])
    words = {
        "caption": hostile_text(rng),
        "alt": hostile_text(rng),
        "id": rng.choice([FIGURE, f"{KEY}-x", hostile_text(rng)]),
    }
    try:
        _check(bench.blank, data=data, session=Session(KEY, "quick", {}), **words)
    except FigureError as error:
        _sentence(error)
        return "refused"
    text = data.to_csv(index=False)
    if not (words["caption"] + words["alt"] + text).encode() or not re.fullmatch("[a-z0-9-]+", words["id"]):
        raise Wrong(f"{words!r} was published"[:300])
    return "published"


def _table(bench: Bench, rng: random.Random) -> str:
    good = "x,y,y_se\n1,2.0,0.1\n2,3.0,0.1\n"
    bad = rng.choice(
        [damaged(good.encode(), rng).decode("utf-8", "replace"), hostile_text(rng), good.replace("2.0", "nan")]
    )
    try:
        found = compare(good, bad)
    except ValueError as error:
        _sentence(error)
        return "refused"
    if (
        found.verdict == "identical"
        and bad.strip() != good.strip()
        and pd.read_csv(io.StringIO(bad), dtype=str).to_csv() != pd.read_csv(io.StringIO(good), dtype=str).to_csv()
    ):
        numbers = [float(word) for word in re.split("[,\n]", bad) if re.fullmatch(r"[\d.]+", word)]
        if numbers != [1.0, 2.0, 0.1, 2.0, 3.0, 0.1]:
            raise Wrong(f"{bad!r} was called identical"[:300])
    return found.verdict


def _sweep(bench: Bench, rng: random.Random) -> str:
    try:
        combinations({"beta": rng.choice([hostile_text(rng), hostile_yaml(rng, ["a"])])})
    except SweepError as error:
        _sentence(error)
        return "refused"
    return "taken"


FAMILIES: dict[str, tuple[Callable[[Bench, random.Random], str], int]] = {
    "pictures": (_picture, 4),
    "records": (_record, 3),
    "profiles": (_profile, 3),
    "parameters": (_parameter, 3),
    "commands": (_command, 3),
    "runs": (_run, 2),
    "checkpoints": (_checkpoint, 2),
    "data": (_data, 2),
    "figures": (_figure, 2),
    "tables": (_table, 2),
    "sweeps": (_sweep, 1),
}
"""What is tried and how often beside the others."""


def bad_inputs(tally: Tally, count: int, seed: int, folder: Path, only: str | None = None) -> None:
    """``count`` inputs, each from its own seed."""
    bench = Bench(folder)
    names = [only] if only else list(FAMILIES)
    for number in range(seed, seed + count):
        rng = random.Random(number)
        name = rng.choices(names, [FAMILIES[each][1] for each in names])[0]
        problem, note = None, ""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                note = FAMILIES[name][0](bench, rng)
        except Exception as error:  # whatever it is, it is none of those that are promised
            problem = f"{name}: {type(error).__name__}: {str(error)[:500]}"
        tally.add(f"inputs: {name}", number, problem, note)
