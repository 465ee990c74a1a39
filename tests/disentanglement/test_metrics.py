"""MIG, FactorVAE, DCI, SAP and modularity: known answers for each, and a second route to each number."""

import math

import numpy as np
import pytest
import scipy.stats
import torch
from sklearn.metrics import mutual_info_score
from sklearn.svm import LinearSVC

from elbo.disentanglement import (
    dci,
    dci_from_importance,
    factor_index,
    factorvae_score,
    higgins_score,
    mig,
    mig_posterior,
    modularity,
    mutual_information,
    sap,
)
from elbo.disentanglement.table import discretise, entropies

SIGMAS = 4.5
FEW_VOTES = {"samples": 32, "train_votes": 1500, "test_votes": 1000}
FEW_ROWS = {"train_rows": 2000, "test_rows": 1000}


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def grid(*sizes):
    return torch.cartesian_prod(*[torch.arange(size) for size in sizes])


def close(a, b, atol=1e-12):
    torch.testing.assert_close(torch.as_tensor(a), torch.as_tensor(b), rtol=0, atol=atol)


SIZES = torch.tensor([4, 10, 10, 10])
FACTORS = grid(4, 10, 10, 10)
TRUTH = FACTORS.double() / SIZES - 0.4
NOISE = torch.randn(4000, 4, generator=rng(9), dtype=torch.float64)


def rotated(codes, degrees, one=2, two=3):
    angle = math.radians(degrees)
    codes = codes - codes.mean(0)
    turned = codes.clone()
    turned[:, one] = math.cos(angle) * codes[:, one] - math.sin(angle) * codes[:, two]
    turned[:, two] = math.sin(angle) * codes[:, one] + math.cos(angle) * codes[:, two]
    return turned


SAME = {  # codes that must score alike: other order, other units, other sign
    "permuted": lambda codes: codes[:, [2, 0, 3, 1]],
    "scaled": lambda codes: codes * torch.tensor([2.0**-10, 4.0, 2.0**13, 1.0], dtype=torch.float64),
    "reflected": lambda codes: -codes,
}
METRICS = {
    "factorvae": lambda z, v, **kw: factorvae_score(z, v, generator=rng(), **(FEW_VOTES | kw)).score,
    "mig": lambda z, v, **kw: mig(z, v, **kw).score,
    "sap": lambda z, v, **kw: sap(z, v, generator=rng(), **kw).score,
    "modularity": lambda z, v, **kw: modularity(z, v, **kw).score,
    "dci": lambda z, v, **kw: dci(z, v, generator=rng(), trees=5, **(FEW_ROWS | kw)).disentanglement,
}


# All of them


@pytest.mark.parametrize("name", METRICS)
def test_ground_truth_scores_one(name):
    close(METRICS[name](TRUTH, FACTORS), 1.0)


@pytest.mark.parametrize("how", SAME)
@pytest.mark.parametrize("name", METRICS)
def test_order_units_and_sign_do_not_matter(name, how):
    mixed, settings = rotated(TRUTH, 20) + 0.1 * NOISE, {"samples": 4} if name == "factorvae" else {}
    score = METRICS[name](mixed, FACTORS, **settings)
    assert 0.05 < score < 0.999  # not saturated, so that the comparison can fail
    # Trees break ties between equal splits at random; a value on the edge of a bin changes sides in a mirror.
    close(METRICS[name](SAME[how](mixed), FACTORS, **settings), score, atol=0.02 if name == "dci" else 1e-3)


@pytest.mark.parametrize("name", ["mig", "sap", "dci", "modularity"])
def test_a_rotation_costs(name):
    scores = [METRICS[name](rotated(TRUTH, degrees), FACTORS) for degrees in (0, 20, 45)]
    assert scores[0] > scores[1] + 0.02 > scores[2]  # trees do not tell 20 from 45 degrees
    assert name == "dci" or scores[1] > scores[2] + 0.02


