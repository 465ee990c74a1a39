r"""Why no objective finds the axes by itself: two codes with the same density and the same pictures, turned against
each other.

Locatello et al. (2019), theorem 1, in its simplest case: an isotropic Gaussian is the same density after a rotation, so
that (z, decoder) and (Rz, decoder after the rotation back) are one and the same model of the data.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd
import torch
from torch import Tensor

from elbo.disentanglement import factor_index, higgins_score, mig

__all__ = ["gaussian_codes", "rotated_codes", "rotation"]


def gaussian_codes(levels: int) -> tuple[Tensor, Tensor]:
    """Two independent factors of ``levels`` values each, coded one a latent by the quantiles of N(0, 1).

    Returns:
        Codes ``(levels ** 2, 2)`` float64 and factors ``(levels ** 2, 2)`` int64.
    """
    factors = torch.cartesian_prod(torch.arange(levels), torch.arange(levels))
    quantiles = (torch.arange(levels, dtype=torch.float64) + 0.5) / levels
    return torch.special.ndtri(quantiles)[factors], factors


def rotation(angle: float) -> Tensor:
    """The rotation by ``angle`` (radians), ``(2, 2)`` float64."""
    c, s = math.cos(angle), math.sin(angle)
    return torch.tensor([[c, -s], [s, c]], dtype=torch.float64)


def rotated_codes(
    degrees: Sequence[float], *, levels: int = 32, pairs: int = 64, votes: tuple[int, int] = (2000, 1000), seed: int = 0
) -> pd.DataFrame:
    """A perfect code of two factors, turned: the mutual information gap and Higgins' score at every angle.

    Returns:
        Rows ``degrees, mig, score`` and ``log_prior``, the average log-density of the codes under N(0, I), which does
        not change.
    """
    codes, factors = gaussian_codes(levels)
    index = factor_index(factors)
    rows = []
    for angle in degrees:
        turned = codes @ rotation(math.radians(angle)).mT
        score = higgins_score(
            turned,
            index,
            generator=torch.Generator().manual_seed(seed),
            pairs=pairs,
            train_votes=votes[0],
            test_votes=votes[1],
        )
        log_prior = -0.5 * turned.square().sum(1).mean().item() - math.log(2 * math.pi)
        rows.append({"degrees": angle, "mig": mig(turned, index).score, "score": score.score, "log_prior": log_prior})
    return pd.DataFrame(rows)
