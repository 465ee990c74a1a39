"""From a claim and the tables at hand to a line of the scoreboard."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from elbo.scoreboard.claims import Claim, Source
from elbo.scoreboard.reading import Number, Series, common, read, select
from elbo.scoreboard.rules import (
    NOT,
    NOT_ATTEMPTED,
    NOT_RUN,
    PARTLY,
    REPRODUCED,
    UNDECIDED,
    Finding,
    combine,
    decide,
)
from elbo.scoreboard.tables import Missing, Origin, Tables

__all__ = ["CHECK", "CHECK_FAILS", "VERDICTS", "Case", "Judged", "counts", "judge"]

CHECK, CHECK_FAILS = "check", "check fails"
VERDICTS = (REPRODUCED, PARTLY, NOT, UNDECIDED, CHECK, CHECK_FAILS, NOT_ATTEMPTED, NOT_RUN)
"""Everything that a claim can be, in the order of the summary. A check is a claim that is true by construction."""


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
        ages: the same comparison at other ages of the same models, where the claims file asks for them.
    """

    claim: Claim
    verdict: str
    small: bool = False
    origin: Origin | None = None
    cases: tuple[Case, ...] = ()
    missing: tuple[str, ...] = ()
    ages: tuple[Case, ...] = ()

    @property
    def fragile(self) -> bool:
        """Whether another age gives another verdict."""
        return len({case.finding.verdict for case in self.ages if case.finding}) > 1

    @property
    def runs(self) -> int:
        """The fewest training runs behind a number that was read; 0 where that is no matter of runs."""
        return min((_runs(case) for case in self.cases if _runs(case)), default=0)


def judge(claim: Claim, tables: Tables) -> Judged:
    """The verdict on a claim, from the first of its sources that can be read.

    A claim about an algorithm asks for so many training runs (``claim.runs``); with fewer it is undecided.

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
        return Judged(claim, _verdict(claim, cases), small, origin, cases, (), _ages(claim, tables))
    return Judged(claim, NOT_RUN, missing=tuple(missing))


def counts(judged: Iterable[Judged]) -> dict[str, int]:
    """How many claims have each verdict, all of :data:`VERDICTS` in order."""
    found = Counter(one.verdict for one in judged)
    return {verdict: found[verdict] for verdict in VERDICTS}


def _verdict(claim: Claim, cases: tuple[Case, ...]) -> str:
    if claim.rule is None:
        return NOT_ATTEMPTED
    verdict = combine([case.finding for case in cases])
    if claim.check:
        return CHECK if verdict == REPRODUCED else CHECK_FAILS
    return verdict


def _ages(claim: Claim, tables: Tables) -> tuple[Case, ...]:
    for source in claim.ages:
        try:
            return _cases(claim, source, tables)[0]
        except Missing:
            continue
    return ()


def _cases(claim: Claim, source: Source, tables: Tables) -> tuple[tuple[Case, ...], Origin]:
    table, origin = tables.read(source.table)
    rows = select(table, source.keep)
    if source.each and source.each not in rows:
        raise Missing(f"no column {source.each}")
    values = sorted(rows[source.each].unique()) if source.each else [None]
    cases = []
    for value in values:
        part = _of_case(rows, source.each, value)
        if source.until:
            part = common(part, source.until)
        numbers: dict[str, Number | Series] = {}
        for name, spec in source.read.items():
            other = part if "from" not in spec else _of_case(tables.read(spec["from"])[0], source.each, value)
            numbers[name] = read(spec, other, origin, numbers)
        shown = value if isinstance(value, str) or value is None else f"{value:,g}" if value < 1e6 else f"{value:g}"
        label = "" if value is None else f"{source.each.replace('_', ' ')} {shown}"
        cases.append(Case(label, numbers, _finding(claim, numbers, source.require)))
    return tuple(cases), origin


def _of_case(rows, each: str, value):
    return rows if value is None or each not in rows else select(rows, {each: value})


def _finding(claim: Claim, numbers: Mapping[str, Number | Series], require: Mapping) -> Finding | None:
    if claim.rule is None:
        return None
    finding = decide(claim.rule, numbers, claim.reported, claim.unit)
    if require and numbers[require["number"]].value < require["at_least"]:
        return Finding(UNDECIDED, f"{finding.words}; left out: {require['why']}")
    runs = min((n for name in claim.compared for n in _seeds(numbers[name]) if n), default=0)
    if not claim.runs or runs >= claim.runs:
        return finding
    few = f"{runs} training run{'' if runs == 1 else 's'} where a verdict takes {claim.runs}"
    return Finding(UNDECIDED, f"{finding.words}; {few}")


def _runs(case: Case) -> int:
    return min((n for number in case.numbers.values() for n in _seeds(number) if n), default=0)


def _seeds(number: Number | Series) -> list[int]:
    return [one.seeds for one in ([number] if isinstance(number, Number) else number.numbers)]
