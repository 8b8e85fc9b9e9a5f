"""The outbox on SQLite and PostgreSQL: order per alert and recipient, another try, and how long the oldest has waited."""

from datetime import UTC, datetime, timedelta
from typing import Any

from earlywarning.core.outgoing import Outgoing
from earlywarning.store import Store
from earlywarning.store.outbox import Outbox

NOW = datetime(2026, 4, 12, 10, tzinfo=UTC)


def put(store: Store, *keys: str, **fields: Any) -> Outbox:
    outbox = Outbox(store)
    given: dict[str, Any] = {
        "municipality": "0380", "channel": "mail", "recipient": "group", "kind": "alert", "created_at": NOW, "body": "{}",
        "alert_id": "a1", **fields,
    }  # fmt: skip
    store.commit(None, also=[outbox.put([Outgoing(key=key, **given) for key in keys])])
    return outbox


def due(outbox: Outbox, limit: int = 10, now: datetime = NOW) -> list[str]:
    return [w.message.key for w in outbox.due("mail", now, limit)]


def test_of_an_alert_and_recipient_only_the_first_that_waits_is_due(store: Store) -> None:
    outbox = put(store, "a", "b")
    put(store, "c", recipient="other")
    put(store, "d", alert_id="a2")
    put(store, "e", "f", alert_id="")
    put(store, "g", channel="chat")
    assert due(outbox) == ["a", "c", "d", "e", "f"]
    assert due(outbox, limit=2) == ["a", "c"]
    outbox.postpone([(1, NOW + timedelta(minutes=5), "busy")])
    assert due(outbox) == ["c", "d", "e", "f"]  # b waits behind a
    outbox.settle([(1, "dead", "refused")], NOW)
    assert due(outbox) == ["b", "c", "d", "e", "f"]


def test_the_oldest_is_told_from_when_it_was_due_or_first_tried(store: Store) -> None:
    outbox = put(store, "later", not_before=NOW + timedelta(days=3), channel="digest")
    put(store, "now")
    assert outbox.oldest(NOW) == {"mail": NOW}
    later = NOW + timedelta(days=4)
    outbox.postpone([(2, NOW + timedelta(days=9), "busy")])
    assert outbox.oldest(later) == {"mail": NOW, "digest": NOW + timedelta(days=3)}
    outbox.settle([(1, "delivered", ""), (2, "delivered", "")], later)
    assert outbox.oldest(later) == {}


def test_a_key_is_kept_once(store: Store) -> None:
    outbox = put(store, "a")
    put(store, "a")
    assert len(outbox.messages()) == 1
