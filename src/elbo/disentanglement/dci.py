"""Disentanglement, completeness, informativeness, from importances of trees; Eastwood & Williams (2018)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier
from torch import Tensor

from elbo.disentanglement.table import FactorIndex, check_codes, factor_index

__all__ = ["Dci", "dci", "dci_from_importance"]


@dataclass(frozen=True)
class Dci:
    """``disentanglement`` and ``completeness`` in [0, 1]; ``informativeness``: mean accuracy on held-out rows and its
    ``standard_error`` from those rows (an error *rate* in the paper's own sense is one minus it); ``importance``
    ``(D, K)``.
    """

    disentanglement: float
    completeness: float
    informativeness: float
    standard_error: float
    importance: Tensor


def dci_from_importance(importance: Tensor) -> tuple[float, float]:
    r"""Disentanglement and completeness of a matrix of importances :math:`R_{dk} \ge 0`.

    .. math:: D = \sum_d \rho_d \Big[1 - H_K\Big(\frac{R_{d\cdot}}{\sum_k R_{dk}}\Big)\Big], \qquad
              C = \sum_k \frac{\sum_d R_{dk}}{\sum R} \Big[1 - H_D\Big(\frac{R_{\cdot k}}{\sum_d R_{dk}}\Big)\Big],

    with :math:`\rho_d = \sum_k R_{dk} / \sum R` and entropies to base K and D. Eastwood & Williams (2018), section
    2; the mean over factors is weighted as in ``disentanglement_lib``. Rows or columns without importance have weight
    zero.

    Raises:
        ValueError: negative or not finite, all zero, or fewer than two rows or columns.
    """
    if importance.dim() != 2 or min(importance.shape) < 2:
        raise ValueError(f"importance must be (D, K), both at least 2, got {tuple(importance.shape)}")
    if not bool((importance.isfinite() & (importance >= 0)).all()) or importance.sum() <= 0:
        raise ValueError("importances must be finite, not negative and not all zero; an empty code has no DCI")
    share = importance.double() / importance.sum()
    return _one_sided(share), _one_sided(share.mT)


def dci(
    codes: Tensor,
    factors: Tensor | FactorIndex,
    *,
    generator: torch.Generator,
    which: Sequence[int] | None = None,
    predictor: str = "forest",
    trees: int = 50,
    train_rows: int = 10_000,
    test_rows: int = 5_000,
) -> Dci:
    """Predict each factor from all codes with trees; read off their importances.

    Args:
        codes: ``(N, D)`` with D at least 2; factors, which: as for :func:`elbo.disentanglement.higgins_score`.
        predictor: ``"forest"``: a random forest (one of the paper's two choices) that looks at all dimensions at each
            split, so that a useless one gets no importance by default; ``"boosting"``: scikit-learn's gradient
            boosting with its defaults, as in ``disentanglement_lib`` (100 trees *a class*: minutes on dSprites).
        trees: of the forest.
        train_rows, test_rows: drawn without replacement, disjoint; together at most N.

    Returns:
        :class:`Dci`.

    Raises:
        ValueError: an unknown predictor, more rows than the table has, NaN, fewer than two dimensions, a constant code.
    """
    index = factor_index(factors, which)
    codes = check_codes(codes, index, dims=2)
    if predictor not in ("forest", "boosting"):
        raise ValueError(f"predictor must be 'forest' or 'boosting', got {predictor!r}")
    if min(train_rows, test_rows, trees) < 1 or train_rows + test_rows > len(codes):
        asked = f"train_rows={train_rows}, test_rows={test_rows}, trees={trees}"
        raise ValueError(f"rows and trees must be at least 1, all rows at most the table's {len(codes)}, got {asked}")
    rows = torch.randperm(len(codes), generator=generator, device=generator.device)[: train_rows + test_rows]
    rows = rows.to(codes.device)
    seeds = torch.randint(2**31 - 1, (len(index.sizes),), generator=generator, device=generator.device).tolist()
    x, labels = codes[rows].double().cpu().numpy(), index.labels[rows].cpu().numpy()
    importance = torch.zeros(codes.shape[1], len(index.sizes), dtype=torch.float64)
    right = torch.zeros(test_rows, len(index.sizes), dtype=torch.float64)
    for k, seed in enumerate(seeds):
        if predictor == "forest":
            model = RandomForestClassifier(trees, max_features=None, random_state=seed)
        else:
            model = GradientBoostingClassifier(random_state=seed)
        y = labels[:, k]
        if (y[:train_rows] == y[0]).all():
            raise ValueError(f"the training rows show a single value of column {index.columns[k]}; raise train_rows")
        model.fit(x[:train_rows], y[:train_rows])
        importance[:, k] = torch.from_numpy(model.feature_importances_).abs()  # rounding leaves -1e-18 at times
        right[:, k] = torch.from_numpy(model.predict(x[train_rows:]) == y[train_rows:])
    disentanglement, completeness = dci_from_importance(importance)
    each = right.mean(1)
    error = each.std().item() / math.sqrt(test_rows) if test_rows > 1 else math.inf
    return Dci(disentanglement, completeness, each.mean().item(), error, importance.to(codes.device))


def _one_sided(share: Tensor) -> float:
    """Weighted mean over rows of one minus the rows' entropy, to the base of their length."""
    weight = share.sum(1)
    rows = share / torch.where(weight > 0, weight, 1.0)[:, None]
    entropy = torch.special.entr(rows).sum(1) / math.log(share.shape[1])
    return (weight * (1 - entropy)).sum().item()
