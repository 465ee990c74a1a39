"""Higgins' metric: votes against enumeration, classifiers against their equations, scores against known answers."""

import math

import numpy as np
import pytest
import torch
from scipy.stats import norm

from elbo.disentanglement import (
    VARIANTS,
    Adagrad,
    Softmax,
    draw_votes,
    factor_index,
    higgins_score,
    higgins_scores,
    upper_half,
)
from elbo.disentanglement.table import draw_rows, partners

SIGMAS = 4.5
FEW = {"train_votes": 1500, "test_votes": 1000}


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def grid(*sizes):
    return torch.cartesian_prod(*[torch.arange(size) for size in sizes])


FACTORS = grid(4, 10, 10, 10)
TRUTH = FACTORS.double() / torch.tensor([4, 10, 10, 10])


class Noise:
    """A source of codes that know nothing of the row: fresh noise at every call."""

    def __init__(self, rows, dims, seed):
        self.rows, self.dims, self.generator = rows, dims, rng(seed)

    def __len__(self):
        return self.rows

    def __getitem__(self, index):
        return torch.randn(len(index), self.dims, generator=self.generator, dtype=torch.float64)


def rotated(codes, degrees, one=2, two=3):
    angle = math.radians(degrees)
    codes = codes - codes.mean(0)
    turned = codes.clone()
    turned[:, one] = math.cos(angle) * codes[:, one] - math.sin(angle) * codes[:, two]
    turned[:, two] = math.sin(angle) * codes[:, one] + math.cos(angle) * codes[:, two]
    return turned


# Rows that agree


def test_partners_agree_in_their_factor_and_are_uniform_otherwise():
    factors = torch.tensor([[5, 0], [5, 1], [5, 7], [-2, 0], [-2, 1], [9, 7]])  # an uneven table, values with gaps
    index = factor_index(factors)
    assert index.sizes == (3, 3) and index.columns == (0, 1)
    draws = 6000
    for k in range(2):
        rows = draw_rows(index, (draws,), rng(k))
        others = partners(index, torch.tensor(k), rows, rng(10 + k))
        assert torch.equal(factors[rows, k], factors[others, k])
        for row in range(6):
            agreeing = (factors[:, k] == factors[row, k]).nonzero().flatten()
            counts = torch.bincount(others[rows == row], minlength=6)[agreeing].double()
            expected = counts.sum() / len(agreeing)
            error = (expected * (1 - 1 / len(agreeing))).sqrt()
            assert ((counts - expected).abs() <= SIGMAS * error).all()
        share = torch.bincount(rows, minlength=6).double() / draws
        assert ((share - 1 / 6).abs() < SIGMAS * math.sqrt(5 / 36 / draws)).all()


def test_votes_have_the_mean_that_enumeration_gives():
    factors = grid(2, 3, 4)
    codes = torch.randn(24, 5, generator=rng(3), dtype=torch.float64)
    pairs, count = 8, 6000
    votes, y = draw_votes(codes, factors, count, pairs=pairs, generator=rng())
    differences = (codes[:, None] - codes[None]).abs()  # (24, 24, 5)
    for k in range(3):
        agree = factors[:, None, k] == factors[None, :, k]
        exact = differences[agree].mean(0)
        mine = votes[y == k]
        assert ((mine.mean(0) - exact).abs() < SIGMAS * mine.std(0) / math.sqrt(len(mine))).all()
        # L independent pairs: the variance of a vote is that of a pair over L (relative error about sqrt(2 / votes))
        ratio = mine.var(0) * pairs / differences[agree].var(0)
        assert ((ratio - 1).abs() < 0.2).all()
    share = torch.bincount(y, minlength=3) / count
    assert ((share - 1 / 3).abs() < SIGMAS * math.sqrt(2 / 9 / count)).all()


