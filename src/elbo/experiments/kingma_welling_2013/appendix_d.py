"""Appendix D's estimator on one model where the marginal likelihood is an integral: chains that start at draws from the
prior, as ours did, and at draws from the encoder, which is the favourable way."""

from __future__ import annotations

from functools import partial

import pandas as pd
import torch

from elbo.data import load
from elbo.estimators.marginal_likelihood import gelfand_dey
from elbo.experiments.kingma_welling_2013.evidence import evidence_curve, grid_evidence
from elbo.models.vae import VAE

__all__ = ["appendix_d"]


def appendix_d(*, samples: int = 1_000_000, images: int = 300, draws: int = 50, seeds: tuple[int, ...] = (0, 1, 2)):
    """Estimates less quadrature for AEVB with the paper's network of figure 3 (100 hidden units, 3 latents) on 1,000
    images.

    Four leapfrog steps, 90 % acceptance, 50 transitions to warm up, ``draws`` to fit and as many to average, one chain
    an
    image: the paper gives the first two and 50 draws, and does not say where its chains start.

    Returns:
        One row a training seed and ``start`` (``prior`` or ``encoder``): ``off``, the mean over test images of the
        estimate minus the integral, its standard error ``off_se`` over images, ``median`` and ``worst`` of that
        difference (nats), ``images``, ``draws``, ``samples``.
    """
    train, test = (load("mnist", split=split, binarise="threshold").images for split in ("train-50000", "test"))
    x, rows = test[:images], []
    model = VAE(train.shape[1], 100, latent_dim=3)
    for seed in seeds:
        trained, _ = evidence_curve(
            "aevb",
            model,
            train[:1000],
            {"test": x[:10]},
            samples=samples,
            at=[samples],
            learning_rate=0.02,
            seeds=[seed],
        )
        params = {name: param.detach().cpu() for name, param in trained.member(0).items()}
        exact = grid_evidence(model, params, x).double()
        mean, log_var = model.encode(params, x)
        for start in ("prior", "encoder"):
            generator = torch.Generator().manual_seed(seed)
            noise = torch.randn(1, *mean.shape, generator=generator)
            initial = noise if start == "prior" else mean + torch.exp(0.5 * log_var) * noise
            found = gelfand_dey(
                partial(model.log_joint, params, x), initial, draws=draws, warmup=50, generator=generator
            )
            off = found.log_evidence.double() - exact
            about = {
                "off": off.mean(),
                "off_se": off.std() / images**0.5,
                "median": off.median(),
                "worst": off[off.abs().argmax()],
            }
            rows.append({"seed": seed, "start": start} | {name: float(value) for name, value in about.items()})
    table = pd.DataFrame(rows).assign(images=images, draws=draws, samples=samples)
    return table.round({"off": 4, "off_se": 4, "median": 4, "worst": 4})
