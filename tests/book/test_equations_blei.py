"""The labelled equations of the chapter on Blei et al. (2017) that no other module tests, by separate routes.

The twin is factor analysis with two scores, where every integral can be done on a grid in the plane.
"""

import math

import pytest
import torch

from elbo.densities import gaussian_renyi, mvn_entropy, mvn_kl, mvn_log_prob
from elbo.experiments.blei_2017 import divergences, setup, trust
from elbo.inference import cavi, diagnostics, ep
from elbo.models import linear_gaussian
from elbo.models.unit_mixture import UnitMixture

MODEL, X = setup.factor_scores(seed=0)
MEAN, COV = linear_gaussian.posterior(MODEL, X)
AXIS = torch.linspace(-8, 8, 401, dtype=torch.float64)
GRID = torch.cartesian_prod(AXIS, AXIS) + MEAN
LOG_CELL = 2 * math.log(16 / 400)
LOG_JOINT = linear_gaussian.log_joint(MODEL, X, GRID)
# a q that is not the posterior
WRONG = MEAN + torch.tensor([0.3, -0.2]).double(), torch.tensor([[0.5, 0.1], [0.1, 0.3]]).double()
LOG_Q = mvn_log_prob(GRID, *WRONG)
Q = torch.exp(LOG_Q + LOG_CELL)


def close(left, right, tolerance=1e-9):
    assert float(left) == pytest.approx(float(right), abs=tolerance)


@pytest.mark.equation("eq-blei-2017-posterior")
def test_posterior_is_the_joint_over_its_integral():
    log_evidence = torch.logsumexp(LOG_JOINT, 0) + LOG_CELL
    close(log_evidence, linear_gaussian.log_evidence(MODEL, X))
    torch.testing.assert_close(LOG_JOINT - log_evidence, mvn_log_prob(GRID, MEAN, COV), rtol=0, atol=1e-9)


@pytest.mark.equation("eq-blei-2017-product-to-sum")
def test_the_log_joint_of_rows_is_a_sum_over_rows():
    """The mixture's log joint, by its own formula, against the log of the product of densities (in exact arithmetic of
    rationals' size: few rows, so that the product does not underflow)."""
    generator = torch.Generator().manual_seed(0)
    model = UnitMixture(2, mean_sd=2.0)
    x = torch.randn(5, 1, generator=generator, dtype=torch.float64)
    c, mean = torch.tensor([0, 1, 1, 0, 1]), torch.tensor([[-1.0], [1.5]], dtype=torch.float64)
    density = lambda value, centre, sd: torch.exp(-0.5 * ((value - centre) / sd) ** 2) / (sd * math.sqrt(2 * math.pi))  # noqa: E731
    globals_ = density(mean, 0.0, 2.0).prod()
    rows = 0.5 * density(x[:, 0], mean[c, 0], 1.0)
    close(model.log_joint(x, c, mean), torch.log(globals_ * rows.prod()))
    close(model.log_joint(x, c, mean), globals_.log() + rows.log().sum())


@pytest.mark.equation("eq-blei-2017-jensen")
def test_evidence_as_an_average_and_the_average_of_the_log():
    """The average of p(x, z) / q(z) is the evidence; the average of its log is the bound, and lower."""
    ratio = LOG_JOINT - LOG_Q
    log_of_average = torch.logsumexp(ratio + LOG_Q + LOG_CELL, 0)
    average_of_log = (Q * ratio).sum()
    close(log_of_average, linear_gaussian.log_evidence(MODEL, X))
    close(average_of_log, linear_gaussian.elbo(MODEL, X, *WRONG))
    assert average_of_log < log_of_average - 0.1


@pytest.mark.equation("eq-blei-2017-decomposition")
@pytest.mark.parametrize("scale", [0.5, 1.0, 2.0])
def test_evidence_is_bound_plus_gap(scale):
    """Each term by its own route: evidence from the marginal Gaussian, bound by integration, gap in closed form."""
    q = WRONG[0], scale * WRONG[1]
    log_q = mvn_log_prob(GRID, *q)
    bound = (torch.exp(log_q + LOG_CELL) * (LOG_JOINT - log_q)).sum()
    evidence = mvn_log_prob(X, *linear_gaussian.marginal(MODEL))
    close(evidence, bound + mvn_kl(*q, MEAN, COV), 1e-8)


