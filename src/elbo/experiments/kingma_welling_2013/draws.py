"""Draws for an image against images in a minibatch: where the noise of the training gradient comes from."""

from __future__ import annotations

import pandas as pd
import torch
from torch import Tensor

from elbo.experiments.kingma_welling_2013.training import Run
from elbo.inference.aevb import binarise
from elbo.inference.sgvb import sgvb_b
from elbo.models.vae import VAE, Params

__all__ = ["draws_and_batches", "gradient_parts", "image_gradients"]


def image_gradients(model: VAE, params: Params, x: Tensor, eps: Tensor) -> Tensor:
    """The gradient of estimator B in all parameters for every image and draw apart.

    Args:
        x: ``(images, data_dim)``.
        eps: ``(draws, images, latent_dim)``.

    Returns:
        ``(draws, images, parameters)``, nats per unit of weight.
    """
    order = sorted(params)

    def loss(params: Params, image: Tensor, noise: Tensor) -> Tensor:
        return sgvb_b(model, params, image[None], noise[None])[0]

    each = torch.func.vmap(torch.func.grad(loss), in_dims=(None, 0, 0))
    found = [each(params, x, noise) for noise in eps]
    return torch.stack([torch.cat([grads[name].flatten(1) for name in order], 1) for grads in found])


def gradient_parts(gradients: Tensor) -> tuple[float, float]:
    """How much one image's gradient varies: from image to image (its mean over draws), and from draw to draw.

    Both are traces of covariances, estimated without bias from ``(draws, images, parameters)``, as in a one-way
    analysis of variance: the variance of the means over draws still holds ``1 / draws`` of the second, which is taken
    off.
    """
    draws = len(gradients)
    within = gradients.var(0).mean(0).sum()
    between = gradients.mean(0).var(0).sum() - within / draws
    return float(between), float(within)


def draws_and_batches(
    run: Run,
    *,
    latent_dim: int,
    draws: tuple[int, ...] = (1, 2, 5, 10, 20),
    batches: tuple[int, ...] = (10, 30, 100, 300),
    images: int = 100,
    repeats: int = 6,
    seed: int = 0,
) -> pd.DataFrame:
    r"""The noise of the gradient of a minibatch's mean bound by the number of draws L and the size M of the minibatch.

    .. math:: \operatorname{tr} \operatorname{Var} \hat g = \frac1M \left( B + \frac{W}{L} \right)

    with B the variance from image to image and W that from draw to draw of one image, measured on the trained model of
    the first seed.

    Args:
        images, repeats: training images, and draws for each, by which B and W are measured.

    Returns:
        One row a pair ``draws``, ``batch``: ``sd`` (root of the above, nats per unit of weight), ``passes`` (decoder
        passes for a step, L M), ``between`` (B), ``within`` (W), ``latent_dim``.
    """
    member = run.members(latent_dim)[0]
    model = run.trained.member_model(member)
    params = {name: param.detach().cpu() for name, param in run.trained.member(member).items()}
    generator = torch.Generator().manual_seed(seed)
    chosen = torch.randperm(len(run.train), generator=generator)[:images]
    x = run.train.images[chosen]
    if run.train.binarisation == "fresh":
        x = binarise(x, torch.rand(x.shape, generator=generator))
    eps = torch.randn(repeats, len(x), model.latent_dim, generator=generator)
    between, within = gradient_parts(image_gradients(model, params, x, eps).double())
    rows = [
        {"draws": count, "batch": batch, "sd": ((between + within / count) / batch) ** 0.5, "passes": count * batch}
        for count in draws
        for batch in batches
    ]
    return pd.DataFrame(rows).assign(between=between, within=within, latent_dim=latent_dim)
