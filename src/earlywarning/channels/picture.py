"""The series of an alert as a picture for mail: counts of its days, and its period against what was expected."""

import hashlib
import io
import math
from collections import OrderedDict
from datetime import date, timedelta
from threading import Lock
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
from babel.dates import format_date

from earlywarning.core.alert_record import Alert
from earlywarning.locale import Language
from earlywarning.locale.catalogue import count_words, counted_text, day_words, expected_words, floor_words, text

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Pixels as shown, and how many times as many the picture has, for sharp screens.
WIDTH, HEIGHT, _SHARPNESS = 600, 250, 2
MOST_KEPT = 256  # pictures, some 30 kB each
WEEKS_FROM = 57  # days from which a bar is a week: thinner ones could not be told apart
# Contrast on white of at least 4.5 for words and 3 for shapes (WCAG 2.2), told apart by those who confuse red and green.
_INK, _SOFT, _EARLIER, _NOW, _EXPECTED, _BOUND, _PERIOD = (
    "#1f2933", "#52606d", "#9aa5b1", "#3d8bbf", "#1f2933", "#b34700", "#e8f0f6"
)  # fmt: skip
_OWN = ("mixture", "harm", "first", "severe", "apart", "drift")  # tendencies for which no bound of a count speaks
_LOCALE = {"sv": "sv_SE", "en": "en_GB"}


class Picture(NamedTuple):
    """A PNG, and what it shows in words."""

    png: bytes
    alt: str


class Pictures:
    """Draws pictures of alerts; those drawn last are kept, since one alert goes to many recipients."""

    def __init__(self, most: int = MOST_KEPT) -> None:
        self._kept: OrderedDict[bytes, Picture] = OrderedDict()
        self._most = most
        self._one_at_a_time = Lock()  # matplotlib draws in one thread at a time

    def of(self, alert: Alert, language: Language) -> Picture | None:
        """The picture of an alert, None when it has no days to show."""
        if not alert.days or not alert.signals:
            return None
        shown = (alert.days, alert.earlier_years, alert.signals[0], alert.tendency, language)
        key = hashlib.sha256(msgspec.json.encode(shown)).digest()
        with self._one_at_a_time:
            picture = self._kept.pop(key, None) or Picture(_draw(alert, language), _alt(alert, language))
            self._kept[key] = picture
            while len(self._kept) > self._most:
                self._kept.popitem(last=False)
        return picture


def _alt(alert: Alert, language: Language) -> str:
    lead = alert.signals[0]
    counted = counted_text(language, lead.kind, lead.observed, "unit")
    expected, bound = expected_words(lead.expectation, language), floor_words(lead.upper_bound, language)
    if len(alert.days) == 1:
        day = day_words(alert.days[0].day, language)
        words = text(language, "picture_alt_day", "message", counted=counted, day=day, expected=expected, bound=bound)
    else:
        key = "picture_alt_own" if alert.tendency in _OWN else "picture_alt"
        words = text(
            language, key, "message", counted=counted, first=day_words(alert.days[0].day, language, year=False),
            last=day_words(alert.days[-1].day, language), expected=expected, bound=bound,
            most=count_words(max(d.observed for d in alert.days), language),
        )  # fmt: skip
    if alert.earlier_years:
        told = [f"{y.last_day.year}: {count_words(y.observed, language)}" for y in reversed(alert.earlier_years)]
        words += " " + text(language, "picture_earlier", "message", years="; ".join(told))
    return words


def _draw(alert: Alert, language: Language) -> bytes:
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415  # slow to load; only mail needs it
    from matplotlib.figure import Figure  # noqa: PLC0415  # likewise

    figure = Figure(figsize=(WIDTH / 100, HEIGHT / 100), dpi=100 * _SHARPNESS, facecolor="white")
    FigureCanvasAgg(figure)
    alone = len(alert.days) == 1
    if alone:
        _draw_totals(figure.add_axes((0.09, 0.17, 0.88, 0.66)), alert, language)
    else:
        _draw_days(figure.add_axes((0.07, 0.17, 0.52, 0.66)), alert, language)
        _draw_totals(figure.add_axes((0.67, 0.17, 0.31, 0.66)), alert, language)
    file = io.BytesIO()
    figure.savefig(file, format="png", metadata={"Software": ""})
    return file.getvalue()


def _bars(alert: Alert) -> tuple[list[date], list[float], int]:
    """First days of the bars, their counts, and how many days a bar holds. Whole weeks end with the last day."""
    days = alert.days
    if len(days) < WEEKS_FROM:
        return [d.day for d in days], [d.observed for d in days], 1
    weeks = [days[max(end - 7, 0) : end] for end in range(len(days), 6, -7)][::-1]
    return [week[0].day for week in weeks], [sum(d.observed for d in week) for week in weeks], 7


