"""What single models do: responses of latents to factors, and traversals."""

from __future__ import annotations

import pandas as pd
import torch

from elbo.experiments.higgins_2017.readings import ACTIVE, dimension_kl
from elbo.experiments.higgins_2017.training import Models

__all__ = ["carriers", "factor_responses", "traversals"]


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


def carriers(responses: pd.DataFrame) -> str:
    """Which share of the variance of its own average response each latent in use shows to position, scale and orientation,
    the largest of them named.

    The variance of a latent's mean over a factor's values, relative to the sum over the three, with orientation taken
    within each shape. It sees averages only, as the figure does.
    """
    sentences = []
    for label, part in responses.groupby("model", sort=False):
        words = []
        for (_, latent), one in part[part["kl"] > ACTIVE].groupby(["rank", "latent"]):
            spread = {name: _spread(one[one["factor"] == name]) for name in ("position", "scale", "orientation")}
            most = max(spread, key=spread.get)
            words.append(f"z{latent} {most} ({100 * spread[most] / max(sum(spread.values()), 1e-12):.0f} %)")
        sentences.append(f"{label}: {', '.join(words) or 'no latent in use'}")
    return "Of what each latent's averages vary, most goes with: " + "; ".join(sentences) + "."


def _spread(one: pd.DataFrame) -> float:
    return float(one.groupby("shape")["mean"].var(ddof=0).mean()) if len(one) else 0.0


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
