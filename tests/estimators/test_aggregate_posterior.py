"""The exact aggregated posterior against torch's mixture, in every regime of its arithmetic."""

import math
import subprocess
import sys

import pytest
import torch
from torch.distributions import Categorical, Independent, MixtureSameFamily, Normal

from elbo.estimators import aggregate_posterior as module
from elbo.estimators import draw_codes, log_aggregate_posterior, log_dimension_marginals


def encodings(num=300, dim=4, scale=0.3, seed=0):
    generator = torch.Generator().manual_seed(seed)
    mean = torch.randn(num, dim, generator=generator, dtype=torch.float64)
    log_var = 2 * math.log(scale) + 0.5 * torch.randn(num, dim, generator=generator, dtype=torch.float64)
    return mean, log_var, generator


def reference(z, mean, log_var):
    weights = Categorical(torch.ones(len(mean), dtype=torch.float64))
    return MixtureSameFamily(weights, Independent(Normal(mean, torch.exp(0.5 * log_var)), 1)).log_prob(z)


def close(actual, expected, tolerance=1e-10):
    torch.testing.assert_close(actual, expected, rtol=0, atol=tolerance)


@pytest.mark.parametrize("scale", [1.0, 0.1, 0.01])
def test_it_is_the_density_of_the_mixture(scale):
    mean, log_var, generator = encodings(scale=scale)
    _, z = draw_codes(mean, log_var, 500, generator)
    close(log_aggregate_posterior(z, mean, log_var), reference(z, mean, log_var), 1e-8 if scale == 0.01 else 1e-10)


def test_more_encodings_than_a_tile_holds():
    mean, log_var, generator = encodings(num=2 * module.ENCODINGS + 5, dim=2)
    _, z = draw_codes(mean, log_var, module.CODES + 3, generator)
    close(log_aggregate_posterior(z, mean, log_var), reference(z, mean, log_var))


def test_the_result_does_not_depend_on_the_chunk():
    mean, log_var, generator = encodings()
    _, z = draw_codes(mean, log_var, 101, generator)
    whole = log_aggregate_posterior(z, mean, log_var)
    for chunk in (1, 7, 100, 101, 5000):
        close(log_aggregate_posterior(z, mean, log_var, chunk=chunk), whole, 1e-12)


def test_the_result_does_not_depend_on_the_order():
    mean, log_var, generator = encodings()
    index, z = draw_codes(mean, log_var, 100, generator)
    order = torch.randperm(len(mean), generator=generator)
    rows = torch.randperm(len(z), generator=generator)
    whole = log_aggregate_posterior(z, mean, log_var)
    close(log_aggregate_posterior(z[rows], mean[order], log_var[order]), whole[rows], 1e-12)


def test_duplicates_change_nothing():
    mean, log_var, generator = encodings()
    _, z = draw_codes(mean, log_var, 100, generator)
    twice = log_aggregate_posterior(z, mean.repeat(2, 1), log_var.repeat(2, 1))
    close(twice, log_aggregate_posterior(z, mean, log_var), 1e-12)


def test_one_encoding_is_a_gaussian():
    mean, log_var, generator = encodings(num=1)
    _, z = draw_codes(mean, log_var, 20, generator)
    close(
        log_aggregate_posterior(z, mean, log_var),
        Independent(Normal(mean[0], torch.exp(0.5 * log_var[0])), 1).log_prob(z),
    )


def test_far_away_codes_do_not_underflow():
    """Densities down to exp(-500,000), beyond any float: the running maximum has to take over."""
    mean, log_var, _ = encodings(num=2 * module.ENCODINGS + 5)
    z = torch.linspace(1, 300, 40, dtype=torch.float64).unsqueeze(1).expand(-1, 4)
    expected = reference(z, mean, log_var)
    assert expected.min() < -100_000
    for order in (slice(None), torch.arange(len(mean)).flip(0)):  # whichever tile holds the largest term
        result = log_aggregate_posterior(z, mean[order], log_var[order])
        torch.testing.assert_close(result, expected, rtol=1e-12, atol=1e-9)


def test_needle_sharp_posteriors_far_from_the_origin():
    """The expanded square would lose eleven digits here; differences must be taken, and the offset must not matter."""
    mean, log_var, generator = encodings(num=3000, dim=2, scale=1e-6)
    _, z = draw_codes(mean, log_var, 50, generator)
    close(log_aggregate_posterior(z, mean, log_var), reference(z, mean, log_var))
    mean, log_var, generator = encodings(num=300, dim=2, scale=0.5)
    _, z = draw_codes(mean, log_var, 50, generator)
    shifted = log_aggregate_posterior(z + 2.0**20, mean + 2.0**20, log_var)  # the sum is exact to 2^-32
    close(shifted, log_aggregate_posterior(z, mean, log_var), 1e-7)


