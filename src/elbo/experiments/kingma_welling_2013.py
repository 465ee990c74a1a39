"""The experiments of Kingma & Welling (2013): the bound over samples, the noise of the estimators, what the decoder draws.

Each function answers one figure with a tidy table of exactly the numbers that are drawn.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from elbo.data import Dataset, load
from elbo.devices import resolve_device
from elbo.inference.aevb import ESTIMATORS, Trained, aevb, binarise
from elbo.models.vae import VAE

__all__ = ["SETTINGS", "Run", "Settings", "bound", "describe", "estimator_noise", "final_bound", "manifold", "prior_samples",
           "reconstructions", "settings", "signs_of_overfitting", "train"]


@dataclass(frozen=True)
class Settings:
    """What a run needs to know beside the data: sizes of the network, the optimiser, how much to see.

    Attributes:
        hidden, latent_dims: units in the one hidden layer on either side; sizes of code, one model each.
        seeds: every latent size is trained once from each seed.
        samples: images that each model sees.
        optimiser, learning_rate: as :func:`elbo.inference.aevb.aevb` takes them.
        likelihood: ``"bernoulli"`` or ``"gaussian"``.
    """

    hidden: int
    latent_dims: tuple[int, ...]
    seeds: tuple[int, ...]
    samples: int
    optimiser: str
    learning_rate: float
    likelihood: str = "bernoulli"


SETTINGS = {
    "digits": Settings(100, (2, 5, 10, 20), (0, 1, 2), 250_000, "adagrad", 0.02),
    "mnist": Settings(500, (2, 20), (0,), 4_500_000, "adagrad", 0.02),
    "frey": Settings(200, (2, 10), (0,), 1_000_000, "adagrad", 0.02, "gaussian"),
}
"""Settings that finish in minutes on two processor cores; the paper's own stand in the profile ``paper``."""


@dataclass(frozen=True)
class Run:
    """Trained models with the data they were trained and evaluated on."""

    settings: Settings
    trained: Trained
    train: Dataset
    test: Dataset

    def members(self, latent_dim: int) -> list[int]:
        """Which members of the stack have this latent size, one a seed."""
        return [k for k, size in enumerate(self.trained.latent_dims) if size == latent_dim]


def settings(dataset: str, **chosen) -> Settings:
    """The settings of a data set, with what was chosen in place of its defaults; an empty choice keeps the default.

    Two latents are always among the sizes: the manifold needs them.

    Raises:
        ValueError: there are no settings for that data set, or a number is negative.
    """
    if dataset not in SETTINGS:
        raise ValueError(f"no settings for the data set {dataset!r}; choose one of {', '.join(SETTINGS)}")
    for name, value in chosen.items():
        numbers = value if isinstance(value, (list, tuple)) else [value]
        if any(isinstance(number, (int, float)) and number < 0 for number in numbers):
            raise ValueError(f"{name} must not be negative, got {value}; leave it out to take what suits {dataset}")
    kept = {name: tuple(value) if isinstance(value, (list, tuple)) else value for name, value in chosen.items() if value}
    found = replace(SETTINGS[dataset], **kept)
    return replace(found, latent_dims=tuple(sorted({2, *found.latent_dims})))


