"""Clusters of colour histograms: figures 2, 4, 5 and 6 of Blei et al. (2017) on patches of two photographs.

The paper clusters imageCLEF photographs, which cannot be redistributed. Here a datum is a square patch of one of
scikit-learn's two sample photographs, described as in the paper: 192 bins for each of red, green and blue, 576 numbers.
A channel's histogram is scaled to mean one (counts times ``192 / pixels``): log densities depend on this scale, so only
their differences mean something.
"""

from __future__ import annotations

import math
import time
from typing import NamedTuple

import pandas as pd
import torch
from torch import Tensor

from elbo import data
from elbo.inference import cavi, gibbs, hmc, svi
from elbo.inference.assignments import log_predictive, responsibilities
from elbo.models.gaussian_mixture import DiagonalMixture
from elbo.models.mixture_family import Parameters

__all__ = ["ImageFit", "Patches", "clusters", "fit", "held_out", "histograms", "initialisations", "patches"]

CHANNELS = ("red", "green", "blue")
STRIP = 64  # columns of a strip; every third strip of a photograph is held out, and no patch crosses a border


class Patches(NamedTuple):
    """Square patches of the photographs and their colour histograms."""

    pixels: Tensor  # (n, side, side, 3) uint8
    histograms: Tensor  # (n, 3 * bins) float64, mean one in every channel; in float32 the bound would fall by rounding
    photo: Tensor  # (n,) 0 the temple, 1 the flower
    test: Tensor  # (n,) bool


class ImageFit(NamedTuple):
    """CAVI on the training patches from several starts."""

    patches: Patches
    model: DiagonalMixture
    fit: cavi.CaviFit


def patches(side: int = 24, stride: int = 8, bins: int = 192) -> Patches:
    """Overlapping patches within strips of 64 columns; every third strip is held out, so no pixel is both seen and held
    out.
    """
    photos = data.load("photos").images
    photos = photos if photos.ndim == 4 else photos.reshape(2, 427, 640, 3)
    parts, photo, strip = [], [], []
    for index, image in enumerate(photos):
        for number, columns in enumerate(image.split(STRIP, 1)):
            tiles = columns.unfold(0, side, stride).unfold(1, side, stride).permute(0, 1, 3, 4, 2)
            parts.append(tiles.reshape(-1, side, side, 3))
            photo += [index] * len(parts[-1])
            strip += [number] * len(parts[-1])
    pixels = torch.cat(parts)
    slots = pixels.long() * bins // 256 + bins * torch.arange(3)
    ones = torch.ones(slots.flatten(1).shape, dtype=torch.float64)
    counts = torch.zeros(len(pixels), 3 * bins, dtype=torch.float64).scatter_add_(1, slots.flatten(1), ones)
    return Patches(pixels, counts * bins / side**2, torch.tensor(photo), torch.tensor(strip) % 3 == 1)


def histograms(found: Patches, examples: tuple[int, ...] = (900, 4700), together: int = 6) -> pd.DataFrame:
    """Figure 4: two patches and their colour histograms.

    Columns: ``example``, ``kind`` (pixel, bin, or drawn), ``row, column, red, green, blue`` of a pixel (0 to 1), and
    for a bin ``level`` (its middle, 0 to 255), ``channel``, ``height`` (mean one in every channel). A drawn bin is the
    mean of ``together`` neighbours, because 192 lines of one pixel each cannot be read.
    """
    frames = []
    bins = found.histograms.shape[1] // 3
    for example in examples:
        frames.append(_pixels(found.pixels[example]).assign(example=example, kind="pixel"))
        for channel, heights in zip(CHANNELS, found.histograms[example].reshape(3, bins), strict=True):
            level = (torch.arange(bins) + 0.5) * 256 / bins
            for kind, group in (("bin", 1), ("drawn", together)):
                columns = {name: it.reshape(-1, group).mean(1) for name, it in (("level", level), ("height", heights))}
                frames.append(pd.DataFrame(columns).assign(example=example, kind=kind, channel=channel))
    return pd.concat(frames, ignore_index=True)


