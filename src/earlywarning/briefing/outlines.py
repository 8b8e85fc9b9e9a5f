"""The areas' outlines as lines on a plane, and which part of it is enlarged because its areas are small."""

from collections.abc import Sequence
from math import cos, radians
from typing import NamedTuple

import numpy as np
import shapely
from shapely.affinity import affine_transform
from shapely.geometry.base import BaseGeometry

from earlywarning.briefing.record import Frame, Ring
from earlywarning.core.areas import AreaRegister

WIDTH = 1000.0  # the plane's longer side, in its units
_TOLERANCE = 0.8  # units that a simplified outline may be off
_SMALL = 34.0  # units: an area narrower than this has no room for its number
_FEWEST = 4  # small areas that are worth an enlargement
_LARGEST_SHARE = 0.6  # of the plane's longer side: a larger part need not be enlarged
_MARGIN = 0.06


class Outline(NamedTuple):
    """An area: its rings (each part's outer one first), where its number stands, and how wide it is there."""

    area: int
    rings: list[Ring]
    label: tuple[float, float]
    width: float


class Plane(NamedTuple):
    """All outlines on one plane, y downwards, its frame, and the frame of what is enlarged."""

    outlines: list[Outline]
    frame: Frame
    inset: Frame | None


def plane_of(register: AreaRegister, areas: Sequence[int]) -> Plane:
    """The outlines of some areas; those without are left out. Equirectangular at the middle latitude: true enough for a town."""
    shapes = [(a, s) for a in areas if (s := register.shapes[a]) is not None]
    if not shapes:
        return Plane([], Frame(0, 0, 0, 0), None)
    west, south, east, north = shapely.total_bounds([s for _, s in shapes]).tolist()
    squeeze = cos(radians((south + north) / 2))
    scale = WIDTH / max((east - west) * squeeze, north - south, 1e-9)
    matrix = [scale * squeeze, 0, 0, -scale, -west * scale * squeeze, north * scale]
    # Simplified together, so that neighbours keep their common border.
    flat = np.array([affine_transform(s, matrix) for _, s in shapes], dtype=object)
    simple = _simplified(flat)
    outlines = [_outline(area, one) for (area, _), one in zip(shapes, simple, strict=True)]
    frame = Frame(0.0, 0.0, round((east - west) * squeeze * scale, 1), round((north - south) * scale, 1))
    return Plane(outlines, frame, _inset(outlines, frame))


def _simplified(flat: "np.ndarray[tuple[int], np.dtype[np.object_]]") -> list[BaseGeometry]:
    try:
        return list(shapely.coverage_simplify(flat, _TOLERANCE))
    except (AttributeError, shapely.errors.ShapelyError):  # an older GEOS, or outlines that do not fit each other
        return [s.simplify(_TOLERANCE) for s in flat.tolist()]


def _outline(area: int, shape: BaseGeometry) -> Outline:
    rings: list[Ring] = []
    for part in shapely.get_parts(shape):
        if part.geom_type == "Polygon" and not part.is_empty:
            for ring in (part.exterior, *part.interiors):
                rings.append([(round(x, 1), round(y, 1)) for x, y in ring.coords[:-1]])
    largest = max(shapely.get_parts(shape), key=lambda p: p.area)
    circle = shapely.maximum_inscribed_circle(largest, tolerance=1.0)
    (x, y), (_, _) = circle.coords[0], circle.coords[-1]
    return Outline(area, rings, (round(x, 1), round(y, 1)), round(2 * float(circle.length), 1))


def _inset(outlines: list[Outline], frame: Frame) -> Frame | None:
    """The part of the plane where the small areas lie close together."""
    small = np.array([o.label for o in outlines if o.width < _SMALL])
    if len(small) < _FEWEST:
        return None
    centre = np.median(small, axis=0)
    away = np.abs(small - centre).max(1)
    near = small[away <= np.quantile(away, 0.85)]
    reach = {o.label: o.width / 2 for o in outlines}
    edge = max(reach[(float(x), float(y))] for x, y in near.tolist())
    low, high = near.min(0) - edge, near.max(0) + edge
    side = float(max(high - low) * (1 + 2 * _MARGIN))
    if side > _LARGEST_SHARE * max(frame.width, frame.height):
        return None
    middle = (low + high) / 2
    left, top = (max(float(m) - side / 2, 0.0) for m in middle)
    right, bottom = min(float(middle[0]) + side / 2, frame.width), min(float(middle[1]) + side / 2, frame.height)
    return Frame(round(left, 1), round(top, 1), round(right - left, 1), round(bottom - top, 1))