def _draw_days(axes: "Axes", alert: Alert, language: Language) -> None:
    lead = alert.signals[0]
    first, counts, step = _bars(alert)
    places = [i + 0.5 for i in range(len(first))]
    before = sum(1 for day in first if day + timedelta(days=step - 1) < lead.first_day)
    title = text(language, "picture_daily" if step == 1 else "picture_weekly", "message")
    if before:
        axes.axvspan(before, len(first), color=_PERIOD, linewidth=0, zorder=0)
    axes.bar(places, counts, width=0.78, color=[_EARLIER] * before + [_NOW] * (len(first) - before), zorder=2)
    expected = lead.expectation / lead.window * step
    axes.plot([before, len(first)], [expected, expected], color=_EXPECTED, linewidth=1.4, linestyle=(0, (4, 2)), zorder=3)
    top = max(*counts, expected, 1.0) * 1.22
    axes.set_ylim(0, top)
    axes.set_xlim(0, len(first))
    if len(first) <= 14:
        for place, count in zip(places, counts, strict=True):
            if count > 0:
                _label(axes, place, count)
        axes.set_yticks([])
    else:
        _whole_ticks(axes, top)
    ticks = _day_ticks(len(first), 6 if step == 1 else 5)
    axes.set_xticks(
        [places[i] for i in ticks], [format_date(first[i], "d MMM", locale=_LOCALE[language]).rstrip(".") for i in ticks]
    )
    _plain(axes, title)


def _draw_totals(axes: "Axes", alert: Alert, language: Language) -> None:
    """This period beside the same weeks of earlier years, what was expected, and above what it is unusual."""
    lead = alert.signals[0]
    earlier = list(reversed(alert.earlier_years))[-5:]
    labels = [f"{y.last_day.year}" for y in earlier] + [text(language, "picture_now", "message")]
    counts = [y.observed for y in earlier] + [lead.observed]
    places = list(range(len(counts)))
    axes.bar(places, counts, width=0.62, color=[_EARLIER] * len(earlier) + [_NOW], zorder=2)
    for place, count in zip(places, counts, strict=True):
        _label(axes, place, count)
    lines: list[tuple[float, str, Any, str]] = [
        (lead.expectation, _EXPECTED, (0, (4, 2)), text(language, "picture_expected", "message"))
    ]
    if alert.tendency not in _OWN and lead.upper_bound >= 1:
        lines.append((lead.upper_bound, _BOUND, "solid", text(language, "picture_bound", "message")))
    for height, colour, style, _ in lines:
        axes.plot([-0.5, len(counts) - 0.5], [height, height], color=colour, linewidth=1.4, linestyle=style, zorder=3)
    top = max(*counts, lead.expectation, *(line[0] for line in lines), 1.0) * 1.18
    axes.set_ylim(0, top)
    axes.set_xlim(-0.6, max(len(counts), 2) - 0.4)
    axes.set_yticks([])
    axes.set_xticks(places, labels)
    alone = len(alert.days) == 1
    _plain(axes, day_words(lead.last_day, language) if alone else text(language, "picture_totals", "message"))
    handles = [_line(colour, style) for _, colour, style, _ in lines]
    told = [f"{words}: {_rounded(height, words == lines[0][3], language)}" for height, _, _, words in lines]
    axes.figure.legend(handles, told, loc="lower right", ncols=2, fontsize=8.5, frameon=False, labelcolor=_INK, borderaxespad=0.6,
                       columnspacing=1.4, handlelength=2.2)  # fmt: skip


def _label(axes: "Axes", place: float, count: float) -> None:
    """A bar's count above it, readable also where a line passes behind it."""
    behind = {"facecolor": "white", "edgecolor": "none", "pad": 0.6}
    axes.annotate(
        _number(count),
        (place, count),
        (0, 3),
        textcoords="offset points",
        ha="center",
        fontsize=8.5,
        color=_INK,
        bbox=behind,
        zorder=4,
    )


def _line(colour: str, style: Any) -> Any:
    from matplotlib.lines import Line2D  # noqa: PLC0415  # slow to load; only mail needs it

    return Line2D([], [], color=colour, linestyle=style, linewidth=1.4)


def _rounded(height: float, expectation: bool, language: Language) -> str:
    return expected_words(height, language) if expectation else floor_words(height, language)


def _number(count: float) -> str:
    return f"{count:.0f}" if count >= 0.5 or count == 0 else "<1"


def _day_ticks(n: int, most: int) -> list[int]:
    """Which bars are named: so many at most, the last one always."""
    step = math.ceil(n / most)
    return list(range((n - 1) % step, n, step))


def _whole_ticks(axes: "Axes", top: float) -> None:
    from matplotlib.ticker import MaxNLocator  # noqa: PLC0415  # slow to load; only mail needs it

    axes.yaxis.set_major_locator(MaxNLocator(nbins=3 if top > 3 else 2, integer=True, min_n_ticks=1))


def _plain(axes: "Axes", title: str) -> None:
    axes.set_title(title, loc="left", fontsize=10, color=_INK, fontweight="bold", pad=7)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(_SOFT)
    axes.tick_params(axis="both", length=0, labelsize=8.5, labelcolor=_SOFT, pad=3)