def fit(
    found: Patches,
    num_components: int = 30,
    num_inits: int = 10,
    iterations: int = 40,
    seed: int = 0,
    device: str = "cpu",
) -> ImageFit:
    """CAVI with the model and prior of appendix B from ``num_inits`` Gaussian starts at once, for a fixed number of
    iterations.
    """
    x = found.histograms[~found.test].to(device)
    model = DiagonalMixture(num_components)
    generator = torch.Generator(device).manual_seed(seed)
    return ImageFit(found, model, cavi.fit(model, x, generator, num_inits=num_inits, max_iters=iterations, tol=0))


def initialisations(run: ImageFit) -> pd.DataFrame:
    """Figure 2: ``init, iteration, seconds`` (of all starts together) ``, elbo, elbo_per_datum``."""
    return run.fit.history


def clusters(
    run: ImageFit, num_clusters: int = 6, num_patches: int = 12, min_size: int = 100, seed: int = 0
) -> pd.DataFrame:
    """Figure 5: patches of some clusters of the best start, drawn at random from training and held-out patches.

    The clusters are chosen by rule: the largest, then each time the one whose mean colour is farthest from those
    chosen, among clusters of at least ``min_size`` patches.

    Columns: ``cluster`` (in order of choice, from 0), ``size`` (patches in it), ``patch``, ``row``, ``column``, ``red,
    green, blue`` (0 to 1).
    """
    found, best = run.patches, cavi.best(run.fit.state)
    x = found.histograms.to(run.fit.state.elbo.device)
    label = responsibilities(run.model, best.q, x)[:, 0].argmax(-1).cpu()
    sizes = torch.bincount(label, minlength=run.model.num_components)
    colour = torch.stack([found.pixels[label == k].float().sum((0, 1, 2)) for k in range(len(sizes))])
    colour = colour / (sizes.clamp_min(1) * found.pixels[0, ..., 0].numel())[:, None]
    chosen = [int(sizes.argmax())]
    while len(chosen) < num_clusters:
        distance = torch.cdist(colour, colour[chosen]).min(1).values
        chosen.append(int(torch.where(sizes >= min_size, distance, -1.0).argmax()))
    generator = torch.Generator().manual_seed(seed)
    frames = []
    for order, k in enumerate(chosen):
        members = torch.nonzero(label == k).flatten()
        members = members[torch.randperm(len(members), generator=generator)[:num_patches]]
        for patch, member in enumerate(members.tolist()):
            frames.append(_pixels(found.pixels[member]).assign(cluster=order, size=int(sizes[k]), patch=patch))
    return pd.concat(frames, ignore_index=True)


