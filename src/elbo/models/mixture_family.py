"""What every Gaussian mixture here shares: its parameters, its sufficient statistics, and the exact answer at tiny
``n``.

Two mixtures are defined in :mod:`elbo.models.gaussian_mixture`. Both are conditionally conjugate, so an algorithm needs
only five things of them, and never asks which of the two it has (:class:`ConjugateMixture`).

Shapes: ``n`` data, ``dim`` columns, ``K`` components; ``...`` is any number of leading axes (initialisations, chains,
assignments), all worked on at once. Everything is in nats.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import torch
from torch import Generator, Tensor

from elbo.densities import LOG_2PI

__all__ = [
    "Coefficients",
    "ConjugateMixture",
    "Parameters",
    "Statistics",
    "all_assignments",
    "assignment_posterior",
    "check_data",
    "component_log_likelihood",
    "log_evidence",
    "randn_like",
    "require",
    "sample_data",
    "statistics",
    "wide",
]


class Parameters(NamedTuple):
    r"""Global latents of a Gaussian mixture with diagonal covariances: :math:`(\log\pi, \mu, \tau)`."""

    log_weights: Tensor  # (..., K)
    mean: Tensor  # (..., K, dim)
    precision: Tensor  # (..., K, dim)


class Statistics(NamedTuple):
    r"""Sufficient statistics of softly assigned data, about a ``centre`` that keeps the subtraction of large numbers
    away.

    .. math:: N_k = \sum_n r_{nk}, \quad \sum_n r_{nk} (x_n - c), \quad \sum_n r_{nk} (x_n - c)^2
    """

    counts: Tensor  # (..., K)
    linear: Tensor  # (..., K, dim)
    quadratic: Tensor  # (..., K, dim)
    centre: Tensor  # (dim,)


class Coefficients(NamedTuple):
    r"""The expected complete log-likelihood of one datum as a quadratic in :math:`y = x - c`.

    .. math:: E_q[\log p(x, c = k)] = \sum_d \big( A_{kd}\, y_d^2 + B_{kd}\, y_d \big) + C_k
    """

    quadratic: Tensor  # (..., K, dim)
    linear: Tensor  # (..., K, dim)
    bias: Tensor  # (..., K)


class ConjugateMixture(Protocol):
    """What CAVI, SVI and Gibbs sampling ask of a mixture. A posterior is a NamedTuple with leading axes ``...``."""

    num_components: int

    def posterior(self, stats: Statistics) -> Any: ...  # the conjugate update, exact given assignments
    def coefficients(self, q: Any, centre: Tensor) -> Coefficients: ...  # E_q log p(x, c | globals)
    def kl(self, q: Any) -> Tensor: ...  # KL(q(globals) || p(globals)), (...)
    def interpolate(self, q0: Any, q1: Any, rate: float) -> Any: ...  # (1 - rate) q0 + rate q1 in natural parameters
    def draw(self, q: Any, generator: Generator) -> Parameters: ...  # one draw of the globals
    def location(self, q: Any) -> tuple[Tensor, Tensor]: ...  # component means and expected counts
    def log_predictive(self, q: Any, x: Tensor) -> Tensor: ...  # log of the density of a new datum, (batch, ...)
    def log_evidence_given(self, stats: Statistics) -> Tensor: ...  # log p(x, c), globals integrated out


def require(ok: bool, message: str) -> None:
    """Raise ``ValueError(message)`` unless ``ok``."""
    if not ok:
        raise ValueError(message)


def randn_like(like: Tensor, generator: Generator) -> Tensor:
    """Standard normal noise with the shape, precision and device of ``like``, from ``generator``."""
    return torch.randn(like.shape, generator=generator, dtype=like.dtype, device=like.device)


def wide(x: Tensor) -> torch.dtype:
    """The precision of sums over the data and of global parameters: double wherever the device has it."""
    return torch.float32 if x.device.type == "mps" else torch.float64


def check_data(x: Tensor) -> Tensor:
    """Accept a finite, floating-point ``(n, dim)`` matrix, or say what is wrong with it.

    Raises:
        ValueError: not a matrix, empty, not floating point, or with NaN or infinite entries.
    """
    if not isinstance(x, Tensor):
        raise ValueError(f"data must be a torch tensor, got {type(x).__name__}; wrap it in torch.as_tensor")
    if x.ndim != 2 or 0 in x.shape:
        raise ValueError(f"data must be a non-empty (n, dim) matrix, got shape {tuple(x.shape)}; reshape it first")
    if not x.dtype.is_floating_point:
        raise ValueError(f"data must be floating point, got {x.dtype}; call .float() or .double() first")
    low, high = torch.aminmax(x)  # a pass without a copy; NaN propagates
    if not (torch.isfinite(low) and torch.isfinite(high)):
        bad = [j for j in range(x.shape[1]) if not torch.isfinite(x[:, j]).all()]
        shown = ", ".join(map(str, bad[:5])) + (", ..." if len(bad) > 5 else "")
        raise ValueError(f"data has NaN or infinite entries in column(s) {shown}; drop or impute those rows first")
    return x


def statistics(x: Tensor, resp: Tensor, centre: Tensor | None = None) -> Statistics:
    """Sufficient statistics of ``x (n, dim)`` under responsibilities ``(..., n, K)``; for small problems, unchunked."""
    centre = torch.zeros_like(x[0]) if centre is None else centre
    y = x - centre
    r = resp.transpose(-1, -2)
    return Statistics(r.sum(-1), r @ y, r @ y.square(), centre)


def component_log_likelihood(params: Parameters, x: Tensor) -> Tensor:
    r""":math:`\log \pi_k + \log N(x; \mu_k, \mathrm{diag}(1/\tau_k))`; ``x (batch, dim)`` -> ``(batch, ..., K)`` nats.

    ``logsumexp(-1)`` of it is the log-density of a datum with its assignment summed out. Cost ``batch * K * dim``.
    """
    x = x.reshape(x.shape[0], *(1,) * (params.mean.ndim - 1), x.shape[1])
    squared = (x - params.mean).square() * params.precision
    return params.log_weights + 0.5 * (params.precision.log() - LOG_2PI - squared).sum(-1)


def sample_data(params: Parameters, num: int, generator: Generator) -> tuple[Tensor, Tensor]:
    """Draw ``num`` data from one mixture (no leading axes): ``x (num, dim)`` and the assignments ``(num,)``."""
    assignments = torch.multinomial(params.log_weights.exp(), num, replacement=True, generator=generator)
    mean, precision = params.mean[assignments], params.precision[assignments]
    noise = torch.randn(mean.shape, generator=generator, dtype=mean.dtype, device=mean.device)
    return mean + noise * precision.rsqrt(), assignments


def all_assignments(num: int, num_components: int) -> Tensor:
    """Every assignment of ``num`` data to components, ``(K ** num, num)``.

    Raises:
        ValueError: more than a million assignments.
    """
    if num_components**num > 1_000_000:
        raise ValueError(
            f"{num_components}**{num} assignments are too many to enumerate; use fewer data or fewer components"
        )
    return torch.cartesian_prod(*[torch.arange(num_components)] * num).reshape(-1, num)


def assignment_posterior(model: ConjugateMixture, x: Tensor) -> tuple[Tensor, Tensor]:
    r"""Exact :math:`\log p(c \mid x)` by enumeration, the global latents integrated out in closed form.

    Returns:
        The assignments ``(K ** n, n)`` and their log posterior probabilities ``(K ** n,)``. Cost ``K ** n``.
    """
    assignments = all_assignments(x.shape[0], model.num_components)
    log_joint = _log_joints(model, x, assignments)
    return assignments, log_joint - log_joint.logsumexp(0)


def log_evidence(model: ConjugateMixture, x: Tensor) -> Tensor:
    r"""Exact :math:`\log p(x) = \log \sum_c p(x, c)`, a scalar in nats for the whole data set.

    Each of the ``K ** n`` terms is a closed form; this is what a bound must stay below. Blei et al. (2017), section
    2.1, calls the sum intractable; at ``n <= 12`` it is only slow.
    """
    return _log_joints(model, x, all_assignments(x.shape[0], model.num_components)).logsumexp(0)


def _log_joints(model: ConjugateMixture, x: Tensor, assignments: Tensor) -> Tensor:
    check_data(x)
    one_hot = torch.nn.functional.one_hot(assignments, model.num_components).to(x)
    return model.log_evidence_given(statistics(x, one_hot, x.mean(0)))
