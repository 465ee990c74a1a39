"""Experiments that need no training: the forms of the bound, energy and temperature, spikes, and the factor 1/N."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd
import torch

from elbo.densities import mvn_entropy
from elbo.estimators import bounds, dependence, log_aggregate_posterior, surgery
from elbo.experiments.hoffman_johnson_2016.training import Runs
from elbo.models import linear_gaussian as lg

__all__ = [
    "forms_on_autoencoder",
    "forms_on_twin",
    "spike_densities",
    "spikes",
    "temperatures",
    "total_and_average",
    "widths",
]

FORMS = (
    "evidence - posterior KL",
    "entropy - energy",
    "reconstruction - KL to the prior",
    "reconstruction - mutual information - marginal KL",
)


def forms_on_twin(x_dim: int, latent_dim: int, *, seed: int) -> pd.DataFrame:
    """The four forms of the average ELBO on the linear-Gaussian model, each from its own terms, without sampling.

    The encoder is not the exact posterior (means shrunk and shifted, covariance diagonal), so that no term vanishes.

    Returns:
        Rows ``form`` with ``ELBO`` (nats per datum), its terms in words, and ``difference`` from the first form.
    """
    generator = torch.Generator().manual_seed(seed)
    model = lg.random_model(x_dim, latent_dim, generator)
    exact = lg.posterior_encoder(model)
    encoder = lg.LinearEncoder(0.8 * exact.weight, exact.bias + 0.3, torch.diag_embed(0.5 * exact.cov.diagonal()))
    mean, cov = lg.marginal(model)
    x = mean + bounds.sigma_points(x_dim, mean).squeeze(1) @ torch.linalg.cholesky(cov).mT  # exact for quadratics in x
    q_mean, q_cov = lg.encode(encoder, x)
    parts = lg.population_surgery(model, encoder, mean, cov)
    posterior_kl = lg.posterior_kl(model, x, q_mean, q_cov).mean()
    energy = -lg.expected_log_joint(model, x, q_mean, q_cov).mean()
    reconstruction = lg.expected_log_likelihood(model, x, q_mean, q_cov).mean()
    terms = [
        {"log evidence": lg.log_evidence(model, x).mean(), "posterior KL": posterior_kl},
        {"entropy": mvn_entropy(q_cov), "energy": energy},
        {"reconstruction": reconstruction, "KL to the prior": lg.prior_kl(q_mean, q_cov).mean()},
        {
            "reconstruction": parts.reconstruction,
            "mutual information": parts.mutual_information,
            "marginal KL": parts.marginal_kl,
        },
    ]
    return _forms(terms)


def forms_on_autoencoder(
    runs: Runs, *, images: int, codes: int, seed: int, points: int = 161, reach: float = 5.0
) -> pd.DataFrame:
    """The four forms of the average ELBO of the autoencoder with two latents, over the first ``images`` of its
    training set.

    Evidence and posterior KL come from quadrature on a grid of codes, the others from draws. In the fourth form these
    images are the data set: ``N = images``.

    Returns:
        Rows ``form`` with ``ELBO``, ``difference`` from the first form and ``standard error`` of the sampling (none
        in the quadrature), nats per image, and the terms in words.
    """
    generator = torch.Generator().manual_seed(seed)
    member = runs.member(2)
    model, params = runs.model(member)
    params = {name: value.double() for name, value in params.items()}
    x = runs.images[:images].double()
    mean, log_var = model.encode(params, x)

    def log_likelihood(index, z):
        return model.log_likelihood(params, x[index], z)

    draws = 16
    parts = surgery(mean, log_var, log_likelihood, generator=generator, codes=codes, draws=draws)
    noise = torch.randn(2, draws, 1, *mean.shape, generator=generator, dtype=torch.float64).to(mean)

    def each(form, noise):
        """The terms draw by draw, ``(draws, N)``."""
        found = [form(lambda z: model.log_likelihood(params, x, z), mean, log_var, one) for one in noise]
        return type(found[0])(*map(torch.stack, zip(*found)))

    energy = each(bounds.energy_entropy, noise[0])
    ratio = each(bounds.reconstruction_kl, noise[1])
    evidence, gap = _by_quadrature(lambda z: model.decode(params, z), x, mean, log_var, points, reach)
    terms = [
        {"log evidence": evidence.mean(), "posterior KL": gap.mean()},
        {"entropy": energy.entropy.mean(), "energy": energy.energy.mean()},
        {"reconstruction": ratio.reconstruction.mean(), "KL to the prior": ratio.prior_kl.mean()},
        {
            "reconstruction": parts.reconstruction,
            "mutual information": parts.mutual_information,
            "marginal KL": parts.marginal_kl,
        },
    ]
    split = [term.standard_error for term in (parts.reconstruction, parts.mutual_information, parts.marginal_kl)]
    return _forms(terms).assign(
        **{"standard error": [0.0, _within(energy.energy), _within(ratio.reconstruction), math.hypot(*split)]}
    )


def _within(values: torch.Tensor) -> float:
    """Standard error of the mean of ``(draws, N)`` values with the ``N`` data given."""
    draws, num = values.shape
    return (values.var(0).sum() / draws).sqrt().item() / num


def _by_quadrature(decode, x, mean, log_var, points: int, reach: float):
    """Log evidence and KL from q to the exact posterior of every image, on a square grid of two-dimensional codes."""
    line = torch.linspace(-reach, reach, points, dtype=x.dtype, device=x.device)
    grid = torch.cartesian_prod(line, line)
    logits = decode(grid)
    base = -0.5 * (grid.square() + math.log(2 * math.pi)).sum(1) - torch.nn.functional.softplus(logits).sum(1)
    log_cell = 2 * math.log(2 * reach / (points - 1))
    evidence, gap = [], []
    for part, centre, spread in zip(x.split(64), mean.split(64), log_var.split(64)):
        log_joint = part @ logits.mT + base  # (images, grid)
        evidence.append(torch.logsumexp(log_joint, 1) + log_cell)
        log_posterior = log_joint - evidence[-1].unsqueeze(1)
        log_q = -0.5 * (
            (grid - centre.unsqueeze(1)).square() * torch.exp(-spread.unsqueeze(1)) + spread.unsqueeze(1)
        ).sum(-1)
        log_q = log_q - torch.logsumexp(log_q, 1, keepdim=True)  # weights that add up to one on the grid
        gap.append((log_q.exp() * (log_q - log_cell - log_posterior)).sum(1))
    return torch.cat(evidence), torch.cat(gap)


def _forms(terms: list[dict]) -> pd.DataFrame:
    """A table of the forms: the first term of each counts with a plus sign, the others with a minus sign."""
    rows = []
    for form, each in zip(FORMS, terms):
        first, *others = map(float, each.values())
        words = ", ".join(f"{name} {float(value):.3f}" for name, value in each.items())
        rows.append({"form": form, "terms": words, "ELBO": first - sum(others)})
    table = pd.DataFrame(rows)
    return table.assign(difference=table["ELBO"] - table["ELBO"].iloc[0])


def widths(scales: Sequence[float], *, seed: int) -> pd.DataFrame:
    r"""Energy, entropy and free energy of :math:`q = N(m, s\,\Lambda^{-1})` around the exact posterior (s = 1), one
    datum.

    Returns:
        Rows ``scale`` (s) with ``energy``, ``entropy``, ``free_energy`` = energy - entropy, and ``equilibrium`` =
        -log p(x), nats.
    """
    model, x, mean, cov = _one_datum(seed)
    rows = []
    for scale in scales:
        energy = -lg.expected_log_joint(model, x, mean, scale * cov).item()
        entropy = mvn_entropy(scale * cov).item()
        rows.append({"scale": scale, "energy": energy, "entropy": entropy, "free_energy": energy - entropy})
    return pd.DataFrame(rows).assign(equilibrium=-lg.log_evidence(model, x).item())


def temperatures(values: Sequence[float], *, seed: int) -> pd.DataFrame:
    r"""The equilibrium at temperature T: :math:`q_T \propto e^{-U/T}`, with :math:`U(z) = -\log p(x, z)`; one datum.

    Returns:
        Rows ``temperature`` with ``energy`` (it rises by D/2 a unit of T), ``entropy`` and ``free_energy = energy - T
        entropy``, which is :math:`-T \log \int e^{-U/T}`, nats; ``minus_elbo`` is energy - entropy, lowest at T = 1.
    """
    model, x, mean, cov = _one_datum(seed)
    rows = []
    for value in values:
        terms = bounds.EnergyEntropy(-lg.expected_log_joint(model, x, mean, value * cov), mvn_entropy(value * cov))
        free, minus_elbo = terms.free_energy(value).item(), -terms.elbo.item()
        row = {
            "energy": terms.energy.item(),
            "entropy": terms.entropy.item(),
            "free_energy": free,
            "minus_elbo": minus_elbo,
        }
        rows.append({"temperature": value} | row)
    return pd.DataFrame(rows)


def _one_datum(seed: int):
    generator = torch.Generator().manual_seed(seed)
    model = lg.random_model(3, 2, generator)
    x = lg.sample(model, 1, generator)[0][0]
    return model, x, *lg.posterior(model, x)


def spikes(scales: Sequence[float], *, num: int, dim: int, codes: int, seed: int) -> pd.DataFrame:
    r"""``num`` posteriors :math:`N(\mu_n, s^2 I)` with :math:`\mu_n \sim N(0, (1 - s^2) I)`, from wide to narrow.

    In the population the aggregated posterior is the prior for every s: all that is left of the marginal KL and of
    the total correlation is due to the number of data being finite.

    Returns:
        Rows ``scale`` (s) with ``average_kl``, ``mutual_information``, ``marginal_kl``, ``total_correlation``, their
        errors ``<term>_se`` and ``log_n``, nats.
    """
    generator = torch.Generator().manual_seed(seed)
    directions = torch.randn(num, dim, generator=generator, dtype=torch.float64)
    rows = []
    for scale in scales:
        mean, log_var = math.sqrt(1 - scale**2) * directions, torch.full_like(directions, 2 * math.log(scale))
        found = surgery(mean, log_var, generator=generator, codes=codes).as_dict()
        split = dependence(mean, log_var, generator=generator, codes=codes // 2)
        correlation = {
            "total_correlation": float(split.total_correlation),
            "total_correlation_se": split.total_correlation.standard_error,
        }
        rows.append({"scale": scale} | found | correlation)
    return pd.DataFrame(rows)


def spike_densities(scales: Sequence[float], *, num: int, points: int, seed: int) -> pd.DataFrame:
    """The same in one dimension with few data: the density of the aggregated posterior on a line; rows ``scale, z,
    density, prior``.
    """
    directions = torch.randn(num, 1, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    line = torch.linspace(-3.5, 3.5, points, dtype=torch.float64)
    prior = torch.exp(-0.5 * (line.square() + math.log(2 * math.pi)))
    tables = []
    for scale in scales:
        mean, log_var = math.sqrt(1 - scale**2) * directions, torch.full_like(directions, 2 * math.log(scale))
        density = log_aggregate_posterior(line.unsqueeze(1), mean, log_var).exp()
        tables.append(
            pd.DataFrame({"scale": scale, "z": line.numpy(), "density": density.numpy(), "prior": prior.numpy()})
        )
    return pd.concat(tables, ignore_index=True)


def total_and_average(sizes: Sequence[int], *, prior_scale: float, seed: int) -> pd.DataFrame:
    r"""What the factor 1/N changes: one-dimensional data :math:`x_n \sim N(\theta + z_n, 1)`, a prior :math:`\theta
    \sim N(0, \tau^2)`.

    ``L + log p(theta)`` and ``L / N + log p(theta)``, with L the total ELBO (here the log evidence of the data, as
    the bound is tight), have different maxima; L and L / N alone have the same.

    Returns:
        Rows ``n``: ``total`` (nats) and ``average`` (nats per datum) of L at its maximum ``mean``, and the maximisers
        ``map_total`` and ``map_average``.
    """
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(max(sizes), generator=generator, dtype=torch.float64)
    x = 1.5 + math.sqrt(2) * noise  # the variances of code and noise add up to two
    rows = []
    for size in sizes:
        mean = x[:size].mean()
        model = lg.LinearGaussian(torch.ones(1, 1, dtype=x.dtype), mean.reshape(1), torch.zeros(1, dtype=x.dtype))
        total = lg.log_evidence(model, x[:size, None]).sum().item()
        shrink = {
            name: (weight / 2) / (weight / 2 + prior_scale**-2) for name, weight in (("total", size), ("average", 1))
        }
        row = {"n": size, "total": total, "average": total / size, "mean": mean.item()}
        rows.append(row | {f"map_{name}": (factor * mean).item() for name, factor in shrink.items()})
    return pd.DataFrame(rows)
