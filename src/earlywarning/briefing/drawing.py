"""The map drawn: as SVG for page and paper, as PNG for mail. Change, never level; told by colour and by pattern.

Orange and purple stay apart for people who do not tell red from green; lines and dots stay apart in grey.
"""

import io
from collections.abc import Iterable
from html import escape
from typing import Any, Literal, NamedTuple

from earlywarning.briefing.record import AreaMap, Frame, MapArea, Shade

Part = Literal["whole", "inset"]
_UNITS = 1000.0  # of the longer side of what is drawn
_NUMBER = 25.0  # height of a number, in these units
_ROOM = 1.25  # heights of a number that an area must be wide for it to stand in
_LEAST_ROOM = 0.5  # and one that stands out


class Look(NamedTuple):
    """Fill, colour of the pattern, and the pattern: lines, dots or nothing, and how far apart they are."""

    fill: str
    ink: str
    pattern: Literal["", "lines", "dots", "cross"]
    step: float


LOOKS: dict[Shade, Look] = {
    "more": Look("#e08214", "#7f3b08", "lines", 9.0),
    "rather-more": Look("#fee0b6", "#b35806", "lines", 18.0),
    "usual": Look("#fafaf7", "", "", 0.0),
    "rather-fewer": Look("#d8daeb", "#542788", "dots", 18.0),
    "fewer": Look("#9a8fc2", "#2d004b", "dots", 10.0),
    "none": Look("#e3e3e0", "#8a8a86", "cross", 22.0),
}
_EDGE = "#4a4a46"


def map_svgs(area_map: AreaMap, language: str, *, name: str, alone: bool = False) -> list[str]:
    """The whole map, and its enlargement where it has one."""
    parts: tuple[Part, ...] = ("whole", "inset")
    drawn = [map_svg(area_map, part, language, name=f"{name}{part[0]}", alone=alone) for part in parts]
    return [one for one in drawn if one]


def map_svg(area_map: AreaMap, part: Part, language: str, *, name: str, alone: bool = False) -> str:
    """One part of the map as an SVG element. name: tells its patterns from those of other maps on the page.

    alone: as a document of its own, for paper; its text in words stands beside it then.
    """
    frame = area_map.inset if part == "inset" else area_map.frame
    if frame is None or not frame.width:
        return ""
    unit = max(frame.width, frame.height) / _UNITS  # of the plane, in a unit of what is drawn
    width, height = frame.width / unit, frame.height / unit
    margin = 4.0
    head = f'viewBox="{-margin:g} {-margin:g} {width + 2 * margin:.0f} {height + 2 * margin:.0f}"'
    if alone:
        head += f' xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}"'
    else:
        head += f' role="img" aria-labelledby="{name}-alt" lang="{language}"'
    lines = [f"<svg {head}>"]
    if not alone:
        lines.append(f'<title id="{name}-alt">{escape(area_map.alt)}</title>')
    lines.append("<defs>" + "".join(_pattern(shade, name) for shade in LOOKS))
    lines.append(f'<clipPath id="{name}-cut"><rect x="0" y="0" width="{width:.1f}" height="{height:.1f}"/></clipPath></defs>')
    lines.append(f'<g clip-path="url(#{name}-cut)" stroke="{_EDGE}" stroke-width="1.6" stroke-linejoin="round">')
    seen = [a for a in area_map.areas if a.rings and (part == "whole" or _touches(a, frame))]
    for area in seen:
        path = _path(area, frame, unit)
        lines.append(f'<path d="{path}" fill="{LOOKS[area.shade].fill}" fill-rule="evenodd"/>')
        if LOOKS[area.shade].pattern:
            lines.append(f'<path d="{path}" fill="url(#{name}-{area.shade})" fill-rule="evenodd"/>')
    lines.append("</g>")
    inset = area_map.inset
    for area in seen:
        x, y = ((area.label[0] - frame.x) / unit, (area.label[1] - frame.y) / unit)
        if _has_number(area, part, inset, unit) and 0 < x < width and 0 < y < height:
            lines.append(
                f'<text x="{x:.0f}" y="{y + _NUMBER * 0.36:.0f}" font-size="{_NUMBER:g}" font-weight="bold" text-anchor="middle" '
                f'font-family="DejaVu Sans, Arial, sans-serif" fill="#111" stroke="#fff" stroke-width="5" paint-order="stroke" '
                f'stroke-linejoin="round">{area.number}</text>'
            )
    if part == "whole" and inset is not None:
        x, y, w, h = ((inset.x - frame.x) / unit, (inset.y - frame.y) / unit, inset.width / unit, inset.height / unit)
        lines.append(f'<rect x="{x:.0f}" y="{y:.0f}" width="{w:.0f}" height="{h:.0f}" fill="none" stroke="#111" stroke-width="4"/>')
    if part == "inset":
        lines.append(f'<rect x="0" y="0" width="{width:.0f}" height="{height:.0f}" fill="none" stroke="#111" stroke-width="4"/>')
    lines.append("</svg>")
    return "\n".join(lines)


def swatch_svg(shade: Shade, name: str) -> str:
    """The legend's sample of a shade."""
    look = LOOKS[shade]
    fill = f'<rect x="1" y="1" width="42" height="26" fill="{look.fill}" stroke="{_EDGE}" stroke-width="1.6"/>'
    over = f'<rect x="1" y="1" width="42" height="26" fill="url(#{name}-{shade})"/>' if look.pattern else ""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 44 28" width="33" height="21" aria-hidden="true">'
        f"<defs>{_pattern(shade, name)}</defs>{fill}{over}</svg>"
    )