@pytest.mark.equation("eq-blei-2017-elbo-prior")
def test_bound_is_expected_likelihood_minus_prior_kl():
    likelihood = (Q * linear_gaussian.log_likelihood(MODEL, X, GRID)).sum()
    prior_kl = mvn_kl(*WRONG, torch.zeros(2).double(), torch.eye(2).double())
    close((Q * (LOG_JOINT - LOG_Q)).sum(), likelihood - prior_kl)


@pytest.mark.equation("eq-blei-2017-free-energy")
def test_minus_the_bound_is_energy_minus_entropy_and_bounds_the_free_energy():
    energy, entropy = (Q * -LOG_JOINT).sum(), mvn_entropy(WRONG[1])
    free_energy = energy - entropy
    close(free_energy, -linear_gaussian.elbo(MODEL, X, *WRONG))
    assert free_energy > -linear_gaussian.log_evidence(MODEL, X)
    at_posterior = -linear_gaussian.expected_log_joint(MODEL, X, MEAN, COV) - mvn_entropy(COV)
    close(at_posterior, -linear_gaussian.log_evidence(MODEL, X))  # equality at equilibrium
    table = setup.decomposition(points=5)
    torch.testing.assert_close(torch.tensor(table["free_energy"]), -torch.tensor(table["elbo"]), rtol=1e-12, atol=1e-11)


@pytest.mark.equation("eq-blei-2017-gap")
def test_the_gap_of_a_scaled_posterior():
    """q with the exact mean and s times the exact deviations: D (s^2 - 1 - log s^2) / 2, whatever the model."""
    table = setup.decomposition(points=9)
    for model, dim in zip(table["model"].unique(), (2, 10)):
        rows = table[table["model"] == model]
        scale = torch.tensor(rows["scale"].to_numpy())
        torch.testing.assert_close(
            torch.tensor((rows["log_evidence"] - rows["elbo"]).to_numpy()),
            0.5 * dim * (scale**2 - 1 - 2 * scale.log()),
            rtol=0,
            atol=1e-10,
        )


@pytest.mark.equation("eq-blei-2017-coordinate-kl")
def test_the_bound_falls_by_the_divergence_from_the_best_factor():
    """For several q(z1), with q(z2) held: bound by quadrature plus KL(q1 || q1*) is one constant."""
    mean, precision = MEAN, torch.linalg.inv(COV)
    other = MEAN[1] + 0.7, torch.tensor(0.4).double()
    path, variance = divergences.coordinate_ascent(mean, precision, torch.stack([mean[0], other[0]]), 1)
    best = path[1, 0], variance[0]
    sums = []
    for m, v in ((MEAN[0], 0.3), (MEAN[0] + 0.5, 0.8), (MEAN[0] - 1.0, 0.1)):
        q = torch.stack([m, other[0]]), torch.diag(torch.stack([torch.tensor(v).double(), other[1]]))
        log_q = mvn_log_prob(GRID, *q)
        bound = (torch.exp(log_q + LOG_CELL) * (LOG_JOINT - log_q)).sum()
        v = torch.tensor([[v]]).double()
        sums.append(bound + mvn_kl(m[None], v, best[0][None], best[1][None, None]))
    assert max(sums) - min(sums) < 1e-8
    close(sums[0], linear_gaussian.elbo(MODEL, X, path[1], torch.diag(torch.stack([best[1], other[1]]))), 1e-8)


@pytest.mark.equation("eq-blei-2017-coordinate-optimum")
def test_a_factor_is_best_at_the_exponential_of_the_expected_log_joint():
    """With q(z2) held, exp E[log p(x, z)] over a grid of z1, normalised, is the Gaussian that coordinate ascent
    sets."""
    precision = torch.linalg.inv(COV)
    other = MEAN[1] + 0.7, torch.tensor(0.4).double()  # mean and variance of q(z2)
    z1 = AXIS + MEAN[0]
    z2 = other[0] + other[1].sqrt() * AXIS
    weight = torch.softmax(-0.5 * AXIS.square(), 0)
    expected = linear_gaussian.log_joint(MODEL, X, torch.stack(torch.meshgrid(z1, z2, indexing="ij"), -1)) @ weight
    mass = torch.softmax(expected, 0)
    mean = (mass * z1).sum()
    path, variance = divergences.coordinate_ascent(MEAN, precision, torch.stack([MEAN[0], other[0]]), 1)
    close(mean, path[1, 0])
    close((mass * (z1 - mean).square()).sum(), variance[0])