@pytest.mark.parametrize("name", METRICS)
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"codes": TRUTH[:7]}, "rows"),
        ({"codes": TRUTH[:, 0]}, "codes must be"),
        ({"codes": TRUTH.clone().index_fill_(1, torch.tensor([2]), math.nan)}, "NaN"),
        ({"codes": TRUTH.tolist()}, "must be a tensor"),
        ({"codes": TRUTH.to("meta")}, "move one of them"),
        ({"factors": FACTORS.double()}, "integers"),
        ({"factors": FACTORS[:, :1]}, "two factors"),
        ({"which": (0, 9)}, "different columns"),
    ],
)
def test_refusals(name, change, message):
    arguments = {"codes": TRUTH, "factors": FACTORS} | change
    with pytest.raises(ValueError, match=message):
        METRICS[name](arguments.pop("codes"), arguments.pop("factors"), **arguments)


# FactorVAE


def test_factorvae_of_noise_is_chance():
    result = factorvae_score(NOISE, FACTORS, generator=rng(), **FEW_VOTES)
    assert result.chance == 0.25 and abs(result.score - 0.25) < 4 * result.standard_error
    assert int(result.votes.sum()) == FEW_VOTES["train_votes"]


def test_factorvae_loses_the_factor_that_is_missing():
    """Where Higgins' metric still says 1: the votes for the missing factor go to the others."""
    result = factorvae_score(TRUTH[:, 1:], FACTORS, generator=rng(), **FEW_VOTES)
    assert abs(result.score - 0.75) < SIGMAS * result.standard_error


def test_factorvae_leaves_out_constant_dimensions_and_keeps_the_score():
    padded = torch.cat([torch.full((4000, 1), 3.3, dtype=torch.float64), rotated(TRUTH, 45)], 1)
    with_padding = factorvae_score(padded, FACTORS, generator=rng(), **FEW_VOTES)
    without = factorvae_score(rotated(TRUTH, 45), FACTORS, generator=rng(), **FEW_VOTES)
    assert with_padding.active == (1, 2, 3, 4) and with_padding.score == without.score < 0.9
    assert int(with_padding.votes[0].sum()) == 0


def test_factorvae_threshold_and_refusals():
    weak = TRUTH * torch.tensor([1, 1, 1, 0.01])
    assert factorvae_score(weak, FACTORS, generator=rng(), threshold=0.05, **FEW_VOTES).active == (0, 1, 2)
    with pytest.raises(ValueError, match="collapsed"):
        factorvae_score(torch.full((4000, 3), 0.1), FACTORS, generator=rng(), **FEW_VOTES)
    with pytest.raises(ValueError, match="at least 2"):
        factorvae_score(TRUTH, FACTORS, generator=rng(), samples=1)


# Mutual information


def test_counted_information_agrees_with_numpy_and_scikit_learn():
    codes = rotated(TRUTH, 33) + 0.1 * NOISE
    index = factor_index(FACTORS)
    mine = mutual_information(discretise(codes, 20), index)
    for d in range(4):
        column = codes[:, d].numpy()
        bins = np.digitize(column, np.histogram(column, 20)[1][:-1])
        for k in range(4):
            close(mine[d, k].item(), mutual_info_score(bins, FACTORS[:, k].numpy()), atol=1e-10)
    close(entropies(index), SIZES.double().log())


def test_counted_information_of_noise_is_its_bias():
    """2 N I is chi-squared with (bins - 1)(values - 1) degrees of freedom, for N independent rows."""
    draws, rows = 60, 4000
    generator = rng(1)
    factors = torch.stack([torch.randint(size, (rows,), generator=generator) for size in (3, 6)], 1)
    codes = torch.rand(rows, draws, generator=generator, dtype=torch.float64)
    information = mutual_information(discretise(codes, 8), factor_index(factors))
    for k, size in enumerate((3, 6)):
        freedom = 7 * (size - 1)
        error = math.sqrt(2 * freedom / draws)
        assert abs(2 * rows * information[:, k].mean().item() - freedom) < SIGMAS * error


