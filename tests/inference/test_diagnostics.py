"""The diagnostics against textbook formulas and processes whose effective sample size is known."""

import math

import pytest
import torch

from elbo.inference import diagnostics


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def autoregressive(rho, chains=8, draws=4000, seed=0):
    noise = torch.randn(chains, draws, 1, generator=rng(seed), dtype=torch.float64)
    z = noise.clone()
    for t in range(1, draws):
        z[:, t] = rho * z[:, t - 1] + math.sqrt(1 - rho**2) * noise[:, t]
    return z


@pytest.mark.equation("eq-blei-2017-rhat")
def test_split_rhat_is_the_textbook_formula():
    draws = torch.randn(3, 100, 2, generator=rng(), dtype=torch.float64)
    draws[1] += 1  # one chain elsewhere
    halves = torch.cat([draws[:, :50], draws[:, 50:]])  # (6, 50, 2)
    within = halves.var(1).mean(0)
    between = 50 * halves.mean(1).var(0)
    expected = torch.sqrt((49 / 50 * within + between / 50) / within)
    torch.testing.assert_close(diagnostics.split_rhat(draws, "split"), expected, rtol=1e-12, atol=0)
    assert (expected > 1.05).all()


def test_effective_sample_size_of_an_autoregression():
    """AR(1) with coefficient rho: ESS of the mean is n (1 - rho) / (1 + rho)."""
    for rho in (0.0, 0.5, 0.9, -0.5):
        draws = autoregressive(rho)
        expected = draws.shape[0] * draws.shape[1] * (1 - rho) / (1 + rho)
        assert diagnostics.effective_sample_size(draws, "mean").item() == pytest.approx(expected, rel=0.15)


def test_standard_error_covers_the_mean():
    """Over 200 repetitions the standardised error of the mean has variance one (its own standard error is 0.1)."""
    errors = []
    for seed in range(200):
        draws = autoregressive(0.6, chains=4, draws=200, seed=seed)
        errors.append(draws.mean() / diagnostics.standard_error(draws)[0])
    assert torch.stack(errors).square().mean().item() == pytest.approx(1, abs=0.4)


def test_alarms():
    good = autoregressive(0.3)
    assert diagnostics.split_rhat(good).item() < 1.01
    drifting = good + torch.linspace(0, 1, good.shape[1], dtype=torch.float64)[:, None]
    # every chain agrees with every other, none with itself: what the split is for
    assert diagnostics.split_rhat(drifting).item() > 1.01
    stuck = torch.ones(2, 50, 1, dtype=torch.float64)
    assert diagnostics.split_rhat(stuck).isnan().all() and diagnostics.effective_sample_size(stuck).isnan().all()


def test_summary_has_one_row_a_coordinate():
    draws = torch.cat([autoregressive(0.3), 2 + 3 * autoregressive(0.3, seed=1)], -1)
    table = diagnostics.summary(draws, ["a", "b"])
    assert list(table["coordinate"]) == ["a", "b"]
    assert abs(table["mean"][1] - 2) < 4 * table["mean_se"][1]
    assert abs(table["sd"][1] - 3) < 4 * table["sd_se"][1]


def test_rank_statistics_counts():
    truth = torch.tensor([[0.5], [9.0]])
    draws = torch.arange(4.0).reshape(1, 4, 1).expand(2, 4, 1)
    assert diagnostics.rank_statistics(truth, draws).tolist() == [[1], [4]]


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: diagnostics.split_rhat(torch.zeros(3, 5)), "chains, draws, dim"),
        (lambda: diagnostics.split_rhat(torch.full((2, 8, 1), math.nan)), "divergences"),
        (lambda: diagnostics.split_rhat(torch.zeros(2, 8, 1), "plain"), "kind"),
        (lambda: diagnostics.effective_sample_size(torch.zeros(2, 8, 1), "plain"), "kind"),
        (lambda: diagnostics.standard_error(torch.zeros(2, 8, 1), "plain"), "kind"),
        (lambda: diagnostics.rank_statistics(torch.zeros(2, 1), torch.zeros(3, 8, 1)), "simulations"),
    ],
)
def test_wrong_input_is_named(call, sentence):
    with pytest.raises(ValueError, match=sentence):
        call()
