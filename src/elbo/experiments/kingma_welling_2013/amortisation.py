"""What the encoder costs: the gap of the bound, split into what a Gaussian costs and what amortisation adds."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import pandas as pd
import torch
from torch import Tensor

from elbo.data import Dataset
from elbo.densities import gaussian_log_prob
from elbo.experiments.kingma_welling_2013.training import some_images
from elbo.inference.sgvb import reparameterise
from elbo.inference.stack import Trained
from elbo.models.vae import Params

__all__ = ["amortisation_gap", "best_gaussian", "gap_by_size", "posterior_of_one"]

LogJoint = Callable[[Tensor], Tensor]


def best_gaussian(
    log_joint: LogJoint,
    mean: Tensor,
    log_var: Tensor,
    generator: torch.Generator,
    *,
    steps: int = 200,
    draws: int = 8,
    learning_rate: float = 0.05,
) -> tuple[Tensor, Tensor]:
    r"""The diagonal Gaussian with the highest bound for each datum, found by gradient ascent from a start.

    The gradient is that of the path alone (Roeder, Wu & Duvenaud, 2017), whose noise goes away as ``q`` comes near the
    posterior; Adam, its step falling to zero.

    Args:
        log_joint: log p(x, z) of every datum, ``(draws, batch, D) -> (draws, batch)`` nats.
        mean, log_var: where to start, ``(batch, D)``: the encoder's answer.

    Returns:
        Mean and log-variance, ``(batch, D)``. Nothing says that the optimum is the only one: a start can lie beside
        another mode.
    """
    mean, log_var = (value.detach().clone().requires_grad_() for value in (mean, log_var))
    optimiser = torch.optim.Adam([mean, log_var], learning_rate)
    decay = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: 1 - step / steps)
    for _ in range(steps):
        eps = torch.randn(draws, *mean.shape, generator=generator, dtype=mean.dtype)
        z = reparameterise(mean, log_var, eps)  # (draws, batch, D)
        log_q = gaussian_log_prob(z, mean.detach(), log_var.detach())
        optimiser.zero_grad()
        (log_q - log_joint(z)).mean(0).sum().backward()
        optimiser.step()
        decay.step()
    return mean.detach(), log_var.detach()


def amortisation_gap(
    trained: Trained, test: Dataset, *, images: int = 60, draws: int = 1000, steps: int = 200, seed: int = 0
) -> pd.DataFrame:
    r"""The gap of every trained model, image by image: :math:`\log p(x) - L = (\log p - L_{best}) + (L_{best} - L)`.

    The first part is the price of the family (the *approximation gap*), the second that of the encoder (the
    *amortisation gap*); Cremer, Li & Duvenaud (2018). Both bounds are means over the same ``draws``;
    log p(x) is the importance-weighted bound of as many draws from the best Gaussian, so a little too low.

    Returns:
        One row a latent size, seed and test image: ``log_evidence``, ``best`` and ``encoder`` (nats), and the two gaps
        ``approximation`` and ``amortisation``.
    """
    tables = []
    for member, size in enumerate(trained.latent_dims):
        model, params = trained.member_model(member), _parameters(trained, member)
        generator = torch.Generator().manual_seed(seed)
        x = some_images(test, images, generator)
        log_joint = partial(model.log_joint, params, x)
        with torch.no_grad():
            start = model.encode(params, x)
        best = best_gaussian(log_joint, *start, generator, steps=steps)
        eps = torch.randn(draws, *start[0].shape, generator=generator)
        encoder, better = (_log_weights(log_joint, *q, eps) for q in (start, best))
        found = {
            "latent_dim": size,
            "seed": trained.seeds[member],
            "image": range(len(x)),
            "encoder": encoder.mean(0),
            "best": better.mean(0),
            "log_evidence": torch.logsumexp(better, 0) - math.log(draws),
        }
        tables.append(pd.DataFrame(found))
    table = pd.concat(tables, ignore_index=True)
    return table.assign(approximation=table.log_evidence - table.best, amortisation=table.best - table.encoder)


def _parameters(trained: Trained, member: int) -> Params:
    return {name: param.detach().cpu() for name, param in trained.member(member).items()}


def _log_weights(log_joint: LogJoint, mean: Tensor, log_var: Tensor, eps: Tensor) -> Tensor:
    with torch.no_grad():
        z = reparameterise(mean, log_var, eps)
        return (log_joint(z) - gaussian_log_prob(z, mean, log_var)).double()  # (draws, batch)


def gap_by_size(table: pd.DataFrame) -> pd.DataFrame:
    """Means of the two gaps over images and seeds, with standard errors over images (each the mean over its seeds).

    Args:
        table: from :func:`amortisation_gap`.
    """
    columns = ["approximation", "amortisation"]
    by_image = table.groupby(["latent_dim", "image"])[columns].mean().groupby("latent_dim")
    return pd.concat([by_image.mean(), by_image.sem().add_suffix("_se")], axis=1).reset_index()


def posterior_of_one(
    trained: Trained, test: Dataset, table: pd.DataFrame, *, side: int = 41, seed: int = 0, images: int = 60
) -> pd.DataFrame:
    """The exact posterior of one test image under the model of two latents, with the encoder's Gaussian and the best
    one.

    The image is the one at the 85th percentile of the amortisation gaps: a gap that can be seen and is not rare.

    Args:
        table: from :func:`amortisation_gap`, of the same ``images`` and ``seed``.

    Returns:
        ``side * side`` rows ``panel`` "grid": ``z_1, z_2, density``; two rows "gaussian", ``name`` (``encoder``,
        ``best``): ``mean_1, mean_2, sd_1, sd_2``; both with the two gaps of the image.
    """
    member = trained.latent_dims.index(2)
    own = table[(table.latent_dim == 2) & (table.seed == trained.seeds[member])].reset_index(drop=True)
    row = own.sort_values("amortisation").iloc[round(0.85 * (len(own) - 1))]
    model, params = trained.member_model(member), _parameters(trained, member)
    generator = torch.Generator().manual_seed(seed)
    x = some_images(test, images, generator)[int(row.image)][None]
    log_joint = partial(model.log_joint, params, x)
    with torch.no_grad():
        start = model.encode(params, x)
    best = best_gaussian(log_joint, *start, generator)
    sd = torch.stack([(0.5 * log_var).exp()[0] for _, log_var in (start, best)])
    centre = torch.stack([start[0][0], best[0][0]])
    low, high = (centre - 4 * sd).min(0).values, (centre + 4 * sd).max(0).values
    half = (high - low).max() / 2
    axes = [torch.linspace(float(m - half), float(m + half), side) for m in (low + high) / 2]
    z = torch.cartesian_prod(*axes)
    with torch.no_grad():
        log_p = log_joint(z[:, None]).squeeze(-1).double()
    density = (log_p - log_p.max()).exp()
    gaps = {"approximation": row.approximation, "amortisation": row.amortisation}
    grid = pd.DataFrame({"panel": "grid", "z_1": z[:, 0], "z_2": z[:, 1], "density": density})
    shapes = [
        {"panel": "gaussian", "name": name}
        | {f"mean_{d + 1}": float(m[d]) for d in range(2)}
        | {f"sd_{d + 1}": float(s[d]) for d in range(2)}
        for name, m, s in (("encoder", centre[0], sd[0]), ("best", centre[1], sd[1]))
    ]
    return pd.concat([grid, pd.DataFrame(shapes)], ignore_index=True).assign(**gaps)
