"""A stack of beta-VAEs trained together beside the same models one after another: what stacking is worth.

Both go through the training loop of the package with the same seeds, so that they train the same models; both
take a block of steps in turn, in one process, and the quickest of ``ELBO_BENCH_ROUNDS`` rounds of each counts.
On a shared machine the ratio means something, the absolute numbers less. Random bits stand for the images;
nothing here depends on their values.

On a processor with one thread processor time is taken, else time on the clock; where there is a GPU the same is
measured there too, the paper's network included (4096-1200-1200-10), whose steps are captured as a graph in either
case. One by one there means a graph replayed for each model in turn.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence

import torch

from elbo.inference.aevb import objective
from elbo.models.vae import VAE
from elbo.training import Adam, Noise, keyed_generator
from elbo.training.run import Run, advancer, prepare

BATCH, COUNT, BLOCK, LATENT = 64, 4_000, 20, 10
ROUNDS = int(os.environ.get("ELBO_BENCH_ROUNDS", 10))
SMALL, LARGE = {"pixels": 256, "hidden": 128}, {"pixels": 4096, "hidden": 1200}

Burst = Callable[[], None]


def run() -> list[dict[str, object]]:
    """One row a device, network and number of models: milliseconds a step of one model, and the ratio."""
    rows = [row("cpu", SMALL, members) for members in (1, 4, 16, 50)]
    if torch.cuda.is_available():
        rows += [row("cuda", SMALL, members) for members in (1, 4, 16, 50)]
        rows += [row("cuda", LARGE, members) for members in (1, 6, 18)]
    return rows


def row(device: str, network: dict[str, int], members: int) -> dict[str, object]:
    """Interleaved rounds of the stack and of its models one after another."""
    seeds = list(range(members))
    stack = burst(device, network, [seeds])
    single = burst(device, network, [[seed] for seed in seeds])
    best = {"stacked": float("inf"), "single": float("inf")}
    for _ in range(ROUNDS):
        for name, one in (("stacked", stack), ("single", single)):
            best[name] = min(best[name], _seconds(one, device) / (BLOCK * members))
    return {
        "device": torch.cuda.get_device_name() if device == "cuda" else "cpu",
        "threads": torch.get_num_threads(),
        "network": f"{network['pixels']}-{network['hidden']}-{network['hidden']}-{LATENT}",
        "models": members,
        "stacked_ms": 1e3 * best["stacked"],
        "one_by_one_ms": 1e3 * best["single"],
        "stacking_is_faster_by": best["single"] / best["stacked"],
    }


def burst(device: str, network: dict[str, int], stacks: Sequence[Sequence[int]]) -> Burst:
    """A block of steps of every stack of these seeds, in order."""
    pixels = network["pixels"]
    model = VAE(
        pixels,
        network["hidden"],
        LATENT,
        activation="relu",
        decoder_activation="tanh",
        encoder_layers=2,
        decoder_layers=3,
    )
    images = (torch.rand(COUNT, pixels, generator=torch.Generator().manual_seed(0)) < 0.2).float().to(device)
    prepared = [stacked(model, images, seeds) for seeds in stacks]
    numbers = iter(range(10**9))

    @torch.no_grad()
    def once() -> None:
        number = next(numbers)
        for state, advance in prepared:
            state.begin(number)
            advance(0, BLOCK)

    return once


def stacked(model: VAE, images: torch.Tensor, seeds: Sequence[int]) -> tuple[Run, Callable[[int, int], None]]:
    """The stack of these seeds, ready to train: its state, and what takes steps."""
    starts = [model.init(keyed_generator(images.device, seed, "start"), "glorot") for seed in seeds]
    params = {name: torch.stack([start[name] for start in starts]) for name in starts[0]}
    loss, _ = objective(model, len(images), weight_prior=False)
    noise = {"eps": Noise("normal", (BATCH, model.latent_dim))}
    options = {"batch_size": BATCH, "noise": noise, "scalars": {"beta": 4.0}, "optimiser": Adam(), "block": BLOCK}
    state = prepare(params, images, seeds=seeds, **options)
    with torch.no_grad():
        advance, _ = advancer(state, loss, Adam(), compiled=False)
    return state, advance


def _seconds(once: Burst, device: str) -> float:
    clock = time.process_time if device == "cpu" and torch.get_num_threads() == 1 else time.perf_counter
    if device == "cuda":
        torch.cuda.synchronize()
    start = clock()
    once()
    if device == "cuda":
        torch.cuda.synchronize()
    return clock() - start
