"""Verdicts: a rule compares numbers that were read, and says in words what it found and what it asks for.

The rules, each ``{name: arguments}`` in a claim:

=============  ====================================================================================================
``near``       ``{number: a, to: paper, within: 1, partly: 3}``: at most so far from the paper's number, or from the
               number that ``to`` gives
``greater``    ``{numbers: [a, b], standard_errors: 2, by: 0}``: a above b by more than ``by``, and by that many standard
               errors of the difference
``highest``    ``{number: a, of: [b, c], standard_errors: 2}``: a above each of the others as in ``greater``
``at_least``   ``{number: a, threshold: 0.9, partly: 0.5, standard_errors: 2}``
``at_most``    the same from above
``agree``      ``{numbers: [a, b], standard_errors: 3, within: 1e-9}``: equal up to their errors, or up to ``within``
``rising``     ``{series: a, standard_errors: 2, falls: 0}``: from each member to the next; falling with ``falling: true``
``peaked``     ``{series: a, standard_errors: 2}``: largest in the interior, above both ends
=============  ====================================================================================================

A difference with the right sign that its error does not carry is ``partly``; so is one whose error is not known.
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
    "Finding",
    "combine",
    "criterion",
    "decide",
    "shown",
]

REPRODUCED, PARTLY, NOT = "reproduced", "partly", "not reproduced"
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
    """One verdict for a claim about several cases.

    Reproduced where all are; not reproduced where none is and more are not than partly; else partly.
    """
    verdicts = [finding.verdict for finding in findings]
    if set(verdicts) == {REPRODUCED}:
        return REPRODUCED
    none = REPRODUCED not in verdicts and verdicts.count(NOT) > verdicts.count(PARTLY)
    return NOT if none else PARTLY


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
    less = ", partly if by less" if errors else ""
    if name == "near":
        within, partly = _apart(a["within"], unit), _apart(a["partly"], unit)
        if a["to"] == "paper":
            return f"Reproduced within {within} of the reported number, partly within {partly}."
        return f"Reproduced if “{a['number']}” is within {within} of {_with(a['to'], '')}, partly within {partly}."
    if name == "greater":
        by = f" by more than {_apart(a['by'], unit)}" if a.get("by") else ""
        both = " and" if by and errors else ""
        less = ", partly if by less" if by or errors else ""
        return f"Reproduced if “{a['numbers'][0]}” is above “{a['numbers'][1]}”{by}{both}{errors}{less}."
    if name == "highest":
        others = " and ".join(f"“{other}”" for other in a["of"])
        return f"Reproduced if “{a['number']}” is above {others}{errors}, partly if above one of them."
    if name in ("at_least", "at_most"):
        side = name.replace("_", " ")
        partly = f", partly if {side} {_with(a['partly'], unit)}" if "partly" in a else less
        return f"Reproduced if “{a['number']}” is {side} {_with(a['threshold'], unit)}{errors}{partly}."
    if name == "agree":
        far = f"{a.get('standard_errors', 3):g} standard errors" if noisy else _apart(a["within"], unit)
        return f"Reproduced if the two differ by no more than {far}, partly up to twice that."
    if name == "rising":
        way = "falls" if a.get("falling") else "rises"
        return (
            f"Reproduced if “{a['series']}” {way} from each to the next{errors}, partly if from the first to the last."
        )
    return f"Reproduced if “{a['series']}” is largest in the interior and above both ends{errors}{less}."


def _near(a: Mapping, numbers: Mapping, paper: Number | None, unit: str) -> Finding:
    ours = numbers[a["number"]]
    aim = paper if a["to"] == "paper" else Number(a["to"])
    distance = abs(ours.value - aim.value)
    verdict = REPRODUCED if distance <= a["within"] else PARTLY if distance <= a["partly"] else NOT
    if verdict == REPRODUCED and not ours.error <= a["within"]:
        verdict = PARTLY  # a noisy estimate reproduces nothing
    if a["to"] != "paper":
        return Finding(verdict, f"{a['number']} {shown(ours, unit)}")
    side = "above" if ours.value > aim.value else "below"
    return Finding(verdict, f"{shown(ours, unit)}, {_apart(distance, unit)} {side} {shown(aim, unit)}")


def _greater(a: Mapping, numbers: Mapping, paper: Number | None, unit: str) -> Finding:
    first, second = (numbers[name] for name in a["numbers"])
    difference = Number(first.value - second.value, math.hypot(first.error, second.error))
    verdict = _carried(difference, a.get("standard_errors", 2), a.get("by", 0.0))
    words = f"{a['numbers'][0]} {shown(first)} against {a['numbers'][1]} {shown(second, unit)}, a difference of {shown(difference, _points(unit))}"
    return Finding(verdict, words)


def _highest(a: Mapping, numbers: Mapping, paper: Number | None, unit: str) -> Finding:
    findings = [_greater({**a, "numbers": [a["number"], other]}, numbers, paper, unit) for other in a["of"]]
    listed = ", ".join(f"{name} {shown(numbers[name])}" for name in (a["number"], *a["of"]))
    return Finding(combine(findings), f"{listed} {unit}".strip())


def _at_least(a: Mapping, numbers: Mapping, paper: Number | None, unit: str, sign: int = 1) -> Finding:
    ours, threshold = numbers[a["number"]], a["threshold"]
    verdict = _carried(Number(sign * (ours.value - threshold), ours.error), a.get("standard_errors", 2), strict=False)
    if "partly" in a and verdict != REPRODUCED:
        verdict = PARTLY if sign * (ours.value - a["partly"]) >= 0 else NOT
    return Finding(verdict, f"{a['number']} {shown(ours, unit)}, the threshold is {_with(threshold, unit)}")


def _at_most(a: Mapping, numbers: Mapping, paper: Number | None, unit: str) -> Finding:
    return _at_least(a, numbers, paper, unit, -1)


def _agree(a: Mapping, numbers: Mapping, paper: Number | None, unit: str) -> Finding:
    first, second = (numbers[name] for name in a["numbers"])
    difference = Number(first.value - second.value, math.hypot(first.error, second.error))
    allowed = max(a.get("standard_errors", 3) * difference.error, a.get("within", 0.0))
    distance = abs(difference.value)
    verdict = REPRODUCED if distance <= allowed else PARTLY if distance <= 2 * allowed else NOT
    return Finding(
        verdict,
        f"{a['numbers'][0]} {shown(first)}, {a['numbers'][1]} {shown(second, unit)}, a difference of {shown(difference, _points(unit))}",
    )


def _rising(a: Mapping, numbers: Mapping, paper: Number | None, unit: str) -> Finding:
    series, sign = numbers[a["series"]], -1 if a.get("falling") else 1
    values = [Number(sign * n.value, n.error) for n in series.numbers]
    steps = [_carried(_minus(late, early), a.get("standard_errors", 2)) for early, late in zip(values, values[1:])]
    whole = _carried(_minus(values[-1], values[0]), a.get("standard_errors", 2))
    verdict = REPRODUCED if steps and set(steps) == {REPRODUCED} else PARTLY if whole == REPRODUCED else NOT
    return Finding(verdict, _series_words(a["series"], series, unit))


def _peaked(a: Mapping, numbers: Mapping, paper: Number | None, unit: str) -> Finding:
    series = numbers[a["series"]]
    inner = series.numbers[1:-1]
    if not inner:
        return Finding(NOT, f"only {len(series.x)} values of {a['series']}, a peak needs three")
    top = max(inner, key=lambda n: n.value)
    sides = {_carried(_minus(top, end), a.get("standard_errors", 2)) for end in (series.numbers[0], series.numbers[-1])}
    verdict = NOT if NOT in sides else PARTLY if PARTLY in sides else REPRODUCED
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
    """Whether a difference has its sign (``strict``: zero has none), is large enough, and is carried by its error."""
    if difference.value < 0 or (strict and difference.value == 0):
        return NOT
    excess = difference.value - by
    return REPRODUCED if excess >= 0 and excess >= standard_errors * difference.error else PARTLY


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
