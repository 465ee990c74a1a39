"""ADVI against closed forms: the Gaussian itself at full rank, 1 / Lambda_ii in mean
field, the evidence of a regression.
"""

import math

import pytest
import torch

from elbo.densities import mvn_log_prob
from elbo.experiments.blei_2017 import advi as experiment
from elbo.inference import advi

MEAN = torch.tensor([0.5, -1.0], dtype=torch.float64)
COV = torch.tensor([[1.0, 0.6], [0.6, 0.8]], dtype=torch.float64)


def run(full_rank, **options):
    generator = torch.Generator().manual_seed(0)
    start = torch.zeros(2, dtype=torch.float64)
    return advi.fit(lambda z: mvn_log_prob(z, MEAN, COV), start, generator, full_rank=full_rank, **options)


def test_full_rank_finds_a_gaussian():
    fit = run(True)
    torch.testing.assert_close(fit.mean, MEAN, rtol=0, atol=0.02)
    torch.testing.assert_close(fit.cov, COV, rtol=0, atol=0.04)


def test_mean_field_has_the_conditional_variances():
    fit = run(False)
    torch.testing.assert_close(fit.mean, MEAN, rtol=0, atol=0.03)
    torch.testing.assert_close(fit.cov.diagonal(), 1 / torch.linalg.inv(COV).diagonal(), rtol=0.06, atol=0)
    assert fit.cov[0, 1] == 0


@pytest.mark.parametrize("full_rank", [True, False])
def test_the_bound_is_unbiased(full_rank):
    """Against the evidence (zero, the target is normalised) less the closed-form KL."""
    from elbo.densities import mvn_kl

    scale = torch.tensor([[0.7, 0.0], [0.3 if full_rank else 0.0, 0.5]], dtype=torch.float64)
    generator = torch.Generator().manual_seed(1)
    values = advi.bound(lambda z: mvn_log_prob(z, MEAN, COV), MEAN + 0.2, scale, 40_000, generator)
    exact = -mvn_kl(MEAN + 0.2, scale @ scale.T, MEAN, COV)
    assert abs(values.mean() - exact) < 4 * values.std() / math.sqrt(len(values))


def test_what_breaks_is_said():
    with pytest.raises(ValueError, match="not finite at step 0"):
        advi.fit(lambda z: z.sum(-1) / 0.0, MEAN, torch.Generator().manual_seed(0), full_rank=False)


def test_the_table_of_the_chapter():
    """On the regression full rank comes near the evidence and mean field keeps its known gap."""
    table = experiment.both_ranks(0).set_index(["model", "rank"])
    full, narrow = (table.loc[("linear regression", rank)] for rank in ("full", "mean field"))
    assert abs(full["gap"]) < 4 * full["gap_se"] + 0.01
    assert abs(narrow["gap"] - experiment.exact_gap()) < 4 * narrow["gap_se"] + 0.01
    assert full["effective"] > 0.9 and narrow["effective"] < 0.5
    assert full["sd_ratio"] == pytest.approx(1, abs=0.02)
    assert (table["gap"] > -4 * table["gap_se"]).all()
