"""The yearly follow-up as a document: headings, paragraphs, lists, tables and pictures, the same for page and PDF."""

from collections.abc import Sequence

import msgspec

from earlywarning.core.action_plan import in_words
from earlywarning.core.data_notes import DataNote
from earlywarning.locale import note_sentence
from earlywarning.plan.drawing import Picture, draw_action, draw_priority
from earlywarning.plan.figures import goal_kind
from earlywarning.plan.record import ActionFigures, FollowUp, PriorityFigures, Taken
from earlywarning.plan.words import (
    Teller,
    action_place,
    disturbances,
    effect_sentences,
    goal_sentence,
    outcome_words,
    promise_sentence,
    say,
    say_counted,
    standing_sentences,
    verdict_words,
)

_MOST_NOTES = 12


class Block(msgspec.Struct, frozen=True):
    """One of: heading (level 1-3), text, items, table (header and rows; caption says what it is), picture."""

    kind: str
    text: str = ""
    level: int = 0
    items: list[str] = []
    header: list[str] = []
    rows: list[list[str]] = []
    svg: str = ""
    alt: str = ""


class Document(msgspec.Struct, frozen=True):
    """A document in one language. subtitle: lines below the title."""

    title: str
    subtitle: list[str]
    language: str
    blocks: list[Block]


def follow_up_document(figures: FollowUp, tell: Teller) -> Document:
    """The follow-up in the order in which a steering group reads it."""
    language, plan = tell.language, figures.plan
    title = say(language, "label", "follow_up", year=figures.year)
    about = say(
        language, "label", "plan_of", title=in_words(plan, "title", language), first=plan.first_day.isoformat(),
        last=plan.last_day.isoformat(), version=plan.version,
    )  # fmt: skip
    made = say(language, "label", "made_on", day=figures.made_on.isoformat())
    blocks = [_head(1, "at_a_glance", tell), _glance(figures, tell), _head(1, "reading", tell), _reading(tell)]
    for priority in figures.priorities:
        blocks += _priority(priority, figures, tell)
    codes = {p.priority.code for p in figures.priorities}
    if apart := [a for a in figures.actions if a.action.priority not in codes]:
        blocks.append(_head(1, "actions", tell))
        for action in apart:
            blocks += _action(action, tell)
    if others := [t for t in figures.measures if not codes & set(t.priorities)]:
        blocks += [_head(1, "other_measures", tell), _measures(others, tell)]
    blocks += _promises(figures, tell)
    blocks += [_head(1, "quality", tell), *_notes(figures.notes, tell)]
    limits = [say(language, "text", f"limit_{i}") for i in range(1, 5)]
    methods = [say(language, "text", f"method_{i}") for i in range(1, 4)]
    blocks += [_head(1, "limits", tell), Block("items", items=limits), _head(1, "method", tell), Block("items", items=methods)]
    return Document(title, [figures.name or figures.municipality, about, made], language, blocks)


def _head(level: int, key: str, tell: Teller) -> Block:
    return Block("heading", text=say(tell.language, "label", key), level=level)


def _columns(tell: Teller, *keys: str) -> list[str]:
    return [say(tell.language, "label", key) for key in keys]


def _table(tell: Teller, caption: str, keys: Sequence[str], rows: list[list[str]]) -> Block:
    return Block("table", text=caption, header=_columns(tell, *keys), rows=rows)


def _glance(figures: FollowUp, tell: Teller) -> Block:
    rows = []
    for p in figures.priorities:
        s = p.standing
        known = s.ratio == s.ratio and not tell.hides(s.events, s.baseline)
        rows.append([
            in_words(p.priority, "name", tell.language),
            _capital(goal_sentence(p.priority.goal, goal_kind(p.priority), tell.language)),
            f"{tell.change(s.ratio)} ({tell.interval(s.low, s.high)})" if known else "\N{EN DASH}",
            verdict_words(s, tell.language) if known or s.ratio != s.ratio else "\N{EN DASH}",
        ])  # fmt: skip
    return _table(tell, say(tell.language, "label", "at_a_glance"), ("priority", "goal", "now", "state"), rows)


def _capital(words: str) -> str:
    return words[:1].upper() + words[1:]


def _reading(tell: Teller) -> Block:
    items = [say(tell.language, "text", f"read_{i}") for i in range(1, 5)]
    if tell.smallest > 1:
        items.append(say(tell.language, "text", "read_hidden", n=tell.smallest))
    return Block("items", items=items)


