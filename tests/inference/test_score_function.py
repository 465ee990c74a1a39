"""Estimators of the gradient of the bound: every draw against autograd, the mean of the draws against closed forms."""

import pytest
import torch
from torch.distributions import Normal

from elbo.inference.score_function import (
    leave_one_out,
    path_gradient,
    reparameterised_a,
    reparameterised_b,
    score_function_gradient,
)
from elbo.models import linear_gaussian

BATCH, DIM, DRAWS = 3, 2, 40_000


@pytest.fixture(scope="module")
def case():
    """A twin with a correlated posterior, three data, and a q that is wrong in mean and variance."""
    generator = torch.Generator().manual_seed(2)
    model = linear_gaussian.random_model(4, DIM, generator)
    x, _ = linear_gaussian.sample(model, BATCH, generator)
    mean = torch.randn(BATCH, DIM, generator=generator, dtype=torch.float64)
    log_var = 0.5 * torch.randn(BATCH, DIM, generator=generator, dtype=torch.float64) - 0.5
    eps = torch.randn(DRAWS, BATCH, DIM, generator=generator, dtype=torch.float64)
    return model, x, mean, log_var, eps


def exact(model, x, mean, log_var):
    """The gradient of the closed-form bound by autograd: ``(batch, 2 dim)``."""
    leaves = [mean.clone().requires_grad_(), log_var.clone().requires_grad_()]
    bound = linear_gaussian.elbo(model, x, leaves[0], torch.diag_embed(leaves[1].exp()))
    return torch.cat(torch.autograd.grad(bound.sum(), leaves), -1)


def gradients(name, model, x, mean, log_var, eps):
    def log_joint(z):
        return linear_gaussian.log_joint(model, x, z)

    def log_likelihood(z):
        return linear_gaussian.log_likelihood(model, x, z)

    return {
        "score": lambda: score_function_gradient(log_joint, mean, log_var, eps),
        "constant": lambda: score_function_gradient(log_joint, mean, log_var, eps, torch.tensor([-3.0, -5.0, -9.0])),
        "leave-one-out": lambda: score_function_gradient(log_joint, mean, log_var, eps, "leave-one-out"),
        "a": lambda: reparameterised_a(log_joint, mean, log_var, eps),
        "b": lambda: reparameterised_b(log_likelihood, mean, log_var, eps),
        "path": lambda: path_gradient(log_joint, mean, log_var, eps),
    }[name]()


NAMES = ("score", "constant", "leave-one-out", "a", "b", "path")


@pytest.mark.parametrize("name", NAMES)
def test_the_mean_of_the_draws_is_the_gradient_of_the_bound(name, case):
    model, x, mean, log_var, eps = case
    found = torch.cat(gradients(name, *case), -1)
    target = exact(model, x, mean, log_var)
    assert found.shape == (DRAWS, BATCH, 2 * DIM)
    if name == "leave-one-out":  # its draws depend on each other: groups of ten do not
        groups = eps.split(10)
        found = torch.stack([torch.cat(gradients(name, model, x, mean, log_var, g), -1).mean(0) for g in groups])
    error = found.std(0) / len(found) ** 0.5
    assert ((found.mean(0) - target).abs() < 4 * error).all()
    assert (target.abs() > 20 * error).any()  # or zero would pass


@pytest.mark.parametrize("name", ["a", "b", "path", "score"])
def test_every_draw_is_what_autograd_gives(name, case):
    """The integrand written with torch's distributions, differentiated in the parameters of q at fixed noise."""
    model, x, mean, log_var, eps = case
    for draw in range(3):
        m, v = mean.clone().requires_grad_(), log_var.clone().requires_grad_()
        q = Normal(m, (0.5 * v).exp())
        held = Normal(m.detach(), (0.5 * v).exp().detach())
        z = m + (0.5 * v).exp() * eps[draw]
        if name == "a":
            value = linear_gaussian.log_joint(model, x, z) - q.log_prob(z).sum(-1)
        elif name == "b":
            kl = torch.distributions.kl_divergence(q, Normal(torch.zeros_like(m), torch.ones_like(m)))
            value = linear_gaussian.log_likelihood(model, x, z) - kl.sum(-1)
        elif name == "path":  # the parameters inside log q are held fixed, the draw is not
            value = linear_gaussian.log_joint(model, x, z) - held.log_prob(z).sum(-1)
        else:
            integrand = linear_gaussian.log_joint(model, x, z) - q.log_prob(z).sum(-1)
            value = integrand.detach() * q.log_prob(z.detach()).sum(-1)
        theirs = torch.cat(torch.autograd.grad(value.sum(), [m, v]), -1)
        ours = torch.cat(gradients(name, model, x, mean, log_var, eps[draw : draw + 1]), -1)[0]
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-10)


