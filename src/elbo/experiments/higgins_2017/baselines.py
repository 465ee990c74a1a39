"""Higgins et al. (2017): the rows of figure 6 (left) that need no training.

Ground truth, raw pixels, PCA and ICA on dSprites, scored by the paper's metric. Scores are fractions, not percent.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import pandas as pd
import torch
from sklearn.decomposition import PCA, FastICA
from sklearn.exceptions import ConvergenceWarning
from torch import Tensor

from elbo.data import Sprites
from elbo.disentanglement import VARIANTS, Adagrad, Softmax, factor_index, higgins_score, upper_half

__all__ = [
    "CLASSIFIERS",
    "LinearCodes",
    "Pixels",
    "linear_codes",
    "published",
    "published_table",
    "scores_without_training",
    "subgrid",
    "summary",
]

ICA_STEPS = 1000
NAMES = ("ground truth", "raw pixels", "PCA", "ICA")
CLASSIFIERS = {
    "softmax": Softmax(),
    "higgins-2017": VARIANTS["higgins-2017"]["classifier"],
    "locatello-2019": VARIANTS["locatello-2019"]["classifier"],
}


@dataclass(frozen=True)
class Pixels:
    """Raw pixels as codes: ``pixels[index]`` renders those rows of a grid, ``(batch, 4096)``."""

    images: Sprites
    rows: Tensor

    def __getitem__(self, index: Tensor) -> Tensor:
        return self.images[self.rows[index]]

    def __len__(self) -> int:
        return len(self.rows)


def subgrid(images: Sprites, every: Sequence[int] = (1, 1, 1, 1, 1)) -> tuple[Tensor, Tensor]:
    """Every so-manieth value of shape, scale, orientation, posX and posY, all combinations.

    Returns:
        Flat indices ``(N,)`` and factor indices ``(N, 6)`` as in ``images.factors``, on the device of the images;
        still a full grid, so that factors are independent.

    Raises:
        ValueError: not five steps of at least 1.
    """
    if len(every) != 5 or min(every) < 1:
        raise ValueError(f"every must be five steps of at least 1, shape to posY, got {tuple(every)}")
    axes = [torch.arange(0, size, step) for size, step in zip(images.sizes, (1, *every), strict=True)]
    factors = torch.cartesian_prod(*axes).to(images.device)
    return images.flat_index(factors), factors


class LinearCodes(NamedTuple):
    """PCA and ICA codes ``(N, components)`` float32 on the CPU, the fraction of the variance that PCA explains, and
    whether ICA converged.
    """

    pca: Tensor
    ica: Tensor
    explained_variance: float
    converged: bool


def linear_codes(
    images: Sprites, rows: Tensor, *, components: int = 10, fit_images: int = 5000, seed: int = 0, chunk: int = 4096
) -> LinearCodes:
    """PCA and ICA codes of all rows, both fitted to the same randomly drawn images.

    ICA is FastICA (parallel, log cosh) on the principal components, which is where it starts anyway. Sprites are not a
    mixture of few independent sources, and it may not converge: then the unmixing depends on its start.

    Returns:
        :class:`LinearCodes`. Each image is rendered and encoded once.

    Raises:
        ValueError: fewer images than components.
    """
    if not 1 <= components < min(fit_images, len(rows)):
        seen = min(fit_images, len(rows))
        raise ValueError(f"components must be at least 1 and below the {seen} images, got {components}")
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randperm(len(rows), generator=generator)[:fit_images].to(rows.device)
    sample = images[rows[drawn]].cpu().numpy()
    pca = PCA(components, svd_solver="randomized", random_state=seed).fit(sample)
    ica = FastICA(components, whiten="unit-variance", random_state=seed, max_iter=ICA_STEPS, tol=1e-3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # reported in the result
        ica.fit(pca.transform(sample))
    directions, mean = torch.from_numpy(pca.components_.T.copy()).float(), torch.from_numpy(pca.mean_).float()
    codes = torch.cat([(images[part].cpu() - mean) @ directions for part in rows.split(chunk)])
    unmixed = torch.from_numpy(ica.transform(codes.numpy())).float()
    return LinearCodes(codes, unmixed, float(pca.explained_variance_ratio_.sum()), ica.n_iter_ < ICA_STEPS)


def scores_without_training(
    images: Sprites,
    *,
    names: Sequence[str] = NAMES,
    which: Sequence[int] = (2, 3, 4, 5),
    every: Sequence[int] = (1, 1, 1, 1, 1),
    classifier: str = "softmax",
    steps: int = 10_000,
    pairs: int = 64,
    train_votes: int = 10_000,
    test_votes: int = 5_000,
    components: int = 10,
    fit_images: int = 5000,
    seeds: Sequence[int] = (0, 1, 2),
) -> pd.DataFrame:
    """Score ground truth, raw pixels, PCA and ICA; figure 6 (left) of Higgins et al. (2017), its rows without training.

    Args:
        images: ``elbo.data.load("dsprites")``.
        names: which rows.
        which: columns of the factors that a vote can share; ``(2, 3, 4, 5)`` leaves out the shape, ``(1, 2, 3, 4,
            5)`` has it. The shape varies in both.
        every: steps through the grid, see :func:`subgrid`; all ones is the whole data set.
        classifier: a name in ``CLASSIFIERS``.
        steps: of Adagrad, for ``"higgins-2017"`` only; not known of the paper, and all scores but the truth's hang on
            it.
        pairs, train_votes, test_votes: as for :func:`elbo.disentanglement.higgins_score`.
        components, fit_images: as for :func:`linear_codes`.
        seeds: one score each: votes, classifier, and the images that PCA and ICA see.

    Returns:
        Rows ``representation``, ``seed`` with ``score``, ``standard_error`` (of the test votes), ``train_score``,
        ``chance``, ``explained_variance`` (PCA and ICA, else NaN) and ``converged`` (of ICA). Scores are fractions.

    Cost: raw pixels render ``2 * pairs * (train_votes + test_votes)`` images a seed and fit 4096 weights a
    factor: most of the time by far. PCA and ICA render each image of the grid once a seed.

    Raises:
        ValueError: an unknown name or classifier; what :func:`subgrid`, :func:`linear_codes` and the metric raise.
    """
    if not set(names) <= set(NAMES) or classifier not in CLASSIFIERS:
        known = f"names come from {NAMES}, classifier from {tuple(CLASSIFIERS)}"
        raise ValueError(f"{known}; got {tuple(names)} and {classifier!r}")
    rows, factors = subgrid(images, every)
    index = factor_index(factors, which)
    rule = CLASSIFIERS[classifier]
    rule = replace(rule, steps=steps) if isinstance(rule, Adagrad) else rule
    votes = {"pairs": pairs, "train_votes": train_votes, "test_votes": test_votes}
    records = []
    for seed in seeds:
        linear = None
        if "PCA" in names or "ICA" in names:
            linear = linear_codes(images, rows, components=components, fit_images=fit_images, seed=seed)
        for name in names:
            codes = _codes(name, images, rows, factors, linear)
            generator = torch.Generator().manual_seed(seed)
            result = higgins_score(codes, index, generator=generator, classifier=rule, **votes)
            found = {"score": result.score, "standard_error": result.standard_error}
            found |= {"train_score": result.train_score, "chance": result.chance}
            found["explained_variance"] = linear.explained_variance if name in ("PCA", "ICA") else math.nan
            found["converged"] = linear.converged if name == "ICA" else True
            records.append({"representation": name, "seed": seed, **found})
    return pd.DataFrame(records)


def _codes(name: str, images: Sprites, rows: Tensor, factors: Tensor, linear: LinearCodes | None) -> Tensor | Pixels:
    if name == "ground truth":
        return images.values(factors)[:, 1:]
    if name == "raw pixels":
        return Pixels(images, rows)
    return (linear.pca if name == "PCA" else linear.ica).to(rows.device)


def summary(scores: pd.DataFrame) -> pd.DataFrame:
    """One row a representation, over its seeds: ``mean, spread, standard_error`` of all, ``upper_mean`` of the upper
    half (the paper's protocol), and ``paper, paper_spread, known`` from :func:`published`. Needs at least two seeds.
    """
    rows = []
    for name, group in scores.groupby("representation", sort=False):
        rows.append({"representation": name, **vars(upper_half(group["score"].tolist()))})
    return pd.DataFrame(rows).merge(published(), on="representation", how="left")


def published() -> pd.DataFrame:
    """The nine scores that Higgins et al. (2017) report in figure 6 (left), as fractions.

    ``known`` is ``"read"``: taken from the text of the version under review (where the figure has another number), not
    from notes on it. What the paper's ``paper_spread`` (its ±) is, it does not say.
    """
    rows = [
        ("ground truth", 1.0, math.nan),
        ("beta-VAE (beta = 4)", 0.9923, 0.001),
        ("DC-IGN", 0.993, 0.001),
        ("PCA", 0.849, 0.004),
        ("InfoGAN", 0.735, 0.009),
        ("VAE (beta = 1)", 0.6158, 0.005),
        ("raw pixels", 0.4575, 0.008),
        ("VAE untrained", 0.4414, 0.025),
        ("ICA", 0.4203, 0.106),
    ]
    return pd.DataFrame(rows, columns=["representation", "paper", "paper_spread"]).assign(known="read")


def published_table() -> pd.DataFrame:
    """:func:`published` as text, in percent, the best first."""
    table = published().sort_values("paper", ascending=False)
    pairs = zip(table["paper"], table["paper_spread"])
    shown = [f"{100 * score:g}" + ("" if math.isnan(spread) else f" ± {100 * spread:.1f}") for score, spread in pairs]
    return pd.DataFrame({"representation": table["representation"], "reported score, %": shown})
