"""Speed of the exact aggregated posterior: 10,000 codes against 60,000 encodings, ten dimensions, float64.

The yardsticks run in the same process, interleaved with what is measured, on a share of the work at a time, and the
best of several rounds counts: the machine may be busy. They are

* the exponentials alone: ``torch.exp`` of 6e8 numbers that lie in cache, the plain reading of "as fast as the
  exponentials";
* the powers of two alone: ``torch.exp2`` of as many, which the implementation uses because they are cheaper;
* a straightforward broadcast, as public code has it: 10 codes at a time, a tensor of (10, N, D) log-densities,
  ``logsumexp``.

Run ``python benchmarks/surgery.py``; it takes about a minute on one quiet core.
"""

from __future__ import annotations

import json
import math
import time

import torch

from elbo.densities import gaussian_log_prob
from elbo.estimators import draw_codes, log_aggregate_posterior

CODES, ENCODINGS, DIM, SCALE = 10_000, 60_000, 10, 0.2


def run(rounds: int = 5, share: int = 10) -> list[dict]:
    """Measure with ``CODES / share`` codes a round and scale up; the broadcast takes a tenth of that.

    Returns:
        One dictionary a route: ``route``, ``seconds`` for the full size, ``per_exp`` and ``per_exp2`` (ratio to the
            exponentials
        and to the powers of two alone), ``error`` (largest difference from the broadcast, nats; ``None`` for
        yardsticks).
    """
    generator = torch.Generator().manual_seed(0)
    directions = torch.randn(ENCODINGS, DIM, generator=generator, dtype=torch.float64)
    mean = math.sqrt(1 - SCALE**2) * directions
    log_var = 2 * math.log(SCALE) + 0.2 * torch.randn(ENCODINGS, DIM, generator=generator, dtype=torch.float64)
    _, z = draw_codes(mean, log_var, CODES // share, generator)
    few = z[: len(z) // 10]
    numbers = -50 * torch.rand(256 * 2048, generator=generator, dtype=torch.float64)
    out = torch.empty_like(numbers)

    def repeat(function) -> None:
        for _ in range(len(z) * ENCODINGS // len(numbers)):
            function(numbers, out=out)

    routes = {
        "exponentials alone": (lambda: repeat(torch.exp), share),
        "powers of two alone": (lambda: repeat(torch.exp2), share),
        "exact, this package": (lambda: log_aggregate_posterior(z, mean, log_var), share),
        "broadcast, 10 codes at a time": (lambda: _broadcast(few, mean, log_var), 10 * share),
    }
    best = dict.fromkeys(routes, math.inf)
    for _ in range(rounds):
        for route, (function, times) in routes.items():
            start = time.perf_counter()
            function()
            best[route] = min(best[route], times * (time.perf_counter() - start))
    error = (log_aggregate_posterior(few, mean, log_var) - _broadcast(few, mean, log_var)).abs().max().item()
    return [
        {
            "route": route,
            "seconds": seconds,
            "per_exp": seconds / best["exponentials alone"],
            "per_exp2": seconds / best["powers of two alone"],
            "error": error if route.startswith("exact") else None,
            "codes": CODES,
            "encodings": ENCODINGS,
            "dim": DIM,
            "dtype": "float64",
            "threads": torch.get_num_threads(),
        }
        for route, seconds in best.items()
    ]


def _broadcast(z: torch.Tensor, mean: torch.Tensor, log_var: torch.Tensor) -> torch.Tensor:
    rows = [torch.logsumexp(gaussian_log_prob(part.unsqueeze(1), mean, log_var), 1) for part in z.split(10)]
    return torch.cat(rows) - math.log(len(mean))


if __name__ == "__main__":
    print(json.dumps(run(), indent=1))
