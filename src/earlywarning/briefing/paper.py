"""The picture on paper: a tagged PDF (PDF/UA-1) by typst, with the fonts that come with it, the same on every machine."""

import json
from datetime import UTC, datetime, time
from importlib import resources
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import msgspec
import typst

from earlywarning.briefing.drawing import map_svgs, swatch_svg
from earlywarning.briefing.page import shared_words
from earlywarning.briefing.record import Briefing


def render_pdf(briefing: Briefing) -> bytes:
    """The PDF. Its date is the last day known, so that the same picture gives the same file."""
    source = resources.files("earlywarning.briefing").joinpath("templates", "paper.typ").read_bytes()
    made = datetime.combine(briefing.known_day, time(12), tzinfo=UTC)
    return typst.compile(
        source, format="pdf", pdf_standards=["ua-1"], font_paths=_fonts(), timestamp=made,
        sys_inputs={"data": json.dumps(_content(briefing))},
    )  # fmt: skip


def _content(briefing: Briefing) -> dict[str, Any]:
    words = shared_words(briefing)
    b: dict[str, Any] = msgspec.to_builtins(briefing)
    for item, alert in zip(b["alerts"], briefing.alerts, strict=True):
        item["opened"] = words["opened"](alert)
    maps = []
    del b["maps"]
    for number, one in enumerate(briefing.maps):
        areas = []
        for a in one.areas:
            sign = words["sign"][a.shade]
            row = {"number": a.number, "name": a.name, "observed": a.observed, "expected": a.expected, "usual": a.usual}
            areas.append({**row, "change": f"{sign} {a.said}" if sign else a.said})
        maps.append(
            {"title": one.title, "alt": one.alt, "caption": one.caption, "note": one.note, "areas": areas,
             "pictures": map_svgs(one, briefing.language, name=f"m{number}", alone=True),
             "legend": [[swatch_svg(s, "l"), said] for s, said in one.legend]}
        )  # fmt: skip
    kept = {name: words[name] for name in ("h", "c", "t", "outside", "audience_note")}
    return {"b": b, "maps": maps, **kept}


def _fonts() -> typst.Fonts:
    """Typst's own letters, and those of matplotlib for the numbers on the map; none of the machine's."""
    spec = find_spec("matplotlib")
    folder = Path(spec.origin).parent / "mpl-data" / "fonts" / "ttf" if spec is not None and spec.origin else None
    return typst.Fonts(include_system_fonts=False, font_paths=[folder] if folder is not None and folder.is_dir() else [])
