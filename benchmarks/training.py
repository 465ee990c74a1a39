"""Images per second of one training step, 784-500-20 with batch 100, beside other ways and its own matrix products.

Everything runs in one process, in short interleaved rounds, and the quickest round of each counts: on a shared machine
the ratios mean something, the absolute numbers less. With one thread (``OMP_NUM_THREADS=1``) processor time is taken,
which other work on the machine touches least; with more, time on the clock. Random numbers stand for the images;
nothing here depends on their values.

- *matrix products*: the products of the step at their own shapes, in its order, into buffers that exist: what no way of
  writing it can undercut by much.
- *this package*: the training loop as ``fit`` runs it, with drawing the minibatches and the noise, gathering images and
  checking the losses. Estimator B, Adagrad, a prior on the weights.
- *DataLoader recipe*: what tutorials show. torchvision's MNIST with ``ToTensor()``, picture by picture, a DataLoader,
  ``nn.Module``, ``binary_cross_entropy``, Adam, ``loss.item()`` at every step. The same on ready tensors in a
  ``TensorDataset`` is given too.
- *Pyro SVI*: the model and guide of Pyro's VAE example on the same network, minibatches sliced from a tensor,
  ``Trace_ELBO``, Adam.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset, TensorDataset

from elbo.data._torchvision import torchvision
from elbo.inference.aevb import objective
from elbo.models.vae import VAE
from elbo.training import Adagrad, Noise
from elbo.training.run import advancer, prepare

DATA, HIDDEN, LATENT, BATCH, COUNT, BLOCK = 784, 500, 20, 100, 10_000, 50
ROUNDS = int(os.environ.get("ELBO_BENCH_ROUNDS", 30))

Burst = Callable[[], int]  # trains for a moment, says on how many images


def run() -> list[dict[str, object]]:
    """One row a contestant: its quickest of ``ROUNDS`` rounds, and how many times this package is faster."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (COUNT, DATA), generator=generator, dtype=torch.uint8)
    grey = images.float() / 255
    bursts: dict[str, Burst] = {
        "matrix products alone": products(generator),
        "this package, eager": ours(grey, compiled=False),
        "this package, compiled": ours(grey, compiled=True),
        "DataLoader recipe": recipe(pictures(images)),
        "DataLoader, ready tensors": recipe(TensorDataset(grey, torch.zeros(COUNT))),
        "Pyro SVI": pyro_svi(grey),
    }
    clock = time.process_time if torch.get_num_threads() == 1 else time.perf_counter
    missing = [name for name, burst in bursts.items() if burst is None]
    best = {name: float("inf") for name in bursts if name not in missing}
    for _ in range(ROUNDS):
        for name in best:
            start = clock()
            count = bursts[name]()
            best[name] = min(best[name], (clock() - start) / count)
    return [_row(name, best) for name in bursts if name in best] + [_absent(name) for name in missing]


def _row(name: str, best: dict[str, float]) -> dict[str, object]:
    floor, eager = best["matrix products alone"], best["this package, eager"]
    compiled = best.get("this package, compiled")
    return {
        "what": name,
        "threads": torch.get_num_threads(),
        "images_per_second": round(1 / best[name]),
        "ms_per_step": 1e3 * BATCH * best[name],
        "share_of_products": floor / best[name],
        "eager_is_faster_by": best[name] / eager,
        "compiled_is_faster_by": best[name] / compiled if compiled else None,
    }


def _absent(name: str) -> dict[str, object]:
    return {"what": f"{name}: pyro not installed" if "Pyro" in name else f"{name}: no compiler"}


def products(generator: torch.Generator) -> Burst:
    """The eleven matrix products of a step: forward, then backward as the chain rule meets them."""
    sizes = {"x": (BATCH, DATA), "h": (BATCH, HIDDEN), "codes": (BATCH, 2 * LATENT), "z": (BATCH, LATENT)}
    sizes |= {"hidden": (BATCH, HIDDEN), "logits": (BATCH, DATA)}
    sizes |= {"w1": (DATA, HIDDEN), "w2": (HIDDEN, 2 * LATENT), "w3": (LATENT, HIDDEN), "w4": (HIDDEN, DATA)}
    t = {name: torch.randn(size, generator=generator) for name, size in sizes.items()}
    calls = [
        (t["x"], t["w1"]),
        (t["h"], t["w2"]),
        (t["z"], t["w3"]),
        (t["hidden"], t["w4"]),
        (t["hidden"].T, t["logits"]),  # gradients of weights, and of what came in
        (t["logits"], t["w4"].T),
        (t["z"].T, t["hidden"]),
        (t["hidden"], t["w3"].T),
        (t["h"].T, t["codes"]),
        (t["codes"], t["w2"].T),
        (t["x"].T, t["h"]),
    ]
    outs = [a @ b for a, b in calls]

    def burst() -> int:
        for _ in range(BLOCK):
            for (a, b), out in zip(calls, outs):
                torch.mm(a, b, out=out)
        return BLOCK * BATCH

    return burst


