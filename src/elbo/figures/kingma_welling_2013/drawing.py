"""The drawing of a variational autoencoder: encode, sample, decode, with the two terms of the bound where they
arise."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle, Ellipse, FancyArrowPatch, FancyBboxPatch

from elbo.figures import style

__all__ = ["autoencoder"]


def autoencoder(table: pd.DataFrame, shape: tuple[int, int]) -> Figure:
    """One image on its way through a trained model of two latents.

    Args:
        table: two rows of :func:`elbo.experiments.kingma_welling_2013.pictures_at_scale` with their pixels: the test
            image, and its reconstruction with ``mean_1, mean_2, sd_1, sd_2, z_1, z_2, likelihood, penalty``.
    """
    image, code = table.iloc[0], table.iloc[1]
    style.apply()
    figure = Figure(figsize=(style.WIDTH, 3.1))
    base = figure.add_axes((0, 0, 1, 1))
    base.set(xlim=(0, style.WIDTH), ylim=(0, 3.1))
    base.set_axis_off()
    _picture(figure, image, shape, (0.1, 1.25))
    _picture(figure, code, shape, (6.05, 1.25))
    _plane(figure, code)
    for x, name, formula in ((1.62, "encoder", r"$q_\phi(z\,|\,x)$"), (4.75, "decoder", r"$p_\theta(x\,|\,z)$")):
        box = FancyBboxPatch(
            (x, 1.55), 0.95, 0.65, boxstyle="round,pad=0.04", facecolor="#f1f1f1", edgecolor=style.GREY
        )
        base.add_patch(box)
        base.text(x + 0.475, 2.03, name, ha="center", va="center")
        base.text(x + 0.475, 1.73, formula, ha="center", va="center")
    for start, end in ((1.4, 1.55), (2.64, 2.84), (4.48, 4.68), (5.77, 5.97)):
        arrow = FancyArrowPatch((start, 1.875), (end, 1.875), arrowstyle="-|>", mutation_scale=10, color=style.BLACK)
        base.add_patch(arrow)
    for x, text in ((0.72, "image $x$"), (3.66, "code $z$, two numbers"), (6.68, r"expected image $y(z)$")):
        base.text(x, 2.78, text, ha="center", weight="bold")
    penalty, reconstruction = style.COLOUR["average kl"], style.COLOUR["reconstruction"]
    base.text(3.66, 0.83, f"penalty  KL = {code.penalty:.1f} nats", ha="center", color=penalty)
    base.text(
        6.0,
        0.83,
        rf"reconstruction  $\log p(x|z)$ = {_number(code.likelihood)} nats",
        ha="center",
        color=reconstruction,
    )
    base.text(
        style.WIDTH / 2,
        0.3,
        rf"bound $\approx$ reconstruction $-$ penalty = {_number(code.likelihood)} $-$ {code.penalty:.1f}"
        f" = {_number(code.likelihood - code.penalty)} nats",
        ha="center",
        bbox={"boxstyle": "round,pad=0.4", "facecolor": "white", "edgecolor": style.BLACK},
    )
    return figure


def _number(value: float) -> str:
    return f"{value:.1f}".replace("-", "\N{MINUS SIGN}")


def _axes(figure: Figure, corner: tuple[float, float], size: float) -> Axes:
    return figure.add_axes((corner[0] / style.WIDTH, corner[1] / 3.1, size / style.WIDTH, size / 3.1))


def _picture(figure: Figure, row: pd.Series, shape: tuple[int, int], corner: tuple[float, float]) -> None:
    axis = _axes(figure, corner, 1.25)
    pixels = row[[f"pixel_{i}" for i in range(shape[0] * shape[1])]].to_numpy(float).reshape(shape)
    axis.imshow(pixels, cmap="gray_r", vmin=0, vmax=1)
    axis.set(xticks=[], yticks=[])
    for spine in axis.spines.values():
        spine.set_visible(True)


def _plane(figure: Figure, code: pd.Series) -> None:
    """The plane of codes: the prior's circles, the ellipse of q (two standard deviations), the draw."""
    axis = _axes(figure, (2.93, 1.15), 1.46)
    for radius in (1, 2):
        axis.add_patch(Circle((0, 0), radius, fill=False, edgecolor="#b5b5b5", linewidth=0.8))
    axis.text(0, -1.95, "prior $p(z)$", ha="center", va="bottom", color=style.GREY)
    mean, sd, z = ([code[f"{name}_{d}"] for d in (1, 2)] for name in ("mean", "sd", "z"))
    colour = style.COLOUR["q"]
    axis.add_patch(Ellipse(mean, 4 * sd[0], 4 * sd[1], facecolor=colour, alpha=0.25))
    axis.add_patch(Ellipse(mean, 4 * sd[0], 4 * sd[1], fill=False, edgecolor=colour))
    axis.scatter([z[0]], [z[1]], color=style.BLACK, s=14, zorder=3)
    reach = max(2.3, *(abs(np.array(mean)) + 2.4 * np.array(sd)))
    above = mean[1] < 0.6 * reach
    height = mean[1] + (2.2 if above else -2.2) * sd[1]
    axis.text(mean[0], height, "$q$", ha="center", va="bottom" if above else "top", color=colour)
    axis.set(xlim=(-reach, reach), ylim=(-reach, reach), xticks=[], yticks=[], aspect="equal")
