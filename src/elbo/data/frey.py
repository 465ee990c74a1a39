"""The Frey faces: the frames in the published MATLAB file, and whether they are the published ones."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from elbo.data.registry import DATASETS, DataError

__all__ = ["frames"]


def frames(path: Path) -> Tensor:
    """The 1,965 frames of the MATLAB file, ``(1965, 28, 20)`` uint8; its matrix ``ff`` holds one frame a column.

    Raises:
        DataError: not a MATLAB file, no such matrix, or other pixels than the published ones.
    """
    from scipy.io import loadmat

    fix = "run `elbo data fetch frey` to replace it"
    try:
        matrix = loadmat(path, variable_names=["ff"], appendmat=False)["ff"]
    except Exception as error:  # scipy raises whatever its reader stumbled over
        raise DataError(
            f"{path} is not the MATLAB file of Frey Face, truncated or altered ({type(error).__name__}); {fix}"
        ) from error
    if matrix.dtype != np.uint8 or matrix.shape != (560, 1965):
        raise DataError(
            f"{path} holds a {matrix.shape} matrix of {matrix.dtype} instead of (560, 1965) unsigned bytes; {fix}"
        )
    pixels = np.ascontiguousarray(matrix.T)
    if hashlib.sha256(pixels).hexdigest() != DATASETS["frey"].files[0].content:
        raise DataError(f"{path} holds other pixels than the published frames: it was altered; {fix}")
    return torch.from_numpy(pixels.reshape(-1, 28, 20))
