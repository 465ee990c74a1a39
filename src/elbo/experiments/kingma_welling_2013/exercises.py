"""Numbers for the solutions of the exercises that are not in a table of the chapter already."""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from elbo.densities import standard_gaussian_kl
from elbo.experiments.kingma_welling_2013.words import number

__all__ = ["answers", "best_baseline", "solutions"]


def best_baseline(nodes: int = 60, mean: float = 1.0) -> tuple[float, float, float, float]:
    r"""The best constant baseline of the score-function gradient of :math:`E[z^2]`, :math:`z \sim N(\mu, 1)`, in
    :math:`\mu`.

    .. math:: c^* = \frac{E[f s^2]}{E[s^2]} = \mu^2 + 3, \qquad s = z - \mu

    Returns:
        ``c*``, and the variance of one draw without a baseline, with ``c*``, and through the draw (:math:`2z`), all by
        Gauss-Hermite quadrature (exact here).
    """
    points, weight = np.polynomial.hermite_e.hermegauss(nodes)
    s, weight = torch.tensor(points), torch.tensor(weight / (2 * np.pi) ** 0.5)
    f = (mean + s) ** 2

    def average(values: Tensor) -> float:
        return float((weight * values).sum())

    best = average(f * s**2) / average(s**2)
    variance = [average(((f - c) * s) ** 2) - average((f - c) * s) ** 2 for c in (0.0, best)]
    path = average((2 * (mean + s)) ** 2) - average(2 * (mean + s)) ** 2
    return best, *variance, path


def answers() -> dict[str, str]:
    """The numbers of the solutions on paper, by name."""
    kl = standard_gaussian_kl(torch.tensor([[0.5]]), torch.tensor([[0.25]]).log())
    best, plain, with_best, path = best_baseline()
    return {
        "answer-kl": number(float(kl), 3),
        "answer-baseline": number(best, 0),
        "answer-plain": number(plain, 0),
        "answer-with-best": number(with_best, 0),
        "answer-path": number(path, 0),
    }


def solutions(beta: pd.DataFrame, draws: pd.DataFrame) -> dict[str, str]:
    """The numbers of the solutions in code.

    Args:
        beta: two rows, the factor of the penalty 1 and 0: ``held-out bound``, ``penalty``, ``reconstruction``.
        draws: held-out bounds, a column for one draw of many images and one for many draws of few, a row for each seed.
    """
    one, zero = (beta.iloc[row] for row in (0, 1))
    difference = draws.iloc[:, 0] - draws.iloc[:, 1]
    return {
        "solution-penalty-one": number(one.penalty, 1),
        "solution-penalty-zero": number(zero.penalty, 1),
        "solution-gain": number(zero.reconstruction - one.reconstruction, 1),
        "solution-loss": number(one["held-out bound"] - zero["held-out bound"], 1),
        "solution-draws": number(difference.mean(), 2),
        "solution-draws-se": number(difference.sem(), 2),
    }
