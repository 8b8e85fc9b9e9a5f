"""What the group does about an alert: from new over assessment, problem picture, cause and measure to closed.

The chain is that of joint crime prevention in Sweden (EST; Brå's handbooks on situational pictures): a situational picture
holds alerts, an assessed alert becomes a problem picture, its causes are analysed, each measure answers a cause and has an
owner, a date and a goal, and is followed up. `answer` is the only way from one state to the next.
"""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from earlywarning.core.alert_record import Alert
from earlywarning.core.screening import PersonalRule, find_personal_data

Stage = Literal["new", "acknowledged", "assessed", "picture", "analysis", "measure", "follow-up", "closed", "merged", "expired"]
Assessment = Literal["confirmed", "known-cause", "false-alarm", "data-fault"]
Action = Literal["acknowledge", "assess", "picture", "cause", "measure", "follow-up", "close", "reopen", "merge", "note", "expire"]

AnswerRule = Literal[
    PersonalRule,
    "stale", "illegal-transition", "missing", "not-allowed", "too-long", "not-confirmed", "unknown-cause", "before-begin",
    "unknown-measure", "not-acted-on", "not-followed-up", "confirmed", "other-municipality", "unknown-alert", "ended",
]  # fmt: skip

EXPLAINED = ("known-cause", "data-fault")  # assessments that leave an alert's days out of later baselines

OPEN: tuple[Stage, ...] = ("new", "acknowledged", "assessed", "picture", "analysis", "measure", "follow-up")
CHAIN: tuple[Stage, ...] = OPEN[2:]
ENDED: tuple[Stage, ...] = ("closed", "merged", "expired")

REASONS: Mapping[str, tuple[str, ...]] = {
    "confirmed": ("new-problem", "known-problem-grows", "known-problem-moves"),
    "known-cause": (
        "local-event", "holiday", "campaign", "patrol-effort", "new-reporter", "recording-rule", "measure-running", "other-known",
    ),
    "false-alarm": ("chance", "not-relevant", "too-small", "settled-already"),
    "data-fault": ("duplicates", "delay", "wrong-category", "wrong-place", "source-fault"),
    "close": ("acted-on", "assessed", "handled-elsewhere", "no-longer-current", "cannot-be-influenced"),
    "reopen": ("it-returned", "assessed-wrongly", "new-information"),
}  # fmt: skip
CAUSES = (
    "place-design", "lighting", "visibility", "access", "litter-and-wear", "lack-of-guardianship", "gathering-place",
    "alcohol-or-drugs", "conflict-between-groups", "target-easy-to-reach", "routine-or-opening-hours", "other",
)  # fmt: skip
OUTCOMES = ("done", "under-way", "delayed", "without-effect", "abandoned")

Short = Annotated[str, Meta(min_length=1, max_length=80)]
Long = Annotated[str, Meta(max_length=2_000)]

# From which stages an action may be taken.
_FROM: Mapping[Action, tuple[Stage, ...]] = {
    "acknowledge": ("new",),
    "assess": ("new", "acknowledged", "assessed"),
    "picture": CHAIN,
    "cause": CHAIN[1:],
    "measure": CHAIN[2:],
    "follow-up": CHAIN[3:],
    "close": CHAIN,
    "reopen": ("closed", "expired", "merged"),
    "merge": OPEN,
    "note": (*OPEN, *ENDED),
    "expire": ("new", "acknowledged"),
}
_TO: Mapping[Action, Stage] = {
    "acknowledge": "acknowledged", "assess": "assessed", "picture": "picture", "cause": "analysis", "measure": "measure",
    "follow-up": "follow-up", "close": "closed", "merge": "merged", "expire": "expired",
}  # fmt: skip


class AnswerError(ValueError):
    """An answer that cannot be taken: names the field, what is wrong with it, and what is allowed."""

    def __init__(self, field: str, rule: AnswerRule, problem: str) -> None:
        self.field, self.rule, self.problem = field, rule, problem
        super().__init__(f"{field}: {problem}")


