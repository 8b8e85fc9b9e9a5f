"""Dead letters as events again: what was kept of them, by the mappings that are in force now."""

from collections.abc import Sequence

import msgspec

from earlywarning.settings import Settings
from earlywarning.sources.mapping import RowMapper
from earlywarning.store import StoredDeadLetter


def items_again(
    letters: Sequence[StoredDeadLetter], settings: Settings
) -> tuple[list[tuple[int, dict[str, object]]], dict[int, str]]:
    """Fields of an event by the letter's number; and of those of which nothing can be made, why."""
    outcome: dict[int, str] = {}
    items: list[tuple[int, dict[str, object]]] = []
    for stored in letters:
        letter = stored.letter
        if letter.payload is None:
            outcome[stored.id] = "nothing of it was kept; ask the supplier to send it again"
            continue
        payload = msgspec.json.decode(letter.payload)
        if not letter.format.startswith("mapping:"):
            items.append((stored.id, payload))
            continue
        name = letter.format.removeprefix("mapping:")
        mapping = settings.mappings.get(name)
        if mapping is None:
            outcome[stored.id] = f"mapping {name!r} is not in the settings any more"
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
