"""The FactorVAE score: which code varies least when a factor is held fixed? Kim & Mnih (2018), section 3."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from elbo.disentanglement.higgins import ROOM, binomial_error
from elbo.disentanglement.table import FactorIndex, check_codes, draw_rows, factor_index, partners, select

__all__ = ["FactorVae", "factorvae_score"]


@dataclass(frozen=True)
class FactorVae:
    """``score``: accuracy on test votes; ``standard_error``: of those votes; ``chance``: 1/K; ``active``: code
    dimensions that take part; ``votes``: ``(D, K)`` training votes, the majority of each row being the classifier.
    """

    score: float
    standard_error: float
    chance: float
    active: tuple[int, ...]
    votes: Tensor


def factorvae_score(
    codes: Tensor,
    factors: Tensor | FactorIndex,
    *,
    generator: torch.Generator,
    which: Sequence[int] | None = None,
    samples: int = 64,
    train_votes: int = 10_000,
    test_votes: int = 5_000,
    threshold: float = 0.0,
) -> FactorVae:
    r"""Majority vote of the least varying code dimension.

    For each vote: draw a factor :math:`y` uniformly and L images with one value of it, all else independent; the vote
    is the dimension with the least normalised variance,

    .. math:: d^* = \arg\min_d \frac{\mathrm{Var}_l[z_{l,d}]}{\mathrm{Var}[z_d]}, \qquad
              \hat y(d) = \arg\max_k \#\{\text{training votes with } d^* = d,\; y = k\}.

    Source: Kim & Mnih (2018); the score is taken on votes of its own and L = 64, 10,000 and 5,000 votes are the
    defaults as in ``disentanglement_lib`` (Locatello et al., 2019). The variances of all images are those of the
    table. Ties between dimensions go to the first one.

    Args:
        codes, factors, generator, which: as for :func:`elbo.disentanglement.higgins_score`; codes must be a tensor.
        samples: L, at least 2.
        threshold: dimensions whose standard deviation over the table is not above it do not take part.

    Returns:
        :class:`FactorVae`. Cost: ``samples * (train_votes + test_votes)`` rows gathered.

    Raises:
        ValueError: numbers too small, no dimension that varies, codes with NaN or that do not fit the factors.
    """
    if samples < 2 or min(train_votes, test_votes) < 1:
        raise ValueError(f"samples must be at least 2 and votes 1, got {samples}, {train_votes}, {test_votes}")
    index = factor_index(factors, which)
    codes = check_codes(codes, index)
    spread = codes.double().std(0)
    active = (spread > max(threshold, 0.0)) & (codes != codes[:1]).any(0)
    if not bool(active.any()):
        raise ValueError(f"no code dimension varies by more than {threshold}; the code has collapsed and has no score")
    count, classes = train_votes + test_votes, len(index.sizes)
    y = torch.randint(classes, (count,), generator=generator, device=generator.device).to(codes.device)
    anchor = draw_rows(index, (count, 1), generator).expand(count, samples)
    rows = partners(index, y.unsqueeze(1), anchor, generator)
    units = codes[:, active] / spread[active].to(codes)
    step = max(1, ROOM // (samples * units.shape[1]))
    least = torch.cat([select(units, part).var(1).argmin(1) for part in rows.split(step)])
    votes = torch.bincount(least[:train_votes] * classes + y[:train_votes], minlength=units.shape[1] * classes)
    votes = votes.view(-1, classes)
    score = (votes.argmax(1)[least[train_votes:]] == y[train_votes:]).double().mean().item()
    table = torch.zeros(codes.shape[1], classes, dtype=torch.int64, device=codes.device)
    table[active] = votes
    dims = tuple(active.nonzero().flatten().tolist())
    return FactorVae(score, binomial_error(score, test_votes), 1 / classes, dims, table)
