"""The scoreboard: numbers are read from tables, verdicts follow from rules, and the claims file is well formed."""

import hashlib
import json
import math
import re
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from checkout import ROOT
from elbo import ledger, reference, scoreboard
from elbo.scoreboard import Claim, ClaimError, Missing, Number, Origin, Series, Source, Tables, claims, judge
from elbo.scoreboard.reading import read, select
from elbo.scoreboard.rules import (
    NOT,
    NOT_ATTEMPTED,
    NOT_RUN,
    PARTLY,
    REPRODUCED,
    UNDECIDED,
    Finding,
    combine,
    criterion,
    decide,
    shown,
)

FILE = ROOT / "book" / "claims.yml"
PAPERS, CLAIMS = claims.load(FILE)
ORIGIN = Origin("figure", "toy-figure", "quick", "c" * 40, False, "some CPU", {"seeds": [0, 1, 2]})
TABLE = pd.DataFrame(
    {
        "algorithm": ["a", "a", "b", "b", "b"],
        "step": [1, 2, 1, 2, 2],
        "value": [1.0, 3.0, 2.0, 5.0, 7.0],
        "se": [0.1, 0.3, 0.2, 0.4, 0.6],
        "se_other": [0.0, 0.4, 0.0, float("nan"), 0.8],
        "width": [1.0, float("nan"), 2.0, 3.0, 4.0],
    }
)


def number(**spec) -> Number:
    return read({"error": "none", **spec}, TABLE, ORIGIN, {})


# ------------------------------------------------------------------------------------------------------- readings
def test_one_row_is_read_with_its_error_and_runs():
    found = number(column="value", where={"algorithm": "a"}, at={"step": "max"}, error="se", seeds="seeds", scale=100)
    assert found == Number(300.0, 30.0, 3)


def test_errors_of_several_columns_add_in_quadrature_and_an_absent_one_counts_for_nothing():
    assert number(column="value", where={"algorithm": "a", "step": 2}, error=["se", "se_other"]).error == pytest.approx(
        0.5
    )
    assert number(
        column="value", where={"algorithm": "b", "value": 5.0}, error=["se", "se_other"]
    ).error == pytest.approx(0.4)


@pytest.mark.parametrize(
    ("take", "value"),
    [
        ("mean", 14 / 3),
        ("median", 5),
        ("min", 2),
        ("max", 7),
        ("first", 2),
        ("last", 7),
        ("range", 5),
        ("closest", 2),
        ("count distinct", 3),
    ],
)
def test_several_rows_come_down_to_one_number(take, value):
    assert number(column="value", where={"algorithm": "b"}, take=take).value == pytest.approx(value)


def test_an_error_that_is_not_known_is_not_zero():
    assert math.isnan(number(column="value", where={"value": 5.0}, error="se_other").error)


def test_a_ratio_with_zero_below_is_missing():
    with pytest.raises(Missing, match="zero below"):
        read({"ratio": ["a", "b"]}, TABLE, ORIGIN, {"a": Number(1.0), "b": Number(0.0)})


def test_a_mean_over_rows_has_the_standard_error_over_rows_or_the_mean_of_their_errors():
    rows = {"column": "value", "where": {"algorithm": "b"}, "take": "mean"}
    values = pd.Series([2.0, 5.0, 7.0])
    assert number(**rows, error="sem", seeds="rows") == pytest.approx((values.mean(), values.sem(), 3))
    assert number(**rows, error="se").error == pytest.approx(0.4)
    assert math.isnan(number(column="value", where={"value": 2.0}, take="mean", error="sem").error)


def test_the_error_of_an_extreme_is_that_of_its_row():
    assert number(column="value", take="max", error="se").error == 0.6
    assert number(column="value", take="min", error="se").error == 0.1


def test_regrowth_is_one_for_steps_that_shrink_and_finds_an_elbow():
    smooth = pd.DataFrame({"y": [0.0, 1.0, 1.5, 1.75]})
    elbow = pd.DataFrame({"y": [0.0, 1.0, 1.1, 1.5, 1.6]})
    spec = {"column": "y", "take": "regrowth", "error": "none"}
    assert read(spec, smooth, ORIGIN, {}).value == 1
    assert read(spec, elbow, ORIGIN, {}).value == pytest.approx(4)


