"""Every standard error that the library returns, against the spread of what it is an error of.

A case draws everything afresh that its error claims to be over, some two hundred times: the standard deviation of the
numbers over the mean of the claimed errors is one, up to the noise of that many repetitions (5 to 7 %) and what a delta
method leaves out.
"""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor

from elbo.densities import standard_gaussian_log_prob
from elbo.disentanglement import dci, factor_index, factorvae_score, higgins_score, mig_posterior, upper_half
from elbo.estimators import bounds
from elbo.estimators import marginal_likelihood as ml
from elbo.estimators.surgery import Estimate, dependence, surgery
from elbo.experiments.blei_2017 import chains, images, mixtures
from elbo.experiments.higgins_2017 import readings
from elbo.experiments.hoffman_johnson_2016 import exact, joint, measured, priors
from elbo.experiments.kingma_welling_2013 import bound as bound_over_seeds
from elbo.experiments.kingma_welling_2013 import breakdown as breakdown_by_size
from elbo.experiments.kingma_welling_2013 import deep, evidence, gradients, lead_of_aevb
from elbo.inference import cavi, diagnostics, mcem, stack, svi
from elbo.models import linear_gaussian
from elbo.models.gaussian_mixture import DiagonalMixture
from elbo.models.vae import VAE

REPETITIONS = 200
WITHIN = (0.8, 1.25)

CASES: dict[str, tuple] = {}


def case(name: str, repetitions: int = REPETITIONS):
    """Register a function of a generator and a number of the repetition that returns ``{part: (value, error)}``."""

    def register(function):
        CASES[name] = (function, repetitions)
        return function

    return register


def noise(*shape, generator) -> Tensor:
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def skewed(*shape, generator) -> Tensor:
    """Terms that are not Gaussian: mean 1, standard deviation 1."""
    return -torch.log(1 - torch.rand(*shape, generator=generator, dtype=torch.float64))


def fixed(seed: int = 7) -> torch.Generator:
    """For what stays the same from repetition to repetition."""
    return torch.Generator().manual_seed(seed)


# ------------------------------------------------------------------------------------------ means of independent terms
@case("means of independent terms")
def _(generator, repetition):
    terms = skewed(50, generator=generator)
    summary = evidence._summary(terms)
    predictive = images._summary(terms.unsqueeze(1))
    estimate = Estimate.of(terms)
    return {
        "surgery.Estimate.of": (estimate, estimate.standard_error),
        "hoffman_johnson_2016.priors": priors._mean(terms),
        "blei_2017.mixtures": (terms.mean(), mixtures._se(terms)),
        "blei_2017.chains": (terms.mean(), chains._se(terms)),
        "blei_2017.images": (predictive["held_out"][0], predictive["held_out_se"][0]),
        "kingma_welling_2013.evidence": (summary["log_evidence"], summary["se_images"]),
    }


@case("estimates of a training run's history")
def _(generator, repetition):
    """A recorded row of Monte Carlo EM, and one of every other algorithm: over images and the draws of their codes."""
    values = skewed(60, generator=generator)
    estimate = lambda model, params, x, g: SimpleNamespace(log_evidence=x, effective_size=x)  # noqa: E731
    (row,) = mcem._recorder(VAE(4, 3, 2), {}, 0, {"test": values}, estimate, 1)(1, {}, 0.9, 0.1)
    found = {"mcem": (row["log_evidence"], row["se"])}
    model = VAE(6, 4, 2)
    params = {name: p.unsqueeze(0) for name, p in model.init(fixed(), 1.0).items()}
    x = (torch.rand(80, 6, generator=generator) < 0.4).float()
    (row,) = stack.evaluate(model, params, [(repetition, 2, 1.0)], {"test": x})
    return found | {"stack.evaluate": (row["bound"], row["se"])}


@case("a minibatch's bound")
def _(generator, repetition):
    model, x = DiagonalMixture(2), noise(400, 2, generator=fixed()) * torch.tensor([1.0, 3.0], dtype=torch.float64)
    q = cavi.init(model, x, fixed()).q
    batch = x[torch.randint(len(x), (40,), generator=generator)]
    value, error = svi.noisy_elbo(model, batch, q, len(x))
    return {"svi.noisy_elbo": (value[0], error[0])}


# ----------------------------------------------------------------------------------------------- aggregated posterior
ENCODINGS = (1.2 * noise(60, 3, generator=fixed()), 0.8 * noise(60, 3, generator=fixed(8)) - 1.5)