def test_both_routes_agree():
    """Squares of differences and the product of expanded squares, on the same codes."""
    mean, log_var, generator = encodings(num=3000)
    _, z = draw_codes(mean, log_var, 60, generator)
    mixture = module._prepare(mean, log_var)
    by_differences = module._by_differences(z - mixture.centre, mixture, 10_000)
    close(by_differences, log_aggregate_posterior(z, mean, log_var))


def test_single_precision_is_computed_in_double():
    mean, log_var, generator = encodings(scale=0.02)
    _, z = draw_codes(mean, log_var, 100, generator)
    z, mean, log_var = z.float(), mean.float(), log_var.float()
    result = log_aggregate_posterior(z, mean, log_var)
    assert result.dtype == torch.float32
    torch.testing.assert_close(
        result.double(), reference(z.double(), mean.double(), log_var.double()), rtol=1e-7, atol=1e-7
    )


def test_the_density_integrates_to_one():
    mean, log_var, _ = encodings(num=50, dim=1)
    grid = torch.linspace(-9, 9, 40_001, dtype=torch.float64)
    log_density = log_aggregate_posterior(grid.unsqueeze(1), mean, log_var)
    close(torch.trapezoid(log_density.exp(), grid), torch.tensor(1.0, dtype=torch.float64), 1e-9)


def test_marginals_are_the_integrals_of_the_joint():
    mean, log_var, generator = encodings(num=20, dim=2)
    _, z = draw_codes(mean, log_var, 5, generator)
    grid = torch.linspace(-9, 9, 4001, dtype=torch.float64)
    marginals = log_dimension_marginals(z, mean, log_var)
    for row, code in enumerate(z):
        for dim in range(2):
            line = code.repeat(len(grid), 1)
            line[:, 1 - dim] = grid
            integral = torch.trapezoid(log_aggregate_posterior(line, mean, log_var).exp(), grid)
            close(marginals[row, dim], integral.log(), 1e-9)


def test_draws_come_from_their_own_encoding():
    mean = torch.arange(5, dtype=torch.float64).unsqueeze(1) * 1000
    index, z = draw_codes(mean, torch.zeros(5, 1, dtype=torch.float64), 20_000, torch.Generator().manual_seed(1))
    deviation = (z - mean[index]).squeeze(1)
    counts = torch.bincount(index, minlength=5) / len(index)
    assert abs(deviation.mean()) < 4.5 / math.sqrt(20_000)
    assert abs(deviation.var() - 1) < 4.5 * math.sqrt(2 / 20_000)
    assert ((counts - 0.2).abs() < 4.5 * math.sqrt(0.2 * 0.8 / 20_000)).all()


def test_memory_stays_bounded():
    """N = 60,000 and 2,000 codes in well under a gigabyte: the matrix of log-densities alone would fill 0.96 GB."""
    script = """
import resource, torch
from elbo.estimators import log_aggregate_posterior
torch.set_num_threads(1)
mean = torch.randn(60_000, 10); log_var = torch.zeros(60_000, 10)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
log_aggregate_posterior(mean[:2000], mean, log_var)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 200  # megabytes


def test_no_codes_give_no_densities():
    mean, log_var, _ = encodings()
    assert log_aggregate_posterior(mean[:0], mean, log_var).shape == (0,)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda z, m, v: (z, m[:0], v[:0]), "N at least 1"),
        (lambda z, m, v: (z, m, v[:, :2]), "mean and log_var"),
        (lambda z, m, v: (z[0], m, v), "flatten its leading axes"),
        (lambda z, m, v: (z[:, :2], m, v), r"z must be \(S, 4\)"),
    ],
)
def test_wrong_shapes_are_refused_with_a_remedy(change, sentence):
    mean, log_var, _ = encodings()
    with pytest.raises(ValueError, match=sentence):
        log_aggregate_posterior(*change(mean, mean, log_var))


def test_a_chunk_below_one_is_refused():
    mean, log_var, _ = encodings()
    with pytest.raises(ValueError, match="chunk must be at least 1"):
        log_aggregate_posterior(mean, mean, log_var, chunk=0)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here: CPU and GPU are not compared")
def test_cpu_and_gpu_agree():
    mean, log_var, generator = encodings(num=20_000, dim=10, scale=0.1)
    _, z = draw_codes(mean, log_var, 3000, generator)
    on_gpu = log_aggregate_posterior(z.cuda(), mean.cuda(), log_var.cuda())
    assert on_gpu.device.type == "cuda"
    close(on_gpu.cpu(), log_aggregate_posterior(z, mean, log_var))