@pytest.mark.equation("eq-blei-2017-mean-field-objective")
def test_the_divergence_of_a_factorised_gaussian_term_by_term():
    precision = torch.linalg.inv(COV)
    mean, variance = MEAN + torch.tensor([0.4, -0.1]).double(), torch.tensor([0.2, 0.9]).double()
    off = mean - MEAN
    terms = (precision.diagonal() * variance).sum() + off @ precision @ off - variance.log().sum()
    log_q = mvn_log_prob(GRID, mean, variance.diag())
    by_integration = (torch.exp(log_q + LOG_CELL) * (log_q - mvn_log_prob(GRID, MEAN, COV))).sum()
    close(0.5 * (terms - torch.logdet(precision) - 2), by_integration, 1e-8)


@pytest.mark.equation("eq-blei-2017-mean-field-variance")
def test_mean_field_variances_by_direct_minimisation():
    """Minimise KL(q || p) over factorised Gaussians by quasi-Newton: exact mean, variance 1 / Lambda_ii, nothing
    else."""
    mean, log_var = minimise(lambda mean, log_var: mvn_kl(mean, log_var.exp().diag(), MEAN, COV))
    torch.testing.assert_close(mean, MEAN, rtol=0, atol=1e-6)
    torch.testing.assert_close(log_var.exp(), 1 / torch.linalg.inv(COV).diagonal(), rtol=1e-6, atol=0)
    _, variance = divergences.coordinate_ascent(MEAN, torch.linalg.inv(COV), torch.zeros(2).double(), 50)
    torch.testing.assert_close(variance, log_var.exp(), rtol=1e-6, atol=0)


@pytest.mark.equation("eq-blei-2017-moment-matching")
def test_inclusive_variances_by_direct_minimisation():
    mean, log_var = minimise(lambda mean, log_var: mvn_kl(MEAN, COV, mean, log_var.exp().diag()))
    torch.testing.assert_close(mean, MEAN, rtol=0, atol=1e-6)
    torch.testing.assert_close(log_var.exp(), COV.diagonal(), rtol=1e-6, atol=0)
    matched_mean, matched = divergences.moment_match(MEAN, COV)
    torch.testing.assert_close(matched_mean, MEAN, rtol=0, atol=1e-10)
    torch.testing.assert_close(matched, COV.diagonal(), rtol=1e-10, atol=0)


def minimise(objective):
    mean, log_var = torch.zeros(2).double().requires_grad_(), torch.zeros(2).double().requires_grad_()
    optimiser = torch.optim.LBFGS(
        [mean, log_var], max_iter=500, tolerance_grad=1e-12, tolerance_change=1e-16, line_search_fn="strong_wolfe"
    )

    def closure():
        optimiser.zero_grad()
        loss = objective(mean, log_var)
        loss.backward()
        return loss

    optimiser.step(closure)
    return mean.detach(), log_var.detach()


def log_normaliser(natural):
    """A of a one-dimensional Gaussian with statistics (z, z^2)."""
    return -(natural[0] ** 2) / (4 * natural[1]) - 0.5 * torch.log(-2 * natural[1]) + 0.5 * math.log(2 * math.pi)


NATURAL = torch.tensor([0.8, -0.6], dtype=torch.float64)


