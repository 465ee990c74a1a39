"""The numbered equations of the chapter on Kingma & Welling (2013), each evaluated on both sides.

Two models serve: a Bernoulli decoder with a code of one number, where every integral is a sum over Gauss-Hermite nodes
or a fine grid, and the linear-Gaussian twin, where every term has a closed form.
"""

import itertools
import math

import numpy as np
import pytest
import torch
from torch.distributions import Bernoulli, MultivariateNormal, Normal, kl_divergence

from elbo import densities
from elbo.inference.aevb import minibatch_bound, reparameterise, sgvb_a, sgvb_b
from elbo.inference.full_vb import full_bound
from elbo.models import linear_gaussian
from elbo.models.vae import VAE

X = torch.tensor([[1.0, 0.0, 1.0, 1.0], [0.0, 0.0, 1.0, 0.0]], dtype=torch.float64)


@pytest.fixture(scope="module")
def vae():
    model = VAE(4, hidden=3, latent_dim=1)
    return model, model.init(torch.Generator().manual_seed(1), scale=0.5, dtype=torch.float64)


@pytest.fixture(scope="module")
def grid():
    """Nodes and weights of a rule that integrates over the line; the integrands below vanish at its ends."""
    z = torch.linspace(-12, 12, 20001, dtype=torch.float64)
    return z[:, None, None], torch.full((len(z),), (z[1] - z[0]).item(), dtype=torch.float64)


