r"""The images of dSprites, rendered from their factors: a *reconstruction* of the published set, by a fitted geometry.

A sprite is a polygon: rotated, moved, its corners snapped to 1/256 pixel, then filled by the even-odd rule at the
pixels' centres, as a graphics card does: a centre exactly on a left or a bottom edge is inside, on a right or a top
edge outside. The 363 published images at hand are matched to the pixel; of the 128,328,862 white pixels of the whole
set this geometry gives two more (``benchmarks/dsprites.py`` counts them).

The naive test asks 4096 pixels about up to 150 edges. Three facts make it cheap. A row of 64 pixels is a 64-bit word,
and an edge that crosses it in column :math:`c` flips the pixels left of it, :math:`2^c - 1`: a row is the exclusive or
of two or four words. Which edges cross which row depends on shape, scale, orientation and posY only: a table of 23,040
entries (2.6 MB). And a crossing is a quotient of two integers below :math:`2^{31}`, whose double-precision quotient
never rounds across a whole number. So the result is exact, and the same on every device.
"""

from __future__ import annotations

import functools
import math
from typing import NamedTuple

import torch
from torch import Tensor

__all__ = ["COUNT", "FACTORS", "SHAPES", "SIZES", "classes", "flat_index", "outline", "render", "unpack", "values"]

FACTORS = ("color", "shape", "scale", "orientation", "posX", "posY")
SIZES = (1, 3, 6, 40, 32, 32)
SHAPES = ("square", "ellipse", "heart")
COUNT = math.prod(SIZES)  # 737,280
_STRIDES = (737280, 245760, 40960, 1024, 32, 1)  # posY runs fastest
_HALF = 9.6  # half the side of the largest square, in pixels
_POLYGONS = 3 * 6 * 40
_HEIGHT, _CROSSINGS = 28, 4  # the rows of the tallest sprite; how often an outline crosses a row at most
_CHUNK = {"cpu": 48}  # images at a time: within the cache, and few enough for one thread without hand-shakes