def test_ratio_and_difference_propagate_independent_errors():
    known = {"a": Number(4.0, 0.3, 3), "b": Number(2.0, 0.4, 5)}
    assert read({"difference": ["a", "b"]}, TABLE, ORIGIN, known) == pytest.approx((2.0, 0.5, 3))
    assert read({"ratio": ["a", "b"]}, TABLE, ORIGIN, known) == pytest.approx((2.0, 2 * math.hypot(0.075, 0.2), 3))


def test_a_series_is_in_the_order_of_its_column():
    found = read(
        {"column": "value", "along": "step", "where": {"algorithm": "a"}, "error": "se"}, TABLE.iloc[::-1], ORIGIN, {}
    )
    assert found == Series((1, 2), (Number(1.0, 0.1), Number(3.0, 0.3)))


def test_rows_of_one_seed_are_averaged_before_seeds_are_compared():
    found = number(column="value", per="algorithm", take="mean", error="sem", seeds="rows")
    assert found == pytest.approx(((2 + 14 / 3) / 2, pd.Series([2, 14 / 3]).sem(), 2))


def test_rows_of_one_seed_can_come_down_to_something_else_than_their_mean():
    curves = pd.DataFrame({"seed": [0, 0, 0, 0, 1, 1, 1, 1], "y": [0.0, 1.0, 1.1, 1.5, 0.0, 1.0, 1.5, 1.75]})
    spec = {"column": "y", "per": "seed", "inner": "log regrowth", "take": "mean", "error": "sem", "seeds": "seed"}
    found = read(spec, curves, ORIGIN, {})
    assert found == pytest.approx((math.log(4) / 2, math.log(4) / 2, 2))


def test_an_extreme_can_be_taken_within_each_seed():
    scores = pd.DataFrame({"seed": [0, 0, 1, 1], "beta": [1.0, 4.0, 1.0, 4.0], "score": [0.5, 0.9, 0.8, 0.7]})
    spec = {"column": "beta", "at": {"score": "max"}, "take": "mean", "error": "sem", "seeds": "seed"}
    assert read(spec, scores, ORIGIN, {}).value == 4
    assert read({**spec, "within": "seed"}, scores, ORIGIN, {}) == pytest.approx((2.5, 1.5, 2))


def test_any_value_leaves_out_rows_without_one():
    assert len(select(TABLE, {"width": "*"})) == 4
    assert len(select(TABLE, {"algorithm": ["a", "b"], "step": 2})) == 3


@pytest.mark.parametrize(
    "spec",
    [
        {"column": "nothing", "take": "max"},
        {"column": "value"},  # five rows where there should be one
        {"column": "value", "where": {"algorithm": "c"}},
        {"column": "value", "where": {"nothing": 1}},
        {"column": "width", "where": {"value": 3.0}},  # NaN
        {"column": "algorithm", "take": "max"},  # words
        {"column": "value", "take": "max", "seeds": "nothing"},
        {"column": "value", "take": "max", "error": "nothing"},
    ],
)
def test_what_is_not_there_is_missing_and_not_a_number(spec):
    with pytest.raises(Missing):
        number(**spec)


# ---------------------------------------------------------------------------------------------------------- rules
def verdict(rule, paper=None, **numbers):
    return decide(
        rule, {name: n if isinstance(n, Series) else Number(*n) for name, n in numbers.items()}, paper
    ).verdict


NEAR = {"near": {"number": "x", "to": "paper", "within": 1, "partly": 3}}


@pytest.mark.parametrize(
    ("x", "expected"),
    [
        ((10.5, 0.1), REPRODUCED),
        ((9.0, 0.1), REPRODUCED),
        ((12.5, 0.1), PARTLY),
        ((13.5, 0.1), NOT),
        ((6, 9.0), UNDECIDED),
        ((30, 2.0), NOT),
    ],
)
def test_near(x, expected):
    assert verdict(NEAR, Number(10.0), x=x) == expected


@pytest.mark.parametrize("error", [1.5, math.nan])
def test_a_noisy_number_reproduces_nothing(error):
    assert verdict(NEAR, Number(10.0), x=(10.0, error)) == UNDECIDED


