"""Every labelled equation of the chapter on Higgins et al. (2017): quadrature, torch.distributions, finite differences.

Others are checked in test_disentanglement_beta.py.
"""

import math

import pandas as pd
import pytest
import torch
from torch.distributions import MultivariateNormal, Normal, kl_divergence

from elbo.densities import bernoulli_log_prob, gaussian_kl, mvn_kl, standard_gaussian_kl
from elbo.disentanglement import draw_votes, factor_index
from elbo.experiments import higgins_2017 as experiments
from elbo.experiments.higgins_2017.rotation import gaussian_codes, rotation
from elbo.inference.aevb import objective
from elbo.models import linear_gaussian as lg
from elbo.models.vae import VAE

DOUBLE = {"dtype": torch.float64}


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def model():
    return lg.random_model(4, 2, rng(1))


@pytest.fixture
def x(model):
    return lg.sample(model, 1, rng(2))[0][0]


def optimum(model, x, beta):
    """Reconstruction and KL of the maximiser of the beta-ELBO."""
    mean, cov = lg.posterior(lg.temper(model, beta), x)
    return lg.expected_log_likelihood(model, x, mean, cov).item(), lg.prior_kl(mean, cov).item()


@pytest.mark.equation("eq-higgins-2017-constrained")
@pytest.mark.parametrize("beta", [0.5, 4.0])
def test_no_gaussian_with_as_small_a_kl_reconstructs_better(model, x, beta):
    """The maximiser of the beta-ELBO solves the constrained problem for epsilon = its own KL."""
    best, epsilon = optimum(model, x, beta)
    mean, cov = lg.posterior(lg.temper(model, beta), x)
    generator, allowed, closest = rng(3), 0, math.inf
    for scale in (0.01, 0.03, 0.1, 0.3, 1.0):
        other_mean = mean + scale * torch.randn(2000, 2, generator=generator, **DOUBLE)
        change = torch.eye(2, **DOUBLE) + scale * torch.randn(2000, 2, 2, generator=generator, **DOUBLE)
        other_cov = change @ cov @ change.mT
        inside = lg.prior_kl(other_mean, other_cov) <= epsilon
        found = lg.expected_log_likelihood(model, x, other_mean, other_cov)[inside]
        assert (found <= best).all()
        allowed, closest = allowed + int(inside.sum()), min(closest, (best - found).min().item())
    assert allowed > 500 and closest < 0.05  # the search came near the constraint's best


@pytest.mark.equation("eq-higgins-2017-multiplier")
@pytest.mark.parametrize("beta", [0.5, 1.0, 4.0, 20.0])
def test_beta_is_the_price_of_the_constraint(model, x, beta):
    step = 1e-4 * beta
    (high, more), (low, less) = optimum(model, x, beta - step), optimum(model, x, beta + step)
    assert more > less  # a smaller beta spends more nats
    assert abs((high - low) / (more - less) - beta) < 1e-5 * beta


@pytest.mark.equation("eq-higgins-2017-objective")
def test_the_loss_is_the_beta_elbo():
    """The training loss against its two terms, written down again from the encoder's and decoder's outputs."""
    vae = VAE(6, 5, 3)
    params = vae.init(rng(4), dtype=torch.float64)
    pictures = torch.rand(8, 6, generator=rng(5), **DOUBLE)
    noise = torch.randn(8, 3, generator=rng(6), **DOUBLE)
    loss, _ = objective(vae, 8, weight_prior=False)
    mean, log_var = vae.encode(params, pictures)
    posterior = Normal(mean, (0.5 * log_var).exp())
    z = mean + (0.5 * log_var).exp() * noise
    reconstruction = bernoulli_log_prob(pictures, vae.decode(params, z)).mean()
    penalty = kl_divergence(posterior, Normal(torch.zeros_like(mean), torch.ones_like(mean))).sum(1).mean()
    for beta in (0.0, 1.0, 4.0):
        found = loss(params, pictures, {"eps": noise}, {"beta": torch.tensor(beta, **DOUBLE)})
        torch.testing.assert_close(-found, reconstruction - beta * penalty, rtol=1e-10, atol=1e-12)