def test_a_factor_that_is_missing_or_coded_twice_has_no_gap():
    close(mig(TRUTH[:, 1:], FACTORS).gaps, torch.tensor([0.0, 1, 1, 1], dtype=torch.float64))
    twice = torch.cat([TRUTH, 3 * TRUTH[:, 1:2]], 1)
    close(mig(twice, FACTORS).gaps, torch.tensor([1.0, 0, 1, 1], dtype=torch.float64))
    close(mig(torch.full((4000, 2), 1.5), FACTORS).score, 0.0)


def test_mig_needs_two_dimensions_and_two_bins():
    with pytest.raises(ValueError, match="at least 2"):
        mig(TRUTH[:, :1], FACTORS)
    with pytest.raises(ValueError, match="bins"):
        mig(TRUTH, FACTORS, bins=1)


def test_mig_of_posteriors_agrees_with_quadrature():
    factors = grid(2, 3, 2)
    mean = torch.randn(12, 3, generator=rng(4), dtype=torch.float64) + factors.double() * torch.tensor([2, 1, 0])
    log_var = -1 + 0.3 * torch.randn(12, 3, generator=rng(5), dtype=torch.float64)
    result = mig_posterior(mean, log_var, factors, generator=rng(), samples=4000)
    z = torch.linspace(-15, 15, 6001, dtype=torch.float64)
    exact = torch.zeros(3, 3, dtype=torch.float64)
    for d in range(3):
        density = torch.distributions.Normal(mean[:, d, None], (0.5 * log_var[:, d, None]).exp()).log_prob(z).exp()
        for k in range(3):
            for value in factors[:, k].unique():
                group = density[factors[:, k] == value].mean(0)
                log_ratio = torch.log(group.clamp_min(1e-300) / density.mean(0).clamp_min(1e-300))
                share = (factors[:, k] == value).double().mean()
                exact[d, k] += share * torch.trapezoid(group * log_ratio, z)
    best = exact.topk(2, dim=0).values
    score = ((best[0] - best[1]) / torch.tensor([2.0, 3, 2]).log()).mean().item()
    assert 0 < result.standard_error < 0.02
    assert abs(result.score - score) < SIGMAS * result.standard_error
    # A term lies between -log N and log(size): its standard deviation is below log 12, and in fact below 1.
    assert (result.mutual_information - exact).abs().max() < SIGMAS / math.sqrt(4000)


def test_mig_of_narrow_and_of_equal_posteriors():
    factors = grid(3, 4)
    narrow = mig_posterior(factors.double(), torch.full((12, 2), -12.0), factors, generator=rng(), samples=300)
    close(narrow.score, 1.0, atol=1e-6)
    equal = mig_posterior(torch.zeros(12, 2), torch.zeros(12, 2), factors, generator=rng(), samples=50)
    close(equal.mutual_information, torch.zeros(2, 2, dtype=torch.float64))
    with pytest.raises(ValueError, match="samples"):
        mig_posterior(torch.zeros(12, 2), torch.zeros(12, 2), factors, generator=rng(), samples=1)


# Modularity


def test_modularity_of_known_codes():
    """At 45 degrees two dimensions inform equally of two of four factors: 1 - 1/3 each."""
    turned = modularity(rotated(TRUTH, 45), FACTORS).per_dimension
    close(turned, torch.tensor([1, 1, 2 / 3, 2 / 3], dtype=torch.float64), 1e-6)
    padded = torch.cat([TRUTH, torch.full((4000, 1), 2.2, dtype=torch.float64)], 1)
    result = modularity(padded, FACTORS)
    close(result.per_dimension, torch.tensor([1.0, 1, 1, 1, 0], dtype=torch.float64))
    close(result.score, 0.8)
    close(modularity(TRUTH[:, 1:], FACTORS).score, 1.0)  # blind to what is missing, by definition
    pair = grid(3, 3)
    both = (pair @ torch.tensor([3, 1]))[:, None]  # one dimension that tells two factors equally: 1 - 1/(2 - 1)
    close(modularity(both, pair, bins=9).score, 0.0)