GREATER = {"greater": {"numbers": ["a", "b"]}}


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ((3, 0.3), (2, 0.3), REPRODUCED),  # 2.36 standard errors
        ((3, 0.4), (2, 0.4), UNDECIDED),  # 1.77
        ((2, 0.4), (3, 0.4), UNDECIDED),  # the same to the other side
        ((1, 0.1), (2, 0.1), NOT),
        ((2, 0.0), (2, 0.0), NOT),
        ((2, 0.0), (1, 0.0), REPRODUCED),  # exact
        ((9, math.nan), (1, 0.0), UNDECIDED),  # one seed
    ],
)
def test_greater(a, b, expected):
    assert verdict(GREATER, a=a, b=b) == expected


def test_greater_by_so_much():
    rule = {"greater": {"numbers": ["a", "b"], "by": 5}}
    assert verdict(rule, a=(7, 0.5), b=(1, 0)) == REPRODUCED
    assert verdict(rule, a=(5, 0.5), b=(1, 0)) == PARTLY
    assert verdict(rule, a=(0, 0.5), b=(1, 0)) == NOT


@pytest.mark.parametrize(
    ("a", "expected"), [((5, 0.1), REPRODUCED), ((3.5, 0.1), NOT), ((1, 0.1), NOT), ((5, 2.0), UNDECIDED)]
)
def test_highest(a, expected):
    assert verdict({"highest": {"number": "a", "of": ["b", "c"]}}, a=a, b=(2, 0.1), c=(4, 0.1)) == expected


@pytest.mark.parametrize(
    ("x", "expected"),
    [
        ((0.97, 0.005), REPRODUCED),
        ((0.951, 0.005), PARTLY),
        ((0.9, 0.001), PARTLY),
        ((0.801, 0.001), UNDECIDED),
        ((0.7, 0.001), NOT),
        ((0.97, 0.2), UNDECIDED),
        ((0.97, math.nan), UNDECIDED),
    ],
)
def test_at_least(x, expected):
    assert verdict({"at_least": {"number": "x", "threshold": 0.95, "partly": 0.8}}, x=x) == expected


@pytest.mark.parametrize(
    ("x", "expected"),
    [
        ((0, 0), REPRODUCED),
        ((-1, 0.1), REPRODUCED),
        ((-0.1, 0.1), UNDECIDED),
        ((0.1, 0.0), NOT),
        ((0.1, 0.1), UNDECIDED),
    ],
)
def test_at_most(x, expected):
    assert verdict({"at_most": {"number": "x", "threshold": 0}}, x=x) == expected


@pytest.mark.parametrize(("a", "expected"), [(1.2, REPRODUCED), (1.29, REPRODUCED), (1.5, NOT), (2.0, NOT)])
def test_agree(a, expected):
    assert verdict({"agree": {"numbers": ["a", "b"]}}, a=(a, 0.06), b=(1.0, 0.08)) == expected


def test_agree_exactly():
    rule = {"agree": {"numbers": ["a", "b"], "within": 1e-9}}
    assert verdict(rule, a=(1 + 1e-10, 0), b=(1, 0)) == REPRODUCED
    assert verdict(rule, a=(1 + 1e-6, 0), b=(1, 0)) == NOT


def series(*values, error=0.1):
    return Series(tuple(range(len(values))), tuple(Number(value, error) for value in values))


@pytest.mark.parametrize(
    ("values", "expected"),
    [((1, 2, 3), REPRODUCED), ((1, 2, 2.1), PARTLY), ((1, 3, 2), PARTLY), ((3, 2, 1), NOT), ((1, 1.1), UNDECIDED)],
)
def test_rising(values, expected):
    assert verdict({"rising": {"series": "s"}}, s=series(*values)) == expected
    assert verdict({"rising": {"series": "s", "falling": True}}, s=series(*(-v for v in values))) == expected


@pytest.mark.parametrize(
    ("values", "expected"),
    [((1, 3, 1), REPRODUCED), ((1, 3, 2.9), UNDECIDED), ((3, 2, 1), NOT), ((1, 2, 3), NOT), ((1, 2), UNDECIDED)],
)
def test_peaked(values, expected):
    assert verdict({"peaked": {"series": "s"}}, s=series(*values)) == expected


