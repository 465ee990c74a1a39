"""Two tables are the same, within tolerance, or different, and the tolerance of every cell is told from its column."""

import math

import numpy as np
import pytest

from elbo.companion.record.columns import columns
from elbo.companion.record.embedded import summary
from elbo.companion.reproduce.compare import compare, compare_summary


def csv(**values) -> str:
    rows = zip(*values.values(), strict=True)
    return "".join(",".join(map(str, row)) + "\n" for row in [tuple(values), *rows])


def moved(recorded: str, **values) -> str:
    """The table with other columns; those not named stay."""
    head, *rows = (line.split(",") for line in recorded.splitlines())
    old = {name: [row[i] for row in rows] for i, name in enumerate(head)}
    return csv(**{**old, **values})


TABLE = csv(name=["a", "b"], n=[10, 20], elbo=[-100.0, -50.0], elbo_se=[0.3, 0.4], kl=[2.0, 1e-9])


def test_the_same_table_is_identical():
    assert compare(TABLE, TABLE).verdict == "identical"


def test_a_difference_counts_in_standard_errors_of_two_runs():
    """Standard errors 0.3 and 0.4 make 0.5 for the difference."""
    now = moved(TABLE, elbo=[-100.0 + 1.5, -50.0], elbo_se=[0.4, 0.4])
    found = compare(TABLE, now, standard_errors=3.01)
    assert (
        found.verdict == "within tolerance"
        and "within 3 standard errors; the largest difference is in row 1, column elbo" in found.sentence
    )
    (cell,) = compare(TABLE, now, standard_errors=2.99).cells
    assert (cell.row, cell.column) == (1, "elbo") and cell.errors == pytest.approx(3.0)
    assert cell.sentence() == "row 1, column elbo: recorded -100.0, now -98.5, 3 standard errors apart"


@pytest.mark.parametrize(
    "names",
    [
        ("m", "m_se"),
        ("m", "se_m"),
        ("m", "se"),
        ("m", "se_seeds"),
        ("m", "other", "m_se"),
        ("m", "other", "se_m"),
        ("m_se", "m"),
    ],
)
def test_whose_standard_error_a_column_is(names):
    values = {"other": ["w", "w"], "m": [1.0, 2.0]}
    recorded = csv(**{name: values.get(name, [0.1, 0.1]) for name in names})
    now = moved(recorded, m=[1.2, 2.0])
    (cell,) = compare(recorded, now, standard_errors=1).cells
    assert cell.column == "m" and cell.errors == pytest.approx(0.2 / (0.1 * math.sqrt(2)))
    assert compare(recorded, now, standard_errors=2).verdict == "within tolerance"


def test_two_standard_errors_of_one_column_add_up():
    recorded = csv(bound=[1.0], se_seeds=[0.3], se_images=[0.4])
    (cell,) = compare(recorded, moved(recorded, bound=[3.0]), standard_errors=2).cells
    assert cell.errors == pytest.approx(2 / math.sqrt(2 * 0.25))


def test_a_column_left_of_which_nothing_stands_lends_no_error():
    recorded = csv(se=[5.0], x=[1.0])
    assert compare(recorded, moved(recorded, x=[1.1])).verdict == "different"


def test_without_a_standard_error_only_rounding_is_allowed():
    scale = 2.0  # the largest value of the column, also for its small ones
    assert compare(TABLE, moved(TABLE, kl=[2.0, 1e-9 + 0.9e-5 * scale])).verdict == "within tolerance"
    (cell,) = compare(TABLE, moved(TABLE, kl=[2.0, 1e-9 + 1.1e-5 * scale])).cells
    assert (cell.row, cell.column, cell.errors) == (2, "kl", None) and cell.relative == pytest.approx(1.1e-5)
    assert compare(TABLE, moved(TABLE, kl=[2.0, 1e-4]), rounding=1e-4).verdict == "within tolerance"


def test_an_error_of_nought_excuses_nothing():
    recorded = csv(m=[1.0], m_se=[0.0])
    assert compare(recorded, moved(recorded, m=[1.01])).verdict == "different"
    assert compare(recorded, moved(recorded, m=[1.0 + 1e-7])).verdict == "within tolerance"


