"""Verdicts: a rule compares numbers that were read, and says in words what it found and what it asks for.

The rules, each ``{name: arguments}`` in a claim:

=============  ====================================================================================================
``near``       ``{number: a, to: paper, within: 1, partly: 3}``: at most so far from the paper's number, from the number
               that ``to`` gives, or from the reading that it names
``greater``    ``{numbers: [a, b], standard_errors: 2, by: 0}``: a above b by more than ``by``, and by that many
               standard errors of the difference
``highest``    ``{number: a, of: [b, c], standard_errors: 2}``: a above each of the others as in ``greater``
``at_least``   ``{number: a, threshold: 0.9, partly: 0.5, standard_errors: 2}``
``at_most``    the same from above
``agree``      ``{numbers: [a, b], standard_errors: 3, within: 1e-9}``: equal up to their errors, or up to ``within``
``rising``     ``{series: a, standard_errors: 2}``: from each member to the next; falling with ``falling: true``
``peaked``     ``{series: a, standard_errors: 2}``: largest in the interior, above both ends
=============  ====================================================================================================

A comparison that its error does not carry, in either direction, is *undecided*, and so is one whose error is not known.
*Partly* is left for what was measured and lies between: within the wider limits of a rule, or so in some cases and not
in others.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import NamedTuple

from elbo.scoreboard.reading import Number, Series

__all__ = [
    "NOT",
    "NOT_ATTEMPTED",
    "NOT_RUN",
    "PARTLY",
    "REPRODUCED",
    "RULES",
    "UNDECIDED",
    "Finding",
    "combine",
    "criterion",
    "decide",
    "shown",
]

REPRODUCED, PARTLY, NOT, UNDECIDED = "reproduced", "partly", "not reproduced", "undecided"
NOT_ATTEMPTED, NOT_RUN = "not attempted", "not run in this build"


class Finding(NamedTuple):
    """A verdict and the comparison behind it in words."""

    verdict: str
    words: str


def decide(rule: Mapping, numbers: Mapping[str, Number | Series], paper: Number | None, unit: str = "") -> Finding:
    """Apply a rule to the numbers of one comparison.

    Args:
        numbers: readings by name.
        paper: what the paper reports, where it is known.
    """
    ((name, arguments),) = rule.items()
    return RULES[name](arguments, numbers, paper, unit)


def combine(findings: list[Finding]) -> str:
    """One verdict for a claim that is made of every one of several cases.

    Reproduced where all are. Not reproduced where some cases speak against it and none is reproduced, unless as many
    are partly so. Partly where both occur, or where more than half of the cases are reproduced or partly so and none
    speaks against. Else undecided: of two cases without any effect that is the verdict nine times out of ten.
    """
    verdicts = [finding.verdict for finding in findings]
    for_it = sum(verdict in (REPRODUCED, PARTLY) for verdict in verdicts)
    if set(verdicts) == {REPRODUCED}:
        return REPRODUCED
    if NOT in verdicts:
        return PARTLY if REPRODUCED in verdicts or for_it >= verdicts.count(NOT) else NOT
    return PARTLY if 2 * for_it > len(verdicts) else UNDECIDED


def shown(number: Number, unit: str = "") -> str:
    """A number with its error, to two digits of the error; the unit behind it."""
    value, error, _ = number
    if math.isnan(error) or error == 0:
        text = f"{value:.4g}"
    else:
        digits = max(0, 1 - math.floor(math.log10(error)))
        text = (
            f"{value:.{min(digits, 8)}f} ± {error:.{min(digits, 8)}f}" if digits <= 8 else f"{value:.4g} ± {error:.1g}"
        )
    text = re.sub(r"e([-+])0*", r"e\1", text)
    text = re.sub(r"(?<!e)-", "\N{MINUS SIGN}", text)
    return f"{text} {unit}".strip()


def criterion(rule: Mapping, unit: str = "", noisy: bool = True) -> str:
    """What a rule asks for, in a sentence; without standard errors where the numbers have none (``noisy`` is false)."""
    ((name, a),) = rule.items()
    asked = a.get("standard_errors", 2) if noisy else 0
    errors = f" by {asked:g} standard errors" if asked else ""
    less = ", undecided if its error carries neither that nor the opposite" if errors else ""
    if name == "near":
        within, partly = _apart(a["within"], unit), _apart(a["partly"], unit)
        if a["to"] == "paper":
            return f"Reproduced within {within} of the reported number, partly within {partly}."
        aim = f"“{a['to']}”" if isinstance(a["to"], str) else _with(a["to"], "")
        return f"Reproduced if “{a['number']}” is within {within} of {aim}, partly within {partly}."
    if name == "greater":
        by = f" by more than {_apart(a['by'], unit)}" if a.get("by") else ""
        both = " and" if by and errors else ""
        less = f"{', partly if by less' if by else ''}{less}"
        return f"Reproduced if “{a['numbers'][0]}” is above “{a['numbers'][1]}”{by}{both}{errors}{less}."
    if name == "highest":
        others = " and ".join(f"“{other}”" for other in a["of"])
        return f"Reproduced if “{a['number']}” is above {others}{errors}, undecided if its error does not carry that."
    if name in ("at_least", "at_most"):
        side = name.replace("_", " ")
        partly = f", partly if {side} {_with(a['partly'], unit)}" if "partly" in a else less
        return f"Reproduced if “{a['number']}” is {side} {_with(a['threshold'], unit)}{errors}{partly}."
    if name == "agree":
        far = f"{a.get('standard_errors', 3):g} standard errors" if noisy else _apart(a["within"], unit)
        return f"Reproduced if the two differ by no more than {far}."
    if name == "rising":
        way = "falls" if a.get("falling") else "rises"
        return (
            f"Reproduced if “{a['series']}” {way} from each to the next{errors}, partly if from the first to the last."
        )
    return f"Reproduced if “{a['series']}” is largest in the interior and above both ends{errors}{less}."


def _near(a: Mapping, numbers: Mapping, paper: Number | None, unit: str) -> Finding:
    ours = numbers[a["number"]]
    aim = paper if a["to"] == "paper" else numbers[a["to"]] if isinstance(a["to"], str) else Number(a["to"])
    distance = abs(ours.value - aim.value)
    verdict = REPRODUCED if distance <= a["within"] else PARTLY if distance <= a["partly"] else NOT
    if not ours.error <= a["within"] and not distance - 2 * ours.error > a["partly"]:
        verdict = UNDECIDED  # a noisy estimate reproduces nothing
    if not isinstance(a["to"], str):
        return Finding(verdict, f"{a['number']} {shown(ours, unit)}")
    side = "above" if ours.value > aim.value else "below"
    return Finding(verdict, f"{shown(ours, unit)}, {_apart(distance, unit)} {side} the paper's {shown(aim, unit)}")


def _greater(a: Mapping, numbers: Mapping, paper: Number | None, unit: str) -> Finding:
    first, second = (numbers[name] for name in a["numbers"])
    difference = Number(first.value - second.value, math.hypot(first.error, second.error))
    verdict = _carried(difference, a.get("standard_errors", 2), a.get("by", 0.0))
    words = (
        f"{a['numbers'][0]} {shown(first)} against {a['numbers'][1]} {shown(second, unit)}, "
        f"a difference of {shown(difference, _points(unit))}"
    )
    return Finding(verdict, words)


def _highest(a: Mapping, numbers: Mapping, paper: Number | None, unit: str) -> Finding:
    findings = [_greater({**a, "numbers": [a["number"], other]}, numbers, paper, unit) for other in a["of"]]
    verdicts = {finding.verdict for finding in findings}
    verdict = (
        NOT if NOT in verdicts else REPRODUCED if verdicts == {REPRODUCED} else UNDECIDED
    )  # a second is not half a first
    listed = ", ".join(f"{name} {shown(numbers[name])}" for name in (a["number"], *a["of"]))
    return Finding(verdict, f"{listed} {unit}".strip())


def _at_least(a: Mapping, numbers: Mapping, paper: Number | None, unit: str, sign: int = 1) -> Finding:
    ours, threshold, k = numbers[a["number"]], a["threshold"], a.get("standard_errors", 2)
    verdict = _carried(Number(sign * (ours.value - threshold), ours.error), k, strict=False)
    if "partly" in a and verdict != REPRODUCED:
        verdict = _carried(Number(sign * (ours.value - a["partly"]), ours.error), k, strict=False)
        verdict = PARTLY if verdict == REPRODUCED else verdict
    return Finding(verdict, f"{a['number']} {shown(ours, unit)}, the threshold is {_with(threshold, unit)}")


def _at_most(a: Mapping, numbers: Mapping, paper: Number | None, unit: str) -> Finding:
    return _at_least(a, numbers, paper, unit, -1)


def _agree(a: Mapping, numbers: Mapping, paper: Number | None, unit: str) -> Finding:
    first, second = (numbers[name] for name in a["numbers"])
    difference = Number(first.value - second.value, math.hypot(first.error, second.error))
    if math.isnan(difference.error):
        verdict = UNDECIDED
    else:
        allowed = max(a.get("standard_errors", 3) * difference.error, a.get("within", 0.0))
        verdict = REPRODUCED if abs(difference.value) <= allowed else NOT
    words = (
        f"{a['numbers'][0]} {shown(first)}, {a['numbers'][1]} {shown(second, unit)}, "
        f"a difference of {shown(difference, _points(unit))}"
    )
    return Finding(verdict, words)


def _rising(a: Mapping, numbers: Mapping, paper: Number | None, unit: str) -> Finding:
    series, sign = numbers[a["series"]], -1 if a.get("falling") else 1
    values = [Number(sign * n.value, n.error) for n in series.numbers]
    steps = [_carried(_minus(late, early), a.get("standard_errors", 2)) for early, late in zip(values, values[1:])]
    whole = _carried(_minus(values[-1], values[0]), a.get("standard_errors", 2))
    verdict = REPRODUCED if steps and set(steps) == {REPRODUCED} else PARTLY if whole == REPRODUCED else whole
    return Finding(verdict, _series_words(a["series"], series, unit))


def _peaked(a: Mapping, numbers: Mapping, paper: Number | None, unit: str) -> Finding:
    series = numbers[a["series"]]
    inner = series.numbers[1:-1]
    if not inner:
        return Finding(UNDECIDED, f"only {len(series.x)} values of {a['series']}, a peak needs three")
    top = max(inner, key=lambda n: n.value)
    sides = {_carried(_minus(top, end), a.get("standard_errors", 2)) for end in (series.numbers[0], series.numbers[-1])}
    verdict = NOT if NOT in sides else UNDECIDED if UNDECIDED in sides else REPRODUCED
    return Finding(verdict, _series_words(a["series"], series, unit))


RULES = {
    "near": _near,
    "greater": _greater,
    "highest": _highest,
    "at_least": _at_least,
    "at_most": _at_most,
    "agree": _agree,
    "rising": _rising,
    "peaked": _peaked,
}


def _carried(difference: Number, standard_errors: float, by: float = 0.0, strict: bool = True) -> str:
    """Whether a difference has its sign and is large enough (``strict``: zero has no sign), as far as its error carries
    that.

    Too small by ``by``, with its sign carried, is partly; a difference that its error does not carry either way, or
    whose error is not known, is undecided.
    """
    reach = standard_errors * difference.error
    if math.isnan(reach) or abs(difference.value) < reach:
        return UNDECIDED
    if difference.value < 0 or (strict and difference.value == 0):
        return NOT
    excess = difference.value - by
    return REPRODUCED if excess >= reach else PARTLY


def _minus(a: Number, b: Number) -> Number:
    return Number(a.value - b.value, math.hypot(a.error, b.error))


def _points(unit: str) -> str:
    return "points" if unit == "%" else unit


def _apart(value: float, unit: str) -> str:
    return shown(Number(value), _points(unit))


def _with(value: float, unit: str) -> str:
    return shown(Number(value), unit)


def _series_words(name: str, series: Series, unit: str) -> str:
    return (
        f"{name}: "
        + ", ".join(f"{shown(n)} at {x:g}" for x, n in zip(series.x, series.numbers))
        + (f" ({unit})" if unit else "")
    )
