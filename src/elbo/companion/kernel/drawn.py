"""Does a figure show its data? Every number that is drawn must stand in the data frame that is published with it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.container import BarContainer, ErrorbarContainer
from matplotlib.figure import Figure

__all__ = ["mismatch"]


def mismatch(figure: Figure, data: pd.DataFrame) -> str | None:
    """One sentence on the first drawn value that no numeric column of ``data`` holds, or ``None``.

    Looked at: lines (heights), scatter points (both coordinates), bars (lengths) and images (pixels). Not looked at:
    what :func:`elbo.figures.style.guide` marked, error bars, bands, contours, and lines that are not in data
    coordinates. Values agree within ``1e-6`` relative, which lets float32 pass for float64.
    """
    known = _numbers(data)
    for axes in figure.axes:
        for what, values in _drawn(axes):
            values = np.asarray(values, float).ravel()
            values = values[np.isfinite(values)]
            strange = values if not len(known) else values[_distance(values, known) > _tolerance(values, known)]
            if len(strange):
                panel = axes.get_title(loc="left") or axes.get_title() or axes.get_ylabel() or "untitled"
                return (
                    f"{what} in panel {panel!r} shows {strange[0]:.6g}, which no numeric column of `data` holds: draw "
                    f"from the data frame, or mark decoration with elbo.figures.style.guide()"
                )
    return None


def _drawn(axes: Axes) -> Iterator[tuple[str, np.ndarray]]:
    skip: set[int] = set()
    for container in axes.containers:
        if isinstance(container, ErrorbarContainer):
            skip.update(map(id, container.lines[1]))
        elif isinstance(container, BarContainer) and container.datavalues is not None and not _guide(container.patches):
            yield f"bar {container.get_label()!r}", np.asarray(container.datavalues)
    for line in axes.lines:
        if id(line) not in skip and not _guide([line]) and line.get_transform() == axes.transData:
            yield f"line {line.get_label()!r}", np.asarray(line.get_ydata(orig=False))
    for points in axes.collections:
        if (
            isinstance(points, PathCollection)
            and not _guide([points])
            and points.get_offset_transform() == axes.transData
        ):
            yield f"points {points.get_label()!r}", np.ma.filled(points.get_offsets(), np.nan)
    for image in axes.images:
        if not _guide([image]):
            yield "image", np.ma.filled(np.ma.masked_invalid(np.asarray(image.get_array(), float)), np.nan)


def _guide(artists: Iterable[Artist]) -> bool:
    return all("guide" in (artist.get_gid() or "") for artist in artists)


def _numbers(data: pd.DataFrame) -> np.ndarray:
    columns = [data[name].to_numpy(float, na_value=np.nan) for name in data.select_dtypes("number")]
    values = np.unique(np.concatenate(columns)) if columns else np.empty(0)
    return values[np.isfinite(values)]


def _distance(values: np.ndarray, known: np.ndarray) -> np.ndarray:
    right = np.clip(np.searchsorted(known, values), 0, len(known) - 1)
    left = np.clip(right - 1, 0, len(known) - 1)
    nearest: np.ndarray = np.minimum(np.abs(values - known[left]), np.abs(values - known[right]))
    return nearest


def _tolerance(values: np.ndarray, known: np.ndarray) -> np.ndarray:
    allowed: np.ndarray = 1e-6 * np.abs(values) + 1e-9 * np.abs(known).max()
    return allowed