def test_a_standard_error_may_not_be_blown_up():
    """Else whoever changes a record could allow himself any difference."""
    now = moved(TABLE, elbo=[-90.0, -50.0], elbo_se=[30.0, 0.4])
    assert [cell.column for cell in compare(TABLE, now).cells] == ["elbo_se"]
    assert compare(TABLE, moved(TABLE, elbo_se=[2.9, 0.4])).verdict == "within tolerance"
    assert compare(TABLE, moved(TABLE, elbo_se=["", 0.4])).verdict == "different"


@pytest.mark.parametrize(
    ("change", "column"),
    [({"name": ["a", "c"]}, "name"), ({"n": [10, 21]}, "n"), ({"n": [10, ""]}, "n"), ({"elbo": ["nan", -50.0]}, "elbo"),
     ({"elbo": ["inf", -50.0]}, "elbo"), ({"kl": ["two", 1e-9]}, "kl")],
)  # fmt: skip
def test_words_whole_numbers_and_gaps_must_be_the_same(change, column):
    found = compare(TABLE, moved(TABLE, **change))
    assert found.verdict == "different" and {cell.column for cell in found.cells} == {column}


def test_a_large_whole_number_is_not_rounded():
    recorded = csv(count=[1_000_000])
    assert compare(recorded, moved(recorded, count=[1_000_001])).verdict == "different"


def test_gaps_and_infinities_are_the_same_as_themselves():
    recorded = csv(x=["", "inf", "-inf", 1.0])
    assert compare(recorded, moved(recorded, x=["", "inf", "-inf", "1.00"])).verdict == "identical"


@pytest.mark.parametrize("name", ["seconds", "wall_seconds"])
def test_times_are_not_compared(name):
    recorded = csv(x=[1.0], **{name: [0.1]})
    found = compare(recorded, moved(recorded, **{name: [7.0]}))
    assert (
        found.verdict == "identical" and found.times == (name,) and "measured times are not compared" in found.sentence
    )
    assert compare(recorded, moved(recorded, x=[2.0])).verdict == "different"


def test_another_shape_is_said_in_words():
    assert compare(TABLE, csv(name=["a"])).sentence == "the table has other columns now: without n, elbo, elbo_se, kl"
    assert compare(csv(a=[1], b=[2]), csv(b=[2], a=[1])).sentence.endswith("in another order")
    assert compare(csv(a=[1]), csv(a=[1, 2])).sentence == "the table had 1 row and has 2 now"


def test_the_worst_cell_comes_first():
    recorded = csv(m=[1.0, 1.0, 1.0], m_se=[0.1, 0.1, 0.1])
    found = compare(recorded, moved(recorded, m=[2.0, 9.0, 3.0]))
    assert [cell.row for cell in found.cells] == [2, 3, 1] and found.sentence == "3 of 6 cells are out of tolerance"


def test_independent_runs_are_within_tolerance_and_a_shift_is_not():
    """Two runs of the same experiment with other seeds agree within four standard errors; a shift of ten is found."""
    draw = np.random.default_rng(0).normal(size=(2, 50, 400))
    one, other = (csv(m=list(x.mean(1)), se=list(x.std(1, ddof=1) / 20)) for x in draw)
    assert compare(one, other).verdict == "within tolerance"
    shifted = csv(m=list(draw[1].mean(1) + 0.5), se=list(draw[1].std(1, ddof=1) / 20))
    assert compare(one, shifted).verdict == "different"


def test_summaries():
    recorded = summary(TABLE)
    assert recorded["columns"]["n"] == {"count": 2, "min": 10.0, "max": 20.0, "mean": 15.0}
    assert compare_summary(recorded, recorded).verdict == "within tolerance"
    assert compare_summary(recorded, summary(moved(TABLE, kl=[2.00001, 1e-9]))).verdict == "within tolerance"
    found = compare_summary(recorded, summary(moved(TABLE, kl=[2.1, 1e-9])))
    assert found.verdict == "different" and [cell.column for cell in found.cells] == ["kl (max)", "kl (mean)"]
    found = compare_summary(recorded, summary(moved(TABLE, kl=["", 1e-9])))
    assert "kl (count)" in [cell.column for cell in found.cells]
    found = compare_summary(recorded, summary(moved(TABLE, name=[1, 2])))
    assert [cell.column for cell in found.cells] == ["name (max)", "name (mean)", "name (min)"]
    assert compare_summary(recorded, summary(csv(a=[1]))).verdict == "different"


def test_what_is_no_table():
    for text in ("", 'a,b\n1,2\n"'):
        with pytest.raises(ValueError):
            columns(text)