@pytest.mark.equation("eq-higgins-2017-beta-norm")
def test_equal_beta_norm_on_fewer_pixels():
    """What the small images are trained with has the normalised beta of the large ones, and of the paper's example."""
    assert math.isclose(experiments.beta_norm(4, 10, 4096), 4 * 10 / 4096)
    counts = torch.randint(0, 17, (12, 256), generator=rng(6), dtype=torch.uint8)
    sprites = experiments.SmallSprites(counts, 16, torch.zeros(12, 6).long(), torch.zeros(12, 6), 16)
    models = experiments.train_models(sprites, [1, 4], [3], [0], hidden=4, samples=4, batch_size=2)
    for beta, weight in zip(models.betas, models.trained.betas, strict=True):
        assert math.isclose(experiments.beta_norm(weight, 3, 256), experiments.beta_norm(beta, 3))


@pytest.mark.equation("eq-higgins-2017-gaussian-kl")
def test_kl_between_gaussians():
    root = torch.randn(2, 3, 3, generator=rng(7), **DOUBLE)
    (cov_q, cov_p), (mean_q, mean_p) = root @ root.mT + torch.eye(3), torch.randn(2, 3, generator=rng(8), **DOUBLE)
    shift = mean_p - mean_q
    trace = torch.linalg.solve(cov_p, cov_q).trace() + shift @ torch.linalg.solve(cov_p, shift)
    by_formula = 0.5 * (torch.logdet(cov_p) - torch.logdet(cov_q) - 3 + trace)
    q, p = MultivariateNormal(mean_q, cov_q), MultivariateNormal(mean_p, cov_p)
    torch.testing.assert_close(by_formula, kl_divergence(q, p), rtol=1e-10, atol=0)
    torch.testing.assert_close(mvn_kl(mean_q, cov_q, mean_p, cov_p), by_formula, rtol=1e-10, atol=0)
    noise = torch.randn(100_000, 3, generator=rng(9), **DOUBLE)
    z = mean_q + noise @ torch.linalg.cholesky(cov_q).mT
    terms = q.log_prob(z) - p.log_prob(z)
    assert abs(terms.mean() - by_formula) < 4 * terms.std() / math.sqrt(len(z))


@pytest.mark.equation("eq-higgins-2017-isotropic-kl")
def test_kl_between_isotropic_gaussians():
    dim, var_q, var_p = 3, 0.4, 1.7
    mean_q, mean_p = torch.randn(2, dim, generator=rng(10), **DOUBLE)
    ratio = var_q / var_p
    by_formula = 0.5 * (dim * (ratio - 1 - math.log(ratio)) + (mean_q - mean_p).square().sum() / var_p)
    like = torch.ones(dim, **DOUBLE)
    found = gaussian_kl(mean_q, like * math.log(var_q), mean_p, like * math.log(var_p))
    torch.testing.assert_close(found, by_formula, rtol=1e-10, atol=0)
    summed = kl_divergence(Normal(mean_q, like * var_q**0.5), Normal(mean_p, like * var_p**0.5)).sum()
    torch.testing.assert_close(summed, by_formula, rtol=1e-10, atol=0)


def test_kl_cases_against_their_values():
    table = experiments.kl_cases().set_index(["variance", "shift"])["kl"]
    assert table[1.0, 0.0] == 0 and table[1.0, 1.0] == 1.5
    assert math.isclose(table[0.25, 0.0], 1.5 * (0.25 - 1 + math.log(4)))
    assert math.isclose(table[4.0, 0.0], 1.5 * (4 - 1 - math.log(4)))


@pytest.mark.equation("eq-higgins-2017-twin")
@pytest.mark.parametrize("beta", [0.5, 4.0])
@pytest.mark.parametrize("prior_variance", [1.0, 2.5])
def test_the_tempered_posterior_of_the_scalar_twin_by_quadrature(beta, prior_variance):
    w, s2, x = 1.3, 0.5, 1.5
    z = torch.linspace(-20, 20, 40_001, **DOUBLE)
    log_q = Normal(0, torch.tensor(prior_variance, **DOUBLE).sqrt()).log_prob(z)
    log_q = log_q + Normal(w * z, torch.tensor(s2, **DOUBLE).sqrt()).log_prob(torch.tensor(x, **DOUBLE)) / beta
    q = (log_q - log_q.max()).exp()
    q = q / q.sum()
    mean = (q * z).sum()
    variance = (q * (z - mean).square()).sum()
    v = 1 / (1 / prior_variance + w**2 / (beta * s2))
    assert abs(variance - v) < 1e-9 and abs(mean - v * w * x / (beta * s2)) < 1e-9


