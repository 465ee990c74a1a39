"""What lies where no code lies: a decoder on every point of its plane of codes."""

from __future__ import annotations

from functools import cache

import numpy as np

from elbo.densities import standard_gaussian_log_prob
from elbo.estimators import log_aggregate_posterior
from elbo.figures import style
from elbo.live import decoder
from elbo.live.quadrature import tensor
from elbo.live.spec import Control, Figure

__all__ = ["FIGURE", "picture", "terms"]


@cache
def _payload() -> decoder.Payload:
    return decoder.read()


def picture(z1: float, z2: float) -> np.ndarray:
    """The expected picture at a code, ``(784,)`` in [0, 1], by the quantised decoder in float64."""
    return decoder.MODEL.decode_mean(_payload().params, tensor(z1, z2)).numpy()


def terms(z1: float, z2: float) -> dict[str, float]:
    """Log-densities of a code under prior and aggregated posterior (nats), mean ink,
    and the doubt of a pixel in bits.
    """
    sent, z = _payload(), tensor(z1, z2).unsqueeze(0)
    pixels = picture(z1, z2)
    safe = np.clip(pixels, 1e-300, 1 - 1e-16)
    doubt = -(safe * np.log2(safe) + (1 - safe) * np.log1p(-safe) / np.log(2))
    return {
        "log_prior": standard_gaussian_log_prob(z).item(),
        "log_aggregate": log_aggregate_posterior(z, sent.mean, sent.log_var).item(),
        "ink": float(pixels.mean()),
        "doubt": float(doubt.mean()),
    }


def draw(state, found):
    """The plane of codes with the code on it, its picture, and a manifold of pictures."""
    figure, axes = style.new(1, 3, height=2.7, width_ratios=[1.25, 0.8, 1.25])
    plane, one, many = axes[0]
    mean = _payload().mean
    plane.plot(mean[:, 0], mean[:, 1], "o", color=style.COLOUR["q"], markersize=2, linestyle="")
    angle = np.linspace(0, 2 * np.pi, 200)
    for radius in (1, 2):
        style.guide(plane.plot(radius * np.cos(angle), radius * np.sin(angle), **style.GUIDE)[0])
    plane.plot(state["z1"], state["z2"], "o", color=style.COLOUR["hmc"], markersize=8)
    plane.set(xlim=(-3.5, 3.5), ylim=(-3.5, 3.5), aspect="equal")
    style.panel(plane, "400 codes, prior's circles", "$z_1$", "$z_2$")
    style.images(one, 1 - picture(**state).reshape(1, 28, 28), columns=1)
    style.panel(one, "decoded there")
    ticks = np.linspace(-2.4, 2.4, 9)
    tiles = np.stack([1 - picture(x, y).reshape(28, 28) for y in ticks[::-1] for x in ticks])
    style.images(many, tiles, columns=9, gap=0)
    style.panel(many, "decoded everywhere")
    return figure


FIGURE = Figure(
    id="kingma-welling-2013-live-latent-walk",
    question="What does the decoder make of a code that no image has?",
    caption="What does the decoder make of a code that no image has? Two latents of a VAE on MNIST: codes of 400 test "
    "images, the prior's circles of one and two standard deviations. At the marked code $\\log p(z)$ is "
    "{log_prior:.2f} and the aggregated posterior's $\\log \\bar q(z)$ {log_aggregate:.2f}; it still draws something.",
    alt="Left, a cloud of dots with gaps inside two circles and one marked code; middle, the picture decoded there; "
    "right, a grid of decoded digits that melt into each other.",
    controls=(
        Control("z1", "First latent", -0.4, -3.5, 3.5, 0.05, digits=2),
        Control("z2", "Second latent", -1.6, -3.5, 3.5, 0.05, digits=2),
    ),
    texts=(
        "log p(z) = {log_prior:.3f}, log q̄(z) = {log_aggregate:.3f} nats. Mean ink {ink:.3f}; a pixel is {doubt:.3f} "
        "bits in doubt.",
    ),
    terms=terms,
    draw=draw,
    constants={"widths": [2, 128, 128, 784], "codes": decoder.CODES, "unit": decoder.CODE_UNIT},
    payload=decoder.NAME,
    height=(360, 540),
)
