"""What surgery finds in trained autoencoders: the table, and the terms over training, over N and over estimators."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import get_args

import pandas as pd
import torch

from elbo.densities import standard_gaussian_kl, standard_gaussian_log_prob
from elbo.estimators import batch_terms, code_terms, dependence, draw_codes, log_aggregate_posterior, surgery
from elbo.estimators.minibatch import Estimator
from elbo.experiments.hoffman_johnson_2016.training import Runs

__all__ = [
    "aggregate_on_grid",
    "as_text",
    "compare_estimators",
    "information_against_n",
    "estimator_errors",
    "over_seeds",
    "surgery_table",
    "terms_over_training",
    "turning_points",
]


def surgery_table(runs: Runs, *, codes: int, seed: int, age: int = -1) -> pd.DataFrame:
    """The table of the paper: the terms of the average ELBO for every model of the stack.

    Args:
        codes: pairs of index and code for the mutual information and the marginal KL.
        seed: of the draws.

    Returns:
        One row a model: ``latent_dim, seed``, the terms of :class:`elbo.estimators.Surgery` in nats per image, and
        ``<term>_se``, their Monte Carlo standard errors with model and images given.
    """
    rows = []
    for member, latent_dim, own in runs.members:
        model, params = runs.model(member, age)
        mean, log_var = runs.encodings(member, age)
        found = surgery(
            mean,
            log_var,
            lambda index, z: model.log_likelihood(params, runs.images[index], z),  # noqa: B023
            generator=torch.Generator().manual_seed(seed),
            codes=codes,
        )
        rows.append({"latent_dim": latent_dim, "seed": own} | found.as_dict())
    return pd.DataFrame(rows)


def over_seeds(table: pd.DataFrame, by: Sequence[str] = ("latent_dim",)) -> pd.DataFrame:
    """Means over the training seeds; ``<term>_se`` becomes the standard error over seeds (empty for a single one)."""
    terms = [name for name in table if f"{name}_se" in table]
    grouped = table.groupby(list(by), sort=True)
    means, counts = grouped[terms].mean(), grouped.size()
    errors = grouped[terms].std().div(counts.pow(0.5), axis=0).add_suffix("_se")
    return pd.concat([counts.rename("models"), means, errors], axis=1).reset_index()


def as_text(table: pd.DataFrame, by: Sequence[str] = ("run", "latent_dim")) -> pd.DataFrame:
    """The table as it is printed: ``value ± error`` with two decimals, the error left out where there is none."""
    terms = {"elbo": "ELBO", "average_kl": "average KL", "mutual_information": "mutual information", "log_n": "log N",
             "marginal_kl": "marginal KL"}  # fmt: skip
    rows = []
    for row in table.to_dict("records"):
        cells = {name.replace("latent_dim", "latents"): row[name] for name in by}
        for term, title in terms.items():
            error = row[f"{term}_se"]
            cells[title] = f"{row[term]:.2f}" + (
                f"\N{NO-BREAK SPACE}±\N{NO-BREAK SPACE}{error:.2f}" if error > 0 else ""
            )
        rows.append(cells)
    return pd.DataFrame(rows)


def terms_over_training(runs: Runs, *, codes: int, seed: int) -> pd.DataFrame:
    """The terms at every kept age, means over training seeds; rows ``latent_dim, epoch``, columns as
    :func:`over_seeds`.
    """
    tables = [
        surgery_table(runs, codes=codes, seed=seed, age=age).assign(epoch=at) for age, at in enumerate(runs.epochs)
    ]
    return over_seeds(pd.concat(tables), ("latent_dim", "epoch"))


def turning_points(ages: pd.DataFrame, latent_dim: dict[str, int], share: float = 0.9) -> pd.DataFrame:
    """When training turns, for one size of code of every run: rows ``run, latent_dim``.

    Returns:
        ``information``, the first kept age, in epochs, at which the mutual information has reached ``share`` of its
        end; ``least``, the age of the least marginal KL; ``first`` and ``second``, the two in order of time.
    """
    rows = []
    for run, dim in latent_dim.items():
        line = ages[(ages["run"] == run) & (ages["latent_dim"] == dim)].sort_values("epoch")
        there = line["mutual_information"] >= share * line["mutual_information"].iloc[-1]
        information, least = line["epoch"][there.idxmax()], line["epoch"][line["marginal_kl"].idxmin()]
        first, second = sorted((information, least))
        row = {"run": run, "latent_dim": dim, "information": information, "least": least}
        rows.append(row | {"first": first, "second": second})
    return pd.DataFrame(rows)


def information_against_n(runs: Runs, sizes: Sequence[int], *, codes: int, seed: int) -> pd.DataFrame:
    """Index-code mutual information of nested random subsets of the training set, for the first model of each size of
    code.

    The encoder is the same for all subsets: only the mixture grows.

    Returns:
        Rows ``latent_dim, n`` with the terms, their Monte Carlo errors, and ``log_n``. ``average_kl`` is the subset's
        own.
    """
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(runs.images), generator=generator).to(runs.images.device)
    rows = []
    for latent_dim in dict.fromkeys(dim for _, dim, _ in runs.members):
        mean, log_var = runs.encodings(runs.member(latent_dim))
        for size in sorted({min(size, len(order)) for size in sizes}):
            subset = order[:size]
            found = surgery(mean[subset], log_var[subset], generator=generator, codes=codes)
            rows.append({"latent_dim": latent_dim, "n": size} | found.as_dict())
    return pd.DataFrame(rows)


def aggregate_on_grid(runs: Runs, *, points: int, reach: float = 4.0) -> pd.DataFrame:
    """The exact aggregated posterior of the two-dimensional model on a square grid, beside the prior.

    Returns:
        Rows ``z1, z2`` with the densities ``q`` and ``p`` (per unit area) and ``log_ratio``, nats.
    """
    mean, log_var = runs.encodings(runs.member(2))
    line = torch.linspace(-reach, reach, points, dtype=torch.float64, device=mean.device)
    grid = torch.cartesian_prod(line, line)
    log_q, log_p = log_aggregate_posterior(grid, mean, log_var), standard_gaussian_log_prob(grid)
    columns = {"z1": grid[:, 0], "z2": grid[:, 1], "q": log_q.exp(), "p": log_p.exp(), "log_ratio": log_q - log_p}
    return pd.DataFrame({name: column.cpu().numpy() for name, column in columns.items()})


def compare_estimators(
    runs: Runs, latent_dim: int, *, batch_size: int, batches: int, codes: int, seed: int
) -> pd.DataFrame:
    """The same encodings under the exact estimator and under the minibatch estimators in common use.

    Returns:
        Rows ``estimator, term`` with ``value`` and ``se``, nats per image. Terms: ``mutual information``, ``total
        correlation``, ``dimension-wise KL`` and their ``sum``; standard errors over codes for the exact rows (their
        sum is the average KL in closed form), over batches for the others. ``error`` is the distance from the exact
        row.
    """
    generator = torch.Generator().manual_seed(seed)
    mean, log_var = (t.double() for t in runs.encodings(runs.member(latent_dim)))
    rows = _exact_terms(mean, log_var, codes, generator)
    names = ("mutual information", "total correlation", "dimension-wise KL")
    found = {kind: [] for kind in get_args(Estimator)}
    for _ in range(batches):
        index = torch.randperm(len(mean), generator=generator)[:batch_size].to(mean.device)
        noise = torch.randn(batch_size, latent_dim, generator=generator, dtype=torch.float64).to(mean.device)
        z = mean[index] + noise * torch.exp(0.5 * log_var[index])
        for kind, values in found.items():
            values.append([term.mean().item() for term in batch_terms(z, mean[index], log_var[index], len(mean), kind)])
    for kind, values in found.items():
        table = torch.tensor(values, dtype=torch.float64)  # (batches, 3)
        table = torch.cat([table, table.sum(1, keepdim=True)], dim=1)
        errors = table.std(0) / math.sqrt(batches)
        rows += [
            {"estimator": kind, "term": term, "value": value, "se": error}
            for term, value, error in zip((*names, "sum"), table.mean(0).tolist(), errors.tolist())
        ]
    found = pd.DataFrame(rows).assign(log_n=math.log(len(mean)), log_b=math.log(batch_size))
    return found.assign(error=estimator_errors(found))


def estimator_errors(table: pd.DataFrame) -> pd.Series:
    """How far each row of :func:`compare_estimators` is from the exact value of its term, nats per image."""
    exact = table[table["estimator"] == "exact"].set_index("term")["value"]
    return table["value"] - table["term"].map(exact)


def _exact_terms(mean, log_var, codes: int, generator: torch.Generator) -> list[dict]:
    index, z = draw_codes(mean, log_var, codes, generator)
    terms = code_terms(z, index, mean, log_var)
    split = dependence(mean, log_var, generator=generator, codes=max(2, codes // 4))
    information = terms.log_posterior - terms.log_aggregate
    rows = [
        ("mutual information", information.mean().item(), information.std().item() / math.sqrt(codes)),
        ("total correlation", split.total_correlation, split.total_correlation.standard_error),
        ("dimension-wise KL", split.sum_dimension_kl, split.sum_dimension_kl.standard_error),
        ("sum", standard_gaussian_kl(mean, log_var).mean().item(), 0.0),
    ]
    return [{"estimator": "exact", "term": term, "value": float(value), "se": se} for term, value, se in rows]
