"""The directive ``{scoreboard}``: verdicts of the build at hand, with links to what was read;
nothing unescaped, nothing invented.
"""

import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import yaml

from elbo.companion.kernel.publish import bundle
from elbo.companion.kernel.session import Session
from elbo.companion.record.handover import MIME
from elbo.figures import style
from elbo.scoreboard import Case, Claim, Finding, Judged, Number, Origin
from elbo.scoreboard.page import card, verdict_words
from toysite import MACROS, notebook

CLAIMS = {
    "papers": {"toy-2013": "Toy & Sons (2013)"},
    "claims": [
        {
            "id": "toy-grows",
            "paper": "toy-2013",
            "where": "Figure <1>",
            "claim": "It <b>grows</b> like $x^2$ & more.",
            "known": "secondary",
            "reported": {"value": 9, "spread": 0.5},
            "unit": "nats",
            "ours": [
                {"table": "reference/toy-2013/absent", "read": {"end": {"column": "y", "error": "none"}}},
                {
                    "table": "figure/toy-2013-line",
                    "read": {"end": {"column": "y", "at": {"x": "max"}, "error": "none"}},
                },
            ],
            "rule": {"near": {"number": "end", "to": "paper", "within": 1, "partly": 2}},
            "single": "the line is the same in every run",
        },
        {
            "id": "toy-absent",
            "paper": "toy-2013",
            "where": "Figure 2",
            "claim": "Nothing here.",
            "known": "read",
            "ours": [{"table": "figure/toy-2013-absent", "read": {"end": {"column": "y", "error": "none"}}}],
            "rule": {"at_least": {"number": "end", "threshold": 1}},
            "exact": True,
        },
        {
            "id": "toy-not",
            "paper": "toy-2013",
            "where": "Figure 3",
            "claim": "Nor here.",
            "known": "recollection",
            "not_attempted": "No data.",
        },
    ],
}


def figure():
    import nbformat

    data = pd.DataFrame({"x": [0.0, 1.0, 2.0, 3.0], "y": [0.0, 1.0, 4.0, 9.0]})
    fig, axes = style.new(height=1.5, width=3)
    axes[0, 0].plot(data.x, data.y)
    content = bundle(
        fig, id="toy-2013-line", caption="Grows?", alt="A line.", data=data, session=Session("toy-2013", "smoke", {})
    )
    png = content["files"].pop("png")
    return nbformat.v4.new_output(
        "display_data", data={MIME: content, "image/png": png}, metadata={"elbo_figure": "toy-2013-line"}
    )