@case("surgery")
def _(generator, repetition):
    mean, log_var = ENCODINGS
    found = surgery(mean, log_var, lambda i, z: -(z**2).sum(-1) * (1 + i / 30), generator=generator, codes=300, draws=2)
    split = dependence(mean, log_var, generator=generator, codes=200)
    parts = {name: getattr(found, name) for name in ("reconstruction", "mutual_information", "marginal_kl", "elbo")}
    parts |= {"total correlation": split.total_correlation, "dimension-wise KL": split.sum_dimension_kl}
    parts |= {f"dimension {i}": kl for i, kl in enumerate(split.dimension_kl)}
    return {name: (value, value.standard_error) for name, value in parts.items()}


@case("what the chapter makes of surgery")
def _(generator, repetition):
    runs = SimpleNamespace(
        member=lambda latent_dim: 0,
        encodings=lambda member, images=None: ENCODINGS if images is None else (ENCODINGS[0][:20], ENCODINGS[1][:20]),
        held_out=True,
    )
    table = measured.compare_estimators(runs, 3, batch_size=10, batches=20, codes=200, seed=repetition)
    found = {f"{row.estimator}: {row.term}": (row.value, row.se) for row in table.itertuples() if row.se > 0}
    prior = priors.better_priors(runs, 3, components=(), pseudo_inputs=(), codes=200, seed=repetition)
    for row in prior[prior.kind.isin(["standard", "mixture"])].itertuples():
        found[f"{row.prior}: marginal KL"] = (row.marginal_kl, row.marginal_kl_se)
        if row.kind == "mixture":
            found[f"{row.prior}: gain"] = (row.held_out_gain, row.held_out_gain_se)
    values = skewed(5, 30, generator=generator) * torch.linspace(0.1, 3, 30, dtype=torch.float64)
    found["draws within a datum"] = (values.mean(), exact._within(values))
    return found


@case("a prior learned jointly")
def _(generator, repetition):
    model = VAE(6, 4, 2)
    params = model.init(fixed(), 1.0)
    pixels = (torch.rand(40, 6, generator=fixed()) < 0.4).float()
    runs = SimpleNamespace(images=pixels, held_out=pixels[:15])
    rows = joint._measured(model, params, runs, standard_gaussian_log_prob, 150, generator)
    return {
        f"{row['split']}: {name}": (row[name], row[f"{name}_se"])
        for row in rows
        for name in ("elbo", "reconstruction", "mutual_information", "marginal_kl")
        if name in row
    }


# ------------------------------------------------------------------------------------------------ marginal likelihood
TWIN = linear_gaussian.random_model(6, 2, fixed())
DATA = linear_gaussian.sample(TWIN, 3, fixed())[0]


def twin_joint(z: Tensor) -> Tensor:
    return linear_gaussian.log_joint(TWIN, DATA, z)


@case("importance weights")
def _(generator, repetition):
    mean, cov = linear_gaussian.posterior(TWIN, DATA)
    wide = ml.Gaussian(mean, torch.linalg.cholesky(1.5 * cov).expand(3, 2, 2))
    found = ml.importance(twin_joint, wide, draws=100, generator=generator)
    log_var = (1.5 * cov.diagonal(dim1=-2, dim2=-1)).log().expand_as(mean)
    weighted = bounds.importance_weighted_bound(twin_joint, mean, log_var, noise(200, 3, 2, generator=generator))
    return {
        "importance": (found.log_evidence, found.standard_error),
        "its mean over data": (found.log_evidence.mean(), found.mean_error),
        "importance_weighted_bound": (weighted.value, weighted.standard_error),
    }


@case("annealing", 120)
def _(generator, repetition):
    """From a base near the posterior: the delta method asks for weights of moderate spread,
    the reciprocal ones above all.
    """
    mean, cov = linear_gaussian.posterior(TWIN, DATA)
    base = ml.Gaussian(mean + 0.3, torch.linalg.cholesky(2 * cov).expand(3, 2, 2))
    if "schedule" not in KEPT:
        KEPT["schedule"] = ml.tune_schedule(
            twin_joint, base, ml.sigmoid_temperatures(6), generator=fixed(), chains=4, leapfrog_steps=2
        )
    posterior = ml.Gaussian(mean, torch.linalg.cholesky(cov).expand(3, 2, 2)).sample(
        noise(60, 3, 2, generator=generator)
    )
    forward = ml.ais(twin_joint, KEPT["schedule"], chains=60, generator=generator)
    back = ml.ais_reverse(twin_joint, posterior, KEPT["schedule"], generator=generator)
    return {
        "ais": (forward.log_evidence, forward.standard_error),
        "ais_reverse": (back.log_evidence, back.standard_error),
    }