@pytest.fixture(scope="module")
def hermite():
    """Nodes (nodes, 1, 1) and weights of E[f(eps)] for standard normal eps."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(80)
    return torch.tensor(nodes)[:, None, None], torch.tensor(weights / math.sqrt(2 * math.pi))


def pieces(vae, grid):
    """log p(x, z), log q(z|x) on the grid, (nodes, batch), and log p(x) by quadrature, (batch,)."""
    model, params = vae
    z, width = grid
    mean, log_var = model.encode(params, X)
    log_joint = model.log_joint(params, X, z.expand(-1, len(X), -1))
    log_q = Normal(mean, (0.5 * log_var).exp()).log_prob(z).sum(-1)
    return log_joint, log_q, torch.logsumexp(log_joint + width.log()[:, None], 0), width[:, None]


@pytest.mark.equation("eq-kingma-welling-2013-decomposition")
def test_log_evidence_is_bound_plus_divergence_by_quadrature(vae, grid):
    log_joint, log_q, evidence, width = pieces(vae, grid)
    log_posterior = log_joint - evidence
    bound = (log_q.exp() * (log_joint - log_q) * width).sum(0)
    divergence = (log_q.exp() * (log_q - log_posterior) * width).sum(0)
    assert (divergence > 0.01).all()  # q is not the posterior, or the test would say little
    torch.testing.assert_close(bound + divergence, evidence, rtol=1e-10, atol=1e-10)


def test_log_evidence_is_bound_plus_divergence_in_closed_form():
    generator = torch.Generator().manual_seed(3)
    twin = linear_gaussian.random_model(5, 2, generator)
    x, _ = linear_gaussian.sample(twin, 7, generator)
    mean, cov = linear_gaussian.posterior(twin, x)
    q = (mean + 0.3, 1.7 * cov)
    marginal = MultivariateNormal(*linear_gaussian.marginal(twin))
    total = linear_gaussian.elbo(twin, x, *q) + linear_gaussian.posterior_kl(twin, x, *q)
    torch.testing.assert_close(total, marginal.log_prob(x), rtol=1e-10, atol=1e-10)


@pytest.mark.equation("eq-kingma-welling-2013-bound")
def test_the_bound_lies_below_and_is_what_the_estimator_averages_to(vae, grid, hermite):
    model, params = vae
    log_joint, log_q, evidence, width = pieces(vae, grid)
    bound = (log_q.exp() * (log_joint - log_q) * width).sum(0)
    assert (bound < evidence).all()
    eps, weights = hermite
    averaged = (weights[:, None] * sgvb_a(model, params, X, eps.expand(-1, len(X), 1))).sum(0)
    torch.testing.assert_close(averaged, bound, rtol=1e-8, atol=1e-8)


@pytest.mark.equation("eq-kingma-welling-2013-reconstruction")
def test_reconstruction_minus_penalty_is_the_bound(vae, grid):
    model, params = vae
    log_joint, log_q, _, width = pieces(vae, grid)
    bound = (log_q.exp() * (log_joint - log_q) * width).sum(0)
    mean, log_var = model.encode(params, X)
    log_likelihood = model.log_likelihood(params, X, grid[0].expand(-1, len(X), -1))
    reconstruction = (log_q.exp() * log_likelihood * width).sum(0)
    standard = Normal(torch.zeros_like(mean), torch.ones_like(mean))
    penalty = kl_divergence(Normal(mean, (0.5 * log_var).exp()), standard).sum(-1)
    torch.testing.assert_close(reconstruction - penalty, bound, rtol=1e-9, atol=1e-9)


def test_function(z):
    return torch.tanh(z) + 0.3 * z.square()


test_function.__test__ = False


def expectation(mean, log_var):
    """E[f(z)] under N(mean, exp(log_var)) by a fine grid: the third route of the two gradient identities."""
    z = torch.linspace(-14, 14, 40001, dtype=torch.float64)
    density = Normal(mean, (0.5 * log_var).exp()).log_prob(z).exp()
    return (density * test_function(z)).sum() * (z[1] - z[0])


def exact_gradient():
    point = [torch.tensor(0.4, dtype=torch.float64), torch.tensor(-0.7, dtype=torch.float64)]
    leaves = [p.clone().requires_grad_() for p in point]
    return point, torch.stack(torch.autograd.grad(expectation(*leaves), leaves))


@pytest.mark.equation("eq-kingma-welling-2013-score-gradient")
def test_gradient_by_the_score(hermite):
    (mean, log_var), exact = exact_gradient()
    eps, weights = (h.flatten() for h in hermite)
    z = mean + (0.5 * log_var).exp() * eps
    score = torch.stack([(z - mean) / log_var.exp(), 0.5 * ((z - mean).square() / log_var.exp() - 1)])
    torch.testing.assert_close((weights * test_function(z) * score).sum(-1), exact, rtol=1e-6, atol=1e-6)


@pytest.mark.equation("eq-kingma-welling-2013-pathwise-gradient")
def test_gradient_through_the_draw(hermite):
    point, exact = exact_gradient()
    leaves = [p.clone().requires_grad_() for p in point]
    eps, weights = (h.flatten() for h in hermite)
    z = reparameterise(leaves[0], leaves[1], eps)
    gradient = torch.stack(torch.autograd.grad((weights * test_function(z)).sum(), leaves))
    torch.testing.assert_close(gradient, exact, rtol=1e-6, atol=1e-6)


@pytest.mark.equation("eq-kingma-welling-2013-reparameterisation")
def test_a_reparameterised_draw_has_the_density_of_q():
    mean, log_var = torch.tensor([0.7, -1.0], dtype=torch.float64), torch.tensor([-0.5, 0.8], dtype=torch.float64)
    u = (torch.arange(1, 100, dtype=torch.float64) / 100)[:, None]
    z = reparameterise(mean, log_var, torch.special.ndtri(u))
    torch.testing.assert_close(Normal(mean, (0.5 * log_var).exp()).cdf(z), u.expand(-1, 2), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    "estimator",
    [
        pytest.param(sgvb_a, marks=pytest.mark.equation("eq-kingma-welling-2013-sgvb-a")),
        pytest.param(sgvb_b, marks=pytest.mark.equation("eq-kingma-welling-2013-sgvb-b")),
    ],
)
def test_estimators_and_their_gradients_are_unbiased(vae, grid, hermite, estimator):
    model, params = vae
    leaves = {name: p.clone().requires_grad_() for name, p in params.items()}
    log_joint, log_q, _, width = pieces((model, leaves), grid)
    exact = (log_q.exp() * (log_joint - log_q) * width).sum(0)
    gradient = torch.autograd.grad(exact.sum(), leaves.values())
    eps, weights = hermite
    average = (weights[:, None] * estimator(model, leaves, X, eps.expand(-1, len(X), 1))).sum(0)
    torch.testing.assert_close(average, exact, rtol=1e-7, atol=1e-7)
    for ours, theirs in zip(torch.autograd.grad(average.sum(), leaves.values()), gradient):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)


@pytest.mark.equation("eq-kingma-welling-2013-gaussian-kl")
def test_divergence_of_a_gaussian_from_the_prior():
    generator = torch.Generator().manual_seed(5)
    mean, log_var = torch.randn(2, 50, 3, generator=generator, dtype=torch.float64)
    formula = 0.5 * (mean**2 + log_var.exp() - 1 - log_var).sum(-1)
    theirs = kl_divergence(
        Normal(mean, (0.5 * log_var).exp()), Normal(torch.zeros_like(mean), torch.ones_like(mean))
    ).sum(-1)
    torch.testing.assert_close(formula, theirs)
    torch.testing.assert_close(densities.standard_gaussian_kl(mean, log_var), theirs)


@pytest.mark.equation("eq-kingma-welling-2013-bernoulli")
def test_log_likelihood_of_binary_pixels():
    generator = torch.Generator().manual_seed(6)
    logits = torch.randn(20, 9, generator=generator, dtype=torch.float64)
    x = torch.bernoulli(torch.full((20, 9), 0.5, dtype=torch.float64), generator=generator)
    y = torch.sigmoid(logits)
    formula = (x * y.log() + (1 - x) * (1 - y).log()).sum(-1)
    torch.testing.assert_close(formula, Bernoulli(logits=logits).log_prob(x).sum(-1))
    torch.testing.assert_close(densities.bernoulli_log_prob(x, logits), formula)


@pytest.mark.equation("eq-kingma-welling-2013-minibatch")
def test_minibatches_average_to_the_whole():
    bounds = torch.randn(6, generator=torch.Generator().manual_seed(7), dtype=torch.float64)
    every = [minibatch_bound(bounds[list(batch)], 6) for batch in itertools.product(range(6), repeat=2)]
    torch.testing.assert_close(torch.stack(every).mean(), bounds.sum())
    assert torch.stack(every).std() > 0.1


@pytest.mark.equation("eq-kingma-welling-2013-a-is-constant")
def test_what_a_averages_is_constant_at_the_posterior():
    generator = torch.Generator().manual_seed(8)
    twin = linear_gaussian.random_model(5, 2, generator)
    x, _ = linear_gaussian.sample(twin, 4, generator)
    mean, cov = linear_gaussian.posterior(twin, x)
    evidence = MultivariateNormal(*linear_gaussian.marginal(twin)).log_prob(x)
    z = mean + torch.randn(100, 4, 2, generator=generator, dtype=torch.float64)
    log_joint = linear_gaussian.log_joint(twin, x, z)
    log_posterior = MultivariateNormal(mean, cov).log_prob(z)
    torch.testing.assert_close(log_joint - log_posterior, evidence.expand(100, 4), rtol=1e-9, atol=1e-9)
    wrong = MultivariateNormal(mean + 0.4, 2 * cov).log_prob(z)
    torch.testing.assert_close(log_joint - wrong, evidence + (log_posterior - wrong), rtol=1e-9, atol=1e-9)
    assert (log_joint - wrong).std(0).min() > 0.1


@pytest.mark.equation("eq-kingma-welling-2013-fisher")
def test_gradient_of_the_log_evidence_is_the_posterior_mean_of_the_joints_gradient(vae, grid):
    model, params = vae
    z, width = grid
    leaves = {name: p.clone().requires_grad_(name.startswith("decoder.")) for name, p in params.items()}
    wanted = [p for p in leaves.values() if p.requires_grad]
    log_joint = model.log_joint(leaves, X, z.expand(-1, len(X), -1))
    evidence = torch.logsumexp(log_joint + width.log()[:, None], 0)
    left = torch.autograd.grad(evidence.sum(), wanted, retain_graph=True)
    weights = torch.exp(log_joint - evidence).detach() * width[:, None]  # the posterior on the grid, held fixed
    right = torch.autograd.grad((weights * log_joint).sum(), wanted)
    elsewhere = torch.softmax(log_joint.detach() * 0.5, 0)  # averaged under another density it is not the same
    wrong = torch.autograd.grad((elsewhere * model.log_joint(leaves, X, z.expand(-1, len(X), -1))).sum(), wanted)
    for one, other in zip(left, right):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-9)
    assert max(float((one - not_so).abs().max()) for one, not_so in zip(left, wrong)) > 1e-2


@pytest.mark.equation("eq-kingma-welling-2013-reciprocal")
def test_reciprocal_evidence_is_a_posterior_mean_for_any_density(vae, grid):
    log_joint, log_q, evidence, width = pieces(vae, grid)
    posterior = torch.exp(log_joint - evidence) * width
    z = grid[0]
    narrow = Normal(torch.tensor(0.3, dtype=torch.float64), 0.4).log_prob(z).squeeze(-1).expand_as(log_joint)
    for density in (log_q, narrow):
        torch.testing.assert_close(
            (posterior * torch.exp(density - log_joint)).sum(0), torch.exp(-evidence), rtol=1e-8, atol=0.0
        )
    halved = (posterior * torch.exp(narrow - log_joint - math.log(2))).sum(
        0
    )  # what does not integrate to one gives another answer
    assert ((halved * torch.exp(evidence) - 1).abs() > 0.4).all()


# ---- reparameterisation against the score function; the path alone ----


def corners_of_the_noise(dim):
    """Noise and weights of a product rule exact for polynomials of degree 13 in each coordinate: (nodes, dim)."""
    points, weights = np.polynomial.hermite_e.hermegauss(7)
    grid = torch.tensor(list(itertools.product(points, repeat=dim)))
    return grid, torch.tensor([math.prod(w) for w in itertools.product(weights / math.sqrt(2 * math.pi), repeat=dim)])


@pytest.fixture(scope="module")
def quadratic():
    """A twin with a correlated posterior, one datum, a wrong q, and the letters of the equations."""
    generator = torch.Generator().manual_seed(12)
    twin = linear_gaussian.random_model(4, 2, generator)
    x, _ = linear_gaussian.sample(twin, 1, generator)
    mean, log_var = torch.randn(2, 2, generator=generator, dtype=torch.float64)
    exact_mean, exact_cov = linear_gaussian.posterior(twin, x[0])
    std = torch.diag((0.5 * log_var).exp())
    curvature = torch.eye(2, dtype=torch.float64) - std @ torch.linalg.inv(exact_cov) @ std
    slope = -std @ torch.linalg.inv(exact_cov) @ (mean - exact_mean)
    bound = linear_gaussian.elbo(twin, x[0], mean, torch.diag(log_var.exp()))
    return twin, x[0], mean, log_var, curvature, slope, bound


@pytest.mark.equation("eq-kingma-welling-2013-quadratic")
def test_the_integrand_is_a_quadratic_in_the_noise(quadratic):
    twin, x, mean, log_var, curvature, slope, bound = quadratic
    eps = torch.randn(50, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    z = mean + (0.5 * log_var).exp() * eps
    integrand = linear_gaussian.log_joint(twin, x, z) - Normal(mean, (0.5 * log_var).exp()).log_prob(z).sum(-1)
    form = torch.einsum("nd,de,ne->n", eps, curvature, eps) - curvature.trace()
    torch.testing.assert_close(integrand, bound + eps @ slope + 0.5 * form, rtol=1e-10, atol=1e-10)
    assert curvature[0, 1].abs() > 0.05 and slope.abs().min() > 0.05


@pytest.mark.equation("eq-kingma-welling-2013-gradient-variance")
def test_variances_of_a_draw_of_the_gradient(quadratic):
    """Draws at the nodes of a rule that is exact for them, by autograd of the integrand; variances as weighted sums."""
    twin, x, mean, log_var, curvature, slope, bound = quadratic
    eps, weights = corners_of_the_noise(2)
    std = (0.5 * log_var).exp()
    q = Normal(mean, std)
    z = (mean + std * eps).requires_grad_()
    log_joint = linear_gaussian.log_joint(twin, x, z)
    through = torch.autograd.grad(log_joint.sum(), z, retain_graph=True)[0]  # in the mean, A's score term adds nothing
    path = torch.autograd.grad((log_joint - q.log_prob(z).sum(-1)).sum(), z)[0]
    value = (log_joint - q.log_prob(z).sum(-1)).detach()
    square = curvature @ curvature
    smooth = torch.eye(2, dtype=torch.float64) - curvature
    cases = [(through, (smooth @ smooth).diagonal()), (path, square.diagonal())]
    for baseline in (0.0, bound, -3.0):
        above = bound - baseline
        form = above**2 + slope.square().sum() + 0.5 * curvature.square().sum() + slope**2
        form = form + 2 * square.diagonal() + 2 * curvature.diagonal() * above
        cases.append(((value - baseline)[:, None] * (z.detach() - mean) / std**2, form))
    exact = slope / std
    for draws, form in cases:
        average = weights @ draws
        torch.testing.assert_close(average, exact, rtol=1e-9, atol=1e-9)
        torch.testing.assert_close(weights @ (draws - average).square(), form / std**2, rtol=1e-8, atol=1e-8)


@pytest.mark.equation("eq-kingma-welling-2013-path-alone")
def test_at_the_posterior_the_integrand_has_no_slope(vae, grid):
    """In closed form for the twin, and by finite differences of a posterior found by
    quadrature for the Bernoulli decoder.
    """
    generator = torch.Generator().manual_seed(13)
    twin = linear_gaussian.random_model(4, 2, generator)
    x, _ = linear_gaussian.sample(twin, 3, generator)
    posterior = MultivariateNormal(*linear_gaussian.posterior(twin, x))
    z = torch.randn(20, 3, 2, generator=generator, dtype=torch.float64).requires_grad_()
    slope = torch.autograd.grad((linear_gaussian.log_joint(twin, x, z) - posterior.log_prob(z)).sum(), z)[0]
    assert slope.abs().max() < 1e-10
    wrong = MultivariateNormal(posterior.mean, 2 * posterior.covariance_matrix)
    assert (
        torch.autograd.grad((linear_gaussian.log_joint(twin, x, z) - wrong.log_prob(z)).sum(), z)[0].abs().max() > 0.1
    )

    log_joint, log_q, evidence, _ = pieces(vae, grid)
    near = (grid[0].flatten().abs() < 3).nonzero().flatten()
    integrand = log_joint - (log_joint - evidence)  # log p(x, z) - log p(z|x), the posterior normalised by quadrature
    assert integrand[near].diff(dim=0).abs().max() < 1e-10
    assert (log_joint - log_q)[near].diff(dim=0).abs().max() > 1e-4


# ---- full variational Bayes ----


@pytest.fixture(scope="module")
def weighted():
    """A Bernoulli decoder whose only uncertain weight is one bias: evidence and bound are sums over a grid."""
    model = VAE(4, hidden=3, latent_dim=1)
    params = model.init(torch.Generator().manual_seed(2), scale=0.5, dtype=torch.float64)
    spread = {f"log_var.{n}": torch.full_like(p, -1.0) for n, p in params.items() if n == "decoder.head.bias"}
    return model, params | spread


@pytest.mark.equation("eq-kingma-welling-2013-full-vb")
def test_the_bound_on_the_evidence_of_all_data(weighted, hermite):
    """The four biases are independent given the code but not given the data; here one of them is uncertain and the rest
    are known, so that the evidence is a double integral: over the bias under its prior, and over each code."""
    model, params = weighted
    nodes, weights = (h.flatten() for h in hermite)
    mean, log_var = params["decoder.head.bias"][0], params["log_var.decoder.head.bias"][0]

    def with_bias(value):
        return params | {"decoder.head.bias": torch.cat([value[None], params["decoder.head.bias"][1:]])}

    def log_marginal(own):  # codes under their prior, by Gauss-Hermite
        log_lik = model.log_likelihood(own, X, nodes[:, None, None].expand(-1, len(X), 1))
        return torch.logsumexp(log_lik + weights.log()[:, None], 0)

    def bound(own):
        mean_z, log_var_z = model.encode(own, X)
        z = mean_z + (0.5 * log_var_z).exp() * nodes[:, None, None]
        return (weights[:, None] * model.log_likelihood(own, X, z)).sum(0) - densities.standard_gaussian_kl(
            mean_z, log_var_z
        )

    evidence = torch.logsumexp(torch.stack([log_marginal(with_bias(node)).sum() for node in nodes]) + weights.log(), 0)
    drawn = torch.stack([bound(with_bias(mean + (0.5 * log_var).exp() * node)).sum() for node in nodes])
    penalty = densities.standard_gaussian_kl(mean[None], log_var[None])
    assert (weights * drawn).sum() - penalty < evidence
    assert penalty > 0.05 and evidence - ((weights * drawn).sum() - penalty) < 10


@pytest.mark.equation("eq-kingma-welling-2013-full-vb-estimator")
def test_the_estimator_averages_to_the_bound(weighted):
    """Minibatches by enumeration, codes and weights by quadrature or corners: its mean is the
    bound, its terms are the paper's.
    """
    model, params = weighted
    eps, z_weights = corners_of_the_noise(1)
    zeta, w_weights = torch.tensor(list(itertools.product([-1.0, 1.0], repeat=4))).double(), 1 / 16
    total, formula = 0.0, 0.0
    mean_z, log_var_z = model.encode(params, X)
    codes = 0.5 * (1 + log_var_z - mean_z**2 - log_var_z.exp()).sum(-1)
    mean, log_var = params["decoder.head.bias"], params["log_var.decoder.head.bias"]
    penalty = 0.5 * (1 + log_var - mean**2 - log_var.exp()).sum()
    for corner in zeta:
        drawn = {name: p for name, p in params.items() if not name.startswith("log_var.")}
        drawn["decoder.head.bias"] = mean + (0.5 * log_var).exp() * corner
        for node, weight in zip(eps, z_weights):
            noise = node.expand(1, 1)
            for chosen in range(2):  # minibatches of one datum out of two
                value = full_bound(model, params, X[chosen : chosen + 1], noise, corner, 2)
                by_hand = 2 * (
                    model.log_likelihood(drawn, X, mean_z + (0.5 * log_var_z).exp() * node)[chosen] + codes[chosen]
                )
                torch.testing.assert_close(value, by_hand + penalty, rtol=1e-10, atol=1e-10)
                total = total + weight * w_weights * value / 2
            both = model.log_likelihood(drawn, X, mean_z + (0.5 * log_var_z).exp() * node) + codes
            formula = formula + weight * w_weights * both.sum()
    torch.testing.assert_close(total, formula + penalty, rtol=1e-10, atol=1e-10)


@pytest.mark.equation("eq-kingma-welling-2013-active")
def test_the_divergence_of_a_latent_bounds_the_variance_of_its_mean():
    generator = torch.Generator().manual_seed(14)
    mean = torch.randn(50, 200, generator=generator, dtype=torch.float64) * torch.rand(200, generator=generator) * 2
    log_var = torch.randn(50, 200, generator=generator, dtype=torch.float64)
    q = Normal(mean, (0.5 * log_var).exp())
    divergence = kl_divergence(q, Normal(torch.zeros_like(mean), 1.0)).mean(0)
    assert (divergence >= 0.5 * mean.var(0, correction=0)).all()
    centred = mean - mean.mean(0)  # equality: unit variances and means around zero
    unit = kl_divergence(Normal(centred, 1.0), Normal(torch.zeros_like(mean), 1.0)).mean(0)
    torch.testing.assert_close(unit, 0.5 * mean.var(0, correction=0), rtol=1e-10, atol=1e-12)


@pytest.mark.equation("eq-kingma-welling-2013-product-to-sum")
def test_the_bound_of_all_images_is_the_sum_of_their_bounds(vae):
    """The average over both codes at once, on a grid of pairs, against one average for each image."""
    model, params = vae
    z = torch.linspace(-14, 14, 1801, dtype=torch.float64)
    mean, log_var = model.encode(params, X)
    log_q = Normal(mean, (0.5 * log_var).exp()).log_prob(z[:, None, None]).sum(-1)  # (nodes, image)
    log_w = model.log_joint(params, X, z[:, None, None].expand(-1, len(X), 1)) - log_q
    mass = log_q.exp() * (z[1] - z[0])
    pairs = mass[:, None, 0] * mass[None, :, 1]  # (nodes, nodes)
    together = (pairs * (log_w[:, None, 0] + log_w[None, :, 1])).sum()
    each = (mass * log_w).sum(0)
    torch.testing.assert_close(together, each.sum(), rtol=1e-9, atol=1e-9)
    assert abs(each[0] - each[1]) > 0.01


@pytest.mark.equation("eq-kingma-welling-2013-noise-parts")
@pytest.mark.parametrize("draws", [1, 2])
def test_variance_of_a_step_from_images_and_draws(draws):
    """Three images, three equally likely noises: every minibatch of two images, drawn with
    replacement, with all their noises.
    """
    value = torch.randn(3, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)  # (image, noise)
    own = [
        [value[image, list(noise)].mean() for noise in itertools.product(range(3), repeat=draws)] for image in range(3)
    ]
    one = torch.tensor(own).flatten()  # the estimate of a single image, all equally likely
    step = (one[:, None] + one[None, :]) / 2
    between, within = value.mean(1).var(correction=0), value.var(1, correction=0).mean()
    torch.testing.assert_close(step.var(correction=0), (between + within / draws) / 2, rtol=1e-12, atol=1e-12)


@pytest.mark.equation("eq-kingma-welling-2013-gap-parts")
def test_the_gap_is_what_the_family_loses_and_what_the_encoder_loses():
    """On the twin the best member of the family is known: its precisions are those of the posterior's diagonal."""
    generator = torch.Generator().manual_seed(5)
    twin = linear_gaussian.random_model(6, 3, generator)
    x, _ = linear_gaussian.sample(twin, 4, generator)
    best_mean, best_log_var = linear_gaussian.mean_field_posterior(twin, x)
    best = (best_mean, torch.diag_embed(best_log_var.exp().expand_as(best_mean)))
    encoder = (best_mean + 0.2, 1.3 * best[1])
    bounds = [linear_gaussian.elbo(twin, x, *q) for q in (best, encoder)]
    family = linear_gaussian.log_evidence(twin, x) - bounds[0]
    torch.testing.assert_close(family, linear_gaussian.posterior_kl(twin, x, *best), rtol=1e-9, atol=1e-9)
    amortised = bounds[0] - bounds[1]
    assert (family > 0.001).all() and (amortised > 0.001).all()
    torch.testing.assert_close(
        family + amortised, linear_gaussian.posterior_kl(twin, x, *encoder), rtol=1e-9, atol=1e-9
    )


