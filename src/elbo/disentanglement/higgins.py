r"""Higgins' disentanglement metric: can a linear classifier tell which factor two images share?

Higgins et al. (2017), section 3. For each of B items ("votes"): draw a factor :math:`y` uniformly from K; draw L
pairs of images that agree in factor :math:`y`, all else independent; code both images by their posterior means;
average the differences,

.. math:: z^b_{\mathrm{diff}} = \frac1L \sum_{l=1}^L \big| z_{1,l} - z_{2,l} \big| \in R^D.

The score is the accuracy of a linear classifier :math:`p(y \mid z^b_{\mathrm{diff}})` on votes that it has not seen;
chance is 1/K. It can be 1 where only K - 1 of K factors are coded (Kim & Mnih, 2018) and where the code is rotated.

How the settings are known. The procedure, K = 4 (the factors other than shape), Adagrad at 1e-2 "until convergence",
5,000 votes to test, ten models with three classifiers each and the lower half of the thirty scores dropped: read in the
paper, sections 3 and 4.2 and appendix A.4, as it stood under review. L and the number of votes to train: not said; the
defaults are those of ``disentanglement_lib`` (Locatello et al., 2019), read in its source: L = 64 pairs, 10,000 votes
to train, 5,000 to test, scikit-learn's logistic regression on features as they are, all five factors of dSprites.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import torch
from torch import Tensor

from elbo.disentanglement.linear import Adagrad, Softmax
from elbo.disentanglement.table import CodeSource, FactorIndex, check_codes, draw_rows, factor_index, partners, select

__all__ = [
    "VARIANTS",
    "Higgins",
    "HigginsSettings",
    "Scores",
    "draw_votes",
    "higgins_score",
    "higgins_scores",
    "upper_half",
]

ROOM = 4_000_000  # numbers gathered at a time

VARIANTS: Mapping[str, Mapping] = MappingProxyType({
    "higgins-2017": MappingProxyType({"classifier": Adagrad()}),  # appendix A.4, see above
    "locatello-2019": MappingProxyType({"classifier": Softmax(strength=1.0, standardise=False)}),
})  # fmt: skip
"""Named settings: ``higgins_score(codes, factors, generator=g, **VARIANTS["locatello-2019"])``. Which columns are
factors (with or without shape) depends on the table and stays with the caller."""


@dataclass(frozen=True)
class HigginsSettings:
    """What a score depends on besides codes and random numbers; the arguments of :func:`higgins_score`."""

    which: tuple[int, ...]
    pairs: int
    train_votes: int
    test_votes: int
    classifier: Softmax | Adagrad


@dataclass(frozen=True)
class Higgins:
    r"""A score and how sure it is.

    Attributes:
        score: accuracy on the test votes.
        standard_error: of the test votes alone, for this classifier, :math:`\sqrt{p (1 - p) / B}` with
            :math:`p = (\mathrm{hits} + 1) / (B + 2)` (so that a perfect score is not taken for certain). Training votes
            vary besides: :func:`higgins_scores`.
        chance: 1/K.
        train_score: accuracy on the training votes.
        settings: :class:`HigginsSettings`.
    """

    score: float
    standard_error: float
    chance: float
    train_score: float
    settings: HigginsSettings


@dataclass(frozen=True)
class Scores:
    r"""Many scores in two summaries: all of them, and the paper's protocol without the lower half.

    ``spread`` is the standard deviation of the scores, ``standard_error`` of their mean if they are independent
    (three classifiers of one model are not). ``upper_*`` are over the scores kept. The protocol is biased upwards:
    normal scores of spread s by :math:`s\sqrt{2/\pi} = 0.80 s`.
    """

    mean: float
    spread: float
    standard_error: float
    upper_mean: float
    upper_spread: float
    count: int
    kept: int


def higgins_score(
    codes: Tensor | CodeSource,
    factors: Tensor | FactorIndex,
    *,
    generator: torch.Generator,
    which: Sequence[int] | None = None,
    pairs: int = 64,
    train_votes: int = 10_000,
    test_votes: int = 5_000,
    classifier: Softmax | Adagrad | None = None,
) -> Higgins:
    r"""Score codes by Higgins et al. (2017), section 3; the module's head says which settings are known and how.

    Args:
        codes: ``(N, D)``, the posterior means of N images, encoded once; or a source with ``codes[index] -> (batch,
            D)``.
        factors: ``(N, K)`` integers, or :func:`elbo.disentanglement.factor_index` of them.
        generator: for factors, pairs and the classifier's start; the same generator and codes of the same
            dtype give the same score.
        which: columns that count as factors, by default all that vary. Without shape on dSprites: ``(2, 3, 4, 5)``.
        pairs: L. More pairs make a vote less noisy and the score higher.
        train_votes, test_votes: how many votes the classifier learns from, and is tested on.
        classifier: by default ``Softmax()``: fitted to the end on standardised votes, so that neither a unit nor a
            number of steps decides. ``VARIANTS`` holds others.

    Returns:
        :class:`Higgins`. Cost: ``2 * pairs * (train_votes + test_votes)`` rows gathered, no encoder.

    Raises:
        ValueError: codes with NaN or of another length, factors that are no integers, fewer than two factors, numbers
            below 1, or a factor without a training vote.
    """
    if min(pairs, train_votes, test_votes) < 1:
        raise ValueError(f"pairs, train_votes, test_votes must be at least 1, got {pairs}, {train_votes}, {test_votes}")
    index = factor_index(factors, which)
    classes = len(index.sizes)
    classifier = classifier if classifier is not None else Softmax()
    votes, labels = draw_votes(codes, index, train_votes + test_votes, pairs=pairs, generator=generator)
    if len(labels[:train_votes].unique()) < classes:
        raise ValueError(f"a factor of {classes} has no vote to learn from; raise train_votes above {train_votes}")
    rule = classifier.fit(votes[:train_votes], labels[:train_votes], classes, generator)
    right = (rule.predict(votes) == labels).double()
    score = right[train_votes:].mean().item()
    return Higgins(
        score=score,
        standard_error=binomial_error(score, test_votes),
        chance=1 / classes,
        train_score=right[:train_votes].mean().item(),
        settings=HigginsSettings(index.columns, pairs, train_votes, test_votes, classifier),
    )


def draw_votes(
    codes: Tensor | CodeSource, factors: Tensor | FactorIndex, count: int, *, pairs: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    r"""Draw ``count`` votes: :math:`z_{\mathrm{diff}}` ``(count, D)`` and the factor that was shared ``(count,)``.

    All row numbers are drawn first, the codes then gathered in pieces, so that the piece size does not change the
    votes.
    """
    index = factor_index(factors)
    codes = check_codes(codes, index, table=False)
    y = torch.randint(len(index.sizes), (count,), generator=generator, device=generator.device).to(index.order.device)
    rows = draw_rows(index, (count, pairs), generator)
    others = partners(index, y.unsqueeze(1), rows, generator)
    width = select(codes, rows[0, :1]).shape[-1]
    step = max(1, ROOM // (pairs * width))
    pieces = zip(rows.split(step), others.split(step), strict=True)
    votes = torch.cat([(select(codes, one) - select(codes, two)).abs().mean(1) for one, two in pieces])
    return votes, y.to(votes.device)


def higgins_scores(
    codes: Tensor | CodeSource,
    factors: Tensor | FactorIndex,
    *,
    generators: Iterable[torch.Generator],
    which: Sequence[int] | None = None,
    **settings,
) -> tuple[Higgins, ...]:
    """Score the same codes once a generator: fresh votes, a fresh classifier; settings as :func:`higgins_score`."""
    index = factor_index(factors, which)
    return tuple(higgins_score(codes, index, generator=generator, **settings) for generator in generators)


def upper_half(scores: Sequence[float]) -> Scores:
    """Summarise scores with and without the paper's protocol, which drops the lower half (of an odd number the
    smaller part).

    Higgins et al. (2017), appendix A.4, as it stood under review: thirty scores, ten models times three classifiers,
    the lowest half discarded against runs that diverged. Here it stands beside the plain mean; see :class:`Scores` for
    its bias.

    Raises:
        ValueError: fewer than two scores, or one that is not finite.
    """
    values = torch.tensor([float(score) for score in scores], dtype=torch.float64).sort().values
    if len(values) < 2 or not bool(values.isfinite().all()):
        raise ValueError(f"the protocol needs at least two finite scores, got {len(values)}; drop diverged runs first")
    upper = values[len(values) // 2 :]
    spread = values.std().item()
    upper_spread = upper.std().item() if len(upper) > 1 else math.nan
    error = spread / math.sqrt(len(values))
    return Scores(values.mean().item(), spread, error, upper.mean().item(), upper_spread, len(values), len(upper))


def binomial_error(score: float, count: int) -> float:
    """Standard error of an accuracy over ``count`` independent votes, with one hit and one miss added."""
    p = (score * count + 1) / (count + 2)
    return math.sqrt(p * (1 - p) / count)
