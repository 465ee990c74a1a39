"""Where the panels of a figure lie in its picture, so that a page can offer each by itself."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure

__all__ = ["MOST", "boxes"]

MOST = 6
"""Panels of a figure at most; more axes than that are tiles of one picture."""

Box = tuple[float, float, float, float]
"""Left, top, right and bottom, as shares of the picture's width and height."""


def boxes(fig: Figure, pad: float = 0.05) -> list[Box]:
    """A box for each panel with its title, labels and colour bar, row by row; empty where there is one panel or more
    than :data:`MOST`.

    Args:
        pad: inches around the drawing, as in ``savefig(bbox_inches="tight", pad_inches=pad)``.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(fig)
    canvas.draw()
    renderer = canvas.get_renderer()
    whole = fig.get_tightbbox(renderer).padded(pad)

    def box_of(axes: Axes) -> Box:
        tight = axes.get_tightbbox(renderer)
        assert tight is not None, "only axes that are seen have a box here"
        inches = tight.transformed(fig.dpi_scale_trans.inverted()).padded(pad / 2)
        left, right = ((x - whole.x0) / whole.width for x in (inches.x0, inches.x1))
        top, bottom = ((whole.y1 - y) / whole.height for y in (inches.y1, inches.y0))
        return max(left, 0.0), max(top, 0.0), min(right, 1.0), min(bottom, 1.0)

    found: list[Box] = []
    for axes in fig.axes:
        if axes.get_visible() and axes.get_tightbbox(renderer) is not None:
            bar = getattr(axes, "_colorbar", None)  # matplotlib keeps a bar's own object there, and no public way to it
            of = bar.mappable.axes if bar is not None else None
            found = _joined(found, box_of(axes) if of is None else _union(box_of(axes), box_of(of)))
    rounded: list[Box] = [
        (round(float(left), 4), round(float(top), 4), round(float(right), 4), round(float(bottom), 4))
        for left, top, right, bottom in found
    ]
    return sorted(rounded, key=lambda box: (round(box[1], 1), box[0])) if 2 <= len(found) <= MOST else []


def _joined(found: list[Box], box: Box) -> list[Box]:
    """``found`` with ``box``: one with what it covers by a fifth, an axis on the other side of the same panel, say."""
    for other in found:
        width = min(box[2], other[2]) - max(box[0], other[0])
        height = min(box[3], other[3]) - max(box[1], other[1])
        if width > 0 and height > 0 and width * height > 0.2 * min(_area(box), _area(other)):
            return _joined([it for it in found if it is not other], _union(box, other))
    return [*found, box]


def _union(one: Box, other: Box) -> Box:
    return (min(one[0], other[0]), min(one[1], other[1]), max(one[2], other[2]), max(one[3], other[3]))


def _area(box: Box) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])
