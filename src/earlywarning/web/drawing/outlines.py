"""The map of a municipality: outlines as SVG paths, and an enlarged inset where most areas crowd into a small part."""

from collections.abc import Sequence
from math import cos, radians
from typing import NamedTuple

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from earlywarning.core.areas import AreaRegister

WIDTH = 4000  # units of the map: whole numbers keep the paths short
_DETAIL, _DETAIL_WHOLE = 700, 450  # of the inset, or the whole where there is none: parts of its width that an outline may be off
_CROWDED = 0.45  # an inset is drawn when two thirds of the areas lie within this share of the map's width and height
_TALLEST = 1.5  # times the width


class Box(NamedTuple):
    """A part of the map, in its units."""

    x: int
    y: int
    width: int
    height: int

    def __str__(self) -> str:
        return f"{self.x} {self.y} {self.width} {self.height}"


class Town(NamedTuple):
    """Paths by area index, the point in each where a mark is put, the whole map's box and the inset's, the finest areas."""

    paths: dict[int, str]
    marks: dict[int, tuple[int, int]]
    box: Box
    inset: Box | None
    leaves: tuple[int, ...]

    def around(self, areas: Sequence[int]) -> Box:
        """The inset when all of these areas lie in it, else the whole."""
        box = self.inset
        if box is None:
            return self.box
        marks = [self.marks[i] for i in areas if i in self.marks]
        inside = (box.x < x < box.x + box.width and box.y < y < box.y + box.height for x, y in marks)
        return box if marks and all(inside) else self.box


def town_of(register: AreaRegister) -> Town | None:
    """The map of a register; None where it has no outlines."""
    drawn = [i for i, shape in enumerate(register.shapes) if shape is not None]
    if not drawn:
        return None
    leaves = [i for i in drawn if not register.children(i)] or drawn
    west, south, east, north = shapely.total_bounds(np.array([register.shapes[i] for i in leaves], dtype=object)).tolist()
    shrink = cos(radians((south + north) / 2))
    scale = WIDTH / max((east - west) * shrink, (north - south) / _TALLEST)

    def project(points: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.column_stack([(points[:, 0] - west) * shrink * scale, (north - points[:, 1]) * scale])

    flat = np.array([shapely.transform(register.shapes[i], project) for i in leaves], dtype=object)
    box = Box(0, 0, round((east - west) * shrink * scale), round((north - south) * scale))
    centres = np.array([(p.x, p.y) for p in (shape.representative_point() for shape in flat)])
    inset = _inset(centres, flat, box)
    finest = inset.width / _DETAIL if inset else box.width / _DETAIL_WHOLE
    slim = dict(
        zip(leaves, shapely.coverage_simplify(flat, finest) if len(flat) > 1 else shapely.simplify(flat, finest), strict=True)
    )
    paths, marks = {}, {}
    for i in reversed(drawn):  # what lies above is put together from what it holds, so that borders fall together
        if i not in slim:
            parts = [slim[j] for j in register.children(i) if j in slim]
            slim[i] = (
                shapely.union_all(parts) if parts else shapely.simplify(shapely.transform(register.shapes[i], project), finest)
            )
        paths[i] = _path(slim[i])
        point = slim[i].representative_point()
        marks[i] = (round(point.x), round(point.y))
    return Town(paths, marks, box, inset, tuple(leaves))


def _inset(centres: NDArray[np.float64], shapes: NDArray[np.object_], box: Box) -> Box | None:
    """The part in which two thirds of the areas lie, when it is small beside the whole."""
    if len(centres) < 9:
        return None
    middle = np.median(centres, axis=0)
    near = np.argsort(np.hypot(*(centres - middle).T))[: len(centres) * 2 // 3]
    x0, y0, x1, y1 = shapely.total_bounds(shapes[near]).tolist()
    # An area at the town's edge may reach far out: the part goes by where areas lie, with a margin.
    (cx0, cy0), (cx1, cy1) = centres[near].min(axis=0), centres[near].max(axis=0)
    margin = 0.08 * max(cx1 - cx0, cy1 - cy0)
    x0, y0, x1, y1 = max(x0, cx0 - margin), max(y0, cy0 - margin), min(x1, cx1 + margin), min(y1, cy1 + margin)
    if (x1 - x0) > _CROWDED * box.width or (y1 - y0) > _CROWDED * box.height:
        return None
    return Box(int(x0), int(y0), int(x1 - x0) + 1, int(y1 - y0) + 1)


def _path(shape: BaseGeometry) -> str:
    """An SVG path in whole units, relative moves; rings that vanish in rounding are left out."""
    out = []
    for polygon in shapely.get_parts(shape):
        for ring in (polygon.exterior, *polygon.interiors) if polygon.geom_type == "Polygon" else ():
            points = np.round(shapely.get_coordinates(ring)).astype(int)[:-1]
            if len(points) < 3:
                continue
            steps = np.diff(points, axis=0)
            moved = steps[(steps != 0).any(axis=1)]
            if len(moved) < 2:
                continue
            out.append(f"M{points[0, 0]} {points[0, 1]}l" + " ".join(f"{dx} {dy}" for dx, dy in moved.tolist()) + "z")
    return "".join(out)
