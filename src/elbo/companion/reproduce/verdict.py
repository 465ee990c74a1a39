"""What ``elbo reproduce`` says: the record, the differences, the verdict; in lines for a
person, in one object for a script.
"""

from __future__ import annotations

import json
from typing import Any

from elbo.companion.project.errors import DIFFERENT, INEXACT
from elbo.companion.project.paths import Project
from elbo.companion.record.embedded import plain
from elbo.companion.record.environment import commit as commit_of
from elbo.companion.reproduce.again import Outcome, Source
from elbo.companion.reproduce.differences import Difference, is_sha, short
from elbo.companion.run.plans import Plan

__all__ = ["as_json", "describe", "exit_code", "verdict"]

_SHOWN = 10


def describe(source: Source, plan: Plan, unlike: list[Difference]) -> list[str]:
    """The record in a few lines, and a warning for each difference."""
    found = source.record
    commit = found.environment.get("commit")
    given = ", ".join(f"{name} = {plain(json.dumps(value), 60)}" for name, value in found.parameters.items())
    return [
        f"{found.id}, from {source.where}",
        f"  profile {found.profile or 'none (by hand)'}, commit {short(commit)}, table {found.csv_sha256[:12]}",
        f"  parameters: {plain(given, 2000) or 'none'}",
        *(
            [f"warning: the picture in {source.where} is damaged: {source.damage}; its record is whole"]
            * bool(source.damage)
        ),
        *(f"warning: {one.sentence()}" for one in unlike[:_SHOWN]),
        *([f"warning: and {len(unlike) - _SHOWN} more"] if len(unlike) > _SHOWN else []),
        *(
            ["no difference to the environment of the record, as far as can be told before the run"]
            if not unlike
            else []
        ),
    ]


def verdict(project: Project, source: Source, outcome: Outcome) -> list[str]:
    """The outcome in a few lines: late warnings, the verdict, and the worst cells."""
    found, comparison = source.record, outcome.comparison
    lines = [f"warning: {one.sentence()}" for one in outcome.differences[:_SHOWN]]
    lines.append(f"{comparison.verdict}: {comparison.sentence}")
    lines += [f"  {cell.sentence()}" for cell in comparison.cells[:_SHOWN]]
    if len(comparison.cells) > _SHOWN:
        lines.append(f"  and {len(comparison.cells) - _SHOWN} more")
    if comparison.times and comparison.verdict != "identical":
        lines.append(f"measured times are not compared: {', '.join(comparison.times)}")
    if outcome.same_file:
        lines.append(f"the new file is {source.where} byte for byte")
    commit = found.environment.get("commit")
    if comparison.verdict == "different" and is_sha(commit) and commit != commit_of(project.root)["commit"]:
        lines.append(f"to run the code of the record: git checkout {commit}")
    lines.append(f"the run: {outcome.run}")
    return lines


def as_json(source: Source, plan: Plan, unlike: list[Difference], outcome: Outcome | None) -> dict[str, Any]:
    """The same for a script."""
    found = source.record
    told: dict[str, Any] = {
        "id": found.id,
        "chapter": found.chapter,
        "profile": found.profile,
        "parameters": plan.parameters,
        "csv_sha256": found.csv_sha256,
        "differences": [vars(one) for one in [*unlike, *(outcome.differences if outcome else ())]],
        "picture_damaged": source.damage,
        "verdict": None,
    }
    if outcome:
        comparison = outcome.comparison
        told |= {
            "verdict": comparison.verdict,
            "sentence": comparison.sentence,
            "cells": [vars(cell) for cell in comparison.cells],
            "times": list(comparison.times),
            "same_file": outcome.same_file,
            "run": str(outcome.run),
        }
    return told


def exit_code(outcome: Outcome | None, exact: bool) -> int:
    """Of the command: 0 unless the numbers differ, or are only close where ``exact`` ones were asked for."""
    said = outcome.comparison.verdict if outcome else "identical"
    if said == "different":
        return DIFFERENT
    return INEXACT if exact and said != "identical" else 0