KEPT: dict = {}


@case("posterior draws", 120)
def _(generator, repetition):
    """Many short chains from exact draws, so that what is left is the error of the weights."""
    mean, cov = linear_gaussian.posterior(TWIN, DATA)
    start = ml.Gaussian(mean, torch.linalg.cholesky(cov).expand(3, 2, 2)).sample(noise(8, 3, 2, generator=generator))
    options = {"draws": 16, "warmup": 4, "generator": generator}
    reciprocal = ml.gelfand_dey(twin_joint, start, mass=0.9, **options)
    return {"gelfand_dey": (reciprocal.log_evidence, reciprocal.standard_error)}


@case("appendix D on exact draws")
def _(generator, repetition):
    found = ml.reciprocal_breakdown(2, draws=200, repeats=20, generator=generator)
    table = breakdown_by_size(dims=(2, 7), draws=50, repeats=150, seed=1000 * repetition)
    rows = {"rms, 2 latents": (table.rms[0], table.rms_se[0])}
    shares = {
        f"share, {row.dim} latents": (row.infinite, row.infinite_se) for row in table.itertuples() if row.dim == 7
    }
    return {"reciprocal_breakdown": (found.error, found.standard_error)} | rows | shares


@case("two-phase sampling of images")
def _(generator, repetition):
    """``se_here``: the sample of the images varies; ``se_images``: the images vary as well."""
    population = skewed(300, generator=fixed())
    cheap = population + 0.3 * noise(300, generator=fixed(8))
    chosen = torch.randperm(300, generator=generator)[:40]
    here, error, _ = deep.two_phase(population[chosen], cheap[chosen], cheap)
    fresh = skewed(300, generator=generator)
    coarse = fresh + 0.3 * noise(300, generator=generator)
    beyond, _, wider = deep.two_phase(fresh[:40], coarse[:40], coarse)
    return {"these images": (here, error), "their population": (beyond, wider)}


@case("noise of gradients")
def _(generator, repetition):
    if "gradients" not in KEPT:
        KEPT["gradients"] = gradients.independent_model(4, fixed())
    model = KEPT["gradients"]
    x, _ = linear_gaussian.sample(model, 60, generator)
    mean, log_var = gradients.between(model, x, 0.5)
    q = gradients.quadratic(model, x, mean, log_var)
    eps = noise(30, 60, 4, generator=generator)
    row = gradients._noise(q, "A", gradients.draws_of("A", model, x, mean, log_var, eps))
    return {"measured_sd": (row["measured_sd"], row["measured_se"])}


# ------------------------------------------------------------------------------------------------------ Markov chains
@case("draws of a Markov chain")
def _(generator, repetition):
    innovations, z = noise(300, 4, 1, generator=generator), noise(4, 1, generator=generator)
    path = []
    for step in innovations:
        z = 0.6 * z + 0.8 * step  # stationary, variance one
        path.append(z)
    draws = torch.stack(path, 1)  # (chains, draws, 1)
    row = diagnostics.summary(draws).iloc[0]
    return {"mean": (row["mean"], row["mean_se"]), "standard deviation": (row["sd"], row["sd_se"])}


@case("errors of Hamiltonian Monte Carlo")
def _(generator, repetition):
    table = chains._variance_errors(SimpleNamespace(z=noise(150, 8, 1, generator=generator)), 4)
    last = table.iloc[-1]
    return {"variance": (last["rmse"], last["se"])}


# ----------------------------------------------------------------------------------------------------- disentanglement
FACTORS = torch.cartesian_prod(torch.arange(3), torch.arange(4), torch.arange(8))
INDEX = factor_index(FACTORS)
CODES = FACTORS.double() / torch.tensor([1.0, 1.5, 3.0], dtype=torch.float64)
CODES = CODES + 0.8 * noise(len(FACTORS), 3, generator=fixed())


@case("votes of a metric", 150)
def _(generator, repetition):
    higgins = higgins_score(CODES, INDEX, generator=generator, pairs=4, train_votes=1500, test_votes=60)
    factorvae = factorvae_score(CODES, INDEX, generator=generator, samples=4, train_votes=1500, test_votes=60)
    return {
        "higgins_score": (higgins.score, higgins.standard_error),
        "factorvae_score": (factorvae.score, factorvae.standard_error),
    }


@case("mutual information gap")
def _(generator, repetition):
    found = mig_posterior(CODES, torch.full_like(CODES, -1.0), INDEX, generator=generator, samples=150)
    return {"mig": (found.score, found.standard_error)}