@pytest.mark.equation("eq-blei-2017-fisher")
def test_divergence_between_neighbours_is_half_a_quadratic_form():
    """Fisher information by integrating the outer product of the score; KL in closed form;
    the error falls with the cube.
    """
    z = torch.linspace(-12, 12, 4001, dtype=torch.float64)
    statistics = torch.stack([z, z**2], -1)
    density = torch.exp(statistics @ NATURAL - log_normaliser(NATURAL))
    score = statistics - torch.func.grad(log_normaliser)(NATURAL)
    fisher = torch.einsum("z,zi,zj->ij", density, score, score) * (z[1] - z[0])
    torch.testing.assert_close(fisher, torch.func.hessian(log_normaliser)(NATURAL), rtol=0, atol=1e-9)
    moments = lambda natural: (-natural[:1] / (2 * natural[1]), (-1 / (2 * natural[1]))[None, None])  # noqa: E731
    step = torch.tensor([0.03, 0.02], dtype=torch.float64)
    errors = []
    for shrink in (1.0, 0.5):
        exact = mvn_kl(*moments(NATURAL), *moments(NATURAL + shrink * step))
        errors.append(exact - 0.5 * (shrink * step) @ fisher @ (shrink * step))
    assert errors[0] / errors[1] == pytest.approx(8, rel=0.1)


@pytest.mark.equation("eq-blei-2017-natural-gradient")
def test_the_natural_gradient_points_from_old_to_updated_parameters():
    """The bound of a Gaussian q and a Gaussian conditional by quadrature, differentiated by autograd."""
    target = torch.tensor([-0.5, -1.1], dtype=torch.float64)
    z = torch.linspace(-14, 14, 6001, dtype=torch.float64)
    statistics = torch.stack([z, z**2], -1)

    def bound(natural):
        log_q = statistics @ natural - log_normaliser(natural)
        return (log_q.exp() * (statistics @ target - log_q)).sum() * (z[1] - z[0])

    gradient = torch.func.grad(bound)(NATURAL)
    fisher = torch.func.hessian(log_normaliser)(NATURAL)
    torch.testing.assert_close(gradient, fisher @ (target - NATURAL), rtol=0, atol=1e-8)
    torch.testing.assert_close(torch.linalg.solve(fisher, gradient), target - NATURAL, rtol=0, atol=1e-7)


def test_a_natural_step_of_length_one_is_an_update_of_cavi():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(30, 2, generator=generator, dtype=torch.float64) * 3
    model = UnitMixture(3)
    state = cavi.init(model, x, generator)
    updated, bound = cavi.sweep(model, x, state.q)
    torch.testing.assert_close(model.interpolate(state.q, updated, 1.0).mean, updated.mean)
    torch.testing.assert_close(cavi.step(model, x, state).elbo, bound)


@pytest.mark.equation("eq-blei-2017-tail-shape")
@pytest.mark.parametrize("rho", [0.2, 0.5, 0.8])
def test_the_tail_of_mean_field_ratios_has_the_shape_of_the_correlation(rho):
    """Eigenvalues; the definition (moments of order below 1 / rho are finite, by the
    quadratic form); and an estimate.
    """
    cov = torch.tensor([[1.0, rho], [rho, 1.0]], dtype=torch.float64)
    variance = 1 / torch.linalg.inv(cov).diagonal()
    close(1 - (1 - rho**2) / (1 + rho), rho, 1e-12)
    assert trust.gaussian_shape(variance, cov) == pytest.approx(rho, abs=1e-12)
    quadratic = lambda order: order * torch.linalg.inv(cov) + (1 - order) * torch.diag(1 / variance)  # noqa: E731
    for order, finite in ((0.99 / rho, True), (1.01 / rho, False)):  # E_q[(p / q)^order]
        assert (torch.linalg.eigvalsh(quadratic(order)) > 0).all().item() == finite
    row = trust.over_correlation(0, correlations=[rho], repeats=20).iloc[0]
    assert abs(row["shape"] - rho) < 4 * row["se"] + 0.05  # slowly vanishing factors bias it by a few hundredths


def test_the_pareto_shape_tells_up_from_down():
    """N(0, 1) over N(0, s^2): shape 1 - s^2 for a narrow q. A bounded ratio (wide q) has none."""
    generator = torch.Generator().manual_seed(0)
    for sd in (0.6, 0.8):
        z = sd * torch.randn(20, 4000, generator=generator, dtype=torch.float64)
        log_ratio = -0.5 * z.square() * (1 - sd**-2)
        shape = diagnostics.pareto_shape(log_ratio)
        assert abs(shape.mean() - (1 - sd**2)) < 4 * shape.std() / math.sqrt(20) + 0.05
    z = 1.5 * torch.randn(20, 4000, generator=generator, dtype=torch.float64)
    assert (diagnostics.pareto_shape(-0.5 * z.square() * (1 - 1.5**-2)) < 0).all()
    with pytest.raises(ValueError, match="thousand"):
        diagnostics.pareto_shape(torch.zeros(20))
    with pytest.raises(ValueError, match="not a number"):
        diagnostics.pareto_shape(torch.full((200,), torch.nan))