def test_many_cases_make_one_verdict():
    def together(*verdicts):
        return combine([Finding(v, "") for v in verdicts])

    assert together(REPRODUCED, REPRODUCED) == REPRODUCED
    assert together(REPRODUCED, NOT) == together(PARTLY, NOT) == together(REPRODUCED, PARTLY) == PARTLY
    assert together(REPRODUCED, UNDECIDED) == together(UNDECIDED, UNDECIDED) == UNDECIDED
    assert together(REPRODUCED, REPRODUCED, UNDECIDED) == PARTLY
    assert together(NOT, UNDECIDED) == NOT
    assert together(NOT, NOT) == together(PARTLY, NOT, NOT) == NOT
    assert together(REPRODUCED, NOT, NOT) == PARTLY


@pytest.mark.parametrize("cases", [2, 5])
def test_cases_without_any_effect_are_undecided_nine_times_out_of_ten(cases):
    draw = np.random.default_rng(0).normal(size=(4000, cases, 2))
    verdicts = [
        combine([decide(GREATER, {"a": Number(a, 1.0), "b": Number(b, 1.0)}, None) for a, b in row]) for row in draw
    ]
    assert verdicts.count(PARTLY) + verdicts.count(REPRODUCED) < 0.02 * len(verdicts)
    assert verdicts.count(UNDECIDED) > (0.9 if cases == 2 else 0.85) * len(verdicts)


@pytest.mark.parametrize(
    ("n", "text"),
    [
        (Number(-104.234, 0.12), "−104.23 ± 0.12"),
        (Number(61.2, 11.2), "61 ± 11"),
        (Number(0.19), "0.19"),
        (Number(1e-9), "1e-9"),
        (Number(3.0, math.nan), "3"),
        (Number(1159.0, 4.67), "1159.0 ± 4.7"),
    ],
)
def test_numbers_are_shown_to_two_digits_of_their_error(n, text):
    assert shown(n) == text


def test_the_words_of_a_finding_name_both_numbers_and_the_difference():
    words = decide(GREATER, {"a": Number(3, 0.3), "b": Number(2, 0.4)}, None, "nats").words
    assert words == "a 3.00 ± 0.30 against b 2.00 ± 0.40 nats, a difference of 1.00 ± 0.50 nats"


# ------------------------------------------------------------------------------------------------------ judgement
def tables(folder: Path, table: pd.DataFrame = TABLE, profile: str = "quick") -> Tables:
    table.to_csv(folder / "toy-figure.csv", index=False)
    record = {"parameters": {}, "profile": profile, "environment": {"commit": "c" * 40, "cpu": "some CPU"}}
    (folder / "toy-figure.json").write_text(json.dumps(record))
    return Tables(folder)


def claim(rule=None, **changed) -> Claim:
    source = Source(
        "figure/toy-figure",
        {},
        "",
        {
            "a": {"column": "value", "take": "max", "error": "se"},
            "b": {"column": "value", "take": "min", "error": "se"},
        },
    )
    return Claim(
        **{
            "id": "toy-claim",
            "paper": "toy",
            "where": "",
            "claim": "",
            "known": "read",
            "ours": (source,),
            "rule": rule or GREATER,
            **changed,
        }
    )


def test_a_small_run_is_called_one_and_a_reference_or_an_exact_number_is_not(tmp_path):
    judged = judge(claim(), tables(tmp_path))
    assert (judged.verdict, judged.small, judged.origin.profile) == (REPRODUCED, True, "quick")
    assert not judge(claim(exact=True), tables(tmp_path)).small
    assert not judge(claim(), tables(tmp_path, profile="paper")).small


def test_the_verdict_follows_the_table(tmp_path):
    assert judge(claim(), tables(tmp_path, TABLE.assign(value=1.0, se=0.0))).verdict == NOT
    assert judge(claim(), tables(tmp_path, TABLE.assign(se=4.0))).verdict == UNDECIDED


def seeds_of(algorithms: dict[str, list[int]], lengths: dict[tuple[str, int], int] | None = None) -> pd.DataFrame:
    """Curves that end at 10 (a) and 5 (b), a tenth apart from seed to seed."""
    rows = [
        (name, seed, step, (10.0 if name == "a" else 5.0) + 0.1 * seed + step, 0.01)
        for name, seeds in algorithms.items()
        for seed in seeds
        for step in range(1, 1 + (lengths or {}).get((name, seed), 3))
    ]
    return pd.DataFrame(rows, columns=["algorithm", "seed", "step", "value", "se"])