@pytest.mark.equation("eq-higgins-2017-lines")
@pytest.mark.parametrize("strength", [1.3, 0.5])
def test_both_paths_are_straight_lines(strength):
    w, s2, x = strength, 0.5, 1.5
    table = experiments.posterior_paths([w], [0.01, 0.3, 1.0, 4.0, 50.0], beta=4.0, decoder_variance=s2, x=x)
    prior, beta = (table[table["what"] == what] for what in ("prior variance", "beta"))
    assert (prior["mean"] - prior["variance"] * w * x / s2).abs().max() < 1e-9
    assert (beta["mean"] - (1 - beta["variance"]) * x / w).abs().max() < 1e-9
    assert len(prior) == len(beta) == 5 and prior["variance"].max() < s2 / w**2


def test_where_the_variance_is_imitated_the_mean_is_off_by_beta():
    table = experiments.posterior_paths([1.3, 0.5], [1.0, 4.0], beta=4.0)
    strong, weak = (table[table["strength"] == w].iloc[0] for w in (1.3, 0.5))
    assert math.isclose(strong["needed"], -1 / 1.535, rel_tol=1e-9) and math.isnan(strong["off"])
    assert math.isclose(strong["target_variance"], 1 / 1.845, rel_tol=1e-9)
    assert weak["needed"] > 0 and math.isclose(weak["off"], 4.0, rel_tol=1e-9)
    row = table[(table["strength"] == 0.5) & (table["what"] == "beta") & (table["value"] == 4.0)].iloc[0]
    assert abs(row["kl"]) < 1e-12 and table["kl"].max() > 0.1
    with pytest.raises(ValueError, match="positive"):
        experiments.posterior_paths([1.0], [0.0, 1.0])


@pytest.mark.equation("eq-higgins-2017-temperature")
@pytest.mark.parametrize("beta", [0.5, 4.0])
def test_beta_is_the_temperature_of_this_energy(beta):
    """Minus the beta-ELBO is E U - beta H with U = -log p(x|z) - beta log p(z), and its least value -beta log Z."""
    z = torch.linspace(-14, 14, 20_001, **DOUBLE)
    step = (z[1] - z[0]).item()
    prior = Normal(torch.tensor(0.0, **DOUBLE), 1.0).log_prob(z)
    likelihood = Normal(1.3 * z, 0.5**0.5).log_prob(torch.tensor(1.5, **DOUBLE))
    energy = -likelihood - beta * prior
    partition = (-energy / beta).exp().sum() * step

    def objective_of(q):
        return (q * (likelihood - beta * (q.clamp_min(1e-300).log() - prior))).sum() * step

    for mean, sd in ((0.0, 1.0), (0.7, 0.4)):
        q = Normal(torch.tensor(mean, **DOUBLE), sd)
        density = q.log_prob(z).exp()
        free = (density * energy).sum() * step - beta * q.entropy()
        torch.testing.assert_close(-objective_of(density), free, rtol=1e-8, atol=1e-8)
        assert free > -beta * partition.log()
    equilibrium = (-energy / beta).exp() / partition
    torch.testing.assert_close(-objective_of(equilibrium), -beta * partition.log(), rtol=1e-9, atol=1e-9)


def test_standard_kl_is_the_isotropic_one():
    """The penalty of the loss is the closed form with a standard prior."""
    mean, log_var = torch.tensor([[0.3, -1.0]], **DOUBLE), torch.full((1, 2), math.log(0.4), **DOUBLE)
    expected = 0.5 * (2 * (0.4 - 1 - math.log(0.4)) + 0.09 + 1.0)
    assert math.isclose(standard_gaussian_kl(mean, log_var).item(), expected, rel_tol=1e-12)


@pytest.mark.equation("eq-higgins-2017-gap")
@pytest.mark.parametrize("beta", [0.5, 4.0])
def test_the_objective_is_beta_times_a_divergence_from_the_best(beta):
    """Both sides by quadrature, for densities that are not Gaussian either."""
    z = torch.linspace(-14, 14, 20_001, **DOUBLE)
    step = (z[1] - z[0]).item()
    log_prior = Normal(torch.tensor(0.0, **DOUBLE), 1.0).log_prob(z)
    log_likelihood = Normal(torch.tanh(2 * z), 0.4).log_prob(torch.tensor(0.7, **DOUBLE))
    log_best = log_prior + log_likelihood / beta
    log_norm = (log_best.logsumexp(0) + math.log(step)).item()
    for log_q in (Normal(torch.tensor(0.6, **DOUBLE), 0.5).log_prob(z), -(z.abs() + math.log(2))):
        q = log_q.exp()
        objective_value = (q * (log_likelihood - beta * (log_q - log_prior))).sum() * step
        divergence = (q * (log_q - (log_best - log_norm))).sum() * step
        torch.testing.assert_close(objective_value, -beta * divergence + beta * log_norm, rtol=1e-5, atol=1e-5)
        assert divergence > 0.01


