"""A figure is published with its texts, its data and its record, or not at all."""

import base64
import io
import json
import re

import matplotlib as mpl
import numpy as np
import pandas as pd
import pypdf
import pytest
from PIL import Image

from elbo.companion.kernel import drawn, excerpt, session
from elbo.companion.kernel.publish import FigureError, bundle, figure
from elbo.companion.record import swhid
from elbo.companion.record.handover import cell_lines
from elbo.figures import style

DATA = pd.DataFrame({"x": np.arange(5.0), "y": np.arange(5.0) ** 2, "name": list("abcde")})


@pytest.fixture
def run(monkeypatch):
    monkeypatch.setenv("ELBO_RUN", json.dumps({"chapter": "toy-2013", "profile": "quick", "overrides": {"beta": 4.0}}))
    names = {"beta": 4.0, "dataset": "digits", "sizes": [1, 2], "In": [""], "_x": 1, "np": np, "device": None}
    session.begin("toy-2013", names)
    return session.current()


def line(values=DATA.y):
    fig, axes = style.new()
    axes[0, 0].plot(DATA.x, values, label="curve")
    style.panel(axes[0, 0], "Panel", "x", "y (nats)")
    return fig


def publish(fig=None, **changes):
    arguments = {"id": "toy-2013-line", "caption": "How?", "alt": "A line.", "data": DATA} | changes
    return figure(fig or line(), **arguments)


def test_begin_takes_plain_names_and_nothing_else(run):
    assert run.parameters == {"beta": 4.0, "dataset": "digits", "sizes": [1, 2], "device": None}


def test_command_repeats_only_what_was_changed(run):
    assert run.command() == "elbo run toy-2013 --profile quick -p beta 4.0"


def test_command_quotes_text_for_a_shell(run):
    run.overrides = {"note": "it's $HOME; rm", "sizes": [1, 2]}
    assert run.command() == "elbo run toy-2013 --profile quick -p note 'it'\\''s $HOME; rm' -p sizes '[1, 2]'"


def test_a_run_of_another_chapter_lends_it_nothing(run):
    session.begin("other-2014", {"beta": 1.0})
    assert session.current().profile is None


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"alt": " "}, "alt is empty"),
        ({"caption": ""}, "caption is empty"),
        ({"id": "toy-2013"}, "use toy-2013-<slug>"),
        ({"id": "toy-2013-Line"}, "use toy-2013-<slug>"),
        ({"id": "toy-2013-a--b"}, "use toy-2013-<slug>"),
        ({"id": "other-line"}, "use toy-2013-<slug>"),
        ({"id": "toy-2013-../x"}, "use toy-2013-<slug>"),
        ({"data": DATA.head(0)}, "at least one row"),
        ({"data": {"x": [1]}}, "at least one row"),
        ({"data": DATA.drop(columns="y")}, "line 'curve' in panel 'Panel' shows 9"),
        ({"data": DATA[["name"]]}, "no numeric column"),
        ({"data": DATA.rename(columns={"name": ""})}, "column 3 of `data` has no name"),
        ({"data": DATA.rename(columns={"name": 7})}, "column 3 of `data` has no name"),
        ({"data": DATA.rename(columns={"name": "x"})}, "two columns of `data` are called 'x'"),
        ({"data": DATA.assign(z=1j)}, "'z' of `data` holds complex numbers"),
        ({"data": DATA.assign(z=[1.0, np.inf, 0, 0, 0])}, "'z' of `data` is infinite"),
        ({"data": DATA.assign(x=np.nan, y=np.nan)}, "every number of `data` is NaN"),
        ({"data": DATA.assign(name="a\udc80")}, "'name' of `data` holds half a character"),
        ({"caption": "How \ud800?"}, r"caption holds '.ud800', half a character"),
        ({"alt": "A line \udfff."}, r"alt holds '.udfff', half a character"),
    ],
)
def test_what_may_not_be_published(run, changes, words):
    with pytest.raises(FigureError, match=words):
        publish(**changes)
    assert run.published == {}


def test_an_empty_cell_is_published(run):
    publish(data=DATA.assign(z=[np.nan, 1.0, 2.0, np.nan, 0.0], none=np.nan))
    assert "toy-2013-line" in run.published


def test_an_id_is_used_once(run):
    publish()
    with pytest.raises(FigureError, match="was published before"):
        publish()


def test_without_a_chapter_the_remedy_is_named(monkeypatch):
    monkeypatch.setattr(session, "_current", None)
    with pytest.raises(RuntimeError, match=r"companion\.begin"):
        publish()


def test_same_parameters_same_bytes(run):
    arguments = {"id": "toy-2013-line", "caption": "How?", "alt": "A line.", "data": DATA, "session": run}
    first, second = bundle(line(), **arguments), bundle(line(), **arguments)
    assert first == second
    assert bundle(line(), **arguments | {"caption": "Why?"}) != first


