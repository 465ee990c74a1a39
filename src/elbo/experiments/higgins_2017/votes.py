"""What the metric looks at: the factors of dSprites, the pairs of one vote, and the votes of each factor on average."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import torch
from torch import Tensor

from elbo.data import Sprites
from elbo.disentanglement import draw_votes, factor_index
from elbo.disentanglement.table import draw_rows, partners
from elbo.experiments.higgins_2017.scores import varying
from elbo.experiments.higgins_2017.training import Models

__all__ = ["FACTORS", "average_votes", "one_vote", "sprite_sheet", "vote_images"]

FACTORS = {1: "shape", 2: "scale", 3: "orientation", 4: "position x", 5: "position y"}
"""Columns of the factors of dSprites by name."""


def sprite_sheet(images: Sprites, steps: int = 8, side: int = 32) -> pd.DataFrame:
    """One row a factor, as it alone moves through its values, all else fixed.

    Returns:
        Rows ``factor, row, step, value`` and ``pixel_0, ...``: blocks of pixels averaged to ``side`` on a side.
    """
    start = torch.tensor([0, 2, 3, 4, 16, 16])
    tables = []
    for row, (column, name) in enumerate(FACTORS.items()):
        size = images.sizes[column]
        last = size - 1 if name != "orientation" else size - size // steps  # the last angle is the first again
        places = torch.linspace(0, last, min(steps, size)).round().long()
        factors = start.repeat(len(places), 1)
        factors[:, column] = places
        block = 64 // side
        tiles = images.render(factors).view(len(places), side, block, side, block).float().mean((2, 4))
        table = _pixels(tiles.flatten(1))
        values = images.values(factors)[:, column].tolist()
        tables.append(table.assign(factor=name, row=row, step=range(len(places)), value=values))
    return pd.concat(tables, ignore_index=True)


def one_vote(
    models: Models, member: int, factor: int, *, pairs: int = 4, latents: int = 5, seed: int = 0
) -> pd.DataFrame:
    """The first pairs of one vote that shares ``factor`` (a column of the factors), coded by one model.

    Returns:
        Rows ``pair, latent`` (its number), ``rank`` (by average KL), ``one, two`` (the mean codes), ``difference``
        (absolute) and ``vote``, the average difference of the latent over these pairs.
    """
    index = factor_index(models.sprites.factors, varying(models))
    rows, others = _pairs(models, factor, pairs, seed)
    mean, order = _ordered(models, member, latents)
    tables = []
    for rank, latent in enumerate(order):
        one, two = mean[rows, latent].double(), mean[others, latent].double()
        table = pd.DataFrame({"pair": range(pairs), "one": one.tolist(), "two": two.tolist()})
        table["difference"] = (table["one"] - table["two"]).abs()
        tables.append(table.assign(latent=latent, rank=rank, vote=table["difference"].mean()))
    assert factor in index.columns
    return pd.concat(tables, ignore_index=True)


def vote_images(models: Models, factor: int, *, pairs: int = 4, seed: int = 0) -> pd.DataFrame:
    """The images of :func:`one_vote`: rows ``pair, image`` (0 or 1) and ``pixel_0, ...``."""
    both = _pairs(models, factor, pairs, seed)
    tables = [_pixels(models.sprites[rows]).assign(pair=range(pairs), image=image) for image, rows in enumerate(both)]
    return pd.concat(tables, ignore_index=True)


def average_votes(
    models: Models, member: int, *, pairs: int = 64, votes: int = 2000, latents: int = 5, seed: int = 0
) -> pd.DataFrame:
    """How a vote looks on average, by the factor that is shared: each number's average difference, relative to its
    average over the votes of all factors (1: the factor does not matter to this number).

    Returns:
        Rows ``code`` (``"the causes themselves"`` or ``"a beta-VAE"``), ``factor`` (name), ``row, rank, label`` of the
        number (a latent, by average KL, or the factor itself) and ``relative``.
    """
    index = factor_index(models.sprites.factors, varying(models))
    mean, order = _ordered(models, member, latents)
    truth = models.sprites.values[:, list(index.columns)]
    codes = {
        "the causes themselves": (truth, [FACTORS[column] for column in index.columns]),
        "a beta-VAE": (mean[:, order], [f"z{latent}" for latent in order]),
    }
    rows = []
    for code, (numbers, labels) in codes.items():
        generator = torch.Generator().manual_seed(seed)
        found, shared = draw_votes(numbers, index, votes, pairs=pairs, generator=generator)
        by_factor = torch.stack([found[shared == k].double().mean(0) for k in range(len(index.sizes))])  # (K, D)
        relative = by_factor / by_factor.mean(0).clamp_min(1e-12)
        rows += [
            {
                "code": code,
                "factor": FACTORS[column],
                "row": k,
                "rank": d,
                "label": label,
                "relative": relative[k, d].item(),
            }
            for k, column in enumerate(index.columns)
            for d, label in enumerate(labels)
        ]
    return pd.DataFrame(rows)


def _pairs(models: Models, factor: int, pairs: int, seed: int) -> tuple[Tensor, Tensor]:
    index = factor_index(models.sprites.factors, varying(models))
    generator = torch.Generator().manual_seed(seed)
    rows = draw_rows(index, (pairs,), generator)
    shared = torch.tensor(index.columns.index(factor), device=rows.device)
    return rows, partners(index, shared, rows, generator)


def _ordered(models: Models, member: int, latents: int) -> tuple[Tensor, Sequence[int]]:
    """Mean codes of all images, and the latents with the largest average KL."""
    from elbo.experiments.higgins_2017.readings import dimension_kl

    mean, log_var = models.encodings(member)
    return mean, dimension_kl(mean, log_var).argsort(descending=True, stable=True)[:latents].tolist()


def _pixels(tiles: Tensor) -> pd.DataFrame:
    return pd.DataFrame(tiles.cpu().numpy(), columns=[f"pixel_{i}" for i in range(tiles.shape[1])])