@pytest.mark.equation("eq-higgins-2017-exchange")
def test_what_a_nat_buys_between_two_maxima_lies_between_their_prices(model, x):
    points = {beta: optimum(model, x, beta) for beta in (0.5, 1.0, 3.0, 9.0)}
    for low, high in ((0.5, 1.0), (1.0, 3.0), (0.5, 9.0)):
        (fit_low, rate_low), (fit_high, rate_high) = points[low], points[high]
        assert low < (fit_low - fit_high) / (rate_low - rate_high) < high
    trade = pd.DataFrame([{"beta": b, "rate": r, "distortion": -f} for b, (f, r) in points.items()])
    found = experiments.exchange(trade, 1.0, 3.0)
    assert found["possible"] and math.isclose(found["price"], found["nats_lost"] / found["nats_saved"])
    assert "as it has to be" in experiments.said_of_exchange(found)
    wrong = trade.assign(
        distortion=trade["distortion"] * (trade["beta"] == 1.0)
    )  # the larger price reconstructs better or worse
    wrong.loc[wrong["beta"] == 3.0, "distortion"] = wrong["distortion"].min() - 1.0
    found = experiments.exchange(wrong, 1.0, 3.0)
    assert not found["possible"] and "better picture" in experiments.said_of_exchange(found)
    dear = experiments.exchange(trade.assign(distortion=100 * trade["distortion"]), 1.0, 3.0)
    assert not dear["possible"] and "outside the two prices" in experiments.said_of_exchange(dear)
    with pytest.raises(ValueError, match="no models at beta"):
        experiments.exchange(trade, 1.0, 4.0)


@pytest.mark.equation("eq-higgins-2017-given-up")
@pytest.mark.parametrize("beta", [0.7, 3.0])
def test_a_learned_linear_decoder_keeps_what_lies_above_the_water(beta):
    """The formula against the terms of the tempered model, and against ascent from a random decoder."""
    variances, noise = [6.0, 2.5, 1.2], 0.8
    table = experiments.water_filling(variances, [beta], noise)
    spectrum = torch.tensor(variances, **DOUBLE)

    def terms(weight):
        """Average rate and distortion of data N(0, diag(variances)) under the best posterior at this beta."""
        vae = lg.LinearGaussian(weight, torch.zeros(3, **DOUBLE), torch.full((3,), math.log(noise), **DOUBLE))
        best = lg.temper(vae, beta)
        means, cov = lg.posterior(
            best, spectrum.sqrt().diag()
        )  # the average of a square is a sum over these three data
        residual = spectrum.sqrt().diag() - means @ weight.mT
        square = residual.square().sum() + (weight @ cov @ weight.mT).trace()
        distortion = 1.5 * math.log(2 * math.pi * noise) + square / (2 * noise)
        rate = 0.5 * (cov.trace() + means.square().sum() - 3 - torch.logdet(cov))
        return rate, distortion

    rate, distortion = terms(torch.tensor(table["weight"].to_numpy(), **DOUBLE).diag())
    assert math.isclose(rate, table["total_rate"].iloc[0], rel_tol=1e-9)
    assert math.isclose(distortion, table["total_distortion"].iloc[0], rel_tol=1e-9)
    best = table["total_distortion"].iloc[0] + beta * table["total_rate"].iloc[0]
    weight = torch.randn(3, 3, generator=rng(11), **DOUBLE).requires_grad_()
    optimiser = torch.optim.LBFGS([weight], max_iter=300, line_search_fn="strong_wolfe", tolerance_change=1e-14)

    def loss():
        optimiser.zero_grad()
        rate, distortion = terms(weight)
        value = distortion + beta * rate
        value.backward()
        return value

    optimiser.step(loss)
    assert abs(loss().item() - best) < 1e-6
    found = torch.linalg.svdvals(weight.detach()).square()
    torch.testing.assert_close(found, (spectrum - beta * noise).clamp_min(0), rtol=1e-3, atol=1e-3)
    assert table["kept"].iloc[0] == sum(value > beta * noise for value in variances)
    with pytest.raises(ValueError, match="positive"):
        experiments.water_filling([1.0, 0.0], [1.0])