def test_votes_do_not_depend_on_the_size_of_the_pieces(monkeypatch):
    whole = draw_votes(TRUTH, FACTORS, 50, pairs=8, generator=rng())
    monkeypatch.setattr("elbo.disentanglement.higgins.ROOM", 100)
    pieces = draw_votes(TRUTH, FACTORS, 50, pairs=8, generator=rng())
    assert torch.equal(whole[0], pieces[0]) and torch.equal(whole[1], pieces[1])


def test_a_source_of_codes_scores_like_its_table():
    class Lookup:
        def __len__(self):
            return len(TRUTH)

        def __getitem__(self, index):
            return rotated(TRUTH, 45)[index]

    direct = higgins_score(rotated(TRUTH, 45), FACTORS, generator=rng(), **FEW)
    assert higgins_score(Lookup(), FACTORS, generator=rng(), **FEW) == direct


# Classifiers


@pytest.mark.parametrize("classes", [2, 4])
@pytest.mark.parametrize("standardise", [True, False])
def test_softmax_solves_its_equation(classes, standardise):
    """The gradient of the penalised log-likelihood vanishes at the rule found."""
    x = 3 + 2 * torch.randn(300, 3, generator=rng(), dtype=torch.float64)
    y = ((x.sum(1) - 4) / 10 * classes).long().clamp(0, classes - 1)
    rule = Softmax(strength=0.05, standardise=standardise).fit(x, y, classes, rng())
    scale = x.std(0) if standardise else torch.ones(3, dtype=torch.float64)
    weight, bias = (rule.weight * scale[:, None]).requires_grad_(), rule.bias.clone().requires_grad_()
    logits = (x / scale) @ weight + bias
    # of two classes the difference of the weights is penalised: twice the sum over a symmetric pair
    penalty = weight.square().sum() / (2 * 0.05) * (2 if classes == 2 else 1)
    loss = torch.nn.functional.cross_entropy(logits, y, reduction="sum") + penalty
    for gradient in torch.autograd.grad(loss, [weight, bias]):
        assert gradient.abs().max() < 300 * 2e-4  # L-BFGS stops at 1e-4 a datum
    assert (weight / 0.05).abs().max() > 1  # what a wrong penalty would leave


def test_adagrad_takes_the_steps_of_torch():
    x = torch.rand(40, 3, generator=rng(), dtype=torch.float64)
    y = torch.randint(3, (40,), generator=rng(1))
    settings = Adagrad(learning_rate=0.1, batch=4, steps=25)
    rule = settings.fit(x, y, 3, rng(2))
    generator = rng(2)
    weight = (0.01 * torch.randn(4, 3, generator=generator, dtype=torch.float64)).requires_grad_()
    rows = torch.randint(40, (25, 4), generator=generator)
    optimiser = torch.optim.Adagrad([weight], lr=0.1)
    for row in rows:
        optimiser.zero_grad()
        logits = torch.cat([x[row], torch.ones(4, 1, dtype=torch.float64)], 1) @ weight
        torch.nn.functional.cross_entropy(logits, y[row]).backward()
        optimiser.step()
    torch.testing.assert_close(torch.cat([rule.weight, rule.bias[None]]), weight.detach(), rtol=1e-9, atol=1e-12)


# Scores


@pytest.mark.parametrize("variant", [{}, *VARIANTS.values()], ids=["default", *VARIANTS])
def test_ground_truth_scores_one(variant):
    result = higgins_score(TRUTH, FACTORS, generator=rng(), **variant, **FEW)
    assert result.score == 1.0 and result.train_score == 1.0 and result.chance == 0.25
    assert 0 < result.standard_error < 2 / FEW["test_votes"]
    assert result.settings.classifier == variant.get("classifier", Softmax())
    assert result.settings.which == (0, 1, 2, 3) and result.settings.pairs == 64


