"""From a claim and the tables at hand to a line of the scoreboard."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from elbo.scoreboard.claims import Claim, Source
from elbo.scoreboard.reading import Number, Series, read, select
from elbo.scoreboard.rules import NOT, NOT_ATTEMPTED, NOT_RUN, PARTLY, REPRODUCED, Finding, combine, decide
from elbo.scoreboard.tables import Missing, Origin, Tables

__all__ = ["VERDICTS", "Case", "Judged", "counts", "judge"]

VERDICTS = (REPRODUCED, PARTLY, NOT, NOT_ATTEMPTED, NOT_RUN)
"""Everything that a claim can be, in the order of the summary."""


class Case(NamedTuple):
    """One comparison: ``label`` is empty where a claim has one only."""

    label: str
    numbers: Mapping[str, Number | Series]
    finding: Finding | None


class Judged(NamedTuple):
    """A claim with its verdict.

    Attributes:
        small: ours comes from a small run on embedded data, so that the verdict is a hint and not a result.
        origin: of the table that was read; ``None`` without one.
        missing: why nothing could be read, one sentence a source.
    """

    claim: Claim
    verdict: str
    small: bool = False
    origin: Origin | None = None
    cases: tuple[Case, ...] = ()
    missing: tuple[str, ...] = ()


def judge(claim: Claim, tables: Tables) -> Judged:
    """The verdict on a claim, from the first of its sources that can be read.

    Raises:
        elbo.reference.ReferenceError: a reference table was changed after it was measured.
    """
    if claim.not_attempted:
        return Judged(claim, NOT_ATTEMPTED)
    missing = []
    for source in claim.ours:
        try:
            cases, origin = _cases(claim, source, tables)
        except Missing as error:
            missing.append(f"{source.table}: {error}")
            continue
        small = origin.kind == "figure" and origin.profile != "paper" and not claim.exact
        verdict = combine([case.finding for case in cases]) if claim.rule else NOT_ATTEMPTED
        return Judged(claim, verdict, small, origin, cases)
    return Judged(claim, NOT_RUN, missing=tuple(missing))


def counts(judged: Iterable[Judged]) -> dict[str, int]:
    """How many claims have each verdict, all of :data:`VERDICTS` in order."""
    found = Counter(one.verdict for one in judged)
    return {verdict: found[verdict] for verdict in VERDICTS}


def _cases(claim: Claim, source: Source, tables: Tables) -> tuple[tuple[Case, ...], Origin]:
    table, origin = tables.read(source.table)
    rows = select(table, source.keep)
    if source.each and source.each not in rows:
        raise Missing(f"no column {source.each}")
    values = sorted(rows[source.each].unique()) if source.each else [None]
    cases = []
    for value in values:
        part = rows if value is None else rows[rows[source.each] == value]
        numbers: dict[str, Number | Series] = {}
        for name, spec in source.read.items():
            numbers[name] = read(spec, part, origin, numbers)
        finding = decide(claim.rule, numbers, claim.reported, claim.unit) if claim.rule else None
        shown = value if isinstance(value, str) or value is None else f"{value:g}"
        label = "" if value is None else f"{source.each.replace('_', ' ')} {shown}"
        cases.append(Case(label, numbers, finding))
    return tuple(cases), origin
