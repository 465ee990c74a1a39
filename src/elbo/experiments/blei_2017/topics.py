"""Topics of a free corpus by CAVI and SVI: the counterpart of figure 7 of Blei et al. (2017)."""

from __future__ import annotations

import math

import pandas as pd
import torch
from torch import Tensor

from elbo.experiments.blei_2017.corpus import Corpus
from elbo.inference import lda

__all__ = ["learn", "top_words"]


def learn(
    corpus: Corpus,
    num_topics: int = 15,
    sweeps: int = 20,
    batch_size: int = 32,
    num_starts: int = 3,
    forgetting: float = 0.7,
    delay: float = 10.0,
    seed: int = 0,
) -> tuple[pd.DataFrame, Tensor]:
    """Held-out prediction of CAVI and SVI against the documents read; a fifth of the documents is held out.

    Of a held-out document every second occurrence of each word is hidden, and judged given the others.

    Returns:
        A frame ``algorithm, start, passes`` over the training documents, ``documents_read, held_out`` (nats per hidden
        word), ``held_out_se`` over documents;
        and the topics ``(topics, words)`` of the last start of CAVI.
    """
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(corpus.counts), generator=generator)
    size = len(order) // 5
    test, train = corpus.counts[order[:size]], corpus.counts[order[size:]]
    hidden = torch.div(test, 2, rounding_mode="floor")
    judged = hidden.sum(-1) > 0
    seen, hidden = (test - hidden)[judged], hidden[judged]
    model, rows = lda.Lda(num_topics), []
    batches = max(1, len(train) // batch_size)

    def note(algorithm: str, start: int, passes: float, read: int, topics: Tensor) -> None:
        value = lda.log_predictive(model, seen, hidden, topics)
        se = (value.std() / math.sqrt(len(value))).item()
        rows.append((algorithm, start, passes, read, value.mean().item(), se))

    for start in range(num_starts):
        initial = lda.init(model, train.shape[1], generator)
        topics = initial
        for step in range(1, sweeps // 2 * batches + 1):
            batch = train[torch.randint(len(train), (batch_size,), generator=generator)]
            topics = lda.svi_step(model, batch, topics, len(train), (step + delay) ** -forgetting)
            if step & (step - 1) == 0 or step % batches == 0:
                note("svi", start, step / batches, step * batch_size, topics)
        topics = initial
        for sweep in range(1, sweeps + 1):
            topics, _ = lda.cavi_step(model, train, topics)
            note("cavi", start, float(sweep), sweep * len(train), topics)
    columns = ["algorithm", "start", "passes", "documents_read", "held_out", "held_out_se"]
    return pd.DataFrame(rows, columns=columns), topics


def top_words(corpus: Corpus, topics: Tensor, words: int = 8) -> pd.DataFrame:
    """The likeliest words of every topic, largest topic first: ``topic, share`` of all words, ``words``."""
    share = topics.sum(-1) / topics.sum()
    rows = []
    for number, k in enumerate(share.argsort(descending=True).tolist(), 1):
        best = topics[k].topk(words).indices.tolist()
        rows.append({"topic": number, "share": share[k].item(), "words": ", ".join(corpus.words[i] for i in best)})
    return pd.DataFrame(rows)
