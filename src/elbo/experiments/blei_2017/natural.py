r"""The natural gradient on the smallest example: the means of a factorised Gaussian, one wide and one narrow.

The posterior is :math:`N(\mu_i, \sigma_i^2)` in two coordinates and q has its variances, so that the gap is a quadratic
in the means. Its gradient takes no notice of the widths; the natural gradient, divided by the Fisher information
:math:`1 / \sigma_i^2` of a mean, does.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

__all__ = ["steepest"]


def steepest(
    steps: int = 30,
    natural_rate: float = 0.3,
    deviations: tuple[float, float] = (1.0, 0.15),
    start: tuple[float, float] = (-2.5, 0.5),
    points: int = 81,
) -> pd.DataFrame:
    r"""Gradient and natural-gradient ascent on the bound, from one start to the means (0, 0).

    The gap is :math:`\tfrac12 \sum_i m_i^2 / \sigma_i^2`. The gradient has the best constant rate that there is for a
    quadratic, :math:`2 / (\sigma_1^{-2} + \sigma_2^{-2})`; the natural gradient step is
    :math:`m \leftarrow (1 - \epsilon) m`.

    Returns:
        Tidy frame. ``part = "path"``: ``law`` (gradient, natural), ``step``, ``m1``, ``m2``, ``gap`` (nats), ``rate``.
        ``part = "gap"``: the gap on a grid of means.
    """
    fisher = np.array(deviations) ** -2.0
    rate = 2 / fisher.sum()
    rows = []
    for law, shrink, used in (("gradient", 1 - rate * fisher, rate), ("natural", 1 - natural_rate, natural_rate)):
        for step in range(steps + 1):
            mean = np.array(start) * np.power(shrink, step)
            gap = 0.5 * (fisher * mean**2).sum()
            rows.append(
                {"part": "path", "law": law, "step": step, "m1": mean[0], "m2": mean[1], "gap": gap, "rate": used}
            )
    axis1, axis2 = np.linspace(-3, 1, points), np.linspace(-0.7, 0.7, points)
    grid = np.stack(np.meshgrid(axis1, axis2, indexing="ij"), -1).reshape(-1, 2)
    gap = 0.5 * (fisher * grid**2).sum(-1)
    return pd.concat(
        [pd.DataFrame(rows), pd.DataFrame({"part": "gap", "m1": grid[:, 0], "m2": grid[:, 1], "gap": gap})],
        ignore_index=True,
    )
