"""AreaRegister: areas of several levels with shapes, neighbours and exposure, and the area of a point."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry import shape
from shapely.geometry.base import BaseGeometry

from earlywarning.core.categories import CODE, ancestor_table
from earlywarning.core.registers import RegisterError, RegisterProblem, unshowable
from earlywarning.core.screening import find_personal_data

_ALIASES = {
    "code": ("code", "regsokod", "desokod", "kod"),
    "name": ("name", "regsonamn", "namn"),
    "parent": ("parent", "district"),
    "population": ("population", "exposure"),
}
_TOUCHING = 0.0003  # degrees, about 20-30 m: outlines drawn apart by less still touch
_SLIVER = 0.01  # share of the smaller area that two areas of one level may overlap


@dataclass(frozen=True)
class AreaRegister:
    """Areas by index: 0 is the municipality, parents stand before their children.

    levels: 0 municipality, 1 district, 2 neighbourhood, and so on. ancestors: (n, depth), column 0 the area itself,
    padded with -1. exposure: residents or another measure, NaN where it is not known. neighbours: areas of the same
    level whose outlines touch. note: what a reader should know about the outlines.
    """

    municipality: str
    codes: tuple[str, ...]
    names: tuple[str, ...]
    levels: NDArray[np.int8]
    parents: NDArray[np.int32]
    ancestors: NDArray[np.int32]
    exposure: NDArray[np.float64]
    neighbours: tuple[tuple[int, ...], ...]
    shapes: tuple[BaseGeometry | None, ...]
    note: str = ""

    @cached_property
    def _number(self) -> dict[str, int]:
        return {code: i for i, code in enumerate(self.codes)}

    @cached_property
    def _leaves(self) -> tuple[NDArray[np.int64], list[BaseGeometry], shapely.STRtree]:
        with_children = set(self.parents.tolist())
        places = [i for i, s in enumerate(self.shapes) if s is not None and i not in with_children]
        shapes = [s for i in places if (s := self.shapes[i]) is not None]
        for one in shapes:
            shapely.prepare(one)
        return np.array(places, dtype=np.int64), shapes, shapely.STRtree(shapes)

    def resolve(self, codes: Sequence[str]) -> NDArray[np.int32]:
        """Index of each code, -1 for an unknown one."""
        get = self._number.get
        return np.array([get(code, -1) for code in codes], dtype=np.int32)

    def locate(self, longitude: NDArray[np.float64], latitude: NDArray[np.float64]) -> NDArray[np.int32]:
        """The finest area of each point (WGS 84), -1 outside. A point on a border gets the area of the lower index."""
        found = np.full(len(longitude), -1, dtype=np.int32)
        places, shapes, tree = self._leaves
        if not shapes:
            return found
        point, candidate = tree.query(shapely.points(longitude, latitude))
        for area in np.unique(candidate)[::-1].tolist():
            these = point[candidate == area]
            inside = shapely.intersects_xy(shapes[area], longitude[these], latitude[these])
            found[these[inside]] = places[area]
        return found

    def children(self, index: int) -> tuple[int, ...]:
        """The areas directly below one."""
        return tuple(np.flatnonzero(self.parents == index).tolist())


def municipality_only(code: str, name: str = "") -> AreaRegister:
    """A municipality without any outline: one area, where events are placed by its code."""
    return AreaRegister(
        code, (code,), (name or code,), np.zeros(1, np.int8), np.full(1, -1, np.int32), np.zeros((1, 1), np.int32),
        np.full(1, np.nan), ((),), (None,), "no outlines: the municipality is one area",
    )  # fmt: skip


def load_areas(
    text: str | bytes,
    *,
    file: str,
    municipality: str,
    municipality_name: str = "",
    properties: Mapping[str, str] | None = None,
) -> AreaRegister:
    """Read a GeoJSON FeatureCollection in WGS 84.

    Properties of a feature: code, name, parent (code of the area above; made as the union of its children where it has
    no feature of its own), population. `properties` maps these to other names. Raises RegisterError with all errors.
    """
    document = _document(text, file)
    problems: list[RegisterProblem] = []
    features = _features(document, file, municipality, properties or {}, problems)
    known = {f["code"] for f in features}
    parents_named = dict.fromkeys(f["parent"] for f in features if f["parent"] not in ("", municipality))
    made = [code for code in parents_named if code not in known]
    for code in made:
        if not CODE.fullmatch(code) or find_personal_data(code):
            problems.append(RegisterProblem(file, "", "parent", f"parent code {code!r} is not allowed: letters, digits, _ . -"))
        features.append({"code": code, "name": code, "parent": "", "population": np.nan, "shape": None, "number": 0})
    by_code = {f["code"]: f for f in features}
    order = _in_order(by_code, municipality)
    for code in by_code.keys() - set(order):
        text_ = f"area {code!r} is its own ancestor; parents must lead to the municipality"
        problems.append(RegisterProblem(file, f"feature {by_code[code]['number']}", "cycle", text_))
    if problems:
        raise RegisterError(problems)

    codes = [municipality, *order]
    number = {code: i for i, code in enumerate(codes)}
    parents = [-1, *(number.get(by_code[c]["parent"], 0) for c in order)]
    ancestors = ancestor_table(parents)
    shapes: list[BaseGeometry | None] = [None, *(by_code[c]["shape"] for c in order)]
    exposure = [np.nan, *(by_code[c]["population"] for c in order)]
    for i in range(len(codes) - 1, -1, -1):
        below = [j for j, p in enumerate(parents) if p == i]
        if shapes[i] is None and below:
            shapes[i] = shapely.union_all([shapes[j] for j in below])
        if np.isnan(exposure[i]) and below:
            exposure[i] = float(np.sum([exposure[j] for j in below]))
    levels = (ancestors >= 0).sum(1) - 1
    problems = _overlaps(codes, shapes, levels, parents, file)
    if problems:
        raise RegisterError(problems)
    return AreaRegister(
        municipality=municipality,
        codes=tuple(codes),
        names=(municipality_name or municipality, *(by_code[c]["name"] for c in order)),
        levels=levels.astype(np.int8),
        parents=np.array(parents, dtype=np.int32),
        ancestors=ancestors,
        exposure=np.array(exposure, dtype=np.float64),
        neighbours=_neighbours(shapes, levels),
        shapes=tuple(shapes),
        note=str(document.get("note", "")),
    )


def _document(text: str | bytes, file: str) -> dict[str, Any]:
    try:
        document = json.loads(text)
    except json.JSONDecodeError as error:
        problem = RegisterProblem(file, f"line {error.lineno}", "json", f"not JSON: {error.msg}")
        raise RegisterError([problem]) from error
    except (ValueError, RecursionError) as error:
        problem = RegisterProblem(file, "", "json", "not JSON in UTF-8, nested too deeply, or with a number that is too long")
        raise RegisterError([problem]) from error
    if not isinstance(document, dict) or document.get("type") != "FeatureCollection":
        raise RegisterError([RegisterProblem(file, "", "geojson", "not a GeoJSON FeatureCollection")])
    if not isinstance(document.get("features"), list) or not document["features"]:
        raise RegisterError([RegisterProblem(file, "", "empty", "the FeatureCollection has no features")])
    return document


def _features(
    document: dict[str, Any], file: str, municipality: str, mapped: Mapping[str, str], problems: list[RegisterProblem]
) -> list[dict[str, Any]]:
    features: list[dict[str, Any]] = []
    first: dict[str, int] = {}
    for i, feature in enumerate(document["features"], start=1):

        def problem(rule: str, words: str, place: int = i) -> None:
            problems.append(RegisterProblem(file, f"feature {place}", rule, words))

        values = feature.get("properties") if isinstance(feature, dict) else None
        if not isinstance(values, dict):
            problem("feature", "not a GeoJSON feature with properties")
            continue

        def value(field: str, values: dict[str, Any] = values) -> Any:
            names = (mapped[field],) if field in mapped else _ALIASES[field]
            return next((values[n] for n in names if values.get(n) not in (None, "")), "")

        code = str(value("code"))
        if not CODE.fullmatch(code) or find_personal_data(code):
            problem(
                "code",
                f"code {code!r} is not allowed: letters, digits, _ . - (property {mapped.get('code', 'code')!r})",
            )
        elif code == municipality:
            problem("code", f"code {code!r} is the municipality's own; it must not be that of an area")
        elif code in first:
            problem("duplicate", f"code {code!r} stands twice (first in feature {first[code]}); codes must be unique")
        first.setdefault(code, i)
        name = str(value("name") or code)
        if unshowable(name):
            problem("name", f"the name of area {code!r} holds characters that cannot be shown")
        population = value("population")
        if population == "":
            population = np.nan
        elif isinstance(population, bool) or not isinstance(population, int | float) or not 0 <= population < 1e9:
            problem("population", f"population {str(population)[:20]!r} of {code!r} is not a number of 0 or more")
            population = np.nan
        outline = _outline(feature.get("geometry"), code, problem)
        features.append(
            {"code": code, "name": name, "parent": str(value("parent")),
             "population": float(population), "shape": outline, "number": i}
        )  # fmt: skip
    return features


def _outline(geometry: Any, code: str, problem: Any) -> BaseGeometry | None:
    try:
        outline = shape(geometry)
        kind, empty = outline.geom_type, outline.is_empty
    except (AttributeError, TypeError, ValueError, LookupError, RecursionError, shapely.errors.ShapelyError):
        problem("geometry", f"area {code!r} has no readable geometry")
        return None
    if kind not in ("Polygon", "MultiPolygon") or empty:
        problem("geometry", f"area {code!r} is {'an empty' if empty else 'a'} {kind}; it must be a Polygon or MultiPolygon")
        return None
    west, south, east, north = outline.bounds
    if not (-180 <= west <= east <= 180 and -90 <= south <= north <= 90):
        problem("crs", f"area {code!r} has coordinates outside -180..180, -90..90; GeoJSON is in WGS 84, not SWEREF 99 TM")
        return None
    if not outline.is_valid:
        # Simplified official outlines often cross themselves in a point: mend them where that changes nothing.
        parts = shapely.get_parts(shapely.make_valid(outline))
        mended = shapely.union_all([p for p in parts if p.geom_type in ("Polygon", "MultiPolygon")])
        if not mended.area or abs(mended.area - outline.area) > _SLIVER * outline.area:
            problem("geometry", f"area {code!r} is not a valid outline: {shapely.is_valid_reason(outline)}")
            return None
        return mended
    return outline


def _in_order(features: Mapping[str, dict[str, Any]], municipality: str) -> list[str]:
    order: list[str] = []
    placed, waiting = {"", municipality}, list(features)
    while waiting:
        ready = [c for c in waiting if features[c]["parent"] in placed]
        if not ready:
            break
        order += ready
        placed.update(ready)
        waiting = [c for c in waiting if c not in placed]
    return order


def _overlaps(
    codes: list[str], shapes: list[BaseGeometry | None], levels: NDArray[np.int64], parents: list[int], file: str
) -> list[RegisterProblem]:
    problems = []
    leaves = [i for i in range(len(codes)) if i not in set(parents) and shapes[i] is not None]
    outlines = [shapes[i] for i in leaves]
    for a, b in shapely.STRtree(outlines).query(outlines, predicate="intersects").T.tolist():
        if a >= b or levels[leaves[a]] != levels[leaves[b]]:
            continue
        one, other = outlines[a], outlines[b]
        if one is None or other is None:
            continue
        share = one.intersection(other).area / min(one.area, other.area)
        if share > _SLIVER:
            pair = f"{codes[leaves[a]]!r} and {codes[leaves[b]]!r}"
            words = f"areas {pair} overlap by {share:.0%} of the smaller; a point must lie in one"
            problems.append(RegisterProblem(file, "", "overlap", words))
    return problems


def _neighbours(shapes: list[BaseGeometry | None], levels: NDArray[np.int64]) -> tuple[tuple[int, ...], ...]:
    found: list[set[int]] = [set() for _ in shapes]
    for level in np.unique(levels).tolist():
        places = [i for i in range(len(shapes)) if levels[i] == level and shapes[i] is not None]
        outlines = [shapes[i] for i in places]
        for a, b in shapely.STRtree(outlines).query(outlines, predicate="dwithin", distance=_TOUCHING).T.tolist():
            if a != b:
                found[places[a]].add(places[b])
    return tuple(tuple(sorted(f)) for f in found)
