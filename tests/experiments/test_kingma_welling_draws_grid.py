"""One draw or several, trained: a part is the same alone and in a stack, and the gain is seed by seed."""

import pandas as pd
import pytest

from elbo.experiments.kingma_welling_2013 import SWEEPS, gains_of_draws
from elbo.experiments.kingma_welling_2013.draws_grid import draws_parts


def part(draws, seed, samples=400):
    return {"draws": draws, "batch_size": 40, "seed": seed, "samples": samples}


def test_parts_in_a_stack_are_the_parts_alone():
    together = draws_parts([part(2, 0), part(2, 1)])
    alone = draws_parts([part(2, 1)])[0]
    assert together[1].seed.tolist() == alone.seed.tolist() == [1]
    assert together[1].bound.iloc[0] == pytest.approx(alone.bound.iloc[0], abs=2e-3)
    assert together[0].bound.iloc[0] != pytest.approx(alone.bound.iloc[0], abs=1e-2)


def test_more_draws_train_another_model_with_the_same_images():
    one, five = draws_parts([part(1, 0)])[0], draws_parts([part(5, 0)])[0]
    assert one.bound.iloc[0] != five.bound.iloc[0] and one.se_images.iloc[0] > 0


def test_gains_are_taken_seed_by_seed_within_a_size_of_minibatch():
    rows = pd.DataFrame(
        {"draws": [1, 5, 1, 5], "batch_size": 10, "seed": [0, 0, 1, 1], "bound": [-30.0, -29.0, -31.0, -31.5]}
    )
    rows = rows.assign(part=["a", "b", "c", "d"])
    gains = gains_of_draws(rows)
    assert gains.to_dict("list") == {"batch_size": [10, 10], "seed": [0, 1], "draws": [5, 5], "gain": [1.0, -0.5]}
    table = SWEEPS["draws-grid"].finish(rows)
    assert table.gain.isna().tolist() == [True, False, True, False] and "part" not in table


def test_the_grid_compares_at_equal_numbers_of_images():
    grid = pd.DataFrame(SWEEPS["draws-grid"].grid)
    assert grid.samples.nunique() == 1 and len(grid) == 36
    assert (grid.groupby(["draws", "batch_size"]).seed.nunique() == 3).all()