@pytest.mark.equation("eq-kingma-welling-2013-importance-weighted")
def test_the_bound_of_two_draws_by_quadrature(vae, grid, hermite):
    from elbo.inference.iwae import iwae_bound

    model, params = vae
    log_joint, log_q, evidence, width = pieces(vae, grid)
    bound = (log_q.exp() * (log_joint - log_q) * width).sum(0)
    eps, weights = hermite
    pairs = torch.stack(torch.meshgrid(eps.flatten(), eps.flatten(), indexing="ij")).flatten(1)  # (2, pairs)
    mass = torch.outer(weights, weights).flatten()
    z_bound = torch.stack([iwae_bound(model, params, X, pair[:, None, None].expand(2, len(X), 1)) for pair in pairs.T])
    two = (mass[:, None] * z_bound).sum(0)
    mean, log_var = model.encode(params, X)
    nodes = mean + (0.5 * log_var).exp() * eps.flatten()[:, None, None]  # (nodes, batch, 1)
    log_w = model.log_joint(params, X, nodes) - Normal(mean, (0.5 * log_var).exp()).log_prob(nodes).sum(-1)
    by_hand = torch.logaddexp(log_w[:, None], log_w[None, :]) - math.log(2)
    by_hand = (weights[:, None, None] * weights[None, :, None] * by_hand).sum((0, 1))
    torch.testing.assert_close(two, by_hand, rtol=1e-8, atol=1e-8)
    assert (bound < two).all() and (two < evidence).all()