class Picture(msgspec.Struct, frozen=True, kw_only=True):
    """A problem picture: one problem as situation, target and motivation (the crime triangle), about places, not persons."""

    situation: Long = ""
    target: Long = ""
    motivation: Long = ""


class Cause(msgspec.Struct, frozen=True, kw_only=True):
    """A cause that the analysis found: why here, why now. cause: of CAUSES. number: from 1 within the alert."""

    number: int
    cause: str
    note: Long = ""


class Measure(msgspec.Struct, frozen=True, kw_only=True):
    """A measure: answers a cause (by number); owner: a function or unit; due: when it is done; goal: what shall be seen then.

    begins: the day from which it may have an effect. outcome: of OUTCOMES, once it was followed up.
    """

    number: int
    answers: int
    what: Long
    owner: Short
    begins: date
    due: date
    goal: Long
    outcome: str = ""
    followed_up_on: date | None = None


class Answer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One answer of the group to an alert, as it comes by API, page, link in a mail or topic.

    answer_id: the sender's own; the same answer twice changes nothing. actor: who answers (a user or function, as signed
    in), at: when; its day is the day of the answer. revision: of the casework that the sender saw; None, whatever it is
    now. Which other fields an action needs is said by `answer`.
    """

    answer_id: Annotated[str, Meta(min_length=1, max_length=64)]
    alert_id: Annotated[str, Meta(min_length=1, max_length=64)]
    action: Action
    actor: Short
    at: datetime
    revision: int | None = None
    assessment: Assessment | None = None
    reason: str = ""
    note: Long = ""
    picture: Picture | None = None
    cause: str = ""
    answers: int | None = None
    measure: int | None = None
    what: Long = ""
    owner: str = ""
    begins: date | None = None
    due: date | None = None
    goal: Long = ""
    outcome: str = ""
    into: str = ""


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """That days of a block are to be left out of baselines, or (left_out False) no longer.

    given_on: local day of the answer; fits of later days heed it. revision: of the casework after the answer.
    areas, categories: codes. first_day..last_day: inclusive.
    """

    alert_id: str
    given_on: date
    left_out: bool
    kind: Literal["incident", "report"]
    areas: tuple[str, ...]
    categories: tuple[str, ...]
    first_day: date
    last_day: date
    revision: int = 0


class Touched(msgspec.Struct, frozen=True):
    """A priority of the action plan that an alert touches, as it stood when the alert opened, and who is responsible for it."""

    code: str
    name_sv: str
    name_en: str
    responsible: str


class Casework(msgspec.Struct, frozen=True, kw_only=True):
    """All that the group has done about an alert. revision: rises by one with each answer that changed anything.

    closed_as: reason of the closing. earlier: alerts about the same tendency before this one, the newest first.
    touched: the action plan's priorities that it touches. verdicts: what its answers said to the baselines.
    """

    alert_id: str
    municipality: str
    stage: Stage = "new"
    revision: int = 0
    opened_at: datetime
    acknowledged_at: datetime | None = None
    acknowledged_by: str = ""
    assessment: Assessment | None = None
    assessed_at: datetime | None = None
    reason: str = ""
    picture: Picture | None = None
    causes: tuple[Cause, ...] = ()
    measures: tuple[Measure, ...] = ()
    closed_as: str = ""
    closed_at: datetime | None = None
    merged_into: str = ""
    earlier: tuple[str, ...] = ()
    touched: tuple[Touched, ...] = ()
    verdicts: tuple[Verdict, ...] = ()

    @property
    def priorities(self) -> tuple[str, ...]:
        """Codes of the priorities that it touches."""
        return tuple(t.code for t in self.touched)


def answer(case: Casework, said: Answer) -> Casework:
    """The casework after an answer.

    acknowledge: nothing more. assess: `assessment`, and a `reason` of REASONS. picture: `picture` with a situation. cause:
    `cause` of CAUSES. measure: `answers` (a cause's number), `what`, `owner`, `due`, `goal`; `begins` (default: the day of
    the answer). follow-up: `measure` (its number) and `outcome`. close: a `reason`; "acted-on" wants a followed picture,
    cause, and measure with owner and date. reopen: a `reason`. merge: `into`, another alert. Any may have a `note`.

    Raises AnswerError for an action that the stage does not allow, a missing or wrong field, a stale revision, and personal data.
    """
    if said.revision is not None and said.revision != case.revision:
        raise AnswerError(
            "revision", "stale", f"someone has answered since: it is {case.revision} now, not {said.revision}; look at it again"
        )
    allowed = _FROM[said.action]
    if case.stage not in allowed:
        raise AnswerError(
            "action", "illegal-transition",
            f"'{said.action}' is not possible while the alert is '{case.stage}'; possible when it is {', '.join(allowed)}",
        )  # fmt: skip
    _screen(said)
    changed = _CHANGES[said.action](case, said)
    return msgspec.structs.replace(changed, stage=_TO.get(said.action, changed.stage), revision=case.revision + 1)


def verdict_of(alert: Alert, before: Casework, after: Casework, given_on: date) -> Verdict | None:
    """What an answer says to the baselines; None when it changes nothing there."""
    was, now = before.assessment in EXPLAINED, after.assessment in EXPLAINED
    if was == now:
        return None
    return Verdict(
        alert_id=alert.alert_id, given_on=given_on, left_out=now, kind=alert.kind, areas=alert.areas,
        categories=alert.categories, first_day=alert.first_day, last_day=max(alert.last_day, alert.first_day),
        revision=after.revision,
    )  # fmt: skip


def possible(case: Casework) -> list[Action]:
    """The actions that people may take now."""
    return [a for a, stages in _FROM.items() if case.stage in stages and a != "expire" and not (a == "close" and _why_not(case))]


def _screen(said: Answer) -> None:
    texts: dict[str, str] = {name: getattr(said, name) for name in ("note", "what", "owner", "goal")}
    if said.picture is not None:
        texts |= {f"picture.{name}": getattr(said.picture, name) for name in ("situation", "target", "motivation")}
    for field, text in texts.items():
        if text and (found := find_personal_data(text)) is not None:
            raise AnswerError(field, found.rule, "it holds personal data; write about places and situations, never about persons")


def _one_of(field: str, value: str, allowed: tuple[str, ...]) -> str:
    if value not in allowed:
        said = f"{value[:40]!r} is not allowed" if value else "is missing"
        raise AnswerError(field, "missing" if not value else "not-allowed", f"{said}; allowed: {', '.join(allowed)}")
    return value


def _filled(field: str, value: str) -> str:
    if not value.strip():
        raise AnswerError(field, "missing", "is missing; write it in a few words")
    if len(value) > 80 and field == "owner":
        raise AnswerError(field, "too-long", "is longer than 80 characters")
    return value.strip()


def _acknowledge(case: Casework, said: Answer) -> Casework:
    return msgspec.structs.replace(case, acknowledged_at=said.at, acknowledged_by=said.actor)


def _assess(case: Casework, said: Answer) -> Casework:
    if said.assessment is None:
        raise AnswerError(
            "assessment", "missing", "is missing; allowed: " + ", ".join(("confirmed", "known-cause", "false-alarm", "data-fault"))
        )
    reason = _one_of("reason", said.reason, REASONS[said.assessment])
    if case.acknowledged_at is None:  # who assesses has seen it
        case = _acknowledge(case, said)
    return msgspec.structs.replace(case, assessment=said.assessment, assessed_at=said.at, reason=reason)


def _picture(case: Casework, said: Answer) -> Casework:
    if case.assessment != "confirmed":
        raise AnswerError(
            "assessment", "not-confirmed", f"the alert was assessed as {case.assessment}; assess it as confirmed first"
        )
    if said.picture is None:
        raise AnswerError("picture", "missing", "is missing; describe the situation, and the target and motivation where known")
    _filled("picture.situation", said.picture.situation)
    return msgspec.structs.replace(case, picture=said.picture)


def _cause(case: Casework, said: Answer) -> Casework:
    cause = Cause(number=len(case.causes) + 1, cause=_one_of("cause", said.cause, CAUSES), note=said.note)
    return msgspec.structs.replace(case, causes=(*case.causes, cause))


def _measure(case: Casework, said: Answer) -> Casework:
    numbers = [c.number for c in case.causes]
    if said.answers not in numbers:
        raise AnswerError(
            "answers", "unknown-cause", f"must be the number of a cause of this alert: {', '.join(map(str, numbers)) or 'none yet'}"
        )
    if said.due is None:
        raise AnswerError("due", "missing", "is missing; a measure has a day on which it is done")
    begins = said.begins or said.at.date()
    if said.due < begins:
        raise AnswerError("due", "before-begin", f"{said.due} lies before {begins}, the day on which the measure begins")
    measure = Measure(
        number=len(case.measures) + 1, answers=said.answers, what=_filled("what", said.what), owner=_filled("owner", said.owner),
        begins=begins, due=said.due, goal=_filled("goal", said.goal),
    )  # fmt: skip
    return msgspec.structs.replace(case, measures=(*case.measures, measure))


def _follow_up(case: Casework, said: Answer) -> Casework:
    known = [m.number for m in case.measures]
    if said.measure not in known:
        raise AnswerError(
            "measure", "unknown-measure", f"must be the number of a measure of this alert: {', '.join(map(str, known))}"
        )
    outcome = _one_of("outcome", said.outcome, OUTCOMES)
    measures = tuple(
        msgspec.structs.replace(m, outcome=outcome, followed_up_on=said.at.date()) if m.number == said.measure else m
        for m in case.measures
    )
    return msgspec.structs.replace(case, measures=measures)


def _why_not(case: Casework) -> str:
    """Why an alert cannot be closed at all yet."""
    return "" if case.assessment is not None else "assess it first"


def _close(case: Casework, said: Answer) -> Casework:
    reason = _one_of("reason", said.reason, REASONS["close"])
    if reason == "acted-on":
        if not case.causes or not case.measures:
            raise AnswerError(
                "reason", "not-acted-on", "an alert is closed as acted on with a cause, and a measure with owner and date, only"
            )
        if waiting := [str(m.number) for m in case.measures if not m.outcome]:
            raise AnswerError("reason", "not-followed-up", f"measure {', '.join(waiting)} was not followed up yet")
    if reason == "assessed" and case.assessment == "confirmed":
        raise AnswerError(
            "reason", "confirmed", "the alert was confirmed: say what became of it (acted-on, handled-elsewhere, ...)"
        )
    return msgspec.structs.replace(case, closed_as=reason, closed_at=said.at)


def _reopen(case: Casework, said: Answer) -> Casework:
    _one_of("reason", said.reason, REASONS["reopen"])
    kept: Stage = "acknowledged" if case.assessment is None or said.reason == "assessed-wrongly" else "assessed"
    if said.reason == "assessed-wrongly":
        case = msgspec.structs.replace(case, assessment=None, assessed_at=None, reason="")
    if case.acknowledged_at is None:
        case = _acknowledge(case, said)
    return msgspec.structs.replace(case, stage=kept, closed_as="", closed_at=None, merged_into="")


def _merge(case: Casework, said: Answer) -> Casework:
    if not said.into or said.into == case.alert_id:
        raise AnswerError("into", "missing", "must name another alert, which this one is part of")
    if said.into.rsplit("-", 2)[0] != case.municipality:
        raise AnswerError("into", "other-municipality", "must name an alert of the same municipality")
    return msgspec.structs.replace(case, merged_into=said.into)


def _nothing(case: Casework, said: Answer) -> Casework:
    if said.action == "note":
        _filled("note", said.note)
    return case


_CHANGES = {
    "acknowledge": _acknowledge, "assess": _assess, "picture": _picture, "cause": _cause, "measure": _measure,
    "follow-up": _follow_up, "close": _close, "reopen": _reopen, "merge": _merge, "note": _nothing, "expire": _nothing,
}  # fmt: skip