def train(dataset: str, chosen: Settings, *, device: str = "auto", evaluations: int = 12,
          progress: Callable[[int, int, Tensor], None] | None = None) -> Run:
    """Train one model for every latent size and seed by AEVB (algorithm 1) and record its bound as samples go by.

    Args:
        dataset: ``"digits"``, ``"mnist"`` or ``"frey"``.
        chosen: from :func:`settings`.
        evaluations: how many points of the curve, spaced evenly on a logarithmic axis.
    """
    train_set, test_set = load(dataset, split="train"), load(dataset, split="test")
    model = VAE(train_set.images.shape[1], chosen.hidden, likelihood=chosen.likelihood)
    seeds, sizes = zip(*[(seed, size) for size in chosen.latent_dims for seed in chosen.seeds])
    shown = torch.arange(0, len(train_set), max(1, len(train_set) // len(test_set)))[: len(test_set)]
    trained = aevb(
        model,
        train_set,
        samples=chosen.samples,
        seeds=seeds,
        latent_dims=sizes,
        optimiser=chosen.optimiser,
        learning_rate=chosen.learning_rate,
        evaluate_on={"train": train_set.images[shown], "test": test_set},
        evaluate_at=_schedule(chosen.samples, evaluations),
        device=device,
        progress=progress,
    )
    return Run(chosen, trained, train_set, test_set)


def bound(run: Run) -> pd.DataFrame:
    """Figure 2: the bound against the number of training samples, mean over seeds.

    Returns:
        One row a latent size, split and number of samples: ``bound`` (nats per image), ``se_seeds`` (standard error over seeds,
        missing for one seed), ``se_images`` (standard error over the images of the split), ``seeds`` (how many).
    """
    keys = ["latent_dim", "split", "samples"]
    grouped = run.trained.history.groupby(keys, sort=True)
    table = grouped.agg(bound=("bound", "mean"), se_seeds=("bound", "sem"), se_images=("se", "mean"), seeds=("bound", "size"))
    return table.reset_index()


def final_bound(run: Run) -> pd.DataFrame:
    """The bound at the end of training: one row a latent size, train and test side by side, nats per image with standard errors."""
    last = bound(run).query("samples == samples.max()").set_index(["latent_dim", "split"])
    last["se"] = np.hypot(last.se_images, last.se_seeds.fillna(0.0))
    return last[["bound", "se"]].unstack("split").swaplevel(axis=1).sort_index(axis=1, ascending=[False, True])


def signs_of_overfitting(run: Run) -> list[str]:
    """One sentence a latent size: how far its test bound is from its own best, and from that of the next smaller size."""
    test = bound(run).query("split == 'test'").pivot(index="samples", columns="latent_dim", values="bound")
    error = bound(run).query("split == 'test' and samples == samples.max()").set_index("latent_dim").se_images
    lines, smaller = [], None
    for size, curve in test.items():
        line = f"{size:3d} latents: test bound {curve.iloc[-1]:.2f} ± {error[size]:.2f}, {curve.max() - curve.iloc[-1]:.2f} below its best"
        lines.append(line if smaller is None else f"{line}, {curve.iloc[-1] - smaller:+.2f} against the size before")
        smaller = curve.iloc[-1]
    return lines


def estimator_noise(run: Run, *, draws: int = 64, images: int = 100, seed: int = 0) -> pd.DataFrame:
    """The noise of the estimators A and B (equations 6 and 7) on the same trained models, images and draws.

    The paper says that B "typically has less variance" and shows no measurement; this is one.

    Args:
        draws: single-sample estimates of each image.
        images: test images; one minibatch.

    Returns:
        One row a latent size and estimator, mean over seeds with its standard error (missing for one seed): ``value_sd``, the
        standard deviation of the estimate of one image's bound (nats, root mean square over images), and ``gradient_sd``, the root of
        the trace of the covariance of the minibatch gradient with respect to the encoder (nats per unit of weight).
    """
    rows = []
    for member, latent_dim in enumerate(run.trained.latent_dims):
        model, params = run.trained.member_model(member), run.trained.member(member)
        generator = torch.Generator(params["encoder.head.weight"].device).manual_seed(seed)
        x = _pictures(run.test, images, generator)
        for name in ESTIMATORS:
            generator.manual_seed(seed)
            value, gradient = _noise(ESTIMATORS[name], model, params, x, draws, generator)
            rows.append({"latent_dim": latent_dim, "estimator": name, "value_sd": value, "gradient_sd": gradient})
    grouped = pd.DataFrame(rows).groupby(["latent_dim", "estimator"])
    mean, error = grouped.mean(), grouped.sem().add_suffix("_se")
    return pd.concat([mean, error], axis=1).reset_index()


def prior_samples(run: Run, *, count: int = 25, seed: int = 0) -> pd.DataFrame:
    """Figure 5: expected images of codes from the prior, one row an image: ``latent_dim, tile, pixel_0, ...``, first seed."""
    tables = []
    for latent_dim in run.settings.latent_dims:
        member = run.members(latent_dim)[0]
        params = run.trained.member(member)
        generator = torch.Generator("cpu").manual_seed(seed)
        z = torch.randn(count, latent_dim, generator=generator).to(params["decoder.head.weight"].device)
        tables.append(_tiles(run.trained.member_model(member).decode_mean(params, z), latent_dim=latent_dim))
    return pd.concat(tables, ignore_index=True)


def reconstructions(run: Run, *, count: int = 12, seed: int = 0) -> pd.DataFrame:
    """Test images as the models see them and give them back: ``latent_dim`` (0 for the image itself), ``tile, pixel_0, ...``.

    A reconstruction is the expected image of one draw from q(z|x), from the model of the first seed.
    """
    device = run.trained.params["decoder.head.weight"].device
    generator = torch.Generator(device).manual_seed(seed)
    x = _pictures(run.test, count, generator)
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
        ``side * side`` rows from the top left: the quantiles ``u1`` (left to right) and ``u2`` (bottom to top), ``tile, pixel_0, ...``.

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


def describe(chosen: Settings) -> pd.DataFrame:
    """The settings as a table of two columns."""
    return pd.DataFrame([(name, str(value)) for name, value in asdict(chosen).items()], columns=["setting", "value"])


def _schedule(samples: int, evaluations: int, first: int = 1000) -> list[int]:
    first = min(first, samples)
    spaced = np.geomspace(first, samples, evaluations)
    return sorted({min(samples, 100 * math.ceil(at / 100 - 1e-6)) for at in spaced})


def _pictures(data: Dataset, count: int, generator: torch.Generator) -> Tensor:
    """The first pictures of a data set spread over its length, black and white where the model saw them so."""
    chosen = torch.linspace(0, len(data) - 1, min(count, len(data))).long()
    images = data.images[chosen].to(generator.device)
    if data.binarisation != "fresh":
        return images
    return binarise(images, torch.rand(images.shape, generator=generator, device=images.device))


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


def _tiles(images: Tensor, *, latent_dim: int) -> pd.DataFrame:
    pixels = images.detach().double().cpu().numpy().round(3)
    table = pd.DataFrame(pixels, columns=[f"pixel_{i}" for i in range(pixels.shape[1])])
    table.insert(0, "latent_dim", latent_dim)
    table.insert(1, "tile", np.arange(len(table)))
    return table

