r"""Latent Dirichlet allocation by CAVI and by SVI; Blei et al. (2017), section 4.3 and appendix C.

A topic is a distribution over words, :math:`\pi_k \sim \mathrm{Dir}(\eta)`; a document has proportions
:math:`\theta_n \sim \mathrm{Dir}(\alpha)`, and each of its words comes from a topic drawn from them. With
:math:`q = \prod_k \mathrm{Dir}(\pi_k; \lambda_k) \prod_n \mathrm{Dir}(\theta_n; \gamma_n) \prod q(c)`,

.. math:: q(c_{nw} = k) \propto \exp(E[\log\theta_{nk}] + E[\log\pi_{kw}]), \quad
          \gamma_{nk} = \alpha + \sum_w x_{nw} q(c_{nw} = k), \quad \lambda_{kw} = \eta + \sum_n x_{nw} q(c_{nw} = k).

Sources: Blei, Ng & Jordan (2003), JMLR 3; Hoffman, Blei, Wang & Paisley (2013), figure 6.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Generator, Tensor

__all__ = ["Lda", "Local", "bound", "cavi_step", "init", "local_step", "log_predictive", "svi_step"]


@dataclass(frozen=True)
class Lda:
    r"""The model: ``num_topics``, and the symmetric priors ``document`` (:math:`\alpha`) and ``word``
    (:math:`\eta`)."""

    num_topics: int
    document: float = 0.1
    word: float = 0.1

    def __post_init__(self) -> None:
        if self.num_topics < 1 or not self.document > 0 or not self.word > 0:
            raise ValueError(f"num_topics must be at least 1 and both priors positive, got {self}")


class Local(NamedTuple):
    """What the documents say at fixed topics."""

    proportions: Tensor  # (documents, topics), gamma
    statistics: Tensor  # (topics, words), expected counts of every word in every topic
    bound: Tensor  # (documents,), nats: their part of the bound


def init(model: Lda, num_words: int, generator: Generator) -> Tensor:
    """Random topics ``(topics, words)``: gamma draws around one, as Hoffman's code does."""
    shape = torch.full((model.num_topics, num_words), 100.0, dtype=torch.float64)
    return torch._standard_gamma(shape, generator=generator) / 100


def local_step(model: Lda, counts: Tensor, topics: Tensor, max_iters: int = 100, tol: float = 1e-4) -> Local:
    r"""Alternate the words' topics and the documents' proportions until these rest.

    Args:
        counts: ``(documents, words)``. topics: :math:`\lambda`, ``(topics, words)``.
        tol: mean absolute change of :math:`\gamma` at which to stop.
    """
    words = _expected_log(topics).exp()
    proportions = torch.ones(len(counts), model.num_topics, dtype=topics.dtype)
    for _ in range(max_iters):
        documents = _expected_log(proportions).exp()
        norm = documents @ words  # (documents, words)
        updated = model.document + documents * ((counts / norm) @ words.T)
        change, proportions = (updated - proportions).abs().mean(), updated
        if change < tol:
            break
    documents = _expected_log(proportions).exp()
    norm = documents @ words
    statistics = words * (documents.T @ (counts / norm))
    found = torch.xlogy(counts, norm).sum(-1) - _dirichlet_kl(proportions, model.document)
    return Local(proportions, statistics, found)


def bound(model: Lda, counts: Tensor, topics: Tensor) -> Tensor:
    """The ELBO of the corpus at given topics and the best local factors, total nats, a scalar."""
    return local_step(model, counts, topics).bound.sum() - _dirichlet_kl(topics, model.word).sum()


def cavi_step(model: Lda, counts: Tensor, topics: Tensor) -> tuple[Tensor, Tensor]:
    """Topics after one sweep over all documents, and the bound before it (total nats)."""
    local = local_step(model, counts, topics)
    return model.word + local.statistics, local.bound.sum() - _dirichlet_kl(topics, model.word).sum()


def svi_step(model: Lda, batch: Tensor, topics: Tensor, num_documents: int, step_size: float) -> Tensor:
    r"""Topics after a natural-gradient step on a minibatch: :math:`(1 - \epsilon)\lambda + \epsilon\hat\lambda`."""
    if not 0 < step_size <= 1:
        raise ValueError(f"step_size must lie in (0, 1], got {step_size}")
    target = model.word + num_documents / len(batch) * local_step(model, batch, topics).statistics
    return (1 - step_size) * topics + step_size * target


def log_predictive(model: Lda, seen: Tensor, hidden: Tensor, topics: Tensor) -> Tensor:
    """Log probability of a document's ``hidden`` words given its ``seen`` ones, nats per word, ``(documents,)``.

    The proportions are inferred from ``seen`` counts alone; both are ``(documents, words)``. A document without hidden
    words gives NaN.
    """
    proportions = local_step(model, seen, topics).proportions
    share = proportions / proportions.sum(-1, keepdim=True)
    words = topics / topics.sum(-1, keepdim=True)
    return torch.xlogy(hidden, share @ words).sum(-1) / hidden.sum(-1)


def _expected_log(concentration: Tensor) -> Tensor:
    return torch.digamma(concentration) - torch.digamma(concentration.sum(-1, keepdim=True))


def _dirichlet_kl(concentration: Tensor, prior: float) -> Tensor:
    """KL of ``Dir(concentration)`` from a symmetric Dirichlet, ``(rows,)`` nats."""
    size, total = concentration.shape[-1], concentration.sum(-1)
    prior_norm = torch.lgamma(total.new_tensor(size * prior)) - size * torch.lgamma(total.new_tensor(prior))
    norm = torch.lgamma(total) - torch.lgamma(concentration).sum(-1)
    return norm - prior_norm + ((concentration - prior) * _expected_log(concentration)).sum(-1)