@pytest.mark.parametrize("pairs", [1, 2, 3])
def test_two_binary_factors_have_a_score_in_closed_form(pairs):
    """A vote is ambiguous only if all L pairs agree in both factors: the best accuracy is 1 - 2^-(L+1)."""
    factors = grid(2, 2)
    votes = {"train_votes": 2000, "test_votes": 4000}
    result = higgins_score(factors.double(), factors, generator=rng(pairs), pairs=pairs, **votes)
    exact = 1 - 2.0 ** -(pairs + 1)
    assert abs(result.score - exact) < SIGMAS * result.standard_error
    assert abs(result.standard_error - math.sqrt(exact * (1 - exact) / 4000)) < 0.001


@pytest.mark.parametrize("classifier", [Softmax(), Adagrad(steps=3000)])
def test_independent_noise_scores_at_chance(classifier):
    result = higgins_score(Noise(4000, 3, 5), FACTORS, generator=rng(1), pairs=16, classifier=classifier, **FEW)
    assert abs(result.score - 0.25) < 4 * result.standard_error


def test_what_was_learned_by_heart_does_not_count():
    """A hundred votes of two hundred dimensions are separable, whatever they say."""
    votes = {"train_votes": 100, "test_votes": 1000}
    result = higgins_score(Noise(4000, 200, 6), FACTORS, generator=rng(), pairs=2, **votes)
    assert result.train_score == 1.0 and abs(result.score - 0.25) < 4 * result.standard_error


def test_a_constant_code_scores_at_chance():
    constant = torch.full((4000, 2), 0.3, dtype=torch.float64)
    result = higgins_score(constant, FACTORS, generator=rng(2), pairs=8, **FEW)
    assert abs(result.score - 0.25) < 4 * result.standard_error


def test_permuted_and_scaled_codes_keep_a_score_that_is_not_saturated():
    noisy = torch.cat([TRUTH[:, :2], torch.randn(4000, 2, generator=rng(4), dtype=torch.float64)], 1)
    scores = [
        higgins_score(codes, FACTORS, generator=rng(), pairs=16, **FEW).score
        for codes in (noisy, noisy[:, [2, 0, 3, 1]], noisy * torch.tensor([1e-3, 5.0, 1e4, 1.0]), 7 - noisy)
    ]
    assert 0.5 < scores[0] < 0.95
    assert max(scores) - min(scores) <= 3 / FEW["test_votes"]  # same votes; the optimiser's last digits may tip one


def test_constant_dimensions_change_nothing():
    padded = torch.cat([rotated(TRUTH, 45), torch.full((4000, 2), -1.7, dtype=torch.float64)], 1)
    with_padding = higgins_score(padded, FACTORS, generator=rng(), **FEW)
    without = higgins_score(rotated(TRUTH, 45), FACTORS, generator=rng(), **FEW)
    assert abs(with_padding.score - without.score) <= 3 / FEW["test_votes"]


def test_all_but_one_factor_still_scores_one():
    """The objection of Kim & Mnih (2018): a code without factor 0 at all."""
    assert higgins_score(TRUTH[:, 1:], FACTORS, generator=rng(), **FEW).score == 1.0


def test_a_code_without_two_factors_cannot_tell_them_apart():
    result = higgins_score(TRUTH[:, 2:], FACTORS, generator=rng(), **FEW)
    assert abs(result.score - 0.75) < SIGMAS * result.standard_error


def test_rotation_is_not_seen_until_it_is_complete():
    """30 degrees still score 1; at 45 two factors of equal size become alike, and 3/4 is all there is."""
    assert higgins_score(rotated(TRUTH, 30), FACTORS, generator=rng(), **FEW).score == 1.0
    halfway = higgins_score(rotated(TRUTH, 45), FACTORS, generator=rng(), **FEW)
    assert abs(halfway.score - 0.75) < SIGMAS * halfway.standard_error


def test_columns_can_be_chosen_and_constant_ones_drop_out():
    factors = torch.cat([torch.zeros(4000, 1, dtype=torch.int64), FACTORS], 1)
    assert higgins_score(TRUTH, factors, generator=rng(), pairs=4, **FEW).settings.which == (1, 2, 3, 4)
    chosen = higgins_score(TRUTH, factors, generator=rng(), pairs=4, which=(2, 4), **FEW)
    assert chosen.chance == 0.5 and chosen.settings.which == (2, 4)