def of_algorithms(**changed) -> Claim:
    def end(name):
        error = ["sem", "se"]
        where = {"algorithm": name}
        return {
            "column": "value",
            "where": where,
            "at": {"step": "max"},
            "take": "mean",
            "error": error,
            "seeds": "seed",
        }

    source = Source("figure/toy-figure", {}, "", {"a": end("a"), "b": end("b")}, "step")
    return claim(ours=(source,), **{"runs": 3, **changed})


def test_a_claim_about_an_algorithm_is_undecided_until_enough_models_were_trained(tmp_path):
    judged = judge(of_algorithms(), tables(tmp_path, seeds_of({"a": [0, 1, 2], "b": [0, 1]})))
    assert (judged.verdict, judged.runs) == (UNDECIDED, 2)
    assert judged.cases[0].finding.words.endswith("; 2 training runs where a verdict takes 3")
    judged = judge(of_algorithms(), tables(tmp_path, seeds_of({"a": [0, 1, 2], "b": [0, 1, 2]})))
    assert (judged.verdict, judged.runs) == (REPRODUCED, 3)
    error = judged.cases[0].numbers["a"].error
    assert error == pytest.approx(math.hypot(0.1 / math.sqrt(3), 0.01))  # between runs, and within one


def test_curves_are_compared_where_the_shortest_of_them_ends(tmp_path):
    table = seeds_of({"a": [0, 1, 2], "b": [0, 1, 2]}, {("a", 0): 9, ("b", 1): 2})
    numbers = judge(of_algorithms(), tables(tmp_path, table)).cases[0].numbers
    assert numbers["a"].value == pytest.approx(10.1 + 2) and numbers["b"].value == pytest.approx(5.1 + 2)


def test_what_is_true_by_construction_is_a_check_and_not_a_reproduction(tmp_path):
    judged = judge(claim(check=True), tables(tmp_path))
    assert judged.verdict == scoreboard.CHECK
    assert judge(claim(check=True), tables(tmp_path, TABLE.assign(value=1.0))).verdict == scoreboard.CHECK_FAILS
    assert scoreboard.counts([judged])[REPRODUCED] == 0


def test_a_verdict_that_hangs_on_the_age_of_the_models_says_so(tmp_path):
    reading = {"x": {"column": "value", "take": "mean", "error": "none"}}
    rule = {"at_most": {"number": "x", "threshold": 2.5}}
    ages = Source("figure/toy-figure", {"algorithm": "a"}, "step", reading)
    end = Source("figure/toy-figure", {"algorithm": "a", "step": 2}, "", reading)
    judged = judge(claim(rule, ours=(end,), ages=(ages,)), tables(tmp_path))
    assert judged.verdict == NOT and judged.fragile
    assert [(case.label, case.finding.verdict) for case in judged.ages] == [("step 1", REPRODUCED), ("step 2", NOT)]
    assert not judge(claim(rule, ours=(end,)), tables(tmp_path)).fragile


def test_ours_is_held_against_the_papers_curve_at_the_same_number_of_samples(tmp_path):
    """Straight in the logarithm between the points of figure 2: AEVB, 20 latents, test images, at 10^7 samples."""
    chosen = {"panel": "mnist", "algorithm": "aevb", "split": "test"}
    read = {
        "samples": {"column": "samples", "take": "max", "error": "none"},
        "ours": {"column": "bound", "take": "last", "error": "none"},
        "theirs": {"from": "paper/kingma-welling-2013-figure-2", "column": "bound", "where": chosen,
                  "interpolate": ["samples", "samples"], "error": "none"},
    }  # fmt: skip
    rule = {"near": {"number": "ours", "to": "theirs", "within": 1, "partly": 3}}
    table = pd.DataFrame({"latent_dim": [20, 3], "samples": [1e7, 1e8], "bound": [-105.0, -128.0]})
    judged = judge(claim(rule, ours=(Source("figure/toy-figure", {}, "latent_dim", read),)), tables(tmp_path, table))
    three, twenty = judged.cases
    assert twenty.numbers["theirs"].value == pytest.approx(-104.8, abs=0.2) and twenty.finding.verdict == REPRODUCED
    assert three.numbers["theirs"].value == pytest.approx(-133.4, abs=0.2) and three.finding.verdict == NOT
    early = table.assign(samples=1e4)
    assert judge(
        claim(rule, ours=(Source("figure/toy-figure", {}, "latent_dim", read),)), tables(tmp_path, early)
    ).missing