def test_a_baseline_changes_the_variance_and_not_the_mean(case):
    model, x, mean, log_var, eps = case
    plain, loo = (torch.cat(gradients(name, *case), -1) for name in ("score", "leave-one-out"))
    assert (loo.var(0) < plain.var(0)).all()
    with pytest.raises(ValueError, match="at least two draws"):
        score_function_gradient(lambda z: z.sum(-1), mean, log_var, eps[:1], "leave-one-out")
    values = torch.tensor([1.0, 2.0, 6.0])
    torch.testing.assert_close(leave_one_out(values), torch.tensor([4.0, 3.5, 1.5]))


def test_the_score_function_asks_for_no_derivative(case):
    model, x, mean, log_var, eps = case

    def rounded(z):  # a step function: what goes through the draw sees a flat function
        return torch.round(linear_gaussian.log_joint(model, x, z))

    score = torch.cat(score_function_gradient(rounded, mean, log_var, eps, "leave-one-out"), -1).mean(0)
    through = torch.cat(reparameterised_a(rounded, mean, log_var, eps), -1).mean(0)
    smooth = exact(model, x, mean, log_var)
    assert (score - smooth).norm() < 0.2 * smooth.norm()
    assert (through[:, :DIM] == 0).all()


def test_at_the_exact_posterior_path_and_baseline_do_not_vary():
    """Orthogonal columns and equal noise: the posterior is a diagonal Gaussian."""
    generator = torch.Generator().manual_seed(4)
    columns = torch.linalg.qr(torch.randn(5, 2, generator=generator, dtype=torch.float64)).Q
    zero = torch.zeros(5, dtype=torch.float64)
    model = linear_gaussian.LinearGaussian(columns * torch.tensor([2.0, 0.7]), zero, zero - 0.5)
    x, _ = linear_gaussian.sample(model, 3, generator)
    mean, cov = linear_gaussian.posterior(model, x)
    assert (cov - torch.diag(cov.diagonal())).abs().max() < 1e-12
    log_var = cov.diagonal().log().expand_as(mean)
    eps = torch.randn(100, 3, 2, generator=generator, dtype=torch.float64)

    def log_joint(z):
        return linear_gaussian.log_joint(model, x, z)

    evidence = linear_gaussian.log_evidence(model, x)
    for found in (path_gradient(log_joint, mean, log_var, eps),
                  score_function_gradient(log_joint, mean, log_var, eps, evidence)):  # fmt: skip
        assert torch.cat(found, -1).abs().max() < 1e-11
    assert reparameterised_a(log_joint, mean, log_var, eps).mean.std() > 0.5


def test_importance_gradients_of_one_draw_are_a_and_the_path():
    from elbo.inference.score_function import importance_gradients, path_gradient, reparameterised_a
    from elbo.models import linear_gaussian

    generator = torch.Generator().manual_seed(1)
    model = linear_gaussian.random_model(5, 2, generator)
    x, _ = linear_gaussian.sample(model, 3, generator)
    mean, log_var = torch.zeros(3, 2, dtype=torch.float64), torch.full((3, 2), -0.4, dtype=torch.float64)
    eps = torch.randn(1, 3, 2, generator=generator, dtype=torch.float64)

    def log_joint(z):
        return linear_gaussian.log_joint(model, x, z)

    plain, doubly = importance_gradients(log_joint, mean, log_var, eps)
    for found, known in ((plain, reparameterised_a), (doubly, path_gradient)):
        for ours, theirs in zip(found, known(log_joint, mean, log_var, eps)):
            torch.testing.assert_close(ours, theirs[0], rtol=1e-10, atol=1e-12)


def test_the_plain_importance_gradient_is_autograds():
    from elbo.densities import gaussian_log_prob
    from elbo.inference.score_function import importance_gradients
    from elbo.models import linear_gaussian

    generator = torch.Generator().manual_seed(2)
    model = linear_gaussian.random_model(5, 2, generator)
    x, _ = linear_gaussian.sample(model, 3, generator)
    mean = torch.full((3, 2), 0.3, dtype=torch.float64).requires_grad_()
    log_var = torch.full((3, 2), -0.4, dtype=torch.float64).requires_grad_()
    eps = torch.randn(7, 3, 2, generator=generator, dtype=torch.float64)
    z = mean + (0.5 * log_var).exp() * eps
    log_w = linear_gaussian.log_joint(model, x, z) - gaussian_log_prob(z, mean, log_var)
    torch.logsumexp(log_w, 0).sum().backward()
    plain, _ = importance_gradients(
        lambda z: linear_gaussian.log_joint(model, x, z), mean.detach(), log_var.detach(), eps
    )
    torch.testing.assert_close(plain.mean, mean.grad, rtol=1e-9, atol=1e-11)
    torch.testing.assert_close(plain.log_var, log_var.grad, rtol=1e-9, atol=1e-11)
