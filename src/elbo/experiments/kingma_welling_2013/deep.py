"""A check from outside: the autoencoder and the importance-weighted autoencoder of Burda, Grosse & Salakhutdinov
(2016).

Their likelihoods on stochastically binarised MNIST are numbers that others have measured again; Kingma & Welling (2013)
print none.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd
import torch
from torch import Tensor

from elbo import reference
from elbo.data import load
from elbo.estimators.marginal_likelihood import model_evidence
from elbo.inference import iwae
from elbo.inference.aevb import Trained, binarise
from elbo.models.vae import VAE, Params
from elbo.training import Adam, keyed_generator

__all__ = [
    "PUBLISHED", "Burda", "active_units", "beside", "burda", "burda_training", "compare", "importance_pair",
    "nll_by_draws", "two_phase",
]  # fmt: skip

CHAPTER = "kingma-welling-2013"
SIZES = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2500, 5000)
"""Draws of the bounds that are compared; each divides the largest."""

PUBLISHED = {1: 86.76, 5: 85.54, 50: 84.78}
"""Burda et al. (2016), table 1: nats per test image for models trained with so many draws, one stochastic layer, pixels
binarised afresh, 5000 draws."""


@dataclass(frozen=True)
class Burda:
    """Settings of the check on MNIST; what Burda et al. (2016) and their code do differently stands in brackets.

    Attributes:
        epochs: training images seen, in units of 60,000, drawn with replacement (3,280 passes over 59,600 images).
        batch_size: images in a minibatch (20).
        rates: learning rates of Adam, for ``epochs / 8`` each (half of these, for 1, 3, 9, ..., 2187 epochs). Adam's
            other constants are its authors' (0.99 for the first moment, 1e-4 beside a gradient summed over the
            minibatch, a second moment that starts at one): with theirs and minibatches of 100, pilots of a few epochs
            had not left the level of a decoder that ignores its code.
        images, draws: test images whose likelihood is estimated with all ``draws`` (all 10,000); the others get
            ``coarse`` draws, see :func:`two_phase`.
    """

    epochs: int = 40
    batch_size: int = 100
    rates: tuple[float, ...] = tuple(2e-4 * round(10 ** (1 - i / 7), 1) for i in range(8))
    images: int = 400
    draws: int = 5000
    coarse: int = 50

    def optimiser(self, data: int) -> Adam:
        """Adam with these learning rates in stages of equal length, for a training set of ``data`` images."""
        steps = self.epochs * data / self.batch_size
        stages = [(round(i * steps / len(self.rates)), rate / self.rates[0]) for i, rate in enumerate(self.rates)]
        return Adam(self.rates[0], stages=tuple(stages[1:]))


def nll_by_draws(
    model: VAE, params: Params, images: Tensor, sizes: Sequence[int], generator: torch.Generator, *, chunk: int = 2
) -> Tensor:
    """Minus the importance-weighted bound of every image for several numbers of draws, from the same draws.

    ``max(sizes)`` codes are drawn for an image; the bound of ``k`` is the mean over the disjoint groups of ``k`` among
    them. In expectation it falls with ``k``, from minus the evidence lower bound to minus log p(x).

    Args:
        images: black and white, ``(batch, data_dim)``.
        sizes: each must divide the largest.

    Returns:
        ``(sizes, batch)`` nats. Cost: the decoder ``max(sizes)`` times an image.

    Raises:
        ValueError: a size does not divide the largest.
    """
    draws = max(sizes)
    if any(draws % size for size in sizes):
        raise ValueError(f"each number of draws must divide the largest, {draws}; got {list(sizes)}")
    found = model_evidence(model, params, images, generator, method="importance", draws=max(draws, 2), chunk=chunk)
    weights = found.log_weights[:draws].double()  # (draws, batch)
    rows = [torch.logsumexp(weights.view(-1, size, len(images)), 1).mean(0) - math.log(size) for size in sizes]
    return -torch.stack(rows)


def two_phase(fine: Tensor, coarse: Tensor, everywhere: Tensor) -> tuple[float, float, float]:
    r"""The mean of a costly number over all images, from a cheap one on all and both on some (two-phase sampling).

    .. math:: \frac1N \sum_{i} c_i + \frac1n \sum_{j} (f_j - c_j)

    Unbiased when the n images are a random sample of the N, whatever the cheap number is; accurate where the two move
    together. Source: Cochran (1977), chapter 12.

    Args:
        fine, coarse: ``(n,)``, the costly and the cheap number on the sample.
        everywhere: ``(N,)``, the cheap number on all images.

    Returns:
        The mean; its standard error as an estimate for *these N images*, which comes from the sample alone; and its
        standard error as an estimate for the population that the N come from.
    """
    difference = fine - coarse
    share = 1 / len(fine) - 1 / len(everywhere)
    here = share * difference.var()
    beyond = here + fine.var() / len(everywhere)
    return float(everywhere.mean() + difference.mean()), float(here.sqrt()), float(beyond.sqrt())


def compare(
    models: Mapping[int, tuple[VAE, Params]],
    images: Tensor,
    *,
    sizes: Sequence[int] = SIZES,
    coarse: int = 100,
    count: int | None = None,
    seed: int = 0,
) -> pd.DataFrame:
    """The bounds of several models on the same black and white images, by number of draws.

    Args:
        models: the draws ``k`` that a model was trained with, to the model.
        coarse, count: ``count`` images at random (default: all) get all draws, the others ``coarse``, one of ``sizes``.

    Returns:
        One row a model and number of draws: ``trained_with``, ``draws``, ``nll`` (nats per image), ``se_here`` and
        ``se_images`` (see :func:`two_phase`; they leave out the noise of the draws, far smaller), ``gain``: by how much
        it is below that of the first model on the same images, with ``se_gain`` over images; ``active``, see
        :func:`active_units`; ``images``, ``all_images``.
    """
    count = min(count or len(images), len(images))
    images = images[torch.randperm(len(images), generator=keyed_generator("cpu", seed, "sample"))]
    fine, everywhere = {}, {}
    for k, (model, params) in models.items():
        generator = keyed_generator(images.device, seed, "evidence", k)
        fine[k] = nll_by_draws(model, params, images[:count], sizes, generator)
        rest = (
            nll_by_draws(model, params, images[count:], [coarse], generator)[0]
            if count < len(images)
            else fine[k].new_empty(0)
        )
        everywhere[k] = torch.cat([fine[k][list(sizes).index(coarse)], rest])
    first, rows = next(iter(models)), []
    for k, (model, params) in models.items():
        cheap = everywhere[k][:count]
        for size, values in zip(sizes, fine[k]):
            nll, here, beyond = two_phase(values, cheap, everywhere[k])
            better = fine[first][list(sizes).index(size)] - values
            gain, _, se_gain = two_phase(better, everywhere[first][:count] - cheap, everywhere[first] - everywhere[k])
            rows.append((k, size, nll, here, beyond, gain, se_gain, active_units(model, params, images)))
    columns = ["trained_with", "draws", "nll", "se_here", "se_images", "gain", "se_gain", "active"]
    return pd.DataFrame(rows, columns=columns).assign(images=count, all_images=len(images))


def active_units(model: VAE, params: Params, images: Tensor, threshold: float = 0.01) -> int:
    """How many latents the encoder uses: those whose posterior mean varies over the images by more than ``threshold``.

    Burda et al. (2016), section 5.1.
    """
    with torch.no_grad():
        return int((model.encode(params, images)[0].var(0) > threshold).sum())


def importance_pair(
    *,
    dataset: str = "digits",
    samples: int = 100_000,
    trained_with: Sequence[int] = (1, 5),
    hidden: int = 100,
    latent_dim: int = 10,
    draws: int = 1000,
    seed: int = 0,
    device: str = "auto",
) -> pd.DataFrame:
    """A small autoencoder (k = 1) beside an importance-weighted one on embedded digits; table as by :func:`compare`.

    Two hidden layers on either side; Adam with a learning rate of 0.001 that falls to a third after half of the
    samples. Test images are binarised once, and each gets all ``draws``.
    """
    train, test = load(dataset, split="train"), load(dataset, split="test")
    model = VAE(train.images.shape[1], hidden, latent_dim, encoder_layers=2, decoder_layers=2)
    optimiser = Adam(1e-3, stages=((samples // 200, 1 / 3),))
    models = {}
    for k in trained_with:
        trained = iwae.fit(model, train, samples=samples, draws=k, seeds=[seed], optimiser=optimiser, device=device)
        models[k] = (model, {name: param.cpu() for name, param in trained.member(0).items()})
    sizes = [size for size in SIZES if draws % size == 0 and size <= draws]
    return compare(models, held_out(test.images), sizes=sizes, coarse=sizes[-1], seed=seed)


def held_out(images: Tensor) -> Tensor:
    """Grey test images binarised once, the same for every model: a pixel is 1 with its grey value as probability."""
    uniform = torch.rand(images.shape, generator=keyed_generator("cpu", "held out"), dtype=images.dtype)
    return binarise(images, uniform)


def burda(settings: Burda = Burda(), trained_with: Sequence[int] = (1, 5)) -> pd.DataFrame:
    """The 784-200-200-50 network on MNIST binarised afresh; see :class:`Burda` for what differs from theirs.

    Returns:
        As :func:`compare`, with the settings, ``published`` (their number; at the largest number of draws alone) and
        ``gap``, ours less theirs.
    """
    test = held_out(load("mnist", split="test").images)
    models = {k: (one.member_model(0), one.member(0)) for k, one in _burda_models(settings, trained_with).items()}
    sizes = [size for size in SIZES if settings.draws % size == 0]
    table = compare(models, test, sizes=sizes, coarse=settings.coarse, count=settings.images)
    table["published"] = table.trained_with.map(PUBLISHED).where(table.draws == settings.draws)
    table["gap"] = table.nll - table.published
    return table.round(4).assign(epochs=settings.epochs, batch_size=settings.batch_size, data="mnist")


def burda_training(settings: Burda = Burda(), trained_with: Sequence[int] = (1, 5)) -> pd.DataFrame:
    """How the bound of one draw on the test images grew while the models of :func:`burda` were trained.

    Returns:
        One row a model and epoch: ``trained_with``, ``epoch``, ``bound`` (nats per image), ``se_images``.
    """
    runs = _burda_models(settings, trained_with)
    table = pd.concat([run.history.assign(trained_with=k) for k, run in runs.items()], ignore_index=True)
    table["epoch"] = (table.samples / len(load("mnist", split="train"))).round(2)
    return table.rename(columns={"se": "se_images"})[["trained_with", "epoch", "bound", "se_images"]].round(4)


def _burda_models(settings: Burda, trained_with: Sequence[int]) -> dict[int, Trained]:
    train, test = load("mnist", split="train"), load("mnist", split="test")
    model = VAE(train.images.shape[1], 200, 50, encoder_layers=2, decoder_layers=2)
    samples = settings.epochs * len(train)
    return {
        k: iwae.fit(
            model,
            train,
            samples=samples,
            draws=k,
            batch_size=settings.batch_size,
            optimiser=settings.optimiser(len(train)),
            evaluate_on={"test": test},
            evaluate_at=[round(i * samples / len(settings.rates)) for i in range(len(settings.rates) + 1)],
            device="cpu",
            checkpoint=reference.scratch(CHAPTER, f"burda-{k}"),
        )
        for k in trained_with
    }


def beside(pair: pd.DataFrame, known: pd.DataFrame | None) -> pd.DataFrame:
    """The reader's table and, where there is one, the reference table under it: the numbers of one figure."""
    own = pair.assign(data="digits")
    return own if known is None else pd.concat([own, known], ignore_index=True)
