r"""The exact aggregated posterior: the mixture of all ``N`` encodings of a data set.

.. math:: q(z) = \frac1N \sum_{n=1}^N q(z \mid x_n), \qquad q(z \mid x_n) = N(\mu_n, \mathrm{diag}(\sigma_n^2)).

Hoffman & Johnson (2016) call it the average encoding distribution; ``N`` is the training set. Nothing is approximated
here: each code is compared with all ``N`` encodings. A Gaussian log-density is linear in :math:`(z^2, z, 1)`, so that
all ``S x N`` of them are one matrix product, taken tile by tile so that a tile stays in the processor's cache. The
expanded square cancels where posteriors are narrow; the product is therefore taken in float64 about the centre of the
encodings, and where its rounding could still reach 1e-7 nats the squares are taken of differences instead (slower,
same result).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from elbo.checks import floating, natural
from elbo.densities import LOG_2PI, gaussian_log_prob

__all__ = ["draw_codes", "log_aggregate_posterior", "log_dimension_marginals"]

LOG2_E = math.log2(math.e)  # powers of two are several times cheaper than powers of e, so tiles hold base-2 logarithms
CODES, ENCODINGS = 256, 2048  # a tile of 4 MB, which stays in cache
GPU_CODES, GPU_ENCODINGS = 2048, 16384  # a tile of 256 MB
LOWEST = 1e-280  # below this the sum of shifted densities may have lost terms to underflow
ROUNDING = 1e-7  # nats


class _Mixture(NamedTuple):
    """The encodings, prepared once: ``[(z - centre)^2, z - centre, 1] @ weights`` is log2 q(z|n) minus ``shift``."""

    centre: Tensor  # (D,)
    mean: Tensor  # (N, D), centred
    log_var: Tensor  # (N, D)
    weights: Tensor  # (2 D + 1, N)
    shift: float  # log2 of the largest density that any encoding reaches anywhere


def log_aggregate_posterior(z: Tensor, mean: Tensor, log_var: Tensor, *, chunk: int | None = None) -> Tensor:
    r"""Log-density of the aggregated posterior, :math:`\log \frac1N \sum_n N(z; \mu_n, \mathrm{diag}(\sigma_n^2))`.

    Hoffman & Johnson (2016). Exact over the ``N`` encodings, to the rounding of float64, whatever the precision of the
    arguments; no gradient is recorded.

    Args:
        z: ``(S, D)`` codes.
        mean, log_var: ``(N, D)`` encodings.
        chunk: codes taken at a time. It changes speed and memory, not the result.

    Returns:
        ``(S,)`` nats, on the device and in the dtype of ``z``.

    Cost: O(S N D) operations and S N exponentials. Memory beyond arguments and result: the encodings in float64, about
    ``60 N D`` bytes, and a tile (4 MB, on a GPU 256 MB, or ``8 * 2048 * chunk`` bytes).

    Raises:
        TypeError: arguments that are not of floating point.
        ValueError: shapes that do not fit, an empty mixture, encodings that are not finite, a chunk below 1. A code
            that is not finite has a log-density that is not finite either.
    """
    check_mixture(z, mean, log_var, chunk)
    device = torch.device("cpu") if z.device.type == "mps" else z.device  # Apple's GPUs have no float64
    mixture = _prepare(mean.detach().to(device), log_var.detach().to(device))
    on_gpu = device.type == "cuda"
    codes, encodings = chunk or (GPU_CODES if on_gpu else CODES), GPU_ENCODINGS if on_gpu else ENCODINGS
    result = torch.empty(z.shape[0], dtype=z.dtype, device=z.device)
    tile = torch.empty(min(codes, z.shape[0]) * min(encodings, mean.shape[0]), dtype=torch.float64, device=device)
    by_product = _rounding(z.detach().to(device), mixture) <= ROUNDING
    for start in range(0, z.shape[0], codes):
        block = z[start : start + codes].detach().to(device).double() - mixture.centre
        density = (
            _by_product(block, mixture, tile, encodings)
            if by_product
            else _by_differences(block, mixture, tile.numel())
        )
        result[start : start + codes] = density.to(z)
    return result


def log_dimension_marginals(z: Tensor, mean: Tensor, log_var: Tensor, *, chunk: int | None = None) -> Tensor:
    r"""Log-densities of the aggregated posterior's one-dimensional marginals, :math:`\log q(z_d)`.

    Total correlation is :math:`E \log q(z) - \sum_d E \log q(z_d)`, the dimension-wise KL
    :math:`\sum_d E [\log q(z_d) - \log p(z_d)]`; Chen et al. (2018), equation 2.

    Args:
        z, mean, log_var, chunk: as for :func:`log_aggregate_posterior`.

    Returns:
        ``(S, D)`` nats. Cost: D times the exponentials of the joint density.
    """
    check_mixture(z, mean, log_var, chunk)
    dims = [slice(d, d + 1) for d in range(z.shape[1])]
    columns = [log_aggregate_posterior(z[:, d], mean[:, d], log_var[:, d], chunk=chunk) for d in dims]
    return torch.stack(columns, dim=1)


def draw_codes(mean: Tensor, log_var: Tensor, num: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Draw ``num`` pairs of an index and its code: ``n`` uniformly with replacement, ``z`` from ``q(z | x_n)``.

    Returns:
        ``index (num,)`` and ``z (num, D)``, on the device of ``mean``. The draws come from the generator's own device.

    Raises:
        TypeError, ValueError: ``num`` below one, encodings that are not of floating point, or of other shapes.
    """
    floating(mean=mean, log_var=log_var)
    natural(num=num)
    if mean.ndim != 2 or mean.shape != log_var.shape or len(mean) == 0:
        raise ValueError(f"mean and log_var must both be (N, D), got {tuple(mean.shape)} and {tuple(log_var.shape)}")
    index = torch.randint(mean.shape[0], (num,), generator=generator, device=generator.device).to(mean.device)
    noise = torch.randn(num, mean.shape[1], generator=generator, dtype=mean.dtype, device=generator.device)
    return index, mean[index] + noise.to(mean.device) * torch.exp(0.5 * log_var[index])


