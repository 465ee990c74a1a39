"""Sphinx extension: the directive ``{scoreboard}``, cards of claims with verdicts computed when the book is built.

``{scoreboard} summary`` counts verdicts, ``{scoreboard} <paper>`` shows the claims on a paper. The cards are filled in
after every page has been read, because they read the tables of the figures that the other pages publish.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util.docutils import SphinxDirective

from elbo import reference, scoreboard
from elbo.companion.pages.figures import caption_nodes
from elbo.companion.pages.medium import is_web, to_root
from elbo.scoreboard import Judged, Number, Origin, Tables

__all__ = ["Scoreboard", "card", "setup", "summary", "verdict_words"]

CLAIMS = "book/claims.yml"
_SMALL = "small run"
_SAID = {
    "reproduced": "Reproduced",
    "partly": "Partly reproduced",
    "not reproduced": "Not reproduced",
    "undecided": "Undecided",
    "check": "Check holds",
    "check fails": "Check fails",
    "not attempted": "Not attempted",
    "not run in this build": "Not run in this build",
}
"""Verdicts as a page says them."""
_COUNTED = {"check": "checks that hold", "check fails": "checks that fail"}


class board(nodes.General, nodes.Element):
    """Stands for the cards of a paper, or for the summary, until every page has been read."""


class folded(nodes.General, nodes.Element):
    """``<details>``: folded away in HTML, plain text elsewhere."""


class heading(nodes.General, nodes.TextElement):
    """``<summary>`` of a :class:`folded`."""


class Scoreboard(SphinxDirective):
    """``{scoreboard} summary`` or ``{scoreboard} <paper>``."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        papers, _ = scoreboard.load(_claims(self.env))
        what = self.arguments[0]
        if what != "summary" and what not in papers:
            raise self.error(f"there is no paper {what!r} in {CLAIMS}; there are {', '.join(papers)}, and summary")
        self.env.note_dependency(str(_claims(self.env)))
        _pages(self.env).add(self.env.docname)
        return [board("", what=what)]


def summary(judged: list[Judged], papers: dict[str, str]) -> list[nodes.Node]:
    """How many claims have which verdict, for all and for each paper; below it every claim in a row, with a link to its
    card."""
    lines = [
        ("All claims", judged),
        *((title, [j for j in judged if j.claim.paper == key]) for key, title in papers.items()),
    ]
    items = []
    for title, part in lines:
        found = ", ".join(
            f"{count} {_COUNTED.get(verdict, verdict)}" for verdict, count in scoreboard.counts(part).items() if count
        )
        small = sum(j.small for j in part)
        hint = f"; {small} of these verdicts from a {_SMALL}" if small else ""
        words = nodes.Text(f"{len(part)}, of which {found}{hint}.")
        items.append(nodes.list_item("", nodes.paragraph("", "", nodes.strong("", f"{title}: "), words)))
    return [nodes.bullet_list("", *items, classes=["elbo-verdict-counts"]), _rows(judged, papers)]


def verdict_words(judged: Judged) -> str:
    """The verdict as the page says it: what it rests on, and whether another age of the models gives another."""
    words = _SAID[judged.verdict]
    needs = judged.claim.runs
    if judged.verdict == scoreboard.UNDECIDED and needs and judged.runs < needs:
        words += f", {judged.runs} of {needs} runs"
    return words + (f" ({_SMALL})" if judged.small else "") + (", depends on age" if judged.fragile else "")


def card(judged: Judged, figure_page: str = "", to_root: str = "") -> nodes.Element:
    """One claim, folded under its verdict. Everything that is shown is text; ``$...$`` in the claims file is
    mathematics.

    Args:
        figure_page: address of the page of the figure that was read.
        to_root: from the page to the root of the site.
    """
    claim = judged.claim
    frame = folded("", classes=["elbo-claim", _class(judged)], ids=[f"claim-{claim.id}"])
    frame += heading(
        "",
        "",
        nodes.inline("", verdict_words(judged), classes=["elbo-verdict"]),
        nodes.Text(" "),
        nodes.inline("", "", *caption_nodes(claim.claim), classes=["elbo-said"]),
        nodes.Text(" "),
        nodes.inline("", claim.where, classes=["elbo-where"]),
    )
    facts: list[tuple[str, list[nodes.Node]]] = []
    reported = f"{scoreboard.shown(claim.reported, claim.unit)}, " if claim.reported else ""
    note = f" ({claim.note})" if claim.note else ""
    facts.append(("Paper", [nodes.Text(reported + scoreboard.KNOWN[claim.known]), *caption_nodes(note)]))
    if judged.cases:
        facts.append(("Ours", _ours(judged)))
        facts.append(("Read from", _origin(judged.origin, figure_page, to_root)))
    if judged.ages:
        facts.append(("Ages", _by_age(judged)))
    if judged.missing:
        facts.append(("Ours", [nodes.Text("; ".join(judged.missing))]))
    if claim.rule:
        facts.append(("Rule", caption_nodes(scoreboard.criterion(claim.rule, claim.unit, claim.noisy) + _runs(claim))))
    if remark := claim.remark or claim.not_attempted:
        facts.append(("Note" if judged.cases else "Why", caption_nodes(remark)))
    frame += nodes.definition_list("", *(_fact(name, content) for name, content in facts), classes=["elbo-facts"])
    return frame


