"""CAVI iterations a second beside scikit-learn's variational mixture: 10,000 x 576 data, 30 components, one process.

Both do the same iterations from the same responsibilities, in alternating blocks, so that other load hits
both; the median block counts (processor time with one thread, time on the clock with more). scikit-learn's ``diag``
covariances take log-determinants from a full Wishart; here it runs with that one term replaced by independent Gammas,
which changes neither its work nor its memory: then the models coincide and the bounds rise by the same amount. Memory
is the growth of a fresh process's peak beyond data and start, in units of the data.
"""

from __future__ import annotations

import math
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import torch
from scipy.special import digamma, gammaln
from sklearn.mixture import BayesianGaussianMixture

from elbo.inference import cavi
from elbo.models.gaussian_mixture import DiagonalMixture
from elbo.models.mixture_family import Statistics

NUM_DATA, DIM, NUM_COMPONENTS = 10_000, 576, 30


class ProductOfGammas(BayesianGaussianMixture):
    """scikit-learn's model, the Wishart's log-determinant and normaliser replaced by those of Gammas."""

    def _estimate_log_prob(self, X, xp=None):
        nu, dim = self.degrees_of_freedom_, X.shape[1]
        wishart = digamma(0.5 * (nu - np.arange(dim)[:, None])).sum(0)
        return super()._estimate_log_prob(X) + (0.5 * (dim * digamma(0.5 * nu) - wishart)).astype(X.dtype)

    def _compute_lower_bound(self, log_resp, log_prob_norm):
        nu, dim = self.degrees_of_freedom_, len(self.mean_prior_)
        wishart = gammaln(0.5 * (nu - np.arange(dim)[:, None])).sum(0)
        return super()._compute_lower_bound(log_resp, log_prob_norm) + (dim * gammaln(0.5 * nu) - wishart).sum()


def problem(dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
    """Overlapping clusters, and soft random responsibilities to start from."""
    generator = torch.Generator().manual_seed(0)
    mean = 0.2 * torch.randn(NUM_COMPONENTS, DIM, generator=generator)
    label = torch.randint(NUM_COMPONENTS, (NUM_DATA,), generator=generator)
    x = mean[label] + torch.randn(NUM_DATA, DIM, generator=generator)
    resp = torch.rand(NUM_DATA, NUM_COMPONENTS, generator=generator).mul(3).softmax(-1)
    return x.to(dtype), resp.to(dtype)


def ours(x: torch.Tensor, resp: torch.Tensor) -> tuple[DiagonalMixture, cavi.CaviState]:
    """Our model and state, with the prior at which it is scikit-learn's."""
    model = DiagonalMixture(NUM_COMPONENTS, mean=0.0, mean_precision=1.0, shape=DIM / 2, rate=DIM / 2)
    stats = Statistics(resp.sum(0), resp.T @ x, resp.T @ x.square(), torch.zeros(DIM))
    stats = Statistics(*(part.double()[None] for part in stats[:3]), stats.centre.double())
    return model, cavi.CaviState(model.posterior(stats), torch.full((1,), -math.inf, dtype=torch.float64), 0)


def theirs(x: torch.Tensor, resp: torch.Tensor) -> ProductOfGammas:
    """scikit-learn's estimator, started."""
    dtype = x.numpy().dtype
    model = ProductOfGammas(
        n_components=NUM_COMPONENTS, covariance_type="diag", weight_concentration_prior_type="dirichlet_distribution",
        mean_prior=np.zeros(DIM, dtype), mean_precision_prior=1.0, degrees_of_freedom_prior=DIM, reg_covar=0.0,
        covariance_prior=np.full(DIM, DIM, dtype),
    )  # fmt: skip
    model._check_parameters(x.numpy())
    model._initialize(x.numpy(), resp.numpy())
    return model


def iterate(model: ProductOfGammas, x: np.ndarray) -> float:
    """One iteration of scikit-learn's own loop."""
    log_norm, log_resp = model._e_step(x)
    model._m_step(x, log_resp)
    return model._compute_lower_bound(log_resp, log_norm)


def compare(dtype: torch.dtype, blocks: int = 7, block: int = 5) -> dict:
    """Iterations a second of both, and how far their bounds are apart after the same number of steps."""
    x, resp = problem(dtype)
    (model, state), estimator = ours(x, resp), theirs(x, resp)
    data, seconds = x.numpy(), {"ours": [], "theirs": []}
    first, clock = None, time.process_time if torch.get_num_threads() == 1 else time.perf_counter
    for _ in range(blocks):
        begun = clock()
        for _ in range(block):
            state = cavi.step(model, x, state)
            first = state.elbo.item() if first is None else first
        seconds["ours"].append(clock() - begun)
        begun = clock()
        for _ in range(block):
            bound = iterate(estimator, data)
            estimator.first_ = getattr(estimator, "first_", bound)
        seconds["theirs"].append(clock() - begun)
    rates = {name: block / statistics.median(values) for name, values in seconds.items()}
    return {
        "precision": str(dtype).removeprefix("torch."),
        "threads": torch.get_num_threads(),
        "iterations/s": rates["ours"],
        "sklearn iterations/s": rates["theirs"],
        "ratio": rates["ours"] / rates["theirs"],
        "rise of the bound": state.elbo.item() - first,
        "sklearn rise": bound - estimator.first_,
        "largest difference of a mean": float(np.abs(state.q.mean[0].numpy() - estimator.means_).max()),
        "memory/data": memory("ours", dtype),
        "sklearn memory/data": memory("theirs", dtype),
    }


def memory(who: str, dtype: torch.dtype) -> float:
    """Growth of the peak of a fresh process during ten iterations, in units of the data; NaN where the system is not
    Linux.
    """
    name = str(dtype).removeprefix("torch.")
    code = f"from benchmarks.cavi import grow; print(grow({who!r}, {name!r}))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return float(out.stdout.split()[-1])


def grow(who: str, precision: str) -> float:
    """What :func:`memory` runs in its own process: data and start, a small warm-up, then ten iterations."""
    x, resp = problem(getattr(torch, precision))
    if not Path("/proc/self/clear_refs").exists():
        return math.nan
    if who == "ours":
        model, state = ours(x, resp)

        def advance(rows: torch.Tensor) -> object:
            return cavi.step(model, rows, state)

    else:
        estimator = theirs(x, resp)

        def advance(rows: torch.Tensor) -> object:
            return iterate(estimator, rows.numpy())

    advance(x[:200])  # libraries and their buffers load here
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts again from what is resident now
    before = _peak()
    for _ in range(10):
        advance(x)
    return (_peak() - before) / (x.numel() * x.element_size())


def _peak() -> int:
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return 1024 * int(line.split()[1])


def run() -> list[dict]:
    """One row for single and one for double precision."""
    return [compare(dtype) for dtype in (torch.float32, torch.float64)]


if __name__ == "__main__":
    for row in run():
        print(
            "  ".join(
                f"{key}={value:.4g}" if isinstance(value, float) else f"{key}={value}" for key, value in row.items()
            )
        )
