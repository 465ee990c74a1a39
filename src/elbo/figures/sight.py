"""What colours look like to readers who see fewer of them, and on paper without any: the measure behind the book's
palette.

Full dichromacy is simulated with the matrices of Machado, Oliveira and Fernandes (2009, *A physiologically-based model
for simulation of color vision deficiency*, table 1, severity 1.0), applied to linear RGB. Differences are Euclidean in
CIE L*a*b* (D65), where about
2.3 can just be seen on two large areas side by side; thin lines far from each other need several times that.
"""

from __future__ import annotations

import numpy as np

__all__ = ["KINDS", "contrast", "difference", "lightness", "lightness_difference"]

KINDS = {
    "protanopia": ((0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216), (-0.003882, -0.048116, 1.051998)),
    "deuteranopia": ((0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413), (-0.011820, 0.042940, 0.968881)),
    "tritanopia": ((1.255528, -0.076749, -0.178779), (-0.078411, 0.930809, 0.147602), (0.004733, 0.691367, 0.303900)),
}
"""Matrices from linear RGB to the linear RGB that looks alike, by kind of colour blindness."""

_TO_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)
_WHITE = _TO_XYZ.sum(axis=1)


def difference(one: str, other: str, kind: str | None = None) -> float:
    """Distance of two colours ``#rrggbb`` in CIE L*a*b*, as everybody sees them or with a ``kind`` of :data:`KINDS`."""
    return float(np.linalg.norm(_lab(_seen(one, kind)) - _lab(_seen(other, kind))))


def lightness(colour: str) -> float:
    """CIE L* of a colour, 0 (black) to 100 (white): all that a grey print keeps of it."""
    return float(_lab(_linear(colour))[0])


def lightness_difference(one: str, other: str) -> float:
    """Distance of two colours on a grey print, in units of L*."""
    return abs(lightness(one) - lightness(other))


def contrast(one: str, other: str) -> float:
    """Contrast ratio of WCAG 2 between two colours, 1 to 21; 3 is asked of lines and markers, 4.5 of small text."""
    light = sorted(0.05 + float(_TO_XYZ[1] @ _linear(colour)) for colour in (one, other))
    return light[1] / light[0]


def _seen(colour: str, kind: str | None) -> np.ndarray:
    linear = _linear(colour)
    return linear if kind is None else np.clip(np.array(KINDS[kind]) @ linear, 0.0, 1.0)


def _linear(colour: str) -> np.ndarray:
    if len(colour) != 7 or not colour.startswith("#"):
        raise ValueError(f"{colour!r} is not a colour of the form #rrggbb; matplotlib.colors.to_hex makes one")
    value = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


def _lab(linear: np.ndarray) -> np.ndarray:
    ratio = _TO_XYZ @ linear / _WHITE
    f = np.where(ratio > (6 / 29) ** 3, np.cbrt(ratio), ratio / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])
