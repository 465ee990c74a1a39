"""Figures that a reader can drag; every number on the screen is this package's.

>>> from elbo import live
>>> print(live.say("elbo-four-cuts", mean=1.2, sd=0.6))  # doctest: +SKIP
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import Any

from elbo.live.spec import Control, Figure, Predict

__all__ = ["IDS", "Control", "Figure", "Predict", "figure", "say", "show"]

_MODULES = {
    "elbo-four-cuts": "four_cuts",
    "hoffman-johnson-2016-live-surgery": "surgery",
    "blei-2017-live-two-kl": "two_kl",
    "higgins-2017-live-beta": "beta",
    "kingma-welling-2013-live-gradients": "gradients",
    "blei-2017-live-jensen": "jensen",
    "blei-2017-live-cavi": "cavi",
    "kingma-welling-2013-live-latent-walk": "latent_walk",
    "higgins-2017-live-vote": "vote",
    "kingma-welling-2013-live-amortisation": "amortisation",
}
IDS = tuple(_MODULES)
"""The live figures of the book, in the order of their making."""


@cache
def figure(id: str) -> Figure:
    """The record of a live figure.

    Raises:
        KeyError: there is none of this name; the message lists them.
    """
    if id not in _MODULES:
        raise KeyError(f"there is no live figure {id!r}; there are {', '.join(IDS)}")
    return import_module(f"elbo.live.figures.{_MODULES[id]}").FIGURE


def say(id: str, **state: Any) -> str:
    """The sentence under a live figure at a state, its numbers included; see :meth:`Figure.say`."""
    return figure(id).say(**state)


def show(id: str, **state: Any):
    """A live figure at a state as a matplotlib figure, as it stands on paper."""
    about = figure(id)
    clean = about.clean(state)
    return about.draw(clean, about.terms(**clean))
