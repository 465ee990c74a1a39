"""A training of two small models, for tests that stop it and go on, in this process and in others."""

from __future__ import annotations

import torch

from elbo.training import Adam, Noise, fit

__all__ = ["data", "loss", "train"]


def loss(params, x, noise, scalars):
    return (torch.tanh(x + noise["eps"]) @ params["w"] - scalars["target"]).square().mean()


def data():
    return torch.randn(60, 4, generator=torch.Generator().manual_seed(1))


def train(steps, checkpoint=None, seeds=(3, 4), optimiser=Adam(0.01), block=10, data=data, **options):
    params = {"w": torch.linspace(-1, 1, 4).repeat(len(seeds), 1)}
    return fit(
        loss, params, data(), seeds=seeds, steps=steps, batch_size=5, noise={"eps": Noise("normal", (5, 4))},
        scalars={"target": 0.5}, optimiser=optimiser, block=block, compile=False, checkpoint=checkpoint,
        checkpoint_seconds=0, **options,
    )  # fmt: skip
