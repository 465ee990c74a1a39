"""Checkpoints: one file, whole or not there, and refused when a single byte of it changed.

A file is a line with the sha256 of the rest, then what ``torch.save`` writes. It is written beside its place, synced,
and renamed, so that a process killed at any moment leaves the previous checkpoint. It is read with
``weights_only=True``.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

__all__ = ["CheckpointError", "load_checkpoint", "require_same_settings", "save_checkpoint"]

MAGIC = b"elbo checkpoint, sha256 "


class CheckpointError(ValueError):
    """A checkpoint that is damaged, or that belongs to another run."""


def save_checkpoint(path: str | os.PathLike[str], tensors: dict[str, Tensor], meta: dict[str, Any]) -> None:
    """Write tensors and a JSON-able record to ``path``, atomically and durably.

    Raises:
        OSError: the disk is full or the directory not writable; a previous checkpoint is untouched.
    """
    path = Path(path)
    body = io.BytesIO()
    torch.save({"tensors": tensors, "meta": json.dumps(meta)}, body)
    content = body.getbuffer()
    temporary = path.with_name(path.name + ".tmp")
    try:
        with open(temporary, "wb") as file:
            file.write(MAGIC + hashlib.sha256(content).hexdigest().encode() + b"\n")
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def load_checkpoint(
    path: str | os.PathLike[str], device: torch.device | str
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read what :func:`save_checkpoint` wrote, tensors on ``device``.

    Raises:
        CheckpointError: the file is cut short, altered, or not a checkpoint.
    """
    head, _, body = Path(path).read_bytes().partition(b"\n")
    if not head.startswith(MAGIC):
        raise CheckpointError(f"{path} is not a checkpoint of ours: name another file, or delete it to start afresh")
    if hashlib.sha256(body).hexdigest().encode() != head[len(MAGIC) :]:
        raise CheckpointError(f"the checkpoint {path} is damaged (its sha256 differs): delete it to start afresh")
    content = torch.load(io.BytesIO(body), map_location=device, weights_only=True)
    return content["tensors"], json.loads(content["meta"])


def require_same_settings(path: str | os.PathLike[str], written: dict[str, Any], asked: dict[str, Any]) -> None:
    """Refuse to go on from a checkpoint of another run.

    Raises:
        CheckpointError: a setting differs; the sentence names it, both values, and the way out.
    """
    asked = json.loads(json.dumps(asked))
    for name in sorted(written.keys() | asked.keys()):
        if written.get(name) != asked.get(name):
            raise CheckpointError(
                f"the checkpoint {path} belongs to another run: it has {name} = {written.get(name)!r}, this run asks "
                f"for {asked.get(name)!r}; use the old setting, name another file, or delete this one to start afresh"
            )
