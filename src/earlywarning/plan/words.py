"""What the figures of the plan say, in Swedish and English: standing, effect, displacement, promises.

Said of reports and of areas' own past; never of crime as such, of risk, or of one area against another.
"""

import math
import tomllib
from datetime import date
from functools import cache
from importlib import resources
from typing import NamedTuple

from babel import Locale

from earlywarning.core.action_plan import Goal
from earlywarning.core.effect import FEWEST_AFTER, FEWEST_BEFORE, Effect
from earlywarning.core.standing import Kept, Standing
from earlywarning.locale import Language, Names, note_sentence
from earlywarning.locale.catalogue import counted_text, list_words, number_words, share_words
from earlywarning.plan.figures import goal_kind
from earlywarning.plan.record import ActionFigures, PriorityFigures

MOST_NOTES = 3


@cache
def texts(language: Language) -> dict[str, dict[str, str]]:
    """All texts of a language: section, key, text."""
    return tomllib.loads(resources.files("earlywarning.plan").joinpath(f"{language}.toml").read_text(encoding="utf-8"))


def say(language: Language, section: str, key: str, /, **values: object) -> str:
    """A text with its values put in."""
    return texts(language)[section][key].format(**values)


def say_counted(language: Language, section: str, key: str, n: int, /) -> str:
    """A text in the singular or plural that a number asks for."""
    return say(language, section, f"{key}_{Locale.parse(language).plural_form(n)}", n=number_words(n, language, 0))


class Teller(NamedTuple):
    """How things are told: names of codes, language, and the smallest count that may be shown (1: all).

    Where small counts are hidden, the others are told in steps of that size and changes in steps of five per cent: sums over
    months would else give single weeks away to whoever has the weekly pictures as well.
    """

    names: Names
    language: Language
    smallest: int = 1

    def hides(self, *counts: float) -> bool:
        """Whether one of the counts is too small to be shown."""
        return any(0 < round(n) < self.smallest for n in counts if not math.isnan(n))

    def number(self, count: float) -> str:
        """A count, or that it is too small to be shown."""
        if self.hides(count):
            return say(self.language, "text", "under", n=number_words(self.smallest, self.language, 0))
        return number_words(self.step(count), self.language, 0)

    def step(self, count: float) -> float:
        """A count as it may be told: as it is inside the group."""
        return count if self.smallest <= 1 or math.isnan(count) else self.smallest * round(count / self.smallest)

    def change(self, ratio: float) -> str:
        """A ratio as a change."""
        return change_words(self._coarse(ratio), self.language)

    def interval(self, low: float, high: float) -> str:
        """An interval of a ratio as two changes."""
        return interval_words(self._coarse(low), self._coarse(high), self.language)

    def _coarse(self, ratio: float) -> float:
        return ratio if self.smallest <= 1 or not math.isfinite(ratio) else round(ratio * 20) / 20

    def counted(self, kind: str, count: float) -> str:
        """A count with its unit."""
        if self.hides(count):
            return f"{self.number(count)} {say(self.language, 'unit', kind)}"
        return counted_text(self.language, kind, round(self.step(count)), "unit")

    def areas(self, codes: tuple[str, ...]) -> str:
        """Names of areas as a list."""
        if not codes:
            return say(self.language, "label", "whole")
        return list_words([self.names.area(c, self.language) for c in codes], self.language)

    def categories(self, codes: tuple[str, ...]) -> str:
        """Names of categories as a list."""
        if not codes:
            return say(self.language, "label", "all_categories")
        return list_words([self.names.category(c, self.language) for c in codes], self.language)


def change_words(ratio: float, language: Language) -> str:
    """A ratio as a change: "12% fewer", "2.4 times as many"."""
    if ratio > 10:
        return say(language, "change", "beyond")
    if ratio >= 2:
        return say(language, "change", "times", n=number_words(ratio, language, 1))
    if abs(round(ratio - 1, 2)) < 0.01:
        return say(language, "change", "none")
    return say(language, "change", "fewer" if ratio < 1 else "more", share=share_words(abs(ratio - 1), language))


