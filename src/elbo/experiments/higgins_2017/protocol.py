"""The two linear rows of figure 6 (left) as appendix A.3 of Higgins et al. (2017) makes them.

PCA's ten components are whitened; ICA is fitted to each of the three pairs of shapes by itself, and the three scores
are averaged. Everything else is that of :mod:`elbo.experiments.higgins_2017.baselines`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations
from statistics import mean

import pandas as pd
import torch
from torch import Tensor

from elbo.disentanglement import Adagrad, Higgins, factor_index, higgins_score
from elbo.experiments.higgins_2017.baselines import CLASSIFIERS, linear_codes

__all__ = ["PROTOCOL", "linear_rows"]

PROTOCOL = ("PCA", "ICA")


def linear_rows(
    images,
    factors: Tensor,
    *,
    seeds: Sequence[int] = (0, 1, 2),
    steps: int = 1500,
    components: int = 10,
    fit_images: int = 5000,
    pairs: int = 64,
    train_votes: int = 10_000,
    test_votes: int = 5_000,
) -> pd.DataFrame:
    """Scores of whitened PCA, and of ICA on pairs of shapes, with both classifiers.

    Args:
        images: ``images[index] -> (batch, pixels)``.
        factors: ``(N, 6)`` as in ``elbo.data.dsprites``, a full grid with at least two shapes; a vote shares one of
            scale, orientation, posX and posY (K = 4).
        steps: of Adagrad in the second classifier.
        components, fit_images: as for :func:`elbo.experiments.higgins_2017.baselines.linear_codes`.
        pairs, train_votes, test_votes: as for :func:`elbo.disentanglement.higgins_score`.

    Returns:
        Rows ``representation, classifier, seed`` with ``score`` and ``standard_error`` (of the test votes; of ICA the
        mean over the pairs of shapes and its error), ``chance``, ``explained_variance`` (of PCA; of ICA the mean over
        pairs) and ``converged``, the share of the fits of ICA that did.

    Raises:
        ValueError: fewer than two shapes, or what the metric raises.
    """
    shapes = factors[:, 1].unique().tolist()
    if len(shapes) < 2:
        raise ValueError(f"pairs of shapes need at least two shapes, got {len(shapes)}")
    adagrad = CLASSIFIERS["higgins-2017"]
    assert isinstance(adagrad, Adagrad)
    rules = {"softmax": CLASSIFIERS["softmax"], "adagrad": replace(adagrad, steps=steps)}
    votes = {"pairs": pairs, "train_votes": train_votes, "test_votes": test_votes}
    rows = []
    for seed in seeds:
        linear = linear_codes(
            images, torch.arange(len(factors)), components=components, fit_images=fit_images, seed=seed
        )
        whitened = linear.pca / linear.pca.std(0)
        parts = []
        for two in combinations(shapes, 2):
            own = torch.isin(factors[:, 1], torch.tensor(two)).nonzero().flatten()
            count = min(fit_images, len(own))
            parts.append((own, linear_codes(images, own, components=components, fit_images=count, seed=seed)))
        for classifier, rule in rules.items():

            def score(codes: Tensor, rows: Tensor) -> Higgins:
                generator = torch.Generator().manual_seed(seed)  # noqa: B023
                index = factor_index(factors[rows], (2, 3, 4, 5))
                return higgins_score(codes, index, generator=generator, classifier=rule, **votes)  # noqa: B023

            about = {"classifier": classifier, "seed": seed, "chance": 0.25}
            one = score(whitened, torch.arange(len(factors)))
            pca = {"score": one.score, "standard_error": one.standard_error, "converged": 1.0}
            rows.append({"representation": "PCA"} | about | pca | {"explained_variance": linear.explained_variance})
            found = [score(part.ica, own) for own, part in parts]
            ica = {
                "score": mean(each.score for each in found),
                "standard_error": sum(each.standard_error**2 for each in found) ** 0.5 / len(found),
                "converged": mean(float(part.converged) for _, part in parts),
                "explained_variance": mean(part.explained_variance for _, part in parts),
            }
            rows.append({"representation": "ICA"} | about | ica)
    return pd.DataFrame(rows)
