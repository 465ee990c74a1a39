"""EP with a site for a part of the data: one part is exact, single rows are ordinary EP,
Gaussians are exact in any cut.
"""

import pytest
import torch

from elbo.experiments.blei_2017 import partitions
from elbo.inference import ep
from elbo.inference.ep_parts import part_sites

DESIGN, LABELS = partitions.problem(3, rows=12)
PRIOR = torch.zeros(2, dtype=torch.float64), 4.0 * torch.eye(2, dtype=torch.float64)


def test_one_part_has_the_moments_of_the_posterior():
    fit = ep.run(part_sites(partitions._log_factors(DESIGN, LABELS, 1), 2), *PRIOR, 1)
    mean, cov = partitions.exact(DESIGN, LABELS)
    torch.testing.assert_close(fit.mean, mean, rtol=0, atol=1e-3)
    torch.testing.assert_close(fit.cov, cov, rtol=1e-3, atol=1e-3)


def test_single_rows_are_ordinary_ep():
    grid = ep.run(part_sites(partitions._log_factors(DESIGN, LABELS, 12), 2), *PRIOR, 12, damping=0.6)
    closed = ep.run(ep.probit_sites(DESIGN, LABELS), *PRIOR, 12, damping=0.6)
    torch.testing.assert_close(grid.mean, closed.mean, rtol=0, atol=1e-4)
    torch.testing.assert_close(grid.cov, closed.cov, rtol=1e-3, atol=1e-5)
    assert grid.log_evidence.item() == pytest.approx(closed.log_evidence.item(), abs=1e-3)


@pytest.mark.parametrize("parts", [1, 3])
def test_gaussian_factors_are_exact_in_any_cut(parts):
    generator = torch.Generator().manual_seed(0)
    design = torch.randn(6, 2, generator=generator, dtype=torch.float64)
    y = torch.randn(6, generator=generator, dtype=torch.float64)
    x, target = design.view(parts, -1, 2), y.view(parts, 1, -1)
    sites = part_sites(lambda z: -0.5 * (target - z @ x.mT).square().sum(-1), 2)
    fit = ep.run(sites, *PRIOR, parts, tol=1e-8)
    precision = design.T @ design + torch.eye(2).double() / 4
    torch.testing.assert_close(fit.cov, torch.linalg.inv(precision), rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(fit.mean, torch.linalg.solve(precision, design.T @ y), rtol=0, atol=1e-4)


def test_talking_parts_beat_silent_ones():
    table = partitions.over_parts(0, parts=(1, 6, 20)).set_index(["parts", "rounds"])
    assert table.loc[(1, "rest"), "mean_error"] < 1e-3
    for parts in (6, 20):
        assert table.loc[(parts, "rest"), "mean_error"] < 0.01 < table.loc[(parts, "one"), "mean_error"]
        assert table.loc[(parts, "rest"), "converged"]


def test_what_cannot_be_done_is_refused():
    with pytest.raises(ValueError, match="three dimensions"):
        part_sites(lambda z: z[..., 0], 4)
    with pytest.raises(ValueError, match="power one"):
        ep.run(part_sites(partitions._log_factors(DESIGN, LABELS, 2), 2), *PRIOR, 2, power=0.5)
    with pytest.raises(ValueError, match="equal parts"):
        partitions._log_factors(DESIGN, LABELS, 5)
