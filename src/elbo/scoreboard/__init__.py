"""The scoreboard: what the papers claim, what this book finds, and a verdict by rule. It knows nothing of the
mathematics."""

from elbo.scoreboard.claims import KNOWN, Claim, ClaimError, Source, load
from elbo.scoreboard.judge import CHECK, CHECK_FAILS, VERDICTS, Case, Judged, counts, judge
from elbo.scoreboard.reading import Number, Series
from elbo.scoreboard.rules import UNDECIDED, Finding, combine, criterion, decide, shown
from elbo.scoreboard.tables import Missing, Origin, Tables

__all__ = [
    "CHECK",
    "CHECK_FAILS",
    "UNDECIDED",
    "KNOWN",
    "VERDICTS",
    "Case",
    "Claim",
    "ClaimError",
    "Finding",
    "Judged",
    "Missing",
    "Number",
    "Origin",
    "Series",
    "Source",
    "Tables",
    "combine",
    "counts",
    "criterion",
    "decide",
    "judge",
    "load",
    "shown",
]
