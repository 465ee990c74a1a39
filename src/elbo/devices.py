"""Which device to compute on: a word of the reader's made into a ``torch.device``, or a clear refusal."""

from __future__ import annotations

import torch

__all__ = ["resolve_device"]


def resolve_device(name: str | torch.device = "auto") -> torch.device:
    """The device that a name stands for.

    Args:
        name: ``"auto"`` (a CUDA device where there is one, else the CPU), ``"cpu"``, ``"cuda"``, ``"cuda:1"``.

    Raises:
        ValueError: the name is none of these.
        RuntimeError: a CUDA device was asked for and there is none; never a silent run on the CPU.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        device = None
    if device is None or device.type not in ("cpu", "cuda"):
        raise ValueError(f"unknown device {name!r}: use 'auto', 'cpu' or 'cuda'")
    if device.type == "cuda" and not torch.cuda.is_available():
        raise RuntimeError("device 'cuda' was asked for, but torch finds no CUDA device here: use 'cpu' or 'auto'")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        count = torch.cuda.device_count()
        raise RuntimeError(f"device '{device}' was asked for, but the CUDA devices here are numbered 0 to {count - 1}")
    return device
