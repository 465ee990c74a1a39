r"""Expectation propagation with Gaussian sites, all of them updated at once.

The target is a Gaussian prior times factors, :math:`p(z) \propto p_0(z) \prod_n t_n(z)`. EP replaces each factor by a
Gaussian *site* :math:`\exp(r_n^\top z - \tfrac12 z^\top Q_n z)` and makes the moments agree, one factor at a time:
minimise :math:`KL(\text{tilted}_n \| q)`, the inclusive direction, where variational Bayes minimises
:math:`KL(q \| p)`. That is a local matter: EP does not minimise :math:`KL(p \| q)`, need not converge, and its evidence
is an estimate and not a bound.

    found = fit(probit_sites(design, labels), prior_mean, prior_cov, num_sites=len(labels), damping=0.5)

Sources: Minka (2001), "Expectation propagation for approximate Bayesian inference"; Minka (2004), "Power EP"; Vehtari,
Gelman et al. (2020), "Expectation propagation as a way of life", appendix A.1 (the parallel, damped updates); Rasmussen
& Williams (2006), section 3.6.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from elbo.checks import floating, natural
from elbo.densities import LOG_2PI, mvn_log_prob
from elbo.inference.names import former_name

__all__ = [
    "Fit",
    "Sites",
    "Tilted",
    "cavities",
    "clutter_sites",
    "gaussian_sites",
    "linear_sites",
    "probit_sites",
    "quadrature_sites",
    "fit",
    "run",
]


class Sites(NamedTuple):
    """Natural parameters of Gaussian factors: ``shift`` (..., dim) is r, ``precision`` (..., dim, dim) is Q.

    A site is not a distribution: its precision is *any* symmetric matrix, and negative where a factor pulls mass apart.
    """

    shift: Tensor
    precision: Tensor


class Tilted(NamedTuple):
    """Cavity times true factor: ``log_norm`` (sites,) nats, ``mean`` (sites, dim), ``cov`` (sites, dim, dim)."""

    log_norm: Tensor
    mean: Tensor
    cov: Tensor


TiltedMoments = Callable[[Tensor, Tensor, float], Tilted]
"""``(cavity mean (sites, dim), cavity covariance (sites, dim, dim), power) -> Tilted``: what EP knows of the
factors."""


@dataclass(frozen=True)
class Fit:
    """What :func:`fit` returns.

    Attributes:
        mean, cov: the Gaussian approximation, ``(dim,)`` and ``(dim, dim)``.
        log_evidence: EP's estimate of ``log p(x)``, nats; neither a lower nor an upper bound.
        sites: natural parameters of the sites, negative precisions included.
        change: the largest change of a global natural parameter, one entry a sweep.
        skipped: site updates left out because the cavity or the tilted distribution had no proper Gaussian.
        converged: whether the last change was below the tolerance, with no site skipped in that sweep.
    """

    mean: Tensor
    cov: Tensor
    log_evidence: Tensor
    sites: Sites
    change: list[float]
    skipped: int
    converged: bool

    @property
    def negative_sites(self) -> int:
        """How many sites have a direction of negative precision."""
        eigenvalues = torch.linalg.eigvalsh(self.sites.precision)
        return int((eigenvalues[:, 0] < -1e-12 * eigenvalues.abs().amax()).sum())


def fit(
    tilted: TiltedMoments,
    prior_mean: Tensor,
    prior_cov: Tensor,
    num_sites: int,
    *,
    damping: float = 1.0,
    power: float = 1.0,
    diagonal: bool = False,
    max_sweeps: int = 200,
    tol: float = 1e-10,
) -> Fit:
    r"""Iterate cavity, tilted moments, site update until the approximation rests.

    With :math:`r, Q` the prior's natural parameters plus the sum of the sites', and power :math:`\eta` (1 is EP),

    .. math:: \text{cavity: } Q_{-n} = Q - \eta Q_n, \qquad
              \text{site: } Q_n \leftarrow Q_n + \delta\,\big[\tfrac1\eta (Q_{\backslash n} - Q_{-n}) - Q_n\big],

    where :math:`Q_{\backslash n}` is the precision of the moment-matched tilted distribution, and the same for
    :math:`r`. Fixed points for :math:`\eta \to 0` are those of variational Bayes (Minka 2004).

    Args:
        tilted: moments of cavity times factor to the power ``power``, for all sites at once.
        prior_mean, prior_cov: ``(dim,)``, ``(dim, dim)``; device and precision follow them.
        num_sites: number of factors.
        damping: :math:`\delta` in (0, 1]; smaller is slower and steadier.
        power: :math:`\eta` in (0, 1].
        diagonal: match only the marginal moments (a factorised Gaussian ``q``; the prior must be diagonal too).
        max_sweeps, tol: stop when no global natural parameter changes by more than ``tol`` relative to the largest.

    Returns:
        :class:`Fit`. Cost a sweep: one call of ``tilted`` and O(sites dim^3).

    Raises:
        ValueError: an argument is out of range, or ``tilted`` returned a non-finite number.
    """
    _check(damping, power, diagonal, prior_mean, prior_cov, num_sites)
    _check_tilted(tilted, prior_mean, prior_cov, num_sites, power)
    prior = _natural(prior_mean, prior_cov)
    dim = prior_mean.shape[-1]
    empty = prior_mean.new_zeros(num_sites, dim)
    sites = Sites(empty, torch.diag_embed(empty))
    change: list[float] = []
    skipped, converged = 0, False
    for _ in range(max_sweeps):
        target, skipping = _matched_sites(tilted, prior, sites, power, diagonal)
        skipped += skipping
        updated = _damped(prior, sites, target, damping)
        before, sites = sites, updated
        change.append(_relative_change(_total(prior, before), _total(prior, sites)))
        if change[-1] < tol and not skipping:
            converged = True
            break
    mean, cov = _moments(_total(prior, sites))
    log_evidence = _log_evidence(tilted, prior, sites, power)
    return Fit(mean, cov, log_evidence, sites, change, skipped, converged)


run = former_name(fit, "run")


def cavities(prior: Sites, sites: Sites, power: float = 1.0) -> tuple[Tensor, Tensor, Tensor]:
    r"""The approximation without each site in turn, :math:`Q - \eta Q_n`: means, covariances, and which are proper.

    An improper cavity (its precision is not positive definite) is returned as a standard Gaussian and marked ``False``.
    """
    total = _total(prior, sites)
    shift = total.shift - power * sites.shift
    precision = total.precision - power * sites.precision
    return _proper_moments(Sites(shift, precision))


def gaussian_sites(shift: Tensor, precision: Tensor, log_scale: Tensor | float = 0.0) -> TiltedMoments:
    r"""Factors that are Gaussian already, :math:`t_n(z) = e^{c_n} \exp(r_n^\top z - \tfrac12 z^\top Q_n z)`: EP is
    exact after a sweep."""

    def tilted(mean: Tensor, cov: Tensor, power: float) -> Tilted:
        cavity = _natural(mean, cov)
        product = Sites(cavity.shift + power * shift, cavity.precision + power * precision)
        new_cov = torch.linalg.inv(product.precision)  # not positive where the product is improper: the caller skips it
        new_mean = torch.einsum("nde,ne->nd", new_cov, product.shift)
        return Tilted(power * log_scale + _log_partition(product) - _log_partition(cavity), new_mean, new_cov)

    return tilted


def linear_sites(design: Tensor, y: Tensor, noise_var: float) -> TiltedMoments:
    r"""Linear regression, :math:`t_n(z) = N(y_n; a_n^\top z, s^2)`; ``design`` (sites, dim), ``y`` (sites,)."""
    precision = torch.einsum("nd,ne->nde", design, design) / noise_var
    log_scale = -0.5 * (y.square() / noise_var + LOG_2PI + math.log(noise_var))
    return gaussian_sites(design * y.unsqueeze(-1) / noise_var, precision, log_scale)


def probit_sites(design: Tensor, labels: Tensor) -> TiltedMoments:
    r"""Probit regression, :math:`t_n(z) = \Phi(y_n a_n^\top z)`, in closed form; Rasmussen & Williams (2006), equations
    3.58 and 3.82-3.85.

    Args:
        design: ``(sites, dim)``. labels: ``(sites,)``, -1 or 1.

    Raises:
        ValueError: another label, or (at run time) a power other than one, for which there is no closed form.
    """
    if not torch.isin(labels, labels.new_tensor([-1, 1])).all():
        raise ValueError("labels must be -1 or 1; for 0/1 labels pass 2 * labels - 1")

    def tilted(mean: Tensor, cov: Tensor, power: float) -> Tilted:
        _only_unit_power(power, "probit_sites")
        spread = torch.einsum("nde,ne->nd", cov, design)  # cov a, (sites, dim)
        scale = torch.sqrt(1 + (spread * design).sum(-1))
        score = labels * (design * mean).sum(-1) / scale
        log_norm = torch.special.log_ndtr(score)
        ratio = torch.exp(-0.5 * (score.square() + LOG_2PI) - log_norm)
        shrink = ratio * (score + ratio) / scale.square()
        new_cov = cov - shrink[:, None, None] * torch.einsum("nd,ne->nde", spread, spread)
        return Tilted(log_norm, mean + (labels * ratio / scale).unsqueeze(-1) * spread, new_cov)

    return tilted


def clutter_sites(x: Tensor, weight: float, clutter_var: float) -> TiltedMoments:
    r"""Minka's clutter problem, :math:`t_n(z) = (1-w) N(x_n; z, I) + w N(x_n; 0, a I)`, in closed form.

    Args:
        x: ``(sites, dim)`` observations. weight: :math:`w` in (0, 1). clutter_var: :math:`a > 0`.
    """
    if not 0 < weight < 1 or not clutter_var > 0:
        given = f"got {weight} and {clutter_var}"
        raise ValueError(f"weight must lie in (0, 1) and clutter_var be positive, {given}")
    eye = torch.eye(x.shape[-1], dtype=x.dtype, device=x.device)
    noise = mvn_log_prob(x, torch.zeros_like(x), clutter_var * eye)
    clutter = math.log(weight) + noise

    def tilted(mean: Tensor, cov: Tensor, power: float) -> Tilted:
        _only_unit_power(power, "clutter_sites")
        signal = math.log1p(-weight) + mvn_log_prob(x, mean, cov + eye)
        log_norm = torch.logaddexp(signal, clutter)
        share = torch.exp(signal - log_norm)[:, None]  # probability of no clutter
        gain = torch.linalg.solve(cov + eye, cov).mT  # cov (cov + I)^-1
        step = torch.einsum("nde,ne->nd", gain, x - mean)
        between = (share * (1 - share) * step)[:, :, None] * step[:, None]
        new_cov = cov - share[:, None] * gain @ cov + between
        return Tilted(log_norm, mean + share * step, new_cov)

    return tilted


def quadrature_sites(log_factor: Callable[[Tensor], Tensor], design: Tensor, nodes: int = 601) -> TiltedMoments:
    r"""Any factor of one projection, :math:`t_n(z) = f_n(a_n^\top z)`: trapezoid rule over eight cavity deviations.

    Args:
        log_factor: ``(sites, nodes) -> (sites, nodes)`` nats; row n holds values of the projection for factor n.
        design: ``(sites, dim)``, the directions; ones for a one-dimensional ``z``.
        nodes: enough when the factor is smooth on the scale of 16 cavity standard deviations over ``nodes``.
    """
    unit = torch.linspace(-8, 8, nodes, dtype=design.dtype, device=design.device)

    def tilted(mean: Tensor, cov: Tensor, power: float) -> Tilted:
        spread = torch.einsum("nde,ne->nd", cov, design)
        var = (spread * design).sum(-1, keepdim=True)  # (sites, 1), of the projection
        points = (design * mean).sum(-1, keepdim=True) + var.sqrt() * unit
        log_weight = power * log_factor(points) - 0.5 * unit.square() - 0.5 * LOG_2PI + math.log(16 / (nodes - 1))
        log_norm = log_weight.logsumexp(-1)
        weight = torch.exp(log_weight - log_norm.unsqueeze(-1))
        shift = (weight * unit).sum(-1, keepdim=True)  # mean and variance of the standardised projection
        shrink = (weight * (unit - shift).square()).sum(-1, keepdim=True) - 1
        new_cov = cov + (shrink / var).unsqueeze(-1) * torch.einsum("nd,ne->nde", spread, spread)
        return Tilted(log_norm, mean + shift / var.sqrt() * spread, new_cov)

    return tilted


def _matched_sites(
    tilted: TiltedMoments, prior: Sites, sites: Sites, power: float, diagonal: bool
) -> tuple[Sites, int]:
    """The undamped new sites, and how many stayed as they were for want of a proper cavity or tilted Gaussian."""
    mean, cov, proper = cavities(prior, sites, power)
    _, new_mean, new_cov = tilted(mean, cov, power)
    if not (new_mean[proper].isfinite().all() and new_cov[proper].isfinite().all()):
        raise ValueError(
            "the tilted moments are not finite; look in the data for nan or for values without probability"
        )
    if diagonal:
        new_cov = torch.diag_embed(new_cov.diagonal(dim1=-2, dim2=-1))
    proper = proper & _positive(new_cov)
    safe = torch.where(proper[:, None, None], new_cov, torch.eye(mean.shape[-1], dtype=mean.dtype, device=mean.device))
    matched, cavity = _natural(new_mean, safe), _natural(mean, cov)
    shift = torch.where(proper[:, None], (matched.shift - cavity.shift) / power, sites.shift)
    precision = torch.where(proper[:, None, None], (matched.precision - cavity.precision) / power, sites.precision)
    return Sites(shift, precision), int((~proper).sum())


def _damped(prior: Sites, sites: Sites, target: Sites, damping: float) -> Sites:
    """Move towards the target; halve the step while the sum would not be a distribution."""
    for _ in range(40):
        moved = Sites(
            torch.lerp(sites.shift, target.shift, damping), torch.lerp(sites.precision, target.precision, damping)
        )
        if _positive(_total(prior, moved).precision):
            return moved
        damping /= 2
    return sites


def _log_evidence(tilted: TiltedMoments, prior: Sites, sites: Sites, power: float) -> Tensor:
    r"""Minka (2001): :math:`\Phi(q) - \Phi(p_0) + \sum_n \tfrac1\eta[\log Z_n + \Phi(\text{cavity}_n) - \Phi(q)]`; nan
    with an improper cavity."""
    mean, cov, proper = cavities(prior, sites, power)
    total = _log_partition(_total(prior, sites))
    terms = (tilted(mean, cov, power).log_norm + _log_partition(_natural(mean, cov)) - total) / power
    return total - _log_partition(prior) + torch.where(proper, terms, torch.full_like(terms, math.nan)).sum()


def _total(prior: Sites, sites: Sites) -> Sites:
    return Sites(prior.shift + sites.shift.sum(0), prior.precision + sites.precision.sum(0))


def _natural(mean: Tensor, cov: Tensor) -> Sites:
    precision = torch.cholesky_inverse(torch.linalg.cholesky(cov))
    return Sites(torch.einsum("...de,...e->...d", precision, mean), precision)


def _moments(natural: Sites) -> tuple[Tensor, Tensor]:
    cov = torch.cholesky_inverse(torch.linalg.cholesky(natural.precision))
    return torch.einsum("...de,...e->...d", cov, natural.shift), cov


def _proper_moments(natural: Sites) -> tuple[Tensor, Tensor, Tensor]:
    proper = _positive(natural.precision)
    eye = torch.eye(natural.shift.shape[-1], dtype=natural.shift.dtype, device=natural.shift.device)
    mean, cov = _moments(
        Sites(
            torch.where(proper[:, None], natural.shift, 0.0), torch.where(proper[:, None, None], natural.precision, eye)
        )
    )
    return mean, cov, proper


def _positive(matrix: Tensor) -> Tensor:
    positive: Tensor = torch.linalg.cholesky_ex(matrix).info == 0
    return positive


def _log_partition(natural: Sites) -> Tensor:
    r""":math:`\Phi(r, Q) = \tfrac12 r^\top Q^{-1} r - \tfrac12\log|Q| + \tfrac D2 \log 2\pi`; nan where ``Q`` is not
    positive."""
    chol, info = torch.linalg.cholesky_ex(natural.precision)
    whitened = torch.linalg.solve_triangular(chol, natural.shift.unsqueeze(-1), upper=False).squeeze(-1)
    log_det = chol.diagonal(dim1=-2, dim2=-1).log().sum(-1)
    value = 0.5 * whitened.square().sum(-1) - log_det + 0.5 * natural.shift.shape[-1] * LOG_2PI
    return torch.where(info == 0, value, torch.full_like(value, math.nan))


def _relative_change(old: Sites, new: Sites) -> float:
    pairs = zip(old, new)
    return max(float((after - before).abs().amax() / after.abs().amax().clamp(min=1e-300)) for before, after in pairs)


def _only_unit_power(power: float, name: str) -> None:
    if power != 1:
        raise ValueError(f"{name} has closed moments for power 1 only, got {power}; use quadrature_sites")


def _check(damping: float, power: float, diagonal: bool, prior_mean: Tensor, prior_cov: Tensor, num_sites: int) -> None:
    floating(prior_mean=prior_mean, prior_cov=prior_cov)
    if prior_mean.ndim != 1 or prior_cov.shape != 2 * prior_mean.shape:
        raise ValueError(
            f"prior_mean must be (dim,) and prior_cov (dim, dim), got {tuple(prior_mean.shape)} and "
            f"{tuple(prior_cov.shape)}"
        )
    if not (0 < damping <= 1 and 0 < power <= 1):
        raise ValueError(f"damping and power must lie in (0, 1], got {damping} and {power}")
    natural(num_sites=num_sites)
    if diagonal and not torch.equal(prior_cov, torch.diag(prior_cov.diagonal())):
        raise ValueError(
            "a diagonal approximation needs a diagonal prior_cov; pass diagonal=False or put it into a site"
        )


def _check_tilted(tilted: TiltedMoments, mean: Tensor, cov: Tensor, num_sites: int, power: float) -> None:
    """Ask for the moments once, at cavities that are the prior: their shapes must be those of as many sites."""
    dim = len(mean)
    wanted = ((num_sites,), (num_sites, dim), (num_sites, dim, dim))
    try:
        found = tilted(mean.expand(num_sites, dim), cov.expand(num_sites, dim, dim), power)
        shapes = str(tuple(tuple(part.shape) for part in found))
    except RuntimeError as error:
        shapes = str(error).splitlines()[0]
    if shapes != str(wanted):
        raise ValueError(f"tilted must return log_norm, mean and cov of shapes {wanted}, got {shapes}")