def _rows(judged: list[Judged], papers: dict[str, str]) -> nodes.table:
    """All claims in a table; each row has the key of its paper and the class of its verdict, for the filter of
    scoreboard.js."""
    group = nodes.tgroup("", *(nodes.colspec("", colwidth=width) for width in (55, 20, 25)), cols=3)
    names = ("Claim", "Paper", "Verdict")
    group += nodes.thead("", nodes.row("", *(nodes.entry("", nodes.paragraph("", name)) for name in names)))
    body = nodes.tbody("")
    for one in judged:
        said = [nodes.inline("", "", *caption_nodes(one.claim.claim))]
        place = f"{papers[one.claim.paper]}, {one.claim.where}" if one.claim.paper != "beside" else one.claim.where
        link = nodes.reference("", verdict_words(one), refuri=f"#claim-{one.claim.id}", internal=True)
        cells = (said, [nodes.Text(place)], [link])
        row = nodes.row("", *(nodes.entry("", nodes.paragraph("", "", *cell)) for cell in cells))
        row["classes"] += [f"elbo-of-{one.claim.paper}", _class(one)]
        body += row
    group += body
    return nodes.table("", group, classes=["elbo-board"])


def _class(judged: Judged) -> str:
    return f"elbo-{judged.verdict.replace(' ', '-')}"


def _runs(claim: scoreboard.Claim) -> str:
    if claim.runs:
        return f" A verdict takes {claim.runs} training runs."
    return f" Training runs are not counted: {claim.single}." if claim.single else ""


def _by_age(judged: Judged) -> list[nodes.Node]:
    items = []
    for case in judged.ages:
        words = f": {_SAID[case.finding.verdict].lower()}. {case.finding.words}."
        items.append(nodes.list_item("", nodes.paragraph("", "", nodes.strong("", case.label), nodes.Text(words))))
    return [nodes.bullet_list("", *items)]


def _fact(name: str, content: list[nodes.Node]) -> nodes.definition_list_item:
    blocks = (
        content
        if content and isinstance(content[0], (nodes.bullet_list, nodes.paragraph))
        else [nodes.paragraph("", "", *content)]
    )
    return nodes.definition_list_item("", nodes.term("", name), nodes.definition("", *blocks))


def _ours(judged: Judged) -> list[nodes.Node]:
    items = []
    for case in judged.cases:
        words = case.finding.words if case.finding else _listed(judged, case.numbers)
        runs = {n.seeds for n in _plain(case.numbers) if n.seeds}
        seeds = f" ({min(runs)} run{'s' if min(runs) > 1 else ''})" if runs else ""
        if len(judged.cases) == 1:
            return [nodes.Text(f"{words}{seeds}.")]
        verdict = f": {_SAID[case.finding.verdict].lower()}" if case.finding else ""
        items.append(
            nodes.list_item(
                "", nodes.paragraph("", "", nodes.strong("", case.label), nodes.Text(f"{verdict}. {words}{seeds}."))
            )
        )
    return [nodes.bullet_list("", *items)]


def _listed(judged: Judged, numbers) -> str:
    """Numbers that no rule compares."""
    parts = []
    for name, n in numbers.items():
        if isinstance(n, Number):
            parts.append(f"{name} {scoreboard.shown(n, judged.claim.unit)}")
        else:
            parts.append(f"{name}: " + ", ".join(f"{scoreboard.shown(one)} at {x:g}" for x, one in zip(n.x, n.numbers)))
    return ", ".join(parts)


def _plain(numbers) -> list[Number]:
    return [one for n in numbers.values() for one in ([n] if isinstance(n, Number) else n.numbers)]


