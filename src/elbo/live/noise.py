"""The noise that Monte Carlo figures ship: 500 standard normals as 16-bit numbers, the
same bytes for script and package.

``python -m elbo.live.noise`` writes them again.
"""

from __future__ import annotations

import base64

import numpy as np
import torch

from elbo.live.engine import STATIC

__all__ = ["COUNT", "PAYLOAD", "UNIT", "noise"]

COUNT, UNIT, SEED = 500, 1 / 8192, 7
NAME = "kingma-welling-2013-live-gradients.payload.js"
PAYLOAD = STATIC / NAME


def noise() -> torch.Tensor:
    """The shipped draws, ``(500,)`` in float64."""
    raw = base64.b64decode(PAYLOAD.read_text(encoding="utf-8").split('"')[3])
    return torch.tensor(np.frombuffer(raw, "<i2").astype(np.float64) * UNIT)


def text() -> str:
    """The payload as it is written: draws of a fixed seed, rounded."""
    drawn = torch.randn(COUNT, generator=torch.Generator().manual_seed(SEED), dtype=torch.float64)
    raw = (drawn / UNIT).round().to(torch.int16).numpy().astype("<i2").tobytes()
    return f'elboLive.payload("{NAME.split(".")[0]}", "{base64.b64encode(raw).decode()}");\n'


if __name__ == "__main__":
    PAYLOAD.write_text(text(), encoding="utf-8")
