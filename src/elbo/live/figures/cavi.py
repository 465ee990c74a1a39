"""Coordinate ascent with two components on three clusters: where it starts decides where it ends."""

from __future__ import annotations

import numpy as np
import torch

from elbo.figures import style
from elbo.inference import cavi
from elbo.live.quadrature import tensor
from elbo.live.spec import Control, Figure
from elbo.models.unit_mixture import UnitMixture, UnitPosterior

__all__ = ["DATA", "FIGURE", "terms", "trajectory"]

MODEL, MOST = UnitMixture(2, 5.0), 20
DATA = tuple(
    round(centre + offset, 1)
    for centre, offsets in (
        (-6.0, (-1.3, -0.9, -0.5, -0.2, 0.1, 0.4, 0.8, 1.2)),
        (0.1, (-0.8, -0.4, 0.0, 0.4, 0.9)),
        (6.3, (-1.2, -0.7, -0.3, 0.0, 0.4, 0.8, 1.3)),
    )
    for offset in offsets
)
"""Twenty numbers in three clusters; the mixture has two components of variance one."""


def trajectory(left: float, right: float) -> list[tuple[float, np.ndarray, np.ndarray]]:
    """The bound (total nats), means and variances of ``q(mu)`` after 0, 1, ... steps of
    :func:`elbo.inference.cavi.step`.
    """
    x = tensor(*DATA).unsqueeze(-1)
    var = torch.full((1, 2), 1 / (MODEL.mean_sd**-2 + len(DATA) / 2), dtype=torch.float64)
    q = UnitPosterior(tensor(left, right).reshape(1, 2, 1), var)
    state = cavi.CaviState(q, torch.full((1,), -torch.inf, dtype=torch.float64), 0)
    found = []
    for _ in range(MOST + 1):
        found.append(
            (cavi.elbo(MODEL, x, state.q).item(), state.q.mean.flatten().numpy(), state.q.var.flatten().numpy())
        )
        state = cavi.step(MODEL, x, state)
    return found


def terms(left: float, right: float, step: float) -> dict[str, float]:
    """The bound now and at the end, and the two means of ``q``."""
    path = trajectory(left, right)
    now = path[int(step)]
    return {
        "elbo": now[0],
        "end": path[-1][0],
        "first": float(now[1][0]),
        "second": float(now[1][1]),
        "start": path[0][0],
    }


def draw(state, found):
    """The data with both components, and the bound over the steps from two starts."""
    figure, axes = style.new(1, 2, height=2.8, width_ratios=[1.5, 1])
    left, right = axes[0]
    z = np.linspace(-9, 9, 400)
    for name, look in (("first", "q"), ("second", "inclusive")):
        left.plot(
            z,
            np.exp(-0.5 * (z - found[name]) ** 2) / np.sqrt(2 * np.pi) / 2,
            color=style.COLOUR[look],
            linestyle=style.LINE[look],
        )
    left.plot(DATA, np.full(len(DATA), -0.02), "|", color="k", markersize=9)
    left.set(yticks=[])
    style.panel(left, f"Two components after {state['step']:.0f} steps", "x")
    for start, look in (((state["left"], state["right"]), "cavi"), ((-4.0, 0.0), "svi")):
        bounds = [one[0] for one in trajectory(*start)]
        right.plot(bounds, color=style.COLOUR[look], linestyle=style.LINE[look])
        style.guide(
            right.text(
                MOST,
                bounds[-1] + 0.3,
                f"start {start[0]:.0f} and {start[1]:.0f}".replace("-", "−"),
                fontsize=style.SMALL,
                ha="right",
                color=style.COLOUR[look],
            )
        )
    right.set_ylim(-108, -98)
    style.panel(right, "The bound", "step", "total nats")
    return figure


FIGURE = Figure(
    id="blei-2017-live-cavi",
    question="Two components, three clusters: which two does it find?",
    caption="Two components, three clusters: which two does it find? That depends on where it starts. Coordinate "
    "ascent from the means $-1$ and {right:.2f} climbs from {start:.1f} to {end:.1f} nats and stays there; from other "
    "starts it ends elsewhere, and no step ever goes down. There are two optima to find.",
    alt="Left, ticks in three clusters with two bells over them. Right, the bound against steps for two starts; both "
    "rise quickly and level off at different heights.",
    controls=(
        Control("left", "First mean starts at", -1.0, -8, 8, 0.5, digits=2),
        # never equal to the first: two components that start equal stay so up to rounding
        Control("right", "Second mean starts at", 5.25, -7.75, 8.25, 0.5, digits=2),
        Control("step", "Steps of coordinate ascent", 6, 0, MOST, 1),
    ),
    texts=(
        "After {step:.0f} steps the bound is {elbo:.3f} nats, with means {first:.3f} and {second:.3f}. It ends at "
        "{end:.3f}.",
    ),
    terms=terms,
    draw=draw,
    constants={"data": list(DATA), "sd": MODEL.mean_sd, "most": MOST},
    height=(330, 480),
)