def _pattern(shade: Shade, name: str) -> str:
    look = LOOKS[shade]
    if not look.pattern:
        return ""
    s = look.step
    head = f'<pattern id="{name}-{shade}" width="{s:g}" height="{s:g}" patternUnits="userSpaceOnUse"'
    match look.pattern:
        case "lines":
            body = f'patternTransform="rotate(45)"><rect width="{min(3.2, s / 3.4):.2g}" height="{s:g}" fill="{look.ink}"/>'
        case "dots":
            body = f'><circle cx="{s / 2:g}" cy="{s / 2:g}" r="2.6" fill="{look.ink}"/>'
        case _:
            body = (
                f'><path d="M {s / 2 - 4:g} {s / 2 - 4:g} l 8 8 m 0 -8 l -8 8" stroke="{look.ink}" stroke-width="1.6" fill="none"/>'
            )
    return f"{head} {body}</pattern>"


def _path(area: MapArea, frame: Frame, unit: float) -> str:
    told = []
    for ring in area.rings:
        points = " L".join(f"{(x - frame.x) / unit:.0f} {(y - frame.y) / unit:.0f}" for x, y in ring)
        told.append(f"M{points}Z")
    return "".join(told)


def _touches(area: MapArea, frame: Frame) -> bool:
    xs, ys = ([p[i] for ring in area.rings for p in ring] for i in (0, 1))
    return min(xs) < frame.x + frame.width and max(xs) > frame.x and min(ys) < frame.y + frame.height and max(ys) > frame.y


def _has_number(area: MapArea, part: Part, inset: Frame | None, unit: float) -> bool:
    """Where an area's number stands: in the enlargement for what lies in it, else where there is room; standing out, anyhow."""
    inside = inset is not None and (
        inset.x <= area.label[0] <= inset.x + inset.width and inset.y <= area.label[1] <= inset.y + inset.height
    )
    if part == "whole" and inside:
        return False
    stands_out = area.shade not in ("usual", "none")
    return area.width / unit >= (_LEAST_ROOM if stands_out else _ROOM) * _NUMBER


def map_png(area_map: AreaMap, *, width: float = 6.4, dpi: int = 110) -> bytes:
    """The whole map, with its enlargement beside it, as a PNG for mail."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415  # takes a part of a second: only for mail
    from matplotlib.figure import Figure  # noqa: PLC0415
    from matplotlib.patches import PathPatch, Rectangle  # noqa: PLC0415
    from matplotlib.path import Path  # noqa: PLC0415

    def ring_path(rings: Iterable[list[tuple[float, float]]]) -> Path:
        points: list[tuple[float, float]] = []
        codes: list[Any] = []
        for ring in rings:
            points += [*ring, ring[0]]
            codes += [Path.MOVETO, *[Path.LINETO] * (len(ring) - 1), Path.CLOSEPOLY]
        return Path(points, codes)

    hatches: dict[Shade, str] = {
        "more": "//////", "rather-more": "///", "usual": "", "rather-fewer": "..", "fewer": "....", "none": "xx",
    }  # fmt: skip
    parts: list[tuple[Part, Frame]] = [("whole", area_map.frame)]
    if area_map.inset is not None:
        parts.append(("inset", area_map.inset))
    ratio = max(f.height / f.width for _, f in parts)
    figure = Figure(figsize=(width, max(width / len(parts) * ratio, 1.0)), dpi=dpi, facecolor="white")
    FigureCanvasAgg(figure)
    for i, (part, frame) in enumerate(parts):
        axes = figure.add_axes((i / len(parts) + 0.005, 0.01, 1 / len(parts) - 0.01, 0.98))
        unit = max(frame.width, frame.height) / _UNITS
        for area in area_map.areas:
            if not area.rings or (part == "inset" and not _touches(area, frame)):
                continue
            look = LOOKS[area.shade]
            axes.add_patch(
                PathPatch(
                    ring_path(area.rings),
                    facecolor=look.fill,
                    edgecolor=look.ink or _EDGE,
                    hatch=hatches[area.shade],
                    linewidth=0.0,
                )
            )
            axes.add_patch(PathPatch(ring_path(area.rings), facecolor="none", edgecolor=_EDGE, linewidth=0.5))
            inside = frame.x < area.label[0] < frame.x + frame.width and frame.y < area.label[1] < frame.y + frame.height
            if inside and _has_number(area, part, area_map.inset, unit * 1.4):
                axes.text(
                    *area.label, str(area.number), ha="center", va="center", fontsize=6, fontweight="bold",
                    bbox={"boxstyle": "round,pad=0.08", "facecolor": "white", "edgecolor": "none", "alpha": 0.75},
                )  # fmt: skip
        boxes = [area_map.inset] if part == "whole" and area_map.inset is not None else [frame] if part == "inset" else []
        for box in boxes:
            axes.add_patch(Rectangle((box.x, box.y), box.width, box.height, fill=False, edgecolor="#111", linewidth=1.2))
        axes.set_xlim(frame.x, frame.x + frame.width)
        axes.set_ylim(frame.y + frame.height, frame.y)
        axes.set_aspect("equal")
        axes.axis("off")
    out = io.BytesIO()
    figure.savefig(out, format="png", metadata={"Software": None})
    return out.getvalue()
