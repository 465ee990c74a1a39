"""Latent Dirichlet allocation: the bound by enumeration and by an independent library,
updates as optima, SVI as CAVI.
"""

import itertools
import math

import pytest
import torch
from sklearn.decomposition import LatentDirichletAllocation

from elbo.inference import lda

MODEL = lda.Lda(2, document=0.7, word=0.4)


@pytest.fixture
def corpus():
    generator = torch.Generator().manual_seed(0)
    return torch.poisson(torch.full((12, 9), 1.5, dtype=torch.float64), generator=generator)


def log_evidence(words: list[list[int]], num_words: int, model: lda.Lda) -> float:
    """Sum over every assignment of words to topics, with proportions and topics integrated out."""

    def polya(counts, prior):
        total, size = sum(counts), len(counts)
        value = math.lgamma(size * prior) - math.lgamma(size * prior + total)
        return value + sum(math.lgamma(prior + c) - math.lgamma(prior) for c in counts)

    flat = [(d, w) for d, document in enumerate(words) for w in document]
    logs = []
    for topics in itertools.product(range(model.num_topics), repeat=len(flat)):
        by_document = [[0] * model.num_topics for _ in words]
        by_topic = [[0] * num_words for _ in range(model.num_topics)]
        for (d, w), k in zip(flat, topics):
            by_document[d][k] += 1
            by_topic[k][w] += 1
        logs.append(sum(polya(c, model.document) for c in by_document) + sum(polya(c, model.word) for c in by_topic))
    return torch.logsumexp(torch.tensor(logs, dtype=torch.float64), 0).item()


def test_the_bound_lies_below_the_enumerated_evidence():
    words, counts = [[0, 0, 1, 2], [2, 3, 3], [0, 1]], torch.zeros(3, 4, dtype=torch.float64)
    for d, document in enumerate(words):
        for w in document:
            counts[d, w] += 1
    exact = log_evidence(words, 4, MODEL)
    best = -math.inf
    for seed in range(5):
        topics = lda.init(MODEL, 4, torch.Generator().manual_seed(seed))
        for _ in range(60):
            topics, _ = lda.cavi_step(MODEL, counts, topics)
        best = max(best, lda.bound(MODEL, counts, topics).item())
    assert exact - 5 < best < exact


def test_the_bound_is_that_of_scikit_learn(corpus):
    """The same topics, the same local factors: its approximate bound of the corpus, topics included."""
    topics = lda.init(MODEL, 9, torch.Generator().manual_seed(1)) * 3
    other = LatentDirichletAllocation(
        2, doc_topic_prior=0.7, topic_word_prior=0.4, max_doc_update_iter=500, mean_change_tol=1e-9, random_state=0
    )
    other.fit(corpus[:2].numpy())
    other.components_ = topics.numpy()
    expected = torch.digamma(topics) - torch.digamma(topics.sum(-1, keepdim=True))
    other.exp_dirichlet_component_ = expected.exp().numpy()
    local = lda.local_step(MODEL, corpus, topics, max_iters=500, tol=1e-9)
    ours = local.bound.sum() - lda._dirichlet_kl(topics, MODEL.word).sum()
    assert ours.item() == pytest.approx(other.score(corpus.numpy()), rel=1e-6)


def test_the_bound_never_falls(corpus):
    topics, bounds = lda.init(MODEL, 9, torch.Generator().manual_seed(2)), []
    for _ in range(25):
        local = lda.local_step(MODEL, corpus, topics, max_iters=2000, tol=1e-11)
        bounds.append((local.bound.sum() - lda._dirichlet_kl(topics, MODEL.word).sum()).item())
        topics = MODEL.word + local.statistics
    assert all(later > before - 1e-7 for before, later in zip(bounds, bounds[1:])) and bounds[-1] > bounds[0] + 1


def test_statistics_share_out_every_word(corpus):
    local = lda.local_step(MODEL, corpus, lda.init(MODEL, 9, torch.Generator().manual_seed(3)))
    torch.testing.assert_close(local.statistics.sum(0), corpus.sum(0), rtol=1e-10, atol=1e-10)
    mass = local.proportions.sum(-1) - MODEL.num_topics * MODEL.document
    torch.testing.assert_close(mass, corpus.sum(-1), rtol=1e-8, atol=1e-8)


def test_a_stochastic_step_on_everything_is_a_sweep(corpus):
    topics = lda.init(MODEL, 9, torch.Generator().manual_seed(4))
    swept, _ = lda.cavi_step(MODEL, corpus, topics)
    torch.testing.assert_close(lda.svi_step(MODEL, corpus, topics, len(corpus), 1.0), swept)
    halves = [lda.svi_step(MODEL, part, topics, len(corpus), 1.0) for part in corpus.split(6)]
    torch.testing.assert_close(sum(halves) / 2, swept, rtol=0, atol=2e-3)  # unbiased over minibatches, to the tolerance
    with pytest.raises(ValueError, match="step_size"):
        lda.svi_step(MODEL, corpus, topics, 12, 0.0)
    with pytest.raises(ValueError, match="positive"):
        lda.Lda(0)


def test_topics_that_are_there_are_found():
    """Documents of two disjoint vocabularies: each topic holds one of them, and hidden words are predicted by it."""
    counts = torch.zeros(40, 10, dtype=torch.float64)
    counts[:20, :5], counts[20:, 5:] = 3.0, 3.0
    topics = lda.init(MODEL, 10, torch.Generator().manual_seed(5))
    for _ in range(20):
        topics, _ = lda.cavi_step(MODEL, counts, topics)
    share = topics[:, :5].sum(-1) / topics.sum(-1)
    assert share.min() < 0.05 and share.max() > 0.95
    hidden = torch.ones_like(counts) * (counts > 0)
    assert lda.log_predictive(MODEL, counts - hidden, hidden, topics).mean() > math.log(
        0.18
    )  # of five words, about 1/5
