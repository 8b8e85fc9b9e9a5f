"""The maps of the picture with the tables behind them: each area's change against its own past, one map a kind of source."""

from collections.abc import Sequence

from earlywarning.briefing.figures import Figures, area_figures, kinds_present
from earlywarning.briefing.outlines import Plane, plane_of
from earlywarning.briefing.record import AreaMap, Frame, MapArea, Shade
from earlywarning.briefing.words import listing, said_count, say, short_day, texts
from earlywarning.core.areas import AreaRegister
from earlywarning.core.calendar import date_of
from earlywarning.core.events import KINDS
from earlywarning.core.week import WINDOWS
from earlywarning.locale import Language

_SHADES: tuple[Shade, ...] = ("more", "rather-more", "usual", "rather-fewer", "fewer", "none")


def area_maps(f: Figures, register: AreaRegister) -> list[AreaMap]:
    """One map for each kind of source of which there is anything; without outlines only the table behind it."""
    fine = f.scope.fine.tolist()
    if len(fine) == 1:
        return []
    plane = plane_of(register, fine)
    return [_map(f, register, plane, fine, kind) for kind in kinds_present(f.known)]


def _map(f: Figures, register: AreaRegister, plane: Plane, fine: list[int], kind: int) -> AreaMap:
    language = f.language
    days = WINDOWS[0] if f.least else WINDOWS[-1]
    outlines = {o.area: o for o in plane.outlines}
    named = sorted(fine, key=lambda a: (f.area(a).casefold(), register.codes[a]))
    areas = []
    for number, area in enumerate(named, start=1):
        figures = area_figures(f, kind, area, days)
        outline = outlines.get(area)
        areas.append(
            MapArea(
                number=number,
                code=register.codes[area],
                name=f.area(area),
                shade=figures.shade,
                said=_shade_words(figures.shade, language, hidden=bool(f.least)),
                observed=figures.observed,
                expected=figures.expected,
                usual=figures.usual,
                rings=outline.rings if outline else [],
                label=outline.label if outline else (0.0, 0.0),
                width=outline.width if outline else 0.0,
            )
        )
    title = say(language, "text", f"map_title_{KINDS[kind]}")
    caption = say(language, "text", f"map_caption_{days}", day=short_day(date_of(f.known.last_day), language))
    present = [s for s in _SHADES if any(a.shade == s for a in areas)]
    legend = [(s, _shade_words(s, language, hidden=bool(f.least))) for s in present]
    note = say(language, "text", "map_chance") if f.compared is not None else ""
    return AreaMap(
        kind=KINDS[kind], title=title, alt=_alt(areas, title, register, language), caption=caption,
        frame=plane.frame if plane.outlines else Frame(0, 0, 0, 0), inset=plane.inset, areas=areas, legend=legend,
        note=" ".join(n for n in (note, register.note if plane.outlines else "") if n),
    )  # fmt: skip


def _shade_words(shade: Shade, language: Language, *, hidden: bool) -> str:
    """What a shade means."""
    return say(language, "shade", "hidden" if hidden and shade == "none" else shade)


def _alt(areas: Sequence[MapArea], title: str, register: AreaRegister, language: Language) -> str:
    """The map in words: which areas stand out, and how many do not."""
    parts = []
    for shade in ("more", "rather-more", "rather-fewer", "fewer"):
        if those := [a.name for a in areas if a.shade == shade]:
            parts.append(
                say(language, "text", "map_alt_part", shade=texts(language)["shade"][shade], areas=listing(those, language))
            )
    for shade in ("usual", "none"):
        if n := sum(a.shade == shade for a in areas):
            parts.append(said_count(language, f"map_alt_{shade}", n))
    return say(language, "text", "map_alt", municipality=register.names[0], kind=title.lower(), told="; ".join(parts))
