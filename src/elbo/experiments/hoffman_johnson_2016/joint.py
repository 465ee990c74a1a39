"""The paper's advice carried to its end: a prior that learns together with encoder and decoder."""

from __future__ import annotations

import math
from collections.abc import Callable

import pandas as pd
import torch
from torch import Tensor

from elbo.densities import gaussian_log_prob, standard_gaussian_log_prob
from elbo.estimators import draw_codes, log_aggregate_posterior
from elbo.experiments.hoffman_johnson_2016.priors import fit_mixture_prior
from elbo.experiments.hoffman_johnson_2016.training import Runs
from elbo.inference import vampprior
from elbo.inference.vampprior import log_vamp_prior
from elbo.models.vae import VAE, Params

__all__ = ["gains", "joint_prior"]

STANDARD, AFTERWARDS, TOGETHER = "N(0, I)", "fitted afterwards", "learned together"
TERMS = ("elbo", "reconstruction", "mutual_information", "marginal_kl")


def joint_prior(
    runs: Runs, latent_dim: int, *, components: int, batch_size: int, learning_rate: float, codes: int, seed: int
) -> pd.DataFrame:
    r"""Three priors for one size of code: N(0, I), a mixture fitted to its codes afterwards, and a VampPrior learned
    together with encoder and decoder, of as many components and for as many minibatches.

    Args:
        components: of the mixture and of the learned prior.
        batch_size, learning_rate: of the training, those with which ``runs`` was trained.
        codes: drawn to fit the mixture, and again to measure.
        seed: of the draws after training.

    Returns:
        Rows ``prior, seed, split`` (``train``, ``held out``), nats per image under that prior: ``elbo`` and
        ``reconstruction`` with ``<term>_se``, the standard error over the images of the split and their draws, and on
        the training images ``mutual_information`` and ``marginal_kl`` with theirs over codes.
    """
    members = [(member, own) for member, dim, own in runs.members if dim == latent_dim]
    model, _ = runs.model(members[0][0])
    learned = vampprior.fit(
        model,
        runs.images,
        samples=round(runs.epochs[-1] * len(runs.images)),
        components=components,
        batch_size=batch_size,
        learning_rate=learning_rate,
        seeds=[own for _, own in members],
        binarisation="fixed",
        block=20,
        device=runs.images.device.type,
        compile=False,
    )
    rows = []
    for number, (member, own) in enumerate(members):
        _, params = runs.model(member)
        mean, log_var = (t.double() for t in runs.encodings(member))
        _, to_fit = draw_codes(mean, log_var, codes, torch.Generator().manual_seed(seed + 1))
        mixture = fit_mixture_prior(to_fit, components, seed)
        together = {name: value.double() for name, value in learned.member(number).items()}
        for prior, weights, log_prior in [
            (STANDARD, params, standard_gaussian_log_prob),
            (AFTERWARDS, params, mixture),
            (TOGETHER, together, lambda z: log_vamp_prior(model, together, z)),  # noqa: B023
        ]:
            generator = torch.Generator().manual_seed(seed)
            found = _measured(model, weights, runs, log_prior, codes, generator)
            rows += [{"prior": prior, "seed": own} | row for row in found]
    return pd.DataFrame(rows)


@torch.no_grad()
def _measured(
    model: VAE, params: Params, runs: Runs, log_prior: Callable[[Tensor], Tensor], codes: int, generator
) -> list[dict]:
    params = {name: value.double() for name, value in params.items()}
    rows = []
    for split, images in (("train", runs.images), ("held out", runs.held_out)):
        x = images.double()
        mean, log_var = model.encode(params, x)
        index, z = draw_codes(mean, log_var, codes, generator)
        log_q = gaussian_log_prob(z, mean[index], log_var[index])  # (codes,)
        reconstruction = torch.cat(
            [model.log_likelihood(params, x[i], part) for i, part in zip(index.split(1000), z.split(1000))]
        )
        prior = torch.cat([log_prior(part) for part in z.split(1000)])
        terms = {"elbo": reconstruction + prior - log_q, "reconstruction": reconstruction}
        if split == "train":
            log_aggregate = log_aggregate_posterior(z, mean, log_var)
            terms |= {"mutual_information": log_q - log_aggregate, "marginal_kl": log_aggregate - prior}
        row = {"split": split}
        for name, values in terms.items():
            row |= {name: values.mean().item(), f"{name}_se": values.std().item() / math.sqrt(codes)}
        rows.append(row)
    return rows


def gains(table: pd.DataFrame) -> pd.DataFrame:
    """What each prior gains over N(0, I), model by model: rows ``prior, seed, split, term`` with ``gain``, nats per
    image, signed so that the terms of a split add up to the gain of its bound."""
    signs = {"elbo": 1, "reconstruction": 1, "mutual_information": -1, "marginal_kl": -1}
    by = ["run", "data", "images", "seed", "split"]
    by = [name for name in by if name in table]
    standard = table[table["prior"] == STANDARD].set_index(by)
    rows = []
    for prior in (AFTERWARDS, TOGETHER):
        other = table[table["prior"] == prior].set_index(by)
        for term in TERMS:
            change = (signs[term] * (other[term] - standard[term])).dropna()
            rows.append(change.rename("gain").reset_index().assign(prior=prior, term=term))
    return pd.concat(rows, ignore_index=True)