def test_the_water_filling_curve_falls_with_slope_minus_beta():
    for beta in (0.5, 2.0, 5.0):
        near = experiments.water_filling([16, 8, 4, 2, 1.5], [beta * (1 - 1e-5), beta * (1 + 1e-5)]).drop_duplicates(
            "beta"
        )
        slope = near["total_distortion"].diff().iloc[1] / near["total_rate"].diff().iloc[1]
        assert math.isclose(slope, -beta, rel_tol=1e-4)


def test_tempered_curves_are_the_prior_times_the_likelihood_to_the_power_one_over_beta():
    table = experiments.tempered_posteriors([1.0, 4.0], points=401)
    wide = torch.linspace(-12, 12, 48_001, **DOUBLE)

    def log_unnormalised(z, beta):
        return -0.5 * z.square() - (1.5 - 1.3 * z).square() / (2 * 0.5 * beta)

    for beta, one in table.groupby("beta"):
        z, density = torch.tensor(one["z"].to_numpy()), torch.tensor(one["density"].to_numpy())
        log_norm = log_unnormalised(wide, beta).logsumexp(0) + math.log(24 / 48_000)
        torch.testing.assert_close(density, (log_unnormalised(z, beta) - log_norm).exp(), rtol=1e-8, atol=1e-12)


@pytest.mark.equation("eq-higgins-2017-vote")
def test_a_vote_is_the_mean_absolute_difference_over_its_pairs():
    """Codes are the row numbers: each vote is compared with the differences of the very pairs that were drawn."""
    from elbo.disentanglement.table import draw_rows, partners

    factors = torch.cartesian_prod(torch.arange(3), torch.arange(4))
    codes = torch.stack([torch.arange(12.0), torch.arange(12.0).square()], 1)
    index = factor_index(factors)
    votes, y = draw_votes(codes, index, 5, pairs=7, generator=rng(12))
    again = rng(12)
    shared = torch.randint(2, (5,), generator=again)
    rows = draw_rows(index, (5, 7), again)
    others = partners(index, shared.unsqueeze(1), rows, again)
    assert torch.equal(shared, y)
    for vote, k, one, two in zip(votes, shared, rows, others):
        assert torch.equal(factors[one, k], factors[two, k])
        by_hand = sum((codes[a] - codes[b]).abs() for a, b in zip(one, two)) / 7
        torch.testing.assert_close(vote, by_hand)


@pytest.mark.equation("eq-higgins-2017-rotation")
def test_a_turned_code_is_the_same_model_of_the_data():
    """The evidence of a decoder and of the decoder that turns its code back, by quadrature in two dimensions."""
    grid = torch.linspace(-7, 7, 281, **DOUBLE)
    z = torch.cartesian_prod(grid, grid)
    area = (grid[1] - grid[0]).item() ** 2
    prior = Normal(torch.tensor(0.0, **DOUBLE), 1.0).log_prob(z).sum(1)
    turn = rotation(0.6)

    def evidence(code):
        seen = torch.stack([torch.tanh(code[:, 0]) + 0.3 * code[:, 1], code[:, 0] * code[:, 1] / 2], 1)
        likelihood = Normal(seen, 0.5).log_prob(torch.tensor([0.4, -0.3], **DOUBLE)).sum(1)
        return ((prior + likelihood).logsumexp(0) + math.log(area)).item()

    assert math.isclose(evidence(z), evidence(z @ turn), rel_tol=1e-9)
    torch.testing.assert_close(turn @ turn.mT, torch.eye(2, **DOUBLE))
    assert not math.isclose(evidence(z), evidence(z * 1.2), rel_tol=1e-3)  # a stretch is noticed


def test_turned_codes_lose_their_gap_and_keep_their_density():
    table = experiments.rotated_codes([0, 30, 45], votes=(500, 500)).set_index("degrees")
    assert table["log_prior"].std() < 1e-12
    assert table.loc[0, "mig"] > 0.75 and abs(table.loc[45, "mig"]) < 1e-9
    assert table.loc[30, "score"] > 0.95 and abs(table.loc[45, "score"] - 0.5) < 4 * 0.5 / math.sqrt(500)
    codes, _ = gaussian_codes(32)
    assert abs(codes.mean()) < 1e-12 and abs(codes.std() - 1) < 0.05 and abs((codes[:, 0] * codes[:, 1]).mean()) < 1e-12