@case("prediction of factors", 150)
def _(generator, repetition):
    many = FACTORS.repeat(20, 1)
    if "codes" not in KEPT:
        KEPT["codes"] = many.double() + 0.7 * noise(len(many), 3, generator=fixed())
    found = dci(KEPT["codes"], many, generator=generator, trees=1, train_rows=1000, test_rows=60)
    return {"dci": (found.informativeness, found.standard_error)}


# --------------------------------------------------------------------------------------------------------- over seeds
@case("means over training seeds")
def _(generator, repetition):
    values = skewed(12, generator=generator).tolist()
    seeds = pd.DataFrame(
        {"latent_dim": 2, "seed": range(12), "elbo": values, "elbo_se": 0.0, "beta": 1.0, "beta_norm": 1.0}
    )
    over = measured.over_seeds(seeds).iloc[0]
    history = seeds.assign(split="test", samples=100, bound=values, se=0.0)
    run = SimpleNamespace(trained=SimpleNamespace(history=history), algorithm="aevb")
    mean = bound_over_seeds(run).iloc[0]
    pair = [history.assign(algorithm="aevb"), history.assign(algorithm="wake-sleep", bound=0.0)]
    lead = lead_of_aevb(pd.concat(pair)).iloc[0]
    read = readings._means(seeds.assign(score=values)).iloc[0]
    protocol = upper_half(values)
    return {
        "measured.over_seeds": (over.elbo, over.elbo_se),
        "bound": (mean.bound, mean.se_seeds),
        "lead_of_aevb": (lead.lead, lead.se),
        "readings": (read.score, read.score_se),
        "upper_half": (protocol.mean, protocol.standard_error),
    }


@pytest.mark.parametrize("name", CASES)
def test_claimed_errors_are_what_repetitions_show(name):
    function, repetitions = CASES[name]
    found: dict[str, list] = {}
    for repetition in range(repetitions):
        for part, (value, error) in function(torch.Generator().manual_seed(repetition), repetition).items():
            found.setdefault(part, []).append((np.atleast_1d(value), np.atleast_1d(error)))
    ratios = {}
    for part, rows in found.items():
        values, errors = (np.array([row[i] for row in rows], float) for i in (0, 1))  # (repetitions, members)
        spread, claimed = np.sqrt(values.var(0, ddof=1).mean()), np.sqrt((errors.mean(0) ** 2).mean())
        ratios[part] = spread / claimed
    print({part: round(float(ratio), 3) for part, ratio in ratios.items()})
    wrong = {part: round(float(r), 2) for part, r in ratios.items() if not WITHIN[0] <= r <= WITHIN[1]}
    assert not wrong, f"spread over claimed error: {wrong}"


# ------------------------------------------------------------------------- numbers beside which an error says nothing
def test_the_one_gaussian_has_the_moments_of_the_aggregated_posterior():
    """Two encodings in closed form: variance of the means plus the mean of the *variances*, 1 and 3."""
    mean, log_var = (
        torch.tensor([[-1.0, 0.0], [1.0, 2.0]]).double(),
        torch.tensor([[1.0, 1.0], [3.0, 1.0]]).double().log(),
    )
    centre, cov = priors._moments(mean, log_var)
    torch.testing.assert_close(centre, torch.tensor([0.0, 1.0]).double())
    torch.testing.assert_close(cov, torch.tensor([[1.0 + 2.0, 1.0], [1.0, 1.0 + 1.0]]).double())


def test_hamiltonian_monte_carlo_samples_the_right_law_of_the_precision():
    """With one component CAVI is exact, and the precision's mean is shape over rate; by quadrature over the two
    coordinates of the sampler, whose density needs the Jacobian of the logarithm.
    """
    x = 2 + 0.5 * noise(6, 1, generator=fixed())
    model = DiagonalMixture(1)
    state = cavi.init(model, x, fixed())
    for _ in range(3):
        state = cavi.step(model, x, state)
    log_prob, unpack, dim = images.unconstrained(model, x, state.q)
    assert dim == 2
    line = torch.linspace(-8, 8, 61, dtype=torch.float64)
    grid = torch.cartesian_prod(line, line)
    density = torch.stack([log_prob(z.unsqueeze(0)).squeeze() for z in grid])
    weight = (density - density.max()).exp()
    precision = torch.stack([unpack(z.unsqueeze(0))[0][2].squeeze() for z in grid])
    mean = (weight * precision).sum() / weight.sum()
    assert mean.item() == pytest.approx((state.q.shape / state.q.rate.squeeze()).item(), rel=1e-3)
