"""The claims file: what each paper says, how we know it, where ours is to be read, and the rule for the verdict.

``book/claims.yml`` holds facts of the papers and addresses of numbers, never a number of ours. Its form is checked when
it is read, so that a slip of the pen is a sentence and not a wrong verdict.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from elbo.scoreboard.reading import DERIVED, KEYS, TAKE, Number
from elbo.scoreboard.rules import RULES

__all__ = ["KNOWN", "Claim", "ClaimError", "Source", "load"]

KNOWN = {
    "read": "read in the paper",
    "secondary": "from a secondary source, not read in the paper",
    "recollection": "unverified recollection",
}
"""How we know what a paper says."""

_NEEDS = {
    "near": {"number", "to", "within", "partly"},
    "greater": {"numbers"},
    "highest": {"number", "of"},
    "at_least": {"number", "threshold"},
    "at_most": {"number", "threshold"},
    "agree": {"numbers"},
    "rising": {"series"},
    "peaked": {"series"},
}
_MAY = {
    "greater": {"standard_errors", "by"},
    "highest": {"standard_errors"},
    "at_least": {"standard_errors", "partly"},
    "at_most": {"standard_errors", "partly"},
    "agree": {"standard_errors", "within"},
    "rising": {"standard_errors", "falling"},
    "peaked": {"standard_errors"},
}
_FIELDS = {
    "id",
    "paper",
    "where",
    "claim",
    "known",
    "note",
    "reported",
    "unit",
    "ours",
    "rule",
    "exact",
    "remark",
    "not_attempted",
    "runs",
    "check",
    "ages",
    "single",
}
_ID = re.compile(r"[a-z0-9]+(-[a-z0-9]+)+")


class ClaimError(ValueError):
    """An entry of the claims file is malformed; the message names the claim and says what is wrong."""


@dataclass(frozen=True)
class Source:
    """One place where ours can be read.

    Attributes:
        table: ``reference/<chapter>/<table>`` or ``figure/<id>``.
        keep: rows that count at all, ``{column: value}``.
        each: column over whose values the comparison is repeated; empty for one comparison.
        require: a reading and the least that it must be; below it the case is undecided, for a reason that is given.
        until: column; rows beyond the largest value that every algorithm and seed of a case has reached are left out.
        read: readings by name, in order.
    """

    table: str
    keep: Mapping
    each: str
    read: Mapping[str, Mapping]
    until: str = ""
    require: Mapping = field(default_factory=dict)


@dataclass(frozen=True)
class Claim:
    """One line of the scoreboard.

    Attributes:
        where: figure, section or appendix of the paper.
        known: a key of :data:`KNOWN`; ``note`` says more about the source.
        reported: the paper's number; ``None`` where it prints none, or where we know it from memory only.
        ours: sources, the preferred one first.
        rule: see :mod:`elbo.scoreboard.rules`; ``None``: there is nothing to compare with.
        exact: the number is a closed form and no smaller in a small run.
        remark: what a reader should know of the comparison, true whatever the verdict.
        not_attempted: why, for what was not attempted; then there is nothing else.
        runs: how many training runs a verdict takes; 0 where the claim is not about an algorithm that is trained.
        check: the claim is true by construction, so that it is a check of the computation and no result.
        ages: sources that repeat the comparison at other ages of the models, a case for each.
        single: why a verdict needs no training runs, for a claim with a rule that neither ``runs`` nor ``check`` nor
            ``exact`` covers.
    """

    id: str
    paper: str
    where: str
    claim: str
    known: str
    note: str = ""
    reported: Number | None = None
    unit: str = ""
    ours: tuple[Source, ...] = ()
    rule: Mapping | None = None
    exact: bool = False
    remark: str = ""
    not_attempted: str = ""
    runs: int = 0
    check: bool = False
    ages: tuple[Source, ...] = ()
    single: str = ""

    @property
    def compared(self) -> list[str]:
        """The readings that the rule compares."""
        return [] if self.rule is None else _used(self.rule)

    @property
    def noisy(self) -> bool:
        """Whether any number that is read has a standard error."""
        specs = [spec for source in self.ours for spec in source.read.values()]
        return any(spec.get("error", "none") != "none" for spec in specs)


def load(path: Path) -> tuple[dict[str, str], list[Claim]]:
    """Read a claims file: ``{paper: title}`` in order, and the claims.

    Raises:
        ClaimError: it is malformed.
    """
    said = yaml.safe_load(path.read_text(encoding="utf-8"))
    papers = said["papers"]
    claims = [_claim(entry, papers) for entry in said["claims"]]
    ids = [claim.id for claim in claims]
    if twice := {id for id in ids if ids.count(id) > 1}:
        raise ClaimError(f"{', '.join(sorted(twice))}: two claims have this id; an id belongs to one claim")
    return papers, claims


def _claim(entry: Mapping, papers: Mapping) -> Claim:
    id = str(entry.get("id", entry))
    if unknown := set(entry) - _FIELDS:
        raise ClaimError(
            f"{id}: unknown field {', '.join(sorted(unknown))}; the fields are {', '.join(sorted(_FIELDS))}"
        )
    if missing := {"id", "paper", "where", "claim", "known"} - set(entry):
        raise ClaimError(f"{id}: {', '.join(sorted(missing))} missing")
    _require(id, _ID.fullmatch(id), "use lower-case letters, digits and single hyphens for an id")
    _require(id, entry["paper"] in papers, f"paper {entry['paper']!r} is not among {', '.join(papers)}")
    _require(id, entry["known"] in KNOWN, f"known: {entry['known']!r} is not one of {', '.join(KNOWN)}")
    _require(
        id,
        entry["known"] != "recollection" or "reported" not in entry,
        "a recollected number is not printed; leave `reported` out",
    )
    _require(id, ("not_attempted" in entry) != ("ours" in entry), "give either `ours` or `not_attempted`")
    sources = tuple(_source(id, source) for source in entry.get("ours", []))
    ages = tuple(_source(id, source) for source in entry.get("ages", []))
    rule = entry.get("rule")
    if rule is not None:
        _check_rule(id, rule, (*sources, *ages), "reported" in entry)
    _require(id, not (ages or entry.get("runs") or entry.get("check")) or rule, "runs, check and ages go with a rule")
    covered = [name for name in ("runs", "check", "exact", "single") if entry.get(name)]
    _require(id, rule is None or covered, "say how many runs a verdict takes, or in `single` why it takes none")
    _require(id, not (entry.get("single") and entry.get("runs")), "give either `runs` or `single`")
    _require(id, int(entry.get("runs", 3)) >= 3, "a verdict on an algorithm takes three training runs at least")
    if entry.get("runs"):
        for source in (*sources, *ages):
            counted = any(_counts_runs(source.read, name) for name in _used(rule))
            _require(
                id, counted, f"runs are asked for, but no number from {source.table} says how many stand behind it"
            )
    reported = entry.get("reported")
    texts = {
        name: " ".join(str(entry.get(name, "")).split())
        for name in ("where", "claim", "note", "remark", "not_attempted", "single")
    }
    return Claim(
        id=id,
        paper=entry["paper"],
        known=entry["known"],
        reported=None if reported is None else Number(float(reported["value"]), float(reported.get("spread", 0))),
        unit=entry.get("unit", ""),
        ours=sources,
        rule=rule,
        exact=bool(entry.get("exact", False)),
        runs=int(entry.get("runs", 0)),
        check=bool(entry.get("check", False)),
        ages=ages,
        **texts,
    )


def _source(id: str, entry: Mapping) -> Source:
    complete = {"table", "read"} <= set(entry) <= {"table", "keep", "each", "read", "until", "require"}
    _require(id, complete, "a source has table, read, and perhaps keep, each, until and require")
    address = re.fullmatch(r"reference/[\w-]+/[\w-]+(\+[\w-]+)?|figure/[\w-]+", entry["table"])
    _require(id, address, f"table {entry['table']!r} is neither reference/<chapter>/<table> nor figure/<id>")
    names: list[str] = []
    for name, spec in entry["read"].items():
        if set(spec) & set(DERIVED):
            ((operation, others),) = spec.items()
            _require(
                id,
                len(others) == 2 and set(others) <= set(names),
                f"{name}: {operation} takes two readings named before it",
            )
        else:
            _require(
                id,
                set(spec) <= KEYS,
                f"{name}: unknown {', '.join(sorted(set(spec) - KEYS))}; a reading has {', '.join(sorted(KEYS))}",
            )
            _require(
                id, {"column", "error"} <= set(spec), f"{name}: name a column and its error (none, sem, or a column)"
            )
            _require(id, spec.get("take", "mean") in TAKE, f"{name}: take is one of {', '.join(TAKE)}")
            _require(id, spec.get("inner", "mean") in TAKE, f"{name}: inner is one of {', '.join(TAKE)}")
            _require(id, set(spec.get("at", {}).values()) <= {"min", "max"}, f"{name}: at takes min or max")
            place = spec.get("interpolate", [None, None])
            _require(
                id,
                len(place) == 2 and ("interpolate" not in spec or place[1] in names),
                f"{name}: interpolate takes a column and a reading named before it",
            )
        names.append(name)
    if require := entry.get("require"):
        complete = set(require) == {"number", "at_least", "why"} and require["number"] in names
        _require(id, complete, "require takes number (a reading), at_least and why")
    return Source(
        entry["table"],
        entry.get("keep", {}),
        entry.get("each", ""),
        entry["read"],
        entry.get("until", ""),
        entry.get("require", {}),
    )


def _used(rule: Mapping) -> list[str]:
    ((_, arguments),) = rule.items()
    used = arguments.get("numbers") or [arguments.get("number") or arguments.get("series")]
    to = arguments.get("to")
    return [*used, *arguments.get("of", []), *([to] if isinstance(to, str) and to != "paper" else [])]


def _counts_runs(readings: Mapping[str, Mapping], name: str) -> bool:
    spec = readings[name]
    for operation in DERIVED:
        if operation in spec:
            return any(_counts_runs(readings, other) for other in spec[operation])
    return "seeds" in spec


def _check_rule(id: str, rule: Mapping, sources: tuple[Source, ...], reported: bool) -> None:
    _require(id, len(rule) == 1 and set(rule) <= set(RULES), f"a rule is one of {', '.join(RULES)}")
    ((name, arguments),) = rule.items()
    needs = _NEEDS[name]
    _require(
        id,
        needs <= set(arguments) <= needs | _MAY.get(name, set()),
        f"rule {name} takes {', '.join(sorted(needs | _MAY.get(name, set())))}",
    )
    _require(
        id, arguments.get("to") != "paper" or reported, "the rule compares with the paper, but `reported` is missing"
    )
    used = _used(rule)
    for source in sources:
        _require(
            id,
            set(used) <= set(source.read),
            f"the rule asks for {', '.join(used)}, which {source.table} does not read",
        )
        series = [name for name in used if "along" in source.read[name]]
        _require(id, bool(series) == (name in ("rising", "peaked")), "`along` is for the rules rising and peaked")


def _require(id: str, holds: object, sentence: str) -> None:
    if not holds:
        raise ClaimError(f"{id}: {sentence}")