def held_out(
    found: Patches,
    num_components: int = 30,
    iterations: int = 30,
    svi_steps: int = 400,
    batch_size: int = 200,
    sweeps: int = 30,
    hmc_steps: int = 6,
    leapfrog_steps: int = 10,
    delay: float = 1.0,
    forgetting: float = 0.6,
    num_starts: int = 3,
    seed: int = 0,
    device: str = "cpu",
) -> pd.DataFrame:
    """Figure 6: held-out log predictive against seconds for CAVI, SVI, Gibbs sampling and HMC: one model, the same
    random starts.

    CAVI and SVI integrate the predictive over ``q`` (Student t). Gibbs sampling does so given the assignments, and
    averages the density over the second half of its sweeps so far; HMC, which runs with the assignments summed out as
    the paper's NUTS did, averages the density over the second half of its draws. It has only the first start;
    ``hmc_steps = 0`` leaves it out.

    Returns:
        ``algorithm, start, iteration, seconds`` (evaluation not counted) ``, held_out`` (mean nats per patch) ``,
        held_out_se`` (over patches, as if these were independent).
    """
    x, test = found.histograms[~found.test].to(device), found.histograms[found.test].to(device)
    model = DiagonalMixture(num_components)
    every = max(1, svi_steps // 25)
    schedule = svi.Schedule(delay, forgetting)

    def predict(state) -> dict:
        return _summary(log_predictive(model, state.q, test))

    frames = []
    for number in range(num_starts):
        generator = torch.Generator(device).manual_seed(seed + number)
        start, average = cavi.init(model, x, generator), _RunningAverage()
        runs = {
            "cavi": cavi.fit(model, x, start, max_iters=iterations, tol=0, monitor=predict).history,
            "svi": svi.fit(
                model, x, generator, start=svi.SviState(start.q, 0), batch_size=batch_size, num_steps=svi_steps,
                schedule=schedule, record_every=every, monitor=predict,
            ).history,
            "gibbs": gibbs.fit(
                model, x, generator, start=gibbs.begin(model, start.q, generator), num_sweeps=sweeps,
                monitor=lambda state: average(log_predictive(model, state.conditional, test)),  # noqa: B023
            ).history,
        }  # fmt: skip
        if hmc_steps and number == 0:
            runs["hmc"] = _hmc(model, x, test, start.q, hmc_steps, leapfrog_steps, generator)
        frames += [run.assign(algorithm=name, start=number) for name, run in runs.items()]
    columns = ["algorithm", "start", "iteration", "seconds", "held_out", "held_out_se"]
    return pd.concat([frame[columns] for frame in frames], ignore_index=True)


class _RunningAverage:
    """Log of the average density over the second half of the draws so far."""

    def __init__(self):
        self.logs = []

    def __call__(self, logs: Tensor) -> dict:
        self.logs.append(logs)
        kept = torch.stack(self.logs[len(self.logs) // 2 :])
        return _summary(kept.logsumexp(0) - math.log(len(kept)))


def _summary(predictive: Tensor) -> dict:
    return {"held_out": predictive.mean(0), "held_out_se": predictive.std(0) / math.sqrt(len(predictive))}


def unconstrained(model, x: Tensor, q):
    """The posterior over log-ratios of weights, standardised means and log precisions; the metric is the spread of
    ``q``.

    Returns:
        ``log_prob``: ``(1, dim) -> (1,)`` nats up to a constant, the Jacobian of the weights and precisions included;
        ``unpack``: ``(1, dim)`` to parameters and that log-Jacobian; and ``dim``.
    """
    mean, tau = q.mean, q.shape[..., None] / q.rate
    sd = (q.mean_precision[..., None] * tau).rsqrt()
    shape, k = mean.shape, model.num_components

    def unpack(z: Tensor) -> tuple[Parameters, Tensor]:  # (1, dim) -> parameters and log Jacobian
        logits, u, v = z.split([k - 1, sd.numel(), sd.numel()], -1)
        log_weights = torch.nn.functional.pad(logits, (0, 1)).log_softmax(-1)
        log_tau = tau.log() + v.view(shape) / q.shape.sqrt()[..., None]
        return Parameters(log_weights, mean + sd * u.view(shape), log_tau.exp()), log_weights.sum(-1) + log_tau.sum(
            (-1, -2)
        )

    x = x.to(mean.dtype)

    def log_prob(z: Tensor) -> Tensor:
        params, jacobian = unpack(z)
        return model.log_prior(params) + gibbs.log_likelihood(params, x).sum(0) + jacobian

    return log_prob, unpack, k - 1 + 2 * sd.numel()


def _hmc(model, x: Tensor, test: Tensor, q, steps: int, leapfrog_steps: int, generator) -> pd.DataFrame:
    log_prob, unpack, dim = unconstrained(model, x, q)
    mean = q.mean
    state = hmc.start(log_prob, mean.new_zeros(1, dim))
    adaptation = hmc.start_adaptation(mean.new_full((1,), 1e-3))
    average, rows, seconds = _RunningAverage(), [], 0.0
    for iteration in range(1, steps + 1):
        begun = time.perf_counter()
        state, info = hmc.step(log_prob, state, adaptation.log_step.exp(), leapfrog_steps, generator)
        adaptation = hmc.adapt(adaptation, info.accept_prob, 0.8)
        seconds += time.perf_counter() - begun
        rows.append(
            {"iteration": iteration, "seconds": seconds, **average(gibbs.log_likelihood(unpack(state.z)[0], test))}
        )
    return cavi.tidy(rows, 1)


def _pixels(patch: Tensor) -> pd.DataFrame:
    side = len(patch)
    place = {"row": torch.arange(side).repeat_interleave(side), "column": torch.arange(side).repeat(side)}
    return pd.DataFrame(place | dict(zip(CHANNELS, patch.reshape(-1, 3).T / 255, strict=True)))