# SAP


def test_sap_is_the_gap_of_squared_correlations():
    codes = rotated(TRUTH, 33) + 0.1 * NOISE
    result = sap(codes, FACTORS, generator=rng())
    correlation = np.corrcoef(codes.numpy().T, FACTORS.double().numpy().T)[:4, 4:]
    close(result.predictability, torch.from_numpy(correlation**2))
    ordered = np.sort(correlation**2, axis=0)
    close(result.score, (ordered[-1] - ordered[-2]).mean().item())


@pytest.mark.parametrize("degrees", [0, 30, 45])
def test_sap_of_a_rotation_is_a_cosine(degrees):
    gaps = sap(rotated(TRUTH, degrees), FACTORS, generator=rng()).gaps[2:]
    close(gaps, torch.full((2,), math.cos(math.radians(2 * degrees)), dtype=torch.float64))


def test_sap_of_noise_of_missing_and_of_constant_codes():
    noise = sap(NOISE, FACTORS, generator=rng()).predictability
    assert abs(4000 * noise.mean().item() - 1) < SIGMAS * math.sqrt(2 / 16)  # N r^2 is chi-squared, 1 degree of freedom
    close(sap(TRUTH[:, 1:], FACTORS, generator=rng()).gaps, torch.tensor([0.0, 1, 1, 1], dtype=torch.float64))
    close(sap(torch.full((4000, 2), 0.1), FACTORS, generator=rng()).score, 0.0)


def test_sap_of_a_categorical_factor_is_held_out_accuracy():
    factors = grid(2, 10, 10)
    result = sap(factors.double(), factors, generator=rng(), categorical=(0,), **FEW_ROWS)
    assert result.predictability[0, 0] == 1.0
    for d in (1, 2):
        assert abs(result.predictability[d, 0] - 0.5) < SIGMAS * 0.5 / math.sqrt(FEW_ROWS["test_rows"])
    noise = torch.randn(200, 2, generator=rng(3), dtype=torch.float64)  # the same rows, split by hand
    rows = torch.randint(200, (60,), generator=rng())
    model = LinearSVC(C=0.01, class_weight="balanced", random_state=0).fit(noise[rows[:20], :1], factors[rows[:20], 0])
    mine = sap(noise, factors, generator=rng(), categorical=(0,), train_rows=20, test_rows=40).predictability[0, 0]
    assert mine.item() == model.score(noise[rows[20:], :1], factors[rows[20:], 0])
    assert mine.item() != model.score(noise[rows[:20], :1], factors[rows[:20], 0])
    with pytest.raises(ValueError, match="among the factors"):
        sap(factors.double(), factors, generator=rng(), categorical=(3,))
    with pytest.raises(ValueError, match="at least 1"):
        sap(factors.double(), factors, generator=rng(), categorical=(0,), train_rows=0)
    with pytest.raises(ValueError, match="raise train_rows"):
        sap(factors.double(), factors, generator=rng(), categorical=(0,), train_rows=1)


# DCI


def test_dci_of_known_importances():
    assert dci_from_importance(torch.eye(3)) == pytest.approx((1, 1), abs=1e-12)
    assert dci_from_importance(torch.ones(5, 3)) == pytest.approx((0, 0), abs=1e-12)
    # two dimensions share a factor: each is disentangled, the factor is not complete
    shared = torch.tensor([[1.0, 0], [1, 0], [0, 2]])
    assert dci_from_importance(shared) == pytest.approx((1, 0.5 + 0.5 * (1 - math.log(2) / math.log(3))), abs=1e-12)
    # an unused dimension has no weight for disentanglement; completeness counts it among the possible ones
    unused = torch.tensor([[1.0, 1], [0, 0]])
    assert dci_from_importance(unused) == pytest.approx((0, 1), abs=1e-12)


