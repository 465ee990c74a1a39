r"""ELBO surgery: the average KL to the prior split into index-code mutual information and marginal KL.

Hoffman & Johnson (2016). With an index ``n`` drawn uniformly and :math:`q(z) = \frac1N \sum_n q(z \mid x_n)`,

.. math:: \frac1N \sum_n KL(q(z \mid x_n) \| p(z)) = I_q(n; z) + KL(q(z) \| p(z)), \qquad
          I_q(n; z) = E_{q(n, z)} \log \frac{q(z \mid x_n)}{q(z)} = \log N - E_{q(z)} H[q(n \mid z)].

The datum stays in the mixture, :math:`q(z) \ge q(z \mid x_n) / N`, so that each single term of the mutual information
is at most ``log N``. The two parts always add up to the KL of the drawn codes, right or wrong: the sum proves
nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from elbo.checks import floating
from elbo.densities import gaussian_log_prob, standard_gaussian_kl, standard_gaussian_log_prob
from elbo.estimators.aggregate_posterior import (
    check_mixture,
    draw_codes,
    log_aggregate_posterior,
    log_dimension_marginals,
)

__all__ = ["CodeTerms", "Dependence", "Estimate", "Surgery", "code_terms", "dependence", "surgery"]

ROUNDING = 1e-6  # nats by which a term may exceed log N

LogLikelihood = Callable[[Tensor, Tensor], Tensor]


class Estimate(float):
    """A number in nats that carries its standard error: ``estimate.standard_error``."""

    standard_error: float

    def __new__(cls, value: float, standard_error: float = 0.0) -> Estimate:
        self = super().__new__(cls, value)
        self.standard_error = float(standard_error)
        return self

    def __getnewargs__(self) -> tuple[float, float]:  # type: ignore[override]  # float has one
        return float(self), self.standard_error

    def __repr__(self) -> str:
        return f"{float(self):.4f} ± {self.standard_error:.4f}"

    @classmethod
    def of(cls, terms: Tensor) -> Estimate:
        """Mean and standard error of independent terms ``(S,)``."""
        terms = terms.double()
        error = terms.std().item() / math.sqrt(len(terms)) if len(terms) > 1 else math.inf
        return cls(terms.mean().item(), error)


@dataclass(frozen=True)
class Surgery:
    """The terms of the ELBO averaged over the data, nats per datum, each an :class:`Estimate`.

    ``elbo = reconstruction - average_kl`` exactly; ``average_kl = mutual_information + marginal_kl`` within their
    errors. ``average_kl`` is a closed form over all ``N`` encodings and ``log_n`` a constant: their standard error is
    zero.
    """

    reconstruction: Estimate | None
    mutual_information: Estimate
    marginal_kl: Estimate
    average_kl: Estimate
    elbo: Estimate | None
    log_n: Estimate

    def as_dict(self) -> dict[str, float]:
        """One row of a table: every term under its name, its error under ``<name>_se``."""
        terms = {name: value for name, value in vars(self).items() if value is not None}
        errors = {f"{name}_se": value.standard_error for name, value in terms.items()}
        return {name: float(value) for name, value in terms.items()} | errors


class CodeTerms(NamedTuple):
    """The three log-densities of drawn codes, ``(S,)`` nats in float64."""

    log_posterior: Tensor  # log q(z | x_n)
    log_aggregate: Tensor  # log q(z)
    log_prior: Tensor  # log p(z)


@dataclass(frozen=True)
class Dependence:
    """The marginal KL split once more; Chen et al. (2018), equation 2. ``dimension_kl`` has one entry a dimension."""

    total_correlation: Estimate
    dimension_kl: tuple[Estimate, ...]
    sum_dimension_kl: Estimate


def code_terms(z: Tensor, index: Tensor, mean: Tensor, log_var: Tensor, *, chunk: int | None = None) -> CodeTerms:
    r"""Log-densities of codes under their own encoding, under the aggregated posterior and under the prior N(0, I).

    ``log_posterior - log_aggregate`` is the pointwise index-code mutual information of Hoffman & Johnson (2016).

    Args:
        z: ``(S, D)`` codes; ``index``: ``(S,)``, the datum that each was drawn from.
        mean, log_var: ``(N, D)`` encodings of the whole data set.
        chunk: as for :func:`elbo.estimators.log_aggregate_posterior`.

    Returns:
        :class:`CodeTerms`, exact for these codes. Cost: O(S N D).

    Raises:
        ArithmeticError: a mutual information term exceeds log N, which a code drawn from an encoding in the mixture
            cannot do.
        TypeError: codes or encodings that are not of floating point, or an index that is.
        ValueError: shapes that do not fit, or an index of no encoding.
    """
    check_mixture(z, mean, log_var)
    if index.shape != z.shape[:1]:
        raise ValueError(f"index must be ({z.shape[0]},), one datum for each code, got {tuple(index.shape)}")
    if index.is_floating_point() or index.dtype == torch.bool:
        raise TypeError(f"index must be of whole numbers, got {index.dtype}")
    if len(index) and not 0 <= int(index.min()) <= int(index.max()) < len(mean):
        raise ValueError(f"index must be in 0 … {len(mean) - 1}, got {int(index.min())} … {int(index.max())}")
    z, mean, log_var = z.detach().double(), mean.detach().double(), log_var.detach().double()
    terms = CodeTerms(
        gaussian_log_prob(z, mean[index], log_var[index]),
        log_aggregate_posterior(z, mean, log_var, chunk=chunk),
        standard_gaussian_log_prob(z),
    )
    highest = (terms.log_posterior - terms.log_aggregate).max().item()
    if not highest <= math.log(mean.shape[0]) + ROUNDING:
        raise ArithmeticError(
            f"a term of the mutual information is {highest:.6g} nats, above log N = {math.log(mean.shape[0]):.6g}: "
            "a code is not finite, or index does not name the encoding it was drawn from"
        )
    return terms


def surgery(
    mean: Tensor,
    log_var: Tensor,
    log_likelihood: LogLikelihood | None = None,
    *,
    generator: torch.Generator,
    codes: int = 10_000,
    draws: int = 2,
    chunk: int | None = None,
) -> Surgery:
    r"""The ELBO of Hoffman & Johnson (2016): reconstruction minus index-code mutual information minus marginal KL.

    ``codes`` pairs are drawn, the index uniformly with replacement and the code from its encoding, and compared with
    the exact aggregated posterior. The mutual information is the mean of :math:`\log q(z \mid x_n) - \log q(z)`. The
    marginal KL is the mean of :math:`\log q(z) - \log p(z)`, with the KL to the prior, whose average is known, as
    control variate. The reconstruction averages ``draws`` codes of every datum. All are unbiased but for the control
    variate's O(1 / codes).

    Args:
        mean, log_var: ``(N, D)`` encodings of the whole data set, on any device; the prior is N(0, I).
        log_likelihood: ``(index (B,), z (B, D)) -> (B,)``, the nats ``log p(x_n | z)``; without it no reconstruction,
            no ELBO.
        codes: ``S``, at least 2.
        draws: codes for each datum in the reconstruction, at least 2.
        chunk: codes taken at a time in the aggregated posterior.

    Returns:
        :class:`Surgery`. Standard errors are over the draws with the data and their encodings given. Cost: O(S N D)
        and ``N * draws`` decodings.

    Raises:
        ValueError: ``codes`` or ``draws`` below 2, or shapes that do not fit.
        ArithmeticError: as :func:`code_terms`.
    """
    floating(mean=mean, log_var=log_var)
    if codes < 2 or draws < 2:
        raise ValueError(f"codes and draws must be at least 2 to give a standard error, got {codes} and {draws}")
    index, z = draw_codes(mean.detach(), log_var.detach(), codes, generator)
    terms = code_terms(z, index, mean, log_var, chunk=chunk)
    average_kl = Estimate(standard_gaussian_kl(mean.detach().double(), log_var.detach().double()).mean().item())
    reconstruction = None
    if log_likelihood is not None:
        reconstruction = _reconstruction(mean.detach(), log_var.detach(), log_likelihood, draws, generator)
    return Surgery(
        reconstruction=reconstruction,
        mutual_information=Estimate.of(terms.log_posterior - terms.log_aggregate),
        marginal_kl=_controlled(
            terms.log_aggregate - terms.log_prior, terms.log_posterior - terms.log_prior, average_kl
        ),
        average_kl=average_kl,
        elbo=None if reconstruction is None else Estimate(reconstruction - average_kl, reconstruction.standard_error),
        log_n=Estimate(math.log(mean.shape[0])),
    )


def dependence(
    mean: Tensor, log_var: Tensor, *, generator: torch.Generator, codes: int = 2_000, chunk: int | None = None
) -> Dependence:
    r"""The marginal KL split into total correlation and dimension-wise KL, over the exact aggregated posterior.

    .. math:: KL(q(z) \| p(z)) = KL\Big(q(z) \Big\| \prod_d q(z_d)\Big) + \sum_d KL(q(z_d) \| p(z_d))

    Args:
        mean, log_var: ``(N, D)`` encodings; the prior is N(0, I).
        codes: ``S``, at least 2.

    Returns:
        :class:`Dependence`; unbiased, standard errors over the drawn codes. Cost: O(S N D), with D + 1 times the
        exponentials of :func:`surgery`.

    Raises:
        ValueError: ``codes`` below 2, or shapes that do not fit.
    """
    if codes < 2:
        raise ValueError(f"codes must be at least 2 to give a standard error, got {codes}")
    floating(mean=mean, log_var=log_var)
    mean, log_var = mean.detach().double(), log_var.detach().double()
    _, z = draw_codes(mean, log_var, codes, generator)
    joint = log_aggregate_posterior(z, mean, log_var, chunk=chunk)
    marginals = log_dimension_marginals(z, mean, log_var, chunk=chunk)
    excess = marginals - standard_gaussian_log_prob(z.unsqueeze(-1))
    return Dependence(
        Estimate.of(joint - marginals.sum(1)),
        tuple(Estimate.of(column) for column in excess.unbind(1)),
        Estimate.of(excess.sum(1)),
    )


def _reconstruction(
    mean: Tensor,
    log_var: Tensor,
    log_likelihood: LogLikelihood,
    draws: int,
    generator: torch.Generator,
    block: int = 4096,
) -> Estimate:
    """Average of ``draws`` codes for every datum; the error comes from the spread within a datum."""
    total = variance = 0.0
    for index in torch.arange(mean.shape[0], device=mean.device).split(block):
        noise_shape = (draws, len(index), mean.shape[1])
        noise = torch.randn(noise_shape, generator=generator, dtype=mean.dtype, device=generator.device).to(mean.device)
        z = mean[index] + noise * torch.exp(0.5 * log_var[index])
        with torch.no_grad():
            values = log_likelihood(index.repeat(draws), z.flatten(0, 1)).double().view(draws, -1)
        total += values.mean(0).sum().item()
        variance += values.var(0).sum().item() / draws
    return Estimate(total / len(mean), math.sqrt(variance) / len(mean))


def _controlled(terms: Tensor, control: Tensor, expected: float) -> Estimate:
    """Mean of ``terms`` less what their regression on ``control`` explains of its deviation from its known mean."""
    centred = control - control.mean()
    slope = (terms * centred).sum() / centred.square().sum().clamp_min(torch.finfo(centred.dtype).tiny)
    return Estimate.of(terms - slope * (control - expected))
