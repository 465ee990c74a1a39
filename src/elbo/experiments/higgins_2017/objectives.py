"""Four objectives beside each other on small sprites: a price on the divergence, on total correlation by a minibatch or
by a discriminator, and a capacity."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from elbo import data
from elbo.experiments.higgins_2017.readings import unit_readings
from elbo.experiments.higgins_2017.scores import PLUS_MINUS
from elbo.experiments.higgins_2017.training import INIT, PIXELS, Models, SmallSprites, network, small_sprites
from elbo.inference import aevb, beta_tcvae, capacity, factorvae

__all__ = ["OBJECTIVES", "SETTINGS", "objective_means", "objectives_table", "objectives_text", "train_objective"]

OBJECTIVES = ("beta-vae", "beta-tcvae", "factorvae", "capacity")
SETTINGS = {
    "strengths": {
        "beta-vae": (1.0, 4.0, 8.0),
        "beta-tcvae": (4.0, 8.0, 16.0),
        "factorvae": (4.0, 8.0, 16.0),
        "capacity": (8.0, 12.0, 16.0),
    },
    "side": 32,
    "every": (1, 1, 4, 2, 2),
    "read_every": (1, 1, 4, 4, 4),
    "seeds": (0, 1, 2),
    "latent_dim": 10,
    "hidden": 256,
    "samples": 128_000,
    "batch_size": 128,
    "learning_rate": 1e-3,
}
"""Of the committed table: sprites and network of the chapter's small models, twice as
many images, minibatches of 128.
"""
NAMES = {"beta-vae": "β-VAE", "beta-tcvae": "β-TCVAE", "factorvae": "FactorVAE", "capacity": "capacity"}
GAMMA = 1000.0  # of the capacity, at 64 pixels on a side
DISCRIMINATOR = {"layers": 4, "hidden": 200}


def train_objective(
    objective: str,
    strength: float,
    sprites: SmallSprites,
    seeds: Sequence[int],
    *,
    latent_dim: int = 10,
    hidden: int = 256,
    samples: int = 128_000,
    batch_size: int = 128,
    learning_rate: float = 1e-3,
) -> Models:
    """Train one model a seed by Adam under one objective.

    Args:
        objective: one of :data:`OBJECTIVES`.
        strength: what a nat costs at 64 x 64 pixels, of the divergence or of the total correlation in it (1 is the
            evidence lower bound); for ``"capacity"`` the nats of code, reached halfway. Smaller images have their
            likelihood outweighed in proportion, as in :func:`elbo.experiments.higgins_2017.train_models`.

    Raises:
        ValueError: another objective, or what its ``fit`` raises.
    """
    scale = sprites.side**2 / PIXELS
    shapes = network(sprites, hidden, latent_dim)
    same = {"samples": samples, "seeds": seeds, "batch_size": batch_size, "learning_rate": learning_rate}
    same |= {"init_scale": INIT, "optimiser": "adam", "compile": False, "device": sprites.device.type}
    if objective == "beta-vae":
        trained = aevb.fit(shapes, sprites, beta=scale * strength, weight_prior=False, **same)
    elif objective == "beta-tcvae":
        trained = beta_tcvae.fit(shapes, sprites, beta=scale, weight=strength, **same)
    elif objective == "factorvae":
        trained = factorvae.fit(shapes, sprites, beta=scale, weight=strength - 1, **DISCRIMINATOR, **same)
    elif objective == "capacity":
        aim = {"capacity": strength, "weight": GAMMA * scale, "reached": samples // 2}
        trained = capacity.fit(shapes, sprites, **aim, **same)
    else:
        raise ValueError(f"objective must be one of {', '.join(OBJECTIVES)}, got {objective!r}")
    return Models(sprites, trained, tuple(float(strength) for _ in seeds), INIT)


def objectives_table(settings: dict | None = None, **votes) -> pd.DataFrame:
    """Every objective at its strengths, read as the chapter reads its models.

    Returns:
        A row a model: ``objective``, ``strength``, ``seed`` and the columns of
        :func:`elbo.experiments.higgins_2017.unit_readings`, with what was trained (``samples``, ``side``, ...).
    """
    own = SETTINGS | (settings or {})
    images = data.load("dsprites")
    train, read = (small_sprites(images, own["side"], own[name]) for name in ("every", "read_every"))
    how = {name: own[name] for name in ("latent_dim", "hidden", "samples", "batch_size", "learning_rate")}
    votes = {"codes": 500, "trees": 10, "train_votes": 3_000, "test_votes": 2_000} | votes
    parts = []
    for objective, strengths in own["strengths"].items():
        for strength in strengths:
            models = train_objective(objective, strength, train, own["seeds"], **how).on(read)
            found = unit_readings(models, **votes).rename(columns={"beta": "strength"}).drop(columns="beta_norm")
            parts.append(found.assign(objective=objective))
    table = pd.concat(parts, ignore_index=True)
    return table.assign(side=own["side"], images=len(read), **{n: how[n] for n in how if n != "latent_dim"}).round(6)


def objective_means(table: pd.DataFrame, columns: Sequence[str] = ("misfit", "kl", "total_correlation", "mig")):
    """Means over seeds of :func:`objectives_table` and their standard errors ``<column>_se``, a row an objective and
    strength, in the order of :data:`OBJECTIVES`."""
    grouped = table.groupby(["objective", "strength"], sort=False)[list(columns)]
    found = grouped.mean().join(grouped.sem().add_suffix("_se")).reset_index()
    order = {name: number for number, name in enumerate(OBJECTIVES)}
    found = found.sort_values(["objective", "strength"], key=lambda c: c.map(order) if c.name == "objective" else c)
    return found.assign(seeds=table.seed.nunique()).reset_index(drop=True)


def objectives_text(table: pd.DataFrame) -> pd.DataFrame:
    """:func:`objective_means` for the page: mean ± standard error over seeds."""
    columns = {"misfit": "misfit (nats)", "kl": "KL (nats)", "total_correlation": "total correlation (nats)"}
    columns |= {"mig": "MIG", "score": "Higgins"}
    means = objective_means(table, tuple(columns))
    shown = pd.DataFrame({"objective": means["objective"].map(NAMES), "strength": means["strength"].map("{:g}".format)})
    for column, name in columns.items():
        digits = 2 if column in ("mig", "score") else 1
        pairs = zip(means[column], means[f"{column}_se"])
        shown[name] = [f"{value:.{digits}f}{PLUS_MINUS}{error:.{digits}f}" for value, error in pairs]
    return shown
