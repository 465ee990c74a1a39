"""Whether two devices train the same model: asked before hours are spent on one of them."""

from __future__ import annotations

import torch
from torch import Tensor

from elbo.inference.aevb import objective
from elbo.models.vae import VAE
from elbo.sweep.plan import SweepError
from elbo.training import Adam, Noise, keyed_generator
from elbo.training.run import prepare
from elbo.training.step import make_step

__all__ = ["LARGEST", "losses_on", "require_agreement"]

LARGEST = 1e-3  # nats per datum
STEPS, BATCH, SIZES = 10, 100, (3, 20)


def losses_on(device: str) -> Tensor:
    """The losses of ten steps of AEVB for two small models, ``(steps, members)`` nats per datum, on a device.

    Images, start, minibatches and noise are drawn on the processor, so that they are the same for every device.
    """
    model = VAE(784, 100, max(SIZES))
    images = torch.rand(500, 784, generator=keyed_generator("cpu", "agreement", "images"))
    starts = [model.init(keyed_generator("cpu", "agreement", member)) for member in range(len(SIZES))]
    params = {name: torch.stack([start[name] for start in starts]) for name in starts[0]}
    loss, _ = objective(model, len(images))
    noise = {"eps": Noise("normal", (BATCH, model.latent_dim), SIZES)}
    drawn = prepare(params, images, seeds=range(len(SIZES)), batch_size=BATCH, noise=noise, block=STEPS)
    drawn.begin(0)
    optimiser, target = Adam(), torch.device(device)
    own = {name: param.to(target) for name, param in params.items()}
    state = {name: tensor.to(target) for name, tensor in optimiser.init(params).items()}
    rate, found = torch.full((len(SIZES),), 1e-3, device=target), torch.zeros(STEPS, len(SIZES), device=target)
    step = make_step(loss, optimiser, fused=False)
    with torch.no_grad():
        for at in range(STEPS):
            _, _, _, x, eps, _, _ = drawn.arguments(at)
            beta = {"beta": torch.ones(len(SIZES), device=target)}
            step(own, state, rate, x.to(target), {"eps": eps["eps"].to(target)}, beta, found[at])
    return found.cpu()


def require_agreement(device: str) -> float:
    """Ten steps on the processor and on ``device``; returns the largest difference of a loss, nats per datum.

    Raises:
        SweepError: it exceeds 0.001 nats, or there is no such device.
    """
    try:
        worst = float((losses_on(device) - losses_on("cpu")).abs().max())
    except (RuntimeError, AssertionError) as error:
        raise SweepError(f"no training on {device}: {' '.join(str(error).split())[:150]}") from None
    if not worst <= LARGEST:
        raise SweepError(
            f"{device} and the processor disagree by {worst:.2g} nats after {STEPS} equal steps (at most {LARGEST:g}): "
            "look for reduced precision (torch.set_float32_matmul_precision) before spending time on it"
        )
    return worst
