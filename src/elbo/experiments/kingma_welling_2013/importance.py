"""Does the gradient of the encoder drown as the bound gets tighter? Plain and doubly
reparameterised gradients by number of draws.
"""

from __future__ import annotations

import pandas as pd
import torch

from elbo.experiments.kingma_welling_2013.gradients import between, independent_model
from elbo.inference.score_function import importance_gradients
from elbo.models import linear_gaussian

__all__ = ["gradient_signal"]


def gradient_signal(
    *,
    draws: tuple[int, ...] = (1, 4, 16, 64, 256),
    latent_dim: int = 4,
    share: float = 0.5,
    data: int = 16,
    repeats: int = 400,
    seed: int = 0,
) -> pd.DataFrame:
    r"""The signal-to-noise ratio of the gradient of the importance-weighted bound in the parameters of ``q``.

    On the twin whose posterior is a diagonal Gaussian, at a ``q`` that is ``share`` of the way from it to the prior.
    The signal is the length of the mean gradient (over the repetitions of the quieter estimator), the noise the root of
    the trace of the covariance of one estimate. Rainforth et al. (2018): the plain ratio falls as :math:`1/\sqrt k`;
    Tucker et al. (2019): the doubly reparameterised one grows as :math:`\sqrt k` where k is large.

    Returns:
        One row a number of draws and estimator (``plain``, ``doubly``): ``ratio``, ``noise``, ``signal`` (root mean
        squares over the data), ``bias_z``, the difference of the two means in standard errors, root mean square over
        coordinates and data.
    """
    generator = torch.Generator().manual_seed(seed)
    model = independent_model(latent_dim, generator)
    x, _ = linear_gaussian.sample(model, data, generator)
    mean, log_var = between(model, x, share)

    def log_joint(z):
        return linear_gaussian.log_joint(model, x, z)

    rows = []
    for k in draws:
        found = []
        for _ in range(repeats):
            eps = torch.randn(k, data, latent_dim, generator=generator, dtype=torch.float64)
            found.append(
                torch.stack([torch.cat(each, -1) for each in importance_gradients(log_joint, mean, log_var, eps)])
            )
        drawn = torch.stack(found)  # (repeats, estimator, data, 2 latent_dim)
        variance, centre = drawn.var(0), drawn.mean(0)
        signal = centre[1].square().sum(-1).mean().sqrt().item()
        z = (centre[0] - centre[1]) / ((drawn[:, 0] - drawn[:, 1]).var(0) / repeats).sqrt()
        for number, name in enumerate(("plain", "doubly")):
            noise = variance[number].sum(-1).mean().sqrt().item()
            about = {"draws": k, "estimator": name, "ratio": signal / noise, "noise": noise, "signal": signal}
            rows.append(about | {"bias_z": z.square().mean().sqrt().item()})
    return pd.DataFrame(rows)
