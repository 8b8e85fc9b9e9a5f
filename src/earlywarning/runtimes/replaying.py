"""Dead letters as events again: what was kept of them, by the mappings that are in force now."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Literal, NamedTuple

import msgspec

from earlywarning.core.events import Decoded, Rejection, Rule, decode_mappings
from earlywarning.settings import Settings
from earlywarning.sources.mapping import RowMapper
from earlywarning.store import Store, StoredDeadLetter

AT_ONCE = 1_000  # letters in one transaction


# Why nothing can be made of what was kept, beside the rules of events.
ReplayRule = Literal["nothing-kept", "mapping-gone"]


class Why(NamedTuple):
    """What a letter is still refused for: the rule, the field (may be empty), and the problem in words."""

    rule: Rule | ReplayRule
    field: str
    problem: str


class Replayed(NamedTuple):
    """What became of a dead letter: taken as news, as a repeat or in place of an earlier version, sent on to the brokers (where a
    worker takes it or refuses it anew), or still refused, and why."""

    outcome: Literal["accepted", "repeated", "replaced", "queued", "rejected"]
    why: Why | None = None


class Chosen(NamedTuple):
    """Which waiting letters of a municipality are meant: by number, or all of a rule, a source, or both."""

    ids: tuple[int, ...] = ()
    rule: str | None = None
    source: str | None = None


class ReplayedMany(NamedTuple):
    """How many letters came to which outcome; of those still refused, how many for which reason. left: not tried yet."""

    outcomes: Mapping[str, int]
    reasons: Mapping[Why, int]
    left: int

    @property
    def problems(self) -> dict[str, int]:
        """How many are still refused for which problem, in the words that suppliers read."""
        found = Counter[str]()
        for why, n in self.reasons.items():
            found[why.problem] += n
        return found


def replay_chosen(
    store: Store,
    municipality: str,
    chosen: Chosen,
    replay: Callable[[Sequence[StoredDeadLetter]], Mapping[int, Replayed]],
    most: int | None = None,
) -> ReplayedMany:
    """Feed the chosen letters again in portions, at most `most` of them. Raises StoreError; what was taken before stays so."""
    outcomes, reasons = Counter[str](), Counter[Why]()
    after, tried, left, wanted = 0, 0, 0, set(chosen.ids)
    while letters := store.dead_letters(
        municipality=municipality, rule=chosen.rule, source=chosen.source, after_id=after, limit=AT_ONCE
    ):
        after = letters[-1].id
        own = [letter for letter in letters if not wanted or letter.id in wanted]
        room = len(own) if most is None else max(most - tried, 0)
        left += len(own) - len(own[:room])
        tried += len(own[:room])
        if own[:room]:
            told = replay(own[:room])
            outcomes.update(r.outcome for r in told.values())
            reasons.update(r.why for r in told.values() if r.why is not None)
    return ReplayedMany(outcomes, reasons, left)


class Again(NamedTuple):
    """Letters as events: `numbers[i]` is the letter that item i was made of; `told`: those of which no event could be made."""

    numbers: list[int]
    decoded: Decoded
    told: dict[int, Replayed]


def events_again(letters: Sequence[StoredDeadLetter], settings: Settings) -> Again:
    """Decode what was kept of letters, by the mappings in force."""
    items, problems = items_again(letters, settings)
    decoded = decode_mappings([item for _, item in items])
    told = {number: Replayed("rejected", why) for number, why in problems.items()}
    return Again([number for number, _ in items], decoded, told | _refused([n for n, _ in items], decoded.rejections))


def _refused(numbers: Sequence[int], rejections: Sequence[Rejection]) -> dict[int, Replayed]:
    return {numbers[r.index]: refused_again(r) for r in rejections}


def refused_again(r: Rejection) -> Replayed:
    """What became of a letter whose event was refused anew."""
    return Replayed("rejected", Why(r.rule, r.field, r.problem))


def settled_by(told: Mapping[int, Replayed]) -> dict[int, str]:
    """The letters that wait no more, as the store keeps it."""
    return {number: "replayed" for number, r in told.items() if r.outcome != "rejected"}


def items_again(
    letters: Sequence[StoredDeadLetter], settings: Settings
) -> tuple[list[tuple[int, dict[str, object]]], dict[int, Why]]:
    """Fields of an event by the letter's number; and of those of which nothing can be made, why."""
    outcome: dict[int, Why] = {}
    items: list[tuple[int, dict[str, object]]] = []
    for stored in letters:
        letter = stored.letter
        if letter.payload is None:
            outcome[stored.id] = Why("nothing-kept", "", "nothing of it was kept; ask the supplier to send it again")
            continue
        payload = msgspec.json.decode(letter.payload)
        if not letter.format.startswith("mapping:"):
            items.append((stored.id, payload))
            continue
        name = letter.format.removeprefix("mapping:")
        mapping = settings.mappings.get(name)
        if mapping is None:
            outcome[stored.id] = Why("mapping-gone", "", f"mapping {name!r} is not in the settings any more")
            continue
        fields = RowMapper(mapping, settings.municipality.timezone).fields(payload["raw"])
        if payload.get("area") and "area" not in fields:
            fields["area"] = payload["area"]
        if letter.event_id and "event_id" not in fields:
            fields["event_id"] = letter.event_id
        elif "event_id" not in fields:
            fields["event_id"] = f"{letter.way.split('.')[0]}-{letter.position}"
        items.append((stored.id, fields))
    return items, outcome
