"""What single models do: responses of latents to factors, and traversals."""

from __future__ import annotations

import math

import pandas as pd
import torch

from elbo.experiments.higgins_2017.readings import ACTIVE, dimension_kl
from elbo.experiments.higgins_2017.training import Models

__all__ = ["carriers", "factor_responses", "response_spread", "traversals"]


def factor_responses(models: Models, members: dict[str, int], latents: int = 5) -> pd.DataFrame:
    """Figure 7: the mean of each latent as one factor moves, averaged over all the others.

    Args:
        members: label to member.
        latents: how many, those with the largest average KL first (ties by number).

    Returns:
        Rows ``model, latent`` (its number), ``rank, kl, factor`` (``"position"``, ``"scale"``, ``"orientation"``),
        ``x, y`` (values of the factor; y is NaN but for positions), ``shape`` (1, 2, 3 with orientations, which differ
        in symmetry; 0: averaged) and ``mean``.
    """
    sprites, rows = models.sprites, []
    for label, member in members.items():
        mean, log_var = models.encodings(member)
        each = dimension_kl(mean, log_var)
        order = each.argsort(descending=True, stable=True)[:latents].tolist()
        table = pd.DataFrame(sprites.values.cpu().numpy(), columns=["color", "shape", "scale", "orientation", "x", "y"])
        for rank, latent in enumerate(order):
            table["mean"] = mean[:, latent].double().cpu().numpy()
            about = {"model": label, "latent": latent, "rank": rank, "kl": each[latent].item()}
            place = table.groupby(["x", "y"])["mean"].mean().reset_index().assign(factor="position", shape=0)
            scale = table.groupby("scale")["mean"].mean().reset_index().rename(columns={"scale": "x"})
            turned = table.groupby(["shape", "orientation"])["mean"].mean().reset_index()
            turned = turned.rename(columns={"orientation": "x"}).assign(factor="orientation")
            for part in (place, scale.assign(factor="scale", shape=0), turned):
                rows.append(part.assign(**about))
    return pd.concat(rows, ignore_index=True)


def response_spread(responses: pd.DataFrame) -> pd.DataFrame:
    """How far each latent's mean moves as one factor moves: the standard deviation over the values of the factor of its
    average over all other factors, in units of the prior's standard deviation.

    Args:
        responses: of :func:`factor_responses`. Orientation is taken within each shape, whose symmetries differ.

    Returns:
        Rows ``model, latent, rank, kl, factor`` (shape, scale, orientation, position x, position y), ``column`` (its
        place, from 0) and ``spread``.
    """
    rows = []
    for keys, one in responses.groupby(["model", "latent", "rank", "kl"], sort=False):
        by_factor = {name: part for name, part in one.groupby("factor")}
        place, turned = by_factor["position"], by_factor["orientation"]
        spreads = {
            "shape": turned.groupby("shape")["mean"].mean().std(ddof=0),
            "scale": by_factor["scale"]["mean"].std(ddof=0),
            "orientation": math.sqrt(turned.groupby("shape")["mean"].var(ddof=0).mean()),
            "position x": place.groupby("x")["mean"].mean().std(ddof=0),
            "position y": place.groupby("y")["mean"].mean().std(ddof=0),
        }
        about = dict(zip(("model", "latent", "rank", "kl"), keys))
        rows += [{**about, "factor": name, "column": k, "spread": float(value)}
                 for k, (name, value) in enumerate(spreads.items())]  # fmt: skip
    return pd.DataFrame(rows).sort_values(["model", "rank", "column"], ignore_index=True)


def carriers(spread: pd.DataFrame, model: str) -> str:
    """Which factor moves each latent in use most, of one model of :func:`response_spread`, in words."""
    used = spread[(spread["model"] == model) & (spread["kl"] > ACTIVE)]
    most = used.sort_values("spread", ascending=False).drop_duplicates("latent").sort_values("rank")
    return ", ".join(f"z{line.latent} {line.factor}" for line in most.itertuples()) or "no latent in use"


def traversals(
    models: Models, member: int, *, latents: int = 6, steps: int = 7, reach: float = 2.5, image: int | None = None
) -> pd.DataFrame:
    """Decode one image's mean code with one latent at a time moved from ``-reach`` to ``reach``.

    Args:
        latents: how many at most, those with the largest average KL.
        image: number of the sprite; by default the one in the middle of the grid.

    Returns:
        Rows ``latent`` (its number), ``rank`` (by average KL, largest first), ``kl, step, value, pixel_0, ...``.
    """
    shapes, params = models.model(member)
    mean, log_var = models.encodings(member)
    each = dimension_kl(mean, log_var)
    middle = (models.sprites.factors.amax(0) / 2 - models.sprites.factors).abs().sum(1).argmin().item()
    start = mean[middle if image is None else image]
    values, tables = torch.linspace(-reach, reach, steps, device=start.device), []
    for rank, latent in enumerate(each.argsort(descending=True, stable=True)[:latents].tolist()):
        z = start.repeat(steps, 1)
        z[:, latent] = values
        with torch.no_grad():
            pixels = shapes.decode_mean(params, z).cpu().numpy()
        table = pd.DataFrame(pixels, columns=[f"pixel_{i}" for i in range(pixels.shape[1])])
        about = {"latent": latent, "rank": rank, "kl": each[latent].item()}
        tables.append(table.assign(**about, step=range(steps), value=values.tolist()))
    return pd.concat(tables, ignore_index=True)