def test_dci_agrees_with_scipys_entropy():
    importance = torch.rand(6, 4, generator=rng(), dtype=torch.float64)
    rows, columns = importance.numpy(), importance.numpy().T
    exact = [
        ((1 - scipy.stats.entropy(matrix, axis=1, base=matrix.shape[1])) * matrix.sum(1)).sum() / matrix.sum()
        for matrix in (rows, columns)
    ]
    assert dci_from_importance(importance) == pytest.approx(tuple(exact), abs=1e-12)


@pytest.mark.parametrize("predictor", ["forest", "boosting"])
def test_dci_of_ground_truth(predictor):
    factors = grid(3, 4, 4)
    result = dci(factors.double(), factors, generator=rng(), trees=5, predictor=predictor, train_rows=36, test_rows=12)
    assert (result.disentanglement, result.completeness) == pytest.approx((1, 1), abs=1e-6)
    assert result.informativeness == 1.0
    close(result.importance, torch.eye(3, dtype=torch.float64), atol=1e-6)


def test_dci_without_a_factor_guesses_it():
    result = dci(TRUTH[:, 1:], FACTORS, generator=rng(), trees=5, **FEW_ROWS)
    # Each code was seen with other values of the missing factor; a row never seen is guessed below chance at worst.
    assert abs(result.importance[:, 1:] - torch.eye(3, dtype=torch.float64)).max() < 1e-9
    assert 0.75 <= result.informativeness < 0.75 + 0.25 * (0.25 + SIGMAS * math.sqrt(0.25 * 0.75 / 1000))


def test_dci_of_noise_is_uninformative():
    factors = torch.stack([torch.randint(4, (4000,), generator=rng(seed)) for seed in (1, 2)], 1)
    result = dci(NOISE, factors, generator=rng(), trees=5, **FEW_ROWS)
    assert abs(result.informativeness - 0.25) < 4 * result.standard_error
    assert result.disentanglement < 0.02 and result.completeness < 0.02


def test_dci_refusals():
    for matrix in (-torch.eye(3), torch.zeros(3, 3), torch.full((2, 2), math.nan)):
        with pytest.raises(ValueError, match="importances"):
            dci_from_importance(matrix)
    with pytest.raises(ValueError, match="both at least 2"):
        dci_from_importance(torch.ones(1, 3))
    with pytest.raises(ValueError, match="table's 4000"):
        dci(TRUTH, FACTORS, generator=rng())
    with pytest.raises(ValueError, match="predictor"):
        dci(TRUTH, FACTORS, generator=rng(), predictor="lasso", **FEW_ROWS)
    with pytest.raises(ValueError, match="raise train_rows"):
        dci(TRUTH, FACTORS, generator=rng(), train_rows=1, test_rows=1)
    with pytest.raises(ValueError, match="no DCI"):
        dci(torch.zeros(4000, 2), FACTORS, generator=rng(), trees=2, **FEW_ROWS)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_gives_the_same_scores():
    """The draws come from the generator's device; what is computed differs by rounding, which may tip a vote."""

    def higgins(codes, factors):
        return higgins_score(codes, factors, generator=rng(), train_votes=500, test_votes=500).score

    def posterior(codes, factors):
        return mig_posterior(codes, torch.full_like(codes, -3), factors, generator=rng(), samples=200).score

    mixed = rotated(TRUTH, 30) + 0.2 * NOISE
    for metric in (*METRICS.values(), higgins, posterior):
        assert metric(mixed.cuda(), FACTORS.cuda()) == pytest.approx(metric(mixed, FACTORS), abs=5e-3)