def _prepare(mean: Tensor, log_var: Tensor) -> _Mixture:
    mean, log_var = mean.double(), log_var.double()
    centre = mean.mean(0)
    mean = mean - centre
    inverse = torch.exp(-log_var)
    peak = -0.5 * (log_var + LOG_2PI).sum(1)
    shift = peak.max()
    constant = peak - shift - 0.5 * (mean.square() * inverse).sum(1)
    weights = torch.cat([-0.5 * inverse, mean * inverse, constant.unsqueeze(1)], dim=1) * LOG2_E
    return _Mixture(centre, mean, log_var, weights.mT.contiguous(), shift.item() * LOG2_E)


def _by_product(z: Tensor, mixture: _Mixture, tile: Tensor, encodings: int) -> Tensor:
    """Log-density of centred codes ``(S, D)`` under the mixture, ``(S,)`` nats; ``tile`` is scratch space."""
    features = torch.cat([z.square(), z, torch.ones_like(z[:, :1])], dim=1)
    total = _sum_shifted(features, mixture.weights, tile, encodings)
    log2_total = torch.log2(total) + mixture.shift
    far = total < LOWEST
    if far.any():
        log2_total[far] = _sum_streaming(features[far], mixture.weights, encodings) + mixture.shift
    return log2_total / LOG2_E - math.log(mixture.mean.shape[0])


def _sum_shifted(features: Tensor, weights: Tensor, tile: Tensor, encodings: int) -> Tensor:
    """Sum of ``2 ** (features @ weights)`` over the encodings. The shift in the weights bounds each term by one."""
    rows, num = features.shape[0], weights.shape[1]
    total = features.new_zeros(rows)
    for start in range(0, num, encodings):
        block = weights[:, start : start + encodings]
        out = tile[: rows * block.shape[1]].view(rows, block.shape[1])
        torch.mm(features, block, out=out)
        total += out.exp2_().sum(1)
    return total


def _sum_streaming(features: Tensor, weights: Tensor, encodings: int) -> Tensor:
    """The base-2 logarithm of the same sum with a running maximum, for codes far away from every encoding."""
    largest = features.new_full(features.shape[:1], -math.inf)
    total = torch.zeros_like(largest)
    for start in range(0, weights.shape[1], encodings):
        out = features @ weights[:, start : start + encodings]
        higher = torch.maximum(largest, out.amax(1))
        total = total * torch.exp2(largest - higher) + out.sub_(higher.unsqueeze(1)).exp2_().sum(1)
        largest = higher
    return largest + torch.log2(total)


def _by_differences(z: Tensor, mixture: _Mixture, room: int) -> Tensor:
    """Log-density in nats by squaring differences: no cancellation, D times the memory traffic."""
    rows, (num, dim) = z.shape[0], mixture.mean.shape
    step = max(1, room // (rows * dim))
    largest = z.new_full((rows,), -math.inf)
    for start in range(0, num, step):
        part = slice(start, start + step)
        terms = gaussian_log_prob(z.unsqueeze(1), mixture.mean[part], mixture.log_var[part])
        largest = torch.logaddexp(largest, torch.logsumexp(terms, 1))
    return largest - math.log(num)


def _rounding(z: Tensor, mixture: _Mixture) -> float:
    """How far the product can be off, in nats: unit roundoff times the sum of the largest absolute summands."""
    if z.shape[0] == 0:
        return 0.0
    reach = torch.maximum(z.amax(0).double() - mixture.centre, mixture.centre - z.amin(0).double())  # (D,)
    largest = torch.cat([reach.square(), reach, torch.ones_like(reach[:1])])
    return (largest @ mixture.weights.abs().amax(1)).item() * torch.finfo(torch.float64).eps / LOG2_E


def check_mixture(z: Tensor, mean: Tensor, log_var: Tensor, chunk: int | None = None) -> None:
    """Refuse codes and encodings that do not make a mixture; see :func:`log_aggregate_posterior`."""
    floating(z=z, mean=mean, log_var=log_var)
    if not (mean.isfinite().all() and log_var.isfinite().all()):
        raise ValueError("mean and log_var must be finite: an encoding without a width or a place has no density")
    if mean.ndim != 2 or mean.shape != log_var.shape or mean.shape[0] == 0:
        raise ValueError(
            f"mean and log_var must both be (N, D), N at least 1, got {tuple(mean.shape)} and {tuple(log_var.shape)}"
        )
    if z.ndim != 2 or z.shape[1] != mean.shape[1]:
        raise ValueError(
            f"z must be (S, {mean.shape[1]}) like the encodings, got {tuple(z.shape)}; flatten its leading axes"
        )
    if chunk is not None and chunk < 1:
        raise ValueError(f"chunk must be at least 1 code, got {chunk}; leave it out for the default")
