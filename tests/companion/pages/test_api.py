"""The reference of the library: every public module on one page, formulas set, excerpts of chapters lead there."""

from __future__ import annotations

import re

import pytest
import yaml
from bs4 import BeautifulSoup

from checkout import ROOT
from elbo import api
from elbo.companion.pages.api import modules, own
from toysite import book

PACKAGES = ("densities", "devices", "models", "inference", "estimators", "disentanglement", "training", "data")
SHOWN = re.compile(r"^\.\. elbo-api:: (.+)$(?:\n   :but: (.+)$)?", re.MULTILINE)
WITHOUT_MATHEMATICS = {"elbo.inference.names"}
API = "# API\n\n```{eval-rst}\n.. elbo-api:: elbo.densities\n```\n"
CHAPTER = (
    "# Chapter\n\n*src/elbo/densities.py, lines 31 to 41*\n\n*src/elbo/cli/entry.py, lines 1 to 2*\n\n"
    "```{eval-rst}\n:func:`elbo.densities.gaussian_kl`\n```\n"
)


def pages() -> dict[str, list[str]]:
    """The modules that each page of the reference names, packages unfolded."""
    texts = {path.stem: path.read_text() for path in sorted((ROOT / "book" / "api").glob("*.md"))}
    return {
        page: [
            one
            for listed, without in SHOWN.findall(text)
            for name in listed.split()
            for one in modules(name)
            if one not in without.split()
        ]
        for page, text in texts.items()
    }


def test_every_public_module_is_on_one_page():
    shown = [name for names in pages().values() for name in names]
    assert len(shown) == len(set(shown))
    public = {name for package in PACKAGES for name in modules(f"elbo.{package}")}
    assert set(api.MODULES) - set(shown) == {"elbo.companion"}  # whose page is that of its kernel
    assert public - set(shown) - WITHOUT_MATHEMATICS == set()


def test_every_page_is_in_the_contents():
    text = (ROOT / "_toc.yml").read_text()
    assert yaml.safe_load(text)["parts"]
    assert {f"book/api/{page}" for page in pages()} == set(re.findall(r"book/api/\w+", text))


def test_a_name_that_is_passed_on_is_described_where_it_is_defined():
    assert own("elbo.training") == [] and "fit" in own("elbo.training.loop")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("api")
    done = book(folder, {"api": (API,), "chapter": (CHAPTER,)})
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "_build" / "html"


def test_formulas_of_docstrings_are_set(site):
    page = BeautifulSoup((site / "book" / "api.html").read_text(), "html.parser")
    assert {tag["id"] for tag in page.select("dt.sig")} >= {
        f"elbo.densities.{name}" for name in own("elbo.densities") if name.islower()
    }
    described = page.find(id="elbo.densities.gaussian_kl").find_parent("dl")
    assert described.select(".katex-html .frac-line") and described.select("math")
    assert "Parameters" in described.get_text() and r"\frac" not in "".join(
        described.find_all(string=True, recursive=False)
    )


def test_an_excerpt_leads_to_its_module_and_a_reference_to_its_function(site):
    page = BeautifulSoup((site / "book" / "chapter.html").read_text(), "html.parser")
    links = {link.get_text(): link["href"] for link in page.select("article a.reference.internal")}
    assert links["src/elbo/densities.py, lines 31 to 41"] == "api.html#module-elbo.densities"
    assert links["elbo.densities.gaussian_kl()"] == "api.html#elbo.densities.gaussian_kl"
    assert not any("entry.py" in text for text in links)


def test_the_reference_stays_out_of_the_full_text_search(site):
    index = (site / "searchindex.js").read_text()
    assert "cross-entropi" not in index and "gaussian_kl" in index
