"""The small decoder of the latent walk: ``python -m elbo.live.decoder`` trains it, quantises it
and writes payload and record.

One byte a weight, with a scale for every output unit (a single scale a layer doubles the error); biases and scales
are float32. The payload also holds the encodings of :data:`CODES` test images, for the aggregated posterior.
:func:`read` takes it apart again.
"""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from elbo.live.engine import STATIC
from elbo.models.vae import VAE

__all__ = ["CODES", "MODEL", "PAYLOAD", "RECORD", "Payload", "pack", "read"]

MODEL = VAE(784, hidden=128, latent_dim=2, activation="tanh", encoder_layers=2, decoder_layers=2)
LAYERS = ("decoder.0", "decoder.1", "decoder.head")
CODES, CODE_UNIT = 400, 1 / 4096
"""Encodings that are shipped, and the unit of their means and log-variances, which are 16-bit numbers."""
NAME = "kingma-welling-2013-live-latent-walk.payload.js"
PAYLOAD, RECORD = STATIC / NAME, Path(__file__).parent / "decoder.json"


class Payload(NamedTuple):
    """What a payload holds, in float64: a decoder's parameters under the names of
    :class:`VAE`, and encodings ``(CODES, 2)``.
    """

    params: dict[str, Tensor]
    mean: Tensor
    log_var: Tensor


def pack(params: dict[str, Tensor], mean: Tensor, log_var: Tensor) -> bytes:
    """Bytes of a payload: of each layer the scales and biases (float32) and weights (int8, input
    by output), then codes (int16).
    """
    parts = []
    for layer in LAYERS:
        weight = params[f"{layer}.weight"].double()
        scale = weight.abs().amax(0).clamp_min(1e-12) / 127  # (outputs,)
        parts += [
            scale.float().numpy().tobytes(),
            params[f"{layer}.bias"].float().numpy().tobytes(),
            (weight / scale.float().double()).round().clamp(-127, 127).to(torch.int8).numpy().tobytes(),
        ]
    codes = torch.stack([mean, log_var]).double() / CODE_UNIT
    return b"".join([*parts, codes.round().to(torch.int16).numpy().tobytes()])


def read(path: Path = PAYLOAD) -> Payload:
    """A payload's numbers, dequantised."""
    text = path.read_text(encoding="utf-8")
    raw, at, params = base64.b64decode(text.split('"')[3]), 0, {}

    def take(kind: str, *shape: int) -> Tensor:
        nonlocal at
        count = int(np.prod(shape))
        found = np.frombuffer(raw, kind, count, at).reshape(shape)
        at += found.nbytes
        return torch.tensor(found.astype(np.float64))

    for layer in LAYERS:
        inputs, outputs = MODEL.shapes[f"{layer}.weight"]
        scale = take("<f4", outputs)
        params[f"{layer}.bias"] = take("<f4", outputs)
        params[f"{layer}.weight"] = take("i1", inputs, outputs) * scale
    mean, log_var = take("<i2", 2, CODES, 2) * CODE_UNIT
    return Payload(params, mean, log_var)


def main() -> None:
    """Train, quantise, measure the loss, write."""
    from elbo.companion.record.environment import commit, environment
    from elbo.data import load
    from elbo.inference import aevb

    train, test = load("mnist", split="train", binarise="grey"), load("mnist", split="test", binarise="grey")
    settings = {"samples": 1_500_000, "batch_size": 100, "learning_rate": 0.001}
    trained = aevb.fit(
        MODEL, train, seeds=(0,), optimiser="adam", init_scale="glorot", weight_prior=False, binarisation="grey",
        evaluate_on={"test": test.images}, device="cpu", compile=False, **settings,
    )  # fmt: skip
    params = trained.member(0)
    mean, log_var = MODEL.encode(params, test.images)
    raw = pack(params, mean[:CODES], log_var[:CODES])
    text = base64.b64encode(raw).decode()
    PAYLOAD.write_text(f'elboLive.payload("{NAME.split(".")[0]}", "{text}");\n', encoding="utf-8")
    small = {name: value.float() for name, value in read().params.items()}
    generator = torch.Generator().manual_seed(1)
    z = mean + torch.exp(0.5 * log_var) * torch.randn(mean.shape, generator=generator)
    kl = 0.5 * (log_var.exp() - log_var - 1 + mean**2).sum(-1)
    bounds = {
        name: (MODEL.log_likelihood(decoder, test.images, z) - kl).double()
        for name, decoder in (("float", params), ("int8", {**params, **small}))
    }
    loss = bounds["float"] - bounds["int8"]
    record = {
        "command": "python -m elbo.live.decoder",
        "model": repr(MODEL),
        "settings": {**settings, "optimiser": "adam", "init_scale": "glorot", "seed": 0, "pixels": "grey"},
        "data": "mnist: 60,000 training images; bounds over all 10,000 test images, one draw each, the same for both "
        "decoders",
        "test_bound_float": bounds["float"].mean().item(),
        "test_bound_int8": bounds["int8"].mean().item(),
        "loss_in_nats": loss.mean().item(),
        "loss_standard_error": (loss.std() / len(loss) ** 0.5).item(),
        "largest_pixel_error": (MODEL.decode_mean(params, z) - MODEL.decode_mean({**params, **small}, z))
        .abs()
        .max()
        .item(),
        "payload_sha256": hashlib.sha256(raw).hexdigest(),
        "payload_bytes": len(raw),
        **commit(),
        "environment": environment(),
    }
    RECORD.write_text(json.dumps(record, indent=1, default=str) + "\n", encoding="utf-8")
    print(
        f"payload {len(raw):,} bytes; ELBO {record['test_bound_float']:.3f} nats in float, "
        f"{record['loss_in_nats']:.4f} lost"
    )


if __name__ == "__main__":
    main()