def test_a_missing_figure_is_not_an_error(tmp_path):
    judged = judge(claim(), Tables(tmp_path))
    assert (judged.verdict, judged.missing) == (NOT_RUN, ("figure/toy-figure: this build has no figure toy-figure",))
    tables(tmp_path)
    assert judge(claim(), Tables(tmp_path, published=lambda id: False)).verdict == NOT_RUN
    assert judge(claim(), tables(tmp_path, TABLE[["step"]])).verdict == NOT_RUN


def test_without_a_rule_nothing_is_compared_but_ours_is_shown(tmp_path):
    judged = judge(Claim(**{**vars(claim()), "rule": None}), tables(tmp_path))
    assert judged.verdict == NOT_ATTEMPTED and judged.cases[0].numbers["a"].value == 7


def test_each_value_of_a_column_is_a_case(tmp_path):
    spec = {
        "last": {"column": "value", "at": {"step": "max"}, "take": "max", "error": "se"},
        "first": {"column": "value", "at": {"step": "min"}, "error": "se"},
    }
    judged = judge(
        claim(
            {"greater": {"numbers": ["last", "first"], "by": 4}},
            ours=(Source("figure/toy-figure", {}, "algorithm", spec),),
        ),
        tables(tmp_path),
    )
    assert [(case.label, case.finding.verdict) for case in judged.cases] == [
        ("algorithm a", PARTLY),
        ("algorithm b", PARTLY),
    ]


def reference_table(folder: Path, name: str, text: str, chapter: str = "toy-2013", **about) -> Path:
    path = folder / "reference" / chapter / f"{name}.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    record = {"sha256": hashlib.sha256(path.read_bytes()).hexdigest(), "commit": "d" * 40, "dirty": True, "cpu": "x"}
    path.with_suffix(".json").write_text(json.dumps(record | about))
    return path


@pytest.fixture
def checkout(tmp_path, monkeypatch) -> Path:
    monkeypatch.setattr(reference, "directory", lambda: tmp_path / "reference")
    monkeypatch.setattr(ledger, "_noted", {})
    return tmp_path


def test_the_reference_table_comes_first(checkout):
    source = Source("reference/toy-2013/some", {}, "", claim().ours[0].read)
    both = claim(ours=(source, *claim().ours))
    shown_first = tables(checkout)
    assert judge(both, shown_first).origin.kind == "figure"
    path = reference_table(checkout, "some", "value,se\n1,0.1\n9,0.1\n")
    judged = judge(both, shown_first)
    assert (judged.origin.kind, judged.origin.dirty, judged.small) == ("reference", True, False)
    path.write_text("value,se\n1,0.1\n10,0.1\n")
    with pytest.raises(reference.ReferenceError, match="was changed after it was measured"):
        judge(both, shown_first)


def test_two_reference_tables_are_read_as_one(checkout):
    reference_table(checkout, "one", "value,se\n1,0.1\n")
    source = Source("reference/toy-2013/one+other", {}, "", claim().ours[0].read)
    assert judge(claim(ours=(source,)), Tables()).missing == (
        "reference/toy-2013/one+other: there is no reference table toy-2013/other",
    )
    reference_table(checkout, "other", "value,se\n9,0.1\n", commit="e" * 40, dirty=False)
    judged = judge(claim(ours=(source,)), Tables())
    assert judged.verdict == REPRODUCED and judged.origin.dirty
    assert judged.origin.parts == ["toy-2013/one", "toy-2013/other"]
    assert judged.origin.commit == f"{'d' * 12}, {'e' * 12}"


