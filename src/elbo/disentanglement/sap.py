"""Separated attribute predictability: by how much is the best code better than the next? Kumar et al. (2018)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from sklearn.svm import LinearSVC
from torch import Tensor

from elbo.disentanglement.table import FactorIndex, check_codes, factor_index

__all__ = ["Sap", "sap"]


@dataclass(frozen=True)
class Sap:
    """``score``: the mean of ``gaps`` ``(K,)``; ``predictability`` ``(D, K)``: squared correlation, or accuracy."""

    score: float
    gaps: Tensor
    predictability: Tensor


def sap(
    codes: Tensor,
    factors: Tensor | FactorIndex,
    *,
    generator: torch.Generator,
    which: Sequence[int] | None = None,
    categorical: Sequence[int] = (),
    train_rows: int = 10_000,
    test_rows: int = 5_000,
) -> Sap:
    r"""Gap between the two best single-dimension predictors of each factor.

    .. math:: \mathrm{SAP} = \frac1K \sum_k (S_{d_1 k} - S_{d_2 k}), \qquad
              S_{dk} = \frac{\mathrm{Cov}(z_d, v_k)^2}{\mathrm{Var}(z_d)\, \mathrm{Var}(v_k)}

    for an ordered factor, and the accuracy of a linear classifier on held-out rows for a categorical one. Kumar et al.
    (2018), section 3. The classifier is the support vector machine of ``disentanglement_lib`` (C = 0.01, balanced
    classes), which on dSprites takes *all* factors as categorical: ``categorical=index.columns``.

    Args:
        codes: ``(N, D)`` with D at least 2; factors, which: as for :func:`elbo.disentanglement.higgins_score`. An
            ordered factor counts by its index, not by its value; a circular one (orientation) is not linear in it.
        generator: for the rows of the classifier; not used without categorical columns.
        categorical: columns of the table that have no order.
        train_rows, test_rows: drawn with replacement, for categorical columns only.

    Returns:
        :class:`Sap`; exact for the table where all factors are ordered.

    Raises:
        ValueError: fewer than two dimensions, NaN, a categorical column that is not among the factors, row numbers
            below 1.
    """
    index = factor_index(factors, which)
    codes = check_codes(codes, index, dims=2)
    if not set(categorical) <= set(index.columns):
        raise ValueError(f"categorical columns {tuple(categorical)} must be among the factors {index.columns}")
    if min(train_rows, test_rows) < 1:
        raise ValueError(f"train_rows and test_rows must be at least 1, got {train_rows} and {test_rows}")
    scores = _squared_correlation(codes.double(), index.labels.double())
    for k in (index.columns.index(column) for column in categorical):
        rows = torch.randint(len(codes), (train_rows + test_rows,), generator=generator, device=generator.device)
        rows = rows.to(codes.device)
        labels = index.labels[rows, k]
        if len(labels[:train_rows].unique()) < 2:
            raise ValueError(f"the training rows show a single value of column {index.columns[k]}; raise train_rows")
        for d in range(codes.shape[1]):
            scores[d, k] = _accuracy(codes[rows, d].double(), labels, train_rows)
    best = scores.topk(2, dim=0).values
    gaps = best[0] - best[1]
    return Sap(gaps.mean().item(), gaps, scores)


def _squared_correlation(z: Tensor, v: Tensor) -> Tensor:
    """``(N, D), (N, K) -> (D, K)``; zero for a constant dimension."""
    constant = (z == z[:1]).all(0)
    z, v = z - z.mean(0), v - v.mean(0)
    covariance = z.mT @ v
    variances = z.square().sum(0)[:, None] * v.square().sum(0)
    return torch.where(constant[:, None], 0.0, covariance.square() / torch.where(variances > 0, variances, 1.0))


def _accuracy(z: Tensor, labels: Tensor, train: int) -> float:
    z, labels = z.cpu().numpy()[:, None], labels.cpu().numpy()
    model = LinearSVC(C=0.01, class_weight="balanced", random_state=0).fit(z[:train], labels[:train])
    return float(model.score(z[train:], labels[train:]))
