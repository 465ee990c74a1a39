"""The solutions of the exercises of the ELBO surgery chapter say what is true."""

import re

import jupytext
import pytest

from checkout import ROOT


@pytest.fixture(scope="module")
def solutions():
    notebook = jupytext.read(ROOT / "book" / "hoffman-johnson-2016.md")
    return [cell.source for cell in notebook.cells if "solution" in cell.metadata.get("tags", [])]


def test_the_sum_does_not_notice_a_spoiled_estimator(solutions, capsys):
    exec(solutions[0], {})
    right, spoiled = (
        list(map(float, re.findall(r"-?\d+\.\d{3}", line))) for line in capsys.readouterr().out.splitlines()
    )
    assert spoiled[0] == pytest.approx(right[0] - 3, abs=2e-3)
    assert spoiled[1] == pytest.approx(right[1] + 3, abs=2e-3)
    assert spoiled[2] == pytest.approx(right[2], abs=2e-3)


def test_the_floor_is_reached_by_narrow_posteriors(solutions, capsys):
    exec(solutions[1], {})
    short = [float(value) for value in re.findall(r": (\d+\.\d+) nats below", capsys.readouterr().out)]
    assert short == sorted(short, reverse=True) and short[-1] < 0.01 < short[-2]
