"""dSprites rendered from factors: images per second, memory, and the count of white pixels over all 737,280 images.

- *render*: ``elbo.data.dsprites.render`` of random indices, by batch size (the quickest of a few rounds).
- *to train on*: the same as ``load("dsprites")[index]`` gives it, float32.
- *every pixel against every edge*: the naive even-odd test, as vectorised as PyTorch allows, for scale.
- *all images*: one pass over the set, its white pixels beside the published 128,328,862, and the most memory it took.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import torch

from elbo.data import dsprites, load

PUBLISHED = 128_328_862  # the published mean pixel, 0.042494423521889584, times 737,280 * 4096
BATCHES = (1, 64, 1024, 16384)
ROUNDS = 5


def run() -> list[dict[str, object]]:
    """One row a way of rendering, on the CPU and, where there is one, on the GPU."""
    rows = []
    for device in ("cpu", "cuda") if torch.cuda.is_available() else ("cpu",):
        data = load("dsprites", device=device)
        for batch in BATCHES:
            index = torch.randint(dsprites.COUNT, (batch,), generator=torch.Generator().manual_seed(0)).to(device)
            rows.append(_row(f"render, batch {batch}", device, batch, _quickest(lambda i=index: dsprites.render(i))))
        rows.append(_row(f"to train on, batch {batch}", device, batch, _quickest(lambda i=index, d=data: d[i])))
        few = index[:32]
        rows.append(_row("every pixel against every edge", device, 32, _quickest(lambda i=few: naive(i))))
    white, seconds, grown = map(float, _elsewhere())
    rows.append(
        _row("all images", "cpu", dsprites.COUNT, seconds)
        | {"white_pixels": int(white), "more_than_published": int(white) - PUBLISHED, "megabytes": grown}
    )
    return rows


def naive(index: torch.Tensor) -> torch.Tensor:
    """Ask every pixel about every edge of its polygon, ``(batch,) -> (batch, 64, 64)`` uint8."""
    table, polygon = dsprites._table(index.device), index // 1024
    next_corner = table.following.view(-1, 150)[polygon] - 150 * polygon[:, None]
    x = dsprites._snap(table.x[polygon] + table.centre[index // 32 % 32][:, None])
    y = dsprites._snap(table.y[polygon] + table.centre[index % 32][:, None])
    x0, y0, x1, y1 = (t[:, None, None] for t in (x, y, x.gather(1, next_corner), y.gather(1, next_corner)))
    centre = 256.0 * torch.arange(64, device=index.device) + 128
    row, column = centre[:, None, None], centre[None, :, None]
    left = (column - x0) * (y1 - y0).abs() < (row - y0) * (x1 - x0) * (y1 - y0).sign()
    return (((y0 < row) != (y1 < row)) & left).sum(-1).remainder(2).to(torch.uint8)


def count() -> tuple[int, float, float]:
    """White pixels of all images, the seconds it took, and by how many megabytes the process grew at most."""
    torch.empty(1).fill_(0)
    before, start, white = _resident("VmRSS"), time.perf_counter(), 0
    for index in torch.arange(dsprites.COUNT).split(64):  # few enough for one thread
        white += int(dsprites.render(index).view(torch.int64).sum(-1).view(torch.uint8).sum())
    return white, time.perf_counter() - start, _resident("VmHWM") - before


def _resident(field: str) -> float:
    """Megabytes of memory now (VmRSS) or at most so far (VmHWM); not a number where the system does not tell."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return float("nan")
    return next(int(line.split()[1]) for line in lines if line.startswith(field)) / 1024


def _elsewhere() -> list[str]:
    """:func:`count` in a process of its own, where nothing else has claimed memory."""
    code = "from benchmarks.dsprites import count; print(*count())"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()


def _quickest(call) -> float:
    call()
    best = float("inf")
    for _ in range(ROUNDS):
        start = time.perf_counter()
        out = call()
        out.flatten()[0].item()  # a GPU has finished when it can answer
        best = min(best, time.perf_counter() - start)
    return best


def _row(name: str, device: str, batch: int, seconds: float) -> dict[str, object]:
    threads = torch.get_num_threads() if device == "cpu" else None
    return {"what": name, "device": device, "threads": threads, "images_per_second": round(batch / seconds)}