@pytest.mark.equation("eq-kingma-welling-2013-doubly")
def test_the_doubly_reparameterised_gradient_by_quadrature():
    """Two draws, one latent: its average over a grid of both noises, against the
    derivative of the bound of two draws.
    """
    from elbo.inference.score_function import importance_gradients

    generator = torch.Generator().manual_seed(6)
    twin = linear_gaussian.random_model(3, 1, generator)
    x, _ = linear_gaussian.sample(twin, 1, generator)
    nodes = torch.linspace(-9, 9, 301, dtype=torch.float64)  # the shares have poles: a fine grid, not Hermite's rule
    weights = Normal(0.0, 1.0).log_prob(nodes).exp() * (nodes[1] - nodes[0])
    eps = torch.stack(torch.meshgrid(nodes, nodes, indexing="ij")).flatten(1)[..., None]  # (2, pairs, 1)
    mass = torch.outer(weights, weights).flatten()

    def log_joint(z):
        return linear_gaussian.log_joint(twin, x.expand(z.shape[-2], -1), z)

    def bound(mean, log_var):
        z = mean + (0.5 * log_var).exp() * eps
        log_w = log_joint(z) - Normal(mean, (0.5 * log_var).exp()).log_prob(z).sum(-1)
        return (mass * (torch.logsumexp(log_w, 0) - math.log(2))).sum()

    mean, log_var = (torch.tensor([value], dtype=torch.float64, requires_grad=True) for value in (0.4, -0.3))
    exact = torch.autograd.grad(bound(mean, log_var), (mean, log_var))
    pairs = eps.shape[1]
    _, doubly = importance_gradients(log_joint, mean.detach().expand(pairs, 1), log_var.detach().expand(pairs, 1), eps)
    for ours, theirs in zip(doubly, exact):
        torch.testing.assert_close((mass[:, None] * ours).sum(0), theirs, rtol=1e-5, atol=1e-6)
        assert theirs.abs() > 1e-3