# ------------------------------------------------------------------------------------------------ the claims file
def test_every_paper_has_claims_and_every_provenance_is_used():
    assert {"blei-2017", "kingma-welling-2013", "hoffman-johnson-2016", "higgins-2017"} <= set(PAPERS)
    assert {claim.paper for claim in CLAIMS} == set(PAPERS)
    assert {claim.known for claim in CLAIMS} <= set(scoreboard.KNOWN)


@pytest.mark.parametrize("one", [one for one in CLAIMS if one.rule], ids=lambda one: one.id)
def test_every_verdict_says_how_many_runs_it_takes_or_why_it_takes_none(one):
    """A verdict on an algorithm takes three training runs; a check, a closed form or one counterexample takes none."""
    assert one.runs >= 3 or one.check or one.exact or one.single


@pytest.mark.parametrize("one", [one for one in CLAIMS if one.runs], ids=lambda one: one.id)
def test_no_verdict_on_an_algorithm_comes_from_fewer_runs(one):
    """Every source that is at hand, and not only the first: with fewer runs than three the case is undecided."""
    for source in (*one.ours, *one.ages):
        kind, _, name = source.table.partition("/")
        if kind == "reference" and all(present(name)):
            judged = judge(Claim(**{**vars(one), "ours": (source,), "ages": ()}), Tables())
            for case in judged.cases:
                behind = [n.seeds for reading in one.compared for n in _numbers(case.numbers[reading]) if n.seeds]
                assert behind, f"{source.table}: no number says how many runs stand behind it"
                assert min(behind) >= one.runs or case.finding.verdict == UNDECIDED


def _numbers(reading):
    return [reading] if isinstance(reading, Number) else list(reading.numbers)


def waits_for_parts(name: str) -> bool:
    """Whether a table was gathered from some of its parts alone: what a claim asks for may be measured later."""
    chapter, tables = name.split("/")
    records = [reference.record(chapter, table) for table in tables.split("+")]
    return any(record.get("parts_asked", 0) > len(record.get("parts", ())) for record in records)


def present(name: str) -> list[bool]:
    chapter, tables = name.split("/")
    return [reference.load(chapter, table) is not None for table in tables.split("+")]


@pytest.mark.parametrize("one", CLAIMS, ids=lambda one: one.id)
def test_every_reading_resolves_against_the_reference_tables_at_hand(one):
    for source in one.ours:
        kind, _, name = source.table.partition("/")
        if kind == "reference" and all(present(name)):
            judged = judge(Claim(**{**vars(one), "ours": (source,)}), Tables())
            if waits_for_parts(name) and any(": no rows with {" in problem for problem in judged.missing):
                continue
            assert not judged.missing
            assert judged.cases and judged.verdict in scoreboard.VERDICTS


@pytest.mark.parametrize("one", [one for one in CLAIMS if one.ours], ids=lambda one: one.id)
def test_every_figure_and_table_that_a_claim_reads_exists(one):
    for source in one.ours:
        kind, _, name = source.table.partition("/")
        if kind == "figure":
            chapter = next(path for path in (ROOT / "book").glob("*.md") if name.startswith(path.stem + "-"))
            assert f'id="{name}"' in chapter.read_text()
        else:
            chapter, table = name.split("/")
            assert set(table.split("+")) <= {*reference.tables(chapter), *reference.sweeps(chapter)}


@pytest.mark.parametrize("one", CLAIMS, ids=lambda one: one.id)
def test_every_rule_can_be_put_in_words(one):
    if one.rule:
        text = criterion(one.rule, one.unit, one.noisy)
        assert text.startswith("Reproduced") and text.endswith(".") and "  " not in text


ENTRY = {
    "id": "toy-claim",
    "paper": "toy",
    "where": "Figure 1",
    "claim": "It works.",
    "known": "read",
    "ours": [{"table": "figure/toy-figure", "read": {"a": {"column": "value", "error": "none"}}}],
    "rule": {"at_least": {"number": "a", "threshold": 1}},
    "single": "one example is enough",
}


def load(tmp_path, *entries):
    path = tmp_path / "claims.yml"
    path.write_text(yaml.safe_dump({"papers": {"toy": "Toy (2013)"}, "claims": list(entries)}))
    return claims.load(path)


def reading(**spec):
    return {"ours": [{"table": "figure/toy-figure", "read": {"a": spec}}]}