def ours(images: torch.Tensor, compiled: bool) -> Burst | None:
    """A block of the training loop, as ``fit`` takes it."""
    model, optimiser = VAE(DATA, HIDDEN, LATENT), Adagrad()
    loss, _ = objective(model, COUNT)
    params = {name: p[None] for name, p in model.init(torch.Generator().manual_seed(0)).items()}
    noise = {"eps": Noise("normal", (BATCH, LATENT))}
    state = prepare(
        params,
        images,
        seeds=[0],
        batch_size=BATCH,
        noise=noise,
        scalars={"beta": 1.0},
        optimiser=optimiser,
        block=BLOCK,
    )
    numbers = iter(range(10**9))
    with torch.no_grad():
        advance, is_compiled = advancer(state, loss, optimiser, compiled)
    if compiled and not is_compiled:
        return None

    @torch.no_grad()
    def burst() -> int:
        state.begin(next(numbers))
        advance(0, BLOCK)
        assert state.is_finite(BLOCK)
        return BLOCK * BATCH

    return burst


def pictures(images: torch.Tensor) -> Dataset:
    """torchvision's MNIST with ``ToTensor()``, as it gives one picture after another, on images of ours."""
    mnist = torchvision("datasets.mnist").MNIST
    dataset = mnist.__new__(mnist)  # no files
    dataset.data, dataset.targets = images.view(-1, 28, 28), torch.zeros(len(images), dtype=torch.long)
    dataset.transform, dataset.target_transform = torchvision("transforms").ToTensor(), None
    return dataset


class Module(nn.Module):
    """The same network as everyone writes it."""

    def __init__(self) -> None:
        super().__init__()
        self.fc1, self.fc21, self.fc22 = nn.Linear(DATA, HIDDEN), nn.Linear(HIDDEN, LATENT), nn.Linear(HIDDEN, LATENT)
        self.fc3, self.fc4 = nn.Linear(LATENT, HIDDEN), nn.Linear(HIDDEN, DATA)

    def encode(self, x):
        h = torch.tanh(self.fc1(x))
        return self.fc21(h), self.fc22(h)

    def decode(self, z):
        return torch.sigmoid(self.fc4(torch.tanh(self.fc3(z))))

    def forward(self, x):
        mu, logvar = self.encode(x)
        z = mu + torch.randn_like(mu) * torch.exp(0.5 * logvar)
        return self.decode(z), mu, logvar


def recipe(dataset: Dataset, steps: int = 10) -> Burst:
    """The loop of the tutorials."""
    torch.manual_seed(0)
    model = Module()
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-3)
    loader = DataLoader(dataset, batch_size=BATCH, shuffle=True)
    batches = iter(loader)

    def burst() -> int:
        nonlocal batches
        total = 0.0
        for _ in range(steps):
            data = next(batches, None)
            if data is None:
                batches = iter(loader)
                data = next(batches)
            x = data[0].view(-1, DATA)
            optimiser.zero_grad()
            recon, mu, logvar = model(x)
            bce = F.binary_cross_entropy(recon, x, reduction="sum")
            loss = bce - 0.5 * torch.sum(1 + logvar - mu.pow(2) - logvar.exp())
            loss.backward()
            total += loss.item()
            optimiser.step()
        return steps * BATCH

    return burst


def pyro_svi(images: torch.Tensor, steps: int = 10) -> Burst | None:
    """Model and guide of Pyro's VAE example."""
    try:
        import pyro
        import pyro.distributions as dist
        from pyro.infer import SVI, Trace_ELBO
    except ImportError:
        return None
    pyro.set_rng_seed(0)
    pyro.clear_param_store()
    network = Module()

    def model(x):
        pyro.module("network", network)
        with pyro.plate("data", x.shape[0]):
            prior = dist.Normal(x.new_zeros(len(x), LATENT), x.new_ones(len(x), LATENT)).to_event(1)
            z = pyro.sample("latent", prior)
            pyro.sample("obs", dist.Bernoulli(network.decode(z), validate_args=False).to_event(1), obs=x)

    def guide(x):
        pyro.module("network", network)
        with pyro.plate("data", x.shape[0]):
            mu, logvar = network.encode(x)
            pyro.sample("latent", dist.Normal(mu, torch.exp(0.5 * logvar)).to_event(1))

    svi = SVI(model, guide, pyro.optim.Adam({"lr": 1e-3}), loss=Trace_ELBO())
    starts = iter(range(10**9))

    def burst() -> int:
        for _ in range(steps):
            at = next(starts) * BATCH % COUNT
            svi.step(images[at : at + BATCH])
        return steps * BATCH

    return burst
