"""ELBO surgery against known answers: term by term, because the sum of the terms is right whatever they are."""

import math
import pickle

import pytest
import torch

from elbo.densities import standard_gaussian_kl
from elbo.estimators import Estimate, code_terms, dependence, draw_codes, log_aggregate_posterior, surgery
from elbo.models import linear_gaussian as lg

SIGMAS = 4.5


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def encodings(num=200, dim=3, scale=0.4, seed=0):
    generator = rng(seed)
    mean = torch.randn(num, dim, generator=generator, dtype=torch.float64)
    return mean, 2 * math.log(scale) + 0.5 * torch.randn(num, dim, generator=generator, dtype=torch.float64)


def pointwise(mean, log_var, num=2000, seed=1):
    index, z = draw_codes(mean, log_var, num, rng(seed))
    terms = code_terms(z, index, mean, log_var)
    return terms.log_posterior - terms.log_aggregate


def test_equal_posteriors_carry_no_information():
    mean, log_var = torch.full((50, 3), 0.7, dtype=torch.float64), torch.full((50, 3), -1.0, dtype=torch.float64)
    result = surgery(mean, log_var, generator=rng(), codes=500)
    assert pointwise(mean, log_var).abs().max() < 1e-12
    assert abs(result.mutual_information) < 1e-12
    assert abs(result.marginal_kl - result.average_kl) < 1e-12


def test_far_apart_posteriors_reach_log_n():
    num = 64
    mean = 100 * torch.arange(num, dtype=torch.float64).unsqueeze(1)
    log_var = torch.zeros(num, 1, dtype=torch.float64)
    result = surgery(mean, log_var, generator=rng(), codes=500)
    assert result.log_n == math.log(num)
    assert abs(result.mutual_information - math.log(num)) < 1e-6
    assert abs(result.marginal_kl - (result.average_kl - math.log(num))) < 1e-6


@pytest.mark.parametrize("scale", [2.0, 0.5, 0.1, 0.01, 1e-4])
def test_no_term_exceeds_log_n(scale):
    terms = pointwise(*encodings(scale=scale))
    assert terms.max() <= math.log(200) + 1e-6
    if scale < 0.02:  # and narrow posteriors sit at the ceiling
        assert terms.median() > math.log(200) - 1e-6


def test_one_datum_has_nothing_to_say_about_its_index():
    mean, log_var = encodings(num=1)
    result = surgery(mean, log_var, generator=rng(), codes=200)
    assert pointwise(mean, log_var).abs().max() < 1e-10
    assert result.log_n == 0
    assert abs(result.marginal_kl - standard_gaussian_kl(mean, log_var).item()) < 1e-9


@pytest.mark.parametrize(("gap", "scales"), [(1.0, (0.5, 0.5)), (2.0, (0.3, 1.2)), (0.2, (1.0, 0.7))])
def test_two_components_in_one_dimension_against_quadrature(gap, scales):
    mean = torch.tensor([[0.3], [0.3 + gap]], dtype=torch.float64)
    log_var = 2 * torch.tensor(scales, dtype=torch.float64).log().unsqueeze(1)
    grid = torch.linspace(-12, 12, 60_001, dtype=torch.float64).unsqueeze(1)
    components = torch.distributions.Normal(mean.T, torch.exp(0.5 * log_var).T).log_prob(grid)  # (grid, 2)
    mixture = torch.logsumexp(components, 1, keepdim=True) - math.log(2)
    prior = -0.5 * (grid**2 + math.log(2 * math.pi))

    def integrate(values):
        return torch.trapezoid(values.squeeze(), grid.squeeze()).item()

    information = 0.5 * sum(integrate(components[:, [k]].exp() * (components[:, [k]] - mixture)) for k in range(2))
    marginal = integrate(mixture.exp() * (mixture - prior))
    result = surgery(mean, log_var, generator=rng(2), codes=20_000)
    assert abs(result.mutual_information - information) < SIGMAS * result.mutual_information.standard_error
    assert abs(result.marginal_kl - marginal) < SIGMAS * result.marginal_kl.standard_error
    assert abs(result.average_kl - information - marginal) < 1e-9


def test_the_entropy_form_of_the_mutual_information():
    """log N - E H[q(n | z)], the paper's own expression, from the posterior over indices."""
    mean, log_var = encodings()
    index, z = draw_codes(mean, log_var, 4000, rng(3))
    log_each = torch.distributions.Normal(mean, torch.exp(0.5 * log_var)).log_prob(z.unsqueeze(1)).sum(-1)
    entropy = torch.distributions.Categorical(logits=log_each).entropy()
    terms = pointwise(mean, log_var, 4000, seed=3)
    difference = terms - (math.log(len(mean)) - entropy)
    assert difference.mean().abs() < SIGMAS * difference.std() / math.sqrt(4000)
    assert difference.std() < terms.std()