def test_every_file_carries_the_record(run):
    content = bundle(line(), id="toy-2013-line", caption="How & <why>?", alt="A line.", data=DATA, session=run)
    files = content["files"]
    record = json.loads(files["json"])
    assert record["parameters"] == run.parameters
    assert record["command"] == "elbo run toy-2013 --profile quick -p beta 4.0"
    png = Image.open(io.BytesIO(base64.b64decode(files["png"])))
    inside = json.loads(png.text["elbo:record"])
    assert {name: value for name, value in inside.items() if name != "table"} == record
    assert json.loads(pypdf.PdfReader(io.BytesIO(base64.b64decode(files["pdf"]))).metadata["/Keywords"]) == inside
    from xml.etree import ElementTree

    texts = [element.text for element in ElementTree.fromstring(files["svg"]).iter() if element.tag.endswith("source")]
    assert json.loads(texts[0]) == inside
    read = pd.read_csv(io.StringIO(files["csv"]))
    pd.testing.assert_frame_equal(read, DATA)


@pytest.mark.parametrize("kind", ["plot", "scatter", "bar", "imshow"])
def test_drawn_values_must_be_in_the_data(kind):
    values = np.array([1.0, 2.0, 3.5])
    wrong = values + np.array([0, 0, 1e-3])

    def draw(numbers):
        fig, axes = style.new()
        if kind == "imshow":
            axes[0, 0].imshow(numbers[None])
        else:
            getattr(axes[0, 0], kind)([1.0, 2.0, 3.0], numbers)
        return fig

    frame = pd.DataFrame({"x": [1.0, 2.0, 3.0], "y": values})
    assert drawn.mismatch(draw(values), frame) is None
    assert drawn.mismatch(draw(values.astype(np.float32)), frame) is None
    assert "3.501" in drawn.mismatch(draw(wrong), frame)


def test_decoration_needs_no_data():
    fig, axes = style.new()
    axes[0, 0].axhline(7.0)
    style.guide(axes[0, 0].plot([0, 1], [5.0, 6.0])[0])
    style.band(axes[0, 0], [0, 1], [1, 2], [0.1, 0.1], color="k")
    axes[0, 0].errorbar([0, 1], [0.0, 1.0], yerr=0.3, capsize=3)
    assert drawn.mismatch(fig, DATA) is None


def test_at_most_six_panels():
    with pytest.raises(ValueError, match="at most six"):
        style.new(2, 4)
    assert mpl.rcParams["svg.fonttype"] == "path"


def test_source_is_the_installed_text_without_its_docstring():
    code, place = excerpt.text(drawn._guide)
    assert code.startswith("def _guide(artists: ") and place.startswith("src/elbo/companion/kernel/drawn.py, lines ")
    code, _ = excerpt.text(drawn.mismatch)
    assert '"""' not in code and "known = _numbers(data)" in code
    assert '"""' in excerpt.text(drawn.mismatch, docstring=True)[0]


def test_the_four_names_of_a_chapter_stay_functions():
    """A submodule of the same name would take the place of the function once it is imported."""
    from elbo import companion

    for _ in range(2):
        assert all(callable(getattr(companion, name)) for name in companion.__all__)


def test_the_record_names_the_cell_only_where_the_text_is_what_ran(run, monkeypatch):
    """With the first figure of a chapter: its cell as it stands in the text is found, a changed one is not."""
    from checkout import ROOT
    from elbo.companion.kernel import publish as module

    monkeypatch.setenv("ELBO_ROOT", str(ROOT))
    source = (ROOT / "book" / "blei-2017.md").read_text()
    id = re.search(r'id="(blei-2017-[a-z0-9-]+)"', source)[1]
    first, last = cell_lines(source, id)
    body = source.splitlines()[first : last - 1]
    code = "\n".join(body[next(n for n, text in enumerate(body) if not text.startswith(":") and text.strip()) :])
    run.chapter = "blei-2017"
    monkeypatch.setattr(module, "_cell", lambda: (1, code + "\n"))
    place = module._shown(id, run)
    assert place == f"book/blei-2017.md#L{first}-L{last}"
    content = bundle(line(), id=id, caption="How?", alt="A line.", data=DATA, session=run, cell=place)
    (said,) = json.loads(content["files"]["json"])["swhid"]["content"]
    assert said.startswith(swhid.content((ROOT / "book" / "blei-2017.md").read_bytes()))
    assert said.endswith(f";lines={first}-{last}")
    monkeypatch.setattr(module, "_cell", lambda: (1, code.replace(id, id + "-2")))
    assert module._shown(id, run) == "" and module._shown("blei-2017-no-such", run) == ""
