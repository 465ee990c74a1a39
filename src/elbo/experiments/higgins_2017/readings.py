"""What is read off every model of a sweep: scores and terms of the bound, and how they go with beta."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd
import torch
from scipy.stats import spearmanr
from torch import Tensor

from elbo.densities import bernoulli_log_prob, standard_gaussian_kl
from elbo.disentanglement import dci, factor_index, factorvae_score, higgins_score, mig, modularity, sap
from elbo.estimators import dependence
from elbo.experiments.higgins_2017.scores import PLUS_MINUS, varying
from elbo.experiments.higgins_2017.training import Models, beta_norm

__all__ = ["beside_other_metrics", "dimension_kl", "over_beta", "ranks", "scores_by_use", "unit_readings"]

ACTIVE = 0.1  # nats of KL from which on a latent counts as used


def unit_readings(
    models: Models,
    *,
    which: Sequence[int] | None = None,
    pairs: int = 64,
    train_votes: int = 5_000,
    test_votes: int = 2_500,
    codes: int = 500,
    trees: int = 10,
    dci_rows: tuple[int, int] = (2_000, 1_000),
    seed: int = 0,
) -> pd.DataFrame:
    """Every model of the sweep: its score, other metrics, and the terms of its bound.

    Returns:
        Rows ``beta, latent_dim, seed, beta_norm`` with ``score`` (softmax), ``mig, factorvae, sap, modularity``, the
        ``dci`` disentanglement (forests of ``trees`` trees, trained and tested on
        at most ``dci_rows`` images);
        ``reconstruction``, log-likelihood of an image under its decoded mean code; ``distortion``, minus that of one
        drawn code an image, the first term of the bound; ``misfit``, nats an image by which decoding the mean code
        misses the pixels (their own entropy, which no decoder can undercut, taken off); ``kl``, the average KL to the
        prior; ``active``, latents with more than 0.1 nats of it; ``total_correlation`` of the aggregated posterior over
        all sprites and ``tc_error``, its standard error over ``codes`` drawn codes.

    Raises:
        ValueError: what the metrics and estimators raise.
    """
    sprites = models.sprites
    index = factor_index(sprites.factors, which or varying(models))
    floor = torch.cat([bernoulli_entropy(part) for part in sprites.parts()]).mean().item()
    rows = []
    for member, beta in enumerate(models.betas):
        shapes, params = models.model(member)
        mean, log_var = models.encodings(member)
        each = dimension_kl(mean, log_var)
        with torch.no_grad():
            pairs_of = zip(sprites.parts(), mean.split(4096), strict=True)
            fit = torch.cat([bernoulli_log_prob(x, shapes.decode(params, z)) for x, z in pairs_of]).mean().item()
            noise = torch.randn(mean.shape, generator=_generator(seed, mean.device), device=mean.device)
            drawn = (mean + noise * (0.5 * log_var).exp()).split(4096)
            pairs_of = zip(sprites.parts(), drawn, strict=True)
            lost = -torch.cat([bernoulli_log_prob(x, shapes.decode(params, z)) for x, z in pairs_of]).mean().item()
        votes = {"train_votes": train_votes, "test_votes": test_votes}
        score = higgins_score(mean, index, generator=_generator(seed), pairs=pairs, **votes)
        split = dependence(mean, log_var, generator=_generator(seed, mean.device), codes=codes)
        about = {"beta": beta, "latent_dim": shapes.latent_dim, "seed": models.trained.seeds[member]}
        rows.append(
            about
            | {
                "beta_norm": beta_norm(beta, shapes.latent_dim),
                "score": score.score,
                "mig": mig(mean, index).score,
                "factorvae": factorvae_score(mean, index, generator=_generator(seed), **votes).score,
                "sap": sap(mean, index, generator=_generator(seed)).score,
                "modularity": modularity(mean, index).score,
                "dci": dci(
                    mean, index, generator=_generator(seed), trees=trees, **_rows(len(sprites), dci_rows)
                ).disentanglement,
                "reconstruction": fit,
                "distortion": lost,
                "misfit": -fit - floor,
                "kl": each.sum().item(),
                "active": int((each > ACTIVE).sum()),
                "total_correlation": float(split.total_correlation),
                "tc_error": split.total_correlation.standard_error,
            }
        )
    return pd.DataFrame(rows)


def scores_by_use(
    models: Models,
    members: Sequence[int],
    *,
    pairs: int = 64,
    train_votes: int = 2_000,
    test_votes: int = 1_000,
    seed: int = 0,
) -> pd.DataFrame:
    """Higgins' score (fitted classifier) of all latents, of those in use alone, and of the others alone.

    A latent is in use from :data:`ACTIVE` nats of average KL on. The classifier sees each latent in units of its own
    spread, so that what the others still say of a factor counts in full, however little it is.

    Returns:
        Rows ``beta, latent_dim, seed, used`` (how many) and ``latents`` (``"all"``, ``"in use"``, ``"not in use"``),
        ``row`` (2, 1, 0), ``score``, NaN where there is no such latent, and ``chance``.
    """
    index = factor_index(models.sprites.factors, varying(models))
    votes = {"pairs": pairs, "train_votes": train_votes, "test_votes": test_votes}
    rows = []
    for member in members:
        mean, log_var = models.encodings(member)
        used = dimension_kl(mean, log_var) > ACTIVE
        about = {"beta": models.betas[member], "latent_dim": mean.shape[1], "seed": models.trained.seeds[member]}
        parts = (("all", torch.ones_like(used)), ("in use", used), ("not in use", ~used))
        for place, (name, which) in enumerate(parts):
            score = math.nan
            if bool(which.any()):
                score = higgins_score(mean[:, which], index, generator=_generator(seed), **votes).score
            row = {"used": int(used.sum()), "latents": name, "row": len(parts) - 1 - place, "score": score}
            rows.append(about | row | {"chance": 1 / len(index.sizes)})
    return pd.DataFrame(rows)


def over_beta(readings: pd.DataFrame, reference: pd.DataFrame | None = None) -> pd.DataFrame:
    """:func:`unit_readings` over seeds: each column's mean and, as ``<column>_se``, its standard error (NaN for one
    seed); where the reference run has the same beta and size of code, the same as ``reference_<column>``.
    """
    table = _means(readings)
    if reference is not None:
        kept = _means(reference).drop(columns="beta_norm")
        keys = ["latent_dim", "beta"]
        kept = kept.rename(columns=lambda name: name if name in keys else f"reference_{name}")
        table = table.merge(kept, on=keys, how="left")
    return table


def _means(readings: pd.DataFrame) -> pd.DataFrame:
    columns = [name for name in MEASURED if name in readings.columns]
    groups = readings.groupby(["latent_dim", "beta", "beta_norm"], sort=True)[columns]
    return groups.mean().join(groups.sem().add_suffix("_se")).reset_index()


MEASURED = ("score", "mig", "factorvae", "sap", "modularity", "dci", "reconstruction", "distortion", "misfit", "kl",
            "active", "total_correlation")  # fmt: skip


NAMES = {
    "score": "Higgins",
    "mig": "MIG",
    "factorvae": "FactorVAE",
    "sap": "SAP",
    "modularity": "modularity",
    "dci": "DCI",
}


def ranks(readings: pd.DataFrame, columns: Sequence[str] = ("misfit", "total_correlation")) -> dict[str, float]:
    """Spearman's rank correlation of the score with each column over all models; NaN for fewer than three."""
    return {column: float(spearmanr(readings["score"], readings[column]).statistic) for column in columns}


