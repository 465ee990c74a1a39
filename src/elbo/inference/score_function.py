r"""Four single-draw estimators of the gradient of the bound for one Gaussian ``q``, draw by draw.

.. math:: \nabla_\phi\, E_{q_\phi(z)}[f(z)], \qquad f(z) = \log p(x, z) - \log q_\phi(z), \qquad
          q_\phi = N(\mu, \mathrm{diag}\,\sigma^2), \quad \phi = (\mu, \log\sigma^2)

The score function needs no more of ``log p(x, z)`` than its value (Williams, 1992; Paisley, Blei & Jordan, 2012);
reparameterisation also needs its gradient in ``z`` (Kingma & Welling, 2013, sections 2.2 to 2.4). All are unbiased.
Every draw gives its own gradient, so that a variance can be taken over them; nothing is averaged here.

Shapes: ``mean`` and ``log_var`` ``(..., dim)``, standard normal noise ``eps`` ``(draws, ..., dim)``, and every result a
:class:`Gradient` of two tensors shaped like ``eps``, in nats per unit of the parameter.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from elbo.densities import gaussian_log_prob
from elbo.inference.sgvb import reparameterise

__all__ = [
    "Gradient",
    "importance_gradients",
    "leave_one_out",
    "path_gradient",
    "reparameterised_a",
    "reparameterised_b",
    "score_function_gradient",
]

LogProb = Callable[[Tensor], Tensor]


class Gradient(NamedTuple):
    """The gradient of each draw with respect to the parameters of ``q``."""

    mean: Tensor  # (draws, ..., dim)
    log_var: Tensor  # (draws, ..., dim)


def score_function_gradient(
    log_joint: LogProb,
    mean: Tensor,
    log_var: Tensor,
    eps: Tensor,
    baseline: Tensor | float | Literal["leave-one-out"] = 0.0,
) -> Gradient:
    r"""The score-function estimator with a baseline, :math:`(f(z) - c)\, \nabla_\phi \log q_\phi(z)`.

    .. math:: \nabla_\mu \log q = \frac{\epsilon}{\sigma}, \qquad
              \nabla_{\log\sigma^2} \log q = \tfrac12 (\epsilon^2 - 1), \qquad z = \mu + \sigma \odot \epsilon

    Unbiased for every baseline that does not depend on the draw, because the score has mean zero; the derivative of
    ``f`` itself contributes nothing for the same reason.

    Args:
        log_joint: ``(draws, ..., dim) -> (draws, ...)`` nats; need not be differentiable.
        baseline: :math:`c`, a number or a tensor that broadcasts against ``(draws, ...)``, or ``"leave-one-out"``: for
            each draw the mean of ``f`` over the others. Then the draws are no longer independent of each other, but
            their mean is unbiased.

    Raises:
        ValueError: leave-one-out with a single draw.
    """
    with torch.no_grad():
        z = reparameterise(mean, log_var, eps)
        value = log_joint(z) - gaussian_log_prob(z, mean, log_var)  # (draws, ...)
        advantage = value - (leave_one_out(value) if isinstance(baseline, str) else baseline)
        weight = advantage.unsqueeze(-1)
        return Gradient(weight * eps * torch.exp(-0.5 * log_var), weight * 0.5 * (eps.square() - 1))


def leave_one_out(values: Tensor) -> Tensor:
    r"""For each draw the mean over the others, :math:`\frac{1}{L-1} \sum_{k \ne l} f_k`; ``(L, ...)`` to the same.

    Raises:
        ValueError: there is one draw only.
    """
    if len(values) < 2:
        raise ValueError("leave-one-out needs at least two draws; pass a number as the baseline of a single one")
    return (values.sum(0) - values) / (len(values) - 1)


def reparameterised_a(log_joint: LogProb, mean: Tensor, log_var: Tensor, eps: Tensor) -> Gradient:
    r"""The gradient of estimator A, equation 6: through the draw, the score term included.

    .. math:: \hat g_\mu = \nabla_z \log p(x, z), \qquad
              \hat g_{\log\sigma^2} = \tfrac12 \sigma \odot \epsilon \odot \nabla_z \log p(x, z) + \tfrac12

    As a function of noise :math:`\log q(z)` is :math:`-\tfrac12 \sum_d (\log\sigma_d^2 + \epsilon_d^2)` and a constant,
    hence the halves.

    Args:
        log_joint: ``(draws, ..., dim) -> (draws, ...)`` nats, differentiable.
    """
    slope, scaled = _slope(log_joint, mean, log_var, eps)
    return Gradient(slope, 0.5 * scaled * slope + 0.5)


def reparameterised_b(log_likelihood: LogProb, mean: Tensor, log_var: Tensor, eps: Tensor) -> Gradient:
    r"""The gradient of estimator B, equation 7: the log-likelihood through the draw, the divergence in closed form.

    .. math:: \hat g_\mu = \nabla_z \log p(x \mid z) - \mu, \qquad \hat g_{\log\sigma^2} = \tfrac12 \sigma \odot
              \epsilon \odot \nabla_z \log p(x \mid z) + \tfrac12 (1 - \sigma^2)

    Args:
        log_likelihood: ``(draws, ..., dim) -> (draws, ...)`` nats, differentiable; the prior is N(0, I).
    """
    slope, scaled = _slope(log_likelihood, mean, log_var, eps)
    return Gradient(slope - mean, 0.5 * scaled * slope + 0.5 * (1 - log_var.exp()))


def path_gradient(log_joint: LogProb, mean: Tensor, log_var: Tensor, eps: Tensor) -> Gradient:
    r"""The path alone: estimator A without the score term, which has mean zero (Roeder, Wu & Duvenaud, 2017).

    .. math:: \hat g_\mu = \nabla_z f(z), \qquad \hat g_{\log\sigma^2} = \tfrac12 \sigma \odot \epsilon \odot
              \nabla_z f(z), \qquad \nabla_z f(z) = \nabla_z \log p(x, z) + \frac{\epsilon}{\sigma}

    Where ``q`` is the exact posterior, ``f`` is the constant ``log p(x)``: every draw gives zero, without variance.

    Args:
        log_joint: ``(draws, ..., dim) -> (draws, ...)`` nats, differentiable.
    """
    slope, scaled = _slope(log_joint, mean, log_var, eps)
    slope = slope + eps * torch.exp(-0.5 * log_var)
    return Gradient(slope, 0.5 * scaled * slope)


def _slope(log_prob: LogProb, mean: Tensor, log_var: Tensor, eps: Tensor) -> tuple[Tensor, Tensor]:
    r"""The gradient of ``log_prob`` in ``z`` at every draw, and :math:`\sigma \odot \epsilon`."""
    with torch.enable_grad():
        z = reparameterise(mean, log_var, eps).detach().requires_grad_()
        (slope,) = torch.autograd.grad(log_prob(z).sum(), z)
    return slope, torch.exp(0.5 * log_var) * eps


def importance_gradients(log_joint: LogProb, mean: Tensor, log_var: Tensor, eps: Tensor) -> tuple[Gradient, Gradient]:
    r"""Two unbiased gradients of the importance-weighted bound of k draws in the parameters of ``q``: plain and doubly
    reparameterised.

    .. math:: \sum_l \bar w_l\, \nabla_\phi \log w_l, \qquad
              \sum_l \bar w_l^2\, \frac{\partial z_l}{\partial \phi} \nabla_{z_l} \log w_l, \qquad
              w_l = \frac{p(x, z_l)}{q_\phi(z_l)}, \quad \bar w_l = \frac{w_l}{\sum_m w_m}

    The first is what automatic differentiation gives (Burda, Grosse & Salakhutdinov, 2016, equation 14); its first draw
    alone is estimator A. The second reparameterises the score that is left in it once more (Tucker et al., 2019,
    equation 8); with one draw it is :func:`path_gradient`.

    Args:
        log_joint: ``(k, ..., dim) -> (k, ...)`` nats, differentiable.
        eps: ``(k, ..., dim)``; the ``k`` draws of one estimate.

    Returns:
        The two gradients, each of ``(..., dim)``: an average over the draws is part of the estimate.
    """
    slope, scaled = _slope(log_joint, mean, log_var, eps)
    with torch.no_grad():
        z = reparameterise(mean, log_var, eps)
        log_w = log_joint(z) - gaussian_log_prob(z, mean, log_var)  # (k, ...)
        share = torch.softmax(log_w, 0).unsqueeze(-1)
    path = slope + eps * torch.exp(-0.5 * log_var)  # the gradient of log w in z
    plain = Gradient((share * slope).sum(0), (share * (0.5 * scaled * slope + 0.5)).sum(0))
    doubly = Gradient((share**2 * path).sum(0), (share**2 * 0.5 * scaled * path).sum(0))
    return plain, doubly