def test_a_well_formed_entry_is_read(tmp_path):
    papers, (one,) = load(tmp_path, ENTRY)
    assert papers == {"toy": "Toy (2013)"} and one.id == "toy-claim" and not one.noisy


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"verdict": "reproduced"}, "unknown field verdict"),
        ({"where": None, "id": "Bad Id"}, "lower-case"),
        ({"paper": "other"}, "not among toy"),
        ({"known": "hearsay"}, "not one of"),
        ({"known": "recollection", "reported": {"value": 1}}, "not printed"),
        ({"not_attempted": "no"}, "either"),
        ({"rule": {"eval": {"number": "a"}}}, "a rule is one of"),
        ({"rule": {"at_least": {"number": "a"}}}, "takes"),
        ({"rule": {"at_least": {"number": "b", "threshold": 1}}}, "does not read"),
        ({"rule": {"near": {"number": "a", "to": "paper", "within": 1, "partly": 2}}}, "`reported` is missing"),
        ({"rule": {"peaked": {"series": "a"}}}, "along"),
        (reading(column="value"), "its error"),
        (reading(column="value", error="none", take="eval"), "take is one of"),
        (reading(column="value", error="none", query="x > 1"), "unknown query"),
        (reading(ratio=["x", "y"]), "named before it"),
        ({"ours": [{"table": "/etc/passwd", "read": {}}]}, "neither reference"),
        ({"single": ""}, "say how many runs a verdict takes"),
        ({"runs": 3}, "either `runs` or `single`"),
        ({"runs": 2, "single": ""}, "three training runs at least"),
        ({"runs": 3, "single": ""}, "says how many stand behind it"),
        (reading(column="value", error="none", per="seed", inner="eval"), "inner is one of"),
    ],
)
def test_a_slip_of_the_pen_is_a_sentence(tmp_path, changed, sentence):
    with pytest.raises(ClaimError, match=re.escape(sentence)):
        load(tmp_path, {**ENTRY, **changed})


def test_two_claims_cannot_share_an_id(tmp_path):
    with pytest.raises(ClaimError, match="two claims"):
        load(tmp_path, ENTRY, ENTRY)


def test_a_slip_of_three_nats_in_the_aggregated_posterior_is_seen_by_the_claim_on_the_split(checkout, monkeypatch):
    """Their sum is the average KL whatever log q(z) is: the claim holds each term against its own integral."""
    from elbo.experiments.hoffman_johnson_2016 import quadrature

    the_claim = next(one for one in CLAIMS if one.id == "hoffman-johnson-2016-split")
    (source,) = the_claim.ours
    _, chapter, name = source.table.split("/")

    def judged():
        table = quadrature.split_by_quadrature(num=30, codes=2000, points=301)
        reference_table(checkout, name, table.to_csv(index=False), chapter)
        return judge(the_claim, Tables()).verdict

    assert judged() == scoreboard.CHECK
    from elbo.estimators import surgery as package

    module = sys.modules[package.__module__]
    right = module.log_aggregate_posterior
    monkeypatch.setattr(module, "log_aggregate_posterior", lambda *a, **k: right(*a, **k) + 3)
    assert judged() == scoreboard.CHECK_FAILS


def test_a_case_without_a_sound_baseline_is_left_out_and_says_why(tmp_path):
    require = {"number": "b", "at_least": 2.0, "why": "it has exploded"}
    (source,) = claim().ours
    judged = judge(claim(ours=(replace(source, require=require),)), tables(tmp_path))
    assert judged.verdict == UNDECIDED and judged.cases[0].finding.words.endswith("left out: it has exploded")
    fine = replace(source, require={**require, "at_least": 0.5})
    assert judge(claim(ours=(fine,)), tables(tmp_path)).verdict == REPRODUCED


def test_the_upper_half_and_votes_have_their_own_errors():
    table = pd.DataFrame({"score": [0.1, 0.9, 0.8, 0.2, 0.7]})
    upper = read({"column": "score", "take": "upper half", "error": "sem"}, table, ORIGIN, {})
    assert upper.value == pytest.approx(0.8) and upper.error == pytest.approx(0.1 / math.sqrt(3))
    one = read({"column": "score", "take": "max", "error": "votes", "votes": 100}, table, ORIGIN, {})
    assert one.error == pytest.approx(0.03)
