"""Figures 4 and 5: what the decoder draws."""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from elbo.experiments.kingma_welling_2013.training import Run, some_images

__all__ = ["manifold", "prior_samples", "reconstructions"]


def prior_samples(run: Run, *, count: int = 25, seed: int = 0) -> pd.DataFrame:
    """Figure 5: expected images of codes from the prior, one row an image: ``latent_dim, tile, pixel_0, ...``, first
    seed."""
    tables = []
    for latent_dim in run.settings.latent_dims:
        member = run.members(latent_dim)[0]
        params = run.trained.member(member)
        generator = torch.Generator("cpu").manual_seed(seed)
        z = torch.randn(count, latent_dim, generator=generator).to(params["decoder.head.weight"].device)
        tables.append(_tiles(run.trained.member_model(member).decode_mean(params, z), latent_dim=latent_dim))
    return pd.concat(tables, ignore_index=True)


def reconstructions(run: Run, *, count: int = 12, seed: int = 0) -> pd.DataFrame:
    """Test images as the models see them and give them back: ``latent_dim`` (0 for the image itself), ``tile, pixel_0,
    ...``.

    A reconstruction is the expected image of one draw from q(z|x), from the model of the first seed.
    """
    device = run.trained.params["decoder.head.weight"].device
    generator = torch.Generator(device).manual_seed(seed)
    x = some_images(run.test, count, generator)
    tables = [_tiles(x, latent_dim=0)]
    for latent_dim in run.settings.latent_dims:
        member = run.members(latent_dim)[0]
        model, params = run.trained.member_model(member), run.trained.member(member)
        mean, log_var = model.encode(params, x)
        z = mean + torch.exp(0.5 * log_var) * torch.randn(mean.shape, generator=generator, device=device)
        tables.append(_tiles(model.decode_mean(params, z), latent_dim=latent_dim))
    return pd.concat(tables, ignore_index=True)


def manifold(run: Run, *, side: int = 15) -> pd.DataFrame:
    """Figure 4: the unit square through the inverse normal CDF, decoded by the model of two latents and the first seed.

    Returns:
        ``side * side`` rows from the top left: the quantiles ``u1`` (left to right) and ``u2`` (bottom to top), ``tile,
        pixel_0, ...``.

    Raises:
        ValueError: no model has two latents.
    """
    if 2 not in run.settings.latent_dims:
        raise ValueError("the manifold needs a model of two latents: put 2 into latent_dims")
    member = run.members(2)[0]
    params = run.trained.member(member)
    quantiles = (torch.arange(side, dtype=torch.float64) + 0.5) / side
    u2, u1 = torch.meshgrid(quantiles.flip(0), quantiles, indexing="ij")
    z = torch.special.ndtri(torch.stack([u1.flatten(), u2.flatten()], -1))
    weight = params["decoder.head.weight"]
    table = _tiles(run.trained.member_model(member).decode_mean(params, z.to(weight)), latent_dim=2)
    table.insert(1, "u1", u1.flatten().numpy())
    table.insert(2, "u2", u2.flatten().numpy())
    return table


def _tiles(images: Tensor, *, latent_dim: int) -> pd.DataFrame:
    pixels = images.detach().double().cpu().numpy().round(3)
    table = pd.DataFrame(pixels, columns=[f"pixel_{i}" for i in range(pixels.shape[1])])
    table.insert(0, "latent_dim", latent_dim)
    table.insert(1, "tile", np.arange(len(table)))
    return table