def interval_words(low: float, high: float, language: Language) -> str:
    """An interval of a ratio as two changes."""
    return say(language, "change", "interval", low=change_words(low, language), high=change_words(high, language))


def span_words(first: date, last: date) -> str:
    """A period, as short as a year where it is one."""
    if (first.month, first.day, last.month, last.day) == (1, 1, 12, 31):
        return str(first.year) if first.year == last.year else f"{first.year}\N{EN DASH}{last.year}"
    return f"{first.isoformat()}\N{EN DASH}{last.isoformat()}"


def goal_sentence(goal: Goal, kind: str, language: Language) -> str:
    """The goal in a sentence."""
    unit = say(language, "unit", kind)
    target, base = span_words(goal.target_first, goal.target_last), span_words(goal.baseline_first, goal.baseline_last)
    name = next(n for n in ("change", "count", "rate") if getattr(goal, n) is not None)
    values: dict[str, object] = {"unit": unit, "target": target, "base": base}
    if goal.change is not None:
        values["change"] = change_words(1 + goal.change, language)
    else:
        values["n"] = number_words(goal.count if goal.count is not None else goal.rate or 0.0, language, 2)
    return say(language, "standing", f"goal_{name}_{goal.direction}", **values)


def standing_sentences(figures: PriorityFigures, tell: Teller) -> list[str]:
    """Where a priority's goal stands: counts, level with interval, verdict, smallest change that could have been seen."""
    s, goal, language = figures.standing, figures.priority.goal, tell.language
    kind = goal_kind(figures.priority)
    said = []
    hidden = tell.hides(s.events, s.baseline)
    if s.days and not math.isnan(s.baseline):
        matched = say(language, "standing", "matched" if s.season_matched else "unmatched")
        said.append(
            say(language, "standing", "so_far", day=s.through.isoformat(), events=tell.counted(kind, s.events), matched=matched,
                days=number_words(s.days, language, 0), baseline=tell.number(s.baseline))
        )  # fmt: skip
    if hidden:
        return [*said, say(language, "standing", "hidden")]
    known = not math.isnan(s.ratio)
    if known:
        said.append(
            say(
                language,
                "standing",
                "level",
                change=tell.change(s.ratio),
                interval=tell.interval(s.low, s.high),
            )
        )
        if goal.change is None:
            count = {"low": s.count_low, "high": s.count_high, "goal": s.goal_so_far}
            said.append(
                say(
                    language,
                    "standing",
                    "count_level_finished" if s.finished else "count_level",
                    **{k: number_words(tell.step(v), language, 0) for k, v in count.items()},
                )
            )
    said.append(verdict_sentence(s, kind, language))
    if s.met is not None and known and goal.change is None:
        said.append(say(language, "standing", "met" if s.met else "unmet"))
    if known and s.verdict == "cannot-be-said":
        said.append(say(language, "standing", f"visible_{goal.direction}", change=tell.change(s.visible)))
    if known and s.dispersion >= 1.15:
        said.append(say(language, "standing", "spread", n=number_words(s.dispersion, language, 1)))
    return said


def verdict_sentence(standing: Standing, kind: str, language: Language) -> str:
    """The verdict in a sentence, with why."""
    key = standing.verdict + (f"_{standing.why}" if standing.why else "")
    return say(language, "standing", key, unit=say(language, "unit", kind))


def verdict_words(standing: Standing, language: Language) -> str:
    """The verdict in a word or two."""
    finished = standing.verdict == "cannot-be-said" and standing.finished
    return say(language, "verdict", "cannot-be-said_finished" if finished else standing.verdict)


def effect_sentences(figures: ActionFigures, tell: Teller) -> list[str]:
    """The effect of an action: change with interval, verdict, what happened around, simple tests."""
    action, language, told = figures.action, tell.language, figures.effect
    unit = say(language, "unit", action.kind)
    said = []
    hidden = tell.hides(*told.treated, *told.comparison)
    if not math.isnan(told.ratio) and not hidden:
        level = {"change": tell.change(told.ratio), "interval": tell.interval(told.low, told.high)}
        said.append(say(language, "effect", "level_comparison" if told.method == "comparison" else "level_own", **level))
    said.append(say(language, "standing", "hidden") if hidden else _verdict(told, unit, language))
    said += _around(figures, tell)
    if not hidden and tell.smallest <= 1:
        said += _simple(figures, unit, language)
    return said