def classes(index: Tensor) -> Tensor:
    """Factor indices of flat indices: ``(...) -> (..., 6)`` int64, in the order of ``FACTORS``."""
    _check_index(index)
    return torch.stack([index // stride % size for stride, size in zip(_STRIDES, SIZES, strict=True)], -1)


def flat_index(factors: Tensor) -> Tensor:
    """Flat indices, 0 to 737,279, of factor indices: ``(..., 6)`` as in ``FACTORS``, or ``(..., 5)`` without the
    color, ``-> (...)``.

    Raises:
        ValueError: another last axis, a tensor that holds no integers, or a factor index out of its range.
    """
    if factors.dtype.is_floating_point or factors.dtype == torch.bool or factors.shape[-1:] not in ((5,), (6,)):
        got = f"{factors.dtype} {tuple(factors.shape)}"
        raise ValueError(f"factors must be integers (..., 6) or (..., 5), got {got}; give indices, not values")
    width = factors.shape[-1]
    sizes = torch.tensor(SIZES[-width:], device=factors.device)
    if bool(((factors < 0) | (factors >= sizes)).any()):
        raise ValueError(f"a factor index is out of range; {', '.join(FACTORS[-width:])} run below {SIZES[-width:]}")
    return (factors.long() * torch.tensor(_STRIDES[-width:], device=factors.device)).sum(-1)


def values(factors: Tensor) -> Tensor:
    """Factor values as published: ``(..., 6)`` indices to ``(..., 6)`` float64.

    Color 1; shape 1, 2, 3 (square, ellipse, heart); scale from 0.5 to 1; orientation from 0 to 2 pi, *both included*,
    so that the first and the last give the same image; posX, posY from 0 to 1.
    """
    flat_index(factors)
    grids = ((1.0, 1.0), (1.0, 3.0), (0.5, 1.0), (0.0, 2 * math.pi), (0.0, 1.0), (0.0, 1.0))
    columns = []
    for column, ((low, high), size) in enumerate(zip(grids, SIZES, strict=True)):
        grid = torch.linspace(low, high, size, dtype=torch.float64, device=factors.device)
        columns.append(grid[factors[..., column].long()])
    return torch.stack(columns, -1)


def outline(shape: int) -> Tensor:
    """The polygon of one shape at scale 1, orientation 0, about the origin: ``(corners, 2)`` float64 pixels, x to the
    right and y down.

    The shapes are fitted to real images: nobody has published them.
    """
    if shape == 0:
        return _HALF * torch.tensor([[-1, -1], [1, -1], [1, 1], [-1, 1]], dtype=torch.float64)
    corners = 100 if shape == 1 else 150
    t = 2 * math.pi * torch.arange(corners, dtype=torch.float64) / corners
    if shape == 1:
        return torch.stack([_HALF * 1.33 * t.cos(), _HALF / 1.33 * t.sin()], -1)
    height = (13 * t.cos() - 5 * (2 * t).cos() - 2 * (3 * t).cos() - (4 * t).cos()) / 14.5 + 0.15
    return torch.stack([_HALF * t.sin() ** 3, -_HALF * height], -1)


def render(index: Tensor) -> Tensor:
    """Render sprites, exactly and in batches, on the device of ``index``.

    Args:
        index: flat indices ``(batch,)``, or factor indices ``(batch, 6)`` or ``(batch, 5)`` (without the color),
            integers.

    Returns:
        ``(batch, 64, 64)`` uint8 of 0 and 1: row, column.

    Raises:
        ValueError: an index out of range, or no integers.

    Cost: a few microseconds an image; a few megabytes beside the result.
    """
    flat = flat_index(index) if index.dim() == 2 else _check_index(index)
    if flat.dim() != 1:
        raise ValueError(f"index must be (batch,) or (batch, 6), got {tuple(index.shape)}; flatten it first")
    out = torch.empty(len(flat), 64, 64, dtype=torch.uint8, device=flat.device)
    chunk = _CHUNK.get(flat.device.type, 4096)
    words = out.view(len(flat), 4096).view(torch.int64)
    for some, into in zip(flat.split(chunk), words.split(chunk), strict=True):
        into.copy_(_words(_rows(some)))
    return out


def unpack(rows: Tensor) -> Tensor:
    """Rows as 64-bit words (bit = column) to pixels: ``(batch, 64)`` int64 to ``(batch, 64, 64)`` uint8 of 0 and 1."""
    return _words(rows).view(torch.uint8).view(-1, 64, 64)


def _words(rows: Tensor) -> Tensor:
    return _spread(rows.device)[rows.view(torch.uint8).long()]  # (batch, 512), eight pixels a word


def _check_index(index: Tensor) -> Tensor:
    if index.dtype.is_floating_point or index.dtype == torch.bool:
        raise ValueError(f"an index must hold integers, got {index.dtype}; convert it with .long()")
    if index.numel() and not 0 <= int(index.min()) <= int(index.max()) < COUNT:
        raise ValueError(f"an index is out of range; dSprites has images 0 to {COUNT - 1}")
    return index.long()


def _rows(flat: Tensor) -> Tensor:
    """The 64 rows of each sprite as 64-bit words: ``(batch,) -> (batch, 64)`` int64, bit = column."""
    table = _table(flat.device)
    polygon, pos_x, pos_y = flat // 1024, flat // 32 % 32, flat % 32
    entry = polygon * 32 + pos_y
    edge = table.edges[entry].long() + (polygon * table.x.shape[1])[:, None]  # (batch, crossings of all rows)
    following = table.following[edge]
    x0, x1 = (_snap(table.x.view(-1)[corner] + table.centre[pos_x][:, None]) for corner in (edge, following))
    y0, y1 = (_snap(table.y.view(-1)[corner] + table.centre[pos_y][:, None]) for corner in (edge, following))
    row = table.first[entry][:, None] + torch.arange(_HEIGHT, device=flat.device)  # (batch, height)
    middle = (256 * row + 128).to(y0.dtype).repeat_interleave(_CROSSINGS, 1)
    dx, dy = x1 - x0, y1 - y0
    quotient = (x0 * dy + (middle - y0) * dx - 128 * dy) / (256 * torch.where(dy == 0, 1.0, dy))  # 0 for unused entries
    column = quotient.ceil().clamp(0, 63).long()  # pixels whose centre lies left of the edge; one on the edge does not
    flips = (torch.ones_like(column) << column) - 1
    flips = flips.view(len(flat), _HEIGHT, _CROSSINGS)
    words = functools.reduce(torch.bitwise_xor, flips.unbind(-1))
    return torch.zeros(len(flat), 64, dtype=torch.int64, device=flat.device).scatter_(1, row, words)


def _snap(pixels: Tensor) -> Tensor:
    """To the grid of 1/256 pixel, in units of it (integers in float64)."""
    return (256 * pixels + 0.5).floor()


class _Table(NamedTuple):
    """What does not depend on posX.

    ``edges[polygon * 32 + posY]`` lists, for each of ``_HEIGHT`` rows from ``first`` on, ``_CROSSINGS`` edges; places
    without an edge hold edge 0, in pairs, which cancel.
    """

    x: Tensor  # (720, 150) corners of each polygon about its centre
    y: Tensor
    following: Tensor  # (720 * 150,) the corner after each corner
    centre: Tensor  # (32,) pixels, for posX and posY alike
    edges: Tensor  # (720 * 32, height * crossings) uint8
    first: Tensor  # (720 * 32,)


@functools.cache
def _table(device: torch.device) -> _Table:
    """Built once for each device, in double precision on the CPU, so that every device sees the same corners."""
    x, y, following = _corners()
    centre = 16 + 32 * torch.linspace(0, 1, 32, dtype=torch.float64)
    tables = []
    for polygon in range(0, _POLYGONS, 40):  # the orientations of one shape and scale: a few megabytes at a time
        corners = len(outline(polygon // 240))
        tall = y[polygon : polygon + 40, None, :corners] + centre[:, None]  # (40, 32, corners)
        tables.append(_crossed(_snap(tall).view(-1, corners)))
    edges, first = (torch.cat(parts) for parts in zip(*tables, strict=True))
    return _Table(*(tensor.to(device) for tensor in (x, y, following, centre, edges, first)))


def _crossed(y: Tensor) -> tuple[Tensor, Tensor]:
    """Which edges cross which rows: corners' heights ``(polygons, corners)`` to ``edges`` and ``first`` of a table."""
    ends = torch.stack([y, y.roll(-1, 1)])
    # A centre line is crossed from above its lower end on: a top edge on the line is outside, a bottom edge inside.
    start = ((ends.amin(0) - 128) / 256).floor().long() + 1
    count = (((ends.amax(0) - 128) / 256).floor().long() + 1 - start).view(-1)
    which = torch.arange(len(count)).repeat_interleave(count)  # an edge stands once for each row that it crosses
    row = start.view(-1)[which] + torch.arange(len(which)) - (count.cumsum(0) - count)[which]
    entry, edge = which // y.shape[1], which % y.shape[1]
    first = torch.full((len(y),), 64).scatter_reduce_(0, entry, row, "amin").clamp(max=64 - _HEIGHT)
    line, order = (entry * 64 + row).sort(stable=True)
    crossed = torch.bincount(line, minlength=len(y) * 64)
    rank = torch.arange(len(line)) - (crossed.cumsum(0) - crossed)[line]  # the how-manieth edge of its row
    edges = torch.zeros(len(y), _HEIGHT, _CROSSINGS, dtype=torch.uint8)
    edges[line // 64, line % 64 - first[line // 64], rank] = edge[order].to(torch.uint8)
    return edges.flatten(1), first


def _corners() -> tuple[Tensor, Tensor, Tensor]:
    """All 720 polygons, rotated: x, y ``(720, 150)``; next corner ``(108000,)``."""
    x, y = torch.zeros(2, 3, 6, 40, 150, dtype=torch.float64)
    following = torch.arange(_POLYGONS * 150).view(3, 240, 150)
    scale = torch.linspace(0.5, 1, 6, dtype=torch.float64)[:, None, None]
    angle = torch.linspace(0, 2 * math.pi, 40, dtype=torch.float64)[:, None]
    for shape in range(3):
        corners = outline(shape)
        u, v = corners[:, 0] * scale, corners[:, 1] * scale
        x[shape, ..., : len(corners)] = angle.cos() * u + angle.sin() * v
        y[shape, ..., : len(corners)] = -angle.sin() * u + angle.cos() * v
        following[shape, :, : len(corners)] = following[shape, :, : len(corners)].roll(-1, -1)
    return x.view(_POLYGONS, 150), y.view(_POLYGONS, 150), following.view(-1)


@functools.cache
def _spread(device: torch.device) -> Tensor:
    """Eight bits to eight bytes: ``(256,)`` int64, lowest bit in the first byte in memory."""
    bits = torch.arange(256)[:, None] >> torch.arange(8) & 1
    return bits.to(torch.uint8).view(torch.int64).view(-1).to(device)
