"""The gallery's single panels: cut out of the large picture, linked one by one, and in the file of all."""

from __future__ import annotations

import re
import zipfile
from types import SimpleNamespace

import pytest
from PIL import Image

from elbo.companion.pages import gallery


@pytest.fixture
def app(tmp_path):
    (tmp_path / "figures").mkdir()
    picture = Image.new("RGB", (200, 100), "red")
    picture.paste("blue", (120, 0, 200, 100))
    picture.save(tmp_path / "figures" / "toy-2013-two.png")
    for suffix in ("pdf", "csv"):
        (tmp_path / "figures" / f"toy-2013-two.{suffix}").write_text(suffix)
    about = {"docname": "book/toy-2013", "record": {"chapter": "toy-2013"}}
    about["panels"] = [(0.0, 0.0, 0.6, 1.0), (0.6, 0.0, 1.0, 1.0)]
    env = SimpleNamespace(elbo_figures={"toy-2013-two": about}, elbo_galleries={"book/figures": ["toy-2013"]})
    return SimpleNamespace(outdir=tmp_path, env=env, builder=SimpleNamespace(format="html", name="html"))


def test_panels_are_cut_where_they_lie(app):
    gallery._panels(app, None)
    found = {}
    for number in (1, 2):
        with Image.open(app.outdir / "figures" / "panels" / f"toy-2013-two-{number}.png") as picture:
            found[number] = picture.size, picture.getcolors()
    assert found == {1: ((120, 100), [(12000, (255, 0, 0))]), 2: ((80, 100), [(8000, (0, 0, 255))])}


def test_panels_are_linked_and_in_the_file_of_all(app):
    gallery._panels(app, None)
    gallery._archives(app, None)
    html = gallery._files("../", "toy-2013-two", 2)
    addresses = re.findall(r'href="\.\./(figures/panels/[^"]*)"', html)
    assert addresses == ["figures/panels/toy-2013-two-1.png", "figures/panels/toy-2013-two-2.png"]
    assert all((app.outdir / address).is_file() for address in addresses)
    with zipfile.ZipFile(app.outdir / "figures" / "toy-2013.zip") as archive:
        assert {name for name in archive.namelist() if "panels" in name} == {
            "toy-2013/panels/toy-2013-two-1.png",
            "toy-2013/panels/toy-2013-two-2.png",
        }


def test_a_figure_of_one_panel_has_no_such_line():
    assert "panels" not in gallery._files("../", "toy-2013-one")
