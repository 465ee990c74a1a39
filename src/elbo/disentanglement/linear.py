r"""Linear softmax classifiers for the metrics: one fitted to the end, one stepped as the paper did."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from sklearn.linear_model import LogisticRegression
from torch import Tensor

__all__ = ["Adagrad", "LinearRule", "Softmax"]


class LinearRule(NamedTuple):
    r"""The rule :math:`\hat y(x) = \arg\max_k (x W + b)_k`."""

    weight: Tensor  # (D, K)
    bias: Tensor  # (K,)

    def predict(self, x: Tensor) -> Tensor:
        """Classes ``(B,)`` of features ``(B, D)``."""
        return (x.to(self.weight) @ self.weight + self.bias).argmax(1)


@dataclass(frozen=True)
class Softmax:
    r"""Softmax regression fitted until it converges (scikit-learn, L-BFGS).

    .. math:: \min_{W, b}\; -\sum_b \log p(y_b \mid x_b) + \frac{1}{2 C} \|W\|^2

    Of two classes the difference of their weights is penalised instead.

    Attributes:
        strength: :math:`C`; scikit-learn's default is 1, large means no penalty.
        standardise: shift and scale features to mean 0 and variance 1 first, so that the score does not depend on the
            units of a code (constant features stay 0). ``disentanglement_lib`` does not.
    """

    strength: float = 1.0
    standardise: bool = True

    def __post_init__(self) -> None:
        if self.strength <= 0:
            raise ValueError(f"strength must be positive, got {self.strength}; a large one means no penalty")

    def fit(self, x: Tensor, y: Tensor, classes: int, generator: torch.Generator) -> LinearRule:
        """Fit features ``(B, D)`` to classes ``(B,)``; deterministic, the generator is not used."""
        centre, scale = _units(x, self.standardise)
        model = LogisticRegression(C=self.strength, max_iter=2000)
        model.fit(((x.double() - centre) / scale).cpu().numpy(), y.cpu().numpy())
        weight = torch.from_numpy(model.coef_.T.copy()).to(centre)
        bias = torch.from_numpy(model.intercept_.copy()).to(centre)
        if classes == 2:  # scikit-learn keeps one row of logits for two classes
            weight, bias = torch.cat([-weight, weight], 1) / 2, torch.cat([-bias, bias]) / 2
        return _in_units(weight, bias, centre, scale)


@dataclass(frozen=True)
class Adagrad:
    r"""A softmax layer trained by minibatch Adagrad, :math:`W \mathrel{-}= \eta\, g / (\sqrt{\sum g^2} + 10^{-10})`.

    Adagrad at 1e-2 "until convergence" is the paper's; minibatch and number of steps are our choice. Where it stops
    depends on the scale of the features: it is part of the metric, not only a way to compute it.
    """

    learning_rate: float = 1e-2
    batch: int = 10
    steps: int = 10_000
    standardise: bool = False

    def __post_init__(self) -> None:
        if self.learning_rate <= 0 or self.batch < 1 or self.steps < 1:
            raise ValueError(f"learning_rate, batch and steps must be positive, got {self}")

    def fit(self, x: Tensor, y: Tensor, classes: int, generator: torch.Generator) -> LinearRule:
        """Fit features ``(B, D)`` to classes ``(B,)``; start (normal, 0.01) and minibatches come from the generator."""
        centre, scale = _units(x, self.standardise)
        units = torch.cat([(x.double() - centre) / scale, torch.ones_like(x[:, :1]).double()], 1)  # (B, D + 1)
        start = torch.randn(units.shape[1], classes, generator=generator, dtype=torch.float64, device=generator.device)
        weight = 0.01 * start.to(x.device)
        rows = torch.randint(len(x), (self.steps, self.batch), generator=generator, device=generator.device)
        rows = rows.to(x.device)
        target = torch.nn.functional.one_hot(y, classes).double()
        total = torch.zeros_like(weight)
        for row in rows:
            part = units[row]
            gradient = part.mT @ ((part @ weight).softmax(1) - target[row]) / self.batch
            total.addcmul_(gradient, gradient)
            weight -= self.learning_rate * gradient / (total.sqrt() + 1e-10)
        return _in_units(weight[:-1], weight[-1], centre, scale)


def _units(x: Tensor, standardise: bool) -> tuple[Tensor, Tensor]:
    x = x.double()
    if not standardise:
        return torch.zeros_like(x[0]), torch.ones_like(x[0])
    centre, scale = x.mean(0), x.std(0)
    rounding = 1e-12 * x.abs().amax(0)  # a feature that varies less than its own rounding is constant
    return centre, torch.where(scale > rounding, scale, torch.full_like(scale, torch.inf))


def _in_units(weight: Tensor, bias: Tensor, centre: Tensor, scale: Tensor) -> LinearRule:
    """The rule for features as they came: ``((x - centre) / scale) W + b``."""
    weight = weight / scale.unsqueeze(1)
    return LinearRule(weight, bias - centre @ weight)