def test_scores_repeat_with_their_generator_and_spread_without():
    few = {"pairs": 4, "train_votes": 200, "test_votes": 200}
    index = factor_index(FACTORS)
    codes = rotated(TRUTH, 45)
    scores = higgins_scores(codes, index, generators=[rng(seed) for seed in range(8)], **few)
    assert scores[3] == higgins_score(codes, FACTORS, generator=rng(3), **few)
    assert len({score.score for score in scores}) > 3


def test_single_precision_and_whole_numbers_are_codes_too():
    for codes in (TRUTH.float(), FACTORS, FACTORS.to(torch.uint8)):
        assert higgins_score(codes, FACTORS, generator=rng(), **FEW).score == 1.0


# The protocol


def test_upper_half_of_known_scores():
    result = upper_half([0.2, 0.9, 0.5, 0.7])
    assert (result.count, result.kept) == (4, 2)
    assert math.isclose(result.mean, 0.575) and math.isclose(result.upper_mean, 0.8)
    assert math.isclose(result.spread, np.std([0.2, 0.9, 0.5, 0.7], ddof=1))
    assert math.isclose(result.standard_error, result.spread / 2)
    assert upper_half([1, 2, 3]).kept == 2


def test_the_protocol_lifts_normal_scores_by_four_fifths_of_their_spread():
    draws = torch.randn(400, 30, generator=rng(), dtype=torch.float64)
    lifts = torch.tensor([upper_half(row.tolist()).upper_mean for row in draws])
    # 30 draws, not infinitely many: the mean of the largest fifteen normal order statistics
    approximate = norm.ppf((np.arange(16, 31) - 0.375) / 30.25).mean()  # Blom's approximation, good to about 1e-3
    assert abs(lifts.mean().item() - approximate) < SIGMAS * lifts.std().item() / 20 + 2e-3
    assert abs(approximate - math.sqrt(2 / math.pi)) < 0.03


# Refusals


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"codes": TRUTH[:10]}, "rows"),
        ({"codes": TRUTH.clone().index_fill_(0, torch.tensor([7]), math.nan)}, "NaN"),
        ({"codes": TRUTH.clone().index_fill_(0, torch.tensor([7]), math.inf)}, "NaN or infinity"),
        ({"codes": TRUTH.numpy()}, "tensor|rows|codes"),
        ({"codes": 3}, "tensor"),
        ({"codes": TRUTH.to("meta")}, "move one of them"),
        ({"factors": TRUTH}, "integers"),
        ({"factors": FACTORS[:, :1]}, "two factors"),
        ({"factors": FACTORS[:0]}, "at least one row"),
        ({"which": (0,)}, "two factors"),
        ({"which": (0, 4)}, "different columns"),
        ({"which": (1, 1)}, "different columns"),
        ({"factors": torch.cat([FACTORS, FACTORS[:, :1] * 0], 1), "which": (0, 4)}, "single value"),
        ({"pairs": 0}, "at least 1"),
        ({"test_votes": 0}, "at least 1"),
        ({"train_votes": 2}, "raise train_votes"),
    ],
)
def test_refusals(change, message):
    arguments = {"codes": TRUTH, "factors": FACTORS, "pairs": 2, "train_votes": 50, "test_votes": 50} | change
    with pytest.raises(ValueError, match=message):
        higgins_score(arguments.pop("codes"), arguments.pop("factors"), generator=rng(), **arguments)


def test_refusals_elsewhere():
    with pytest.raises(ValueError, match="two finite scores"):
        upper_half([0.5])
    with pytest.raises(ValueError, match="two finite scores"):
        upper_half([0.5, math.nan])
    with pytest.raises(ValueError, match="strength"):
        Softmax(strength=0.0)
    with pytest.raises(ValueError, match="positive"):
        Adagrad(steps=0)
    with pytest.raises(ValueError, match="make another"):
        factor_index(factor_index(FACTORS), which=(0, 1))