def test_permutation_and_duplicates_leave_the_terms():
    mean, log_var = encodings()
    order = torch.randperm(len(mean), generator=rng(4))
    index, z = draw_codes(mean, log_var, 300, rng(5))
    terms = code_terms(z, index, mean, log_var)
    permuted = code_terms(z, torch.argsort(order)[index], mean[order], log_var[order])
    doubled = code_terms(z, index, mean.repeat(2, 1), log_var.repeat(2, 1))  # I(n; z) = I(x; z): no more than before
    for other in (permuted, doubled):
        for one, two in zip(terms, other):
            torch.testing.assert_close(one, two, rtol=0, atol=1e-11)


def test_the_chunk_changes_nothing():
    mean, log_var = encodings()
    one, two = (surgery(mean, log_var, generator=rng(6), codes=300, chunk=chunk) for chunk in (7, 300))
    assert abs(one.mutual_information - two.mutual_information) < 1e-12
    assert abs(one.marginal_kl - two.marginal_kl) < 1e-12


def test_standard_errors_cover_as_they_claim():
    """60 repetitions: standardised deviations from a long run have unit spread, and no bias; term by term."""
    mean, log_var = encodings(num=40, dim=2, scale=0.6)

    def log_likelihood(index, z):
        return -(z - index.unsqueeze(1) / 40).square().sum(1)

    runs = [surgery(mean, log_var, log_likelihood, generator=rng(10 + k), codes=400) for k in range(60)]
    truth = surgery(mean, log_var, log_likelihood, generator=rng(7), codes=400_000, draws=10_000)
    for name in ("mutual_information", "marginal_kl", "reconstruction", "elbo"):
        exact = getattr(truth, name)
        scores = torch.tensor([(getattr(run, name) - exact) / getattr(run, name).standard_error for run in runs])
        assert abs(scores.mean()) < SIGMAS / math.sqrt(60), name
        assert abs(scores.std() - 1) < SIGMAS / math.sqrt(2 * 60), name


def test_the_control_variate_pays():
    mean, log_var = encodings(scale=0.05)
    result = surgery(mean, log_var, generator=rng(), codes=4000)
    index, z = draw_codes(mean, log_var, 4000, rng())
    terms = code_terms(z, index, mean, log_var)
    assert result.marginal_kl.standard_error < 0.2 * Estimate.of(terms.log_aggregate - terms.log_prior).standard_error


def test_the_sum_of_the_terms_is_plumbing_and_proves_nothing():
    """A wrong density in place of the aggregated posterior gives the same sum."""
    mean, log_var = encodings()
    index, z = draw_codes(mean, log_var, 200, rng())
    terms = code_terms(z, index, mean, log_var)
    nonsense = torch.randn(200, generator=rng(), dtype=torch.float64)
    right = (terms.log_posterior - terms.log_aggregate) + (terms.log_aggregate - terms.log_prior)
    wrong = (terms.log_posterior - nonsense) + (nonsense - terms.log_prior)
    torch.testing.assert_close(right, wrong)


@pytest.fixture(scope="module")
def linear_data():
    """Data of the linear-Gaussian model with an encoder that is not its posterior."""
    generator = rng(8)
    model = lg.random_model(6, 2, generator)
    x, _ = lg.sample(model, 3000, generator)
    mean, log_var = lg.mean_field_posterior(model, x)
    return model, x, 0.8 * mean + 0.3, log_var.expand_as(mean).contiguous()


def test_reconstruction_and_elbo_on_the_linear_gaussian_model(linear_data):
    model, x, mean, log_var = linear_data
    result = surgery(
        mean, log_var, lambda index, z: lg.log_likelihood(model, x[index], z), generator=rng(9), codes=2000
    )
    cov = torch.diag_embed(log_var.exp())
    exact = lg.expected_log_likelihood(model, x, mean, cov).mean().item()
    assert abs(result.reconstruction - exact) < SIGMAS * result.reconstruction.standard_error
    assert result.reconstruction.standard_error < 0.1
    assert abs(result.elbo - lg.elbo(model, x, mean, cov).mean().item()) < SIGMAS * result.elbo.standard_error
    assert abs(result.average_kl - lg.prior_kl(mean, cov).mean().item()) < 1e-10