def _origin(origin: Origin, figure_page: str, to_root: str) -> list[nodes.Node]:
    reference_table = origin.kind == "reference"
    what = "reference table " if reference_table else f"this build's run (profile {origin.profile}), figure "
    found: list[nodes.Node] = [nodes.Text(what)]
    for i, name in enumerate(origin.parts):
        link = f"{to_root}reference/{name}.csv" if reference_table else f"{figure_page}#{name}"
        found += [nodes.Text(" and ")] * (i > 0)
        found.append(nodes.reference("", "", nodes.literal("", name), refuri=link, internal=True))
    commit = ", ".join(one[:12] for one in origin.commit.split(", ")) + (" with changes" if origin.dirty else "")
    return [*found, nodes.Text(f", commit {commit}, {origin.device}")]


def _claims(env: BuildEnvironment) -> Path:
    return Path(env.srcdir) / CLAIMS


def _pages(env: BuildEnvironment) -> set[str]:
    if not hasattr(env, "elbo_scoreboards"):
        env.elbo_scoreboards = set()
    return env.elbo_scoreboards


def _judged(app: Sphinx) -> tuple[dict[str, str], list[Judged]]:
    """All claims, judged once a build."""
    if not hasattr(app, "elbo_judged"):
        published = getattr(app.env, "elbo_figures", {})
        tables = Tables(Path(app.outdir).parent / "jupyter_execute" / "figures", published.__contains__)
        papers, claims = scoreboard.load(_claims(app.env))
        app.elbo_judged = papers, [scoreboard.judge(claim, tables) for claim in claims]
    return app.elbo_judged


def _resolve(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    for node in list(doctree.findall(board)):
        papers, judged = _judged(app)
        if node["what"] == "summary":
            node.replace_self(summary(judged, papers))
            continue
        cards = []
        for one in judged:
            if one.claim.paper == node["what"]:
                cards.append(card(one, _figure_page(app, docname, one.origin), to_root(app.builder, docname)))
        node.replace_self(cards)


def _figure_page(app: Sphinx, docname: str, origin: Origin | None) -> str:
    if origin is None or origin.kind != "figure":
        return ""
    return app.builder.get_relative_uri(docname, app.env.elbo_figures[origin.name]["docname"])


def _purge(app: Sphinx, env: BuildEnvironment, docname: str) -> None:
    _pages(env).discard(docname)


def _again(app: Sphinx, env: BuildEnvironment) -> list[str]:
    """Scoreboards are written in every build: a figure on another page may have changed."""
    return sorted(_pages(env))


def _merge(app: Sphinx, env: BuildEnvironment, docnames: list[str], other: BuildEnvironment) -> None:
    _pages(env).update(_pages(other))


def _copy(app: Sphinx, error: Exception | None) -> None:
    """The reference tables that were read, with their records, at ``reference/<chapter>/<table>.{csv,json}`` of the
    site."""
    if error is not None or not is_web(app.builder) or not hasattr(app, "elbo_judged"):
        return
    names = {
        name for one in app.elbo_judged[1] if one.origin and one.origin.kind == "reference" for name in one.origin.parts
    }
    for name in sorted(names):
        target = Path(app.outdir) / "reference" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        for suffix in (".csv", ".json"):
            shutil.copyfile(reference.directory() / f"{name}{suffix}", target.with_name(target.name + suffix))


def _open(tag: str):
    def visit(self, node) -> None:
        self.body.append(self.starttag(node, tag))

    return visit


def _close(tag: str):
    def depart(self, node) -> None:
        self.body.append(f"</{tag}>\n")

    return depart


_NOTHING = (lambda self, node: None, lambda self, node: None)


def setup(app: Sphinx) -> dict:
    """Register the directive ``scoreboard``."""
    app.add_node(board)
    app.add_node(folded, html=(_open("details"), _close("details")), text=_NOTHING, latex=_NOTHING, man=_NOTHING)
    app.add_node(heading, html=(_open("summary"), _close("summary")), text=_NOTHING, latex=_NOTHING, man=_NOTHING)
    app.add_directive("scoreboard", Scoreboard)
    app.connect("env-purge-doc", _purge)
    app.connect("env-merge-info", _merge)
    app.connect("env-updated", _again)
    app.connect("doctree-resolved", _resolve)
    app.connect("build-finished", _copy)
    return {"version": "1", "env_version": 1, "parallel_read_safe": True, "parallel_write_safe": True}
