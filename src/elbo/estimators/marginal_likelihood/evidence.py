"""What an estimate of the evidence says, and the Gaussian that several of them need."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from elbo.densities import LOG_2PI

__all__ = ["Evidence", "Gaussian"]


@dataclass(frozen=True)
class Evidence:
    r"""An estimate of :math:`\log p(x)` for every datum, from weights whose mean is ``p(x)`` or ``1 / p(x)``.

    Attributes:
        log_evidence: ``(batch,)`` nats.
        standard_error: ``(batch,)`` nats, by the delta method: standard deviation of the weights over their mean, over
            the root of the number of draws (for draws of a Markov chain, of what they are worth). Too small where few
            weights carry the mean; look at ``effective_size``.
        effective_size: ``(batch,)``, Kish's :math:`(\sum w)^2 / \sum w^2`, times the worth of a draw for a Markov
            chain.
        log_weights: ``(draws, batch)``.
        bound: ``"lower"`` where the weights are unbiased for ``p(x)``: by Jensen's inequality the expectation of
            ``log_evidence`` is then below log p(x). ``"upper"`` where they are unbiased for ``1 / p(x)``: above it.
        acceptance: ``(batch,)``, mean acceptance of the HMC transitions; ``None`` where there were none.
    """

    log_evidence: Tensor
    standard_error: Tensor
    effective_size: Tensor
    log_weights: Tensor
    bound: Literal["lower", "upper"]
    acceptance: Tensor | None = None

    @property
    def bias(self) -> Tensor:
        r"""Jensen's bias to second order, :math:`\mp\mathrm{se}^2/2`, negative from below; ``(batch,)`` nats."""
        return (-0.5 if self.bound == "lower" else 0.5) * self.standard_error.square()

    @property
    def mean_error(self) -> float:
        """Standard error of the mean of ``log_evidence`` over the batch, with the data given; nats."""
        return float(self.standard_error.double().square().sum().sqrt() / len(self.standard_error))

    @classmethod
    def from_weights(
        cls,
        log_weights: Tensor,
        bound: Literal["lower", "upper"] = "lower",
        worth: Tensor | float = 1.0,
        acceptance: Tensor | None = None,
    ) -> Evidence:
        r"""The log of the mean weight, or minus it for weights of ``1 / p(x)``.

        Args:
            log_weights: ``(draws, batch)``, at least two draws.
            worth: independent draws that one draw is worth, at most 1, ``(batch,)`` or a number.
        """
        draws = len(log_weights)
        if draws < 2:
            raise ValueError("one weight says nothing about its error; take at least two draws")
        value = torch.logsumexp(log_weights, 0) - math.log(draws)
        weights = torch.exp(log_weights - value)  # average one
        error = weights.std(0) / (draws * torch.as_tensor(worth, dtype=value.dtype, device=value.device)).sqrt()
        size = worth * draws / weights.square().mean(0)
        return cls(value if bound == "lower" else -value, error, size, log_weights, bound, acceptance)


class Gaussian(NamedTuple):
    r"""One Gaussian for each datum, :math:`N(m_n, L_n L_n^\top)`."""

    mean: Tensor  # (batch, D)
    chol: Tensor  # (batch, D, D), lower triangular

    @classmethod
    def diagonal(cls, mean: Tensor, log_var: Tensor) -> Gaussian:
        """From means and log-variances ``(batch, D)``, as an encoder gives them."""
        return cls(mean, torch.diag_embed(torch.exp(0.5 * log_var)))

    @classmethod
    def standard(cls, batch: int, dim: int, like: Tensor) -> Gaussian:
        """N(0, I) for every datum, on the device and in the precision of ``like``."""
        eye = torch.eye(dim, dtype=like.dtype, device=like.device)
        return cls(eye.new_zeros(batch, dim), eye.expand(batch, dim, dim))

    @classmethod
    def fit(cls, draws: Tensor, inflate: float = 1.0) -> Gaussian:
        """Mean and covariance of draws ``(draws, batch, D)``, the covariance times ``inflate``.

        Raises:
            ValueError: too few or degenerate draws for a covariance.
        """
        num, _, dim = draws.shape
        mean = draws.mean(0)
        centred = (draws - mean).movedim(0, 1)  # (batch, draws, D)
        chol, failed = torch.linalg.cholesky_ex(inflate * (centred.mT @ centred) / (num - 1))
        if num <= dim or failed.any():
            raise ValueError(
                f"{num} draws do not determine a Gaussian in {dim} dimensions; take more, or thin a chain that hardly "
                "moves"
            )
        return cls(mean, chol)

    def whiten(self, z: Tensor) -> Tensor:
        """``L^-1 (z - m)``; ``(draws, batch, D)``."""
        columns = (z - self.mean).movedim(0, -1)  # (batch, D, draws)
        found: Tensor = torch.linalg.solve_triangular(self.chol, columns, upper=False)
        return found.movedim(-1, 0)

    def log_prob(self, z: Tensor) -> Tensor:
        """``(draws, batch, D) -> (draws, batch)`` nats."""
        log_det = self.chol.diagonal(dim1=-2, dim2=-1).log().sum(-1)
        return -0.5 * (self.whiten(z).square() + LOG_2PI).sum(-1) - log_det

    def sample(self, noise: Tensor) -> Tensor:
        """Standard normal noise ``(draws, batch, D)`` to draws of the same shape."""
        return self.mean + torch.einsum("bij,lbj->lbi", self.chol, noise)