def test_many_data_approach_the_population(linear_data):
    """With wide posteriors and N = 3,000 the finite mixture is the Gaussian population but for its own sampling
    error.
    """
    model, x, mean, log_var = linear_data
    encoder = lg.posterior_encoder(model)
    encoder = lg.LinearEncoder(0.8 * encoder.weight, 0.8 * encoder.bias + 0.3, torch.diag_embed(log_var[0].exp()))
    exact = lg.population_surgery(model, encoder, *lg.marginal(model))
    result = surgery(mean, log_var, generator=rng(9), codes=10_000)
    data_error = standard_gaussian_kl(mean, log_var).std().item() / math.sqrt(len(mean))
    assert abs(result.average_kl - exact.average_kl.item()) < SIGMAS * data_error
    assert abs(result.mutual_information - exact.mutual_information.item()) < SIGMAS * data_error
    assert abs(result.marginal_kl - exact.marginal_kl.item()) < SIGMAS * data_error


def test_dependence_against_a_two_dimensional_grid():
    mean, log_var = encodings(num=5, dim=2, scale=0.7)
    line = torch.linspace(-7, 7, 281, dtype=torch.float64)
    grid = torch.cartesian_prod(line, line)
    joint = log_aggregate_posterior(grid, mean, log_var).view(281, 281)
    cell = (line[1] - line[0]).item()
    weights = joint.exp() * cell**2
    marginals = [(joint.exp().sum(1 - d) * cell).log() for d in range(2)]
    prior = -0.5 * (line**2 + math.log(2 * math.pi))
    correlation = (weights * (joint - marginals[0][:, None] - marginals[1][None])).sum().item()
    dimension = [(m.exp() * (m - prior)).sum().item() * cell for m in marginals]
    result = dependence(mean, log_var, generator=rng(3), codes=20_000)
    assert abs(result.total_correlation - correlation) < SIGMAS * result.total_correlation.standard_error
    for estimate, exact in zip((*result.dimension_kl, result.sum_dimension_kl), (*dimension, sum(dimension))):
        assert abs(estimate - exact) < SIGMAS * estimate.standard_error


def test_independent_dimensions_have_no_total_correlation():
    """Encodings on a product grid: the mixture factorises exactly."""
    line = torch.linspace(-1.5, 1.5, 6, dtype=torch.float64)
    mean = torch.cartesian_prod(line, line)
    result = dependence(mean, torch.full_like(mean, -2.0), generator=rng(), codes=300)
    assert abs(result.total_correlation) < 1e-10


def test_a_wrong_index_is_caught():
    mean, log_var = encodings(scale=0.01)
    index, z = draw_codes(mean, log_var, 50, rng())
    z[0] = math.nan
    with pytest.raises(ArithmeticError, match="above log N"):
        code_terms(z, index, mean, log_var)


def test_an_estimate_is_a_number_with_an_error():
    estimate = Estimate.of(torch.tensor([1.0, 2.0, 3.0]))
    assert estimate == 2.0 and abs(estimate.standard_error - 1 / math.sqrt(3)) < 1e-7
    copy = pickle.loads(pickle.dumps(estimate))
    assert (copy, copy.standard_error) == (estimate, estimate.standard_error)
    assert repr(Estimate(1.5, 0.25)) == "1.5000 ± 0.2500"


def test_without_a_likelihood_there_is_no_reconstruction():
    row = surgery(*encodings(), generator=rng(), codes=100).as_dict()
    assert "elbo" not in row and "reconstruction" not in row
    assert {"mutual_information", "mutual_information_se", "average_kl_se", "log_n"} <= row.keys()


def test_too_few_codes_are_refused():
    with pytest.raises(ValueError, match="at least 2"):
        surgery(*encodings(), generator=rng(), codes=1)
    with pytest.raises(ValueError, match="at least 2"):
        dependence(*encodings(), generator=rng(), codes=1)
    with pytest.raises(ValueError, match="one datum for each code"):
        code_terms(torch.zeros(3, 3), torch.zeros(2, dtype=torch.long), *encodings())


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here: CPU and GPU are not compared")
def test_cpu_and_gpu_agree():
    mean, log_var = encodings(num=5000, dim=10, scale=0.1)
    one = surgery(mean, log_var, generator=rng(), codes=2000)
    two = surgery(
        mean.cuda(), log_var.cuda(), generator=rng(), codes=2000
    )  # the draws come from the same CPU generator
    for name in ("mutual_information", "marginal_kl", "average_kl"):
        assert abs(getattr(one, name) - getattr(two, name)) < 1e-9
