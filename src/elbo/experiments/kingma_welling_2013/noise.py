"""The noise of the estimators A and B of the bound."""

from __future__ import annotations

import pandas as pd
import torch
from torch import Tensor

from elbo.experiments.kingma_welling_2013.training import Run, some_images
from elbo.inference.sgvb import ESTIMATORS
from elbo.models.vae import VAE

__all__ = ["estimator_noise"]


def estimator_noise(run: Run, *, draws: int = 64, images: int = 100, seed: int = 0) -> pd.DataFrame:
    """The noise of the estimators A and B (equations 6 and 7) on the same trained models, images and draws.

    The paper says that B "typically has less variance" and shows no measurement; this is one.

    Args:
        draws: single-sample estimates of each image.
        images: test images; one minibatch.

    Returns:
        One row a latent size and estimator, mean over seeds with its standard error (missing for one seed):
        ``value_sd``, the standard deviation of the estimate of one image's bound (nats, root mean square over images),
        and ``gradient_sd``, the root of the trace of the covariance of the minibatch gradient with respect to the
        encoder (nats per unit of weight).
    """
    rows = []
    for member, latent_dim in enumerate(run.trained.latent_dims):
        model, params = run.trained.member_model(member), run.trained.member(member)
        generator = torch.Generator(params["encoder.head.weight"].device).manual_seed(seed)
        x = some_images(run.test, images, generator)
        for name in ESTIMATORS:
            generator.manual_seed(seed)
            value, gradient = _noise(ESTIMATORS[name], model, params, x, draws, generator)
            rows.append({"latent_dim": latent_dim, "estimator": name, "value_sd": value, "gradient_sd": gradient})
    grouped = pd.DataFrame(rows).groupby(["latent_dim", "estimator"])
    mean, error = grouped.mean(), grouped.sem().add_suffix("_se")
    return pd.concat([mean, error], axis=1).reset_index()


def _noise(estimator, model: VAE, params: dict[str, Tensor], x: Tensor, draws: int, generator) -> tuple[float, float]:
    leaves = {name: p.detach().clone().requires_grad_(name.startswith("encoder.")) for name, p in params.items()}
    wanted = [p for p in leaves.values() if p.requires_grad]
    values, total, squares = [], 0.0, 0.0
    for _ in range(draws):
        eps = torch.randn(len(x), model.latent_dim, generator=generator, device=x.device)
        bounds = estimator(model, leaves, x, eps)
        gradient = torch.cat([g.flatten() for g in torch.autograd.grad(bounds.mean(), wanted)]).double()
        values.append(bounds.detach().double())
        total, squares = total + gradient, squares + gradient.square()
    variance = (squares - total.square() / draws) / (draws - 1)
    return torch.stack(values).var(0).mean().sqrt().item(), variance.sum().sqrt().item()
