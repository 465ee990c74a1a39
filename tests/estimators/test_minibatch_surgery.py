"""The minibatch estimators in common use: each is what its authors defined, and its bias is where it is said to be."""

import math

import pytest
import torch

from elbo.densities import gaussian_log_prob
from elbo.estimators import batch_terms, code_terms, log_aggregate_posterior
from elbo.estimators.minibatch import batch_log_weights

KINDS = ["in-batch", "weighted", "stratified", "misplaced", "repeated"]
LIKE = torch.zeros((), dtype=torch.float64)


def data(num=400, dim=4, scale=0.2):
    generator = torch.Generator().manual_seed(0)
    mean = torch.randn(num, dim, generator=generator, dtype=torch.float64)
    log_var = torch.full_like(mean, 2 * math.log(scale))
    z = mean + scale * torch.randn(num, dim, generator=generator, dtype=torch.float64)
    return z, mean, log_var


def test_rows_add_up_to_one_where_they_should():
    for kind in ("in-batch", "stratified"):
        rows = batch_log_weights(kind, 4, 100, LIKE).exp().sum(1)
        torch.testing.assert_close(rows, torch.ones(4, dtype=torch.float64))
    assert batch_log_weights("weighted", 4, 100, LIKE).exp().sum(1)[0] == pytest.approx(1 / 100)
    assert batch_log_weights("misplaced", 4, 100, LIKE).exp().sum(1).max() == pytest.approx(1.3133, abs=1e-4)


def test_the_own_weight_is_on_the_diagonal_or_in_the_first_column():
    right, slipped = (batch_log_weights(kind, 5, 100, LIKE).exp() for kind in ("stratified", "misplaced"))
    torch.testing.assert_close(right.diagonal(), torch.full((5,), 0.01, dtype=torch.float64))
    first_column = torch.tensor([0.01, 0.01, 0.01, 0.24, 0.01], dtype=torch.float64)  # one holds the stratum's weight
    torch.testing.assert_close(slipped[:, 0], first_column)
    torch.testing.assert_close(slipped.diagonal()[2:], torch.full((3,), 0.25, dtype=torch.float64))


def test_the_misplaced_weights_are_those_of_the_shipped_indexing():
    """The flat strides of the widely copied function: M + 1 where M + 2 is meant."""
    batch, num = 7, 50
    others = batch - 1
    stratum = (num - others) / (num * others)
    shipped = torch.full((batch, batch), 1 / others, dtype=torch.float64)
    shipped.view(-1)[:: others + 1] = 1 / num
    shipped.view(-1)[1 :: others + 1] = stratum
    shipped[others - 1, 0] = stratum
    torch.testing.assert_close(batch_log_weights("misplaced", batch, num, LIKE).exp(), shipped)


def test_stratified_weights_make_the_density_unbiased():
    """Averaged over all ordered batches of three from five, q^(z) of the first datum's code is q(z) exactly."""
    z, mean, log_var = (t[:5] for t in data(scale=0.8))
    log_weights = batch_log_weights("stratified", 3, 5, z)
    totals = []
    for j in range(1, 5):
        for k in range(1, 5):
            if j != k:
                batch = [0, j, k]
                log_each = gaussian_log_prob(z[0], mean[batch], log_var[batch])
                totals.append(torch.exp(torch.logsumexp(log_each + log_weights[0], 0)))
    exact = log_aggregate_posterior(z[:1], mean, log_var).exp()[0]
    torch.testing.assert_close(torch.stack(totals).mean(), exact, rtol=1e-10, atol=0)


def test_a_batch_of_everything_is_exact_in_batch():
    z, mean, log_var = data()
    terms = batch_terms(z, mean, log_var, len(z), "in-batch")
    exact = code_terms(z, torch.arange(len(z)), mean, log_var)
    torch.testing.assert_close(terms.mutual_information, exact.log_posterior - exact.log_aggregate)


def test_weighted_sampling_is_in_batch_lowered_by_log_n():
    """Mutual information up by log N, total correlation by (D - 1) log N, dimension-wise KL down by D log N."""
    z, mean, log_var = (t[:64] for t in data())
    one, two = (batch_terms(z, mean, log_var, 400, kind) for kind in ("in-batch", "weighted"))
    for difference, expected in zip((b - a for a, b in zip(one, two)), (1, 3, -4)):
        torch.testing.assert_close(difference, torch.full_like(difference, expected * math.log(400)))


def test_in_batch_information_cannot_exceed_log_b():
    z, mean, log_var = (t[:32] for t in data(scale=0.01))
    terms = batch_terms(z, mean, log_var, 400, "in-batch")
    assert terms.mutual_information.max() <= math.log(32) + 1e-9
    assert terms.mutual_information.mean() > math.log(32) - 1e-3  # while the truth is log 400
    repeated = batch_terms(z, mean, log_var, 400, "repeated")
    assert repeated.mutual_information.mean() > math.log(400)  # impossible


@pytest.mark.parametrize("kind", KINDS)
def test_the_sum_is_right_whatever_the_terms_are(kind):
    """This is a plumbing test. It passes for five estimators of which four are useless."""
    z, mean, log_var = (t[:50] for t in data())
    terms = batch_terms(z, mean, log_var, 400, kind)
    index = torch.arange(50)
    exact = code_terms(z, index, mean, log_var)
    torch.testing.assert_close(sum(terms), exact.log_posterior - exact.log_prior)


def test_unknown_kinds_and_tiny_batches_are_refused():
    z, mean, log_var = data()
    with pytest.raises(ValueError, match="choose one of in-batch"):
        batch_terms(z, mean, log_var, 400, "exact")
    with pytest.raises(ValueError, match="between 3 and num_data"):
        batch_terms(z[:2], mean[:2], log_var[:2], 400, "in-batch")
    with pytest.raises(ValueError, match="between 3 and num_data"):
        batch_terms(z, mean, log_var, 100, "in-batch")