def _priority(p: PriorityFigures, figures: FollowUp, tell: Teller) -> list[Block]:
    language, priority = tell.language, p.priority
    name = in_words(priority, "name", language)
    where = f"{tell.areas(priority.areas)}; {tell.categories(priority.categories)}"
    told = [
        (say(language, "label", key), words)
        for key, words in (
            ("focus", in_words(priority, "focus", language)),
            ("responsible", priority.responsible),
            ("where_and_what", where),
        )
    ]
    blocks = [Block("heading", text=name, level=1), *(Block("text", text=f"{head}: {words}") for head, words in told)]
    blocks.append(_head(2, "standing", tell))
    aim = f"{say(language, 'label', 'goal')}: {goal_sentence(priority.goal, goal_kind(priority), language)}"
    blocks.append(Block("text", text=aim))
    blocks.append(Block("items", items=[*standing_sentences(p, tell), *disturbances(p, tell)]))
    blocks += _picture(draw_priority(p, name, tell))
    blocks.append(_head(2, "commitments", tell))
    if priority.commitments:
        rows = [
            [c.who, in_words(c, "what", language), c.by.isoformat(), outcome_words(c.status, language)]
            for c in priority.commitments
        ]
        blocks.append(_table(tell, say(language, "label", "commitments"), ("who", "what", "by", "status"), rows))
    else:
        blocks.append(Block("text", text=say(language, "text", "no_commitments")))
    if priority.timetable:
        rows = [[step.by.isoformat(), in_words(step, "what", language)] for step in priority.timetable]
        blocks += [_head(2, "timetable", tell), _table(tell, say(language, "label", "timetable"), ("by", "what"), rows)]
    blocks.append(_head(2, "measures", tell))
    taken = [t for t in figures.measures if priority.code in t.priorities]
    blocks.append(_measures(taken, tell) if taken else Block("text", text=say(language, "text", "no_measures")))
    for action in figures.actions:
        if action.action.priority == priority.code:
            blocks += _action(action, tell)
    return blocks


def _measures(taken: Sequence[Taken], tell: Teller) -> Block:
    rows = [
        [t.measure.what, t.measure.owner, t.measure.begins.isoformat(), t.measure.due.isoformat(), t.measure.goal,
         outcome_words(t.measure.outcome, tell.language)]
        for t in taken
    ]  # fmt: skip
    keys = ("what", "responsible", "begins", "due", "goal", "outcome")
    return _table(tell, say(tell.language, "label", "measures"), keys, rows)


def _action(figures: ActionFigures, tell: Teller) -> list[Block]:
    language, told = tell.language, figures.effect
    name = in_words(figures.action, "name", language)
    blocks = [
        Block("heading", text=say(language, "label", "effect", name=name), level=2),
        Block("text", text=action_place(figures, tell)),
        Block("items", items=[*effect_sentences(figures, tell), *disturbances(figures, tell)]),
    ]
    rows = [[say(language, "label", "in_action"), *(tell.number(n) for n in told.treated)]]
    if told.method == "comparison":
        rows.append([say(language, "label", "in_comparison"), *(tell.number(n) for n in told.comparison)])
    header = [say(language, "label", "place")]
    for key, n in zip(("before", "after"), told.weeks, strict=True):
        header.append(f"{say(language, 'label', key)} ({say(language, 'label', 'per_weeks', n=n)})")
    if all(told.weeks):
        blocks.append(Block("table", text=name, header=header, rows=rows))
    return blocks + _picture(draw_action(figures, name, tell))


def _promises(figures: FollowUp, tell: Teller) -> list[Block]:
    language = tell.language
    blocks = [_head(1, "promises", tell)]
    if not figures.promises:
        blocks.append(Block("text", text=say(language, "text", "no_promises")))
    for p in figures.promises:
        promise = p.promise
        period = say(language, "label", "promise_period", first=promise.first_day.isoformat(), last=promise.last_day.isoformat())
        blocks.append(Block("quote", text=in_words(promise, "text", language)))
        responsible = f"{say(language, 'label', 'responsible')}: {promise.responsible}"
        blocks.append(Block("text", text=f"{period}. {responsible}. {promise_sentence(p.kept, language)}"))
        if promise.evidence:
            rows = [[e.on.isoformat(), in_words(e, "text", language), str(e.count) if e.count else ""] for e in promise.evidence]
            header = [*_columns(tell, "day", "evidence"), say(language, "label", "number")]
            blocks.append(Block("table", text=say(language, "label", "evidence"), header=header, rows=rows))
    return blocks


def _notes(notes: Sequence[DataNote], tell: Teller) -> list[Block]:
    if not notes:
        return [Block("text", text=say(tell.language, "text", "no_notes"))]
    newest = sorted(notes, key=lambda n: (n.noted_on, n.note_id), reverse=True)
    items = [note_sentence(n, tell.names, tell.language) for n in newest[:_MOST_NOTES]]
    if (more := len(newest) - _MOST_NOTES) > 0:
        items.append(say_counted(tell.language, "text", "notes_more", more))
    return [Block("items", items=items)]


def _picture(picture: Picture | None) -> list[Block]:
    return [] if picture is None else [Block("picture", text=picture.caption, svg=picture.svg, alt=picture.alt)]