def _verdict(told: Effect, unit: str, language: Language) -> str:
    key = told.verdict + (f"_{told.why}" if told.why else "")
    values: dict[str, object] = {
        "unit": unit, "before": FEWEST_BEFORE, "after": FEWEST_AFTER, "w0": told.weeks[0], "w1": told.weeks[1]
    }  # fmt: skip
    if told.why == "too-few-weeks" and told.method == "own past":
        values["before"] = 53
    if told.why == "interval-holds-1":
        values["visible"] = share_words(1 - told.visible, language)
    if told.why == "not-parallel":
        values["change"] = change_words(told.drift[0], language)
    return say(language, "effect", key, **values)


def _around(figures: ActionFigures, tell: Teller) -> list[str]:
    language, around = tell.language, figures.around
    if around is None:
        return [say(language, "effect", "around_none")]
    areas = tell.areas(figures.action.buffer)
    if math.isnan(around.ratio) or tell.hides(*around.treated):
        return [say(language, "effect", "around_unknown", areas=areas)]
    change, interval = tell.change(around.ratio), tell.interval(around.low, around.high)
    level = say(language, "effect", "around", areas=areas, change=change, interval=interval)
    return [f"{level} {say(language, 'effect', f'around_{around.verdict}')}"]


def _simple(figures: ActionFigures, unit: str, language: Language) -> list[str]:
    said, windows, difference = [], figures.windows, figures.difference
    if windows is not None and difference is not None:
        rounded = {k: _signed(getattr(difference, k), language) for k in ("total", "low", "high", "local", "displaced")}
        values: dict[str, object] = {
            **rounded, "unit": unit, "before": span_words(*windows.before), "after": span_words(*windows.after),
            "se": number_words(difference.total_se, language, 1),
        }  # fmt: skip
        said.append(say(language, "effect", "wdd" if figures.action.buffer else "wdd_local", **values))
    if figures.before_after is not None:
        p = figures.before_after
        said.append(
            say(language, "effect", "alone_seldom") if p < 0.01 else say(language, "effect", "alone", p=share_words(p, language))
        )
    return said


def _signed(value: float, language: Language) -> str:
    return number_words(value, language, 1).replace("-", "\N{MINUS SIGN}")


def disturbances(figures: ActionFigures | PriorityFigures, tell: Teller) -> list[str]:
    """What else changed in the time that an action or a goal is judged by: booking and new sources."""
    language = tell.language
    said = [say(language, "effect", "new_source", source=n.source, day=n.since.isoformat()) for n in figures.new_sources]
    newest = sorted(figures.notes, key=lambda n: n.last_day, reverse=True)
    said += [say(language, "effect", "disturbed", note=note_sentence(n, tell.names, language)) for n in newest[:MOST_NOTES]]
    if more := len(newest) - MOST_NOTES:
        said += [say_counted(language, "effect", "note_more", more)] if more > 0 else []
    return said


def promise_sentence(promise: Kept, language: Language) -> str:
    """How far a promise has come."""
    if promise.state == "shown":
        return say_counted(language, "promise", "shown", promise.evidence)
    return say(language, "promise", promise.state, done=promise.done, of=promise.of)


def outcome_words(outcome: str, language: Language) -> str:
    """What became of a measure or a commitment."""
    return say(language, "status", outcome) if outcome else say(language, "label", "not_followed_up")


def action_place(figures: ActionFigures, tell: Teller) -> str:
    """Where and when an action works, and what it is compared with."""
    action, language = figures.action, tell.language
    ended = say(language, "effect", "ends", day=action.ends.isoformat()) if action.ends else say(language, "effect", "running")
    others = tell.areas(action.comparison) if action.comparison else say(language, "effect", "no_comparison")
    return say(
        language, "effect", "place", areas=tell.areas(action.areas), categories=tell.categories(action.categories),
        kind=say(language, "unit", action.kind), begins=action.begins.isoformat(), ends=ended, comparison=others,
    )  # fmt: skip
