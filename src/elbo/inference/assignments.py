r"""The local half of mixture inference: one pass over the data, in chunks that fit the cache.

CAVI assigns data softly, Gibbs sampling draws hard assignments; both then need the sufficient statistics. The pass
never keeps the ``(n, K)`` responsibilities, so its memory is one chunk whatever ``n`` is. With ``y = x - centre`` the
expected log-likelihoods are two matrix products, ``y^2 A' + y B'``, and so are the statistics; several initialisations
only make them wider.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from elbo.models.mixture_family import Coefficients, ConjugateMixture, Statistics, wide

__all__ = ["accumulate", "centre_of", "log_normalisers", "log_predictive", "responsibilities", "scored_chunks"]

_CHUNK_BYTES = {"cpu": 1 << 19}  # of data or of responsibilities: a few chunks stay in a second-level cache
_CHUNK_BYTES_ELSEWHERE = 1 << 28  # an accelerator wants few large products


def centre_of(model: ConjugateMixture, q: Any) -> Tensor:
    """A point amid the data, ``(dim,)``: the component means weighted by the data they stand for.

    Squares are taken about it, so that data far from the origin lose no digits. Any point gives the same mathematics.
    """
    mean, counts = model.location(q)
    weights = (counts + 1e-6) / (counts + 1e-6).sum()
    return (weights[..., None] * mean).flatten(0, -2).sum(0)


def accumulate(
    x: Tensor, coefficients: Coefficients, centre: Tensor, assign: Callable[[Tensor], tuple[Tensor, Tensor]]
) -> tuple[Statistics, Tensor]:
    """One pass over ``x (n, dim)``: assign every datum, sum the sufficient statistics.

    Args:
        x: data, any floating-point precision; the products run in it, the sums over chunks in double precision.
        coefficients, centre: expected log-likelihoods, from ``model.coefficients``; leading axes ``...`` are
            initialisations.
        assign: log-probabilities up to a constant ``(..., K, chunk)`` -> weights of the same shape, and ``(...)`` to be
            summed.

    Returns:
        Statistics ``(..., K)`` and ``(..., K, dim)``, and the summed second output of ``assign``. Cost ``8 n dim K``
        operations.
    """
    lead, dim = coefficients.bias.shape, x.shape[1]
    out = [torch.zeros(size, dtype=wide(x), device=x.device) for size in (lead, (*lead, dim), (*lead, dim), lead[:-1])]
    for y, y2, logits in scored_chunks(x, coefficients, centre):
        weights, extra = assign(logits)
        flat = weights.reshape(-1, len(y))
        out[0] += weights.sum(-1)
        out[1] += (flat @ y).view(*lead, dim)
        out[2] += (flat @ y2).view(*lead, dim)
        out[3] += extra
    return Statistics(out[0], out[1], out[2], centre), out[3]


def log_normalisers(model: ConjugateMixture, q: Any, x: Tensor) -> Tensor:
    r""":math:`\log\sum_k \exp E_q[\log p(x_n, c_n = k)]` for every datum: ``(batch, dim)`` -> ``(batch, ...)`` nats.

    Its sum over the data, less the KL of ``q(globals)`` from the prior, is the bound at the best assignments.
    """
    return torch.cat([logits.logsumexp(-2).movedim(-1, 0) for logits in _logits(model, q, x)])


def responsibilities(model: ConjugateMixture, q: Any, x: Tensor) -> Tensor:
    """The best ``q(c)`` given ``q(globals)``: ``(batch, dim)`` -> ``(batch, ..., K)``, rows summing to one."""
    return torch.cat([logits.softmax(-2).movedim(-1, 0) for logits in _logits(model, q, x)])


def log_predictive(model: ConjugateMixture, q: Any, x: Tensor) -> Tensor:
    r"""Held-out log predictive density :math:`\log \int p(x_{new} \mid \theta) q(\theta) d\theta`, one number a datum,
    in chunks.

    Returns:
        ``(batch, ...)`` nats for ``x (batch, dim)``; ``.mean(0)`` is what Blei et al. (2017) plot in figures 3 and 6.
    """
    rows = _rows(x, x.shape[1])
    return torch.cat([model.log_predictive(q, part) for part in x.split(rows)])


def _logits(model: ConjugateMixture, q: Any, x: Tensor) -> Iterator[Tensor]:
    centre = centre_of(model, q)
    for _, _, logits in scored_chunks(x, model.coefficients(q, centre), centre):
        yield logits


def scored_chunks(x: Tensor, coefficients: Coefficients, centre: Tensor) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Yield ``y, y**2 (rows, dim)`` and the expected log-likelihoods ``(..., K, rows)``, components first: the faster
    product.
    """
    lead = coefficients.bias.shape
    weight2, weight1 = (c.flatten(0, -2).to(x) for c in coefficients[:2])
    bias, shift = coefficients.bias.reshape(-1, 1).to(x), centre.to(x)
    rows = max(64, _rows(x, max(x.shape[1], lead.numel())))
    for part in x.split(rows):
        y = part - shift
        y2 = y.square()
        yield y, y2, torch.addmm(bias, weight1, y.T).addmm_(weight2, y2.T).view(*lead, -1)


def _rows(x: Tensor, width: int) -> int:
    return max(1, _CHUNK_BYTES.get(x.device.type, _CHUNK_BYTES_ELSEWHERE) // (x.element_size() * width))
