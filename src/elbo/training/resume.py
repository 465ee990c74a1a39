"""What defines a run, and how it goes on from a checkpoint."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from elbo.training.checkpoint import CheckpointError, load_checkpoint, require_same_settings, save_checkpoint
from elbo.training.run import Run

__all__ = ["describe", "fingerprint", "resume", "save"]


def describe(run: Run, optimiser: Any, record_at: Sequence[int], settings: dict[str, Any]) -> dict[str, Any]:
    """Everything that decides the numbers of a run, as JSON: settings, shapes, fingerprints of data and start."""
    rows = torch.linspace(0, len(run.data) - 1, min(len(run.data), 256), dtype=torch.float64).long().to(run.rate.device)
    return settings | {
        "seeds": run.block.seeds,
        "batch_size": run.block.index.shape[2],
        "block": len(run.losses),
        "optimiser": repr(optimiser),
        "noise": repr(run.block.spec),
        "record_at": sorted(record_at),
        "scalars": {name: value.tolist() for name, value in run.scalars.items()},
        "shapes": {name: list(param.shape) for name, param in run.params.items()},
        "dtype": str(run.rate.dtype),
        "data": f"{len(run.data)} rows, {_digest(run.data[rows])}",
        "start": _digest(torch.cat([param.flatten() for param in run.params.values()])),
    }


def save(
    run: Run,
    path: str | os.PathLike[str],
    config: dict[str, Any],
    blocks: int,
    records: list[dict[str, Any]],
    losses: list[Tensor],
    compiled: bool,
) -> None:
    """Write the run as it is after ``blocks`` blocks, with what it recorded and the environment that it ran in."""
    environment = {
        "torch": torch.__version__,
        "device": run.rate.device.type,
        "threads": torch.get_num_threads(),
        "matmul_precision": torch.get_float32_matmul_precision(),
        "compiled": compiled,
    }
    meta = {"config": _up_to(config, blocks), "blocks": blocks, "records": records, "environment": environment}
    save_checkpoint(path, run.moving | {"losses": torch.stack(losses)}, meta)


def resume(
    run: Run, path: str | os.PathLike[str] | None, config: dict[str, Any], steps: int
) -> tuple[int, list[dict[str, Any]], list[Tensor]]:
    """Copy a checkpoint, where there is one, into the tensors of the run.

    Returns:
        The block to go on with, and the records and losses so far.

    Raises:
        CheckpointError: the file is damaged, of another run, or of a longer one.
    """
    if path is None or not os.path.exists(path):
        return 0, [], []
    tensors, meta = load_checkpoint(path, run.rate.device)
    require_same_settings(path, meta["config"], _up_to(config, meta["blocks"]))
    seen = meta["blocks"] * config["block"]
    if seen > steps:
        raise CheckpointError(f"the checkpoint {path} has seen {seen} steps, more than the {steps} asked for")
    run.restore(tensors)
    return meta["blocks"], meta["records"], list(tensors["losses"].cpu())


def _up_to(config: dict[str, Any], blocks: int) -> dict[str, Any]:
    """The settings that decided the first blocks: a longer run may record at more places later."""
    return config | {"record_at": [at for at in config["record_at"] if at <= blocks * config["block"]]}


def fingerprint(tensor: Tensor) -> str:
    """The first 64 bits of the sha256 of a tensor's shape, type and values in order, for a checkpoint's settings."""
    return f"{tuple(tensor.shape)} {tensor.dtype} {_digest(tensor.flatten())}"


def _digest(tensor: Tensor) -> str:
    return hashlib.sha256(tensor.contiguous().cpu().view(torch.uint8).numpy().tobytes()).hexdigest()[:16]