@pytest.mark.equation("eq-blei-2017-alpha")
def test_alpha_divergence_has_both_kullback_leibler_limits():
    grid = torch.linspace(-14, 15, 2901, dtype=torch.float64)
    log_p = divergences.log_mixture(grid)
    mean, log_sd = torch.tensor(0.4).double(), torch.tensor(0.3).double()
    at = lambda alpha: divergences.alpha_divergence(log_p, grid, mean, log_sd, alpha)  # noqa: E731
    log_q = -0.5 * ((grid - mean) / log_sd.exp()).square() - log_sd - 0.5 * math.log(2 * math.pi)
    p, q, width = log_p.exp(), log_q.exp(), 0.01
    close(at(0.0), (q * (log_q - log_p)).sum() * width)
    close(at(1.0), (p * (log_p - log_q)).sum() * width)
    for limit in (0.0, 1.0):  # first order in the distance to the limit
        gaps = [(at(abs(limit - step)) - at(limit)).item() for step in (2e-4, 1e-4)]
        assert gaps[0] / gaps[1] == pytest.approx(2, rel=0.01)
    amari = (1 - (p**0.3 * q**0.7).sum() * width) / (0.3 * 0.7)
    close(at(0.3), -torch.log1p(-0.21 * amari) / 0.21)


def test_alpha_divergence_against_the_closed_renyi_form():
    grid = torch.linspace(-14, 15, 2901, dtype=torch.float64)
    log_p = divergences.log_mixture(grid, [(1.0, -0.5, 1.3)])
    mean, log_sd = torch.tensor(0.4).double(), torch.tensor(-0.2).double()
    log_var_p = torch.tensor([2 * math.log(1.3)], dtype=torch.float64)
    for alpha in (0.2, 0.5, 0.9):
        renyi = gaussian_renyi(torch.tensor([-0.5]).double(), log_var_p, mean[None], 2 * log_sd[None], alpha)
        close(divergences.alpha_divergence(log_p, grid, mean, log_sd, alpha), renyi / alpha)


@pytest.mark.equation("eq-blei-2017-ep-cavity")
def test_cavity_is_the_approximation_divided_by_a_site():
    generator = torch.Generator().manual_seed(0)
    root = torch.randn(4, 2, 2, generator=generator, dtype=torch.float64)
    sites = ep.Sites(torch.randn(4, 2, generator=generator, dtype=torch.float64), root @ root.mT)
    prior = ep.Sites(torch.zeros(2).double(), torch.eye(2).double())
    mean, cov, proper = ep.cavities(prior, sites)
    assert proper.all()
    total = torch.linalg.inv(prior.precision + sites.precision.sum(0))
    q = total @ sites.shift.sum(0), total
    z = torch.randn(50, 2, generator=generator, dtype=torch.float64)
    for n in range(4):
        site = z @ sites.shift[n] - 0.5 * torch.einsum("sd,de,se->s", z, sites.precision[n], z)
        difference = mvn_log_prob(z, mean[n], cov[n]) + site - mvn_log_prob(z, *q)
        assert difference.std() < 1e-10  # equal up to a constant


def test_the_twins_of_the_set_up_balance():
    """The table of the chapter: rounding error in the sum, although the terms range over thousands of nats."""
    table = setup.both_sides(seed=1)
    assert (table["difference"].abs() < 1e-12 * table[["elbo", "kl"]].abs().max(axis=1).clip(lower=100)).all()
    exact = table[table["q"] == "exact"]
    assert (exact["kl"].abs() < 1e-12).all()
    mean_field = table[table["q"] == "mean-field"]
    assert (mean_field["kl"] > 1e-3).all()