def beside_other_metrics(table: pd.DataFrame, latent_dim: int) -> pd.DataFrame:
    """:func:`over_beta` for one latent size as text: mean ± standard error over seeds (none for one seed)."""
    part = table[table["latent_dim"] == latent_dim]
    names = NAMES | {"kl": "KL (nats)", "active": "active latents"}
    shown = pd.DataFrame({"beta": [f"{beta:g}" for beta in part["beta"]]})
    for column, name in names.items():
        digits = 1 if column in ("kl", "active") else 2
        pairs = zip(part[column], part[f"{column}_se"])
        shown[name] = [f"{v:.{digits}f}" + ("" if math.isnan(e) else f"{PLUS_MINUS}{e:.{digits}f}") for v, e in pairs]
    return shown


def _rows(count: int, wanted: tuple[int, int]) -> dict[str, int]:
    """Disjoint rows to train and test the forests on: as wanted, or two thirds and one third of a small grid."""
    train = min(wanted[0], 2 * count // 3)
    return {"train_rows": train, "test_rows": min(wanted[1], count - train)}


def bernoulli_entropy(x: Tensor) -> Tensor:
    """Entropy of independent pixels with these probabilities, ``(..., pixels) -> (...)`` nats: zero for black and
    white, and what the best possible logits still cost for grey levels."""
    return (torch.special.entr(x.double()) + torch.special.entr(1 - x.double())).sum(-1)


def dimension_kl(mean: Tensor, log_var: Tensor) -> Tensor:
    """Average KL of each latent to the prior, ``(N, D)`` encodings to ``(D,)`` nats."""
    return standard_gaussian_kl(mean.double().T.unsqueeze(-1), log_var.double().T.unsqueeze(-1)).mean(1)


def _generator(seed: int, device: torch.device | str = "cpu") -> torch.Generator:
    return torch.Generator(device).manual_seed(seed)