@pytest.fixture(scope="module")
def page(tmp_path_factory) -> str:
    """The built page; it comes before the chapter in the alphabet and in the contents."""
    folder = tmp_path_factory.mktemp("book")
    (folder / "book").mkdir()
    extensions = ["elbo.companion.pages.katex", "elbo.companion.pages.figures", "elbo.scoreboard.page"]
    config = {"title": "Toy", "execute": {"execute_notebooks": "off"}, "sphinx": {"extra_extensions": extensions}}
    config["sphinx"]["config"] = {"html_math_renderer": "katex", "katex_macros": MACROS}
    (folder / "_config.yml").write_text(yaml.safe_dump(config))
    (folder / "_toc.yml").write_text("format: jb-book\nroot: book/a-board.md\nchapters:\n- file: book/toy-2013.ipynb\n")
    (folder / "book" / "claims.yml").write_text(yaml.safe_dump(CLAIMS))
    (folder / "book" / "a-board.md").write_text(
        "# Board\n\n```{scoreboard} summary\n```\n\n```{scoreboard} toy-2013\n```\n"
    )
    notebook(folder / "book" / "toy-2013.ipynb", "# Chapter", figure())
    command = [Path(sys.prefix) / "bin" / "jupyter-book", "build", folder, "-n", "-W", "--keep-going", "--all"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return (folder / "_build" / "html" / "book" / "a-board.html").read_text()


def text(html: str) -> str:
    return " ".join(re.sub(r"<[^>]*>", " ", html).split())


def test_the_verdict_comes_from_the_figure_of_this_build(page):
    words = text(page[page.index('id="claim-toy-grows"') : page.index('id="claim-toy-absent"')])
    assert "Reproduced (small run)" in words
    assert "9 nats, 0 nats below the paper's 9.00 ± 0.50 nats" in words
    assert "this build's run (profile smoke), figure" in words
    assert 'href="toy-2013.html#toy-2013-line"' in page


def test_what_was_not_run_or_not_attempted_says_so(page):
    words = text(page[page.index('id="claim-toy-absent"') :])
    assert "Not run in this build" in words and "this build has no figure toy-2013-absent" in words
    assert "Not attempted" in words and "unverified recollection" in words and "No data." in words


def test_the_summary_counts_every_claim_once(page):
    assert (
        "All claims: 3, of which 1 reproduced, 1 not attempted, 1 not run in this build; 1 of these verdicts from a "
        "small run." in text(page)
    )


def test_texts_of_the_claims_file_stay_text(page):
    assert "<b>grows" not in page and "&lt;b&gt;grows&lt;/b&gt;" in page and "Figure &lt;1&gt;" in page
    assert "katex" in page[page.index('id="claim-toy-grows"') :]


def test_every_claim_has_a_row_with_a_link_to_its_folded_card(page):
    table = page[page.index('class="elbo-board') :]
    table = table[: table.index("</table>")]
    links = re.findall(r'href="#(claim-[\w-]+)"', table)
    assert links == ["claim-toy-grows", "claim-toy-absent", "claim-toy-not"]
    for link in links:
        assert re.search(rf'<details class="[^"]*elbo-claim[^"]*" id="{link}">', page), link
    assert "elbo-of-toy-2013" in table and "<details open" not in page


def test_an_undecided_verdict_says_how_many_runs_there_were():
    claim = replace(ONE, runs=3)
    few = Judged(claim, "undecided", cases=(Case("", {"x": Number(2, 0.1, 1)}, Finding("undecided", "x 2")),))
    assert verdict_words(few) == "Undecided, 1 of 3 runs"
    enough = few._replace(cases=(Case("", {"x": Number(2, 0.1, 3)}, Finding("undecided", "x 2")),))
    assert verdict_words(enough) == "Undecided"
    ages = tuple(Case(f"samples {n}", {}, Finding(v, "")) for n, v in ((1, "reproduced"), (2, "partly")))
    assert verdict_words(Judged(ONE, "partly", ages=ages)) == "Partly reproduced, depends on age"
    assert "samples 1: reproduced" in card(Judged(ONE, "partly", ages=ages)).astext()


ONE = Claim("a-b", "toy", "Figure 1", "It works.", "read", rule={"at_least": {"number": "x", "threshold": 1}})


def test_a_verdict_is_a_word_and_a_class():
    node = card(Judged(ONE, "not reproduced"))
    assert "Not reproduced" in node.astext() and "elbo-not-reproduced" in node["classes"]


def test_a_reference_table_is_linked_with_its_commit_and_device():
    origin = Origin("reference", "toy/table", "", "0123456789abcdef", True, "Some GPU", {})
    node = card(Judged(ONE, "reproduced", False, origin, ()), to_root="../")
    assert "Read from" not in node.astext()  # nothing was read
    judged = Judged(
        ONE, "reproduced", False, origin, (Case("", {"x": Number(2, 0.1, 3)}, Finding("reproduced", "x 2")),)
    )
    node = card(judged, to_root="../")
    assert "reference table toy/table, commit 0123456789ab with changes, Some GPU" in node.astext()
    assert "x 2 (3 runs)." in node.astext()
    assert '<reference internal="True" refuri="../reference/toy/table.csv">' in node.pformat().replace("\n", "")
